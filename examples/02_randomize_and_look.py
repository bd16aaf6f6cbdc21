"""Draw frames of a split and look at them, without writing a dataset.

- ranges are parameters; what is drawn depends on (seed, split, frame, name of the value) alone
- a scene is built once; turning its stage into another frame costs milliseconds
- train_nodr freezes sun, ground and exposure at the centres of their ranges

    python examples/02_randomize_and_look.py --out out/02
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import tyro

import regolith.lunar as rl
from regolith.lunar.perception.overlay import contact_sheet


def main(out: Path = Path("out/02"), preset: str = "v4", seed: int = 0, frames: int = 4, size: int = 160) -> None:
    """Draw the same frames with and without domain randomization.

    Args:
        out: Folder to write.
        preset: Preset to start from.
        seed: Seed of the dataset.
        frames: Frames of each split, all of one scene.
        size: Side of a picture [px].
    """
    out.mkdir(parents=True, exist_ok=True)
    params = rl.change_params(rl.load_preset(preset), {"domain.sun_elevation_deg": (6, 40)})
    sheet: list[tuple[np.ndarray, str]] = []
    with contextlib.closing(rl.open_renderer()) as renderer:
        for split in ("train_dr", "train_nodr"):
            scene = rl.build_scene(params, split=split, seed=seed)
            stage = renderer.load(rl.author_stage(scene))
            for frame in range(frames):
                spec = rl.draw_frame(params, scene, split=split, seed=seed, frame=frame)
                rl.apply_frame(stage, spec, params=params, width=size, height=size)
                sun, albedo = spec.values["sun_elevation_deg"], spec.values["albedo"]
                print(f"{split} {frame}: sun {sun:.1f}°, albedo {albedo:.3f}")
                sheet.append((renderer.render(size, size).rgb, f"{split}, sun {sun:.0f}°"))
    contact_sheet(sheet, columns=frames, cell=size).convert("RGB").save(out / "picture.jpg", quality=75)
    print(out / "picture.jpg")


if __name__ == "__main__":
    tyro.cli(main)
