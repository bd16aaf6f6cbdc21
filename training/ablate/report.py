"""results.json and RESULTS.md: every figure of a study, with its spread, its scale and what was not measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from regolith.lunar.files import write_bytes, write_json
from regolith.lunar.report.page import number
from training.ablate.collect import METRICS, Cell, Results, collect
from training.ablate.contrasts import Estimate, compare, effects, estimate
from training.ablate.figures import cross_values, draw_figures
from training.ablate.findings import PUBLISHED, VERDICTS, findings, say_difference, say_value
from training.ablate.schedule import Schedule, duration
from training.ablate.study import SCHEMA_VERSION, Study

TABLE = ("synth_iou", "flood_mean", "flood_median", "flood_worst", "polar_iou", "polar_precision", "polar_recall")
EFFECTS = ("synth_iou", "flood_mean", "polar_iou", "polar_recall")
NOT_MEASURED = "not measured"


def write_report(study: Study, schedule: Schedule, shown: list[str]) -> dict[str, Any]:
    """Write results.json, RESULTS.md and the figures of what is done so far.

    Args:
        study: What was asked for.
        schedule: How far it is.
        shown: Photographs to show overlays of.

    Returns:
        What results.json holds.
    """
    results = collect(study, schedule)
    result = summarize(results, schedule)
    figures = draw_figures(results, references(study), shown, study.out / "figures")
    result["figures"] = [f"figures/{name}" for name in figures.values()]
    write_json(study.out / "results.json", result)
    write_bytes(study.out / "RESULTS.md", to_markdown(results, result, figures).encode())
    return result


def references(study: Study) -> list[Cell]:
    """Return for each preset the training that stands for it: with randomization, of most frames."""
    best = max(study.runs, key=lambda run: (run.randomized, run.frames))
    return [(preset, best.name) for preset in study.presets]


def summarize(results: Results, schedule: Schedule) -> dict[str, Any]:
    """Return everything RESULTS.md says, as JSON."""
    study = results.study
    cells = [(preset, run.name) for preset in study.presets for run in study.runs]
    kinds: dict[str, float] = {}
    for name, step in schedule.steps.items():  # in their order, not that in which they were done: sums are equal then
        if name in schedule.done:
            kinds[step.kind] = kinds.get(step.kind, 0.0) + schedule.done[name].seconds
    return {
        "schema": SCHEMA_VERSION,
        "study": study.settings() | {
            "presets": list(study.presets),
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
        "effects": [
            {key: each[key] for key in ("preset", "effect", "from", "to")}
            | {"differences": _differences(results, each["weights"])}
            for each in effects(results)
        ],
        "cross": [
            {"trained": preset, "run": run, "tested": other}
            | _dict(estimate(cross_values(results, (preset, run), other)))
            for preset, run in cells
            for other in study.presets
        ],
        "published": [{"preset": p, "run": r, **values} for (p, r), values in PUBLISHED.items()],
        "findings": findings(results),
    }  # fmt: skip


def _estimates(results: Results, cell: Cell) -> dict[str, Any]:
    return {key: _dict(estimate(list(results.values(cell, key).values()))) for key in METRICS}


def _dict(found: Estimate | None) -> dict[str, Any]:
    return {"mean": None, "seeds": 0, "sd": None, "lo": None, "hi": None} if found is None else found.to_dict()


def _differences(results: Results, weights: dict[Cell, float]) -> dict[str, Any]:
    found = {key: compare(results, key, weights) for key in EFFECTS}
    return {key: difference and difference.to_dict() for key, difference in found.items()}


def _made(results: Results, field: str) -> list[Any]:
    return [row["train"][field] for row in results.rows if row["train"] is not None]


def _distinct(items: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if item not in found:
            found.append(item)
    return found


def recipe_differences(results: Results) -> dict[str, list[Any]]:
    """Return the fields in which the recipes of the trainings differ, as their own summaries have them.

    A field that only later code knows of is missing in the older ones, which is said by `None`.
    """
    recipes = _made(results, "recipe")
    fields = dict.fromkeys(name for recipe in recipes for name in recipe)
    values = {name: _distinct(recipe.get(name) for recipe in recipes) for name in fields}
    return {name: found for name, found in values.items() if len(found) > 1}


# -- RESULTS.md ------------------------------------------------------------------------------------------------------


def to_markdown(results: Results, result: dict[str, Any], figures: dict[str, str]) -> str:
    """Write the report."""
    parts = [
        *_head(results, result),
        *_means(results),
        *_decomposition(results),
        *_cross(results),
        *_findings(result),
        *_published(results),
        *_figures(figures),
        *_photographs(results),
        *_trainings(results),
        *_method(results, result),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def _head(results: Results, result: dict[str, Any]) -> list[str]:
    study, steps = results.study, result["steps"]
    runs = ", ".join(f"{run.name} = {study.scaled(run.frames)} frames" for run in study.runs)
    part = "" if steps["done"] == steps["all"] else f" **Unfinished: {steps['done']} of {steps['all']} steps.**"
    spent = sum(result["process_seconds"].values())
    lines = [
        "# Ablation: scene generation, domain randomization, number of frames",
        "",
        f"**Scale {study.scale:g}** of the full study ({study.base_side} px, {study.base_epochs} epochs, run names say "
        f"the frames): {study.side} × {study.side} px, at most {study.epochs} epochs, {runs}; val "
        f"{study.split_frames('val')}, test_photoreal {study.split_frames('test_photoreal')} frames. "
        f"Presets {', '.join(study.presets)}; seeds {', '.join(map(str, study.seeds))}.{part}",
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


def _machine(machine: dict[str, Any]) -> str:
    cpu = f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads a training"
    device = "" if machine["device"] == "cpu" else f"{machine['device']}; "
    return f"{device}{cpu}, {machine['arithmetic']}, PyTorch {machine['torch']}"


def _means(results: Results) -> list[str]:
    study = results.study
    rows = [
        [preset, run.name, str(study.scaled(run.frames)), *(_spread(results, (preset, run.name), key) for key in TABLE)]
        for preset in study.presets
        for run in study.runs
    ]
    head = ["preset", "run", "frames", *(METRICS[key].title for key in TABLE)]
    text = (
        "Mean ± standard deviation over seeds of training, which share their frames; one seed has no spread. Synthetic "
        "rock-IoU is over all pixels of the preset's own test_photoreal. Flood is the share of a photograph's own "
        "pixels called rock, without padding; read it beside recall, since a model that sees no rock floods nothing. "
        "POLAR figures are pooled over all labelled pixels."
    )
    return ["## Results", "", *_table(head, rows), text, "", *_baseline(results)]


def _baseline(results: Results) -> list[str]:
    """Say what a threshold without any training reaches on the labelled photographs."""
    found = [row["polar"]["baseline"] for row in results.rows if row["polar"] and row["polar"].get("baseline")]
    if not found:
        return []
    figures = ", ".join(f"{key} {number(found[0][key])}" for key in ("iou", "precision", "recall"))
    return [f"For scale, a local-contrast threshold tuned on the very labelled photographs: rock {figures}.", ""]


def _spread(results: Results, cell: Cell, key: str) -> str:
    found = estimate(list(results.values(cell, key).values()))
    if found is None:
        return NOT_MEASURED
    if METRICS[key].percent:
        return f"{100 * found.mean:.1f}" + (f" ± {100 * found.sd:.1f} %" if found.sd is not None else " %")
    digits = 1 if key == "best_epoch" else 3
    return _plus_minus(found, digits=digits)


def _plus_minus(found: Estimate | None, *, digits: int = 3) -> str:
    if found is None:
        return NOT_MEASURED
    return f"{found.mean:.{digits}f}" + (f" ± {found.sd:.{digits}f}" if found.sd is not None else "")


def _decomposition(results: Results) -> list[str]:
    rows = []
    for each in effects(results):
        differences = [compare(results, key, each["weights"]) for key in EFFECTS]
        said = [NOT_MEASURED if found is None else say_difference(found) for found in differences]
        rows.append([each["effect"], each["preset"], f"{each['from']} → {each['to']}", *said])
    if not rows:
        return []
    head = ["effect of", "preset", "runs", *(METRICS[key].title for key in EFFECTS)]
    text = (
        "Differences are paired by seed. Two intervals of 95 %: over seeds (Student's t), and over the scenes the "
        "photographs show (bootstrap, the trainings as they are)."
    )
    return ["## Randomization at equal size, size at equal randomization", "", *_table(head, rows), text, ""]


def _cross(results: Results) -> list[str]:
    study = results.study
    rows = []
    for cell in [(preset, run.name) for run in study.runs for preset in study.presets]:
        found = [estimate(cross_values(results, cell, other)) for other in study.presets]
        rows.append([
            " ".join(cell),
            *(_plus_minus(each) for each in found),
        ])  # fmt: skip
    head = ["trained on", *(f"tested on {preset}" for preset in study.presets)]
    text = (
        "Rock-IoU on each preset's test_photoreal. Along a row the test changes, down a column the training: only a "
        "column compares trainings on one and the same test."
    )
    return ["## Across versions", "", *_table(head, rows), text, "", *_cross_words(results)]


def _cross_words(results: Results) -> list[str]:
    """Say which version's frames serve best on the tests of the others."""
    cells = references(results.study)
    means: dict[Cell, float] = {}
    for cell in cells:
        others = [estimate(cross_values(results, cell, other)) for other, _ in cells if other != cell[0]]
        if others and all(found is not None for found in others):
            means[cell] = statistics.fmean(found.mean for found in others if found is not None)
    if len(means) < max(2, len(cells)):
        return []
    ranked = sorted(means, key=lambda cell: -means[cell])
    words = ", ".join(f"{cell[0]} {means[cell]:.3f}" for cell in ranked)
    return [f"Mean rock-IoU of {cells[0][1]} on the tests of the other presets: {words}.", ""]


