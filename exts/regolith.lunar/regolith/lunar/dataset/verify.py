"""Check a split: every frame on disk, whole, of the right size, and as its journal says."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from regolith.lunar.dataset.layout import FrameRecord, file_name, read_contract, read_journal
from regolith.lunar.labels import CLASSES, IGNORE
from regolith.lunar.params import CheckError, InputError, Verb, quantity


class Verify(Verb):
    """Check every frame of a split against its journal."""

    split: Path = quantity(..., "Folder of the split.", positional=True)

    def run(self) -> dict[str, Any]:
        """Print a table of problems; raises `CheckError` when there is one."""
        from rich.console import Console
        from rich.table import Table

        result = verify(self.split)
        if result["problems"]:
            table = Table("file", "problem")
            for name, problem in result["problems"]:
                table.add_row(name, problem)
            Console().print(table)
            raise CheckError(f"{self.split}: {len(result['problems'])} problems in {result['frames']} frames", result)
        return result

    def summary(self, result: dict[str, Any]) -> str:
        """Say how many frames were checked."""
        return "" if result["problems"] else f"{self.split}: {result['frames']} frames, no problem"


def verify(split: Path) -> dict[str, Any]:
    """Check a split.

    Returns:
        {split, frames, problems}: problems as (file, what is wrong) pairs, ordered by frame.

    Raises:
        InputError: The folder is not a split of a dataset.
    """
    contract = read_contract(split)
    records = read_journal(split)
    if not records:
        raise InputError("split", str(split), "a split with at least one frame")
    problems = [(f"frame {index}", "missing from the journal") for index in range(max(records)) if index not in records]
    for index in sorted(records):
        problems += _check_frame(split, contract, records[index])
    return {"split": str(split), "frames": len(records), "problems": problems}


def _check_frame(split: Path, contract: dict[str, Any], record: FrameRecord) -> list[tuple[str, str]]:
    problems: list[tuple[str, str]] = []
    for output in contract["outputs"]:
        name = file_name(output, record.index)
        try:
            data = (split / name).read_bytes()
        except OSError as error:
            problems.append((name, error.strerror or "cannot be read"))
            continue
        if hashlib.sha256(data).hexdigest() != record.sha256.get(name):
            problems.append((name, "sha256 differs from the journal"))
            continue
        problem = _check_array(split / name, output, contract, record)
        if problem:
            problems.append((name, problem))
    return problems


def _check_array(path: Path, output: str, contract: dict[str, Any], record: FrameRecord) -> str:
    """Say what is wrong with one decoded file; empty when nothing is."""
    try:
        array = np.load(path) if output == "depth" else np.asarray(Image.open(path))
    except (OSError, ValueError, UnidentifiedImageError) as error:
        return f"cannot be decoded ({error})"
    shape = (contract["height"], contract["width"]) + ((3,) if output == "rgb" else ())
    if array.shape != shape:
        return f"shape {array.shape}, should be {shape}"
    if output != "mask":
        return ""
    values, counts = np.unique(array, return_counts=True)
    found = dict(zip(values.tolist(), counts.tolist(), strict=True))
    if not set(found) <= {*CLASSES.values(), IGNORE}:
        return f"mask values {sorted(found)}"
    measured = {name: found.get(value, 0) for name, value in CLASSES.items()} | {"ignore": found.get(IGNORE, 0)}
    return "" if measured == record.counts else f"class counts {measured}, journal has {record.counts}"
