"""Hold a split against real pictures and clouds: scores, verdict, what is set aside, what to draw instead."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.dataset.columns import ColumnTable, sole_split, write_columns
from regolith.lunar.dataset.contract import digest
from regolith.lunar.dataset.formats.source import Source, read_source
from regolith.lunar.dataset.quarantine import Quarantine, Reasons, write_quarantine
from regolith.lunar.dataset.request import Request, write_request
from regolith.lunar.dataset.splits import counted, is_split
from regolith.lunar.files import AnyPath, replacing, write_json
from regolith.lunar.jobs.events import Emit
from regolith.lunar.labels import NAMES
from regolith.lunar.params import InputError, sole_folder
from regolith.lunar.params.outputs import refusing
from regolith.lunar.quality.appearance import score_appearance
from regolith.lunar.quality.clouds import PointsError
from regolith.lunar.quality.features import STRIDE
from regolith.lunar.quality.gate_frames import Check, ClassVerdict, judge_class, say_accepted
from regolith.lunar.quality.gate_report import REPORT, write_report
from regolith.lunar.quality.gate_request import (
    FIXED,
    UNITS_MIN,
    Asked,
    ask_for_class,
    ask_for_relief,
    make_request,
    merged,
)
from regolith.lunar.quality.measures import GEOMETRY_MIN, JSD_MAX, MEASURES
from regolith.lunar.quality.score_geometry import score_geometry
from regolith.lunar.quality.semantics import Seen, Which, compare_seen, labelling_model, open_both, see_both

GATE, REQUEST = "gate.json", "request.json"
GROUND_CLASSES = ("regolith", "rock")
"""Classes that have points."""
DEVIATIONS = 1.96
"""Standard deviations to each side of the interval of 95 % of a geometric score."""


@dataclasses.dataclass(frozen=True)
class Judged:
    """What was found of a split."""

    source: Source
    seen: Seen
    semantics: dict[str, Any]
    verdicts: list[ClassVerdict]
    geometry: dict[str, Any] | None
    geometry_check: Check
    require: tuple[str, ...]

    @property
    def checks(self) -> list[Check]:
        """Every figure against its threshold."""
        return [self.geometry_check, *(verdict.check for verdict in self.verdicts)]

    @property
    def reasons(self) -> list[str]:
        """Why it is rejected, each a line; none where it is accepted."""
        found = [_why(check) for check in self.checks if not check.passed]
        for measure in self.require:
            checks = [check for check in self.checks if check.measure == measure]
            lost = [check for check in checks if check.value is None]
            if len(lost) < len(checks):  # then what neither side has is no fault
                lost = [check for check in lost if check.name not in self.absent]
            found += [
                f"{measure} {check.name} has to pass (--require) and was not scored: {check.note}" for check in lost
            ]
        return found

    @property
    def absent(self) -> set[str]:
        """Classes that neither side has."""
        return {verdict.check.name for verdict in self.verdicts if verdict.absent}

    @property
    def redrawn(self) -> bool:
        """Whether other frames might pass where these are rejected."""
        return not self.geometry_check.passed or any(verdict.blamed for verdict in self.verdicts)

    @property
    def geometry_classes(self) -> tuple[str, ...]:
        """Classes whose shapes fail; where no row says which, all that have points."""
        if self.geometry is None or self.geometry_check.passed:
            return ()
        limit = self.geometry_check.limit
        scores = {row["class"]: row["score"] for row in self.geometry["rows"]}
        named = [name for name in GROUND_CLASSES if scores.get(name) is not None and scores[name] < limit]
        return tuple(named) or GROUND_CLASSES

    def aside(self) -> Quarantine:
        """What is set aside; the gate's digest is not known yet."""
        frames: dict[int, Reasons] = {}
        classes: dict[str, Reasons] = {}
        looked_at = self.seen.pictures[0].frames
        for verdict in self.verdicts:
            name = verdict.check.name
            for place in verdict.held.tolist():
                number = looked_at[place].index
                frames[number] = (*frames.get(number, ()), f"{name}: own divergence {verdict.own[place]:.2f}")
            if verdict.whole:
                classes[name] = (f"{_why(verdict.check)}, in more than half of the frames",)
        for name in self.geometry_classes:
            classes[name] = (*classes.get(name, ()), _why(self.geometry_check))
        return Quarantine("regolith gate", "", frames, classes)

    def columns(self, about: Mapping[str, object]) -> ColumnTable:
        """What was found of each frame that was looked at.

        Args:
            about: What they were held against.
        """
        numbers = [frame.index for frame in self.seen.pictures[0].frames]
        aside = self.aside().frames
        held = [number in aside for number in numbers]
        columns: dict[str, tuple[str, Sequence[float] | np.ndarray]] = {
            f"own_{verdict.check.name}": (
                f"own divergence of {verdict.check.name}, where the frame shows some: 1 where nothing real is like it",
                verdict.own,
            )
            for verdict in self.verdicts
        }
        columns["set_aside"] = ("whether the frame was set aside for a class", held)
        return ColumnTable.of("gate", "regolith gate", about, numbers, columns)

    def asked(self, seed: int) -> tuple[list[Asked], list[str]]:
        """Return parameters to change in what is drawn instead, and in sentences what was found."""
        frames, contract = self.seen.pictures[0].frames, self.source.contract
        sentences = [f"{reason}." for reason in self.reasons]
        found: list[Asked] = []
        for verdict in self.verdicts:
            if not verdict.blamed:
                continue
            name, asked = verdict.check.name, ask_for_class(verdict, frames, contract, seed=seed)
            found += asked
            if not asked:
                known = int(np.isfinite(verdict.own).sum())
                told = "no parameter that varies here correlates with how unlike frames are"
                if known < UNITS_MIN:
                    told = f"{counted(known, 'frame')} cannot tell which parameter matters"
                told = told if known else verdict.check.note
                sentences.append(
                    f"{name}: {told}; its ranges stay, at another seed. Of one value here, and of influence: "
                    f"{', '.join(FIXED[name])}."
                )
        if self.geometry is not None and not self.geometry_check.passed:
            asked = ask_for_relief(contract.params, self.geometry["rows"])
            found += asked
            if not asked:
                sentences.append(
                    "geometry: the height of ground is not told from that of real ground; its parameters stay."
                )
        changes, apart = merged(found)
        return changes, [*sentences, *(f"{line}." for line in apart)]


