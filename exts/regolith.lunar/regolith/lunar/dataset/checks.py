"""Check one split by itself: its contract, its journal, and every frame against both."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import struct
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from regolith.lunar.dataset.duplicates import picture_bits
from regolith.lunar.dataset.layout import (
    CONTRACT,
    FILES,
    JOURNAL,
    FrameRecord,
    file_name,
    read_contract,
    scan_journal,
)
from regolith.lunar.dataset.splits import is_part
from regolith.lunar.labels import CLASSES, IGNORE, ROCK, SKY
from regolith.lunar.params import InputError, Params, validate

CHECKS = {
    "contract": "dataset.json is as it was written",
    "journal": "frames.jsonl is as it was written",
    "indices": "no gap, as many as the contract says",
    "files": "of the journal's size and sha256",
    "pictures": "decodable, of the right shape and type",
    "mask values": "0, 1, 2 and 255 alone",
    "class counts": "the journal's are the mask's",
    "instances": "ids on rock, on all of it and only there",
    "depth": "infinite on the sky and only there",
    "normals": "of length 1, and 0 on the sky",
    "parameters": "inside the split's intervals",
    "draws": "as the dataset's seed gives them",
    "splits": "share no frame seed and no scene",
    "domains": "the test domain lies apart",
    "duplicates": "no two frames show one picture",
}
"""Name of a check to what holds where it finds nothing, in the order of the table."""

MODES = {"rgb": "RGB", "mask": "L", "instance": "I;16"}
"""Pillow's mode of the outputs that are PNG files."""

ARRAY_TYPES = {"depth": np.dtype("<f4"), "normals": np.dtype("<f2")}

NORMAL_TOLERANCE = 0.002
"""Largest error of a normal's length: three float16 components of rounding error 2^-12 each, with a margin of 5."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something that does not hold."""

    check: str
    """Name from `CHECKS`."""
    split: str
    where: str
    """File relative to the split, or the frame or frames."""
    problem: str
    index: int | None = None
    """Frame that a redraw may put right."""


@dataclasses.dataclass
class SplitCheck:
    """One split while it is checked."""

    folder: Path
    contract: dict[str, Any] | None = None
    """None where it cannot be trusted."""
    params: Params | None = None
    """None for imported splits, or where the contract cannot be trusted."""
    records: dict[int, FrameRecord] = dataclasses.field(default_factory=dict)
    problems: list[Problem] = dataclasses.field(default_factory=list)
    checked: Counter[str] = dataclasses.field(default_factory=Counter)
    """How often each check that applies was made."""
    notes: list[str] = dataclasses.field(default_factory=list)
    bits: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)
    """Perceptual hash of every frame whose picture is whole, by index."""

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name

    @property
    def imported(self) -> bool:
        """Whether the frames were not drawn from parameters."""
        return self.contract is not None and self.contract["renderer"].get("name") == "import"

    @property
    def at_home(self) -> bool:
        """Whether the folder is named after its split, `train_dr` or `train_dr_750`, as in a dataset."""
        return self.contract is not None and is_part(self.name, self.contract["split"])

    def report(self, check: str, where: str, problem: str, index: int | None = None) -> None:
        """Add a problem."""
        self.problems.append(Problem(check, self.name, where, problem, index))


def open_split(folder: Path) -> SplitCheck:
    """Read and check a split's contract and journal."""
    split = SplitCheck(folder)
    _check_contract(split)
    _check_journal(split)
    return split


def _check_contract(split: SplitCheck) -> None:
    split.checked["contract"] += 1
    try:
        contract = read_contract(split.folder)
        if (split.folder / CONTRACT).read_bytes() != (json.dumps(contract, indent=2) + "\n").encode():
            raise InputError(CONTRACT, "its text", "that of the file as it was written")
        if contract["classes"] != CLASSES or contract.get("ignore") != IGNORE:
            raise InputError("classes", contract["classes"], f"{CLASSES} and {IGNORE} for ignored pixels")
        if not {"rgb", "mask"} <= set(contract["outputs"]) <= set(FILES):
            raise InputError("outputs", contract["outputs"], f"rgb, mask and any of {', '.join(FILES)}")
        if contract["renderer"].get("name") != "import":
            split.params = validate(Params, contract["parameters"])
    except InputError as error:
        split.report("contract", CONTRACT, str(error))
    else:
        split.contract = contract


def _check_journal(split: SplitCheck) -> None:
    path = split.folder / JOURNAL
    try:
        data = path.read_bytes()
        split.records, damaged = scan_journal(path)
    except OSError as error:
        split.report("journal", JOURNAL, f"cannot be read ({error.strerror})" if path.exists() else "missing")
        return
    split.checked["journal"] += len(split.records) + len(damaged)
    for number in damaged:
        split.report("journal", f"{JOURNAL}:{number}", "is not as it was written")
    if not data.endswith(b"\n"):
        split.report("journal", JOURNAL, "does not end in a whole line: torn by a crash, or damaged")
    if data != journal_bytes(split.records):
        lines = data.split(b"\n")[:-1]
        _check_lines(split, {i: line for i, line in enumerate(lines, start=1) if i not in damaged})


def journal_bytes(records: Mapping[int, FrameRecord]) -> bytes:
    """Bytes of the journal a finished run leaves of these records (`write.write_journal`)."""
    return b"".join(records[index].to_line().encode() + b"\n" for index in sorted(records))