def _findings(result: dict[str, Any]) -> list[str]:
    lines = ["## What held of the published findings, and what did not", ""]
    for finding in result["findings"]:
        lines += [f"**{finding['title']}.** *{VERDICTS[finding['verdict']]}.* {finding['text']}", ""]
    rule = (
        "A finding held where every interval of every difference it asserts lies on its side of zero, did not hold "
        "where one lies on the other side with all its intervals, and is not resolved else. Scale, renderer, "
        "photographs and selection differ from the published series, so signs are compared and not sizes. "
        f"{sum(len(finding['parts']) for finding in result['findings'])} differences are judged at 95 % each: one in "
        "forty would lie on its side by chance alone."
    )
    return [*lines, rule, ""]


def _published(results: Results) -> list[str]:
    rows = []
    for cell, values in PUBLISHED.items():
        for key, value in values.items():
            rows.append([" ".join(cell), METRICS[key].title, say_value(key, value), _spread(results, cell, key)])
    text = (
        "The published series has one seed, RTX renders of 1500 frames, the epoch selected on the test split, and "
        "counts letterbox bars as pixels of the photographs."
    )
    return ["## Beside the published figures", "", *_table(["run", "figure", "published", "here"], rows), text, ""]


def _figures(figures: dict[str, str]) -> list[str]:
    if not figures:
        return []
    lines = ["## Figures", ""]
    for caption, name in figures.items():
        lines += [f"![{caption}](figures/{name})", "", f"*{caption}.*", ""]
    return lines


