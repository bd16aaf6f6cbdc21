"""The lens: pinhole with radial distortion, as OpenCV defines it. Pure numpy.

Camera frame: x right, y down, z forward, as OpenCV's. A USD camera looks along its -Z with +Y up, so that its frame is
this one with y and z negated (`TO_USD`). Picture positions are in pixels from the top left corner, x right, y down;
the centre of the top left pixel is (0.5, 0.5). The principal point is the picture's centre and pixels are square.

A point at (x, y, 1) is seen at (x, y) · (1 + k1 r² + k2 r⁴), r² = x² + y² (OpenCV, camera calibration and 3D
reconstruction; Brown 1966, Decentering Distortion of Lenses). Where that grows too slowly with r, or falls, the lens
folds: a position would show two points or none.
"""

from __future__ import annotations

import dataclasses
import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np

from regolith.lunar.params import InputError, Interval

TO_USD = np.array([1.0, -1.0, -1.0])
"""Factors that turn a direction of this camera frame into the frame of a `UsdGeom.Camera`, and back."""

MIN_SLOPE = 0.1
"""Smallest growth of the distorted radius with the true one inside a picture, that of the centre being 1: below it the
picture squeezes more than ten times the field into a pixel, and beyond lies the fold."""

FARTHEST = 1e6
"""Largest radius, as a tangent, that matters: a millionth of a radian short of a right angle."""

NEWTON_STEPS = 64
"""Most steps of the inversion; Newton's need about five, halvings that guard them at most 53 for 1e-16."""


