"""What the transfer study says, in words that follow from its numbers."""

from __future__ import annotations

import itertools
from typing import Any

from transfer_text import OUTCOMES, by_strength, chosen_on_polar, say, signed, spread

from training.ablate.contrasts import estimate

HEADLINE = (
    "default: ground norm",
    "default: mean of both norm",
    "default: ground neighbour",
    "default: mean of both neighbour",
    "ImageNet: mean of both neighbour",
    "default: mean of both mmd",
    "appearance: ground spectrum [dB]",
    "appearance: ground luminance",
    "appearance: ground shadow",
)
"""What a gate would hold a set to: scores of the product."""


def verdict(row: dict[str, Any] | None) -> str:
    """One word for a correlation: by the side of zero its interval lies on."""
    if row is None or row["spearman_interval"] is None:
        return "not defined"
    low, high = row["spearman_interval"]
    return "**foretells**" if low > 0 else "**misleads**" if high < 0 else "not resolved"


def verdicts(found: dict[str, Any]) -> str:
    """A line for each of the product's scores: what it says of each outcome."""
    titles = [title for title, _, _ in OUTCOMES.values()]
    lines = [f"| score of the product | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for name in HEADLINE:
        rows = [found["rows"][key].get(name) for key in OUTCOMES]
        cells = [f"{verdict(row)}, {signed(row['spearman'])}" if row else "–" for row in rows]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def chosen(found: dict[str, Any]) -> str:
    """Tell which score was best on POLAR, and what became of it on Apollo."""
    name = chosen_on_polar(found)
    polar, rows = found["rows"]["polar_iou"][name], found["rows"]
    tried = len(rows["polar_iou"])
    apollo = {title: rows[key].get(name) for key, (title, where, _) in OUTCOMES.items() if where == "Apollo"}
    then = "; ".join(f"{title} {say(row)}, {verdict(row)}" for title, row in apollo.items())
    best = rows["polar_iou"][by_strength(found, "polar_iou")[0]]
    survives = best["p_of_all"] is not None and best["p_of_all"] < 0.05
    return (
        f"Of {tried} scores the best on POLAR rock-IoU is *{name}*: {say(polar, p=True)}. "
        f"{'It stands' if survives else 'It does not stand'} against the best that chance finds among as many. "
        f"Held against Apollo, which had no part in choosing it: {then}."
    )


INGREDIENT_KEYS = ("polar_iou", "apollo_iou", "boulders_iou", "apollo_flood")
"""What an ingredient of a training set is judged by."""


def compare(before: list[dict[str, float]], after: list[dict[str, float]]) -> tuple[list[str], str]:
    """Say what a change of a training set did, paired by seed.

    Args:
        before: Figures of the trainings without it, by seed.
        after: The same with it.

    Returns:
        A cell of a table for each of `INGREDIENT_KEYS`, with the difference's interval of 95 % over seeds; and what
        follows for the change.
    """
    cells, better, worse = [], 0, 0
    for key in INGREDIENT_KEYS:
        a, b = ([run[key] for run in runs] for runs in (before, after))
        percent = key.endswith("flood")
        found = estimate([y - x for x, y in zip(a, b, strict=True)])
        interval = ""
        if found is not None and found.lo is not None and found.hi is not None:
            scale, digits = (100, 1) if percent else (1, 3)
            low, high = (f"{value * scale:+.{digits}f}".replace("-", "−") for value in (found.lo, found.hi))
            interval = f" ({low} … {high})"
            sign = OUTCOMES[key][2]
            better += min(sign * found.lo, sign * found.hi) > 0
            worse += max(sign * found.lo, sign * found.hi) < 0
        cells.append(f"{spread(a, percent)} → {spread(b, percent)}{interval}")
    word = "both ways" if better and worse else "kept" if better else "dropped" if worse else "no difference seen"
    return cells, word


def comparison_table(title: str, rows: dict[str, tuple[list[dict[str, float]], list[dict[str, float]]]]) -> str:
    """A line for each change: figures before and after, by seed, as `compare` says it."""
    titles = [OUTCOMES[key][0] for key in INGREDIENT_KEYS]
    lines = [f"| {title} | {' | '.join(titles)} | |", "|---" * (len(titles) + 2) + "|"]
    for name, (before, after) in rows.items():
        cells, word = compare(before, after)
        lines.append(f"| {name} | {' | '.join(cells)} | {word} |")
    return "\n".join(lines)


def ingredients(summary: dict[str, Any]) -> str:
    """A line for each ingredient: the same number of frames and steps with and without it, paired by seed."""
    names = [name for name in summary["groups"]["mixtures"] if name in summary["arms"]]
    runs = {name: list(summary["arms"][name]["runs"].values()) for name in names}
    rows = {
        f"{after.removeprefix(before + '+')} to {before}": (runs[before], runs[after])
        for before, after in itertools.pairwise(names)
    }
    return comparison_table("added", rows)
