"""Figure of the transfer study: scores of the arms against what networks trained on them reach."""

from __future__ import annotations

from typing import Any

import numpy as np

from regolith.lunar.report.plots import CARD, COLORS, DIM, INK, LINE, style_axes, to_svg

PRODUCT = "default: ground neighbour"
"""The score that separated the generations of scenes best (docs/quality-features.md)."""


def draw(summary: dict[str, Any], best: str) -> str:
    """Draw the product's score and the chosen one against rock-IoU of both real sets, as SVG text.

    Args:
        summary: Content of results.json.
        best: Name of the score beside the product's.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), facecolor=CARD, layout="constrained")
    panels = figure.subplots(2, 2)
    found = summary["correlations"]["main"]["rows"]
    for row, (title, key) in enumerate((("POLAR", "polar_iou"), ("Apollo", "apollo_iou"))):
        for column, name in enumerate((PRODUCT, best)):
            axes = panels[row][column]
            for color, (group, names) in zip(COLORS, summary["groups"].items(), strict=False):
                _points(axes, summary, [arm for arm in names if arm in summary["arms"]], title, key, name, color, group)
            value = found[key][name]["spearman"] if name in found[key] else None
            text = "" if value is None else f"Spearman {value:+.2f} over generations and broken sets"
            axes.set(xlabel=name, ylabel=f"{title} rock-IoU", title=text, ylim=(0, None))
            axes.title.set_fontsize(10)
            style_axes(axes)
    panels[0][0].legend(facecolor=CARD, edgecolor=LINE, labelcolor=INK, fontsize=9)
    return to_svg(figure)


def _points(
    axes: Any, summary: dict[str, Any], arms: list[str], title: str, key: str, name: str, color: str, group: str
) -> None:
    """Draw arms: the mean over seeds with the range of the seeds."""
    rows = [(arm, summary["arms"][arm]) for arm in arms]
    x = [row["scores"][title][name][0] for _, row in rows]
    runs = [[run[key] for run in row["runs"].values()] for _, row in rows]
    y = np.array([np.mean(values) for values in runs])
    reach = np.array([[m - min(values), max(values) - m] for m, values in zip(y, runs, strict=True)]).reshape(-1, 2).T
    axes.errorbar(x, y, yerr=reach, fmt="o", color=color, ecolor=DIM, elinewidth=1, label=group)
    for (arm, _), px, py in zip(rows, x, y, strict=True):
        axes.annotate(arm, (px, py), xytext=(5, 4), textcoords="offset points", color=INK, fontsize=8)
