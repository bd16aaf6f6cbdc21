"""The look of all our plots, and confidence against accuracy, which evaluations and their reports draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, DIM, CARD, LINE = "#e9e6e0", "#9d988f", "#1c1b19", "#34322f"
COLORS = ("#e0b26a", "#7fb0d8", "#d8766f", "#8fbf8a")


def style_axes(axes: Any) -> None:
    """Give a matplotlib axes the report's dark look."""
    axes.set_facecolor(CARD)
    axes.tick_params(colors=DIM, labelsize=9)
    axes.grid(visible=True, color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(LINE)
    for label in (axes.xaxis.label, axes.yaxis.label, axes.title):
        label.set_color(INK)


def reliability_figure(bins: Sequence[dict[str, Any]]) -> Figure:
    """Draw accuracy against confidence, as in Guo et al. 2017 (arXiv 1706.04599), and how many pixels have each.

    Args:
        bins: As `perception.calibration.Reliability` returns them, at least one.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 4.6), facecolor=CARD, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    low, high = ([row[key] for row in bins] for key in ("from", "to"))
    widths = [end - start for start, end in zip(low, high, strict=True)]
    above.plot((0, 1), (0, 1), color=DIM, linestyle=":", label="as sure as right")
    above.bar(low, [row["accuracy"] for row in bins], widths, align="edge", color=COLORS[1], edgecolor=CARD)
    x, y = ([row[key] for row in bins] for key in ("confidence", "accuracy"))
    above.plot(x, y, color=COLORS[0], marker="o", ms=4, label="mean confidence and accuracy")
    above.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
    below.bar(low, [row["pixels"] for row in bins], widths, align="edge", color=COLORS[1], edgecolor=CARD)
    below.set(xlabel="confidence", ylabel="pixels", yscale="log")
    for axes in (above, below):
        style_axes(axes)
    above.legend(facecolor=CARD, edgecolor=LINE, labelcolor=INK, fontsize=9)
    return figure
