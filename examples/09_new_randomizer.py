"""Write a randomizer of your own: the rover drives into the low sun.

- a randomizer is a function from a drawn frame to another; it may hold any value that is drawn per frame
- its own draws come from a named stream of (seed, split, frame), so that frame 7 is the same on every machine and no
  other value changes
- what it holds stays inside physics: the camera keeps its height above the ground wherever it is held

Inside this package a randomizer is one field (`params/`) and one edit (`stage/edit.py`); it then is on the command line
and in the panels.

    python examples/09_new_randomizer.py --out out/09
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import tyro

import regolith.lunar as rl
from regolith.lunar.perception.overlay import contact_sheet
from regolith.lunar.randomize import aim_frame
from regolith.lunar.stage.author import Scene
from regolith.lunar.stage.spec import FrameSpec, rng


def into_the_sun(spec: FrameSpec, scene: Scene, *, seed: int, spread_deg: float = 25.0) -> FrameSpec:
    """Turn the sun ahead of the camera, within some degrees, and lower it to 4 … 10 degrees."""
    random = rng(seed, spec.split, "frame", spec.index, "into_the_sun")
    azimuth = spec.values["heading_deg"] + random.uniform(-spread_deg, spread_deg)
    held = {"sun_azimuth_deg": azimuth % 360.0, "sun_elevation_deg": random.uniform(4.0, 10.0)}
    return aim_frame(spec, scene, held)


def main(out: Path = Path("out/09"), preset: str = "v4", seed: int = 0, frames: int = 4, size: int = 160) -> None:
    """Draw frames without and with the randomizer.

    Args:
        out: Folder to write.
        preset: Preset to start from.
        seed: Seed of the dataset.
        frames: Frames, all of one scene.
        size: Side of a picture [px].
    """
    out.mkdir(parents=True, exist_ok=True)
    params = rl.load_preset(preset)
    scene = rl.build_scene(params, seed=seed)
    plain = [rl.draw_frame(params, scene, seed=seed, frame=frame) for frame in range(frames)]
    turned = [into_the_sun(spec, scene, seed=seed) for spec in plain]
    sheet: list[tuple[np.ndarray, str]] = []
    with contextlib.closing(rl.open_renderer()) as renderer:
        stage = renderer.load(rl.author_stage(scene))
        for name, specs in (("as drawn", plain), ("into the sun", turned)):
            for spec in specs:
                rl.apply_frame(stage, spec, params=params, width=size, height=size)
                sheet.append((renderer.render(size, size).rgb, f"{name} {spec.index}"))
    contact_sheet(sheet, columns=frames, cell=size).convert("RGB").save(out / "picture.jpg", quality=75)
    print(out / "picture.jpg")


if __name__ == "__main__":
    tyro.cli(main)
