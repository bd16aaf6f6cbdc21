"""Labelled rocks: how many, how large, where, which way up and how deep in the ground."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from regolith.lunar.params.models import Params
from regolith.lunar.params.scene import RockParams
from regolith.lunar.stage.mesh import TriMesh
from regolith.lunar.stage.power_law import PowerLaw
from regolith.lunar.stage.shapes import detail_level, prototypes, shape_angularities
from regolith.lunar.stage.spacing import space_out
from regolith.lunar.stage.spec import SceneSpec, rng
from regolith.lunar.stage.surface import Surface
from regolith.lunar.stage.tracks import ROCK_MIN_M, in_ruts

if TYPE_CHECKING:
    from regolith.lunar.stage.terrain import Terrain

FAR_DIAMETER_MIN_M = 0.3
"""Smallest rock beyond the working area [m]."""

FOCAL_PX = 512.0
"""Focal length [px] levels of detail are chosen for: 512 pixels over 53°."""

APART = 1.06
"""Distance between the centres of two rocks that touch, over the mean of their diameters."""

EYE_HEIGHT_M = 1.0
"""Height of the lens above the ground [m] levels of detail are chosen for; masts stand higher."""


_DIRECTIONS = np.arange(24) * np.pi / 24
_OUTLINE = np.arange(0, 24, 3)


@dataclasses.dataclass(frozen=True)
class RockField:
    """The rocks of a scene; arrays share the length N and are ordered from large to small.

    What is drawn per rock or shape bears the name of its parameter.
    """

    prototypes: list[list[TriMesh]]
    """Unit meshes, shape by level of detail; only as fine as some rock needs."""
    position: np.ndarray
    """Origin of each rock's mesh in the world frame [m], float64, shape [N, 3]."""
    orientation: np.ndarray
    """Unit quaternions (w, x, y, z) of the mesh in the world frame, float32, shape [N, 4]."""
    scale: np.ndarray
    """Factor on the unit mesh [m], float32, shape [N]."""
    diameter: np.ndarray
    """Largest horizontal extent [m], float64, shape [N]."""
    shape: np.ndarray
    """Prototype of each rock, int32, shape [N]."""
    lod: np.ndarray
    """Level of detail of each rock, int32, shape [N]."""
    burial: np.ndarray
    """Share of the rock's height below the lowest ground at its foot, float64, shape [N]."""
    radius: np.ndarray
    """Largest horizontal distance of the mesh from its origin [m], float64, shape [N]."""
    dust: np.ndarray
    """Amount of regolith lying on each rock in [0, 1], float64, shape [N]."""
    maturity: np.ndarray
    """Maturity of each, 0 for fresh, in [0, 1], float64, shape [N]."""
    angularity: np.ndarray
    """Angularity of each prototype in [0, 1], float64, shape [shapes]; empty for blobs."""

    def __len__(self) -> int:
        return len(self.diameter)

    def mesh(self, index: int) -> TriMesh:
        """Return one rock's mesh in the world frame, points as float64."""
        return TriMesh(points=self.points(index), faces=self.prototypes[self.shape[index]][self.lod[index]].faces)

    def points(self, index: int, count: int | None = None) -> np.ndarray:
        """Return the first `count` points of one rock's mesh, all by default, in the world frame, float64."""
        unit = self.prototypes[self.shape[index]][self.lod[index]].points[:count].astype(np.float64)
        turn = Rotation.from_quat(self.orientation[index].astype(np.float64), scalar_first=True)
        return turn.apply(unit) * float(self.scale[index]) + self.position[index]


