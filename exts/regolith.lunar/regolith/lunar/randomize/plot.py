"""Figure of what a split draws: a histogram for every parameter that varies, and where the sun stands."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from regolith.lunar.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec

    from regolith.lunar.randomize.draws import Draws

_PAPER, _CARD, _INK, _DIM, _FAINT, _STRAY = "#14161a", "#1a1d22", "#d9dce1", "#8d949e", "#3a3f47", "#ff3b4e"
_COLORS = {
    "light": "#ffd166",
    "ground": "#c9b79c",
    "rocks": "#ff8a5c",
    "craters": "#6cb6ff",
    "camera": "#7bd88f",
    "sensor": "#c792ea",
    "dynamics": "#4dd0c4",
}
_ROSE = 2  # cells on a side
_WIDTH_IN, _CELL_IN, _HEAD_IN, _LINE_IN = 14.0, 1.85, 1.0, 0.2
_LEFT, _RIGHT = 0.035, 0.985


def plot_draws(draws: list[Draws], result: dict[str, Any], path: Path) -> None:
    """Draw a split's values against what was asked for.

    Every parameter that varies has a histogram: the line is the count even draws have in a bin, the band two standard
    deviations of independent ones (binomial), the dotted lines the ends of the range; what lies outside is red. What is
    drawn for each rock or crater is that of the scenes built, without a line: not all of it is drawn evenly. The sun's
    places on the sky are one more panel. What is fixed, or of which there is nothing in these scenes, is named below.

    Args:
        draws: Parameters with their values.
        result: Result of `regolith randomize`, for the title.
        path: PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [draw for draw in draws if draw.varies and len(draw.values)]
    sun = {draw.name: draw for draw in draws if draw.name in ("sun_azimuth_deg", "sun_elevation_deg")}
    rose = any(draw.varies for draw in sun.values())
    rows, columns = _shape(len(shown) + (_ROSE**2 if rose else 0), rose=rose)
    notes = _notes(draws)
    foot = 0.35 + _LINE_IN * sum(len(lines) for _, lines in notes)
    height = _HEAD_IN + rows * _CELL_IN + foot
    figure = Figure(figsize=(_WIDTH_IN, height), dpi=120, facecolor=_PAPER)
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        max(rows, 1), columns, left=_LEFT, right=_RIGHT, top=1 - _HEAD_IN / height, bottom=(foot + 0.3) / height,
        hspace=0.72, wspace=0.22,
    )  # fmt: skip
    taken = _ROSE if rose else 0
    free = [(row, column) for row in range(rows) for column in range(columns) if row >= taken or column >= taken]
    if rose:
        _rose(figure, grid, sun["sun_azimuth_deg"], sun["sun_elevation_deg"])
    for draw, cell in zip(shown, free, strict=False):
        _histogram(figure.add_subplot(grid[cell]), draw, result["scenes_built"])
    _head(figure, result, height)
    _foot(figure, notes, height)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", facecolor=_PAPER)


def _shape(cells: int, *, rose: bool) -> tuple[int, int]:
    """Rows and columns, five or six, that leave the fewest cells empty."""
    rows, columns = min(((math.ceil(cells / c), c) for c in (6, 5)), key=lambda shape: shape[0] * shape[1])
    return max(rows, _ROSE if rose else 0), columns


def _histogram(axes: Any, draw: Draws, built: int) -> None:
    lo, hi, count = draw.asked.lo, draw.asked.hi, len(draw.values)
    bins = min(max(round(math.sqrt(count) / 1.4), 4), 24)
    color, even = _COLORS[draw.randomizer], count / bins
    spread = 2.0 * math.sqrt(even * (1.0 - 1.0 / bins))
    counts, edges = np.histogram(draw.values, bins, (lo, hi))
    axes.set_facecolor(_CARD)
    axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color=color, alpha=0.8, edgecolor=_CARD, linewidth=0.8)
    if draw.per != "item":
        axes.fill_between([lo, hi], max(even - spread, 0.0), even + spread, color=_INK, alpha=0.16, lw=0, zorder=3)
        axes.plot([lo, hi], [even, even], color=_INK, lw=1.1, zorder=4)
    for end in (lo, hi):
        axes.axvline(end, color=_INK, lw=0.9, ls=(0, (1, 2)), zorder=4)
    if len(draw.stray):
        axes.plot(draw.stray, np.full(len(draw.stray), 0.04 * even), "x", color=_STRAY, ms=6, mew=1.6, zorder=5)
    every = [lo, hi, *draw.stray]
    margin = 0.05 * (max(every) - min(every))
    axes.set_xlim(min(every) - margin, max(every) + margin)
    axes.set_ylim(0, 1.08 * max(counts.max(), even + spread))
    axes.set_xticks([lo, draw.asked.center, hi], [_tick(value) for value in (lo, draw.asked.center, hi)])
    tick = even if draw.per != "item" else float(counts.max())
    axes.set_yticks([tick], [f"{tick:.3g}"])
    axes.tick_params(colors=_DIM, labelsize=7.5, length=2.5, pad=2)
    axes.set_xlabel(f"[{draw.unit}]" if draw.unit else "[1]", color=_DIM, fontsize=7.5, labelpad=0.5)
    axes.set_title(draw.name, color=_INK, fontsize=9, loc="left", pad=4)
    scenes = count if draw.per == "scene" else built
    scope = draw.randomizer if draw.per in ("frame", "traverse") else f"{scenes} scene{'s' * (scenes > 1)}"
    if draw.per == "item":
        scope = f"{count:,} {draw.randomizer} of {scope}"
    axes.set_title(scope, color=color, fontsize=7.5, loc="right", pad=4)
    for spine in axes.spines.values():
        spine.set_color(_FAINT)


