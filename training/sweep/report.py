"""results.json, RESULTS.md and the figures of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regolith.lunar.files import write_bytes, write_json
from regolith.lunar.reading import read_json
from regolith.lunar.report.plots import INK, style_axes, to_svg
from training.ablate.collect import POLICY_SUCCESS, TITLES, Cell, Results, collect
from training.ablate.contrasts import estimate
from training.ablate.figures import PALETTE, draw_photographs, make_figure
from training.ablate.findings import say_difference
from training.ablate.parts import (
    common_results,
    figure_lines,
    head_lines,
    mean_lines,
    photograph_lines,
    table_lines,
    training_lines,
)
from training.ablate.schedule import Schedule
from training.ablate.study import Study
from training.sweep.conclusion import JUDGED, SAID, conclude, differences
from training.sweep.policy_steps import DrivePolicy


def write_report(study: Study, schedule: Schedule, shown: list[str], strengths: Mapping[str, float]) -> dict[str, Any]:
    """Write results.json, RESULTS.md and the figures of what is done so far.

    Args:
        study: What was asked for; its `presets` are the levels in their order, with one run each.
        schedule: How far it is.
        shown: Photographs to show overlays of.
        strengths: Level to its `randomize.strength`.

    Returns:
        What results.json holds.
    """
    results = collect(study, schedule)
    policies = _add_policies(results, schedule)
    cells = [(level, study.runs[0].name) for level in study.presets]
    found = differences(results, cells)
    conclusion = conclude(results, cells, found)
    figures = draw_figures(results, cells, strengths, shown, study.out / "figures")
    result = common_results(results, schedule) | {
        "strengths": dict(strengths),
        **({"policies": policies} if policies else {}),
        "differences": [each | {"difference": each["difference"].to_dict()} for each in found],
        "conclusion": conclusion,
        "figures": [f"figures/{name}" for name in figures.values()],
    }
    write_json(study.out / "results.json", result)
    lines = [
        *head_lines(results, result, "Sweep: strength of domain randomization"),
        *_conclusion(conclusion),
        *mean_lines(results, "the one test_photoreal, an unseen domain drawn at full strength"),
        *_policy_lines(policies),
        *_differences(found),
        *figure_lines(figures),
        *photograph_lines(results, cells),
        *training_lines(results),
        *_method(results, strengths),
    ]
    write_bytes(study.out / "RESULTS.md", ("\n".join(lines).rstrip() + "\n").encode())
    return result


def _add_policies(results: Results, schedule: Schedule) -> list[dict[str, Any]]:
    """Put success rates among the figures of the trainings of their level and seed, where policies are asked for.

    Returns:
        What is known of each policy that was tried.
    """
    drives = [step for step in schedule.steps.values() if isinstance(step, DrivePolicy)]
    found = []
    for row in results.rows if drives else []:
        step = next(each for each in drives if (each.arm, each.seed) == (row["preset"], row["seed"]))
        success = None
        if step.name in schedule.done:
            success = read_json(step.result_file)["totals"]["policy"]["success"]
            found.append({"level": step.arm, "seed": step.seed, "success": success})
        row["metrics"][POLICY_SUCCESS] = success and success["share"]
    return found


def _policy_lines(policies: Sequence[dict[str, Any]]) -> list[str]:
    if not policies:
        return []
    rows = [
        [each["level"], str(each["seed"]), str(each["success"]["runs"]),
         *(f"{100 * each['success'][key]:.0f} %" for key in ("share", "lo", "hi"))]
        for each in policies
    ]  # fmt: skip
    text = (
        "A policy learns on stages randomized as strongly. Friction, mass, gain, delay, noise of actions and readings, "
        "and noise and blur of the camera are drawn too, from ranges that shrink towards the simulation that knows of "
        "none of these: at strength 0 the rover is as it is drawn, without delay and noise. It is tried in a "
        "simulation with 0.8 of the friction, 1.1 of the mass and camera noise of 0.03 of full scale. A drive "
        "succeeds where it reaches the goal and touches no rock; the interval is Wilson's at 95 %, over drives."
    )
    return ["## Policies", "", *table_lines(["level", "seed", "drives", "success", "from", "to"], rows), text, ""]


def _conclusion(said: Sequence[str]) -> list[str]:
    return ["## Conclusion", "", *(f"- {sentence}" for sentence in said), ""]


def _differences(found: Sequence[dict[str, Any]]) -> list[str]:
    if not found:
        return []
    rows = [
        [TITLES[each["metric"]].title, f"{each['from']} → {each['to']}", say_difference(each["difference"]),
         SAID[each["verdict"]]]
        for each in found
    ]  # fmt: skip
    text = (
        "Paired by seed: equal seeds begin with equal weights. Two intervals of 95 %: over seeds (Student's t), and "
        "over the scenes that photographs show (bootstrap, the trainings as they are). A difference is shown where "
        "every interval there is lies on one side of 0."
    )
    head = ["figure", "levels", "difference", "verdict"]
    return ["## Differences between levels", "", *table_lines(head, rows), text, ""]


def _method(results: Results, strengths: Mapping[str, float]) -> list[str]:
    study = results.study
    levels = ", ".join(f"{level} = {strength:g}" for level, strength in strengths.items())
    text = (
        f"`randomize.strength` of the training frames: {levels}; it shrinks every range about its centre, so 0 fixes "
        "light, ground, rocks, camera and sensor, while the camera's place and the lie of the land still vary. All "
        "levels have one recipe, as many frames and epochs, and one val at full strength, which chooses the epoch."
    )
    return ["## How", "", text, "", "```", study.command, "```", ""]


def draw_figures(
    results: Results, cells: Sequence[Cell], strengths: Mapping[str, float], shown: list[str], folder: Path
) -> dict[str, str]:
    """Draw what there is to draw; returns caption to file name.

    Args:
        results: The sweep's.
        cells: The levels, in their order.
        strengths: Level to its `randomize.strength`.
        shown: Photographs to show overlays of.
        folder: Where the pictures go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn: dict[str, str] = {}
    curves = by_strength(results, cells, strengths)
    if curves is not None:
        write_bytes(folder / "strength.svg", curves.encode())
        drawn["Mean over seeds with its 95 % interval against the strength of randomization; a dot is a seed"] = (
            "strength.svg"
        )
    return drawn | draw_photographs(results, list(cells), shown, folder)


def by_strength(results: Results, cells: Sequence[Cell], strengths: Mapping[str, float]) -> str | None:
    """Draw the judged figures against the strength of randomization; None where nothing is measured."""
    known = [key for key in JUDGED if all(key in row["metrics"] for row in results.rows)]
    metrics = [key for key in known if any(results.values(cell, key) for cell in cells)]
    if not metrics:
        return None
    figure = make_figure(1.5 + 3.6 * len(metrics), 3.6)
    for color, (axes, key) in enumerate(zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True)):
        points: list[tuple[float, float]] = []
        for cell in cells:
            x, values = strengths[cell[0]], list(results.values(cell, key).values())
            found = estimate(values)
            if found is None:
                continue
            axes.plot([x] * len(values), values, "o", color=INK, ms=3.5, alpha=0.8)
            if found.lo is not None and found.hi is not None:
                axes.plot([x, x], [found.lo, found.hi], color=INK, lw=1.2)
            points.append((x, found.mean))
        axes.plot(*zip(*points, strict=True), "-s", color=PALETTE[color], ms=5)
        axes.set(xlabel="strength of randomization", ylabel=TITLES[key].title)
        style_axes(axes)
        if TITLES[key].percent:
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return to_svg(figure)
