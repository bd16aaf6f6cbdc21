"""Read what the finished steps of a study left: one row a training."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from regolith.lunar.reading import read_json
from training.ablate.schedule import Schedule
from training.ablate.steps import Real, Synth, Train, run_name
from training.ablate.study import RunSpec, Study

MANIFEST = "MANIFEST.csv"
"""Table beside photographs, at most two folders up, whose `file` and `scene` say which show the same place."""

Cell = tuple[str, str]
"""Preset and run."""


@dataclasses.dataclass(frozen=True)
class Metric:
    """A figure of one training."""

    key: str
    title: str
    percent: bool = False


METRICS = {
    metric.key: metric
    for metric in (
        Metric("synth_iou", "synthetic rock-IoU"),
        Metric("flood_mean", "flood, mean", percent=True),
        Metric("flood_median", "flood, median", percent=True),
        Metric("flood_worst", "flood, worst", percent=True),
        Metric("polar_iou", "POLAR rock-IoU"),
        Metric("polar_precision", "POLAR precision"),
        Metric("polar_recall", "POLAR recall"),
        Metric("val_iou", "val rock-IoU"),
        Metric("best_epoch", "best epoch"),
    )
}

POLICY_SUCCESS = "policy_success"
TITLES = METRICS | {POLICY_SUCCESS: Metric(POLICY_SUCCESS, "success of the policy", percent=True)}
"""`METRICS`, and what sweeps measure beside them."""


@dataclasses.dataclass(frozen=True)
class Results:
    """What is known of a study so far."""

    study: Study
    rows: list[dict[str, Any]]
    """A training each, by seed, preset and run; what is not done yet is None."""
    scenes: dict[str, str]
    """Name of a photograph to the scene it shows."""

    def row(self, cell: Cell, seed: int) -> dict[str, Any]:
        """Return the row of one training."""
        return next(r for r in self.rows if (r["preset"], r["run"]) == cell and r["seed"] == seed)

    def scene(self, photograph: str) -> str:
        """Return the scene a photograph shows; one that no manifest knows shows one of its own."""
        return self.scenes.get(photograph, photograph)

    def has(self, cell: Cell) -> bool:
        """Whether the study has such a training."""
        return cell[0] in self.study.presets and any(run.name == cell[1] for run in self.study.runs)

    def values(self, cell: Cell, metric: str) -> dict[int, float]:
        """Return a figure by seed, where it is measured and defined."""
        if not self.has(cell):
            return {}
        found = {seed: self.row(cell, seed)["metrics"][metric] for seed in self.study.seeds}
        return {seed: value for seed, value in found.items() if value is not None}

    def photographs(self, cell: Cell, field: str) -> dict[int, dict[str, Any]]:
        """Return by seed what is known of each photograph; `field` is `real` or `polar`."""
        if not self.has(cell):
            return {}
        found = {seed: self.row(cell, seed)[field] for seed in self.study.seeds}
        return {seed: value["photographs"] for seed, value in found.items() if value is not None}


def collect(study: Study, schedule: Schedule) -> Results:
    """Read the results of the steps that are done."""
    rows = [
        _row(study, schedule, preset, run, seed)
        for seed in study.seeds
        for preset in study.presets
        for run in study.runs
    ]
    scenes: dict[str, str] = {}
    for folder in (study.real, study.polar):
        if folder is not None:
            scenes |= read_scenes(folder)
    return Results(study, rows, scenes)


def _row(study: Study, schedule: Schedule, preset: str, run: RunSpec, seed: int) -> dict[str, Any]:
    name = run_name(preset, run.name, seed)
    steps = {name: schedule.steps[name] for name in schedule.done}
    train = steps.get(f"{Train.kind} {name}")
    synth = {other: _synth(steps.get(f"{Synth.kind} {name} on {other}")) for other in study.tested}
    real = _real(steps.get(f"{Real.kind} {name} on photographs"))
    polar = _real(steps.get(f"{Real.kind} {name} on labelled"))
    row: dict[str, Any] = {
        "preset": preset,
        "run": run.name,
        "seed": seed,
        "scale": study.scale,
        "frames": study.scaled(run.frames),
        "train": _train(train) if isinstance(train, Train) else None,
        "synth": synth,
        "real": real,
        "polar": polar,
    }
    return row | {"metrics": figures_of(row, study.home(preset))}


def figures_of(row: Mapping[str, Any], home: str) -> dict[str, float | None]:
    """Return the figures of `METRICS` of a row; None where not measured or not defined.

    Args:
        row: What is known of a training.
        home: Preset whose test split counts as its own.
    """
    own, real, polar, train = row["synth"][home], row["real"], row["polar"], row["train"]
    rock = polar["rock"] if polar else {}
    return {
        "synth_iou": own and own["iou"],
        **{f"flood_{key}": real and real["flood"][key] for key in ("mean", "median", "worst")},
        **{f"polar_{key}": rock.get(key) for key in ("iou", "precision", "recall")},
        "val_iou": train and train["val_rock_iou"],
        "best_epoch": train and train["best_epoch"],
    }


def _train(step: Train) -> dict[str, Any]:
    summary = read_json(step.out / "summary.json")
    return {
        "best_epoch": summary["best_epoch"],
        "epochs": summary["epochs"],
        "val_rock_iou": summary["best_rock_iou"],
        "seconds": summary["seconds"],
        "recipe": {name: value for name, value in summary["config"].items() if name != "seed"},
        "fingerprints": {name: split["fingerprint"] for name, split in summary["splits"].items()},
        "git": summary["git"],
        "machine": summary["machine"],
    }


def _synth(step: Any) -> dict[str, Any] | None:
    if step is None:
        return None
    result = read_json(step.result_file)
    return {"frames": result["frames"], "miou": result["miou"], "accuracy": result["accuracy"], **result["rock"]}


def _real(step: Any) -> dict[str, Any] | None:
    if step is None:
        return None
    result = read_json(step.result_file)
    photographs = {
        row["image"]: {
            "flood": row["flood"],
            "sky": row["sky"],
            "rock": row.get("rock"),
            "pixels": row["width"] * row["height"],
        }
        for row in result["per_image"]
    }
    return {
        "flood": result["flood"],
        "rock": result.get("rock", {}),
        "baseline": result.get("baseline"),
        "photographs": photographs,
        "problems": result["problems"],
    }


def read_scenes(folder: Path) -> dict[str, str]:
    """Return the scene each photograph of a folder shows; without a manifest, one of its own each.

    Args:
        folder: Folder of photographs.
    """
    names = {path.name: path.name for path in folder.iterdir()}
    for place in (folder, folder.parent, folder.parent.parent):
        if (place / MANIFEST).is_file():
            with (place / MANIFEST).open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            return names | {
                Path(row["file"]).name: row["scene"]
                for row in rows
                if row.get("scene") and row.get("file") and Path(row["file"]).name in names
            }
    return names
