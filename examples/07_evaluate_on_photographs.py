"""Measure a model on photographs: flood, and rock-IoU and recall where there are masks.

- flood is the share of a photograph's own pixels called rock; a model that never says rock has none, so it is read
  beside recall
- masks: a folder with NAME.png or NAME_mask.png for each photograph, or `apollo` for the shipped masks of Apollo frames
- `regolith real-photos --download DIR` fetches the published photographs

    python examples/07_evaluate_on_photographs.py PHOTOS --masks MASKS --out out/07
"""

from __future__ import annotations

from pathlib import Path

import tyro
from PIL import Image

import regolith.lunar as rl


def main(
    images: tyro.conf.Positional[Path],
    masks: Path | None = None,
    out: Path = Path("out/07"),
    model: str = "default",
    size: int | None = None,
) -> None:
    """Score a model on photographs.

    Args:
        images: Folder of photographs.
        masks: Folder of their masks, or `apollo`.
        out: Folder to write: results.json, overlays, contact sheet.
        model: An .onnx file, or a shipped one by name.
        size: Long side the network works at [px]; left out, what the model's card says.
    """
    try:
        result = rl.evaluate_photos(images, model=model, masks=masks, out=out, size=size)
    except rl.CheckError as error:  # a file that cannot be used; everything else is scored
        if error.result is None:
            raise
        print(error)
        result = error.result
    for row in result["per_image"]:
        print(f"{row['image']}: flood {row['flood']:.1%}, sky {row['sky']:.1%}")
    if "rock" in result:
        rock = result["rock"]
        print(", ".join(f"rock {key} {rock[key] or 0.0:.3f}" for key in ("iou", "precision", "recall")))
    else:
        print(result["note"])
    picture = Image.open(result["contact_sheet"]).convert("RGB")
    picture.thumbnail((640, 640))
    picture.save(out / "picture.jpg", quality=75)
    print(out / "picture.jpg")


if __name__ == "__main__":
    tyro.cli(main)
