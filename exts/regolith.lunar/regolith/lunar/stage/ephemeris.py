"""Where the sun and the Earth stand over a place on the Moon: JPL's DE421 by skyfield, the Moon's turn by the IAU.

The Moon's axis and prime meridian are the series of the IAU Working Group on Cartographic Coordinates and Rotational
Elements (Archinal et al. 2018, Celest. Mech. Dyn. Astron. 130:22, section 3; the Moon's are those of the 2009 report):
the mean-Earth/polar-axis frame of lunar maps to some 0.005°. Light time, aberration and parallax are in it; the
ground's own horizon is not.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from regolith.lunar.machine import install_command
from regolith.lunar.params import InputError, Interval, Site, UtcSpan
from regolith.lunar.stage.place import MOON_RADIUS_M, site_axes

_ARGUMENTS = (
    (125.045, -0.0529921), (250.089, -0.1059842), (260.008, 13.0120009), (176.625, 13.3407154),
    (357.529, 0.9856003), (311.589, 26.4057084), (134.963, 13.0649930), (276.617, 0.3287146),
    (34.226, 1.7484877), (15.134, -0.1589763), (119.743, 0.0036096), (239.961, 0.1643573), (25.053, 12.9590088),
)  # fmt: skip
_POLE_RA = (-3.8787, -0.1204, 0.0700, -0.0172, 0.0, 0.0072, 0.0, 0.0, 0.0, -0.0052, 0.0, 0.0, 0.0043)
_POLE_DEC = (1.5419, 0.0239, -0.0278, 0.0068, 0.0, -0.0029, 0.0009, 0.0, 0.0, 0.0008, 0.0, 0.0, -0.0009)
_MERIDIAN = (
    3.5610, 0.1208, -0.0642, 0.0158, 0.0252, -0.0066, -0.0047, -0.0046, 0.0028, 0.0052, 0.0040, 0.0019, -0.0044
)  # fmt: skip
"""E1 … E13 at J2000 [deg] and their rates [deg/day]; amplitudes [deg] of their sines in the pole's right ascension, of
their cosines in its declination, of their sines in the prime meridian."""

STEPS_MAX = 20_000
"""Most times a span is looked at to find where the sun stands in it."""


class Direction(NamedTuple):
    """A direction in the frame of a stage."""

    azimuth_deg: float
    """Anticlockwise from +X, which is east, in [0, 360)."""
    elevation_deg: float
    """Above the level horizon."""


class Sky(NamedTuple):
    """What stands in the sky over a place at a time."""

    sun: Direction
    earth: Direction


def sky_at(site: Site, time: datetime) -> Sky:
    """Directions to the centres of the sun and the Earth.

    Args:
        site: Place on the Moon, on the mean sphere.
        time: UTC.

    Raises:
        InputError: skyfield or its data are not installed.
    """
    directions = _directions(site, [time])
    return Sky(*(Direction(*(float(value) for value in directions[body][0])) for body in ("sun", "earth")))


def moon_axes(tdb_days: np.ndarray) -> np.ndarray:
    """Axes of the Moon's body-fixed frame as rows, in the ICRF, shape [N, 3, 3].

    Args:
        tdb_days: Days (TDB) since J2000, shape [N].
    """
    d, centuries = np.asarray(tdb_days, np.float64), np.asarray(tdb_days, np.float64) / 36525.0
    at_epoch, rate = np.array(_ARGUMENTS).T
    e = np.radians(at_epoch + np.multiply.outer(d, rate))
    ra = np.radians(269.9949 + 0.0031 * centuries + np.sin(e) @ _POLE_RA)
    dec = np.radians(66.5392 + 0.0130 * centuries + np.cos(e) @ _POLE_DEC)
    w = np.radians(38.3213 + 13.17635815 * d - 1.4e-12 * d**2 + np.sin(e) @ _MERIDIAN)
    zero, one = np.zeros_like(d), np.ones_like(d)
    node = np.stack([-np.sin(ra), np.cos(ra), zero], axis=1)
    pole = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec) * one], axis=1)
    ahead = np.cross(pole, node)
    x = np.cos(w)[:, None] * node + np.sin(w)[:, None] * ahead
    return np.stack([x, np.cross(pole, x), pole], axis=1)


def sun_range(site: Site, span: UtcSpan, field: str) -> tuple[Interval, Interval]:
    """Ranges of the sun's elevation and azimuth [deg] over a span, for a stage that is to be lit.

    Args:
        site: Place on the Moon.
        span: Time, or span of it.
        field: Name of the parameter, for errors.

    Raises:
        InputError: The sun's centre is not above the level horizon all the time; or skyfield is not installed.
    """
    hours = (span.end - span.start).total_seconds() / 3600.0
    count = 1 if not hours else min(max(round(2.0 * hours), 24) + 1, STEPS_MAX)
    times = [span.at(u) for u in np.linspace(0.0, 1.0, count).tolist()]
    azimuth, elevation = _directions(site, times)["sun"].T
    lowest = int(np.argmin(elevation))
    if elevation[lowest] <= 0.0:
        when = UtcSpan(times[lowest])
        allowed = f"a time with the sun above the horizon at {site}; it is at {elevation[lowest]:.2f}° on {when}"
        raise InputError(field, str(span), allowed)
    turned = np.degrees(np.unwrap(np.radians(azimuth)))
    whole = np.floor(turned.min() / 360.0) != np.floor(turned.max() / 360.0)
    around = Interval(0.0, 360.0) if whole else Interval(float(azimuth.min()), float(azimuth.max()))
    return Interval(float(elevation.min()), float(elevation.max())), around


def _directions(site: Site, times: Sequence[datetime]) -> dict[str, np.ndarray]:
    """Azimuth and elevation [deg] of `sun` and `earth` at times in UTC, shape [N, 2] each."""
    load, bodies = _ephemeris()
    t = load.from_datetimes(list(times))
    east_north_up = site_axes(site) @ moon_axes(np.asarray(t.tdb) - 2451545.0)
    place_km = 1e-3 * MOON_RADIUS_M * east_north_up[:, 2]
    found = {}
    for name in ("sun", "earth"):
        seen = bodies["moon"].at(t).observe(bodies[name]).apparent().position.km.T - place_km
        x, y, z = np.einsum("nij,nj->in", east_north_up, seen)
        found[name] = np.column_stack([np.degrees(np.arctan2(y, x)) % 360.0, np.degrees(np.arctan2(z, np.hypot(x, y)))])
    return found


@functools.cache
def _ephemeris() -> tuple[Any, Any]:
    """Time scale, and DE421.

    Raises:
        InputError: skyfield or its data are not installed.
    """
    try:
        from skyfield.api import load, load_file
        from skyfield_data import get_skyfield_data_path
    except ImportError:
        raise InputError("time", "skyfield", f"skyfield and skyfield-data: {install_command('moon')}") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of leap seconds that have a date of expiry: the built-in ones are used
        folder = Path(get_skyfield_data_path())
    return load.timescale(builtin=True), load_file(str(folder / "de421.bsp"))
