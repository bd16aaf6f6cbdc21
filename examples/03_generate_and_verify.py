"""Generate labelled splits on every core, verify them, and look at one frame's labels.

- run it again: what is whole stays, what is missing or broken is drawn again
- every file is checked against the journal, and the splits against each other
- depth, instance ids and normals are outputs one switches on

    python examples/03_generate_and_verify.py --out out/03
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tyro

import regolith.lunar as rl
from regolith.lunar.perception.overlay import contact_sheet, draw_classes


def main(out: Path = Path("out/03"), preset: str = "v3", frames: int = 24, size: int = 256, workers: int = 2) -> None:
    """Generate and verify a dataset.

    Args:
        out: Folder to write; the dataset lands in OUT/data.
        preset: Preset to start from.
        frames: Frames of train_dr; val gets a quarter of them.
        size: Side of a picture [px].
        workers: Processes that draw.
    """
    params = rl.change_params(rl.load_preset(preset), {"dataset.depth": True, "dataset.instance": True})
    for split, count in (("train_dr", frames), ("val", max(2, frames // 4))):
        done = rl.generate(params, out / "data", split=split, frames=count, width=size, height=size, workers=workers)
        print(f"{done['split']}: {done['frames']} frames, {done['drawn']} drawn now")

    checked = rl.verify(out / "data")
    print(f"{checked['frames']} frames in {', '.join(checked['splits'])}: {len(checked['problems'])} problems")

    frame = max(rl.open_split(out / "data/train_dr"), key=lambda frame: frame.counts["rock"])
    assert frame.depth is not None and frame.instance is not None
    near = 3.0 / np.maximum(frame.depth, 3.0)  # white at 3 m and nearer, black on the sky
    palette = np.random.default_rng(0).integers(64, 256, (65536, 3), np.uint8)
    palette[0] = 0
    sheet = [
        (frame.rgb, f"frame {frame.index}"),
        (draw_classes(frame.mask), "mask"),
        (np.repeat((255 * near).astype(np.uint8)[..., None], 3, axis=2), "depth"),
        (palette[frame.instance], "instance"),
    ]
    contact_sheet(sheet, columns=4, cell=size).convert("RGB").save(out / "picture.jpg", quality=80)
    print(out / "picture.jpg")


if __name__ == "__main__":
    tyro.cli(main)
