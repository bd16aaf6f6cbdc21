"""Prototype rocks: the few unit meshes every rock of a stage refers to, each at several levels of detail."""

from __future__ import annotations

import functools

import numpy as np
from scipy.spatial import KDTree

from regolith.lunar.params.scene import RockParams
from regolith.lunar.stage.mesh import TriMesh
from regolith.lunar.stage.solid import Noise, smooth, spread_directions
from regolith.lunar.stage.spec import rng
from regolith.lunar.stage.weathering import weather

LEVELS: dict[str, tuple[int, ...]] = {"blob": (1, 2), "basalt": (2, 3, 4, 5, 6, 7)}
"""Icosphere subdivisions of each level of detail: level n has 20 · 4ⁿ triangles (80, 320, 1280, 5120, 20480, 81920,
327680); `RockParams.subdivision` ends those of basalt."""

LEVEL_PIXELS: dict[str, tuple[float, ...]] = {"blob": (12.0,), "basalt": (11.0, 22.0, 48.0, 200.0, 800.0)}
"""Apparent size [px] up to which each level but the finest serves: edges of its triangles stay below two pixels."""

BODY_LEVEL = 6
"""Subdivisions to which a basalt's body is shaped; a finer level adds the middles of its edges, for its weathering."""


def level_count(params: RockParams) -> int:
    """How many levels of detail the shapes of a scene have."""
    levels = LEVELS[params.shape]
    return len(levels) if params.shape == "blob" else sum(level <= params.subdivision for level in levels)


def detail_level(params: RockParams, pixels: np.ndarray) -> np.ndarray:
    """Choose the level of detail of rocks by their apparent size.

    Args:
        params: Shape family and its finest level.
        pixels: Largest apparent diameter [px], any shape.

    Returns:
        Index into the levels of `prototypes`, int64, shape of `pixels`.
    """
    return np.searchsorted(np.array(LEVEL_PIXELS[params.shape][: level_count(params) - 1]), pixels)


def prototypes(params: RockParams, seed: int, *, finest: np.ndarray | None = None) -> list[list[TriMesh]]:
    """Return the prototype meshes of a scene, shape by level of detail, coarse to fine.

    Each mesh is closed and star-shaped, its bounding box is centred on the origin, its longest horizontal side is 1,
    and its axes lie along X (long), Y and Z (short). Levels of one shape share their coarse vertices, so they agree in
    silhouette.

    Args:
        params: Shape family and number of shapes.
        seed: Seed of the scene's geometry.
        finest: Finest level of detail wanted of each shape, shape [shape_count]; all levels where None. What a level
            looks like does not depend on it.
    """
    wanted = np.full(params.shape_count, level_count(params) - 1) if finest is None else finest
    return [build_shape(params, seed, index, finest=int(level)) for index, level in enumerate(wanted)]


def build_shape(params: RockParams, seed: int, index: int, *, finest: int) -> list[TriMesh]:
    """Build one shape at the levels of detail 0 … `finest` of its family.

    Args:
        params: Shape family and its surface.
        seed: Seed of the scene's geometry.
        index: Number of the shape; every shape draws its own stream.
        finest: Last level to build.
    """
    random = rng(seed, "shape", params.shape, index)
    levels = LEVELS[params.shape][: finest + 1]
    directions, _ = icosphere(levels[-1])
    if params.shape == "blob":
        points = _blob(directions, random)
    else:
        character, angularity = _character(params, seed, index)
        flat = 0.45 if character.random() < params.slab_share else 1.0
        body = min(levels[-1], BODY_LEVEL)
        points = _basalt(icosphere(body)[0], random, angularity=angularity, flat=flat)
        for level in range(body, levels[-1]):
            points = np.concatenate([points, points[_edges(level)[0]].mean(axis=1)])
        points = weather(points, params, character)
    spheres = [icosphere(level) for level in levels]
    return [TriMesh(points=_unit(points[: len(sphere)]), faces=faces) for sphere, faces in spheres]


def shape_angularities(params: RockParams, seed: int) -> np.ndarray:
    """Return the angularity of each shape of a scene, float [shape_count]; none of blobs, which have no edges."""
    if params.shape == "blob":
        return np.zeros(0)
    return np.array([_character(params, seed, index)[1] for index in range(params.shape_count)])


