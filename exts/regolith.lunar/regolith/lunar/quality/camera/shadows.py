"""Sun direction from the shadows of labelled rocks on level ground.

Around each rock the ground is looked at along rays: where the ground beside rocks is darkest, the sun is on the other
side. Shadows that run into each other, or hide behind their rock, do not mislead that much. A rock is then taken for
the half of an ellipsoid, as wide and as high as it is seen. A ray of light that just passes an ellipse of half axes a
(along the ground) and b (upwards) at elevation e meets the ground at x = √(a² + b² cot² e): the end of its shadow.

Directions are in the frame of the camera's heading, forward and left; lengths in heights of the camera above ground.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import ndimage

from regolith.lunar.labels import REGOLITH, ROCK
from regolith.lunar.quality.camera.found import Found, unknown
from regolith.lunar.stage.lens import Lens
from regolith.lunar.stage.spec import rng

ROCK_MIN_PX, ROCK_MAX = 6.0, 0.3
"""Least diameter of a rock [px], and its largest width as a share of the picture's."""
ROCKS_MIN, LENGTHS_MIN = 8, 6
"""Fewest rocks that tell an azimuth, and fewest with a shadow's end that tell an elevation."""
STEP_DEG = 5
"""Step of the directions that are looked along [deg]."""
NEAR = np.linspace(1.3, 4.0, 12)
"""Distances from a rock's middle at which the ground is looked at for the azimuth, in half widths."""
FAR = np.arange(1.2, 30.0, 0.1)
"""The same along the shadow, to its end."""
SMOOTH = 7
"""Directions that are averaged: shadows are as wide as their rocks."""
SLOPES_DEG = 10.0
"""What ground that is not level turns an azimuth by [deg]; added to both ends of its interval."""
STEEPER = 1.3
"""What slopes and shapes of rocks do to the tangent of an elevation, as a factor; widens both ends of its interval."""
SPAN_MAX = 60.0
"""Widest interval of an azimuth that counts as told [deg]."""
HALF, STARTS = 0.5, 5
"""Light over that around a rock below which it is shadow; steps from the rock within which its shadow begins."""
DRAWS = 200
"""Bootstrap draws of rocks."""


@dataclasses.dataclass(frozen=True)
class View:
    """How a picture was taken; roll is none."""

    pitch_deg: float
    fov_deg: float


@dataclasses.dataclass(frozen=True)
class SunFound:
    """What shadows tell of one picture."""

    azimuth_deg: Found
    """Of the sun, anticlockwise from the camera's heading."""
    elevation_deg: Found


class Ground:
    """Level ground as a picture shows it."""

    def __init__(self, linear: np.ndarray, classes: np.ndarray, view: View) -> None:
        """Take a picture.

        Args:
            linear: Linear values, float [H, W].
            classes: uint8 [H, W].
            view: How it was taken.
        """
        height, width = classes.shape
        self.lens = Lens.from_fov(view.fov_deg, width, height)
        self._pitch = np.radians(view.pitch_deg)
        self.seen = classes == REGOLITH
        self._linear = linear

    def point(self, x: float, y: float) -> np.ndarray:
        """Point of the ground at a picture position, (forward, left); NaN above the horizon."""
        across, down, ahead = self.lens.rays(np.array(x), np.array(y))
        forward, fall = self._turned(ahead, down)
        return np.array([forward, -across]) / (fall if fall > 1e-3 else np.nan)

    def fall(self, x: float, y: float) -> float:
        """Tangent of how far below level a picture position looks."""
        across, down, ahead = self.lens.rays(np.array(x), np.array(y))
        forward, fall = self._turned(ahead, down)
        return float(fall / np.hypot(forward, across))

    def _turned(self, ahead: float, down: float) -> tuple[float, float]:
        """Forward and downward parts of a direction that the camera sees so far ahead and down."""
        cosine, sine = np.cos(self._pitch), np.sin(self._pitch)
        return cosine * ahead + sine * down, cosine * down - sine * ahead

    def look(self, points: np.ndarray) -> np.ndarray:
        """Linear values of points (forward, left) [..., 2], NaN where no ground is seen, float [...]."""
        forward, left = points[..., 0], points[..., 1]
        cosine, sine = np.cos(self._pitch), np.sin(self._pitch)
        rays = np.stack([-left, cosine + sine * forward, cosine * forward - sine], axis=-1)
        height, width = self.seen.shape
        at = self.lens.project(rays)
        inside = np.all((at >= 0.0) & (at < (width, height)), axis=-1)
        column, row = (
            np.where(inside[..., None], np.nan_to_num(at), 0.0).astype(np.intp).transpose(-1, *range(at.ndim - 1))
        )
        return np.where(inside & self.seen[row, column], self._linear[row, column], np.nan)


@dataclasses.dataclass(frozen=True)
class Rock:
    """A labelled rock on level ground."""

    middle: np.ndarray
    """(forward, left)."""
    half_width: float
    height: float


def find_rocks(classes: np.ndarray, ground: Ground) -> list[Rock]:
    """Rocks that lie whole in a picture, below its horizon."""
    parts = np.zeros(classes.shape, np.int32)
    ndimage.label(classes == ROCK, np.ones((3, 3)), output=parts)
    height, width = classes.shape
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(parts), 1):
        area = int((parts[rows, columns] == number).sum())
        inside = rows.start > 0 and rows.stop < height and columns.start > 0 and columns.stop < width
        wide = columns.stop - columns.start
        if 2.0 * np.sqrt(area / np.pi) < ROCK_MIN_PX or wide > ROCK_MAX * width or not inside:
            continue
        middle = 0.5 * (columns.start + columns.stop)
        foot = ground.point(middle, rows.stop)
        if not np.isfinite(foot).all():
            continue
        distance = float(np.hypot(*foot))
        half_width = 0.5 * wide / ground.lens.focal_px * float(np.hypot(distance, 1.0))
        tall = 1.0 - (distance + half_width) * ground.fall(middle, rows.start)
        if tall > 0.0:
            found.append(Rock(foot * (1.0 + half_width / distance), half_width, tall))
    return found


