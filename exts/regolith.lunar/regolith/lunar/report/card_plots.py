"""Plots of a split's card as SVG text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from regolith.lunar.labels import NAMES
from regolith.lunar.params import Interval
from regolith.lunar.randomize.draws import Draws
from regolith.lunar.report.plots import CARD, COLORS, DIM, INK, LINE, style_axes, to_svg
from regolith.lunar.report.split_stats import WRITER_STAGES, Pixels, Timings, equivalent_diameter

CLASS_COLORS = {"regolith": "#b9ac98", "rock": "#d8766f", "sky": "#6d8fb3", "ignore": "#55524e"}
SMALL = 4
"""Regions of fewer pixels than this are drawn apart: too small to tell a rock by."""


def class_shares(counts: dict[str, int], rock_shares: np.ndarray, asked: Interval | None) -> str:
    """Draw the share of each class in all pixels, and of rock by frame.

    Args:
        counts: Pixels by class, ignored ones under `ignore`.
        rock_shares: Share of rock pixels, shape [N frames].
        asked: Range a frame's rock share was asked to lie in, where it was.
    """
    figure = _figure(11, 3.0)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
    total = sum(counts.values())
    names = [name for name in (*NAMES, "ignore") if counts[name]]
    shares = [counts[name] / total for name in names]
    left.barh(names, shares, color=[CLASS_COLORS[name] for name in names], height=0.62)
    for row, share in enumerate(shares):
        left.text(share + 0.015, row, f"{share:.2%}", va="center", color=INK, fontsize=10)
    left.set(xlim=(0, max(shares) * 1.25), xlabel="share of all pixels")
    left.invert_yaxis()
    left.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    right.hist(100 * rock_shares, bins=_bins(len(rock_shares), 40), color=CLASS_COLORS["rock"], alpha=0.9)
    right.axvline(100 * float(np.mean(rock_shares)), color=INK, linestyle=":", label="mean")
    if asked is not None:
        lo, hi = (100 * end for end in (asked.lo, asked.hi))
        right.axvspan(lo, min(hi, max(right.get_xlim()[1], lo)), color=INK, alpha=0.08, label="asked")
    right.set(xlabel="rock pixels of a frame [%]", ylabel="frames")
    for axes in (left, right):
        style_axes(axes)
    left.grid(visible=False, axis="y")
    _legend(right)
    return to_svg(figure)


def rock_sizes(pixels: Pixels) -> str:
    """Draw how large rocks appear: how many of each size, and how much of the rock pixels they make up."""
    diameters = equivalent_diameter(pixels.regions)
    top = max(float(diameters.max()), 10.0)
    edges = np.geomspace(1.0, top * 1.001, max(12, math.ceil(9 * math.log10(top)) + 1))
    counts, _ = np.histogram(diameters, edges)
    areas, _ = np.histogram(diameters, edges, weights=pixels.regions)
    figure = _figure(11, 3.4)
    axes = figure.subplots()
    axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color=COLORS[0], edgecolor=CARD, linewidth=0.8,
             label="rocks" if pixels.by_instance else "regions")  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="equivalent diameter [px]", ylim=(0.7, max(2 * counts.max(), 10)))
    axes.set_ylabel("rocks" if pixels.by_instance else "regions")
    limit = float(equivalent_diameter(np.array(SMALL)))
    axes.axvspan(1.0, limit, color=CLASS_COLORS["rock"], alpha=0.14, lw=0, label=f"under {SMALL} px of area")
    share = axes.twinx()
    middle = np.sqrt(edges[:-1] * edges[1:])
    share.plot(middle, 100 * areas / areas.sum(), color=COLORS[1], marker="o", ms=3.5, label="share of rock pixels")
    share.set(ylabel="share of rock pixels [%]", ylim=(0, None))
    ticks = [value for value in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if value <= top * 1.3]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    for each in (axes, share):
        style_axes(each)
    share.set_facecolor("none")
    share.grid(visible=False)
    handles = [*axes.get_legend_handles_labels()[0], *share.get_legend_handles_labels()[0]]
    figure.legend(
        handles=handles, frameon=False, labelcolor=INK, fontsize=9, loc="outside upper right", ncols=len(handles)
    )
    return to_svg(figure)


def sun_rose(azimuth: Draws, elevation: Draws, heading: Draws) -> str:
    """Draw where the sun stands on the sky, and where it stands seen from the camera.

    Args:
        azimuth: Sun azimuth [deg], anticlockwise from +X.
        elevation: Sun above the horizon [deg].
        heading: Camera heading [deg], anticlockwise from +X.
    """
    figure = _figure(11, 4.6)
    sky = figure.add_subplot(1, 2, 1, projection="polar")
    view: Any = figure.add_subplot(1, 2, 2, projection="polar")
    top = 90 if max(elevation.values.max(), elevation.asked.hi) > 40 else 45
    turn = np.radians(np.linspace(azimuth.asked.lo, azimuth.asked.hi, 200))
    ring = (top - elevation.asked.hi, top - elevation.asked.lo)
    sky.fill_between(turn, *ring, color=COLORS[0], alpha=0.16, lw=0)
    sky.scatter(np.radians(azimuth.values), top - elevation.values, s=11, color=COLORS[0], lw=0, rasterized=True)
    _polar(sky, ("+X", "", "+Y", "", "−X", "", "−Y", ""))
    steps = np.arange(0, top, 15 if top == 45 else 30)
    sky.set_yticks(top - steps, [f"{step:.0f}°" for step in steps])
    sky.set(ylim=(0, top))
    sky.set_title("Sun on the sky, horizon outside", color=INK, fontsize=10, pad=14)
    away = np.radians((azimuth.values - heading.values) % 360)
    count, edges = np.histogram(away, 24, (0, 2 * np.pi))
    view.bar(edges[:-1], count, np.diff(edges), align="edge", color=COLORS[1], edgecolor=CARD, lw=0.8)
    view.set_theta_zero_location("N")
    _polar(view, ("ahead", "", "left", "", "behind", "", "right", ""))
    most = max(int(count.max()), 1)
    rings = sorted({max(1, round(most * part)) for part in (0.5, 1)})
    view.set_yticks(rings, [str(ring) for ring in rings])
    view.set_title("Sun seen from the camera, frames by direction", color=INK, fontsize=10, pad=14)
    return to_svg(figure, dpi=200)


def _polar(axes: Any, names: Sequence[str]) -> None:
    axes.set_facecolor(CARD)
    axes.set_xticks(np.radians(np.arange(0, 360, 45)), names)
    axes.tick_params(colors=DIM, labelsize=9)
    axes.grid(visible=True, color=LINE, linewidth=0.7)
    axes.spines["polar"].set_color(LINE)


def brightness(pixels: Pixels) -> str:
    """Draw how bright pixels of each class are."""
    figure = _figure(11, 3.0)
    axes = figure.subplots()
    values = np.arange(256)
    for name, counts in zip(NAMES, pixels.brightness, strict=True):
        if counts.sum():
            share = 100 * counts / counts.sum()
            axes.fill_between(values, share, step="mid", color=CLASS_COLORS[name], alpha=0.28, lw=0)
            axes.step(values, share, where="mid", color=CLASS_COLORS[name], lw=1.4, label=name)
    ground = 100 * pixels.brightness[:2, 2:254].max(axis=1) / np.maximum(pixels.brightness[:2].sum(axis=1), 1)
    axes.set(xlim=(-2, 257), ylim=(0, max(1.25 * float(ground.max()), 0.5)))
    axes.set(xlabel="grey value of a pixel", ylabel="share of the class's pixels [%]")
    style_axes(axes)
    _legend(axes)
    return to_svg(figure)


def parameter_histograms(drawn: Sequence[Draws]) -> str:
    """Draw the values of every parameter against the range asked for: the band, its ends dotted, even draws the line.

    Args:
        drawn: Parameters whose range is more than one value; at least one.
    """
    from matplotlib.figure import Figure

    columns = min(5, len(drawn))
    rows = math.ceil(len(drawn) / columns)
    width, height = 2.3 * columns, 1.85 * rows
    figure = Figure(figsize=(width, height), facecolor=CARD)  # a constrained layout of so many axes takes a second
    figure.subplots_adjust(
        left=0.4 / width, right=1 - 0.15 / width, bottom=0.35 / height, top=1 - 0.35 / height, wspace=0.32, hspace=0.5
    )
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, parameter in zip(grid, drawn, strict=False):
        _histogram(axes, parameter)
    for axes in grid[len(drawn) :]:
        axes.set_visible(False)
    return to_svg(figure)


def _histogram(axes: Any, drawn: Draws) -> None:
    lo, hi, count = drawn.asked.lo, drawn.asked.hi, len(drawn.values)
    bins = _bins(count, 20)
    axes.hist(drawn.values, np.linspace(lo, hi, bins + 1), color=COLORS[0 if drawn.per == "frame" else 3], alpha=0.9)
    axes.axvspan(lo, hi, color=INK, alpha=0.06, lw=0)
    axes.hlines(count / bins, lo, hi, color=INK, lw=1)
    for end in (lo, hi):
        axes.axvline(end, color=DIM, linestyle=":", lw=1)
    style_axes(axes)
    axes.grid(visible=False)
    axes.set_xlim(lo - 0.06 * (hi - lo), hi + 0.06 * (hi - lo))
    axes.set_xticks([lo, drawn.asked.center, hi], [f"{value:.4g}" for value in (lo, drawn.asked.center, hi)])
    axes.tick_params(labelsize=7.5)
    axes.yaxis.get_major_locator().set_params(integer=True, nbins=3)
    unit = f" [{drawn.unit}]" if drawn.unit else ""
    axes.set_title(drawn.name.removesuffix("_deg").removesuffix("_m").replace("_", " ") + unit, color=INK, fontsize=8.5)


def redraws(counts: Counter[int]) -> str:
    """Draw how many frames were drawn again how often."""
    figure = _figure(11, 2.4)
    axes = figure.subplots()
    times = range(max(counts) + 1)
    axes.bar(times, [counts[time] for time in times], color=COLORS[3], width=0.8)
    axes.set(xlabel="redraws of a frame", ylabel="frames", xticks=list(times))
    style_axes(axes)
    axes.grid(visible=False, axis="x")
    return to_svg(figure)


def stage_times(timings: Timings) -> str:
    """Draw the mean time of a frame as one bar, stage by stage; what runs beside it under it."""
    figure = _figure(11, 1.9)
    axes = figure.subplots()
    lefts = {0: 0.0, 1: 0.0}
    palette = [*COLORS, "#a48fc4", "#6fbfb2", "#c9b79c", "#8d949e"]
    longest = 1000 * max(timings.drawing_s, 1e-9) / timings.frames
    for number, (stage, seconds) in enumerate(timings.seconds.items()):
        row = int(stage in WRITER_STAGES)
        width = 1000 * seconds / timings.frames
        axes.barh(row, width, left=lefts[row], color=palette[number % len(palette)], edgecolor=CARD, height=0.62)
        if width > 0.05 * longest:
            axes.text(lefts[row] + width / 2, row, stage, ha="center", va="center", color="#171614", fontsize=9)
        lefts[row] += width
    axes.set(xlabel="mean time of a frame [ms]", yticks=[0, 1], yticklabels=["drawing", "writer's threads"])
    axes.set(xlim=(0, 1.02 * max(lefts.values())), ylim=(1.5, -0.5))
    style_axes(axes)
    axes.grid(visible=False, axis="y")
    return to_svg(figure)


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor=CARD, layout="constrained")
    engine: Any = figure.get_layout_engine()
    engine.set(w_pad=0.1, h_pad=0.1)
    return figure


def _bins(count: int, most: int) -> int:
    return min(max(round(math.sqrt(count)), 5), most)


def _legend(axes: Any) -> None:
    axes.legend(facecolor=CARD, edgecolor=LINE, labelcolor=INK, fontsize=9)
