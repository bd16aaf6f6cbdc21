"""The page of a tail: every stratum in a table and in contact sheets, real and synthetic, those of the tail first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from regolith.lunar.dataset.split_reader import SplitReader
from regolith.lunar.dataset.strata import evenly, say_stratum
from regolith.lunar.perception.overlay import contact_sheet
from regolith.lunar.quality.tail_rocks import Rocks
from regolith.lunar.report.page import Picture, ReportSection, Table, picture, write_page

REPORT = "tail.html"
SHEETS = 40
"""Strata that are shown, those of the tail first, then those of most real rocks."""
COLUMNS = 6
"""Rocks in a row of a contact sheet; a sheet of the tail has two rows, another one."""
CELL_PX = 128

Side = tuple[SplitReader, Rocks, list[tuple[int, ...]]]
"""Frames of a side, their rocks, and the stratum of each."""


def write_report(
    folder: Path, result: dict[str, Any], sides: Mapping[str, Side], kinds: Sequence[tuple[int, ...]]
) -> None:
    """Write the page whole or not at all.

    Args:
        folder: Where.
        result: What `tail.json` holds.
        sides: `synth`, and `real` where there is one.
        kinds: Stratum of each row of `result["strata"]`.

    Raises:
        InputError: A picture is not as it was written.
        OSError: The page cannot be written.
    """
    variables = list(result["edges"])
    rows = [
        [*row["stratum"].values(), row["real"]["rocks"], f"{row['real']['share']:.1%}", row["synth"]["rocks"],
         f"{row['synth']['share']:.1%}", row["iou"], "tail" if row["tail"] else ""]
        for row in result["strata"]
    ]  # fmt: skip
    head = [*variables, "real rocks", "share", "synthetic rocks", "share", "mean IoU", ""]
    asked = [[each["name"], each["was"], each["wanted"], each["why"]] for each in result["asked"]]
    ranked = sorted(zip(result["strata"], kinds, strict=True), key=_rank)
    chosen = [row for row in result["strata"] if row["tail"]]
    text = [f"{say_budget(result['budget'])}.", *result["why"], *(f"Note: {note}." for note in result["notes"])]
    sections = [
        ReportSection("Strata", [_definition(result)], [Table(head, rows)]),
        ReportSection("What to draw", text, [Table(["parameter", "here", "asked for", "why"], asked)] if asked else []),
        *(_sheet(row, kind, sides) for row, kind in ranked[:SHEETS]),
    ]
    facts = [("strata", len(rows)), ("in the tail", len(chosen)), ("rocks of it", result["budget"]["have"])]
    lead = result["synth"] + (f" against {result['real']}" if result["real"] else "")
    write_page(folder / REPORT, "Tail", lead, sections, facts)


def say_budget(budget: dict[str, Any]) -> str:
    """What more rocks of the tail cost, in a line."""
    text = f"{budget['have']} rocks of the tail, {budget['wanted']} wanted"
    for key, words in (("untargeted", "frames like these"), ("targeted", "frames as requested")):
        row = budget[key]
        if row is not None:
            frames = "no number of" if row["frames"] is None else f"{row['frames']:,}"
            hours = "" if row["hours"] is None else f", {row['hours']:.2g} h"
            text += f"; {frames} {words} ({row['rocks_per_frame']:.2f} a frame{hours})"
    return text


def _rank(pair: tuple[dict[str, Any], tuple[int, ...]]) -> tuple[bool, int]:
    row = pair[0]
    return not row["tail"], -row["real"]["rocks"]


def _definition(result: dict[str, Any]) -> str:
    if result["by"] == "error":
        return f"The tail is the {result['percentile']:g} % of strata whose rocks the model fits worst."
    return f"The tail is the rarest strata that together hold at most {result['percentile']:g} % of the real rocks."


def _sheet(row: dict[str, Any], kind: tuple[int, ...], sides: Mapping[str, Side]) -> ReportSection:
    """Some rocks of a stratum of each side, the largest first."""
    pictures = [
        found for side, name in (("real", "Real"), ("synth", "Synthetic"))
        if side in sides and (found := _cells(sides[side], kind, name, 2 if row["tail"] else 1)) is not None
    ]  # fmt: skip
    heading = say_stratum(row["stratum"]) or "All rocks"
    return ReportSection(
        f"Tail: {heading}" if row["tail"] else heading, ["Each rock with twice its size about it."], (), pictures
    )


def _cells(side: Side, kind: tuple[int, ...], word: str, sheet_rows: int) -> Picture | None:
    reader, rocks, kinds = side
    found = [k for k, own in enumerate(kinds) if own == kind]
    if not found:
        return None
    found.sort(key=lambda k: -rocks.values["size"][k])
    shown = evenly(found, COLUMNS * sheet_rows)
    cells = [(_cut(reader[int(rocks.frame[k])].rgb, rocks.box[k]), _caption(rocks, k)) for k in shown]
    sheet = contact_sheet(cells, columns=COLUMNS, cell=CELL_PX)
    return picture(np.asarray(sheet), f"{word}: {len(shown)} of {len(found):,}", wide=True)


def _caption(rocks: Rocks, k: int) -> str:
    iou = rocks.iou[k]
    return "" if np.isnan(iou) else f"IoU {iou:.2f}"


def _cut(rgb: np.ndarray, box: np.ndarray) -> np.ndarray:
    """A square about a region, uint8 [CELL_PX, CELL_PX, 3]; what lies beyond the picture is its edge's."""
    top, bottom, left, right = box.tolist()
    half = max(bottom - top, right - left, 8)
    rows = np.clip(np.arange((top + bottom) // 2 - half, (top + bottom) // 2 + half), 0, rgb.shape[0] - 1)
    columns = np.clip(np.arange((left + right) // 2 - half, (left + right) // 2 + half), 0, rgb.shape[1] - 1)
    cut = Image.fromarray(rgb[rows[:, None], columns])
    return np.asarray(cut.resize((CELL_PX, CELL_PX), Image.Resampling.LANCZOS))
