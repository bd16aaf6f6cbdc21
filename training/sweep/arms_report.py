"""results.json, RESULTS.md and the figure of a comparison of arms in worlds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from regolith.lunar.files import write_bytes, write_json
from regolith.lunar.report.plots import INK, style_axes, to_svg
from training.ablate.collect import POLICY_SUCCESS, TITLES, Cell, Results, collect
from training.ablate.contrasts import LEVEL, Difference, Estimate, estimate
from training.ablate.figures import PALETTE, make_figure
from training.ablate.findings import Verdict, say_difference, say_value
from training.ablate.parts import (
    NOT_MEASURED,
    common_results,
    estimate_fields,
    figure_lines,
    head_lines,
    table_lines,
    training_lines,
)
from training.ablate.schedule import Schedule
from training.ablate.study import Study
from training.sweep.conclusion import SAID, verdict
from training.sweep.policy_steps import DrivePolicy, success_of

FIGURES = ("synth_iou", POLICY_SUCCESS)
"""What is measured of every arm in a world: the detector's rock-IoU, and the policy's success rate."""

Place = tuple[str, Cell]
"""World and arm."""


@dataclasses.dataclass(frozen=True)
class Contrast:
    """A weighted sum of figures over worlds and arms."""

    words: str
    """What changes, in words that say nothing of which way."""
    kind: str
    """`drop`, `cost`, `recovery` or `effect`."""
    name: str
    """What it is the cost of, or the recovery or effect by, in short."""
    weights: Mapping[Place, float]


class Measured:
    """Figures by figure, world, arm and seed, as far as they are there."""

    def __init__(self, results: Results, schedule: Schedule) -> None:
        self._seeds = results.study.seeds
        self._values: dict[tuple[str, str, str, int], float] = {}
        for row in results.rows:
            for world, found in row["synth"].items():
                if found and found["iou"] is not None:
                    self._values["synth_iou", world, row["preset"], row["seed"]] = found["iou"]
        for name in schedule.done:
            step = schedule.steps[name]
            if isinstance(step, DrivePolicy) and (share := success_of(step)) is not None:
                self._values[POLICY_SUCCESS, step.world, step.arm, step.seed] = share

    def values(self, figure: str, place: Place) -> dict[int, float]:
        """A figure by seed."""
        world, (arm, _) = place
        found = {seed: self._values.get((figure, world, arm, seed)) for seed in self._seeds}
        return {seed: value for seed, value in found.items() if value is not None}

    def compare(self, figure: str, weights: Mapping[Place, float]) -> Difference | None:
        """A weighted sum paired by seed; None where no seed has all of it."""
        by_place = {place: self.values(figure, place) for place in weights}
        seeds = [seed for seed in self._seeds if all(seed in found for found in by_place.values())]
        found = estimate([sum(weight * by_place[place][seed] for place, weight in weights.items()) for seed in seeds])
        return None if found is None else Difference(figure, {}, found, None)


def write_report(
    study: Study,
    schedule: Schedule,
    title: str,
    contrasts: Sequence[Contrast],
    *,
    method: str,
    notes: Sequence[str],
) -> dict[str, Any]:
    """Write results.json, RESULTS.md and the figure of what is done so far.

    Args:
        study: What was asked for; its `presets` are the arms in their order, with one run each.
        schedule: How far it is.
        title: Of the report.
        contrasts: What is compared.
        method: How it was done.
        notes: What is to be said beside the figures.

    Returns:
        What results.json holds.
    """
    results = collect(study, schedule)
    measured = Measured(results, schedule)
    cells = [(arm, study.runs[0].name) for arm in study.presets]
    worlds = sorted({step.world for step in schedule.steps.values() if isinstance(step, DrivePolicy)} | {*study.tested})
    worlds = sorted(worlds, key=("sim", "friction", "mass", "noise", "real").index)
    table = [
        {"arm": cell[0], "world": world, "figure": figure, **estimate_fields(found)}
        for figure in FIGURES
        for cell in cells
        for world in worlds
        if (found := estimate(list(measured.values(figure, (world, cell)).values()))) is not None
    ]
    found = [_judged(measured, contrast, figure) for figure in FIGURES for contrast in contrasts]
    found = [each for each in found if each is not None]
    conclusion = conclude(found)
    (study.out / "figures").mkdir(parents=True, exist_ok=True)
    figures: dict[str, str] = {}
    if table:
        write_bytes(study.out / "figures" / "arms.svg", _bars(measured, cells).encode())
        figures["Mean over seeds in the simulation and in the real one, with its 95 % interval; a dot is a seed"] = (
            "arms.svg"
        )
    result = common_results(results, schedule) | {
        "figures_by_world": table,
        "contrasts": [each | {"difference": each["difference"].to_dict()} for each in found],
        "conclusion": conclusion,
        "notes": list(notes),
        "figures": [f"figures/{name}" for name in figures.values()],
    }
    write_json(study.out / "results.json", result)
    lines = [
        *head_lines(results, result, title),
        "## Conclusion", "", *(f"- {sentence}" for sentence in conclusion), "",
        *_table(measured, cells, worlds),
        *_contrast_lines(found),
        *(f"{note}\n" for note in notes),
        *figure_lines(figures),
        *training_lines(results),
        "## How", "", method, "", "```", study.command, "```", "",
    ]  # fmt: skip
    write_bytes(study.out / "RESULTS.md", ("\n".join(lines).rstrip() + "\n").encode())
    return result


def _judged(measured: Measured, contrast: Contrast, figure: str) -> dict[str, Any] | None:
    difference = measured.compare(figure, contrast.weights)
    if difference is None:
        return None
    return {
        "figure": figure, "words": contrast.words, "kind": contrast.kind, "name": contrast.name,
        "verdict": verdict(difference), "difference": difference,
    }  # fmt: skip


SHOWN: tuple[Verdict, ...] = ("held", "did not hold")


def conclude(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say in sentences what is shown, and what is not.

    Args:
        found: {figure, words, kind, name, verdict, difference} each.
    """
    if not found:
        return ["Nothing has been compared yet."]
    said = []
    for figure in dict.fromkeys(each["figure"] for each in found):
        mine = [each for each in found if each["figure"] == figure]
        title = TITLES[figure].title
        parts = [f"{each['words']} {say_difference(each['difference'])}, {SAID[each['verdict']]}" for each in mine]
        said.append(f"{title[0].upper()}{title[1:]}: {'; '.join(parts)}.")
        costs = [each for each in mine if each["kind"] == "cost"]
        if costs:
            worst = min(costs, key=_mean)
            said.append(
                f"Of single differences {worst['name']} costs most by its mean, {_amount(figure, _mean(worst))}."
                if _mean(worst) < 0.0
                else "No single difference costs anything by its mean."
            )
        recovered = [each for each in mine if each["kind"] == "recovery"]
        drop = next((each for each in mine if each["kind"] == "drop"), None)
        if recovered and drop is not None:
            said.append(_recovery(figure, drop, recovered))
    shown = sum(each["verdict"] in SHOWN for each in found)
    said.append(
        f"Of {len(found)} comparisons {shown} are shown. Each is judged at {100 * LEVEL:.0f} % by itself: where "
        f"nothing differs, about one in {round(1 / (1 - LEVEL))} is shown by chance."
    )
    return said