def _why(check: Check) -> str:
    """Say why a figure fails."""
    words = "score {:.3f}, below {:g}" if check.measure == "geometry" else "divergence {:.3f}, above {:g}"
    doubt = ", though uncertain" if check.uncertain else ""
    # a value without an interval was not measured on both sides: the note says why
    why = f" ({check.note})" if check.interval is None and check.note else ""
    return f"{check.measure} {check.name}: {words.format(check.value or 0.0, check.limit)}{doubt}{why}"


def gate(
    synth: AnyPath,
    real: AnyPath,
    *,
    out: AnyPath,
    masks: AnyPath | None = None,
    real_clouds: AnyPath | None = None,
    geometry_min: float = GEOMETRY_MIN,
    jsd_max: dict[str, float] | None = None,
    divergence: Which = "neighbour",
    require: tuple[str, ...] = MEASURES,
    quarantine: bool = False,
    columns: bool = False,
    model: AnyPath = "default",
    layer: str | int = STRIDE,
    size: int | None = None,
    patch_m: float = 2.0,
    seed: int = 0,
    threads: int | None = None,
    emit: Emit = lambda event: None,
) -> dict[str, Any]:
    """Hold a split against real pictures, and against real clouds where both sides have points.

    Args:
        synth: A split.
        real: A folder of photographs, or a split.
        out: Folder of what is written.
        masks: Folder of the photographs' masks, or `apollo`; None for what a model predicts.
        real_clouds: Real clouds; None for `real` where it is a split with depth.
        geometry_min: Smallest geometric score that passes.
        jsd_max: Class to the largest divergence that passes; its classes are those that are compared.
        divergence: Which one.
        require: Measures of `quality.measures.MEASURES` that have to be scored and pass, one at least. What is not
            among them has to pass where it can be scored.
        quarantine: Whether to write the split's quarantine, or to lift it, and a request.
        columns: Whether to write what is found of each frame into the split (`dataset.columns`).
        model: Encoder.
        layer: Stride of the features [px], or the name of a tensor.
        size: Long side of the pictures [px].
        patch_m: Side of a patch of ground [m].
        seed: Of what is drawn.
        threads: CPU threads; None for one per core.
        emit: Receives `progress` events, dictionaries.

    Returns:
        What `gate.json` holds (`quality.gate`).

    Raises:
        InputError: What `score semantics`, `score appearance` and `score geometry` refuse, geometry is required of what
            has no points, or a folder that cannot be written.
    """
    limits = dict.fromkeys(NAMES, JSD_MAX) if jsd_max is None else jsd_max
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(sole_folder("out", Path(out)))
        if (quarantine or columns) and is_split(Path(synth)):  # else it is refused below
            stack.enter_context(sole_split("synth", Path(synth), folder))
        pictures = open_both(synth, real, masks)
        source, clouds = read_source(Path(synth)), None if real_clouds is None else Path(real_clouds)
        check_points(require, source.has("depth"), Path(real), clouds)
        seen = see_both(
            pictures, model=model, layer=layer, classes=tuple(limits), size=size, seed=seed, threads=threads, emit=emit,
        )  # fmt: skip
        semantics = compare_seen(seen, tuple(limits), seed)
        count = len(seen.pictures[0])
        rows = semantics["classes"]
        verdicts = [
            judge_class(*seen.of_class(name), rows[name], name, frames=count, limit=limit, which=divergence)
            for name, limit in limits.items()
        ]
        geometry, check = _geometry(source, Path(real), clouds, geometry_min, patch_m, seed, emit)
        judged = Judged(source, seen, semantics, verdicts, geometry, check, require)
        looks = score_appearance(
            synth, real, masks=masks, model=labelling_model(seen.encoder.path), size=size, seed=seed, threads=threads,
            emit=emit,
        )  # fmt: skip
        settings = {
            "geometry_min": geometry_min, "jsd_max": ",".join(f"{name}={limit!r}" for name, limit in limits.items()),
            "divergence": divergence, "require": ",".join(require), "model": str(model), "layer": str(layer),
            "classes": ",".join(limits), "size": size, "patch_m": patch_m, "seed": seed,
        }  # fmt: skip
        thresholds = {"geometry_min": geometry_min, "jsd_max": limits, "divergence": divergence, "require": [*require]}
        result, why = _result(judged, looks, thresholds, quarantine, seed)
        result |= {
            "settings": settings,
            "synth": str(synth),
            "real": str(real),
            "real_clouds": None if clouds is None else str(clouds),
        }
        result["digest"] = digest(result)
        request = None
        if result["request"] is not None:
            asked = [Asked(**each) for each in result["asked"]]
            request = make_request(source.contract, asked, why, frames=_frames_wanted(judged))
        _write(folder, result, request, lambda page: write_report(page, result, seen, verdicts))
        aside = dataclasses.replace(judged.aside(), gate=result["digest"])
        if quarantine and (aside.frames or aside.classes or not judged.reasons):  # only now, as the page tells it
            write_quarantine(source.folder, aside, source.records)
        if columns:
            about = {"real": real, "masks": masks, "model": seen.encoder.path.name, "gate": result["digest"]}
            write_columns(source.folder, judged.columns(about), source.records)
    return result


