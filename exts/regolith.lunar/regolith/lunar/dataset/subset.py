"""The first frames of a split as a split of its own, made of links: `train_dr_750`."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
from pathlib import Path

from regolith.lunar.dataset.contract import CONTRACT, Contract
from regolith.lunar.dataset.croissant import write_croissant
from regolith.lunar.dataset.formats.source import read_source
from regolith.lunar.dataset.layout import journal_lines, present, read_journal, write_journal
from regolith.lunar.dataset.quarantine import write_quarantine
from regolith.lunar.dataset.views import read_views
from regolith.lunar.files import appearing
from regolith.lunar.params import InputError


def link_subset(split: Path, target: Path, frames: int) -> None:
    """Make a split of the first frames of another; no picture is copied where the file system has hard links.

    What of them is quarantined is so there too.

    Args:
        split: Split that has them.
        target: Folder to make; one that is there already is replaced if it is a split.
        frames: How many.

    Raises:
        InputError: The split has fewer frames or a stale quarantine, or the target holds something else.
    """
    contract, records = Contract.read(split), read_journal(split)
    kept = {index: record for index, record in records.items() if index < frames}
    if len(kept) != frames or not all(present(split, record) for record in kept.values()):
        raise InputError("frames", frames, f"at most the {len(records)} frames that {split} has")
    quarantine, views = read_source(split).quarantine, read_views(split, contract)
    if target.exists():
        if not (target / CONTRACT).exists() and any(target.iterdir()):
            raise InputError("out", str(target), "a new folder, or the one of a split")
        shutil.rmtree(target)
    with appearing(target) as folder:
        for record in kept.values():
            for name in record.bytes:
                path = folder / name
                path.parent.mkdir(exist_ok=True)
                try:
                    os.link(split / name, path)
                except OSError:  # another disk, or one without hard links
                    shutil.copyfile(split / name, path)
        part = dataclasses.replace(contract, frames=frames)
        if views is not None:
            views.first(frames).restore(folder)
            part = dataclasses.replace(part, views=views.first(frames).note)
        part.write(folder)
        write_journal(folder, kept)
        if quarantine is not None:
            write_quarantine(folder, quarantine.of(kept), read_journal(folder).ordered())
        write_croissant(folder, part, kept[0], name=target.name)


def split_digest(split: Path) -> str | None:
    """SHA-256 over the journal of a split that is whole, None for one that is not: equal for equal frames.

    Raises:
        InputError: There is a `dataset.json`, or a journal, that is damaged.
    """
    if not (split / CONTRACT).exists():
        return None
    contract, records = Contract.read(split), read_journal(split)
    if len(records) != contract.frames or not all(present(split, record) for record in records.values()):
        return None
    digest = hashlib.sha256()
    for line in journal_lines(records):
        digest.update(line)
    return digest.hexdigest()