def _character(params: RockParams, seed: int, index: int) -> tuple[np.random.Generator, float]:
    """Return the stream of a shape's character, and its angularity, the first thing drawn from it."""
    character = rng(seed, "shape", "character", index)
    return character, float(character.uniform(params.angularity.lo, params.angularity.hi))


def _unit(points: np.ndarray) -> np.ndarray:
    columns = np.ascontiguousarray(points.T)
    low, high = columns.min(axis=1), columns.max(axis=1)
    return ((points - 0.5 * (low + high)) / (high - low)[:2].max()).astype(np.float32)


@functools.lru_cache(maxsize=8)
def icosphere(level: int) -> tuple[np.ndarray, np.ndarray]:
    """Subdivide an icosahedron; the vertices of a level are the first ones of every finer level.

    Returns:
        Unit vertices, float64, shape [10 · 4ⁿ + 2, 3], and triangles, int32, shape [20 · 4ⁿ, 3]; read-only.
    """
    if level == 0:
        g = 0.5 * (1.0 + 5.0**0.5)
        points = np.array(
            [[-1, g, 0], [1, g, 0], [-1, -g, 0], [1, -g, 0], [0, -1, g], [0, 1, g], [0, -1, -g], [0, 1, -g],
             [g, 0, -1], [g, 0, 1], [-g, 0, -1], [-g, 0, 1]], dtype=np.float64,
        )  # fmt: skip
        faces = np.array(
            [[0, 11, 5], [0, 5, 1], [0, 1, 7], [0, 7, 10], [0, 10, 11], [1, 5, 9], [5, 11, 4], [11, 10, 2],
             [10, 7, 6], [7, 1, 8], [3, 9, 4], [3, 4, 2], [3, 2, 6], [3, 6, 8], [3, 8, 9], [4, 9, 5], [2, 4, 11],
             [6, 2, 10], [8, 6, 7], [9, 8, 1]], dtype=np.int32,
        )  # fmt: skip
        points /= np.linalg.norm(points[0])
    else:
        points, faces = icosphere(level - 1)
        unique, inverse = _edges(level - 1)
        middle = points[unique].sum(axis=1)
        middle /= np.linalg.norm(middle, axis=1, keepdims=True)
        ab, bc, ca = (len(points) + inverse.reshape(3, -1)).astype(np.int32)
        a, b, c = faces.T
        faces = np.stack([a, ab, ca, ab, b, bc, ca, bc, c, ab, bc, ca], axis=1).reshape(-1, 3)
        points = np.concatenate([points, middle])
    points.setflags(write=False)
    faces.setflags(write=False)
    return points, faces


@functools.lru_cache(maxsize=8)
def _edges(level: int) -> tuple[np.ndarray, np.ndarray]:
    """Edges of a level, shape [30 · 4ⁿ, 2], whose middles the next level adds, and those of its faces, [60 · 4ⁿ]."""
    faces = icosphere(level)[1]
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    unique, inverse = np.unique(edges, axis=0, return_inverse=True)
    return unique, inverse


def _axes(random: np.random.Generator) -> np.ndarray:
    """Semi-axes of a rock, about 1 : 0.8 : 0.6.

    Demidov & Basilevsky (2014, Solar Syst. Res. 48) measured height over diameter of about 0.6 on boulders in Apollo
    and Lunokhod panoramas; fragments of laboratory impacts are 2 : √2 : 1 (Fujiwara et al. 1978, Nature 272).
    """
    middle = np.clip(random.normal(0.80, 0.08), 0.6, 0.98)
    return np.array([1.0, middle, np.clip(middle * random.normal(0.76, 0.12), 0.42, middle)])


def _blob(directions: np.ndarray, random: np.random.Generator) -> np.ndarray:
    noise = Noise(random)
    swell = 1.0 + 0.35 * noise(1.1 * directions) + 0.12 * noise(2.3 * directions + 7.0)
    return directions * swell[:, None] * _axes(random)