def _write(folder: Path, result: dict[str, Any], request: Request | None, write_page: Callable[[Path], None]) -> None:
    """Write the results, all of them to their end before the first takes its place; a request of before goes.

    Raises:
        InputError: They cannot be written.
    """
    with refusing("out", folder), contextlib.ExitStack() as placed:
        figures, page = (placed.enter_context(replacing(folder / name)) for name in (GATE, REPORT))
        write_page(page)
        write_json(figures, result)
        if request is None:
            (folder / REQUEST).unlink(missing_ok=True)
        else:
            write_request(placed.enter_context(replacing(folder / REQUEST)), request)


def check_points(require: Sequence[str], depth: bool, real: Path, clouds: Path | None, field: str = "require") -> None:
    """Refuse to require geometry of what has no points.

    Args:
        require: Measures that have to pass.
        depth: Whether the synthetic split has depth.
        real: Real pictures, or a split.
        clouds: Real clouds.
        field: Parameter with the measures, for errors.

    Raises:
        InputError: Geometry is required and cannot be scored.
    """
    without = why_no_points(depth, real, clouds)
    if "geometry" in require and without:
        raise InputError(field, ",".join(require), f"semantics, which then decides alone, for {without}")


def why_no_points(depth: bool, real: Path, clouds: Path | None) -> str:
    """Say why geometry cannot be scored, for one side has no points; nothing where both have.

    Args:
        depth: Whether the synthetic split has depth.
        real: Real pictures, or a split.
        clouds: Real clouds.
    """
    if not depth:
        return "the split has no depth (--dataset.depth true of regolith generate)"
    if clouds is None and not (is_split(real) and read_source(real).has("depth")):
        return "there are no real clouds (--real-clouds)"
    return ""


