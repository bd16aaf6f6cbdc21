"""The page of a test for drift: both tests, and contact sheets by how sure the model is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.dataset.strata import say_stratum, value_strata
from regolith.lunar.labels import IGNORE
from regolith.lunar.perception.overlay import sheet_cell
from regolith.lunar.quality.pictures import Pictures
from regolith.lunar.quality.semantics import say_interval
from regolith.lunar.quality.stratum_sheets import Cell, stratum_sheets
from regolith.lunar.report.page import ReportSection, Table, write_page

REPORT = "drift.html"


def write_report(path: Path, result: dict[str, Any], sets: Sequence[Pictures], entropies: Sequence[np.ndarray]) -> None:
    """Write the page whole or not at all.

    Args:
        path: HTML file to write.
        result: What `drift.json` holds.
        sets: Reference and new pictures.
        entropies: Mean entropy of each of their pictures [bit], float [pictures].

    Raises:
        InputError: A picture cannot be read again.
        OSError: The page cannot be written.
    """
    verdict = "drift" if result["alert"] else "no drift"
    tests = [
        [name, *(say_interval(result[name][key]) for key in ("mmd", "neighbour", "norm")), result[name]["p"]]
        for name in ("features", "entropy")
    ]
    means = result["entropy"]["mean"]
    text = [
        f"Two tests by permutation of scenes or photographs, at a level of {result['level']:g} together: the smaller "
        f"p-value alarms where it is at most half of that. Mean entropy {means[0]:.3f} bit, now {means[1]:.3f} bit.",
        *(f"Note: {note}." for note in result["notes"]),
    ]
    found = value_strata({"entropy_bit": entropies}, [len(values) for values in entropies])
    rows = [[say_stratum(stratum.words), *map(len, stratum.places)] for stratum in found]

    def cell(side: int, place: int) -> Cell:
        shown = sets[side].one(place, result["size"], lambda rgb: np.full(rgb.shape[:2], IGNORE, np.uint8))
        return sheet_cell(shown.rgb), f"{shown.name}: {entropies[side][place]:.2f} bit"

    sheets = stratum_sheets(found, (("Reference", lambda place: cell(0, place)), ("New", lambda place: cell(1, place))))
    head = ["of", "MMD²", "JSD, neighbours", "JSD, histogram", "p"]
    sections = [
        ReportSection("Tests", text, [Table(head, tests)]),
        ReportSection(
            "By entropy",
            ["How sure the model is of pictures, in buckets that are equally frequent in the mean of both sets."],
            [Table(["entropy", "reference pictures", "new pictures"], rows)],
            sheets,
        ),
    ]
    lead = f"{result['new']['folder']} against {result['reference']['folder']}, as {result['model']['file']} sees both"
    write_page(path, f"Drift: {verdict}", lead, sections, [("verdict", verdict)])