def place_rocks(params: Params, scene: SceneSpec, terrain: Terrain) -> RockField:
    """Draw the rocks of a scene.

    Sizes follow a truncated power law; a share lies around fresh craters, the rest evenly; beyond the working area the
    same areal law continues with rocks of 0.3 m and more. Boulders that rolled lie besides at the ends of their tracks.
    Each rests on the local slope, sunk by its burial below the lowest ground at its foot, clear of every other.

    Args:
        params: Rock parameters, and the camera's roaming radius for the levels of detail.
        scene: Seed and size law.
        terrain: Ground to rest on, and its craters.
    """
    rocks = params.rocks
    surface = Surface(terrain)
    random = rng(scene.seed, "rocks", "sizes")
    law = SizeLaw.of(rocks, scene)
    near = law.draw(surface.area, random)
    far = _far_diameters(law, rocks.far_radius_m, surface, random)
    diameter = np.concatenate([near, far])
    outside = np.concatenate([np.zeros(len(near), bool), np.ones(len(far), bool)])
    order = np.argsort(-diameter, kind="stable")
    diameter, outside = diameter[order], outside[order]

    random = rng(scene.seed, "rocks", "places")
    ground = _Places(rocks, surface, terrain.craters, diameter=diameter, outside=outside, random=random)
    xy, kept = space_out(0.5 * APART * diameter, ground.draw)
    if terrain.recipe is not None and terrain.recipe.tracked:
        kept &= ~(in_ruts(xy, 0.5 * diameter, terrain.recipe) & (diameter >= ROCK_MIN_M))
    for x, y, size in terrain.rolled.tolist():  # over what lay there
        kept &= np.hypot(xy[:, 0] - x, xy[:, 1] - y) > 0.5 * APART * (diameter + size)
    diameter = np.concatenate([diameter[kept], terrain.rolled[:, 2]])
    order = np.argsort(-diameter, kind="stable")
    return _settle(params, scene, surface, np.concatenate([xy[kept], terrain.rolled[:, :2]])[order], diameter[order])


@dataclasses.dataclass(frozen=True)
class SizeLaw:
    """Power law of the diameters of a scene's rocks, and how many there are."""

    abundance: float
    """Covered share of the ground by rocks of all sizes; C follows from it."""
    exponent: float
    """b."""
    smallest_m: float
    largest_m: float

    @classmethod
    def of(cls, rocks: RockParams, scene: SceneSpec) -> SizeLaw:
        """Law of a scene's labelled rocks."""
        return cls(scene.rock_abundance, scene.rock_exponent, rocks.diameter_min_m, rocks.diameter_max_m)

    @property
    def sizes(self) -> PowerLaw:
        """Law of the diameters [m]."""
        return PowerLaw(self.exponent, self.smallest_m, self.largest_m)

    def areal_density(self, diameter: np.ndarray | float) -> np.ndarray:
        """Requested number of rocks per m² at least as large as `diameter` [m].

        The covered share of the ground is the expectation of Σ π/4 D² per area.
        """
        sizes = self.sizes
        total = self.abundance / (0.25 * np.pi * sizes.mean_square)
        return total * sizes.tail(diameter) / sizes.total

    def draw(self, area: float, random: np.random.Generator, *, smallest: float = 0.0) -> np.ndarray:
        """Draw the diameters [m] of all rocks on an area, shape [N], large to small.

        Systematic sampling: one draw from each of N equal slices of the distribution, so that a single scene covers
        the share of ground asked for although few boulders make up most of it.

        Args:
            area: Area [m²].
            random: Stream to draw from.
            smallest: Leave out rocks below this diameter [m].
        """
        sizes = dataclasses.replace(self.sizes, lo=max(self.smallest_m, smallest))
        if sizes.lo >= sizes.hi:
            return np.zeros(0)
        expected = float(self.areal_density(sizes.lo)) * area
        count = int(np.floor(expected + random.random()))
        u = (np.arange(count) + random.random(count)) / max(count, 1)
        return sizes.size(u)


def _far_diameters(law: SizeLaw, radius: float, surface: Surface, random: np.random.Generator) -> np.ndarray:
    area = np.pi * radius**2 - surface.area
    if area <= 0.0:
        return np.zeros(0)
    return law.draw(area, random, smallest=FAR_DIAMETER_MIN_M)


