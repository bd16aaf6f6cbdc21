"""Where the sun and the Earth stand: held to Apollo 11's sun, to DE421's own librations, and to plain geometry."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from regolith.lunar.params import InputError, Site, UtcSpan
from regolith.lunar.stage import ephemeris
from regolith.lunar.stage.ephemeris import moon_axes, sky_at, sun_range

APOLLO_11 = Site(0.67408, 23.47297)
LANDED = datetime(1969, 7, 21, 3, 15, tzinfo=UTC)


def test_the_sun_of_apollo_11() -> None:
    """Azimuth 88.836° clockwise from north, elevation 14.246°: the first minutes on the surface."""
    sun = sky_at(APOLLO_11, LANDED).sun
    assert (90.0 - sun.azimuth_deg) % 360.0 == pytest.approx(88.836, abs=0.002)
    assert sun.elevation_deg == pytest.approx(14.246, abs=0.002)


def turn(axis: int, angle: float) -> np.ndarray:
    """Rotation of the frame about an axis, shape [3, 3]."""
    a, b = [(1, 2), (2, 0), (0, 1)][axis]
    matrix = np.eye(3)
    matrix[a, a] = matrix[b, b] = np.cos(angle)
    matrix[a, b], matrix[b, a] = np.sin(angle), -np.sin(angle)
    return matrix


def test_the_moons_axes_are_those_of_the_librations_of_de421() -> None:
    """Principal axes by the Euler angles, turned to the mean Earth as Williams et al. (2008, JPL IOM 335-JW) say."""
    import de421
    from jplephem.ephem import Ephemeris

    librations = Ephemeris(de421)
    x, y, z = (turn(axis, np.radians(off / 3600.0)) for axis, off in enumerate((-0.30, -78.56, -67.92)))
    days = np.arange(-34_000.0, 18_900.0, 171.3)
    for day, axes in zip(days, moon_axes(days), strict=True):
        phi, theta, psi = np.ravel(librations.position("librations", 2451545.0 + day))
        truth = x @ y @ z @ turn(2, psi) @ turn(0, theta) @ turn(2, phi)
        off = np.degrees(np.arccos(min((np.trace(axes @ truth.T) - 1.0) / 2.0, 1.0)))
        assert off < 0.006, day
        assert axes @ axes.T == pytest.approx(np.eye(3), abs=1e-12)


def test_the_earth_stays_over_the_near_side_and_off_the_horizon_at_its_limb() -> None:
    for days in range(0, 720, 9):
        time = LANDED + timedelta(days=days)
        assert sky_at(Site(0.0, 0.0), time).earth.elevation_deg > 79.0
        assert sky_at(Site(0.0, 180.0), time).earth.elevation_deg < -79.0
        assert abs(sky_at(Site(-90.0, 0.0), time).earth.elevation_deg) < 8.0
    west = sky_at(Site(0.0, 60.0), LANDED).earth
    assert west.azimuth_deg == pytest.approx(180.0, abs=15.0)  # seen from the east of the near side


def test_the_sun_goes_once_around_a_pole_in_a_month_and_stays_low() -> None:
    times = [datetime(2026, 12, 1, tzinfo=UTC) + timedelta(days=step) for step in range(0, 30, 2)]
    suns = [sky_at(Site(-90.0, 0.0), time).sun for time in times]
    assert all(0.0 < sun.elevation_deg < 1.6 for sun in suns)
    step = np.diff(np.unwrap(np.radians([sun.azimuth_deg for sun in suns])))
    assert np.degrees(step) == pytest.approx(24.4, abs=1.0)  # anticlockwise from above, 360° in 29.5 days


def test_the_range_of_a_span_holds_every_sun_in_it() -> None:
    span = UtcSpan(datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 20, tzinfo=UTC))
    elevation, azimuth = sun_range(Site(-88.9, 30.0), span, "domain.time")
    for u in np.random.default_rng(0).random(40):
        sun = sky_at(Site(-88.9, 30.0), span.at(float(u))).sun
        assert elevation.lo - 1e-3 <= sun.elevation_deg <= elevation.hi + 1e-3 and azimuth.contains(sun.azimuth_deg)
    morning = UtcSpan(LANDED, LANDED + timedelta(hours=10))
    elevation, azimuth = sun_range(APOLLO_11, morning, "domain.time")
    assert elevation.hi - elevation.lo == pytest.approx(5.08, abs=0.05) and azimuth.hi - azimuth.lo < 0.2


def test_night_is_refused_in_one_line() -> None:
    night = UtcSpan(LANDED + timedelta(days=16))
    with pytest.raises(InputError, match=r"domain.time: .* a time with the sun above the horizon .* it is at -"):
        sun_range(APOLLO_11, night, "domain.time")
    with pytest.raises(InputError, match="above the horizon"):
        sun_range(APOLLO_11, UtcSpan(LANDED, LANDED + timedelta(days=20)), "domain.time")


def test_without_skyfield_the_line_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ephemeris._ephemeris.cache_clear()
    monkeypatch.setitem(sys.modules, "skyfield.api", None)
    with pytest.raises(InputError, match=r"pip install .*(skyfield|\[moon\])"):
        sky_at(APOLLO_11, LANDED)
