"""Words and tables of the transfer study."""

from __future__ import annotations

from typing import Any

import numpy as np
from transfer_scores import HIGHER, LOWER

OUTCOMES: dict[str, tuple[str, str, int]] = {
    "polar_iou": ("POLAR rock-IoU", "POLAR", HIGHER),
    "polar_flood": ("POLAR flood", "POLAR", LOWER),
    "apollo_iou": ("Apollo rock-IoU", "Apollo", HIGHER),
    "apollo_flood": ("Apollo flood", "Apollo", LOWER),
    "boulders_iou": ("close-ups rock-IoU", "Apollo", HIGHER),
}
"""Key of a run's figures to its title, the real set whose scores are held against it, and which way is better."""


def chosen_on_polar(found: dict[str, Any]) -> str:
    """The score with the highest Spearman correlation with POLAR rock-IoU, which Apollo had no part in choosing."""
    rows = found["rows"]["polar_iou"]
    known = [name for name in rows if name in found["rows"]["apollo_iou"]]
    return max(known, key=lambda name: rows[name]["spearman"] if rows[name]["spearman"] is not None else -2)


def spread(values: list[float], percent: bool = False) -> str:
    """Mean ± sample standard deviation over seeds."""
    scale, digits, unit = (100, 1, " %") if percent else (1, 3, "")
    mean = float(np.mean(values)) * scale
    if len(values) < 2:
        return f"{mean:.{digits}f}{unit}"
    return f"{mean:.{digits}f} ± {float(np.std(values, ddof=1)) * scale:.{digits}f}{unit}"


COLUMNS = (
    ("POLAR rock-IoU", "polar_iou", False),
    ("precision", "polar_precision", False),
    ("recall", "polar_recall", False),
    ("POLAR flood", "polar_flood", True),
    ("Apollo rock-IoU", "apollo_iou", False),
    ("recall", "apollo_recall", False),
    ("close-ups rock-IoU", "boulders_iou", False),
    ("Apollo flood", "apollo_flood", True),
)


def arm_table(summary: dict[str, Any], names: list[str]) -> str:
    """A line for each arm: what is in it, and what the networks made of the photographs."""
    lines = [
        f"| arm | what | {' | '.join(title for title, _, _ in COLUMNS)} |",
        "|---" * (len(COLUMNS) + 2) + "|",
    ]
    for name in names:
        if name in summary["arms"]:
            arm = summary["arms"][name]
            cells = [spread([run[key] for run in arm["runs"].values()], percent) for _, key, percent in COLUMNS]
            lines.append(f"| {name} | {arm['what']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def signed(value: float | None) -> str:
    """A correlation with its sign."""
    return "–" if value is None else f"{value:+.2f}".replace("-", "−")


def say(row: dict[str, Any] | None, *, p: bool = False) -> str:
    """A Spearman correlation with its interval, and maybe its p-values."""
    if row is None or row["spearman"] is None:
        return "–"
    low, high = row["spearman_interval"] or (None, None)
    text = f"{signed(row['spearman'])} ({signed(low)} … {signed(high)})"
    return text + (f", p {row['p']:.3f}, of all {row['p_of_all']:.3f}" if p else "")


def correlation_table(found: dict[str, Any], names: list[str], *, tau: bool = False) -> str:
    """A line for each score: its correlation with every outcome."""
    rows = found["rows"]
    titles = [title for title, _, _ in OUTCOMES.values()]
    lines = [f"| score | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for name in names:
        cells = []
        for key in OUTCOMES:
            row = rows[key].get(name)
            if tau:
                low, high = (row and row["kendall_interval"]) or (None, None)
                cells.append("–" if row is None else f"{signed(row['kendall'])} ({signed(low)} … {signed(high)})")
            else:
                cells.append(say(row))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def by_strength(found: dict[str, Any], key: str) -> list[str]:
    """Scores from the one that foretells an outcome best to the one that misleads most."""
    rows = found["rows"][key]
    return sorted(rows, key=lambda name: -(rows[name]["spearman"] if rows[name]["spearman"] is not None else -2))


def score_table(summary: dict[str, Any], title: str) -> str:
    """Every score of every arm against a real set; arms across."""
    arms = list(summary["arms"])
    names = list(summary["arms"][arms[0]]["scores"][title])
    lines = [f"| {title}: score (− less is better, + more) | {' | '.join(arms)} |", "|---" * (len(arms) + 1) + "|"]
    for name in names:
        rows = [summary["arms"][arm]["scores"][title].get(name) for arm in arms]
        better = next(row[1] for row in rows if row)
        cells = ["–" if row is None else f"{row[0]:.3f}".replace("-", "−") for row in rows]
        lines.append(f"| {name} ({'+' if better == HIGHER else '−'}) | {' | '.join(cells)} |")
    return "\n".join(lines)