def find_sun(linear: np.ndarray, classes: np.ndarray, view: View) -> SunFound:
    """Sun direction of one labelled picture by one assumed view; arguments as of `Ground`."""
    ground = Ground(linear, classes, view)
    rocks = find_rocks(classes, ground)
    if len(rocks) < ROCKS_MIN:
        note = (
            f"{len(rocks)} labelled rocks of {ROCK_MIN_PX:g} px or more, whole in the picture; {ROCKS_MIN} are needed"
        )
        return SunFound(unknown(note), unknown(note))
    looks = np.stack([_around(rock, ground) for rock in rocks])
    random = rng(0, "sun")
    draws = [np.arange(len(rocks)), *(random.integers(len(rocks), size=len(rocks)) for _ in range(DRAWS))]
    sides = np.array([_dark_side(looks[draw]) for draw in draws])
    towards = (sides + 180.0) % 360.0
    towards = (towards + 180.0) % 360.0 - 180.0
    offsets = (towards - towards[0] + 180.0) % 360.0 - 180.0
    low, high = towards[0] + np.quantile(offsets, (0.025, 0.975))
    if high - low > SPAN_MAX:
        note = f"{len(rocks)} rocks do not agree on which side is dark: their shadows are short, or hide behind them"
        return SunFound(unknown(note), unknown(note))
    note = f"shadows of {len(rocks)} rocks, pitch {view.pitch_deg:g}°, {view.fov_deg:g}° of view, no roll, level ground"
    azimuth = Found(
        "identified", note, float(towards[0]), (float(low) - SLOPES_DEG, float(high) + SLOPES_DEG), len(rocks)
    )
    slopes = np.array([_elevation(rock, ground, float(towards[0])) for rock in rocks])
    slopes = slopes[np.isfinite(slopes)]
    if len(slopes) < LENGTHS_MIN:
        return SunFound(
            azimuth, unknown(f"the shadows of {len(slopes)} rocks end on open ground; {LENGTHS_MIN} are needed")
        )
    drawn = np.median(slopes[random.integers(len(slopes), size=(DRAWS, len(slopes)))], axis=1)
    tangents = np.tan(np.radians(np.quantile(drawn, (0.025, 0.975)))) * (1.0 / STEEPER, STEEPER)
    less, more = np.degrees(np.arctan(tangents))
    return SunFound(
        azimuth, Found("identified", note, float(np.median(slopes)), (float(less), float(more)), len(slopes))
    )


def _rays(azimuths_deg: np.ndarray) -> np.ndarray:
    turn = np.radians(azimuths_deg)
    return np.stack([np.cos(turn), np.sin(turn)], axis=-1)


def _around(rock: Rock, ground: Ground) -> np.ndarray:
    """How dark the ground is along each direction around a rock, summed, and points that are seen.

    Dark is 1 less the light over the median of all that is looked at around the rock, in [0, 1].

    Returns:
        float [2, 360 / STEP_DEG].
    """
    rays = _rays(np.arange(0.0, 360.0, STEP_DEG))
    light = ground.look(rock.middle + rock.half_width * NEAR[:, None] * rays[:, None])
    seen = np.isfinite(light)
    usual = float(np.median(light[seen])) if seen.any() else 0.0
    if usual <= 0.0:
        return np.zeros((2, len(rays)))
    dark = np.where(seen, np.clip(1.0 - light / usual, 0.0, 1.0), 0.0)
    return np.stack([dark.sum(axis=1), seen.sum(axis=1)])


def _dark_side(looks: np.ndarray) -> float:
    """Direction on whose side rocks have the darkest ground [deg].

    Args:
        looks: Of each rock, as `_around` returns them, [n, 2, directions].
    """
    dark, seen = ndimage.uniform_filter1d(looks.sum(axis=0), SMOOTH, axis=1, mode="wrap")
    share = np.where(seen > 0.0, dark / np.maximum(seen, 1e-9), 0.0)
    best = int(np.argmax(share))
    before, here, after = share[best - 1], share[best], share[(best + 1) % len(share)]
    bend = before - 2.0 * here + after
    shift = 0.5 * (before - after) / bend if bend < 0.0 else 0.0
    return STEP_DEG * (best + shift)


def _elevation(rock: Rock, ground: Ground, azimuth_deg: float) -> float:
    """Elevation by where a rock's shadow ends [deg]; NaN where it has none, or it ends on ground that is not seen."""
    away = -_rays(np.array(azimuth_deg))
    light = ground.look(rock.middle + rock.half_width * FAR[:, None] * away)
    around = ground.look(rock.middle + rock.half_width * NEAR[:, None] * _rays(np.arange(0.0, 360.0, 30.0))[:, None])
    if np.isnan(around).all():
        return float("nan")
    dark = light < HALF * np.nanmedian(around)
    if not dark[:STARTS].any():
        return float("nan")
    start = int(np.argmax(dark))
    lit = np.flatnonzero(~dark[start:])
    if not len(lit) or np.isnan(light[start + lit[0]]):
        return float("nan")
    length = float(FAR[start + lit[0]])
    return float(np.degrees(np.arctan2(rock.height / rock.half_width, np.sqrt(length**2 - 1.0))))
