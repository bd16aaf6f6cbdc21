"""Segment a photograph with the shipped model, or another.

- a model is an .onnx file with its card; the card says at what size and in which views photographs are looked at
- the answer has the photograph's own pixels: classes, and their probabilities
- photographs of 8 to 16 bits, grey or colour, in any size

    python examples/06_segment_a_photograph.py PHOTO.jpg --out out/06
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tyro

import regolith.lunar as rl
from regolith.lunar.perception.overlay import contact_sheet, draw_overlay
from regolith.lunar.perception.photos import read_photo


def main(photo: tyro.conf.Positional[Path], out: Path = Path("out/06"), model: str = "default") -> None:
    """Segment a photograph.

    Args:
        photo: Picture to segment.
        out: Folder to write.
        model: An .onnx file, or a shipped one by name.
    """
    out.mkdir(parents=True, exist_ok=True)
    rgb = read_photo(photo)  # uint8 [H, W, 3]
    segmenter = rl.load_model(model)
    found = segmenter.segment(rgb)

    flood = float((found.mask == 1).mean())
    print(f"{photo}: {flood:.1%} of its pixels called rock, at {segmenter.photo_px} px, views {segmenter.photo_tta}")
    doubt = np.repeat((255 * (1.0 - found.confidence)).astype(np.uint8)[..., None], 3, axis=2)
    sheet = [(rgb, photo.name), (draw_overlay(rgb, found.mask), f"rock {flood:.1%}"), (doubt, "doubt")]
    contact_sheet(sheet, columns=3, cell=320).convert("RGB").save(out / "picture.jpg", quality=80)
    print(out / "picture.jpg")


if __name__ == "__main__":
    tyro.cli(main)
