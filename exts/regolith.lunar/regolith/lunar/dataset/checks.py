"""Check one split by itself: its contract, its journal, and every frame against both."""

from __future__ import annotations

import dataclasses
import os
from array import array
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from regolith.lunar.dataset.contract import CONTRACT, COPY, Contract
from regolith.lunar.dataset.duplicates import picture_bits
from regolith.lunar.dataset.layout import JOURNAL, FrameRecord, Records, frame_bytes, parse_lines
from regolith.lunar.dataset.outputs import ALWAYS, OUTPUTS, file_name
from regolith.lunar.dataset.splits import is_part
from regolith.lunar.dataset.views import VIEWS, Views, read_views
from regolith.lunar.labels import CLASSES, IGNORE
from regolith.lunar.params import InputError, Params
from regolith.lunar.randomize import outside
from regolith.lunar.reading import open_regular, read_bytes
from regolith.lunar.stage.lens import Lens
from regolith.lunar.stage.stereo import baseline_m, disparity
from regolith.lunar.stage.truth import STEEP, steep_ground

CHECKS = {
    "contract": "dataset.json, its copy and views.jsonl are as written",
    "journal": "frames.jsonl is as it was written",
    "indices": "no gap, as many as the contract says",
    "files": "of the journal's size and sha256",
    "pictures": "decodable, of the right shape and type",
    "mask values": "0, 1, 2 and 255 alone",
    "class counts": "the journal's are the mask's",
    **{row.check.name: row.check.holds for row in OUTPUTS.values() if row.check is not None},
    "triangulation": "disparity is focal length · baseline / depth along the axis",
    "steepness": "hazards of slope are where the slope is over dataset.hazard_slope_deg",
    "parameters": "inside the split's intervals",
    "draws": "as the dataset's seed gives them",
    "quarantine": "quarantine.json is as written, of these frames",
    "columns": "columns/*.jsonl are as written",
    "splits": "share no frame seed and no scene",
    "domains": "the test domain lies apart",
    "duplicates": "no two frames show one picture; along a drive, none at one time or byte by byte",
}
"""Name of a check to what holds where it finds nothing, in the order of the table."""


DISPARITY_TOLERANCE = 1e-6
"""Largest relative error of a disparity: rounding errors 2^-24 of focal length and aperture on the stage, of the depth
and of the disparity itself, with a margin of 4."""


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
    contract: Contract | None = None
    """None where it cannot be trusted."""
    params: Params | None = None
    """None for imported splits, or where the contract cannot be trusted."""
    views: Views | None = None
    """Frames that were chosen; None where they are drawn, or where `views.jsonl` cannot be trusted."""
    records: Records = dataclasses.field(default_factory=Records)
    problems: list[Problem] = dataclasses.field(default_factory=list)
    checked: Counter[str] = dataclasses.field(default_factory=Counter)
    """How often each check that applies was made."""
    notes: list[str] = dataclasses.field(default_factory=list)
    shown: array[int] = dataclasses.field(default_factory=lambda: array("q"))
    """Index of every frame whose picture is whole, ascending."""
    bits: bytearray = dataclasses.field(default_factory=bytearray)
    """Perceptual hash of each of these."""

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name

    @property
    def imported(self) -> bool:
        """Whether the frames were not drawn from parameters."""
        return self.contract is not None and self.contract.imported

    @property
    def at_home(self) -> bool:
        """Whether the folder is named after its split, `train_dr` or `train_dr_750`, as in a dataset."""
        return self.contract is not None and is_part(self.name, self.contract.split)

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
    found: dict[str, Contract] = {}
    for name in (CONTRACT, COPY):
        if name == COPY and not (split.folder / COPY).exists():
            if found:
                split.report("contract", COPY, "missing, as in splits of earlier versions; --repair writes it")
            break
        split.checked["contract"] += 1
        try:
            found[name] = _read_contract(split.folder / name)
            if found[name] != found.get(CONTRACT, found[name]):
                raise InputError(COPY, "its text", f"that of {CONTRACT}")
        except InputError as error:
            split.report("contract", name, str(error))
    split.contract = found.get(CONTRACT) or found.get(COPY)
    if split.contract is not None and not split.contract.imported:
        split.params = split.contract.params
    if split.contract is not None and split.contract.views:
        split.checked["contract"] += 1
        try:
            split.views = read_views(split.folder, split.contract)
        except InputError as error:
            split.report("contract", VIEWS, str(error))


def _read_contract(path: Path) -> Contract:
    """Read a contract of which every byte is as it was written, and every value one of ours."""
    contract = Contract.read_file(path)
    if read_bytes(path) != contract.to_bytes():
        raise InputError(path.name, "its text", "that of the file as it was written")
    if contract.classes != CLASSES or contract.ignore != IGNORE:
        raise InputError("classes", contract.classes, f"{CLASSES} and {IGNORE} for ignored pixels")
    if not set(ALWAYS) <= set(contract.outputs) <= set(OUTPUTS):
        raise InputError("outputs", list(contract.outputs), f"rgb, mask and any of {', '.join(OUTPUTS)}")
    if not contract.imported:
        _ = contract.params
    return contract