@dataclasses.dataclass(frozen=True)
class Lens:
    """A camera's projection onto its picture."""

    focal_px: float
    """Focal length [px]."""
    width: int
    """Picture width [px]."""
    height: int
    """Picture height [px]."""
    k1: float = 0.0
    """Radial distortion; negative is barrel, which widens the field of view."""
    k2: float = 0.0
    """Radial distortion of the fourth power."""

    @classmethod
    def from_fov(cls, fov_deg: float, width: int, height: int, *, k1: float = 0.0, k2: float = 0.0) -> Lens:
        """Make a lens from its field of view.

        Args:
            fov_deg: Horizontal field of view of the pinhole without distortion [deg]; it sets the focal length.
            width: Picture width [px].
            height: Picture height [px].
            k1: Radial distortion.
            k2: Radial distortion of the fourth power.

        Raises:
            InputError: The field of view is not an open angle below 180°, or the picture has no pixels.
        """
        check_view(fov_deg, width, height)
        focal = 0.5 * width / math.tan(math.radians(0.5 * fov_deg))
        return cls(focal_px=focal, width=width, height=height, k1=k1, k2=k2)

    @property
    def distorted(self) -> bool:
        """Whether the lens bends straight lines."""
        return self.k1 != 0.0 or self.k2 != 0.0

    @property
    def matrix(self) -> np.ndarray:
        """OpenCV's camera matrix K for pixel positions counted from the corner, float64, shape [3, 3].

        OpenCV's own functions count from the centre of the top left pixel: subtract 0.5 from both principal points.
        """
        return np.array([[self.focal_px, 0, 0.5 * self.width], [0, self.focal_px, 0.5 * self.height], [0, 0, 1.0]])

    @property
    def coefficients(self) -> np.ndarray:
        """OpenCV's distortion coefficients (k1, k2, p1, p2, k3), float64, shape [5]."""
        return np.array([self.k1, self.k2, 0.0, 0.0, 0.0])

    @property
    def corner(self) -> float:
        """Distorted radius of the picture's corners, as a tangent."""
        return 0.5 * math.hypot(self.width, self.height) / self.focal_px

    @cached_property
    def reach(self) -> float:
        """Largest true radius, as a tangent, before the lens folds; inf where it never does."""
        return fold_radius(self.k1, self.k2)

    @property
    def folds(self) -> bool:
        """Whether the fold lies inside the picture."""
        return self.reach < math.inf and bool(distorted_radius(self.reach, self.k1, self.k2) < self.corner)

    def factors(self, steps: int) -> np.ndarray:
        """True over distorted radius, at equal steps of the squared distorted radius from the centre to the corners.

        Args:
            steps: Number of steps.

        Returns:
            float64, shape [steps + 1]; 1 at the centre, NaN beyond the fold.
        """
        seen = np.sqrt(np.arange(1, steps + 1) / steps) * self.corner
        return np.concatenate([[1.0], undistorted_radius(seen, self.k1, self.k2) / seen])

    def rays(self, x_px: np.ndarray, y_px: np.ndarray) -> np.ndarray:
        """Directions that picture positions see.

        Args:
            x_px: Picture positions from the left edge [px], any shape.
            y_px: From the top edge [px], the same shape.

        Returns:
            (x, y, 1) in the camera frame, float64, shape of `x_px` with 3 appended; NaN beyond the fold.
        """
        x = (np.asarray(x_px, np.float64) - 0.5 * self.width) / self.focal_px
        y = (np.asarray(y_px, np.float64) - 0.5 * self.height) / self.focal_px
        if self.distorted:
            seen = np.hypot(x, y)
            true = undistorted_radius(seen, self.k1, self.k2)
            factor = np.divide(true, seen, out=np.ones_like(seen), where=seen > 0.0)
            x, y = x * factor, y * factor
        return np.stack([x, y, np.ones_like(x)], axis=-1)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Picture positions of points.

        Args:
            points: Points in the camera frame, of any unit, shape [..., 3].

        Returns:
            (x, y) [px], inside the picture or not, float64, shape [..., 2]; NaN where a point is not in front of the
            camera, or lies beyond the fold.
        """
        points = np.asarray(points, np.float64)
        ahead = points[..., 2] > 0.0
        depth = np.where(ahead, points[..., 2], np.nan)
        plane = points[..., :2] / depth[..., None]
        if self.distorted:
            square = (plane**2).sum(axis=-1)
            factor = 1.0 + square * (self.k1 + square * self.k2)
            plane = plane * np.where(square <= self.reach**2, factor, np.nan)[..., None]
        return plane * self.focal_px + (0.5 * self.width, 0.5 * self.height)


def check_view(fov_deg: float, width: int, height: int) -> None:
    """Check that a picture can be taken.

    Args:
        fov_deg: Horizontal field of view [deg].
        width: Picture width [px].
        height: Picture height [px].

    Raises:
        InputError: The field of view is not an open angle below 180°, or the picture has no pixels.
    """
    if not 0.0 < fov_deg < 180.0:
        raise InputError("fov_deg", fov_deg, "above 0 and below 180 deg")
    if width < 1 or height < 1:
        raise InputError("size", f"{width}x{height}", "at least 1x1")


def distorted_radius(r: float | np.ndarray, k1: float, k2: float) -> float | np.ndarray:
    """Radius at which the lens shows a true radius; both as tangents."""
    square = r * r
    return r * (1.0 + square * (k1 + square * k2))


def fold_radius(k1: float, k2: float) -> float:
    """Smallest true radius, as a tangent, where the growth 1 + 3 k1 r² + 5 k2 r⁴ falls to `MIN_SLOPE`.

    Returns:
        At most `FARTHEST`; inf where it is beyond, or nowhere.
    """
    a, b, c = 5.0 * k2, 3.0 * k1, 1.0 - MIN_SLOPE
    inside = b * b - 4.0 * a * c
    if inside < 0.0:
        return math.inf
    # The squared radius solves a s² + b s + c = 0; both roots without cancellation (Numerical Recipes, 5.6).
    q = -0.5 * (b + math.copysign(math.sqrt(inside), b))
    roots = (q / a if a != 0.0 else 0.0, c / q if q != 0.0 else 0.0)
    found = math.sqrt(min((root for root in roots if root > 0.0), default=math.inf))
    return found if found <= FARTHEST else math.inf


def undistorted_radius(seen: np.ndarray, k1: float, k2: float) -> np.ndarray:
    """Invert `distorted_radius` up to the fold by Newton's method, guarded by halving.

    Args:
        seen: Distorted radii as tangents, any shape.
        k1: Radial distortion.
        k2: Radial distortion of the fourth power.

    Returns:
        True radii, float64, shape of `seen`; NaN where the lens folds before it shows that radius.
    """
    seen = np.asarray(seen, np.float64)
    reach = fold_radius(k1, k2)
    if reach == math.inf:
        low, high = np.zeros_like(seen), np.maximum(seen, 1e-300)
        while (short := distorted_radius(high, k1, k2) < seen).any():
            high = np.where(short, 2.0 * high, high)
    else:
        low, high = np.zeros_like(seen), np.full_like(seen, reach)
        seen = np.where(seen <= distorted_radius(reach, k1, k2), seen, np.nan)
    r = np.clip(seen, low, high)
    for _ in range(NEWTON_STEPS):
        square = r * r
        error = r * (1.0 + square * (k1 + square * k2)) - seen
        low, high = np.where(error < 0.0, r, low), np.where(error > 0.0, r, high)
        step = r - error / (1.0 + square * (3.0 * k1 + square * (5.0 * k2)))
        step = np.where((step >= low) & (step <= high), step, 0.5 * (low + high))
        step = np.where(error == 0.0, r, step)
        if not (np.abs(step - r) > 1e-15 * np.abs(r)).any():
            return np.where(np.isnan(seen), np.nan, step)
        r = step
    return np.where(np.isnan(seen), np.nan, r)


def check_lens(ranges: Mapping[str, Interval], width: int, height: int) -> None:
    """Refuse ranges that hold a lens which folds inside the picture, before anything is drawn with them.

    The distorted radius grows with k1 and with k2, so the smallest of both at the widest field of view are the worst.

    Args:
        ranges: Ranges frames are drawn from, by field name (`randomize.draw.frame_intervals`): lens_k1, lens_k2,
            fov_deg.
        width: Picture width [px].
        height: Picture height [px].

    Raises:
        InputError: Naming `sensor.lens_k1` or `sensor.lens_k2`, its range, and the smallest value allowed.
    """
    k1, k2, fov = ranges["lens_k1"], ranges["lens_k2"], ranges["fov_deg"].hi

    def folds(a: float, b: float) -> bool:
        return Lens.from_fov(fov, width, height, k1=a, k2=b).folds

    if not folds(k1.lo, k2.lo):
        return
    where = f"for a field of view of {fov:g} deg at {width}x{height}"
    if k1.lo < 0.0 and not folds(0.0, k2.lo):
        least = _least(lambda value: folds(value, k2.lo), k1.lo)
        raise InputError("sensor.lens_k1", str(k1), f"at least {least:.3f} beside lens_k2 {k2} {where}")
    if not folds(k1.lo, 0.0):
        least = _least(lambda value: folds(k1.lo, value), k2.lo)
        raise InputError("sensor.lens_k2", str(k2), f"at least {least:.3f} beside lens_k1 {k1} {where}")
    least = _least(lambda value: folds(value, 0.0), k1.lo)
    raise InputError("sensor.lens_k1", str(k1), f"at least {least:.3f}, with lens_k2 at least 0, {where}")


def _least(folds: Callable[[float], bool], low: float) -> float:
    """Smallest thousandth in [low, 0] at which the lens does not fold; at 0 it does not."""
    count = math.floor(-low * 1000.0)
    return -bisect_left(range(count + 1), True, key=lambda n: folds(-(n + 1) / 1000.0)) / 1000.0
