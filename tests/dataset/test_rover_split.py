"""A split seen by the rover: whole, the same bytes when it is resumed, its point clouds in the world's frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from split_drawing import PARAMS, digest, draw

from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.layout import read_journal
from regolith.lunar.dataset.outputs import file_name
from regolith.lunar.dataset.pointcloud import FrameCamera, unproject
from regolith.lunar.dataset.split_reader import open_split
from regolith.lunar.dataset.verify import verify
from regolith.lunar.labels import REGOLITH
from regolith.lunar.params import change_params
from regolith.lunar.randomize import draw_frame
from regolith.lunar.stage.truth import TRUTHS

RIG = change_params(
    PARAMS,
    {
        "camera.rig": "viper", "camera.view": "hazcam_front_left", "camera.baseline_m": 0.0, "dataset.right": False,
        "dataset.disparity": False, "dataset.shadow": True, "dataset.crater": True, "dataset.slope": True,
        "dataset.hazard": True,
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
    for frame in open_split(split):
        assert frame.shadow is not None and frame.slope is not None and frame.hazard is not None
        assert ((frame.shadow == 255) == (frame.mask >= 2)).all() and (frame.shadow == 0).any()
        assert (np.isnan(frame.slope) == (frame.mask >= 2)).all() and frame.crater is not None
    assert all(records[index].spec["rover"]["carries"] for index in range(3))
    whole = digest(split)
    (split / file_name("mask", 1)).unlink()
    draw(tmp_path, RIG, frames=3)
    assert digest(split) == whole


def test_what_is_asked_of_the_ground_changes_nothing_else(tmp_path: Path) -> None:
    """Frames and contract of a split that asks for none of it are as they were, but for these files."""
    off = change_params(RIG, {f"dataset.{name}": False for name in TRUTHS})
    draw(tmp_path / "with", RIG, frames=1)
    draw(tmp_path / "without", off, frames=1)
    rich, plain = digest(tmp_path / "with/val"), digest(tmp_path / "without/val")
    files = [name for name in plain if name.endswith(("png", "npy"))]
    assert len(files) == 4 and {name: rich[name] for name in files}.items() <= plain.items()
    written = Contract.read(tmp_path / "without/val").parameters["dataset"]
    assert written.keys() == {"frames_per_scene", "depth", "normals", "instance"}


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
