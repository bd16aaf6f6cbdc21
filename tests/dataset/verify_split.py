"""Splits to damage: one that is whole, and changes to its files, records and contract."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from small_split import write

from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.layout import read_journal, write_journal
from regolith.lunar.dataset.outputs import file_name
from regolith.lunar.dataset.verify import verify


def found(folder: Path) -> list[tuple[str, str]]:
    """Check and place of every problem."""
    return [(problem["check"], problem["where"]) for problem in verify(folder)["problems"]]


def rewrite(split: Path, index: int, **changes: Any) -> None:
    """Write a frame with other arrays, journaled as it is: only what the arrays say can be wrong."""
    write_journal(split, dict(read_journal(split)) | {index: write(split, index, **changes)})


def change_record(split: Path, index: int, **changes: Any) -> None:
    records = read_journal(split)
    write_journal(split, dict(records) | {index: dataclasses.replace(records[index], **changes)})


def change_contract(split: Path, **changes: Any) -> None:
    dataclasses.replace(Contract.read(split), **changes).write(split)


def checks(result: dict[str, Any]) -> dict[str, int | None]:
    """How often each check was made, None where it does not apply."""
    return {row["check"]: row["checked"] if row["applies"] else None for row in result["checks"]}


def read_rgb(split: Path, index: int) -> np.ndarray:
    return np.asarray(Image.open(split / file_name("rgb", index)))


def imported(split: Path) -> Path:
    """Turn a split into one whose frames were brought in from elsewhere."""
    change_contract(split, renderer={"name": "import"}, parameters={})
    records = read_journal(split)
    write_journal(split, {i: dataclasses.replace(record, spec={}) for i, record in records.items()})
    return split
