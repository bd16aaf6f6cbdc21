"""The page of a choice of what to label: the units chosen, and contact sheets by how uncertain a model is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.dataset.strata import Stratum, say_stratum, value_strata
from regolith.lunar.perception.overlay import SHEET_CELLS
from regolith.lunar.quality.select_params import ENDS
from regolith.lunar.quality.stratum_sheets import Cell, stratum_sheets
from regolith.lunar.report.page import ReportSection, Table, write_page

REPORT = "select.html"
CHOSEN = "chosen"
SCORES = ("entropy", "mutual_information")


def unit_strata(units: Sequence[Mapping[str, Any]], chosen: Sequence[int]) -> list[Stratum]:
    """Units that are shown together: those chosen, then all by buckets of a score.

    Args:
        units: Of the pool, as `select.json` has them.
        chosen: Places of those chosen.
    """
    known = [name for name in SCORES if units[0][name] is not None]
    values = {known[-1]: [np.array([unit[known[-1]] for unit in units])]}
    picked = [Stratum({CHOSEN: "in this round"}, (list(chosen),))] if chosen else []
    return [*picked, *value_strata(values, [len(units)])]


def shown_units(strata: Sequence[Stratum]) -> set[int]:
    """Places of the units that the page shows."""
    return {place for stratum in strata for place in stratum.shown(0, SHEET_CELLS)}


def write_report(path: Path, result: Mapping[str, Any], strata: Sequence[Stratum], cells: Mapping[int, Cell]) -> None:
    """Write the page whole or not at all.

    Args:
        path: HTML file to write.
        result: What `select.json` holds.
        strata: Of its units.
        cells: Place of each unit that is shown to its cell.

    Raises:
        OSError: The page cannot be written.
    """
    units, chosen = result["units"], {row["id"] for row in result["chosen"]}
    rows = [
        [say_stratum(stratum.words), len(places), sum(units[place]["id"] in chosen for place in places),
         *(_mean([units[place][name] for place in places]) for name in SCORES)]
        for stratum in strata for places in stratum.places
    ]  # fmt: skip
    used = f"{result['labelled']} of {result['budget']} labels used"
    text = [f"{len(chosen)} of {len(units):,} units chosen, by {result['by']}; {used}."]
    if result["stop"]:
        text.append(f"The loop ends: {ENDS[result['stop']]}.")
    head = ["stratum", "units", "chosen", "entropy [bit]", "mutual information [bit]"]
    sheets = stratum_sheets(strata, (("Units", cells.__getitem__),))
    facts = [("chosen", len(chosen)), ("units", len(units))]
    lead = f"{result['pool']['folder']}: which pictures would teach the model most"
    write_page(path, "What to label", lead, [ReportSection("Units", text, [Table(head, rows)], sheets)], facts)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
