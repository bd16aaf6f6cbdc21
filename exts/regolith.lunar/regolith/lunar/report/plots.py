"""Plots of a run as SVG text: training curves, the confusion matrix, confidence against accuracy."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

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


def training_curves(epochs: Sequence[dict[str, Any]], best_epoch: int) -> str:
    """Draw losses and validation IoU by epoch.

    Args:
        epochs: Lines of `metrics.jsonl`.
        best_epoch: Epoch that was kept.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), facecolor=CARD, layout="constrained")
    left, right = figure.subplots(1, 2)
    x = [epoch["epoch"] for epoch in epochs]
    for key, color in (("train_loss", COLORS[0]), ("val_loss", COLORS[1])):
        left.plot(x, [epoch[key] for epoch in epochs], color=color, label=key.replace("_", " "), marker="o", ms=3)
    left.set(xlabel="epoch", ylabel="weighted cross-entropy")
    for name, color in zip(("rock", "regolith", "sky"), COLORS[2:] + COLORS[1:2], strict=True):
        values = [np.nan if epoch["iou"][name] is None else epoch["iou"][name] for epoch in epochs]
        right.plot(x, values, color=color, label=f"{name} IoU", marker="o", ms=3)
    right.axvline(best_epoch, color=DIM, linestyle=":", label="kept")
    right.set(xlabel="epoch", ylabel="IoU on val", ylim=(0, 1.02))
    for axes in (left, right):
        style_axes(axes)
        axes.legend(facecolor=CARD, edgecolor=LINE, labelcolor=INK, fontsize=9)
    return to_svg(figure)


def confusion_matrix(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """Draw a confusion matrix.

    Args:
        matrix: Pixels, true class by row, predicted class by column, shape [C, C].
        names: Class names.
    """
    from matplotlib.figure import Figure

    counts = np.asarray(matrix, np.float64)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(4.6, 3.8), facecolor=CARD, layout="constrained")
    axes = figure.subplots()
    axes.imshow(share, cmap="cividis", vmin=0, vmax=1)
    style_axes(axes)
    axes.grid(visible=False)
    axes.set(
        xlabel="predicted", ylabel="true",
        xticks=range(len(names)), yticks=range(len(names)), xticklabels=names, yticklabels=names,
    )  # fmt: skip
    for (row, column), value in np.ndenumerate(share):
        axes.text(column, row, f"{value:.1%}", ha="center", va="center", color="black" if value > 0.6 else INK)
    return to_svg(figure)


def reliability(bins: Sequence[dict[str, Any]]) -> str:
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
    return to_svg(figure)


def to_svg(figure: Figure, *, dpi: float = 100) -> str:
    """Return a figure as SVG text, the same for the same figure.

    Args:
        figure: What to draw.
        dpi: Resolution of the parts that are rasterized.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "regolith", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", dpi=dpi, metadata={"Date": None})
    return buffer.getvalue()
