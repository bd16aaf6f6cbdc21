"""What a split's folder is, which splits a dataset has, and what their names say."""

from __future__ import annotations

import re
from pathlib import Path

from regolith.lunar.dataset.contract import CONTRACT, COPY
from regolith.lunar.dataset.layout import JOURNAL
from regolith.lunar.params import InputError

SIGNS = (CONTRACT, COPY, JOURNAL, "rgb", "mask")
"""Names any one of which makes a folder a split, whole or not: one that lacks the others is a damaged split."""


def is_split(folder: Path) -> bool:
    """Whether a folder is a split, or what is left of one."""
    return any((folder / name).exists() for name in SIGNS)


def splits_in(folder: Path) -> list[Path]:
    """Return the splits directly below a folder, by name; hidden folders, as unfinished exports are, do not count.

    Raises:
        OSError: The folder cannot be read.
    """
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and is_split(path))


def split_folders(folder: Path, *, field: str = "split") -> list[Path]:
    """Return the folder itself where it is a split, else the splits of a dataset.

    Args:
        folder: Folder of a split, or of a dataset.
        field: Name of the argument it came from, for errors.

    Raises:
        InputError: There is none, or the folder cannot be read.
    """
    try:
        if is_split(folder):
            return [folder]
        found = splits_in(folder) if folder.is_dir() else []
    except OSError as error:
        raise InputError(field, str(folder), f"a folder that can be read ({error.strerror})") from None
    if not found:
        allowed = f"a folder with a {CONTRACT}, as `regolith generate` writes, or a folder of these"
        raise InputError(field, str(folder), allowed)
    return found


def is_part(name: str, split: str) -> bool:
    """Whether a folder's name is that of a split or of a part of it: `train_dr`, `train_dr_750`."""
    return name == split or re.fullmatch(rf"{re.escape(split)}_\d+", name) is not None


def counted(count: int, word: str) -> str:
    """Return a number with its noun: `1 frame`, `12,000 frames`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
