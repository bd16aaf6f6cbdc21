"""What studies on real photographs share: their folder, steps that are done once, the terrain a photograph is of."""

from __future__ import annotations

import argparse
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


def folder(text: str) -> Path:
    """Type of an argument that names a folder which is there, for `argparse`.

    Raises:
        ArgumentTypeError: There is none.
    """
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: a folder that is there")
    return path
