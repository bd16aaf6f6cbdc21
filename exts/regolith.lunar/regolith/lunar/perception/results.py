"""What an evaluation leaves behind: `results.json`, pictures that say who made them, and the name of the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from regolith.lunar.files import replacing, write_json
from regolith.lunar.perception.folders import SOFTWARE
from regolith.lunar.perception.overlay import SHEET_CELL_PX, SHEET_COLUMNS, contact_sheet
from regolith.lunar.perception.plots import reliability_figure
from regolith.lunar.perception.session import Segmenter

RESULTS = "results.json"
RELIABILITY = "reliability.png"


def model_words(segmenter: Segmenter) -> dict[str, Any]:
    """Which model it was: {file, sha256, provider}."""
    return {"file": segmenter.path.name, "sha256": segmenter.card["sha256"], "provider": segmenter.provider}


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a PNG that says who wrote it: no later evaluation takes it for a photograph."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", SOFTWARE)
    with replacing(path) as temporary:
        picture.save(temporary, "PNG", pnginfo=text)


def save_sheet(out: Path, number: int, cells: Sequence[tuple[np.ndarray, str]]) -> str:
    """Write the contact sheet of a stratum, given its pictures with their captions, and return its path."""
    path = out / f"stratum_{number:02d}.png"
    save_picture(contact_sheet(cells, columns=SHEET_COLUMNS, cell=SHEET_CELL_PX), path)
    return str(path)


def save_reliability(out: Path, calibration: dict[str, Any]) -> str | None:
    """Write the plot of confidence against accuracy and return its path; None where no pixel has a label."""
    if not calibration["bins"]:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = reliability_figure(calibration["bins"])
    FigureCanvasAgg(figure)
    path = out / RELIABILITY
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100, metadata={"Software": SOFTWARE})
    return str(path)


def write_results(out: Path, result: dict[str, Any]) -> None:
    """Write an evaluation's result into its folder."""
    write_json(out / RESULTS, result)