def _geometry(
    source: Source, real: Path, clouds: Path | None, least: float, patch_m: float, seed: int, emit: Emit
) -> tuple[dict[str, Any] | None, Check]:
    """Score the geometry where both sides have points, and hold it against its threshold."""
    if clouds is None and (without := why_no_points(source.has("depth"), real, clouds)):
        return None, Check("geometry", "all", None, None, least, True, without)
    try:
        field = "real" if clouds is None else "real_clouds"
        found = score_geometry(source.folder, clouds or real, patch_m=patch_m, seed=seed, field=field, emit=emit)
    except PointsError as error:
        if clouds is not None:
            raise
        return None, Check("geometry", "all", None, None, least, True, f"needs {error.allowed}")
    value, spread = found["score"], found["rows"][0]["spread"]
    interval = (
        None if spread is None else [max(0.0, value - DEVIATIONS * spread), min(1.0, value + DEVIATIONS * spread)]
    )
    return found, Check("geometry", "all", value, interval, least, value >= least)


def _frames_wanted(judged: Judged) -> int:
    """Frames to draw instead: as many as are set aside, all where a class is, or is shown by none."""
    aside = judged.aside()
    some = aside.frames and not aside.classes and all(v.held.size for v in judged.verdicts if v.blamed)
    return len(aside.frames) if some else judged.source.contract.frames


def _result(
    judged: Judged, looks: dict[str, Any], thresholds: dict[str, Any], quarantine: bool, seed: int
) -> tuple[dict[str, Any], list[str]]:
    """What `gate.json` holds, but for the places; and in sentences what was found."""
    reasons, aside, imported = judged.reasons, judged.aside(), judged.source.contract.imported
    redrawn = bool(reasons) and judged.redrawn and not imported
    asked, why = judged.asked(seed) if redrawn else ([], [])
    result = {
        "schema": 1,
        "verdict": "reject" if reasons else "accept",
        "reasons": reasons,
        "thresholds": thresholds,
        "checks": [check.to_dict() for check in judged.checks],
        "quarantine": {
            "set": quarantine,
            "frames": {str(number): list(aside.frames[number]) for number in sorted(aside.frames)},
            "classes": {name: list(reasons) for name, reasons in aside.classes.items()},
            "without": {v.check.name: v.without for v in judged.verdicts if v.held.size},
        },
        "request": REQUEST if quarantine and redrawn else None,
        "asked": [dataclasses.asdict(each) for each in asked],
        "why": why,
        "frames": _own(judged.seen, judged.verdicts),
        "semantics": judged.semantics,
        "appearance": looks,
        "geometry": judged.geometry,
        "notes": _notes(judged),
    }
    return result, why


def _own(seen: Seen, verdicts: Sequence[ClassVerdict]) -> list[dict[str, Any]]:
    """Own divergences of each frame that was looked at."""
    rows = []
    for place, frame in enumerate(seen.pictures[0].frames):
        own = {v.check.name: float(v.own[place]) for v in verdicts}
        rows.append({"frame": frame.index, "own": {k: None if math.isnan(v) else v for k, v in own.items()}})
    return rows


def _notes(judged: Judged) -> list[str]:
    words = judged.semantics["synth"]
    notes = [*judged.semantics["notes"]]
    if len({picture.folder.resolve() for picture in judged.seen.pictures}) == 1:
        notes.append("both sides are one split")
    alone = "" if judged.reasons else f"{say_accepted(judged.checks)}: "
    if judged.geometry is None:
        notes.append(f"{alone}geometry was not scored: {judged.geometry_check.note}")
    else:
        for row in judged.geometry["rows"]:
            if row["note"]:
                notes.append(f"geometry {row['class']}: {'' if row['score'] is not None else 'needs '}{row['note']}")
    if judged.reasons and not (aside := judged.aside()).frames and not aside.classes:
        notes.append("nothing is set aside; a quarantine of before stays")
    for verdict in judged.verdicts:
        if verdict.unlabelled and not verdict.check.passed:
            name = verdict.check.name
            notes.append(
                f"nothing is set aside or asked for because of {name}: the real pictures have none labelled; label it "
                f"there, or leave it out of --classes"
            )
    if words["pictures"] < words["of"]:
        looked = f"{words['pictures']:,} of {counted(words['of'], 'frame')} were looked at"
        notes.append(f"{looked}; none of the others is set aside")
    if judged.source.contract.imported and judged.reasons:
        notes.append("no request: the frames were imported, so there are no parameters to change")
    return notes
