"""What studies on POLAR's photographs share: steps that are done once, and the terrain a photograph is of."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from regolith.lunar.files import write_json
from regolith.lunar.reading import read_json

TERRAIN = re.compile(r"(terrain\d+)")
"""Finds the terrain in the name of one of POLAR's photographs."""


def once(path: Path, make: Callable[[], Any]) -> Any:
    """Return what a step found, which it left in a file."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, make())
    return read_json(path)