def _photographs(results: Results) -> list[str]:
    cells = references(results.study)
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
            *_table(["photograph", "scene", *head], rows),
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
        lines += _table(["photograph", "scene", *head], rows)
    problems = _distinct(p for row in results.rows for f in ("real", "polar") if row[f] for p in row[f]["problems"])
    return [*lines, *(f"Not scored: {problem}" for problem in problems), *([""] if problems else [])]


def _names(tables: dict[Cell, dict[int, dict[str, Any]]]) -> list[str]:
    return sorted({name for by_seed in tables.values() for table in by_seed.values() for name in table})


def _mean(values: Sequence[float], *, percent: bool = True) -> str:
    if not values:
        return "–"
    return f"{100 * statistics.fmean(values):.1f} %" if percent else f"{statistics.fmean(values):.3f}"


def _trainings(results: Results) -> list[str]:
    rows = []
    for row in results.rows:
        train = row["train"]
        epoch = f"{train['best_epoch']} of {train['epochs']}" if train else NOT_MEASURED
        said = [_value(key, row["metrics"][key]) for key in ("val_iou", *TABLE)]
        rows.append([row["preset"], row["run"], str(row["seed"]), epoch, *said, number(row["scale"])])
    head = ["preset", "run", "seed", "best epoch", *(METRICS[key].title for key in ("val_iou", *TABLE)), "scale"]
    return ["## Each training", "", *_table(head, rows)]


def _value(key: str, value: float | None) -> str:
    return NOT_MEASURED if value is None else say_value(key, value)


def _method(results: Results, result: dict[str, Any]) -> list[str]:
    study = results.study
    recipe = ", ".join(f"{name} {value}" for name, value in result["study"]["recipe"].items())
    lines = [
        "## How",
        "",
        "Frames are generated by the embedded renderer, one data seed for all trainings; the smaller run of a kind is "
        "the first frames of the larger one, by links. One recipe for all trainings, the epoch selected on val of the "
        f"same preset. What of the recipe is not the default: {recipe or 'nothing'}.",
    ]
    for name, values in result["recipe_differences"].items():
        lines.append(f"**The recipes differ** in {name}: {', '.join(map(str, values))}.")
    lines.append(f"Code: {', '.join(str(revision) for revision in result['revisions']) or 'no training yet'}.")
    return [*lines, "", "```", study.command, "```", ""]
