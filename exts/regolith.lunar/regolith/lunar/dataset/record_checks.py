"""Check what a split's journal says: which frames there are, and that they are those the contract asks for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from regolith.lunar import __version__
from regolith.lunar.dataset.checks import SplitCheck
from regolith.lunar.dataset.columns import COLUMNS, StaleColumnsError, read_columns, table_files
from regolith.lunar.dataset.contract import CONTRACT, Contract
from regolith.lunar.dataset.layout import FrameRecord, OrderedRecords, records_digest
from regolith.lunar.dataset.outputs import OUTPUTS
from regolith.lunar.dataset.quarantine import QUARANTINE, read_quarantine
from regolith.lunar.dataset.splits import counted
from regolith.lunar.dataset.survey import OURS
from regolith.lunar.params import InputError, Params
from regolith.lunar.randomize import draw_values, frame_seed, outside, scene_number


def check_records(split: SplitCheck) -> None:
    """Check which frames there are, and what they were drawn from; note files that belong to none."""
    if split.contract is not None:
        _check_indices(split, split.contract.frames)
    if split.params is not None:
        _check_parameters(split, split.params)
        _note_shares(split, split.params)
    _check_quarantine(split)
    _check_columns(split)
    split.notes += list(_extra_files(split))


def _check_indices(split: SplitCheck, frames: int) -> None:
    split.checked["indices"] += frames
    for first, last in _runs(index for index in range(frames) if index not in split.records):
        split.report("indices", _frames(first, last), "missing from the journal")
    for first, last in _runs(sorted(index for index in split.records if not 0 <= index < frames)):
        split.report("indices", _frames(first, last), f"outside the {counted(frames, 'frame')} of the contract")


def _check_quarantine(split: SplitCheck) -> None:
    if not (split.folder / QUARANTINE).exists():
        return
    split.checked["quarantine"] += 1
    try:
        found = read_quarantine(split.folder, _counted(split))
    except InputError as error:
        split.report("quarantine", QUARANTINE, str(error))
    else:
        if found:
            split.notes.append(f"{split.name}: {found.words()} quarantined by {found.set_by}")


def _check_columns(split: SplitCheck) -> None:
    files, records = table_files(split.folder), _counted(split)
    sha256 = records_digest(records) if files else ""
    for path in files:
        split.checked["columns"] += 1
        try:
            found = read_columns(path, records, sha256)
        except StaleColumnsError:
            stale = f"{split.name}/{COLUMNS}/{path.name}: is of other frames than now: --columns writes it again"
            split.notes.append(stale)
        except InputError as error:
            split.report("columns", f"{COLUMNS}/{path.name}", str(error))
        else:
            size = f"{counted(len(found.columns), 'column')} of {counted(len(found.numbers), 'frame')}"
            split.notes.append(f"{split.name}: {size} by {found.set_by}")


def _counted(split: SplitCheck) -> OrderedRecords:
    """The frames of the contract, as whoever opens the split has them."""
    records = split.records.ordered()
    return records if split.contract is None else records[records.numbers < split.contract.frames]


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Runs of consecutive numbers, as (first, last)."""
    first = last = None
    for number in numbers:
        if last is not None and number == last + 1:
            last = number
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = number
    if first is not None and last is not None:
        yield first, last


def _frames(first: int, last: int) -> str:
    return f"frame {first}" if first == last else f"frames {first}–{last}"


def _check_parameters(split: SplitCheck, params: Params) -> None:
    if split.contract is None:
        return
    if split.contract.views and split.views is None:
        split.notes.append(f"{split.name}: what its frames were chosen to be is not known, so it was not compared")
        return
    name, version = split.contract.split, split.contract.version
    try:
        outside(params, name, {})
    except InputError as error:  # the ranges themselves do not fit: no frame can
        split.report("parameters", CONTRACT, str(error))
        return
    for record in split.records.ordered():
        index = record.index
        split.checked["parameters"] += 1
        fixed = {"split": name, "index": index, "scene": scene_number(params, index)}
        if split.views is not None and 0 <= index < len(split.views):
            fixed |= split.views.specs[index].to_dict()
        for key, wanted in (fixed | {"seed": record.seed}).items():
            if record.spec.get(key) != wanted:
                split.report("parameters", f"frame {index}", f"{key} {record.spec.get(key)}, should be {wanted}", index)
        chosen = () if split.views is None else split.views.chosen
        strayed = [found for found in outside(params, name, record.spec) if found[0] not in chosen]
        for key, value, interval in strayed:
            allowed = "is no value of this split" if interval is None else f"outside {interval}"
            split.report("parameters", f"frame {index}", f"{key} {value:g} {allowed}", index)
        if version == __version__ and 0 <= index < split.contract.frames:
            _check_draw(split, split.contract, params, record, known={*chosen, *(key for key, _, _ in strayed)})
    if version != __version__:
        split.notes.append(f"{split.name}: drawn by version {version}, which alone knows what its seed gives")


def _check_draw(split: SplitCheck, contract: Contract, params: Params, record: FrameRecord, *, known: set[str]) -> None:
    """Check that a frame's seed and values are what the split's seed gives; `known` ones are reported already.

    A frame that was drawn again for its share of rock has the heading of one of its redraws. One that was chosen has,
    but for what was chosen, the values drawn of the frame whose number its scene has (`randomize.lit_frame`).
    """
    split.checked["draws"] += 1
    key = (contract.seed, contract.split, record.index)
    drawn = record.index if split.views is None else split.views.specs[record.index].scene
    wanted = draw_values(params, *key[:2], drawn) | {"seed": frame_seed(*key)}
    given = record.spec | {"seed": record.seed}
    free = known | ({"heading_deg"} if record.redraws else set())
    wrong = [name for name, value in wanted.items() if name not in free and given.get(name) != value]
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        text = f"{wrong[0]} {given.get(wrong[0])}, the dataset's seed gives {wanted[wrong[0]]}{more}"
        split.report("draws", f"frame {record.index}", text, record.index)


def _note_shares(split: SplitCheck, params: Params) -> None:
    """Note how many frames no redraw brought into the range of rock shares asked for, where frames are drawn."""
    if split.contract is not None and split.contract.views:
        return
    wanted = params.randomize.rock_share
    shares = (record.counts["rock"] / max(sum(record.counts.values()), 1) for record in split.records.values())
    missed = sum(not wanted.contains(share) for share in shares)
    if missed:
        split.notes.append(
            f"{split.name}: {missed} of {counted(len(split.records), 'frame')} outside the rock shares asked for, "
            f"{wanted}, after up to {counted(params.randomize.redraws, 'redraw')} each"
        )


def _extra_files(split: SplitCheck) -> Iterator[str]:
    """Files that belong to no frame of the split; they are not ours to judge."""
    for path in sorted(split.folder.iterdir()):
        if path.is_dir() and path.name in OUTPUTS:
            with os.scandir(path) as files:
                names = (f"{path.name}/{file.name}" for file in files)
                extra = sorted(name for name in names if not _is_known(split, name))
            yield from (f"{split.name}/{name}: belongs to no frame of the journal" for name in extra)
        elif path.name not in OURS and not path.name.endswith(".log.jsonl"):
            yield f"{split.name}/{path.name}: belongs to no frame of the journal"


def _is_known(split: SplitCheck, name: str) -> bool:
    """Whether the frame that a file names in its own name has it in the journal."""
    number = re.search(r"_([0-9]{1,18})\.", name)
    return number is not None and (index := int(number[1])) in split.records and name in split.records[index].sha256
