"""Drives that are done, one a line, so that the same command goes on where it stopped."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from regolith.lunar.files import append_lines, file_digest, write_bytes
from regolith.lunar.params import InputError
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


class Driven(NamedTuple):
    """A drive that is done, and what it was driven over."""

    trajectory: Path
    """Its file (`physics.drive`)."""
    scene: int
    """Number of its scene inside the split."""
    split: str
    seed: int
    parameters: dict[str, Any]
    """Parameters of the scene, as plain values."""
    stage: Path | None = None
    """Stage file that was driven over; None for a scene of the split."""
    stage_sha256: str = ""
    """Its hash when it was."""


def find_driven(path: Path, field: str) -> Driven:
    """Find a drive by its trajectory, or the first drive of a folder.

    Args:
        path: `trajectory_….npz` beside the ledger of its `regolith traverse`, or the folder of both.
        field: Argument that names it, for errors.

    Raises:
        InputError: There is none, or the stage file that it was driven over (`--stage`) is no longer what it was.
    """
    found = _read_driven(path)
    if found is None:
        allowed = f"a trajectory beside the {LEDGER} of its `regolith traverse`, or their folder"
        raise InputError(field, str(path), allowed)
    if found.stage is not None:
        try:
            there = file_digest(found.stage) == found.stage_sha256
        except OSError:
            there = False
        if not there:
            raise InputError(field, str(path), f"a drive whose stage, {found.stage}, is there as it was driven over")
    return found


def _read_driven(path: Path) -> Driven | None:
    """Read the first drive of a folder, or that of a trajectory; None where there is none."""
    folder, name = (path, None) if path.is_dir() else (path.parent, path.name)
    try:
        head, *lines = (json.loads(line) for line in read_text(folder / LEDGER, JSON_BYTES).splitlines())
        runs = [run for run in lines if name in (None, run["trajectory"])]
        asked, parameters = head["arguments"], head["parameters"]
        if not runs or not (folder / runs[0]["trajectory"]).is_file():
            return None
        run, stage = runs[0], asked["stage"]
        found = Driven(
            folder / run["trajectory"], int(run["scene"]), str(asked["split"]), int(asked["seed"]), dict(parameters)
        )
        if stage is None:
            return found
        return found._replace(stage=Path(stage).resolve(), stage_sha256=str(head["files"]["stage"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
