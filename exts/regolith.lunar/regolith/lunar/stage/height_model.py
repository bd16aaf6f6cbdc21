"""A height model of the Moon, read about a site: a GeoTIFF, a PDS3 label, or another of `params.rasters.DRIVERS`.

Where its pixels lie is the file's own coordinate reference system's word; metres per number are the file's scale, or
`ground.dem_scale`. Farther out it is read at half the resolution with each doubling of the distance, so that a model of
any size costs the same.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from regolith.lunar.params import InputError, Params, Site
from regolith.lunar.params.rasters import Pixels, open_raster
from regolith.lunar.params.scene import GroundParams
from regolith.lunar.stage.place import MOON_RADIUS_M, geographic, rise

if TYPE_CHECKING:
    from rasterio import DatasetReader

HALF_PIXELS = 256
"""Half-width of the part that is read at full resolution [px]; each level about it is twice as wide and as coarse."""

HEIGHTS_M = (-10_000.0, 11_500.0)
"""Heights the Moon has, with a margin: -9.1 … 10.8 km over the sphere (Smith et al. 2010, GRL 37, L18204)."""

SLOPES_DEG = (0.03, 60.0)
"""RMS slopes over a pixel outside of which a scale is doubted that nobody gave: ground has tenths of a degree
at the least, and a thousandth of that where kilometres pass for metres."""

POINTS = 20_000
"""Places the share without data is told from, evenly over the ground."""

UNITS_M = {"km": 1000.0, "kilometer": 1000.0, "kilometers": 1000.0, "kilometre": 1000.0, "kilometres": 1000.0}
"""Unit of a band to metres; others are metres."""


@dataclasses.dataclass(frozen=True)
class Level:
    """The model about the site at one resolution."""

    z: np.ndarray
    """Heights over the mean sphere [m], float64, shape [rows, columns], without gaps."""
    row: float
    column: float
    """Place of the first pixel's centre in pixels of the file."""
    step: int
    """Pixels of the file across one of these."""
    gaps: np.ndarray
    """Where the file has no data and `z` was filled, bool, shape of `z`."""

    def sample(self, rows: np.ndarray, columns: np.ndarray, width: float = 0.0) -> np.ndarray:
        """Interpolate by a bicubic spline at pixels of the file; beyond the edge that of the edge.

        Args:
            rows: Places in pixels of the file, any shape.
            columns: The same, same shape.
            width: Standard deviation of a Gaussian that smooths the heights first, in pixels of this level.
        """
        z = ndimage.gaussian_filter(self.z, width, mode="nearest") if width > 0.0 else self.z
        at = np.stack([(rows - self.row) / self.step, (columns - self.column) / self.step])
        limit = np.array(z.shape).reshape(2, *(1,) * (at.ndim - 1)) - 1.0
        return ndimage.map_coordinates(z, np.clip(at, 0.0, limit), order=3, mode="nearest")


