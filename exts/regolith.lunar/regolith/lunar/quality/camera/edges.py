"""Blur from straight edges between light and dark: shadow borders, silhouettes, a slanted-edge target.

As with the slanted edge of ISO 12233, an edge that crosses the pixel grid at an angle samples its own profile finely.
Here the picture of such an edge is modelled instead: each pixel's share of the bright side, exact, passed through
`render.optics.blur`; place, angle and width are fitted to the linear values. What a pixel integrates over is in the
model, and so not in the width.

A shadow border is no sharper than the sun is small, and rock is round: edges of the ground are as wide as the lens
makes them, or wider. Where many have one width, that is the lens; where widths scatter, the sharpest bound it. So that
noise and texture do not choose, one half of an edge's length says whether it counts, the other half how wide it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
import scipy
from scipy import ndimage

from regolith.lunar.labels import IGNORE
from regolith.lunar.quality.camera.found import CONFIDENCE, Found, unknown
from regolith.lunar.quality.camera.photographs import Photograph
from regolith.lunar.quality.camera.response import Curve
from regolith.lunar.render.optics import blur

REACH = 9
"""Pixels around the middle of an edge that it is fitted to, either way."""
MARGIN = 7
"""Pixels around these that blur into them."""
EDGES_MAX = 40
"""Most edges of a picture that are fitted, strongest first."""
STRAIGHT_MIN = 0.95
"""Least coherence of the gradient's directions (Bigün & Granlund 1987) of an edge that counts as straight."""
CONTRAST_MIN, RATIO_MIN, RESIDUAL_MAX = 0.04, 12.0, 0.06
"""Least contrast of an edge in linear values; least contrast over the scatter of either side; largest residual of the
fit over the contrast."""
SQUARE_MAX = 9.0
"""Largest variance of the point spread function that is fitted [px²]."""
CLUSTER, SHARPEST = 0.4, 0.2
"""Share of the edges that counts: the one whose widths lie closest together, or else the sharpest."""
EDGES_MIN = 8
"""Fewest edges that tell anything, and fewest that count."""
MODEL_PX2 = 0.03
"""What the variance is off by for edges that are not quite straight or evenly lit [px²]: 0.02 px at 0.7 px."""
SPREAD_MAX = 0.15
"""Scatter of variances over their median up to which they count as one, whatever their errors."""
MEDIAN_COST = 1.2533
"""Standard error of a median over that of a mean, of normal values."""
SLANT_MIN = 0.04
"""Least sine of an edge's angle with rows and columns: along them it does not sample its own profile, and is more often
a border of the picture than one of the scene."""
BLACK_MAX = 0.5
"""Largest share of the dark side that is black: where black was cut off, an edge looks sharper than it was."""
_SHIFT = np.array([3.0, 1.0, 1.0])
"""Added to what is fitted: steps of the derivative are relative, and must not vanish where the fit is at 0."""
_OFFSETS = np.arange(-REACH, REACH + 1)


@dataclasses.dataclass(frozen=True)
class Edge:
    """A window of saved values around an edge, and how wide each half of its length says it is."""

    window: np.ndarray
    """Saved values, float [2 REACH + 1, 2 REACH + 1]."""
    angle: float
    """Direction of the gradient in pixel coordinates, x right, y down [rad]."""
    chosen_px2: float
    """Variance of the point spread by the half that chooses [px²]."""
    measured_px2: float
    """The same by the other half."""
    error_px2: float
    """Standard error of the latter."""


def covered(distance: np.ndarray, angle: float) -> np.ndarray:
    """Share of each square pixel on the bright side of a straight edge.

    Args:
        distance: Of the pixel's centre from the edge, positive on the bright side [px], any shape.
        angle: Direction of the gradient [rad].
    """
    wide, thin = sorted((max(abs(np.cos(angle)), 1e-4), max(abs(np.sin(angle)), 1e-4)), reverse=True)

    def ramp(at: np.ndarray) -> np.ndarray:
        return 0.5 * np.maximum(at, 0.0) ** 2

    outer, inner = 0.5 * (wide + thin), 0.5 * (wide - thin)
    total = ramp(distance + outer) - ramp(distance + inner) - ramp(distance - inner) + ramp(distance - outer)
    return total / (wide * thin)


