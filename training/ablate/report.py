"""results.json and RESULTS.md: every figure of a study, with its spread, its scale and what was not measured."""

from __future__ import annotations

import statistics
from typing import Any

from regolith.lunar.files import write_bytes, write_json
from training.ablate.collect import METRICS, Cell, Results, collect
from training.ablate.contrasts import compare, effects, estimate
from training.ablate.figures import cross_values, draw_figures
from training.ablate.findings import PUBLISHED, VERDICTS, findings, say_difference, say_value
from training.ablate.parts import (
    NOT_MEASURED,
    common_results,
    estimate_fields,
    figure_lines,
    head_lines,
    mean_lines,
    photograph_lines,
    plus_minus,
    say_spread,
    table_lines,
    training_lines,
)
from training.ablate.schedule import Schedule
from training.ablate.study import Study

EFFECTS = ("synth_iou", "flood_mean", "polar_iou", "polar_recall")


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
    return common_results(results, schedule) | {
        "effects": [
            {key: each[key] for key in ("preset", "effect", "from", "to")}
            | {"differences": _differences(results, each["weights"])}
            for each in effects(results)
        ],
        "cross": [
            {"trained": preset, "run": run, "tested": other}
            | estimate_fields(estimate(cross_values(results, (preset, run), other)))
            for preset in study.presets
            for run in (each.name for each in study.runs)
            for other in study.presets
        ],
        "published": [{"preset": p, "run": r, **values} for (p, r), values in PUBLISHED.items()],
        "findings": findings(results),
    }  # fmt: skip


def _differences(results: Results, weights: dict[Cell, float]) -> dict[str, Any]:
    found = {key: compare(results, key, weights) for key in EFFECTS}
    return {key: difference and difference.to_dict() for key, difference in found.items()}


# -- RESULTS.md ------------------------------------------------------------------------------------------------------


def to_markdown(results: Results, result: dict[str, Any], figures: dict[str, str]) -> str:
    """Write the report."""
    parts = [
        *head_lines(results, result, "Ablation: scene generation, domain randomization, number of frames"),
        *mean_lines(results, "the preset's own test_photoreal"),
        *_decomposition(results),
        *_cross(results),
        *_findings(result),
        *_published(results),
        *figure_lines(figures),
        *photograph_lines(results, references(results.study)),
        *training_lines(results),
        *_method(results, result),
    ]
    return "\n".join(parts).rstrip() + "\n"


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
    return ["## Randomization at equal size, size at equal randomization", "", *table_lines(head, rows), text, ""]


def _cross(results: Results) -> list[str]:
    study = results.study
    rows = []
    for cell in [(preset, run.name) for run in study.runs for preset in study.presets]:
        found = [estimate(cross_values(results, cell, other)) for other in study.presets]
        rows.append([
            " ".join(cell),
            *(plus_minus(each) for each in found),
        ])  # fmt: skip
    head = ["trained on", *(f"tested on {preset}" for preset in study.presets)]
    text = (
        "Rock-IoU on each preset's test_photoreal. Along a row the test changes, down a column the training: only a "
        "column compares trainings on one and the same test."
    )
    return ["## Across versions", "", *table_lines(head, rows), text, "", *_cross_words(results)]


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
            rows.append([" ".join(cell), METRICS[key].title, say_value(key, value), say_spread(results, cell, key)])
    text = (
        "The published series has one seed, RTX renders of 1500 frames, the epoch selected on the test split, and "
        "counts letterbox bars as pixels of the photographs."
    )
    return ["## Beside the published figures", "", *table_lines(["run", "figure", "published", "here"], rows), text, ""]


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
