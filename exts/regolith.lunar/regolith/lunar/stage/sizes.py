"""Size–frequency plot of a scene: what the parameters ask for against what was drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from regolith.lunar.files import replacing
from regolith.lunar.stage.craters import areal_density
from regolith.lunar.stage.power_law import PowerLaw
from regolith.lunar.stage.rocks import SizeLaw

if TYPE_CHECKING:
    from regolith.lunar.stage.scene import Scene

_PAPER, _INK, _FAINT = "#14161a", "#d9dce1", "#3a3f47"
_ROCK, _CRATER = "#ff8a5c", "#6cb6ff"
SOFTWARE = "regolith.lunar"
"""What made a picture, in its own words (PNG's keyword `Software`)."""


def cumulative(diameter: np.ndarray, area: float) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative size–frequency of drawn things.

    Args:
        diameter: Diameters [m], shape [N].
        area: Area they were counted on [m²].

    Returns:
        Diameters in descending order, and the number per m² at least that large, the one itself counted half, both
        shape [N].
    """
    sizes = np.sort(np.asarray(diameter, np.float64))[::-1]
    return sizes, (np.arange(len(sizes)) + 0.5) / area


def crater_density(scene: Scene, diameter: np.ndarray) -> np.ndarray:
    """Requested number of craters per m² at least as large as `diameter` [m], shape of `diameter`."""
    law = scene.params.craters
    sizes = PowerLaw(law.exponent, law.diameter_min_m, law.diameter_max_m)
    return areal_density(scene.spec.crater_density, sizes) * sizes.share(diameter)


def plot_sizes(scene: Scene, path: Path) -> None:
    """Draw craters and rocks of the working area, cumulative and log-log, requested lines against drawn points.

    Args:
        scene: Scene to count.
        path: PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 6.0), dpi=120, facecolor=_PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.11, 0.11, 0.85, 0.79))
    grid = scene.terrain.grid
    area = 4.0 * grid.half_x * grid.half_y

    rocks, law = scene.rocks, scene.params.rocks
    here = _within(rocks.position[:, 0], rocks.position[:, 1], grid.half_x, grid.half_y)
    line = np.geomspace(law.diameter_min_m, law.diameter_max_m * 0.999, 400)
    requested = SizeLaw.of(law, scene.spec).areal_density(line)
    _series(axes, line, requested, drawn=rocks.diameter[here], area=area, color=_ROCK, name="rocks")

    craters = scene.terrain.craters
    if scene.spec.crater_density > 0.0 and len(craters):
        inside = _within(craters["x"], craters["y"], grid.half_x, grid.half_y)
        smallest = float(craters["diameter"].min())
        line = np.geomspace(scene.params.craters.diameter_min_m, scene.params.craters.diameter_max_m * 0.999, 400)
        drawn = craters["diameter"][inside]
        _series(axes, line, crater_density(scene, line), drawn=drawn, area=area, color=_CRATER, name="craters")
        if scene.params.craters.diameter_min_m < smallest:
            axes.axvspan(scene.params.craters.diameter_min_m, smallest, color=_CRATER, alpha=0.07, lw=0)
    _decorate(axes, scene, area)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", facecolor=_PAPER, metadata={"Software": SOFTWARE})


def _within(x: np.ndarray, y: np.ndarray, half_x: float, half_y: float) -> np.ndarray:
    return (np.abs(x) <= half_x) & (np.abs(y) <= half_y)


def _series(
    axes: Any, line: np.ndarray, requested: np.ndarray, *, drawn: np.ndarray, area: float, color: str, name: str
) -> None:
    axes.plot(line, requested, color=color, lw=1.4, alpha=0.9, label=f"{name}: requested")
    sizes, count = cumulative(drawn, area)
    keep = np.unique(np.geomspace(1, max(len(sizes), 1), 160).astype(int)) - 1 if len(sizes) else np.zeros(0, int)
    label = f"{name}: {len(sizes)} drawn"
    axes.scatter(sizes[keep], count[keep], s=13, color=color, alpha=0.85, linewidths=0, label=label, zorder=3)


def _decorate(axes: Any, scene: Scene, area: float) -> None:
    axes.set(xscale="log", yscale="log", facecolor=_PAPER)
    axes.set_ylim(bottom=0.3 / area)
    axes.set_xlabel("diameter D [m]", color=_INK)
    axes.set_ylabel("number per m² of at least D", color=_INK)
    side = f"{2 * scene.terrain.grid.half_x:.0f} × {2 * scene.terrain.grid.half_y:.0f} m"
    text = f"Size–frequency distribution · {scene.params.preset} · seed {scene.spec.seed} · {side}"
    axes.set_title(text, color=_INK, fontsize=11, loc="left", pad=10)
    axes.grid(which="major", color=_FAINT, lw=0.6)
    axes.grid(which="minor", color=_FAINT, lw=0.25, alpha=0.6)
    axes.tick_params(which="both", colors=_INK, labelsize=9)
    for spine in axes.spines.values():
        spine.set_color(_FAINT)
    axes.legend(facecolor=_PAPER, edgecolor=_FAINT, labelcolor=_INK, fontsize=9, loc="upper right")
