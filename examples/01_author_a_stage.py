"""Author a lunar stage and take a picture of it.

- parameters: a preset, and two changes to it
- a scene (terrain, craters, rocks) and the OpenUSD stage it is written as
- the stage as a file that usdview, Blender and Isaac Sim open
- a picture of the stage's camera by the embedded renderer

    python examples/01_author_a_stage.py --out out/01
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import tyro
from PIL import Image

import regolith.lunar as rl


def main(out: Path = Path("out/01"), preset: str = "v3", seed: int = 0, width: int = 576, height: int = 360) -> None:
    """Author a stage.

    Args:
        out: Folder to write.
        preset: Preset to start from.
        seed: Another seed is another place.
        width: Picture width [px].
        height: Picture height [px].
    """
    out.mkdir(parents=True, exist_ok=True)
    changes = {"rocks.abundance": 0.06, "domain.sun_elevation_deg": (12, 18)}
    params = rl.change_params(rl.load_preset(preset), changes)

    scene = rl.build_scene(params, seed=seed)
    stage = rl.author_stage(scene)
    spec = rl.draw_frame(params, scene, seed=seed)
    rl.apply_frame(stage, spec, params=params, width=width, height=height)
    files = rl.save_stage(stage, out / "stage.usda")  # the parameters are in its customLayerData
    print(f"{len(scene.rocks)} rocks, {len(scene.terrain.craters)} craters: {', '.join(map(str, files))}")

    with contextlib.closing(rl.open_renderer()) as renderer:
        renderer.load(stage)
        frame = renderer.render(width, height)
    Image.fromarray(frame.rgb).save(out / "picture.jpg", quality=75)
    print(out / "picture.jpg")


if __name__ == "__main__":
    tyro.cli(main)