def edge_picture(place: float, angle: float, square_px2: float) -> np.ndarray:
    """Picture of an edge from 0 to 1, float [2 REACH + 1, 2 REACH + 1].

    Args:
        place: Distance of the edge from the middle pixel's centre along the gradient [px].
        angle: Direction of the gradient [rad].
        square_px2: Variance of the point spread function [px²].
    """
    at = np.arange(-REACH - MARGIN, REACH + MARGIN + 1)
    distance = at * np.cos(angle) + at[:, None] * np.sin(angle) - place
    picture = blur(covered(distance, angle), psf_px=float(np.sqrt(max(square_px2, 0.0))))
    return picture[MARGIN:-MARGIN, MARGIN:-MARGIN]


def fit_edge(linear: np.ndarray, angle: float, pixels: np.ndarray) -> tuple[float, float, float] | None:
    """Fit an edge to some pixels of a window of linear values.

    Levels of both sides, and a slope of the bright one, are solved for at each step (variable projection).

    Args:
        linear: float [2 REACH + 1, 2 REACH + 1].
        angle: Direction of the gradient to begin with [rad].
        pixels: Which pixels count, bool of the same shape.

    Returns:
        Variance of the point spread function and its standard error [px²], and the root mean square of the residual
        over the contrast; None where it is no edge.
    """
    values = linear[pixels]
    across = _OFFSETS * np.cos(angle) + _OFFSETS[:, None] * np.sin(angle)

    def solve(shifted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        at = shifted - _SHIFT
        step = edge_picture(at[0], angle + at[1], at[2])
        columns = np.stack([np.ones_like(values), step[pixels], (step * across)[pixels]], axis=1)
        found = np.linalg.lstsq(columns, values, rcond=None)[0]
        return columns @ found - values, found

    bounds = (np.add(_SHIFT, (-2.0, -0.15, 0.0)), np.add(_SHIFT, (2.0, 0.15, SQUARE_MAX)))
    start, scale = np.add(_SHIFT, (0.0, 0.0, 0.5)), (0.3, 0.03, 0.5)
    done = scipy.optimize.least_squares(
        lambda at: solve(at)[0], start, bounds=bounds, diff_step=1e-3, x_scale=scale, max_nfev=20
    )
    residual, levels = solve(done.x)
    square = float(done.x[2] - _SHIFT[2])
    contrast = abs(levels[1])
    free = len(values) - len(levels) - len(done.x)
    noise = float((residual**2).sum() / free)
    information = done.jac.T @ done.jac
    if contrast <= 0.0 or np.linalg.cond(information) > 1e12 or square >= 0.99 * SQUARE_MAX:
        return None
    return square, float(np.sqrt(noise * np.linalg.inv(information)[2, 2])), np.sqrt(noise) / contrast


def halves_of(angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of the window by the half of the edge's length they lie at, each bool [2 REACH + 1, 2 REACH + 1]."""
    first = _OFFSETS[:, None] * np.cos(angle) > _OFFSETS * np.sin(angle)
    return first, ~first


def find_edges(photo: Photograph, curve: Curve) -> Iterator[Edge]:
    """Yield the straight edges of a picture, at most `EDGES_MAX`."""
    linear = photo.linear(curve)
    gradient = [ndimage.gaussian_filter1d(ndimage.gaussian_filter1d(linear, 1.5, 1 - k), 1.5, k, 1) for k in (0, 1)]
    tensor = [ndimage.gaussian_filter(a * b, 4.0) for a, b in ((gradient[0],) * 2, (gradient[1],) * 2, gradient)]
    yy, xx, xy = tensor
    coherence = np.hypot(xx - yy, 2.0 * xy) / np.maximum(xx + yy, 1e-15)
    strength = np.hypot(*gradient)
    peak = strength == ndimage.maximum_filter(strength, 2 * REACH + 1)
    peak &= (strength > 0.1 * CONTRAST_MIN) & (coherence >= STRAIGHT_MIN)
    peak[:REACH], peak[-REACH:], peak[:, :REACH], peak[:, -REACH:] = False, False, False, False
    rows, columns = np.nonzero(peak)
    for number in np.argsort(strength[rows, columns])[::-1][:EDGES_MAX]:
        row, column = int(rows[number]), int(columns[number])
        place = np.s_[row - REACH : row + REACH + 1, column - REACH : column + REACH + 1]
        if photo.classes is not None and (photo.classes[place] == IGNORE).any():
            continue
        angle = float(np.arctan2(gradient[0][row, column], gradient[1][row, column]))
        edge = _measure(photo.saved[place], curve, angle)
        if edge is not None:
            yield edge


def _measure(window: np.ndarray, curve: Curve, angle: float) -> Edge | None:
    """Measure one edge by both halves of its pixels; None where it is no clean one."""
    across = _OFFSETS * np.cos(angle) + _OFFSETS[:, None] * np.sin(angle)
    linear = curve.decode(window)
    dark, bright = linear[across < -4.0], linear[across > 4.0]
    contrast = float(np.median(bright) - np.median(dark))
    scatter = max(float(dark.std()), float(bright.std()))
    if contrast < max(CONTRAST_MIN, RATIO_MIN * scatter) or window.max() >= 1.0:
        return None
    if (window[across < -4.0] <= 0.0).mean() > BLACK_MAX or abs(np.sin(2.0 * angle)) < 2.0 * SLANT_MIN:
        return None
    halves = [fit_edge(linear, angle, pixels) for pixels in halves_of(angle)]
    if halves[0] is None or halves[1] is None or max(halves[0][2], halves[1][2]) > RESIDUAL_MAX:
        return None
    return Edge(window, angle, halves[0][0], halves[1][0], halves[1][1])


@dataclasses.dataclass(frozen=True)
class Chosen:
    """Edges that count."""

    edges: list[Edge]
    agree: bool
    """Whether their widths are one, but for their errors: that of the lens."""


def choose(edges: Iterable[Edge]) -> Chosen:
    """Choose the edges that count: those whose widths lie closest together (the shorth), or else the sharpest.

    D. F. Andrews et al., "Robust Estimates of Location", 1972, for the shorth, there of half the values.
    """
    ordered = sorted(edges, key=lambda edge: edge.chosen_px2)
    count = max(EDGES_MIN, round(CLUSTER * len(ordered)))
    if len(ordered) < count:
        return Chosen(ordered, False)
    squares = np.array([edge.chosen_px2 for edge in ordered])
    first = int(np.argmin(squares[count - 1 :] - squares[: len(squares) - count + 1]))
    closest = ordered[first : first + count]
    measured = np.array([edge.measured_px2 for edge in closest])
    middle = float(np.median(measured))
    error = float(np.median([edge.error_px2 for edge in closest])) + MODEL_PX2
    if _scatter(measured) <= max(2.0 * error, SPREAD_MAX * middle):
        return Chosen(closest, True)
    return Chosen(ordered[: max(EDGES_MIN, round(SHARPEST * len(ordered)))], False)


def _scatter(values: np.ndarray) -> float:
    """Standard deviation by the median deviation of values, float [n]."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def find_blur(chosen: Chosen, curve: Curve) -> Found:
    """Width of the point spread function [px] by one assumed response.

    Args:
        chosen: Edges that count, found by any response.
        curve: Response.
    """
    count = len(chosen.edges)
    if count < EDGES_MIN:
        return unknown(f"{count} straight edges of strong contrast, even on both sides; {EDGES_MIN} are needed")
    fits = [fit_edge(curve.decode(edge.window), edge.angle, halves_of(edge.angle)[1]) for edge in chosen.edges]
    squares = np.array([fit[0] for fit in fits if fit is not None])
    if len(squares) < EDGES_MIN:
        return unknown("no edges of the shape that a lens makes")
    middle, scatter, share = float(np.median(squares)), _scatter(squares), 0.5 + CONFIDENCE / 2
    note = f"{len(squares)} edges"
    if (squares <= 0.0).mean() > 0.5:
        note += ", as sharp as pixels, as of pictures that were reduced or sharpened,"
    if not chosen.agree:
        widest = float(np.sqrt(middle + scipy.stats.norm.ppf(share) * scatter + MODEL_PX2))
        note += ", the sharpest, differ by more than their errors, as penumbra and rounded rock make them"
        return Found("bound", f"{note}: the lens is no softer", None, (-np.inf, widest), len(squares))
    half = MEDIAN_COST * scipy.stats.t.ppf(share, len(squares) - 1) * scatter / np.sqrt(len(squares)) + MODEL_PX2
    low, high = (float(np.sqrt(max(end, 0.0))) for end in (middle - half, middle + half))
    return Found("identified", f"{note} of one width", float(np.sqrt(middle)), (low, high), len(squares))
