"""Read a split in PyTorch.

- a split is a sequence of frames; frames are found by what they were drawn from
- one line makes it a `torch.utils.data.Dataset`: uint8 images [3, H, W], int64 masks [H, W]
- the same split as a `datasets.Dataset`: rl.export(DATA, HF, to="hf"), then datasets.load_dataset(HF)

    python examples/04_read_in_pytorch.py --data out/03/data/train_dr --out out/04
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import tyro
from torch.utils.data import DataLoader

import regolith.lunar as rl
from regolith.lunar.perception.overlay import contact_sheet, draw_overlay


def main(
    data: Path = Path("out/03/data/train_dr"), out: Path = Path("out/04"), batch: int = 4, workers: int = 0
) -> None:
    """Read batches of the frames with a low sun.

    Args:
        data: Folder of a split, as example 3 makes it.
        out: Folder to write.
        batch: Frames of a batch.
        workers: Processes of the DataLoader.
    """
    out.mkdir(parents=True, exist_ok=True)
    split = rl.open_split(data)
    low = split.filter(sun_elevation_deg=(0, 20))
    print(f"{len(low)} of {len(split)} frames have the sun at 20° or lower")

    loader = DataLoader(rl.open_torch_split(low), batch_size=batch, num_workers=workers)
    rock = valid = 0
    for items in loader:
        image, mask = items["image"], items["mask"]  # uint8 [N, 3, H, W], int64 [N, H, W]
        if not valid:
            first: list[tuple[np.ndarray, str]] = [
                (draw_overlay(i.permute(1, 2, 0).numpy(), m.to(torch.uint8).numpy()), f"frame {int(number)}")
                for i, m, number in zip(image, mask, items["index"], strict=True)
            ]
            contact_sheet(first, columns=batch, cell=224).convert("RGB").save(out / "picture.jpg", quality=75)
        rock += int((mask == 1).sum())
        valid += int((mask != 255).sum())
    print(f"{rock / valid:.1%} of the labelled pixels are rock; {out / 'picture.jpg'}")


if __name__ == "__main__":
    tyro.cli(main)
