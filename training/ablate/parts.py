"""Parts of results.json and RESULTS.md that every study has: figures with their spread, photographs, trainings."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from regolith.lunar.report.page import number
from training.ablate.collect import METRICS, Cell, Results
from training.ablate.contrasts import Estimate, estimate
from training.ablate.findings import say_value
from training.ablate.schedule import Schedule, duration
from training.ablate.study import SCHEMA_VERSION

TABLE = ("synth_iou", "flood_mean", "flood_median", "flood_worst", "polar_iou", "polar_precision", "polar_recall")
NOT_MEASURED = "not measured"


def common_results(results: Results, schedule: Schedule) -> dict[str, Any]:
    """Return what results.json holds of any study: what it is, how far it is, each training, each cell."""
    study = results.study
    kinds: dict[str, float] = {}
    for name, step in schedule.steps.items():  # in their order, not that in which they were done: sums are equal then
        if name in schedule.done:
            kinds[step.kind] = kinds.get(step.kind, 0.0) + schedule.done[name].seconds
    cells = [(preset, run.name) for preset in study.presets for run in study.runs]
    return {
        "schema": SCHEMA_VERSION,
        "study": study.settings() | {
            study.noun: list(study.presets),
            "runs": {run.name: study.scaled(run.frames) for run in study.runs},
            "seeds": list(study.seeds),
        },
        "steps": {"done": len(schedule.done), "all": len(schedule.steps), "failed": dict(schedule.failed)},
        "process_seconds": {kind: round(seconds, 1) for kind, seconds in kinds.items()},
        "machines": _distinct(_made(results, "machine")),
        "revisions": _distinct(_made(results, "git")),
        "recipe_differences": recipe_differences(results),
        "trainings": results.rows,
        "cells": [{"preset": p, "run": r, "metrics": _estimates(results, (p, r))} for p, r in cells],
    }  # fmt: skip


def recipe_differences(results: Results) -> dict[str, list[Any]]:
    """Return the fields in which the recipes of the trainings differ, as their own summaries have them.

    A field that only later code knows of is missing in the older ones, which is said by `None`.
    """
    recipes = _made(results, "recipe")
    fields = dict.fromkeys(name for recipe in recipes for name in recipe)
    values = {name: _distinct(recipe.get(name) for recipe in recipes) for name in fields}
    return {name: found for name, found in values.items() if len(found) > 1}


def _estimates(results: Results, cell: Cell) -> dict[str, Any]:
    return {key: estimate_fields(estimate(list(results.values(cell, key).values()))) for key in METRICS}


def estimate_fields(found: Estimate | None) -> dict[str, Any]:
    """Fields of an estimate as JSON has them, also of none."""
    return {"mean": None, "seeds": 0, "sd": None, "lo": None, "hi": None} if found is None else found.to_dict()


def _made(results: Results, field: str) -> list[Any]:
    return [row["train"][field] for row in results.rows if row["train"] is not None]


def _distinct(items: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if item not in found:
            found.append(item)
    return found


# -- RESULTS.md ------------------------------------------------------------------------------------------------------


def head_lines(results: Results, result: dict[str, Any], title: str) -> list[str]:
    """What the study is, how far, what it took and what was not measured, under a title."""
    study, steps = results.study, result["steps"]
    runs = ", ".join(f"{run.name} = {study.scaled(run.frames)} frames" for run in study.runs)
    part = "" if steps["done"] == steps["all"] else f" **Unfinished: {steps['done']} of {steps['all']} steps.**"
    spent = sum(result["process_seconds"].values())
    lines = [
        f"# {title}",
        "",
        f"**Scale {study.scale:g}** of the full study ({study.base_side} px, {study.base_epochs} epochs, run names say "
        f"the frames): {study.side} × {study.side} px, at most {study.epochs} epochs, {runs}; val "
        f"{study.split_frames('val')}, test_photoreal {study.split_frames('test_photoreal')} frames. "
        f"{study.noun.capitalize()} {', '.join(study.presets)}; seeds {', '.join(map(str, study.seeds))}.{part}",
        "",
        f"Process time {duration(spent)}: "
        + ", ".join(f"{kind} {duration(seconds)}" for kind, seconds in result["process_seconds"].items()) + ".",
    ]  # fmt: skip
    lines += [f"Trained on {_machine(machine)}." for machine in result["machines"]]
    for name in ("real", "polar"):
        if getattr(study, name) is None:
            lines.append(f"Not measured: {'flood' if name == 'real' else 'POLAR'} (no --{name} folder was given).")
    lines += [f"Failed: {name}: {message}" for name, message in steps["failed"].items()]
    return [*lines, ""]


def mean_lines(results: Results, test: str) -> list[str]:
    """Every figure of every cell, mean and spread over seeds.

    Args:
        results: The study's.
        test: What the synthetic figures are measured on.
    """
    study = results.study
    rows = [
        [
            preset,
            run.name,
            str(study.scaled(run.frames)),
            *(say_spread(results, (preset, run.name), key) for key in TABLE),
        ]
        for preset in study.presets
        for run in study.runs
    ]
    head = [study.noun.removesuffix("s"), "run", "frames", *(METRICS[key].title for key in TABLE)]
    text = (
        "Mean ± standard deviation over seeds of training, which share their frames; one seed has no spread. Synthetic "
        f"rock-IoU is over all pixels of {test}. Flood is the share of a photograph's own pixels called rock, without "
        "padding; read it beside recall, since a model that sees no rock floods nothing. POLAR figures are pooled over "
        "all labelled pixels."
    )
    return ["## Results", "", *table_lines(head, rows), text, "", *_baseline(results)]


def table_lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table in Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def _machine(machine: dict[str, Any]) -> str:
    cpu = f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads a training"
    device = "" if machine["device"] == "cpu" else f"{machine['device']}; "
    return f"{device}{cpu}, {machine['arithmetic']}, PyTorch {machine['torch']}"


def _baseline(results: Results) -> list[str]:
    """Say what a threshold without any training reaches on the labelled photographs."""
    found = [row["polar"]["baseline"] for row in results.rows if row["polar"] and row["polar"].get("baseline")]
    if not found:
        return []
    figures = ", ".join(f"{key} {number(found[0][key])}" for key in ("iou", "precision", "recall"))
    return [f"For scale, a local-contrast threshold tuned on the very labelled photographs: rock {figures}.", ""]


def say_spread(results: Results, cell: Cell, key: str) -> str:
    """Write a figure of a cell: mean ± standard deviation over seeds."""
    found = estimate(list(results.values(cell, key).values()))
    if found is None:
        return NOT_MEASURED
    if METRICS[key].percent:
        return f"{100 * found.mean:.1f}" + (f" ± {100 * found.sd:.1f} %" if found.sd is not None else " %")
    digits = 1 if key == "best_epoch" else 3
    return plus_minus(found, digits=digits)


def plus_minus(found: Estimate | None, *, digits: int = 3) -> str:
    """Write an estimate: mean ± standard deviation."""
    if found is None:
        return NOT_MEASURED
    return f"{found.mean:.{digits}f}" + (f" ± {found.sd:.{digits}f}" if found.sd is not None else "")


def figure_lines(figures: dict[str, str]) -> list[str]:
    """The figures, of caption to file name."""
    if not figures:
        return []
    lines = ["## Figures", ""]
    for caption, name in figures.items():
        lines += [f"![{caption}](figures/{name})", "", f"*{caption}.*", ""]
    return lines


def photograph_lines(results: Results, cells: Sequence[Cell]) -> list[str]:
    """Each photograph as the trainings of some cells see it."""
    lines = []
    flood = {cell: results.photographs(cell, "real") for cell in cells}
    rock = {cell: results.photographs(cell, "polar") for cell in cells}
    head = [" ".join(cell) for cell in cells]
    rows = [
        [
            name,
            results.scene(name),
            *(_mean([t[name]["flood"] for t in flood[c].values() if name in t]) for c in cells),
        ]
        for name in _names(flood)
    ]
    if rows:
        lines += [
            "## Each photograph",
            "",
            "Flood, mean over seeds:",
            "",
            *table_lines(["photograph", "scene", *head], rows),
        ]
    rows = []
    for name in _names(rock):
        found = {c: [t[name]["rock"] for t in rock[c].values() if name in t and t[name]["rock"]] for c in cells}
        said = []
        for cell in cells:
            words = [
                _mean([r[key] for r in found[cell] if r[key] is not None], percent=False) for key in ("iou", "recall")
            ]
            said.append(" / ".join(words))
        rows.append([name, results.scene(name), *said])
    if rows:
        lines += ["Labelled photographs, rock-IoU / recall, mean over seeds:", ""]
        lines += table_lines(["photograph", "scene", *head], rows)
    problems = _distinct(p for row in results.rows for f in ("real", "polar") if row[f] for p in row[f]["problems"])
    return [*lines, *(f"Not scored: {problem}" for problem in problems), *([""] if problems else [])]


def _names(tables: dict[Cell, dict[int, dict[str, Any]]]) -> list[str]:
    return sorted({name for by_seed in tables.values() for table in by_seed.values() for name in table})


def _mean(values: Sequence[float], *, percent: bool = True) -> str:
    if not values:
        return "–"
    return f"{100 * statistics.fmean(values):.1f} %" if percent else f"{statistics.fmean(values):.3f}"


def training_lines(results: Results) -> list[str]:
    """Every training with all its figures."""
    rows = []
    for row in results.rows:
        train = row["train"]
        epoch = f"{train['best_epoch']} of {train['epochs']}" if train else NOT_MEASURED
        said = [_value(key, row["metrics"][key]) for key in ("val_iou", *TABLE)]
        rows.append([row["preset"], row["run"], str(row["seed"]), epoch, *said, number(row["scale"])])
    head = [
        results.study.noun.removesuffix("s"),
        "run",
        "seed",
        "best epoch",
        *(METRICS[key].title for key in ("val_iou", *TABLE)),
        "scale",
    ]
    return ["## Each training", "", *table_lines(head, rows)]


def _value(key: str, value: float | None) -> str:
    return NOT_MEASURED if value is None else say_value(key, value)
