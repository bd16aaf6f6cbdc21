"""Sun direction from shadows, on level ground with half ellipsoids whose shadows are known exactly."""

from __future__ import annotations

import numpy as np
import pytest

from regolith.lunar.labels import REGOLITH, ROCK, SKY
from regolith.lunar.quality.camera.found import Found
from regolith.lunar.quality.camera.shadows import Ground, View, find_rocks, find_sun
from regolith.lunar.stage.lens import Lens

VIEW = View(pitch_deg=-12.0, fov_deg=60.0)


def rocky(
    azimuth_deg: float, elevation_deg: float, *, seed: int = 0, count: int = 40, shape: tuple[int, int] = (480, 640)
) -> tuple[np.ndarray, np.ndarray]:
    """Linear values and classes of ground with half ellipsoids under a point sun, seen from height 1.

    The shadow of an ellipsoid of half axes a, a, b is an ellipse of half axes a and √(a² + b² cot² e); only its half
    behind the rock is dark.
    """
    random = np.random.default_rng(seed)
    lens = Lens.from_fov(VIEW.fov_deg, shape[1], shape[0])
    x, y = np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    rays, pitch = lens.rays(x, y), np.radians(VIEW.pitch_deg)
    forward = np.cos(pitch) * rays[..., 2] + np.sin(pitch) * rays[..., 1]
    up = np.sin(pitch) * rays[..., 2] - np.cos(pitch) * rays[..., 1]
    left = -rays[..., 0]
    below = up < -1e-3
    depth = np.where(below, -1.0 / np.where(below, up, -1.0), np.inf)
    classes = np.where(below, REGOLITH, SKY).astype(np.uint8)
    ground = np.stack([forward, left], axis=-1) * np.where(below, depth, 0.0)[..., None]
    away = -np.array([np.cos(np.radians(azimuth_deg)), np.sin(np.radians(azimuth_deg))])
    dark = np.zeros(shape, bool)
    for _ in range(count):
        distance, bearing = random.uniform(2.5, 9.0), np.radians(random.uniform(-26.0, 26.0))
        a, ratio = random.uniform(0.03, 0.07) * distance**0.5, random.uniform(0.7, 1.1)
        middle, b = distance * np.array([np.cos(bearing), np.sin(bearing)]), a * ratio
        offset = ground - middle
        along, across = offset @ away, offset @ np.array([-away[1], away[0]])
        reach = np.sqrt(a**2 + (b / np.tan(np.radians(elevation_deg))) ** 2)
        dark |= below & (along > 0.0) & ((along / reach) ** 2 + (across / a) ** 2 < 1.0)
        direction = np.stack([forward / a, left / a, up / b], axis=-1)
        start = np.array([-middle[0] / a, -middle[1] / a, 1.0 / b])
        p, q, r = (direction**2).sum(-1), direction @ start, float(start @ start) - 1.0
        inside = q**2 - p * r
        hit = (-q - np.sqrt(np.maximum(inside, 0.0))) / p
        classes[(inside > 0.0) & (hit > 0.0) & (hit < depth)] = ROCK
    light = np.where(classes == SKY, 0.0, np.where(dark, 0.01, 0.3)) * np.exp(random.normal(0.0, 0.05, shape))
    return light, classes


def told(found: Found, truth: float, within: float) -> bool:
    """Whether an angle is identified, near the truth, and its interval holds it."""
    if found.interval is None or found.estimate is None:
        return False
    truth += 360.0 * round((found.estimate - truth) / 360.0)
    return abs(found.estimate - truth) <= within and found.interval[0] <= truth <= found.interval[1]


@pytest.mark.parametrize(("azimuth", "elevation"), [(90.0, 20.0), (-60.0, 15.0), (30.0, 25.0), (140.0, 12.0)])
def test_the_sun_is_found_from_shadows(azimuth: float, elevation: float) -> None:
    found = find_sun(*rocky(azimuth, elevation), VIEW)
    assert told(found.azimuth_deg, azimuth, 8.0), found.azimuth_deg
    assert found.elevation_deg.estimate == pytest.approx(elevation, rel=0.2), found.elevation_deg


def test_rocks_are_where_and_as_large_as_they_are() -> None:
    light, classes = rocky(90.0, 30.0, count=1, seed=3)
    random = np.random.default_rng(3)
    distance, bearing, size, ratio = (random.uniform(*ends) for ends in ((2.5, 9), (-26, 26), (0.03, 0.07), (0.7, 1.1)))
    (rock,) = find_rocks(classes, Ground(light, classes, VIEW))
    assert np.hypot(*rock.middle) == pytest.approx(distance, rel=0.05)
    assert np.degrees(np.arctan2(rock.middle[1], rock.middle[0])) == pytest.approx(bearing, abs=1.0)
    assert rock.half_width == pytest.approx(size * distance**0.5, rel=0.1)
    assert rock.height == pytest.approx(ratio * size * distance**0.5, rel=0.15)


def test_shadows_of_an_overhead_sun_tell_nothing() -> None:
    light, classes = rocky(0.0, 89.0)
    found = find_sun(light, classes, VIEW)
    assert found.elevation_deg.status == "unknown"
    few = find_sun(*rocky(90.0, 20.0, count=4), VIEW)
    assert few.azimuth_deg.status == "unknown" and "labelled rocks" in few.azimuth_deg.note


def test_the_wrong_pitch_sees_rocks_above_the_horizon() -> None:
    found = find_sun(*rocky(90.0, 20.0), View(pitch_deg=40.0, fov_deg=60.0))
    assert found.azimuth_deg.status == "unknown"