class _Places:
    """Where rocks may fall: around fresh craters, evenly over the working area, or evenly beyond it."""

    def __init__(
        self,
        rocks: RockParams,
        surface: Surface,
        craters: np.ndarray,
        *,
        diameter: np.ndarray,
        outside: np.ndarray,
        random: np.random.Generator,
    ) -> None:
        self._surface, self._diameter, self._outside, self._random = surface, diameter, outside, random
        self._far_radius = rocks.far_radius_m
        self._craters = np.sort(craters, order="diameter")[::-1] if len(craters) else craters
        self._ejecta = (random.random(len(diameter)) < rocks.ejecta_share) & ~outside

    def draw(self, index: np.ndarray, attempt: int) -> np.ndarray:
        """Draw places for rocks, shape [K] -> [K, 2]; after some attempts ejecta fall back to anywhere."""
        xy = self._evenly(self._diameter[index])
        out = self._outside[index]
        xy[out] = self._beyond(int(out.sum()))
        if attempt < 12 and len(self._craters):
            thrown = np.flatnonzero(self._ejecta[index])
            self._strew(xy, thrown, self._diameter[index[thrown]])
        return xy

    def _evenly(self, diameter: np.ndarray) -> np.ndarray:
        half = np.array([self._surface.half_x, self._surface.half_y])
        room = np.maximum(half - 0.5 * diameter[:, None], 0.0)
        return self._random.uniform(-1.0, 1.0, (len(diameter), 2)) * room

    def _beyond(self, count: int) -> np.ndarray:
        places = np.zeros((0, 2))
        while len(places) < count:
            radius = self._far_radius * np.sqrt(self._random.random(2 * count + 16))
            angle = self._random.uniform(0.0, 2.0 * np.pi, len(radius))
            xy = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
            places = np.concatenate([places, xy[~self._surface.inside(xy[:, 0], xy[:, 1], margin=-0.5)]])
        return places[:count]

    def _strew(self, xy: np.ndarray, thrown: np.ndarray, diameter: np.ndarray) -> None:
        """Throw rocks out of craters: more from large and fresh ones, thinning outward from the rim as range⁻³.

        A crater throws blocks up to 0.29 Dc^0.67 m (Lee et al. 1986; Bart & Melosh 2007, Geophys. Res. Lett. 34);
        the largest stay nearest to the rim, within a few radii (Bart & Melosh 2010, Icarus 209).
        """
        craters = self._craters
        weight = np.cumsum(craters["diameter"].astype(np.float64) ** 2 * craters["freshness"].astype(np.float64) ** 2)
        smallest = (diameter / 0.29) ** (1.0 / 0.67)
        eligible = np.searchsorted(-craters["diameter"].astype(np.float64), -smallest, side="right")
        able = eligible > 0
        thrown, diameter, eligible = thrown[able], diameter[able], eligible[able]
        pick = np.searchsorted(weight, self._random.random(len(thrown)) * weight[eligible - 1])
        source = craters[np.minimum(pick, eligible - 1)]
        reach = 1.5 + 5.0 * (diameter / self._diameter[-1]) ** -0.25 if len(diameter) else diameter
        t = 0.95 / (1.0 - self._random.random(len(thrown)) * (1.0 - 0.95 / reach))
        angle = self._random.uniform(0.0, 2.0 * np.pi, len(thrown))
        out = 0.5 * source["diameter"] * t
        x, y = source["x"] + out * np.cos(angle), source["y"] + out * np.sin(angle)
        fits = self._surface.inside(x, y, margin=0.5 * diameter)
        xy[thrown[fits]] = np.stack([x, y], axis=1)[fits]


