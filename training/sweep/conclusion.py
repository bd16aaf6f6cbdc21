"""What the differences between the levels of a sweep show, by rule, in plain words."""

from __future__ import annotations

import itertools
from typing import Any

from training.ablate.collect import POLICY_SUCCESS, TITLES, Cell, Results
from training.ablate.contrasts import LEVEL, Difference, compare, estimate, minus
from training.ablate.findings import Verdict, judge, say_difference, say_value

JUDGED = ("synth_iou", "polar_iou", "polar_recall", "flood_mean", POLICY_SUCCESS)
"""Figures whose differences are judged."""
SAID: dict[Verdict, str] = {
    "held": "shown to rise",
    "did not hold": "shown to fall",
    "not resolved": "not shown, for an interval holds 0",
    "one seed": "not shown, for one seed has no interval",
    "not measured": "not measured",
}
"""Verdict on a rise to what is said of the figure."""


def differences(results: Results, cells: list[Cell]) -> list[dict[str, Any]]:
    """Return every difference between two levels, of every figure that is judged.

    Args:
        results: The sweep's.
        cells: The levels, in their order.

    Returns:
        {metric, from, to, verdict, difference} each, paired by seed; what has not been measured is left out.
    """
    found = []
    for metric in (key for key in JUDGED if all(key in row["metrics"] for row in results.rows)):
        for before, after in itertools.combinations(cells, 2):
            difference = compare(results, metric, minus(after, before))
            if difference is not None:
                found.append({
                    "metric": metric, "from": before[0], "to": after[0], "verdict": verdict(difference),
                    "difference": difference,
                })  # fmt: skip
    return found


def verdict(difference: Difference) -> Verdict:
    """Say whether a difference is shown: every interval there is lies on one side of 0; one seed shows nothing."""
    found = judge(difference, 1)
    return "one seed" if difference.estimate.seeds < 2 else found


def conclude(results: Results, cells: list[Cell], found: list[dict[str, Any]]) -> list[str]:
    """Say in sentences what the sweep shows, and what it does not.

    Args:
        results: The sweep's.
        cells: The levels, in their order.
        found: What `differences` returned.
    """
    if not found:
        return ["No two levels have been measured yet."]
    said = []
    for metric in dict.fromkeys(each["metric"] for each in found):
        title, mine = TITLES[metric].title, [each for each in found if each["metric"] == metric]
        parts = [
            f"from {each['from']} to {each['to']} {say_difference(each['difference'])}, {SAID[each['verdict']]}"
            for each in mine
        ]
        said.append(f"{title[0].upper()}{title[1:]}: {_highest(results, cells, metric)}; {'; '.join(parts)}.")
    shown = sum(each["verdict"] in ("held", "did not hold") for each in found)
    said.append(
        f"Of {len(found)} differences {shown} are shown. Each is judged at {100 * LEVEL:.0f} % by itself: where "
        f"nothing differs, about one in {round(1 / (1 - LEVEL))} is shown by chance."
    )
    return said


def _highest(results: Results, cells: list[Cell], metric: str) -> str:
    means = {cell[0]: estimate(list(results.values(cell, metric).values())) for cell in cells}
    measured = {level: found.mean for level, found in means.items() if found is not None}
    level = max(measured, key=lambda each: measured[each])
    return f"highest mean at {level}, {say_value(metric, measured[level])}"