def _basalt(directions: np.ndarray, random: np.random.Generator, *, angularity: float, flat: float) -> np.ndarray:
    """Cut an ellipsoid by random fracture planes, step and chip its facets, then roughen and pit the surface.

    Args:
        directions: Unit directions of the vertices, shape [V, 3].
        random: Stream of the shape.
        angularity: Sharpness of the edges in [0, 1].
        flat: Factor on the height.
    """
    noise = Noise(random)
    axes = _axes(random) * np.array([1.0, 1.0, flat])
    body = directions * axes
    # Bend the space a little first: fractures of real rock are not plane.
    warp = np.stack([noise(1.7 * body + shift) for shift in (0.0, 19.0, 37.0)], axis=1)
    bent = directions + 0.10 * warp
    bent /= np.linalg.norm(bent, axis=1, keepdims=True)
    sharpness = 6.0 ** (2.0 * angularity - 1.0)
    radius = _facets(bent, axes, random, chips=noise(3.1 * body + 5.0), sharpness=sharpness)
    points = directions * (axes * radius[:, None])
    coarse = points[: len(icosphere(LEVELS["basalt"][0])[0])]
    points *= 2.0 * axes / np.ptp(coarse, axis=0)  # cutting planes took off more on one side than on another

    amount = _roughness(points, noise, random) * min(1.0, 0.4 + 1.2 * angularity)
    return points * (1.0 + amount - _vesicles(directions, random))[:, None]


def _facets(
    directions: np.ndarray, axes: np.ndarray, random: np.random.Generator, *, chips: np.ndarray, sharpness: float
) -> np.ndarray:
    """Radius of a convex body cut by planes, its edges worn by a soft minimum whose sharpness varies along them.

    Args:
        directions: Unit directions in the frame where the ellipsoid is a sphere, shape [V, 3].
        axes: Semi-axes of the ellipsoid.
        random: Stream of the shape.
        chips: Smooth noise of about unit range, shape [V]; high where an edge stays sharp.
        sharpness: Factor on the sharpness of all edges.

    Returns:
        Radius along each direction over the ellipsoid's, shape [V].
    """
    count = int(random.integers(10, 18))
    normals = spread_directions(count, random)
    distance = random.uniform(0.64, 0.95, count)
    cosine = directions @ normals.T
    # A fracture step: beyond a random line across a facet the plane lies a little deeper.
    for facet in random.choice(count, size=int(random.integers(2, 6)), replace=False):
        side = directions @ spread_directions(1, random)[0] + 0.15 * chips
        depth = random.uniform(0.03, 0.09)
        cosine[:, facet] *= 1.0 + depth * smooth((side - random.uniform(-0.3, 0.3)) / 0.05)
    reach = np.maximum(cosine / distance, 1e-3)
    power = np.maximum(sharpness * np.clip(26.0 * np.exp(1.1 * chips), 9.0, 90.0), 6.0)[:, None]  # softer is spiky
    peak = np.maximum(reach.max(axis=1, keepdims=True), 0.75)
    soft = peak[:, 0] * (((reach / peak) ** power).sum(axis=1) + (0.8 / peak[:, 0]) ** power[:, 0]) ** (
        1.0 / power[:, 0]
    )
    return 1.0 / soft


def _roughness(points: np.ndarray, noise: Noise, random: np.random.Generator) -> np.ndarray:
    """Relative displacement of the surface: ridged folds, then fractal roughness that varies from facet to facet."""
    amount = np.zeros(len(points))
    grain = random.uniform(0.7, 1.3)
    scale, height = 2.2, 0.062 * grain
    for octave in range(3):
        fold = 1.0 - np.abs(noise(scale * points + 11.0 * octave + 3.0)) * 2.0
        amount += height * (fold - 0.5)
        scale *= 2.1
        height *= 0.5
    patch = 0.6 + 0.8 * smooth(0.5 + noise(1.9 * points + 53.0))
    scale, height = 14.0, 0.013 * grain
    for octave in range(3):
        amount += height * patch * noise(scale * points + 29.0 * octave)
        scale *= 2.05
        height *= 0.55
    return amount


def _vesicles(directions: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Relative depth of the pits: gas vesicles of basalt and zap pits, few large, many small."""
    count = int(random.integers(10, 70))
    centers = spread_directions(count, random, spread=False)
    radius = 0.025 * random.pareto(2.2, count).clip(0.0, 3.0) + 0.03
    depth = np.zeros(len(directions))
    around = KDTree(directions, balanced_tree=False, compact_nodes=False).query_ball_point(centers, 1.2 * radius)
    for center, size, near in zip(centers, radius, around, strict=True):
        t = np.linalg.norm(directions[near] - center, axis=1) / size
        depth[near] = np.maximum(depth[near], 0.45 * size * (1.0 - smooth((t - 0.35) / 0.75)))
    return depth