@dataclasses.dataclass(frozen=True)
class HeightModel:
    """Ground of a stage at its site, as far as the model shows it."""

    site: Site
    """Origin of the stage's frame."""
    pixel_m: float
    """Size of a pixel at the site, the longer side [m]."""
    short_m: float
    """Its shorter side [m]."""
    origin_m: float
    """Height of the site over the mean sphere [m]: Z = 0 of the stage."""
    levels: tuple[Level, ...]
    """Finest first, each twice as wide as the one before."""
    sha256: str
    """Of all that was read."""
    notes: tuple[str, ...]
    """What was filled or found, in words."""
    _pixels: Any = dataclasses.field(repr=False)
    """Latitudes and longitudes [deg] to rows and columns."""

    @property
    def reach_m(self) -> float:
        """Distance up to which the whole file was read at full resolution [m]."""
        return 0.7 * HALF_PIXELS * self.short_m

    def sheet(self, side: int) -> np.ndarray | None:
        """Heights over the sphere [m] about the site at the file's own resolution, shape [side, side].

        None where more than a twentieth of it has no data, or was not read at that resolution.
        """
        if side * self.pixel_m > 2.0 * HALF_PIXELS * self.short_m:
            return None
        middle = slice(HALF_PIXELS - side // 2, HALF_PIXELS + side // 2)
        if self.levels[0].gaps[middle, middle].mean() > 0.05:
            return None
        at = (np.arange(side) - 0.5 * (side - 1)) * self.pixel_m
        x, y = (part.ravel() for part in np.meshgrid(at, at))
        level = np.column_stack([x, y, rise(x, y, self.origin_m, self.origin_m)])
        rows, columns = self._pixels(*geographic(self.site, level, self.origin_m))
        return self.levels[0].sample(rows, columns).reshape(side, side)

    def height(self, x: np.ndarray, y: np.ndarray, cell: np.ndarray | float = 0.0) -> np.ndarray:
        """Z of the model's ground [m] in the stage's frame, the Moon's curvature included.

        Args:
            x: East of the site [m], any shape.
            y: North of it [m], same shape.
            cell: Cell of a mesh [m], broadcast against them: wavelengths it cannot carry are left out.

        Returns:
            float64, shape of `x`.
        """
        shape = np.shape(x)
        x, y = np.ravel(np.asarray(x, np.float64)), np.ravel(np.asarray(y, np.float64))
        cells = np.broadcast_to(cell, shape).ravel()
        z = rise(x, y, self.origin_m, self.origin_m)
        for _ in range(2):  # the plumb line leans with the distance: by d / R of a height that is found on the way
            lat, lon = geographic(self.site, np.column_stack([x, y, z]), self.origin_m)
            z = rise(x, y, self._over_sphere(x, y, lat, lon, cells), self.origin_m)
        return z.reshape(shape)

    def _over_sphere(
        self, x: np.ndarray, y: np.ndarray, lat: np.ndarray, lon: np.ndarray, cell: np.ndarray
    ) -> np.ndarray:
        """Heights over the mean sphere [m], each of the finest level that reaches there, smoothed for its cell."""
        rows, columns = self._pixels(lat, lon)
        far = np.maximum(np.abs(x), np.abs(y)) / self.reach_m
        level = np.clip(np.ceil(np.log2(np.maximum(far, 1e-9))), 0, len(self.levels) - 1).astype(int)
        blur = np.log(np.maximum(cell / (self.pixel_m * 2.0**level), 1.0)) / math.log(3.0)
        z = np.zeros(len(x))
        for number in np.unique(level):
            here = np.flatnonzero(level == number)
            for step in range(int(np.ceil(blur[here].max())) + 1):
                weight = np.clip(1.0 - np.abs(blur[here] - step), 0.0, None)
                mine = here[weight > 0.0]
                if mine.size:
                    width = 0.0 if step == 0 else 0.7 * 3.0**step
                    part = self.levels[number].sample(rows[mine], columns[mine], width)
                    z[mine] += weight[weight > 0.0] * part
        return z


def stage_model(params: Params) -> HeightModel:
    """Read the height model of a stage (`ground.dem`), out to its far radius.

    Raises:
        InputError: As `read_height_model`.
    """
    return read_height_model(params.ground, params.terrain.far_radius_m, params.terrain.size_m)


def pinned(params: Params) -> Params:
    """Parameters that say of their height model where it lies and what is read of it; without one, themselves.

    Raises:
        InputError: As `read_height_model`.
    """
    ground = params.ground
    if ground.dem is None:
        return params
    known = {"dem": ground.dem.absolute(), "dem_sha256": stage_model(params).sha256}
    return params.model_copy(update={"ground": ground.model_copy(update=known)})


def read_height_model(ground: GroundParams, reach_m: float, near_m: float) -> HeightModel:
    """Read a height model about a site.

    Args:
        ground: Site, file, scale, and maybe the digest of what was read before.
        reach_m: Distance the ground reaches [m].
        near_m: Distance up to which no gap may be the whole ground [m].

    Raises:
        InputError: rasterio is not installed; the file cannot be read, is none of the Moon, does not show the site, has
            no scale or an implausible one, or is not the one that was read before.
    """
    with open_raster("ground.dem", str(ground.dem), "a height model") as file:
        return _read(file, ground, reach_m, near_m)


def _read(file: DatasetReader, ground: GroundParams, reach_m: float, near_m: float) -> HeightModel:
    site, path = ground.site, str(ground.dem)
    assert site is not None
    pixels = Pixels(file, "ground.dem", path, site)
    row, column = (float(part[0]) for part in pixels(np.array([site.lat_deg]), np.array([site.lon_deg])))
    if not (-0.5 <= row <= file.height - 0.5 and -0.5 <= column <= file.width - 0.5):
        raise InputError("ground.site", str(site), f"a place on {path}, {pixels.bounds()}")
    pixel_m, short_m = _size_m(pixels, site)
    factor, offset = _scale(file, ground)
    across = max(reach_m / short_m, 1.0)
    if pixels.period:
        across = min(across, 0.5 * pixels.period + 1.0)
    count = max(0, math.ceil(math.log2(across / (0.7 * HALF_PIXELS)))) + 1
    read = hashlib.sha256(repr((*file.transform[:6], factor, offset)).encode())
    levels = []
    for number in range(count):
        level = _read_level(file, pixels, row, column, 2**number, read)
        z = level.z * factor + offset
        if not level.gaps.all() and np.median(z[~level.gaps]) > 0.5 * MOON_RADIUS_M:
            z = z - MOON_RADIUS_M
        _check_heights(z[~level.gaps], ground, path)
        levels.append(dataclasses.replace(level, z=_filled(z, level.gaps)))
    if _lacking(levels[0], pixels, site, near_m) == 1.0:
        raise InputError("ground.site", str(site), f"a place where {path} has data")
    if ground.dem_scale is None and factor == 1.0:
        _check_slopes(levels[0].z, pixel_m, path)
    digest = read.hexdigest()
    if ground.dem_sha256 not in (None, digest):
        raise InputError("ground.dem", path, "the height model that was read before: what it shows here has changed")
    share = _lacking(levels[-1], pixels, site, reach_m)
    notes = ()
    if share > 0.0:
        notes = (f"{path} has no data for {share:.2%} of the ground within {reach_m:.0f} m: filled from around",)
    origin = float(levels[0].sample(np.array([row]), np.array([column]))[0])
    return HeightModel(site, pixel_m, short_m, origin, tuple(levels), digest, notes, pixels)


def _size_m(pixels: Pixels, site: Site) -> tuple[float, float]:
    """Longer and shorter side of a pixel at a place [m]."""
    step = 100.0
    points = step * np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
    rows, columns = pixels(*geographic(site, points, 0.0))
    turn = np.array([[columns[0] - columns[1], columns[2] - columns[3]], [rows[0] - rows[1], rows[2] - rows[3]]])
    short, long = 2.0 * step / np.linalg.svd(turn, compute_uv=False)
    return float(long), float(short)


def _scale(file: DatasetReader, ground: GroundParams) -> tuple[float, float]:
    """Metres of a number, and metres to add.

    Raises:
        InputError: Whole numbers without a scale, and none given.
    """
    scale, offset = float(file.scales[0]), float(file.offsets[0])
    unit = UNITS_M.get((file.units[0] or "").strip().lower(), 1.0)
    if ground.dem_scale is not None:
        return ground.dem_scale, offset * unit
    if np.issubdtype(np.dtype(file.dtypes[0]), np.integer) and scale == 1.0 and not file.units[0]:
        said = f"metres per number of {ground.dem}, whose whole numbers come without a scale (LOLA's are 0.5 m)"
        raise InputError("ground.dem_scale", None, said)
    return scale * unit, offset * unit


def _read_level(file: DatasetReader, pixels: Pixels, row: float, column: float, step: int, read: Any) -> Level:
    """Read a square about a pixel of the file, `step` pixels averaged to one; what lies beyond the file is a gap.

    Returns:
        The level with numbers as they are stored, 0 in gaps.
    """
    from rasterio.enums import Resampling
    from rasterio.windows import Window

    side = 2 * HALF_PIXELS
    top, left = (math.floor(at / step) - HALF_PIXELS for at in (row, column))
    z, gaps = np.zeros((side, side)), np.ones((side, side), bool)
    period = round(pixels.period)
    turns = (-period, 0, period) if period else (0,)
    for turn in turns:
        r0, r1 = (min(max(edge, 0), file.height // step) for edge in (top, top + side))
        c0 = min(max(left, math.ceil(turn / step)), (turn + file.width) // step)
        c1 = min(max(left + side, math.ceil(turn / step)), (turn + file.width) // step)
        if r1 <= r0 or c1 <= c0:
            continue
        window = Window(c0 * step - turn, r0 * step, (c1 - c0) * step, (r1 - r0) * step)  # pyright: ignore[reportCallIssue]
        part = file.read(1, window=window, out_shape=(r1 - r0, c1 - c0), masked=True, resampling=Resampling.average)
        at = np.s_[r0 - top : r1 - top, c0 - left : c1 - left]
        values = np.asarray(part.filled(0))
        read.update(np.ascontiguousarray(values).tobytes())
        gaps[at] = np.ma.getmaskarray(part) | ~np.isfinite(values.astype(np.float64))
        z[at] = np.where(gaps[at], 0.0, values)
    return Level(z, top * step + 0.5 * (step - 1), left * step + 0.5 * (step - 1), step, gaps)


def _lacking(level: Level, pixels: Pixels, site: Site, reach_m: float) -> float:
    """Share of the ground within a distance [m] of a place that a level has no data for."""
    turn, distance = 2.399963 * np.arange(POINTS), reach_m * np.sqrt((np.arange(POINTS) + 0.5) / POINTS)
    x, y = distance * np.cos(turn), distance * np.sin(turn)
    rows, columns = pixels(*geographic(site, np.column_stack([x, y, rise(x, y, 0.0, 0.0)]), 0.0))
    places = zip((rows, columns), (level.row, level.column), strict=True)
    at = [np.round((part - first) / level.step).astype(int) for part, first in places]
    inside = np.logical_and(*((part >= 0) & (part < side) for part, side in zip(at, level.z.shape, strict=True)))
    return 1.0 - float(np.sum(~level.gaps[at[0][inside], at[1][inside]])) / POINTS


def _check_heights(z: np.ndarray, ground: GroundParams, path: str) -> None:
    if z.size and (z.min() < HEIGHTS_M[0] or z.max() > HEIGHTS_M[1]):
        said = (
            f"metres per number of {path} that give heights of the Moon, {HEIGHTS_M[0]:.0f} … {HEIGHTS_M[1]:.0f} m; "
            f"these are {z.min():.0f} … {z.max():.0f} m"
        )
        raise InputError("ground.dem_scale", ground.dem_scale, said)


def _check_slopes(z: np.ndarray, pixel_m: float, path: str) -> None:
    """Refuse heights whose slopes no ground has, as those in kilometres have that pass for metres."""
    slope = math.degrees(math.atan(float(np.sqrt(np.mean(np.diff(z, axis=1) ** 2))) / pixel_m))
    if z.std() > 0.0 and not SLOPES_DEG[0] <= slope <= SLOPES_DEG[1]:
        said = f"metres per number of {path}: as it is, slopes there are {slope:.2g}° from pixel to pixel"
        raise InputError("ground.dem_scale", None, said)


def _filled(z: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Fill gaps from around: with means over twos, fours, eights, … of pixels, the fewest that hold data."""
    if not gaps.any() or gaps.all():
        return z
    even = [(0, side % 2) for side in z.shape]
    weight, values = np.pad(~gaps, even).astype(np.float64), np.pad(np.where(gaps, 0.0, z), even)
    quads = [part.reshape(part.shape[0] // 2, 2, -1, 2).sum(axis=(1, 3)) for part in (weight, values)]
    means = _filled(quads[1] / np.maximum(quads[0], 1.0), quads[0] == 0.0)
    at = [(np.arange(side) - 0.5) / 2.0 for side in z.shape]
    smooth = ndimage.map_coordinates(means, np.stack(np.meshgrid(*at, indexing="ij")), order=1, mode="nearest")
    return np.where(gaps, smooth, z)
