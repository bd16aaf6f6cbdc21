"""`regolith tail`: which rocks are rare in real pictures, or hard for a model, and what to draw for more of them.

regolith tail data/train_dr --real polar/test --out tail
regolith tail data/train_dr --real polar/test --model run/model.onnx --by error --out tail
regolith generate --request tail/request.json --out more

Rocks are sorted into strata by `tail_rocks.VARIABLES`, those that both sides know, in buckets of equal frequency. The
tail by frequency are the rarest strata that together hold at most `--percentile` of the real rocks, at least one; by
error the strata, of at least `ROCKS_MIN` rocks, that are that share of them and whose rocks the model fits worst. It
writes `tail.json`, `tail.html` and, of a split that was generated, `request.json`. `tail.json` has

| field | |
|---|---|
| `synth`, `real` | folders; `real` is null where the split itself was looked at |
| `by`, `percentile`, `model` | as asked for |
| `edges` | variable to the edges between its buckets |
| `strata` | of each stratum `stratum` (a range of each variable), `rocks` and `share` on both sides, `iou`, `tail` |
| `frames` | number of a frame of SPLIT to how many rocks of the tail it has |
| `budget` | `wanted` rocks of the tail, `have`, and for frames like these and for those asked for `rocks_per_frame`, |
| | `frames`, and `hours` by the times the split's own log has; null where it is not known |
| `asked`, `why` | parameters the request changes, with the test that says so |
| `request` | name of the file, or null |
| `notes` | what else there is to know |
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from regolith.lunar.dataset.columns import ColumnTable, sole_split, write_columns
from regolith.lunar.dataset.contract import FRAMES_MAX, Contract
from regolith.lunar.dataset.formats.source import read_source
from regolith.lunar.dataset.request import Request, write_request
from regolith.lunar.dataset.split_reader import SplitReader, open_split
from regolith.lunar.dataset.strata import edges, rarest, say_stratum, say_ties, strata, stratum_words
from regolith.lunar.dataset.survey import LOG, read_log
from regolith.lunar.files import AnyPath, write_json
from regolith.lunar.jobs.events import Emit
from regolith.lunar.jobs.progress import show
from regolith.lunar.params import InputError, Interval, Verb, quantity, sole_folder
from regolith.lunar.perception.session import load_model
from regolith.lunar.quality.gate_request import Asked, ask_for, make_request, merged, varying
from regolith.lunar.quality.tail_report import REPORT, say_budget, write_report
from regolith.lunar.quality.tail_rocks import VARIABLES, Predict, Rocks, collect_rocks, joined

TAIL = "tail.json"
REQUEST = "request.json"
ROCKS_MIN = 5
"""Fewest rocks of a stratum whose mean IoU says something."""
FRAMES_MOST = 1000
"""Frames of a side that are looked at, evenly spread."""
By = Literal["frequency", "error"]
Kind = tuple[int, ...]
"""Stratum of a rock."""


class Tail(Verb):
    """Find the rocks that are rare in real pictures, or hard for a model, and write a request for more of them."""

    split: Path = quantity(..., "Split of synthetic frames.", positional=True)
    real: Path | None = quantity(
        None, "Split of real frames, as `regolith import` makes; left out, SPLIT itself is looked at, and it says so."
    )
    by: By = quantity("frequency", "What makes a stratum one of the tail: few real rocks, or a model's errors on them.")
    model: str | None = quantity(None, "Model whose IoU of each stratum is measured: a shipped one by name, or .onnx.")
    percentile: float = quantity(
        10.0, "Share of the real rocks, by error of the strata, that the tail is.", unit="%", ge=0.1, le=50
    )
    buckets: int = quantity(3, "Buckets of each variable, of equal frequency.", ge=2, le=10, step=1)
    wanted: int = quantity(200, "Rocks of the tail that there shall be.", ge=1, le=1_000_000, step=1)
    frames: int | None = quantity(
        None, "Frames the request asks for; left out, as many as the rocks wanted are expected to need.", ge=1,
        le=FRAMES_MAX, step=1,
    )  # fmt: skip
    columns: bool = quantity(False, "Also write the rocks of each frame into SPLIT: columns/tail.jsonl.")
    seed: int = quantity(0, "Seed of the test of correlations.", ge=0)
    out: Path = quantity(Path("out/tail"), f"Folder of {TAIL}, {REPORT} and {REQUEST}.")
    threads: int | None = quantity(None, "CPU threads; left out, one per core.", ge=1, le=1024)
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Measure, write the results, and return them."""
        with (
            show(self.events, "tail", "frames") as emit,
            sole_folder("out", self.out),
            sole_split("split", self.split, self.out) if self.columns else contextlib.nullcontext(),
        ):
            return find_tail(
                self.split, self.out, real=self.real, by=self.by, model=self.model, percentile=self.percentile,
                buckets=self.buckets, wanted=self.wanted, frames=self.frames, columns=self.columns, seed=self.seed,
                threads=self.threads, emit=emit,
            )  # fmt: skip

    def summary(self, result: dict[str, Any]) -> str:
        """Give a line for each stratum of the tail, the budget and the request."""
        rows = [row for row in result["strata"] if row["tail"]]
        words = [say_stratum(row["stratum"]) or "all rocks" for row in rows]
        width = max(64, *map(len, words))
        lines = [f"{'stratum':<{width}} {'real':>12} {'synthetic':>14}  IoU"]
        for word, row in zip(words, rows, strict=True):
            cells = [f"{row[side]['rocks']} ({row[side]['share']:.1%})" for side in ("real", "synth")]
            iou = "–" if row["iou"] is None else f"{row['iou']:.3f}"
            lines.append(f"{word:<{width}} {cells[0]:>12} {cells[1]:>14}  {iou}")
        lines += [say_budget(result["budget"])]
        lines += [f"note: {note}" for note in result["notes"]]
        if result["request"]:
            lines.append(f"regolith generate --request {self.out / REQUEST} --out DIR")
        return "\n".join([*lines, str(self.out / REPORT)])


