"""A split seen by the rover: whole, the same bytes when it is resumed, its point clouds in the world's frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from split_drawing import PARAMS, digest, draw

from regolith.lunar.dataset.layout import read_journal
from regolith.lunar.dataset.outputs import file_name
from regolith.lunar.dataset.pointcloud import FrameCamera, unproject
from regolith.lunar.dataset.verify import verify
from regolith.lunar.labels import REGOLITH
from regolith.lunar.params import change_params
from regolith.lunar.randomize import draw_frame

RIG = change_params(
    PARAMS,
    {
        "camera.rig": "viper", "camera.view": "hazcam_front_left", "camera.baseline_m": 0.0, "dataset.right": False,
        "dataset.disparity": False,
    },
)  # fmt: skip


def test_a_split_of_the_rover_is_whole_and_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    """Verify finds nothing; a frame that is lost is drawn again as it was, whatever was drawn before it."""
    draw(tmp_path, RIG, frames=3)
    split = tmp_path / "val"
    found = verify(split)
    assert found["problems"] == [] and found["frames"] == 3
    records = read_journal(split)
    assert all(records[index].counts["ignore"] > 0 for index in range(3))
    assert all(records[index].spec["rover"]["carries"] for index in range(3))
    whole = digest(split)
    (split / file_name("mask", 1)).unlink()
    draw(tmp_path, RIG, frames=3)
    assert digest(split) == whole


def test_points_of_a_tilted_camera_lie_on_the_ground(tmp_path: Path) -> None:
    """Depth, camera and the rover's tilt give back the terrain, and without the tilt they do not."""
    from regolith.lunar.dataset.chunk import author_scene

    draw(tmp_path, RIG, frames=1)
    split = tmp_path / "val"
    spec = read_journal(split)[0].spec
    scene, _ = author_scene(RIG, seed=5, split="val", number=0, baked=False)
    assert draw_frame(RIG, 5, "val", 0, scene).to_dict() == spec
    depth = np.load(split / file_name("depth", 0))
    from PIL import Image

    mask = np.asarray(Image.open(split / file_name("mask", 0)))
    depth = np.where((mask == REGOLITH) & (depth < 6.0), depth, np.inf)

    def off(spec: dict) -> float:
        camera = FrameCamera.from_spec(spec, 64, 48)
        x, y, z = camera.to_world(unproject(depth, camera.lens)[0]).T
        return float(np.abs(z - scene.terrain.grid.facet_height(x, y)).max())

    assert off(spec) < 1e-3 < 5e-3 < off(spec | {"rover": spec["rover"] | {"pitch_deg": 0.0, "roll_deg": 0.0}})