def _check_lines(split: SplitCheck, lines: dict[int, bytes]) -> None:
    """Say which whole lines of a journal, by their number, are not as and where a finished run leaves them."""
    seen: dict[int, int] = {}
    last, ordered = -1, True
    for number, line in lines.items():
        if not line:
            split.report("journal", f"{JOURNAL}:{number}", "is blank")
            continue
        index = FrameRecord.from_line(line.decode("utf-8")).index
        if index in seen:
            split.report("journal", f"{JOURNAL}:{number}", f"frame {index} again, as in line {seen[index]}")
        elif index < last:
            ordered = False
        seen.setdefault(index, number)
        last = index
    if not ordered:
        split.report("journal", JOURNAL, "not in order: the split is unfinished, or was changed")


@dataclasses.dataclass
class FrameCheck:
    """What checking one frame's files found."""

    index: int
    problems: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)
    """Check, file, what is wrong."""
    checked: list[str] = dataclasses.field(default_factory=list)
    bits: np.ndarray | None = None
    """Perceptual hash of the picture, where it is whole."""


def check_frame(split: SplitCheck, record: FrameRecord) -> FrameCheck:
    """Check the files of one frame: there, as journaled, decodable, and in agreement with each other.

    Without a contract to trust, the journal alone says which files there are, and shapes are not compared.
    """
    found = FrameCheck(record.index)
    outputs = split.contract["outputs"] if split.contract else [
        output for output in FILES if file_name(output, record.index) in record.sha256
    ]  # fmt: skip
    wanted = {file_name(output, record.index) for output in outputs}
    found.checked.append("files")
    for name in sorted(wanted ^ set(record.sha256)):
        problem = "the journal has no sha256 of it" if name in wanted else "no output of this split"
        found.problems.append(("files", name, problem))
    arrays: dict[str, np.ndarray] = {}
    for output in outputs:
        name = file_name(output, record.index)
        if name not in record.sha256:
            continue
        data = _read(split.folder / name, record.sha256[name], record.bytes.get(name))
        if isinstance(data, str):
            found.problems.append(("files", name, data))
            continue
        array = _decode(output, data, split.contract)
        found.checked.append("pictures")
        if isinstance(array, str):
            found.problems.append(("pictures", name, array))
        else:
            arrays[output] = array
    if "rgb" in arrays:
        found.bits = picture_bits(arrays["rgb"])
    if "mask" in arrays:
        _check_labels(found, record, arrays)
    return found


def _read(path: Path, sha256: str, size: int | None) -> bytes | str:
    """Return a file's bytes, or what is wrong with them."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return error.strerror or "cannot be read"
    if len(data) != size:
        return f"{len(data)} bytes, the journal has {size}"
    return data if hashlib.sha256(data).hexdigest() == sha256 else "sha256 differs from the journal's"


def _decode(output: str, data: bytes, contract: dict[str, Any] | None) -> np.ndarray | str:
    """Return a file's array, or what is wrong with it."""
    try:
        if output in MODES:
            image = Image.open(io.BytesIO(data), formats=["PNG"])
            array, kind, wanted_kind = np.asarray(image), image.mode, MODES[output]
        else:
            array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
            kind, wanted_kind = array.dtype.name, ARRAY_TYPES[output].name
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError) as error:
        return f"cannot be decoded ({' '.join(str(error).split())})"
    if kind != wanted_kind:
        return f"pixels of type {kind}, should be {wanted_kind}"
    if contract is None:
        return array
    shape = (contract["height"], contract["width"]) + ((3,) if output in ("rgb", "normals") else ())
    return array if array.shape == shape else f"shape {array.shape}, should be {shape}"


def _check_labels(found: FrameCheck, record: FrameRecord, arrays: dict[str, np.ndarray]) -> None:
    """Check the mask's values and counts, and the outputs that must agree with it pixel by pixel."""
    mask = arrays["mask"]

    def report(check: str, output: str, problem: str) -> None:
        found.problems.append((check, file_name(output, record.index), problem))

    found.checked += ["mask values", "class counts"]
    histogram = np.bincount(mask.ravel(), minlength=256)
    values = [int(value) for value in np.flatnonzero(histogram)]
    if not set(values) <= {*CLASSES.values(), IGNORE}:
        report("mask values", "mask", f"values {', '.join(map(str, values))}")
    counts = {name: int(histogram[value]) for name, value in CLASSES.items()}
    counts["ignore"] = mask.size - sum(counts.values())
    if counts != record.counts:
        report("class counts", "mask", f"{_counts(counts)}; the journal has {_counts(record.counts)}")
    for check, (output, disagree) in PIXEL_CHECKS.items():
        if output in arrays and arrays[output].shape[:2] == mask.shape:
            found.checked.append(check)
            wrong = int(np.count_nonzero(disagree(arrays[output], mask)))
            if wrong:
                report(check, output, f"{wrong} pixels do not go with the mask; should be: {CHECKS[check]}")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _instance_pixels(instance: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return (instance > 0) != (mask == ROCK)


def _depth_pixels(depth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    sky = mask == SKY
    return np.where(sky, ~np.isposinf(depth), ~(np.isfinite(depth) & (depth > 0)))


def _normal_pixels(normals: np.ndarray, mask: np.ndarray) -> np.ndarray:
    length = np.sqrt(np.sum(np.square(normals, dtype=np.float32), axis=-1))
    return ~(np.abs(length - (mask != SKY)) <= NORMAL_TOLERANCE)


PIXEL_CHECKS = {
    "instances": ("instance", _instance_pixels),
    "depth": ("depth", _depth_pixels),
    "normals": ("normals", _normal_pixels),
}
"""Check to its output and the function that marks the pixels where it disagrees with the mask."""
