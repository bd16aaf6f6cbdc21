"""Files of the Moon by place: rasters in a lunar coordinate reference system, read by rasterio.

Only formats of `DRIVERS` are opened, and files alone: GDAL would take addresses too.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regolith.lunar.machine import install_command
from regolith.lunar.params.errors import InputError
from regolith.lunar.params.fields import Site

if TYPE_CHECKING:
    from rasterio import DatasetReader

DRIVERS = ("GTiff", "PDS", "PDS4", "ISIS3", "JP2OpenJPEG", "ENVI", "EHdr", "AAIGrid")
"""Formats read, by GDAL's names: none of them that fetches or composes what it shows from elsewhere."""

RADII_M = (1_730_000.0, 1_745_000.0)
"""Radii of the body of a coordinate reference system that is the Moon's."""


@contextlib.contextmanager
def open_raster(field: str, path: str, wanted: str) -> Iterator[DatasetReader]:
    """Open a file while a block runs.

    Args:
        field: Parameter that names it.
        path: The file.
        wanted: What it is to be, in words: `a height model`.

    Raises:
        InputError: rasterio is not installed, or the file is not there or cannot be read.
    """
    try:
        import rasterio
        from rasterio.errors import RasterioError
    except ImportError:
        raise InputError(field, "rasterio", f"rasterio: {install_command('moon')}") from None
    if not Path(path).is_file():
        raise InputError(field, path, f"a file that is there: {wanted} as GeoTIFF, with a PDS label, …")
    try:
        with rasterio.Env(CPL_VSIL_CURL_ALLOWED_EXTENSIONS=".none"), _open(path) as file:
            yield file
    except RasterioError as error:
        raise InputError(field, path, f"{wanted} that can be read ({error})") from None


def _open(path: str) -> DatasetReader:
    """Open a file by the first of `DRIVERS` that takes it; raises rasterio's error of the last where none does."""
    import rasterio
    from rasterio.errors import RasterioIOError

    for driver in DRIVERS[:-1]:
        with contextlib.suppress(RasterioIOError):
            return rasterio.open(path, driver=driver)
    return rasterio.open(path, driver=DRIVERS[-1])


class Pixels:
    """Latitudes and longitudes [deg] to rows and columns of a file, at pixel centres.

    Raises:
        InputError: The file says no coordinate reference system, or none of the Moon.
    """

    def __init__(self, file: DatasetReader, field: str, path: str, site: Site) -> None:
        from rasterio.crs import CRS

        wkt = file.crs.to_wkt() if file.crs else ""
        body = re.search(r'(?:SPHEROID|ELLIPSOID)\["[^"]*",\s*([0-9.]+)', wkt)
        radius = float(body[1]) if body else math.nan
        if not RADII_M[0] <= radius <= RADII_M[1]:
            named = f"that of its body is {radius / 1000.0:.0f} km" if body else "it has no such system"
            allowed = f"a file in a coordinate reference system of the Moon, radius 1737 km; {named}"
            raise InputError(field, path, allowed)
        self._crs, self._inverse, self._shape = file.crs, ~file.transform, file.shape
        self._sphere = CRS.from_dict(proj="longlat", R=radius, no_defs=True)
        self.period = self._turn()
        self._middle = 0.5 * (file.width - 1)
        if self.period:
            column = float(self(np.array([site.lat_deg]), np.array([site.lon_deg]))[1][0])
            self._middle = column

    def __call__(self, lat: np.ndarray, lon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns, shape of `lat`; a place the projection does not show is far off the file."""
        x, y = self._projected(lat, lon)
        to = self._inverse
        columns, rows = to.a * x + to.b * y + to.c - 0.5, to.d * x + to.e * y + to.f - 0.5
        if self.period:
            columns = self._middle + (columns - self._middle + 0.5 * self.period) % self.period - 0.5 * self.period
        lost = ~(np.isfinite(rows) & np.isfinite(columns))
        return np.where(lost, -1e9, rows), np.where(lost, -1e9, columns)

    def _projected(self, lat: np.ndarray, lon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._crs.is_geographic:
            return np.asarray(lon, np.float64), np.asarray(lat, np.float64)
        from rasterio.warp import transform

        found = transform(self._sphere, self._crs, lon.tolist(), lat.tolist())
        return np.array(found[0]), np.array(found[1])

    def _turn(self) -> float:
        """Columns of a whole turn in longitude, where it is the same everywhere; else 0."""
        if self._crs.is_geographic:
            return abs(360.0 * self._inverse.a)
        kind = self._crs.to_dict()
        if kind.get("proj") not in ("eqc", "merc", "cea"):
            return 0.0
        middle = float(kind.get("lon_0", 0.0))
        x, _ = self._projected(np.zeros(2), np.array([middle, middle + 90.0]))
        return abs(4.0 * float(x[1] - x[0]) * self._inverse.a)

    def bounds(self) -> str:
        """Say which latitudes and longitudes the file's corners have."""
        from rasterio.warp import transform

        height, width = self._shape
        to = ~self._inverse
        ends = ((0, 0), (width, 0), (width, height), (0, height))
        corners = [(to.a * column + to.b * row + to.c, to.d * column + to.e * row + to.f) for column, row in ends]
        if not self._crs.is_geographic:
            lon, lat = transform(self._crs, self._sphere, *map(list, zip(*corners, strict=True)))[:2]
            corners = list(zip(lon, lat, strict=True))
        return "whose corners are at " + ", ".join(f"{lat:.2f},{lon:.2f}" for lon, lat in corners)
