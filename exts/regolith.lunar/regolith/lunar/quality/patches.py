"""Pieces of ground out of clouds, levelled, so that places that are not the same can be compared as sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from regolith.lunar.labels import REGOLITH
from regolith.lunar.quality.clouds import Cloud, points_of
from regolith.lunar.quality.density import draw, one_a_voxel

GRIDS = (32, 24, 16, 12, 8)
"""Voxels along the side of a patch, the finest first."""
FILLED = 0.9
"""Share of a patch's columns of voxels that must hold a point."""
ENOUGH = 24
"""Patches of each side for which a finer grid is left for."""


@dataclasses.dataclass(frozen=True)
class Patch:
    """A square piece of a cloud, one point a voxel: about its centre, less the plane through its ground."""

    points: np.ndarray
    """Positions [m], float64, shape [n, 3]; x and y from the centre, z above the plane."""
    classes: np.ndarray | None
    """Class of each point, uint8 [n]."""
    place: str

    def of(self, number: int | None) -> np.ndarray:
        """Points of a class, of None all [m], shape [m, 3]."""
        return points_of(self.points, self.classes, number)


class Grid(NamedTuple):
    """Patches of both sides at the density of voxels that both fill."""

    voxels: int
    """Voxels along the side of a patch."""
    synth: list[Patch]
    real: list[Patch]
    spacing_m: float
    """Side of a voxel [m]."""


def match_voxels(synth: Sequence[Cloud], real: Sequence[Cloud], size_m: float, points: int) -> Grid:
    """Cut clouds into patches, sampled one point a voxel at the finest grid that `ENOUGH` patches of each side fill.

    That is the density the sparser sensor reaches; the coarsest grid is taken where none has as many.

    Args:
        synth: Clouds of one side.
        real: Clouds of the other.
        size_m: Side of a patch [m].
        points: Most points of a patch on even ground, from a grid this fine on: thinned further, by chance, patches
            would differ by where they have points.
    """
    found = Grid(GRIDS[-1], [], [], size_m / GRIDS[-1])
    for voxels in [voxels for voxels in GRIDS if voxels**2 <= points] or GRIDS[-1:]:
        found = Grid(voxels, cut_all(synth, size_m, voxels), cut_all(real, size_m, voxels), size_m / voxels)
        if min(len(found.synth), len(found.real)) >= ENOUGH:
            break
    return found


def cut_all(clouds: Sequence[Cloud], size_m: float, voxels: int) -> list[Patch]:
    """Patches of all clouds, in order."""
    return [patch for cloud in clouds for patch in cut(cloud, size_m, voxels)]


def cut(cloud: Cloud, size_m: float, voxels: int) -> list[Patch]:
    """Cut a cloud into the squares of a grid from the origin; those that are not `FILLED` are left out.

    What a voxel holds is put on its vertical axis: where in it a ray happened to fall tells of the sensor.

    Args:
        cloud: The cloud.
        size_m: Side of a patch [m].
        voxels: Voxels along a side.
    """
    side = size_m / voxels
    cloud = cloud.keep(one_a_voxel(cloud.points, side))
    columns = np.floor(cloud.points[:, :2] / side).astype(np.int64)
    points = np.column_stack([(columns + 0.5) * side, cloud.points[:, 2]])
    cells, member = np.unique(columns // voxels, axis=0, return_inverse=True)
    first = np.unique(columns, axis=0)  # columns that hold a point
    _, filled = np.unique(first // voxels, axis=0, return_counts=True)
    order = np.argsort(member.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(member.ravel(), minlength=len(cells)))
    groups = np.split(order, ends[:-1])
    found = []
    for cell, count, group in zip(cells, filled, groups, strict=True):
        if count >= FILLED * voxels**2:
            classes = None if cloud.classes is None else cloud.classes[group]
            ground = np.ones(len(group), bool) if classes is None else classes == REGOLITH
            found.append(Patch(level(points[group], (cell + 0.5) * size_m, ground), classes, cloud.place))
    return found


def level(points: np.ndarray, centre: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Take slope and height off a patch.

    Args:
        points: Positions [m], shape [n, 3].
        centre: Centre of the patch [m], shape [2].
        ground: Which points the plane is fitted to (heights, least squares), bool [n]; all are, where it has none.

    Returns:
        Positions about the centre and above the plane [m], shape [n, 3].
    """
    moved = points - np.append(centre, 0.0)
    base = np.column_stack([moved[:, :2], np.ones(len(moved))])
    fitted = ground if ground.any() else ~ground
    plane = np.linalg.lstsq(base[fitted], moved[fitted, 2], rcond=None)[0]
    moved[:, 2] -= base @ plane
    return moved


def samples(
    patches: Sequence[Patch], number: int | None, most: int, generator: np.random.Generator
) -> list[np.ndarray]:
    """Points of a class, of None all, of each patch about their mean in x and y; of more than `most`, drawn ones."""
    found = []
    for patch in patches:
        points = patch.of(number)
        points = draw(points, min(most, len(points)), generator)
        found.append(points - [*points[:, :2].mean(axis=0), 0.0])
    return found
