"""Bring two sensors' clouds to one density of points, that of the sparser, before anything is measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regolith.lunar.quality.clouds import Cloud

BIN_DEG = 0.25
"""Height of a bin of elevations [degrees]: finer than the beams of a scanner of 16 or 32 lie apart."""


def in_order(points: np.ndarray) -> np.ndarray:
    """Indices that sort points by x, y and z: what is drawn from a cloud does not depend on how it was stored."""
    return np.lexsort(points.T[::-1])


def draw(points: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Draw `count` of the points [m], shape [N, 3], without replacement: shape [count, 3]."""
    return points[in_order(points)[generator.choice(len(points), count, replace=False)]]


def elevation_bins(cloud: Cloud) -> np.ndarray:
    """Number of each point's bin by its elevation above the sensor's horizon, int64 [N]."""
    x, y, z = (cloud.points - cloud.origin).T
    degrees = np.degrees(np.arctan2(z, np.hypot(x, y)))
    return np.minimum((degrees + 90) / BIN_DEG, 180 / BIN_DEG - 1).astype(np.int64)


def match_elevation(
    one: Sequence[Cloud], other: Sequence[Cloud], generator: np.random.Generator
) -> tuple[list[Cloud], list[Cloud]]:
    """Thin the clouds of two sensors to the density over elevation that both reach.

    A scanner of 16 beams sees 16 elevations, one of 128 those between as well; where one sees nothing the other's
    points go, as nobody can tell whether there was nothing or no beam. In every bin of `BIN_DEG` the side with more
    points a cloud keeps a share of them, drawn by chance, and the same share in each of its clouds.

    Args:
        one: Clouds of one sensor.
        other: Clouds of the other.
        generator: Draws.

    Returns:
        The clouds of both, in order; one may be left without a point.
    """
    profiles = []
    for side in (one, other):
        counts = sum(np.bincount(elevation_bins(cloud), minlength=int(180 / BIN_DEG)) for cloud in side)
        profiles.append(np.asarray(counts) / len(side))
    target = np.minimum(*profiles)
    thinned = []
    for side, profile in zip((one, other), profiles, strict=True):
        share = np.divide(target, profile, out=np.zeros_like(target), where=profile > 0)
        thinned.append([_thin(cloud, share[elevation_bins(cloud)], generator) for cloud in side])
    return thinned[0], thinned[1]


def _thin(cloud: Cloud, share: np.ndarray, generator: np.random.Generator) -> Cloud:
    lots = np.empty(len(share))
    lots[in_order(cloud.points)] = generator.random(len(share))
    return cloud.keep(lots < share)


def one_a_voxel(points: np.ndarray, side: float) -> np.ndarray:
    """Indices of one point in each voxel: the one nearest to its vertical axis.

    Args:
        points: Positions [m], shape [N, 3].
        side: Side of a voxel [m]; voxels lie at whole multiples of it.

    Returns:
        int64 [number of voxels that hold a point].
    """
    cells = np.floor(points / side)
    off = np.hypot(*(points - (cells + 0.5) * side).T[:2])
    order = np.lexsort((*points.T, off, *cells.T))
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(cells[order], axis=0) != 0).any(axis=1)
    return order[first]
