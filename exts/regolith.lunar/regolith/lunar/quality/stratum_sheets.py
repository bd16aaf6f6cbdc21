"""Contact sheets of strata, as the pages of the verbs that judge data show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from regolith.lunar.dataset.strata import Stratum, say_stratum
from regolith.lunar.perception.overlay import SHEET_CELL_PX, SHEET_CELLS, SHEET_COLUMNS, contact_sheet
from regolith.lunar.report.page import Picture, picture

Cell = tuple[np.ndarray, str]
"""A picture as `overlay.sheet_cell` reduces it, uint8 [H, W, 3], and its caption."""


def stratum_sheets(strata: Sequence[Stratum], sides: Sequence[tuple[str, Callable[[int], Cell]]]) -> list[Picture]:
    """Draw a contact sheet of each stratum on each side that has some of it.

    Args:
        strata: What is alike.
        sides: Name of each side, and what gives the cell of a place on it.
    """
    sheets = []
    for stratum in strata:
        for side, (name, cell) in enumerate(sides):
            if shown := stratum.shown(side, SHEET_CELLS):
                sheet = contact_sheet([cell(place) for place in shown], columns=SHEET_COLUMNS, cell=SHEET_CELL_PX)
                words = f"{name}, {say_stratum(stratum.words) or 'all'}: {len(shown)} of {len(stratum.places[side])}"
                sheets.append(picture(np.asarray(sheet), words, wide=True))
    return sheets
