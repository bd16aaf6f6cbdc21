"""Plots of a run as SVG text: training curves, the confusion matrix, confidence against accuracy."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from regolith.lunar.perception.plots import CARD, COLORS, DIM, INK, LINE, reliability_figure, style_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    """Draw what `perception.plots.reliability_figure` does."""
    return to_svg(reliability_figure(bins))


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
