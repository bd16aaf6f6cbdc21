"""JPEG quality from a file's quantization table."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image

from regolith.lunar.quality.camera.found import Found, unknown

QUALITIES = np.arange(1, 101)


@lru_cache(maxsize=1)
def libjpeg_tables() -> np.ndarray:
    """Luminance tables of libjpeg's qualities 1 … 100, float64 [100, 8, 8]: those `render.film.pass_jpeg` uses."""
    tables = []
    for quality in QUALITIES:
        file = io.BytesIO()
        Image.new("L", (8, 8)).save(file, "JPEG", quality=int(quality))
        tables.append(np.array(Image.open(file).quantization[0], np.float64).reshape(8, 8))  # type: ignore[attr-defined]
    return np.stack(tables)


def jpeg_quality(steps: np.ndarray) -> tuple[int, bool]:
    """Quality of libjpeg whose luminance table is nearest, by the mean ratio of steps.

    Args:
        steps: Luminance table, float64 [8, 8].

    Returns:
        The quality, and whether it is exactly that table.
    """
    distance = np.abs(np.log(libjpeg_tables() / steps)).mean(axis=(1, 2))
    nearest = int(np.argmin(distance))
    return int(QUALITIES[nearest]), bool(distance[nearest] == 0.0)


def find_jpeg(tables: Sequence[np.ndarray | None]) -> Found:
    """Range of the qualities of a set of files.

    Args:
        tables: Luminance table of each file, float64 [8, 8]; None of one that is no JPEG.
    """
    rows = [jpeg_quality(steps) for steps in tables if steps is not None]
    if not rows:
        return unknown("no file is a JPEG; what a picture went through before it was saved otherwise is not looked for")
    values = [quality for quality, _ in rows]
    notes = ["quantization tables of the files: of their last compression"]
    if not all(exact for _, exact in rows):
        notes.append("some tables are of another encoder than libjpeg, whose nearest quality is given")
    if len(rows) < len(tables):
        notes.append(f"{len(tables) - len(rows)} files are no JPEG and count as 100")
        values.append(100)
    interval = (float(min(values)), float(max(values)))
    return Found("identified", "; ".join(notes), float(np.median(values)), interval, len(rows))
