"""Places on the Moon and the frame of a stage that lies there: +X east, +Y north, +Z up at its site.

The Moon is the sphere of 1737.4 km that height models refer to; latitudes and longitudes are planetocentric in the
mean-Earth/polar-axis frame, as those of LOLA and LROC.
"""

from __future__ import annotations

import numpy as np

from regolith.lunar.params import Site

MOON_RADIUS_M = 1_737_400.0
"""Mean radius of the Moon [m]; at distance d the ground drops by d² / 2R."""


def site_axes(site: Site) -> np.ndarray:
    """East, north and up at a place as rows, in the Moon's body-fixed frame, shape [3, 3].

    At a pole, east and north are those of the longitude the site names.
    """
    lat, lon = np.radians([site.lat_deg, site.lon_deg])
    return np.array(
        [
            [-np.sin(lon), np.cos(lon), 0.0],
            [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)],
            [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)],
        ]
    )


def geographic(site: Site, points: np.ndarray, height_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes and longitudes [deg] of points of the stage's frame.

    Args:
        site: Origin of the frame.
        points: Positions [m], shape [N, 3].
        height_m: Height of the origin over the sphere [m].

    Returns:
        Latitude and longitude in [-180, 180], shape [N] each.
    """
    body = (points + np.array([0.0, 0.0, MOON_RADIUS_M + height_m])) @ site_axes(site)
    lat = np.degrees(np.arctan2(body[:, 2], np.hypot(body[:, 0], body[:, 1])))
    return lat, np.degrees(np.arctan2(body[:, 1], body[:, 0]))


def rise(x: np.ndarray, y: np.ndarray, height_m: np.ndarray | float, origin_m: float) -> np.ndarray:
    """Z of ground at (x, y) [m] in the stage's frame, whose height over the sphere is known [m].

    Args:
        x: East of the site [m].
        y: North of the site [m], same shape.
        height_m: Height of the ground over the sphere there [m].
        origin_m: Height of the frame's origin [m].
    """
    return np.sqrt((MOON_RADIUS_M + height_m) ** 2 - x**2 - y**2) - (MOON_RADIUS_M + origin_m)