def _check_journal(split: SplitCheck) -> None:
    path = split.folder / JOURNAL
    try:
        with open_regular(path) as file:
            if not _read_records(split, file):
                file.seek(0)
                _check_lines(split, file)
    except OSError as error:
        split.report("journal", JOURNAL, f"cannot be read ({error.strerror})" if path.exists() else "missing")


def _read_records(split: SplitCheck, file: BinaryIO) -> bool:
    """Take in the records of a journal; returns whether it is line by line that of a finished run."""
    damaged = 0
    count, last, ordered = 0, -1, True
    for line in parse_lines(file):
        count += 1
        if line.record is None:
            damaged += 1
            split.report("journal", f"{JOURNAL}:{line.number}", "is not as it was written")
            continue
        split.records[line.record.index] = line.record
        ordered = ordered and line.number == count and line.record.index > last
        last = line.record.index
    split.checked["journal"] += len(split.records) + damaged
    end = file.seek(0, os.SEEK_END)
    file.seek(max(end - 2, 0))
    tail = file.read()
    if not tail.endswith(b"\n"):
        split.report("journal", JOURNAL, "does not end in a whole line: torn by a crash, or damaged")
    return ordered and not damaged and tail[-1:] == b"\n" and tail[:-1] not in (b"", b"\n")


def _check_lines(split: SplitCheck, lines: Iterable[bytes]) -> None:
    """Say which whole lines of a journal are not as and where a finished run leaves them."""
    seen: dict[int, int] = {}
    last, ordered = -1, True
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            break
        if line == b"\n":
            split.report("journal", f"{JOURNAL}:{number}", "is blank")
            continue
        try:
            index = FrameRecord.from_line(line.removesuffix(b"\n").decode("utf-8")).index
        except ValueError:  # reported already
            continue
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
    contract = split.contract
    outputs = (
        contract.outputs if contract else [name for name in OUTPUTS if file_name(name, record.index) in record.sha256]
    )
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
        try:
            data = frame_bytes(split.folder, record, name)
        except (OSError, ValueError) as error:
            found.problems.append(("files", name, getattr(error, "strerror", None) or str(error)))
            continue
        found.checked.append("pictures")
        try:
            array = OUTPUTS[output].decode(data)
            if contract is not None and array.shape != (
                shape := OUTPUTS[output].shape(contract.width, contract.height)
            ):
                raise ValueError(f"shape {array.shape}, should be {shape}")
        except ValueError as error:
            found.problems.append(("pictures", name, str(error)))
        else:
            arrays[output] = array
    if "rgb" in arrays:
        found.bits = picture_bits(arrays["rgb"])
    if "mask" in arrays:
        _check_mask(found, record, arrays)
    if {"depth", "disparity"} <= arrays.keys() and contract is not None and split.params is not None:
        _check_triangulation(found, contract, split.params, record, arrays)
    if {"slope", "hazard"} <= arrays.keys() and split.params is not None:
        _check_steepness(found, split.params, record, arrays)
    return found


def _check_mask(found: FrameCheck, record: FrameRecord, arrays: dict[str, np.ndarray]) -> None:
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
    for output, pixels in arrays.items():
        check = OUTPUTS[output].check
        if check is not None and pixels.shape[:2] == mask.shape:
            found.checked.append(check.name)
            wrong = int(np.count_nonzero(check.disagree(pixels, mask)))
            if wrong:
                report(check.name, output, f"{wrong} pixels do not go with the mask; should be: {check.holds}")


def _check_triangulation(
    found: FrameCheck, contract: Contract, params: Params, record: FrameRecord, arrays: dict[str, np.ndarray]
) -> None:
    """Check that disparity and depth are of the same points, by the frame's own lens and the pair's baseline."""
    chosen = contract.views.get("chosen", ())
    if any(name not in chosen for name, _, _ in outside(params, contract.split, record.spec)):
        # reported; such a frame may have no lens
        return
    found.checked.append("triangulation")
    values = {name: float(record.spec[name]) for name in ("fov_deg", "lens_k1", "lens_k2")}
    lens = Lens.from_fov(values["fov_deg"], contract.width, contract.height, k1=values["lens_k1"], k2=values["lens_k2"])
    with np.errstate(all="ignore"):  # what is no depth is found by that output's own check
        wanted = disparity(arrays["depth"], lens, baseline_m(params))
    wrong = int(np.count_nonzero(~(np.abs(arrays["disparity"] - wanted) <= DISPARITY_TOLERANCE * wanted)))
    if wrong:
        problem = f"{wrong} pixels do not go with the depth; should be: {CHECKS['triangulation']}"
        found.problems.append(("triangulation", file_name("disparity", record.index), problem))


def _check_steepness(found: FrameCheck, params: Params, record: FrameRecord, arrays: dict[str, np.ndarray]) -> None:
    """Check that hazards of slope are those of the slopes."""
    found.checked.append("steepness")
    slope, hazard = arrays["slope"], arrays["hazard"]
    seen = np.isfinite(slope) & (hazard != IGNORE)
    steep = steep_ground(slope, params.dataset.hazard_slope_deg)
    wrong = int(np.count_nonzero(seen & (steep != (hazard & STEEP > 0))))
    if wrong:
        problem = f"{wrong} pixels do not go with the slope; should be: {CHECKS['steepness']}"
        found.problems.append(("steepness", file_name("hazard", record.index), problem))


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