def _tick(value: float) -> str:
    return f"{value:.4g}".replace("-", "\u2212")


def _rose(figure: Figure, grid: GridSpec, azimuth: Draws, elevation: Draws) -> None:
    """The sky seen from below its pole: zenith in the middle, horizon around it, +X to the right."""
    axes: Any = figure.add_subplot(grid[:_ROSE, :_ROSE], projection="polar")
    axes.set_facecolor(_CARD)
    start, stop = np.radians([azimuth.asked.lo, azimuth.asked.hi])
    turn = np.linspace(start, stop, 200)
    axes.fill_between(
        turn, 90.0 - elevation.asked.hi, 90.0 - elevation.asked.lo, color=_COLORS["light"], alpha=0.13, lw=0
    )
    size = min(max(4500.0 / len(azimuth.values), 3.0), 22.0)
    axes.scatter(
        np.radians(azimuth.values), 90.0 - elevation.values, c=elevation.values, cmap=_warm(), s=size, lw=0, zorder=3,
        vmin=elevation.asked.lo, vmax=max(elevation.asked.hi, elevation.asked.lo + 1e-6),
    )  # fmt: skip
    axes.set_rlim(0.0, 90.0)
    axes.set_rgrids([30, 60, 90], [])
    box = {"fc": _CARD, "ec": "none", "alpha": 0.75, "pad": 0.8}
    for label, radius in (("zenith", 0.0), ("60°", 30.0), ("30°", 60.0)):
        axes.text(
            math.radians(67.5), radius, label, color=_DIM, fontsize=7.5, ha="center", va="center", bbox=box, zorder=5
        )
    axes.set_thetagrids([0, 45, 90, 135, 180, 225, 270, 315], ["+X", "", "+Y", "", "−X", "", "−Y", ""])
    axes.tick_params(colors=_DIM, labelsize=8, pad=0)
    axes.grid(color=_FAINT, lw=0.6)
    axes.spines["polar"].set_color(_FAINT)
    top = grid[0, 0].get_position(figure).y1
    figure.text(_LEFT, top + 4 / 72 / figure.get_figheight(), "where the sun stands", color=_INK, fontsize=9)


def _warm() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("sun", ["#f2643d", "#ffb14e", "#ffd166", "#fff4d6"])


def _head(figure: Figure, result: dict[str, Any], height: float) -> None:
    title, below = 1 - 0.30 / height, 1 - 0.55 / height
    frames = f"{result['frames']} frame{'s' * (result['frames'] > 1)}"
    parts = [result["preset"], result["split"], frames, f"seed {result['seed']}"]
    parts += [f"{result['sampling']} draws", f"strength {result['strength']:g}"]
    figure.text(_LEFT, title, "Drawn against asked", color=_INK, fontsize=14, weight="bold", va="center")
    figure.text(_RIGHT, title, " · ".join(parts), color=_INK, fontsize=10.5, va="center", ha="right")
    text = "bars: drawn    line: even    band: ±2σ of independent draws    dotted: the range asked for"
    figure.text(_LEFT, below, text, color=_DIM, fontsize=8.5, va="center")
    measured = result["discrepancy"]
    if measured is not None:
        case = measured["pairs"] or measured
        where = "over pairs of ranges: " if measured["pairs"] else "over the range: "
        text = f"centred discrepancy² {where}{case['drawn'] / case['independent']:.2f} × the mean of independent draws"
        figure.text(_RIGHT, below, text, color=_DIM, fontsize=8.5, va="center", ha="right")


def _notes(draws: list[Draws]) -> list[tuple[str, list[str]]]:
    """What has no histogram, as headed lines of at most 190 characters."""
    import textwrap

    items = [_words(draw) for draw in draws if draw.per == "item" and draw.varies and not len(draw.values)]
    fixed = [_words(draw) for draw in draws if not draw.varies]
    heads = (("drawn in the scene", items), ("fixed", fixed))
    return [(head, textwrap.wrap("   ".join(words), 190)) for head, words in heads if words]


def _words(draw: Draws) -> str:
    """Name, range and unit that stay on one line; of a fixed value drawn as another also that."""
    ends = f"{draw.asked.lo:g}" if not draw.varies else f"{draw.asked.lo:g} … {draw.asked.hi:g}"
    stray = f" (drawn {draw.stray.min():g} … {draw.stray.max():g})" if len(draw.stray) else ""
    return f"{draw.name} {ends} {draw.unit}{stray}".rstrip().replace(" ", "\u00a0")


def _foot(figure: Figure, notes: list[tuple[str, list[str]]], height: float) -> None:
    y = 0.12 + _LINE_IN * (sum(len(lines) for _, lines in notes) - 0.5)
    for head, lines in notes:
        figure.text(_LEFT, y / height, head, color=_INK, fontsize=8.5, va="center")
        for line in lines:
            figure.text(0.135, y / height, line, color=_DIM, fontsize=8, va="center")
            y -= _LINE_IN