def _recovery(figure: str, drop: Mapping[str, Any], recovered: Sequence[Mapping[str, Any]]) -> str:
    """How much of the drop each remedy wins back, by the means."""
    lost = -_mean(drop)
    if lost <= 0.0:
        return f"There is no drop to recover from by the means of {TITLES[figure].title}."
    parts = [
        f"{each['name']} {100 * _mean(each) / lost:.0f} %"
        if _mean(each) >= 0.0
        else f"{each['name']} nothing, being {_amount(figure, _mean(each))} lower still"
        for each in recovered
    ]
    return f"Of the drop of {_amount(figure, lost)}, by the means, is won back by {', by '.join(parts)}."


def _mean(found: Mapping[str, Any]) -> float:
    return found["difference"].estimate.mean


def _amount(figure: str, difference: float) -> str:
    """Size of a difference, without its sign."""
    return say_value(figure, abs(difference), signed=True).removeprefix("+")


def _table(measured: Measured, cells: Sequence[Cell], worlds: Sequence[str]) -> list[str]:
    lines = ["## Results", ""]
    for figure in FIGURES:
        rows = []
        for cell in cells:
            by_world = (list(measured.values(figure, (world, cell)).values()) for world in worlds)
            rows.append([cell[0], *(_say(figure, estimate(values)) for values in by_world)])
        title = TITLES[figure].title
        if all(said == NOT_MEASURED for _, *row in rows for said in row):
            continue
        lines += [f"{title[0].upper()}{title[1:]}, by arm and world:", "", *table_lines(["arm", *worlds], rows)]
    return [*lines, "Mean ± standard deviation over seeds, which share their frames and stages.", ""]


def _say(figure: str, found: Estimate | None) -> str:
    if found is None:
        return NOT_MEASURED
    spread = "" if found.sd is None else f" ± {say_value(figure, found.sd)}"
    return say_value(figure, found.mean) + spread


def _contrast_lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    if not found:
        return []
    rows = [
        [TITLES[each["figure"]].title, each["words"], say_difference(each["difference"]), SAID[each["verdict"]]]
        for each in found
    ]
    text = (
        "Paired by seed; a fall is negative; intervals of 95 % over seeds (Student's t). A comparison is shown where "
        "its interval leaves out 0."
    )
    return ["## Comparisons", "", *table_lines(["figure", "what", "difference", "verdict"], rows), text, ""]


def _bars(measured: Measured, cells: Sequence[Cell]) -> str:
    """Draw each figure of every arm in the simulation and in the real one."""
    shown = [figure for figure in FIGURES if any(measured.values(figure, ("real", cell)) for cell in cells)]
    shown = shown or list(FIGURES)
    figure = make_figure(1.5 + 4.2 * len(shown), 3.6)
    for axes, key in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        for offset, (world, color) in enumerate(zip(("sim", "real"), PALETTE, strict=False)):
            for place, cell in enumerate(cells):
                values = list(measured.values(key, (world, cell)).values())
                found = estimate(values)
                if found is None:
                    continue
                x = place + 0.36 * offset - 0.18
                axes.bar(x, found.mean, width=0.34, color=color, label=world if place == 0 else None)
                axes.plot([x] * len(values), values, "o", color=INK, ms=3)
                if found.lo is not None and found.hi is not None:
                    axes.plot([x, x], [found.lo, found.hi], color=INK, lw=1.2)
        axes.set_xticks(range(len(cells)), [cell[0] for cell in cells])
        axes.set(ylabel=TITLES[key].title)
        style_axes(axes)
        axes.legend(fontsize=8)
    return to_svg(figure)
