"""All verbs that the panel has a row for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regolith.lunar.panel.film import FILM
from regolith.lunar.panel.quality import QUALITY
from regolith.lunar.panel.rover import ROVER
from regolith.lunar.panel.verb_row import VerbRow

ROWS: tuple[VerbRow, ...] = (*ROVER, FILM, *QUALITY)
"""In the order of their headings, inside each section."""


SECTIONS: dict[str, tuple[VerbRow, ...]] = {
    key: tuple(row for row in ROWS if row.section == key) for key in dict.fromkeys(row.section for row in ROWS)
}
"""Key of a section to its rows."""


def row_defaults(data: Path) -> dict[str, Any]:
    """By their paths, what takes the place of the verbs' own defaults.

    Args:
        data: The panel's data folder.
    """
    places = {f"{row.key}.{name}": data / place for row in ROWS for name, place in row.places.items()}
    return places | {f"{row.key}.{name}": value for row in ROWS for name, value in row.values.items()}