def _settle(params: Params, scene: SceneSpec, surface: Surface, xy: np.ndarray, diameter: np.ndarray) -> RockField:
    """Choose shapes, turn the rocks, and sink them into the ground."""
    rocks, count = params.rocks, len(diameter)
    random = rng(scene.seed, "rocks", "shapes")
    shape = random.integers(0, rocks.shape_count, count).astype(np.int32)
    burial = random.uniform(rocks.burial.lo, rocks.burial.hi, count)
    gap = np.hypot(np.maximum(np.hypot(xy[:, 0], xy[:, 1]) - params.camera.roam_m, 0.0), EYE_HEIGHT_M)
    lod = detail_level(rocks, FOCAL_PX * diameter / gap).astype(np.int32)
    finest = np.zeros(rocks.shape_count, int)
    np.maximum.at(finest, shape, lod)
    units = prototypes(rocks, scene.seed, finest=finest)

    turn = _orientations(surface, xy, diameter, rng(scene.seed, "rocks", "orientations"))
    orientation = turn.as_quat(scalar_first=True).astype(np.float32).reshape(count, 4)
    matrix = Rotation.from_quat(orientation.astype(np.float64), scalar_first=True).as_matrix() if count else None
    scale, low, high, radius = np.ones(count), np.zeros(count), np.zeros(count), np.zeros(count)
    outline = np.zeros((count, 2 * len(_OUTLINE), 2))
    for index, corners in _by_mesh(units, shape, lod):
        assert matrix is not None
        turned = np.einsum("nij,vj->nvi", matrix[index], corners)
        widest, outline[index] = _footprint(turned)
        scale[index] = diameter[index] / widest
        low[index], high[index] = turned[..., 2].min(axis=1), turned[..., 2].max(axis=1)
        radius[index] = np.sqrt((turned[..., :2] ** 2).sum(axis=2).max(axis=1))
    foot = surface.lowest(xy, outline * scale[:, None, None])
    position = np.column_stack([xy, foot - scale * (low + burial * (high - low))])
    return RockField(
        prototypes=units,
        position=position,
        orientation=orientation,
        scale=scale.astype(np.float32),
        diameter=diameter,
        shape=shape,
        lod=lod,
        burial=burial,
        radius=radius * scale,
        dust=rng(scene.seed, "rocks", "dust").uniform(rocks.dust.lo, rocks.dust.hi, count),
        maturity=rng(scene.seed, "rocks", "maturity").uniform(rocks.maturity.lo, rocks.maturity.hi, count),
        angularity=shape_angularities(rocks, scene.seed),
    )


def _orientations(surface: Surface, xy: np.ndarray, diameter: np.ndarray, random: np.random.Generator) -> Rotation:
    """Turn rocks at random, most with a flat side down, then lean them with the slope over their own size."""
    count = len(diameter)
    if count == 0:
        return Rotation.identity(0)
    yaw = Rotation.from_rotvec(np.outer(random.uniform(0.0, 2.0 * np.pi, count), [0.0, 0.0, 1.0]))
    flip = Rotation.from_rotvec(np.outer(np.pi * random.integers(0, 2, count), [1.0, 0.0, 0.0]))
    lean = np.radians(np.where(random.random(count) < 0.3, 55.0, 14.0)) * random.normal(size=count)
    angle = random.uniform(0.0, 2.0 * np.pi, count)
    tilt = Rotation.from_rotvec(lean[:, None] * np.stack([np.cos(angle), np.sin(angle), np.zeros(count)], axis=1))
    normal = surface.slope_normal(xy, 0.5 * diameter)
    axis = np.stack([-normal[:, 1], normal[:, 0], np.zeros(count)], axis=1)  # z × n, its length the sine
    sine = np.linalg.norm(axis, axis=1, keepdims=True)
    slope = Rotation.from_rotvec(axis / np.maximum(sine, 1e-12) * np.arcsin(np.clip(sine, 0.0, 1.0)))
    return slope * yaw * tilt * flip


def _by_mesh(
    units: list[list[TriMesh]], shape: np.ndarray, lod: np.ndarray, *, chunk: int = 2000
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the rocks that share a mesh, in chunks, with the corners of its convex hull, float64, shape [V, 3]."""
    for number, levels in enumerate(units):
        for level, unit in enumerate(levels):
            index = np.flatnonzero((shape == number) & (lod == level))
            if len(index) == 0:
                continue
            points = unit.points.astype(np.float64)
            corners = points[ConvexHull(points).vertices]
            for start in range(0, len(index), chunk):
                yield index[start : start + chunk], corners


def _footprint(turned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shadow of point sets, shape [N, V, 3], on the XY plane.

    Returns:
        Largest extent over 24 directions (error below 0.3 %), shape [N], and the corners of the shadow that reach
        farthest towards 16 sides, shape [N, 16, 2].
    """
    across = turned[..., :2] @ np.stack([np.cos(_DIRECTIONS), np.sin(_DIRECTIONS)])
    first, last = across.argmin(axis=1), across.argmax(axis=1)
    ends = np.take_along_axis(across, np.stack([first, last], axis=1), axis=1)
    widest = (ends[:, 1] - ends[:, 0]).max(axis=1)
    corner = np.concatenate([last[:, _OUTLINE], first[:, _OUTLINE]], axis=1)
    return widest, np.take_along_axis(turned[..., :2], corner[..., None], axis=1)