def find_tail(
    split: AnyPath,
    out: AnyPath,
    *,
    real: AnyPath | None = None,
    by: By = "frequency",
    model: AnyPath | None = None,
    percentile: float = 10.0,
    buckets: int = 3,
    wanted: int = 200,
    frames: int | None = None,
    columns: bool = False,
    seed: int = 0,
    threads: int | None = None,
    emit: Emit = lambda event: None,
) -> dict[str, Any]:
    """Find the tail of a split's rocks and write it, its page, and a request.

    Args:
        split: Split of synthetic frames; held by the caller where columns are written into it.
        out: Folder to write to, held by the caller.
        real: Split of real frames; None for `split` itself.
        by: `frequency`, or `error` of `model`.
        model: `.onnx` file, or the name of a shipped one; None for no IoU.
        percentile: Share of the tail [%].
        buckets: Of each variable.
        wanted: Rocks of the tail there shall be.
        columns: Whether to write how many rocks of which stratum each frame has into the split (`dataset.columns`).
        frames: Of the request; None for as many as `wanted` is expected to need.
        seed: Of the test of correlations.
        threads: Of the model; None for one per core.
        emit: Receives `progress` events.

    Returns:
        What `tail.json` holds.

    Raises:
        InputError: A split cannot be read or has no rock of a size that counts, or there is no model to err.
    """
    if by == "error" and model is None:
        raise InputError("model", None, "a model with --by error: whose errors they are")
    sides: dict[str, SplitReader] = {"synth": _looked_at(open_split(split))}
    if real is not None:
        sides["real"] = _looked_at(open_split(real))
    judged = "real" if real is not None else "synth"
    predict = None
    if model is not None:
        segmenter = load_model(model, threads=threads, cuda=False)
        predict = lambda rgb: segmenter.segment(rgb).mask  # noqa: E731
    total = sum(map(len, sides.values()))
    rocks: dict[str, Rocks] = {}
    for side, reader in sides.items():
        rocks[side] = _collect(side, reader, predict if side == judged else None, total - len(reader), total, emit)
    real_rocks = rocks[judged]
    names = [name for name in VARIABLES if all(np.isfinite(part.values[name]).any() for part in rocks.values())]
    borders = {name: edges([part.values[name] for part in rocks.values()], buckets) for name in names}
    kinds = {side: strata({name: part.values[name] for name in names}, borders) for side, part in rocks.items()}
    rows = _rows(kinds, judged, real_rocks, borders)
    chosen = _tail(rows, by, percentile / 100)
    for kind in chosen:
        rows[kind]["tail"] = True
    own = np.array([kind in chosen for kind in kinds["synth"]])
    per_frame = np.bincount(rocks["synth"].frame[own], minlength=len(sides["synth"]))
    contract = Contract.read(Path(split))
    asked, why, notes = _ask(contract, sides["synth"], per_frame, seed)
    if by == "frequency" and (tied := say_ties(_shares(rows), percentile / 100)):
        notes.append(tied)
    if real is None:
        notes.append("no real frames were given: rare and hard are what is so in the split itself")
    missing = [name for name in VARIABLES if name not in names]
    if missing:
        notes.append(f"not known on both sides, so not counted: {', '.join(missing)}")
    budget = _budget(sides["synth"], contract, per_frame, asked, wanted)
    number = frames if frames is not None else (budget["targeted"] or budget["untargeted"])["frames"]
    request = None
    if number == 0:
        notes.append("no request: there are as many as are wanted")
    elif not budget["have"] and not contract.imported:
        notes.append(
            "no request: no frame here shows a rock of the tail, so nothing tells what would bring some; --buckets "
            "with fewer makes wider strata, or other presets and parameters may have them"
        )
    elif not contract.imported:
        found = f"Strata in the tail by {by}: {len(chosen)}."
        number = min(number or len(sides["synth"]), FRAMES_MAX)
        request = make_request(contract, asked, [found, *why], frames=number, made_by="regolith tail")
    folder = Path(out)
    result = {
        "synth": str(split),
        "real": None if real is None else str(real),
        "by": by,
        "percentile": percentile,
        "model": None if model is None else str(model),
        "edges": {name: border.tolist() for name, border in borders.items()},
        "strata": list(rows.values()),
        "frames": {str(sides["synth"][k].index): int(n) for k, n in enumerate(per_frame) if n},
        "budget": budget,
        "asked": [vars(each) for each in asked],
        "why": why,
        "request": None if request is None else REQUEST,
        "notes": notes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_report(folder, result, {side: (sides[side], rocks[side], kinds[side]) for side in sides}, list(rows))
    _place_request(folder / REQUEST, request)
    if columns:
        source = read_source(Path(split))
        numbers = [frame.index for frame in sides["synth"]]
        found = _columns(rocks["synth"], kinds["synth"], rows, len(numbers))
        about = {"real": real, "by": by, "model": model, "percentile": percentile}
        table = ColumnTable.of(
            "tail", "regolith tail", about, numbers, found | {"tail_rocks": ("rocks of the tail", per_frame)}
        )
        write_columns(source.folder, table, source.records)
    write_json(folder / TAIL, result)
    return result


def _columns(
    rocks: Rocks, kinds: list[Kind], rows: dict[Kind, dict[str, Any]], frames: int
) -> dict[str, tuple[str, np.ndarray]]:
    """Rocks of each frame: all, and of each stratum that has some, by its place in `strata` of `tail.json`."""
    found = {"rocks": ("rocks of a size that counts", np.bincount(rocks.frame, minlength=frames))}
    for number, (kind, row) in enumerate(rows.items()):
        own = np.array([one == kind for one in kinds])
        if own.any():
            what = f"rocks with {say_stratum(row['stratum'])}" if row["stratum"] else "all of them"
            found[f"stratum_{number}"] = (what, np.bincount(rocks.frame[own], minlength=frames))
    return found


def _looked_at(reader: SplitReader) -> SplitReader:
    if len(reader) <= FRAMES_MOST:
        return reader
    chosen = set(np.linspace(0, len(reader) - 1, FRAMES_MOST).round().astype(int).tolist())
    numbers = {reader[k].index for k in chosen}
    return reader.filter(lambda frame: frame.index in numbers)


def _collect(side: str, reader: SplitReader, predict: Predict | None, done: int, total: int, emit: Emit) -> Rocks:
    parts = []
    before = done if side == "real" else 0
    for k, part in enumerate(collect_rocks(reader, predict), 1):
        parts.append(part)
        emit({"event": "progress", "done": before + k, "total": total})
    rocks = joined(parts)
    if not len(rocks):
        raise InputError("split" if side == "synth" else side, str(reader.folder), "a split that shows rocks")
    return rocks


def _rows(
    kinds: dict[str, list[Kind]], judged: str, rocks: Rocks, borders: dict[str, np.ndarray]
) -> dict[Kind, dict[str, Any]]:
    """A row of each stratum, in order."""
    counts = {side: {kind: found.count(kind) for kind in set(found)} for side, found in kinds.items()}
    counts.setdefault("real", counts[judged])
    ious: dict[Kind, list[float]] = {}
    for kind, iou in zip(kinds[judged], rocks.iou.tolist(), strict=True):
        ious.setdefault(kind, []).append(iou)
    rows = {}
    for kind in sorted({kind for found in counts.values() for kind in found}):
        n = {side: counts[side].get(kind, 0) for side in ("synth", "real")}
        mean = float(np.mean(ious[kind])) if kind in ious else math.nan
        rows[kind] = {
            "stratum": stratum_words(kind, borders),
            **{side: {"rocks": n[side], "share": n[side] / sum(counts[side].values())} for side in n},
            "iou": mean if math.isfinite(mean) else None,
            "tail": False,
        }
    return rows


def _tail(rows: dict[Kind, dict[str, Any]], by: By, share: float) -> list[Kind]:
    """The strata of the tail."""
    if by == "error":
        known = [kind for kind, row in rows.items() if row["real"]["rocks"] >= ROCKS_MIN and row["iou"] is not None]
        if not known:
            raise InputError("by", by, f"frequency: no stratum has {ROCKS_MIN} real rocks; fewer --buckets leave more")
        known.sort(key=lambda kind: rows[kind]["iou"])
        return known[: max(1, round(share * len(known)))]
    return rarest(_shares(rows), share)


def _shares(rows: dict[Kind, dict[str, Any]]) -> dict[Kind, float]:
    return {kind: row["real"]["share"] for kind, row in rows.items()}


def _ask(
    contract: Contract, reader: SplitReader, per_frame: np.ndarray, seed: int
) -> tuple[list[Asked], list[str], list[str]]:
    """Parameters that go with the number of rocks of the tail, why, and notes."""
    if contract.imported:
        return [], [], ["the split was imported: there is nothing to request"]
    own = per_frame.astype(np.float64)
    found = ask_for("rock", own, reader, contract, seed=seed, what="rocks of the tail", most=True)
    asked, apart = merged(found)
    if not asked:
        return [], ["No parameter that varies goes with their number: more frames, the same ranges."], apart
    return asked, [], apart


def _budget(
    reader: SplitReader, contract: Contract, per_frame: np.ndarray, asked: Sequence[Asked], wanted: int
) -> dict[str, Any]:
    """What the wanted rocks take, by the rates and times of this split."""
    chunks = [chunk for chunk in read_log(reader.folder / LOG) if chunk.frames]
    drawn = sum(chunk.frames for chunk in chunks)
    spent = sum(value for chunk in chunks for stage, value in chunk.seconds.items() if stage != "encode")
    each_s = spent / drawn if drawn else None
    have = int(per_frame.sum())

    def row(inside: np.ndarray) -> dict[str, Any] | None:
        if not inside.any():
            return None
        rate = float(per_frame[inside].mean())
        frames = math.ceil(max(wanted - have, 0) / rate) if rate else None
        hours = None if each_s is None or frames is None else frames * each_s / 3600
        return {"rocks_per_frame": rate, "frames": frames, "hours": hours}

    everywhere = np.ones(len(reader), bool)
    inside = everywhere.copy()
    drawn = {each.name: each.values for each in varying("rock", reader, contract)} if asked else {}
    for each in asked:
        wish = Interval.model_validate(each.wanted)
        inside &= (wish.lo <= drawn[each.name]) & (drawn[each.name] <= wish.hi)
    return {
        "wanted": wanted, "have": have, "seconds_per_frame": each_s, "untargeted": row(everywhere),
        "targeted": row(inside) if asked else None,
    }  # fmt: skip


def _place_request(path: Path, request: Request | None) -> None:
    if request is None:
        path.unlink(missing_ok=True)
    else:
        write_request(path, request)
