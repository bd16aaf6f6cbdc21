"""A training in stages: each has frames of its own, and goes on from the weights of the one before.

    regolith train --curriculum progressive --train-split A/train_dr,B/train_dr,C/train_dr,D/train_dr,REAL/real …

`CurriculumParams` has the table of the stages. Each stage is a run of `training.train` like any other, in a folder of
its own (`RUN/3-mixed`), with its checkpoints, its mixture (`mix.json`, as `regolith mix` writes it) and its page; where
it comes from stands in its checkpoint. RUN itself has `curriculum.json`, what all was begun with; `metrics.jsonl`, the
epochs of all stages one after the other; `summary.json`; and, once all are done, `best.pt` and `report.html`. The same
command again goes on: a stage that is done is only looked at.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from regolith.lunar.dataset.contract import Contract, first_difference
from regolith.lunar.dataset.manifest import read_frames, without_quarantined
from regolith.lunar.files import write_bytes, write_json
from regolith.lunar.jobs.events import Emit, Event, Stop
from regolith.lunar.params import InputError, sole_folder
from regolith.lunar.params.curriculum import LIMITS, PREFIX, CurriculumParams, CurriculumStage
from regolith.lunar.params.training import TrainParams
from regolith.lunar.quality.mix import Mix
from regolith.lunar.reading import read_json, read_json_lines
from regolith.lunar.report.outcome import METRICS, PAGE, SUMMARY, write_report
from training.networks import with_start

SETTINGS = "curriculum.json"
"""What the stages in a folder were begun with."""
PARTS = 1000
"""A share goes into a ratio of frames in this many parts."""

Train = Callable[[TrainParams, Emit, Stop], dict[str, Any]]
"""`training.train.train`."""


def train_as_asked(params: CurriculumParams, train: Train, emit: Emit, stop: Stop) -> dict[str, Any]:
    """Train in one run, or in stages.

    Args:
        params: The run.
        train: What trains one run.
        emit: Receives its events; of stages as if they were one run.
        stop: Asked after every batch; once true the run saves itself and returns.

    Returns:
        The content of summary.json; `status` is `finished` or `interrupted`.

    Raises:
        InputError: As `train`; or `out` holds stages of another table, or the other kind of run.
    """
    if params.curriculum != "none":
        with sole_folder("out", params.out):
            return _train_stages(params, train, emit, stop)
    if (params.out / SETTINGS).exists():
        raise InputError("curriculum", "none", f"progressive, as {params.out} was begun with; or another --out")
    return train(params.one_run(), emit, stop)


@dataclasses.dataclass(frozen=True)
class PlannedStage:
    """A stage, the run it is, and what that is made from."""

    stage: CurriculumStage
    run: TrainParams
    synth: tuple[Path, ...]
    """Splits of its synthetic frames; none where it has no share of them."""
    real: tuple[Path, ...]
    frames: int
    """Frames of a pass: as many as its synthetic splits have; where it has no share of them, the real ones."""

    @property
    def steps(self) -> int:
        """Steps of the optimizer, where no early stop cuts them short and every frame has a label."""
        return self.run.epochs * math.ceil(self.frames / self.run.batch)

    def mix(self) -> None:
        """Write the mixture it trains on, every time the same; where it has one."""
        if self.synth and self.real:
            parts = round(PARTS * self.stage.synth)
            Mix.model_validate({
                "synth": _joined(self.synth), "real": _joined(self.real), "ratio": f"{parts}:{PARTS - parts}",
                "frames": self.frames, "quarantined": self.run.quarantined, "seed": self.run.seed,
                "out": self.run.train_split,
            }).run()  # fmt: skip


def _joined(folders: Sequence[Path]) -> Path:
    return Path(",".join(map(str, folders)))


def plan_stages(params: CurriculumParams) -> list[PlannedStage]:
    """Share the splits out to the stages; nothing is written.

    Raises:
        InputError: A split cannot be used, one is missing, one is of no stage, or a stage's run has a field that does
            not fit.
    """
    drawn, real = _sorted_splits(params)
    strengths = {stage.strength for stage in params.stages if stage.synth > 0}
    foreign = next((strength for strength in drawn if strength not in strengths), None)
    if foreign is not None:
        allowed = f"splits drawn at a strength of some stage, {', '.join(f'{each:g}' for each in sorted(strengths))}"
        raise InputError("train_split", str(drawn[foreign][0]), f"{allowed}; this one's is {foreign:g}")
    planned: list[PlannedStage] = []
    init = params.init
    for number, stage in enumerate(params.stages, 1):
        synth = tuple(drawn.get(stage.strength, ())) if stage.synth > 0 else ()
        _check_sides(stage, synth, real)
        mixed, folder = 0 < stage.synth < 1, params.out / f"{number}-{stage.name}"
        run = params.one_run(
            train_split=folder / "mix.json" if mixed else _joined(synth or real), out=folder, init=init,
            epochs=max(1, round(stage.epochs * params.epochs)), lr=stage.lr * params.lr_peak,
            warmup_steps=None if planned else params.warmup_steps,
        )  # fmt: skip
        frames = _count(synth or real, params)
        planned.append(PlannedStage(stage, run, synth, tuple(real) if stage.synth < 1 else (), frames))
        init = str(folder / f"{params.curriculum_start}.pt")
    return planned


def _check_sides(stage: CurriculumStage, synth: Sequence[Path], real: Sequence[Path]) -> None:
    """Refuse a stage that lacks frames of one side, and say how to make them."""
    if stage.synth > 0 and not synth:
        make = f"regolith generate --split train_dr --randomize.strength {stage.strength:g} --out DIR"
        allowed = f"among others a split drawn at strength {stage.strength:g}, for stage {stage.name}"
    elif stage.synth < 1 and not real:
        make = "regolith import --images IMAGES --masks MASKS --classes NAME=VALUE,… --split real --out DIR"
        allowed = f"among others a split of real frames, for stage {stage.name}"
    else:
        return
    raise InputError("train_split", None, f"{allowed} ({make})")


def _sorted_splits(params: CurriculumParams) -> tuple[dict[float, list[Path]], list[Path]]:
    """Tell rendered splits, by the strength they were drawn at, from real ones."""
    drawn: dict[float, list[Path]] = {}
    real: list[Path] = []
    for folder in params.train_splits:
        try:
            contract = Contract.read(folder)
            strength = None if contract.imported else contract.params.randomize.strength
        except InputError as error:
            raise InputError("train_split", str(folder), error.allowed) from None
        (real if strength is None else drawn.setdefault(strength, [])).append(folder)
    return drawn, real


def _count(splits: Sequence[Path], params: CurriculumParams) -> int:
    try:
        parts = [part for split in splits for part in read_frames(split)]
    except InputError as error:
        raise InputError("train_split", error.value, error.allowed) from None
    return sum(len(part.records) for part in without_quarantined(parts, params.quarantined, field="train_split"))


def _train_stages(params: CurriculumParams, train: Train, emit: Emit, stop: Stop) -> dict[str, Any]:
    params, settings = _settled(params)
    planned = plan_stages(params)
    total = sum(each.steps for each in planned)
    done: list[tuple[PlannedStage, dict[str, Any]]] = []
    steps, summary = 0, {}
    for each in planned:
        each.mix()
        epochs = sum(before["epochs"] for _, before in done)
        found = train(each.run, _as_one(emit, each.stage.name, steps=steps, total=total, epochs=epochs), stop)
        write_json(params.out / SETTINGS, settings)  # not before: what the first stage refuses leaves nothing
        done.append((each, found))
        summary = _gather(params.out, planned, done)
        if found["status"] != "finished":
            return summary
        write_report(each.run.out, each.run.out / PAGE)
        emit({"event": "artifact", "path": str(each.run.out / PAGE), "kind": "report"})
        steps += each.steps
    write_report(params.out, params.out / PAGE)
    for kind, name in (("checkpoint", "best.pt"), ("summary", SUMMARY), ("report", PAGE)):
        emit({"event": "artifact", "path": str(params.out / name), "kind": kind})
    return summary


def _settled(params: CurriculumParams) -> tuple[CurriculumParams, dict[str, Any]]:
    """Hold the table against the one the folder was begun with.

    Returns:
        The parameters with the start of the first stage, and what to write into the folder.

    Raises:
        InputError: The folder holds stages of another table, or a run without any.
    """
    path = params.out / SETTINGS
    asked: dict[str, Any] = {"curriculum": params.curriculum, "curriculum_start": params.curriculum_start}
    asked |= {PREFIX + name: [getattr(stage, name) for stage in params.stages] for name in LIMITS}
    if not path.exists():
        if (params.out / "last.pt").exists():
            raise InputError("out", str(params.out), "a folder of its own: this one holds a run without stages")
        init = with_start(params.one_run()).init
        return params.model_copy(update={"init": init}), asked | {"init": None if params.init else init}
    try:
        begun = read_json(path)
        init = begun["init"]
        difference = first_difference({name: begun[name] for name in asked}, asked)
    except (OSError, ValueError, TypeError, KeyError):
        raise InputError("out", str(params.out), f"a folder whose {SETTINGS} can be read") from None
    if difference is not None:
        field, old, new = difference
        raise InputError(field, new, f"{old!r}, with which {params.out} was begun; or another --out")
    return params.model_copy(update={"init": params.init or init}), begun


def _as_one(emit: Emit, name: str, *, steps: int, total: int, epochs: int) -> Emit:
    """Return what passes on the events of a stage as those of one run over all of them.

    Args:
        emit: Receives them.
        name: Of the stage.
        steps: Steps of the stages before it.
        total: Steps of all stages.
        epochs: Epochs of the stages before it.
    """

    def told(event: Event) -> None:
        if event["event"] == "progress":
            event = event | {"done": min(steps + event["done"], total), "total": total}
            event["stage"] = f"{name}, {event['stage']}"
        elif event["event"] == "metric":
            event = event | {"step": epochs + event["step"]}
        emit(event)

    return told


def _gather(
    out: Path, planned: Sequence[PlannedStage], done: Sequence[tuple[PlannedStage, dict[str, Any]]]
) -> dict[str, Any]:
    """Write what the stages came to so far, their epochs counted on, and the weights once all are done."""
    rows: list[dict[str, Any]] = []
    table: list[dict[str, Any]] = []
    for each, summary in done:
        before, metrics = len(rows), each.run.out / METRICS
        for row in read_json_lines(metrics) if metrics.exists() else []:
            rows.append(row | {"epoch": before + row["epoch"], "stage": each.stage.name})
        table.append(
            {"name": each.stage.name, "folder": each.run.out.name, "strength": each.stage.strength}
            | {"synth": each.stage.synth, "frames": each.frames, "epochs_at_most": each.run.epochs}
            | {"lr": summary["config"]["lr"]}
            | {key: summary[key] for key in ("status", "epochs", "best_epoch", "best_rock_iou", "seconds")}
        )
    write_bytes(out / METRICS, "".join(json.dumps(row) + "\n" for row in rows).encode())
    each, last = done[-1]
    finished = last["status"] == "finished" and len(done) == len(planned)
    if finished:
        write_bytes(out / "best.pt", (each.run.out / "best.pt").read_bytes())
    summary = last | {
        "status": "finished" if finished else "interrupted",
        "best_epoch": last["best_epoch"] and len(rows) - last["epochs"] + last["best_epoch"],
        "epochs": len(rows),
        "seconds": round(sum(stage["seconds"] for stage in table), 3),
        "stages": table,
    }
    write_json(out / SUMMARY, summary)
    return summary
