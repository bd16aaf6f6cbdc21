"""Height models the tests write: GeoTIFFs, and a PDS3 label with its image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin

from regolith.lunar.stage.noise import rms_deviation, spectral_tile

RADIUS_M = 1_737_400.0


def write_tif(
    path: Path, z: np.ndarray, pixel_m: float, site: tuple[float, float], *, proj: str = "", nodata: float | None = None
) -> Path:
    """Write heights, rows southwards, as a GeoTIFF about a site, in its own stereographic projection or another."""
    crs = CRS.from_string(proj or f"+proj=stere +lat_0={site[0]} +lon_0={site[1]} +R={RADIUS_M} +units=m +no_defs")
    rows, columns = z.shape
    corner = from_origin(-0.5 * columns * pixel_m, 0.5 * rows * pixel_m, pixel_m, pixel_m)
    with rasterio.open(
        path, "w", driver="GTiff", width=columns, height=rows, count=1, dtype=z.dtype.name, crs=crs, transform=corner,
        nodata=nodata,
    ) as file:  # fmt: skip
        file.write(z, 1)
    return path


def write_pds(folder: Path, height: Callable[[np.ndarray, np.ndarray], np.ndarray], per_degree: int = 4) -> Path:
    """Write a global PDS3 product as LOLA's: a label, and an image of 16-bit integers of half a metre.

    Args:
        folder: Where to.
        height: Latitudes and longitudes in 0 … 360 [deg] to heights over the sphere [m].
        per_degree: Pixels per degree.
    """
    rows, columns = 180 * per_degree, 360 * per_degree
    lat = 90.0 - (np.arange(rows) + 0.5) / per_degree
    lon = (np.arange(columns) + 0.5) / per_degree
    numbers = np.round(height(lat[:, None], lon[None, :]) / 0.5)
    (folder / "LDEM.IMG").write_bytes(numbers.astype("<i2").tobytes())
    label = folder / "LDEM.LBL"
    label.write_text(
        f"""PDS_VERSION_ID = "PDS3"
PRODUCT_ID = "LDEM"
TARGET_NAME = MOON
OBJECT = UNCOMPRESSED_FILE
FILE_NAME = "LDEM.IMG"
RECORD_TYPE = FIXED_LENGTH
FILE_RECORDS = {rows}
RECORD_BYTES = {2 * columns}
^IMAGE = "LDEM.IMG"
OBJECT = IMAGE
NAME = HEIGHT
LINES = {rows}
LINE_SAMPLES = {columns}
SAMPLE_TYPE = LSB_INTEGER
SAMPLE_BITS = 16
UNIT = METER
SCALING_FACTOR = 0.5
OFFSET = 1737400.
END_OBJECT = IMAGE
END_OBJECT = UNCOMPRESSED_FILE
OBJECT = IMAGE_MAP_PROJECTION
MAP_PROJECTION_TYPE = "SIMPLE CYLINDRICAL"
MAP_RESOLUTION = {per_degree} <pix/deg>
A_AXIS_RADIUS = 1737.4 <km>
B_AXIS_RADIUS = 1737.4 <km>
C_AXIS_RADIUS = 1737.4 <km>
POSITIVE_LONGITUDE_DIRECTION = "EAST"
CENTER_LATITUDE = 0 <deg>
CENTER_LONGITUDE = 180 <deg>
MAP_SCALE = {np.pi * RADIUS_M / 180.0 / per_degree:.5f} <m/pix>
MAXIMUM_LATITUDE = 90 <deg>
MINIMUM_LATITUDE = -90 <deg>
WESTERNMOST_LONGITUDE = 0 <deg>
EASTERNMOST_LONGITUDE = 360 <deg>
LINE_PROJECTION_OFFSET = {0.5 * (rows - 1)} <pix>
SAMPLE_PROJECTION_OFFSET = {0.5 * (columns - 1)} <pix>
END_OBJECT = IMAGE_MAP_PROJECTION
END
""".replace("\n", "\r\n")
    )
    return label


def fractal(side: int, pixel_m: float, *, hurst: float, deviation_m: float, seed: int = 1) -> np.ndarray:
    """Self-affine heights [m], float32, averaged over pixels, with an RMS deviation over 10 m."""
    tile = spectral_tile(np.random.default_rng(seed), 2 * side, 0.5 * pixel_m, hurst=hurst)
    z = tile.z.astype(np.float64) * deviation_m / rms_deviation(tile.z, tile.cell, 10.0)
    return z.reshape(side, 2, side, 2).mean(axis=(1, 3)).astype(np.float32)
