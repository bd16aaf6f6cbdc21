"""What a model sees on every frame of a film: classes and overlays as pictures, one after the other, resumed.

A rover's own pixels, which no label counts and for which a model has no class, are left out of both, with what a model
calls rock on a rim around them, as wide as its edges miss by.

A folder holds `seen_00000.png`, the classes as 8-bit PNG, `overlay_00000.png`, the frame with its overlay, and
`overlay.jsonl`: the model in the first line, then a line a frame, which counts while the frame it was seen on is the
same.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

from regolith.lunar.dataset.layout import FrameRecord, read_journal
from regolith.lunar.dataset.outputs import file_name
from regolith.lunar.files import append_lines, write_bytes
from regolith.lunar.labels import IGNORE, ROCK, SKY
from regolith.lunar.params import InputError
from regolith.lunar.perception.overlay import draw_overlay
from regolith.lunar.perception.session import Segmenter
from regolith.lunar.reading import JSON_BYTES, read_text

LINES = "overlay.jsonl"
RIM_SHARE = 0.015
"""Width of the rim around a rover on which no rock counts, over the picture's long side."""


def overlay_name(index: int) -> str:
    """File of a frame with its overlay."""
    return f"overlay_{index:05d}.png"


def seen_name(index: int) -> str:
    """File of the classes seen on a frame."""
    return f"seen_{index:05d}.png"


def rgb_digest(record: FrameRecord) -> str:
    """SHA-256 of a frame's picture, as the journal has it."""
    return record.sha256[file_name("rgb", record.index)]


def read_picture(split: Path, index: int) -> np.ndarray:
    """Picture of a frame, uint8 [H, W, 3]."""
    with Image.open(split / file_name("rgb", index)) as picture:
        return np.asarray(picture.convert("RGB"))


def read_mask(split: Path, index: int) -> np.ndarray:
    """Labels of a frame, uint8 [H, W]."""
    with Image.open(split / file_name("mask", index)) as picture:
        return np.asarray(picture)


def png(pixels: np.ndarray) -> bytes:
    """A picture, uint8 [H, W] or [H, W, 3], as a PNG file."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def draw_overlays(split: Path, folder: Path, model: Segmenter, tell: Callable[[], object]) -> int:
    """Draw the overlays of a split that are not there yet, or were drawn on other pictures or by another model.

    Args:
        split: Split, all of whose frames are there.
        folder: Where the overlays go.
        model: What sees.
        tell: Called after each frame, drawn now or before.

    Returns:
        How many were drawn now.
    """
    folder.mkdir(parents=True, exist_ok=True)
    head, lines = json.dumps({"model": model.card["sha256"]}), _read_lines(folder)
    known = lines[1:] if lines and lines[0] == json.loads(head) else None
    if known is None:
        write_bytes(folder / LINES, f"{head}\n".encode())
    done, drawn = {line["index"]: line for line in known or []}, 0
    for index, record in sorted(read_journal(split).items()):
        line = done.get(index)
        there = all((folder / name(index)).is_file() for name in (overlay_name, seen_name))
        if line is None or line["rgb"] != rgb_digest(record) or not there:
            rgb = read_picture(split, index)
            mask = model.segment(rgb).mask
            mask[without_rover(read_mask(split, index), mask)] = IGNORE
            write_bytes(folder / seen_name(index), png(mask))
            write_bytes(folder / overlay_name(index), png(draw_overlay(rgb, mask)))
            found = {"index": index, "rgb": rgb_digest(record), "rock_share": rock_share(mask)}
            append_lines(folder / LINES, [json.dumps(found)])
            drawn += 1
        tell()
    return drawn


def without_rover(labels: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Pixels left out for a rover's sake, bool [H, W], by labels and by what a model sees, both uint8 [H, W]."""
    rover = labels == IGNORE
    if not rover.any():
        return rover
    rim = distance_transform_edt(~rover) <= RIM_SHARE * max(rover.shape)
    return rover | (rim & (seen == ROCK))


def rock_share(mask: np.ndarray) -> float:
    """Share of rock in the ground that is seen, classes uint8 [H, W]; 0 where none is."""
    ground = int(((mask != SKY) & (mask != IGNORE)).sum())
    return round(int((mask == ROCK).sum()) / max(ground, 1), 6)


def read_overlays(split: Path, folder: Path) -> list[dict[str, Any]]:
    """What was written down of the overlays of a split, by frame: {index, rgb, rock_share}.

    Raises:
        InputError: Overlays are missing, or are of other frames.
    """
    records = read_journal(split)
    found = {line["index"]: line for line in _read_lines(folder)[1:]}
    for index, record in records.items():
        line = found.get(index)
        if line is None or line["rgb"] != rgb_digest(record) or not (folder / overlay_name(index)).is_file():
            raise InputError("steps", "assemble", f"overlay before it: {folder} has none of frame {index}")
    return [found[index] for index in sorted(records)]


def _read_lines(folder: Path) -> list[dict[str, Any]]:
    """Whole lines of a folder's file; none where there is no file or it is damaged."""
    try:
        text = read_text(folder / LINES, JSON_BYTES)
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    except (OSError, ValueError):
        return []
