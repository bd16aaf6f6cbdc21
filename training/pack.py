"""Pack splits small enough to carry to a machine with an accelerator: JPEG pictures, PNG masks, pieces of bounded size.

regolith pack --splits DATA/wide/train_dr,DATA/v3/val --out packs
scripts/train_packed.sh packs run --arch efficientnet-lite0 …        # there: unpacks, imports, trains

A piece is a tar of SPLIT/images/NAME.jpg and SPLIT/masks/NAME.png, so what reads it is `regolith import`. It has no
place for a quarantine: what is set aside is refused, left out, or packed like the rest.
"""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from regolith.lunar.dataset.formats.source import read_source
from regolith.lunar.dataset.formats.target import new_folder
from regolith.lunar.dataset.manifest import Part, without_quarantined
from regolith.lunar.dataset.outputs import OUTPUTS
from regolith.lunar.jobs.progress import show
from regolith.lunar.params import InputError, Verb, quantity
from regolith.lunar.params.training import QUARANTINED_HELP, Quarantined, portable_name, split_folders

MIB = 1 << 20
HEADER = 1024
"""Bytes a tar adds to a file at most: its header, and padding to blocks of 512."""


class Pack(Verb):
    """Pack splits as tars of JPEG pictures and PNG masks, to train on another machine."""

    splits: Path = quantity(..., "Splits to pack; several are separated by commas.")
    out: Path = quantity(..., "Folder of the pieces; it must not be there yet, or be empty.")
    quarantined: Quarantined = quantity("refuse", QUARANTINED_HELP)
    quality: int = quantity(95, "JPEG quality of the pictures.", ge=50, le=100)
    piece_mib: int = quantity(60, "Largest size of a piece.", unit="MiB", ge=1, le=4096)
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Pack and say what came of it.

        Raises:
            InputError: A split cannot be read or has quarantined frames or classes, two would be packed under one name,
                or `out` is there.
        """
        parts: dict[str, Part] = {}
        for name, split in _named(split_folders(self.splits)).items():
            source = read_source(split)
            whole = [Part(source, source.records)]
            (parts[name],) = without_quarantined(whole, self.quarantined, field="splits")
        total = sum(len(part.records) for part in parts.values())
        with show(self.events, "pack", "frames") as emit, new_folder(self.out) as folder:
            for done in _write_pieces(folder, _members(parts, self.quality), self.piece_mib * MIB):
                emit({"event": "progress", "done": done, "total": total, "unit": "frames"})
            pieces = sorted(folder.iterdir())
            result = {"pieces": [p.name for p in pieces], "bytes": [p.stat().st_size for p in pieces]}
        return result | {"frames": total, "splits": {name: len(part.records) for name, part in parts.items()}}

    def summary(self, result: dict[str, Any]) -> str:
        """Say how many pieces there are and how large the largest is."""
        largest = max(result["bytes"]) / MIB
        return f"{self.out}: {result['frames']} frames in {len(result['pieces'])} pieces of at most {largest:.1f} MiB"


def _named(splits: tuple[Path, ...]) -> dict[str, Path]:
    """Splits by the name they get in a pack: train_dr of DATA/wide becomes wide_train_dr."""
    named: dict[str, Path] = {}
    for split in splits:
        name = portable_name(split).replace("/", "_")
        if name in named:
            raise InputError("splits", str(split), f"folders whose last two parts differ; {named[name]} is named alike")
        named[name] = split
    return named


def _write_pieces(folder: Path, frames: Iterator[list[tuple[str, bytes]]], limit: int) -> Iterator[int]:
    """Write piece_00.tar, piece_01.tar, … of at most `limit` bytes each; yields the frames written so far."""
    with contextlib.ExitStack() as piece:
        tar: tarfile.TarFile | None = None
        for done, members in enumerate(frames, start=1):
            need = sum(len(data) + HEADER for _, data in members)
            if tar is None or tar.offset + need + tarfile.RECORDSIZE > limit:  # a tar ends in a record of zeros
                piece.close()
                name = f"piece_{len(list(folder.iterdir())):02d}.tar"
                tar = piece.enter_context(tarfile.open(folder / name, "w"))
            for name, data in members:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            yield done


def _members(parts: dict[str, Part], quality: int) -> Iterator[list[tuple[str, bytes]]]:
    """Yield the files of each frame: name in the tar and content."""
    for split, part in parts.items():
        for record in part.records:
            file = io.BytesIO()
            picture = Image.fromarray(part.source.array("rgb", record))
            picture.save(file, "JPEG", quality=quality, subsampling=0)
            name, mask = f"{record.index:05d}", part.source.data("mask", record)
            if part.ignored:
                mask = OUTPUTS["mask"].encode(part.mask(record))
            yield [(f"{split}/images/{name}.jpg", file.getvalue()), (f"{split}/masks/{name}.png", mask)]
