"""Figure of how classes look in synthetic and in real pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.files import replacing
from regolith.lunar.perception.folders import SOFTWARE
from regolith.lunar.report.plots import CARD, COLORS, DIM, INK, LINE, style_axes

SIDES = (("synth", "synthetic", COLORS[0]), ("real", "real", COLORS[1]))


def plot_appearance(result: dict[str, Any], path: Path) -> None:
    """Draw spectrum, its ratio, luminance and edge directions of each class that both sides have, a row each.

    Args:
        result: As `appearance.score_appearance` returns it.
        path: PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = {name: row for name, row in result["classes"].items() if not row["note"]}
    figure = Figure(figsize=(15, 0.6 + 2.9 * max(len(rows), 1)), dpi=100, facecolor=CARD, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(
        f"{result['synth']['folder']} against {result['real']['folder']}, {result['size']} px",
        color=INK,
        fontsize=11,
        parse_math=False,
    )
    if rows:
        for axes, (name, row) in zip(figure.subplots(len(rows), 4, squeeze=False), rows.items(), strict=True):
            _draw_row(axes, name, row)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": SOFTWARE})


def _draw_row(axes: Any, name: str, row: dict[str, Any]) -> None:
    spectrum, ratio, levels, edges = axes
    found = row["spectrum"]
    if found is not None:
        x = found["cycles_per_px"]
        for key, label, color in SIDES:
            spectrum.semilogy(x, found[key], color=color, label=label, marker="o", ms=3)
        ratio.axhline(0, color=DIM, linewidth=0.8)
        ratio.plot(x, found["db"], color=COLORS[2], marker="o", ms=3)
        if found["interval_db"] is not None:
            low, high = np.array(found["interval_db"]).T
            ratio.fill_between(x, low, high, color=COLORS[2], alpha=0.25, linewidth=0)
    spectrum.set(xlabel="cycles per pixel", ylabel=f"{name}: power of contrast")
    ratio.set(xlabel="cycles per pixel", ylabel="synthetic by real [dB]")
    for key, label, color in SIDES:
        for panel, part, scale in ((levels, "luminance", 1.0), (edges, "edges", 180.0)):
            if row[part][key] is not None:
                values = np.array(row[part][key])
                panel.step(np.arange(len(values)) * scale / len(values), values, color=color, label=label, where="mid")
    levels.set(xlabel="luminance as displayed", ylabel="share of pixels")
    edges.set(xlabel="direction of edges [°]", ylabel="share of gradient", ylim=(0, None))
    for panel in axes:
        style_axes(panel)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(facecolor=CARD, edgecolor=LINE, labelcolor=INK, fontsize=8)
