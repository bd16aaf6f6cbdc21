"""Drives that are done, one a line, so that the same command goes on where it stopped."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from regolith.lunar.files import append_lines, write_bytes
from regolith.lunar.reading import JSON_BYTES, read_text

LEDGER = "drives.jsonl"


class Ledger:
    """The drives of a folder: what was asked for in the first line, then a drive a line."""

    def __init__(self, folder: Path, asked: Mapping[str, Any]) -> None:
        """Open a ledger, or begin anew where another was asked for.

        Args:
            folder: Folder of the drives, which is held.
            asked: All that decides what comes of a drive, as plain values.
        """
        self._folder, self._path = folder, folder / LEDGER
        self._head, text = json.dumps(asked, sort_keys=True), ""
        with contextlib.suppress(OSError, ValueError):
            text = read_text(self._path, JSON_BYTES)
        first, *lines = text[: text.rfind("\n") + 1].splitlines() or [""]
        self._begun = first == self._head
        runs = [json.loads(line) for line in lines] if self._begun else []
        self._runs = {(run["scene"], run["avoid"]): run for run in runs}

    def find(self, scene: int, how: str) -> dict[str, Any] | None:
        """Find a drive whose trajectory is still there."""
        run = self._runs.get((scene, how))
        return run if run is not None and (self._folder / run["trajectory"]).is_file() else None

    def add(self, run: dict[str, Any]) -> None:
        """Write down a drive whose trajectory is written."""
        if not self._begun:
            write_bytes(self._path, f"{self._head}\n".encode())
            self._begun = True
        append_lines(self._path, [json.dumps(run)])
