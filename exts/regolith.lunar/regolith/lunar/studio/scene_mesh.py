"""What a browser carries of a stage: few triangles where it matters little, many where the rover camera roams."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator

import numpy as np
from pxr import Usd, UsdGeom
from scipy import ndimage
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from regolith.lunar.params import InputError
from regolith.lunar.stage import relief, schema
from regolith.lunar.stage.mesh import TriMesh
from regolith.lunar.stage.noise import smoothstep
from regolith.lunar.stage.reading import Ground, read_ground, read_mesh
from regolith.lunar.stage.shapes import icosphere
from regolith.lunar.studio.scene_rover import RoverMeshes, read_rover
from regolith.lunar.studio.scene_rtin import network, tolerance_for, vertex_errors

GROUND_TRIANGLES = 30_000
"""Most triangles of the working area: what a browser without a graphics card draws in a tenth of a second."""

FINEST_ERROR_M = 0.004
"""Error [m] nobody sees where the camera roams; less is never asked for."""

LATTICE = (6, 10)
"""Fewest and most halvings of the working area's side: 64 … 1024 cells."""

CELL_M = 0.06
"""Largest cell [m] of the lattice of the working area: shadows of small rocks need it where the ground does not."""

MARGIN_M = 2.0
"""Width [m] of the ring around the roaming circle that is as fine as the circle."""

RAYS = 96
"""Vertices of each ring of the far relief; a multiple of four."""

RING_GROWTH = 1.15
"""Radius of a ring of the far relief over that of the one before."""

ROCK_SIZES = (0.025, 0.12, 0.4)
"""Diameter over distance up to which a rock has 8, 80 and 320 triangles; larger ones have 1280."""

EYE_GAP_M = 3.0
"""Distance [m] of the page's eye to a rock where the camera roams."""


@dataclasses.dataclass(frozen=True)
class Rocks:
    """The rocks of a stage."""

    prototypes: tuple[TriMesh, ...]
    prototype: np.ndarray
    """Index into `prototypes` of each rock, int64, shape [N]."""
    position: np.ndarray
    """Origin of each rock in the world frame [m], float64, shape [N, 3]."""
    turn: np.ndarray
    """Rotation matrix of each for column vectors, float64, shape [N, 3, 3]."""
    scale: np.ndarray
    """Factors along the prototype's axes, float64, shape [N, 3]."""

    @property
    def diameter(self) -> np.ndarray:
        """Longest side of each rock in the frame of its prototype [m], float64, shape [N]."""
        size = np.array([np.ptp(mesh.points, axis=0) for mesh in self.prototypes]).reshape(-1, 3)
        return (size[self.prototype] * self.scale).max(axis=1, initial=0.0)

    def placed(self, points: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Points of a prototype, shape [V, 3], in the world frame, once for each rock, shape [K, V, 3]."""
        turn = self.turn[index] * self.scale[index][:, None, :]
        return points.astype(np.float64) @ turn.transpose(0, 2, 1) + self.position[index][:, None, :]


@dataclasses.dataclass(frozen=True)
class StageContent:
    """What the view reads of a stage."""

    ground: Ground
    rocks: Rocks
    roam_m: float
    """Radius about the origin inside which frames place the camera [m]."""
    rover: RoverMeshes = dataclasses.field(default_factory=dict)
    """Bodies of the rover; none where there is none."""

    @property
    def half_m(self) -> float:
        """Half the side of the working area [m]."""
        return self.ground.grid.half_x

    @property
    def focus_m(self) -> float:
        """Radius of the ground shown at its finest [m]."""
        return self.roam_m + MARGIN_M

    def coarseness(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """How much coarser than its finest the ground may be at places (x, y) [m]: 1 where the camera roams."""
        return np.maximum(np.hypot(x, y) / self.focus_m, 1.0)


@dataclasses.dataclass(frozen=True)
class Batch:
    """Rocks that share a mesh."""

    mesh: TriMesh
    index: np.ndarray
    """Numbers of the rocks, int64, shape [K]."""


@dataclasses.dataclass(frozen=True)
class SceneMesh:
    """What is sent to the browser."""

    ground: TriMesh
    near: int
    """Triangles of the working area, the first of `ground`; the others are far relief."""
    tolerance_m: float
    """Error [m] left out where the camera roams; it grows with the distance from there."""
    batches: tuple[Batch, ...]
    errors: np.ndarray
    """Weighted errors of the nodes of `lattice` (`scene_rtin.vertex_errors`) over `tolerance_m`, float32."""
    lattice: np.ndarray
    """Heights [m] the working area is thinned from, float64, shape [2ᵏ + 1, 2ᵏ + 1], rows along +Y."""

    @property
    def triangles(self) -> int:
        """Triangles a page draws."""
        return len(self.ground.faces) + sum(len(batch.mesh.faces) * len(batch.index) for batch in self.batches)

    @property
    def vertices(self) -> int:
        """Vertices sent."""
        return len(self.ground.points) + sum(len(batch.mesh.points) for batch in self.batches)

    @property
    def bytes(self) -> int:
        """Bytes sent, less the messages' envelopes: an instance has a place, turn, scales and colour."""
        meshes = [self.ground, *(batch.mesh for batch in self.batches)]
        instance = 4 * (3 + 4 + 3) + 3
        return sum(12 * len(mesh.points) + 12 * len(mesh.faces) for mesh in meshes) + sum(
            instance * len(batch.index) for batch in self.batches
        )


def read_content(stage: Usd.Stage) -> StageContent:
    """Read ground and rocks of a stage.

    Raises:
        InputError: Its ground is no square grid.
    """
    ground = read_ground(stage)
    rows, columns = ground.grid.z.shape
    if rows != columns:
        raise InputError(f"{schema.TERRAIN}.{schema.GRID_SHAPE}", (rows, columns), "as many rows as columns")
    world = stage.GetPrimAtPath(schema.WORLD)
    shown = (world.GetCustomDataByKey(schema.SHOWN) if world else None) or {}
    camera = json.loads(shown.get("parameters", "{}")).get("camera", {})
    roam = float(camera.get("roam_m", 0.25 * ground.grid.half_x))
    return StageContent(ground, read_rocks(stage), roam, read_rover(stage))


def read_rocks(stage: Usd.Stage) -> Rocks:
    """Read the visible rocks of a stage; those that reference one prototype share its mesh."""
    scope, cache = stage.GetPrimAtPath(schema.ROCKS), UsdGeom.XformCache()
    by_source: dict[object, int] = {}
    meshes: list[TriMesh] = []
    prototype: list[int] = []
    matrices: list[np.ndarray] = []
    for prim in scope.GetChildren() if scope else ():
        points = prim.GetAttribute("points")
        if not points or prim.GetAttribute("visibility").Get() == UsdGeom.Tokens.invisible:
            continue
        source = points.GetPropertyStack()[0].path
        if source not in by_source:
            by_source[source] = len(meshes)
            meshes.append(read_mesh(prim))
        prototype.append(by_source[source])
        matrices.append(np.asarray(cache.GetLocalToWorldTransform(prim)))
    matrix = np.array(matrices, np.float64).reshape(-1, 4, 4)
    axes = matrix[:, :3, :3]  # rows are the images of the axes
    scale = np.linalg.norm(axes, axis=2)
    turn = (axes / np.maximum(scale, 1e-12)[..., None]).transpose(0, 2, 1)
    return Rocks(tuple(meshes), np.array(prototype, np.int64), matrix[:, 3, :3], turn, scale)


def build_mesh(content: StageContent, *, triangles: int = GROUND_TRIANGLES) -> SceneMesh:
    """Thin a stage's ground and rocks to what a browser carries.

    Args:
        content: What was read of the stage.
        triangles: Most triangles of the working area.
    """
    z = lattice_heights(content.ground)
    axis = np.linspace(-content.half_m, content.half_m, len(z))
    errors = vertex_errors(z, 1.0 / content.coarseness(axis[None, :], axis[:, None]))
    tolerance = max(tolerance_for(errors, triangles), FINEST_ERROR_M)
    nodes, faces = network(errors, tolerance)
    rows, columns = np.divmod(nodes, len(z))
    points = np.column_stack([axis[columns], axis[rows], z.ravel()[nodes]])
    ground = TriMesh(points.astype(np.float32), faces)
    far = far_mesh(content.ground.far, ground, content.half_m)
    return SceneMesh(
        far, len(faces), tolerance, tuple(rock_batches(content)), (errors / tolerance).astype(np.float32), z
    )


def lattice_heights(ground: Ground) -> np.ndarray:
    """Heights of the working area, micro-relief included, on a lattice with 2ᵏ cells a side, float64.

    Its cells are as fine as `CELL_M` and those of the recipe's middle ring where `LATTICE` allows.
    """
    grid, recipe = ground.grid, ground.recipe
    wanted = 2.0 * grid.half_x / min(CELL_M, grid.cell if recipe is None else recipe.mid_cell_m)
    nodes = 2 ** int(np.clip(math.ceil(math.log2(wanted) - 0.25), *LATTICE)) + 1
    z = np.asarray(ndimage.zoom(grid.z.astype(np.float64), nodes / len(grid.z), order=3, mode="nearest"))
    if recipe is not None:
        axis = np.linspace(-grid.half_x, grid.half_x, nodes)
        inside = np.flatnonzero(np.abs(axis) <= recipe.mid_radius_m)
        x, y = np.meshgrid(axis[inside], axis[inside])
        z[np.ix_(inside, inside)] += relief.relief_height(x, y, recipe)
    return z


def far_mesh(far: TriMesh, near: TriMesh, half: float) -> TriMesh:
    """Add the far relief to the working area: rings of its own vertices that widen with the distance.

    Args:
        far: Far relief of the stage; without triangles where there is none.
        near: Working area, a square about the origin.
        half: Half its side [m].
    """
    if not len(far.faces):
        return near
    radius = float(np.hypot(far.points[:, 0], far.points[:, 1]).max())
    count = max(2, math.ceil(math.log(radius / half) / math.log(RING_GROWTH)))
    rings = half * (radius / half) ** (np.arange(1, count + 1) / count)
    turn = np.arange(RAYS) * (4.0 / RAYS)
    square = _on_square(turn)
    circle = square / np.linalg.norm(square, axis=1, keepdims=True)
    round_ = smoothstep(half, 4.0 * half, rings)[:, None, None]
    xy = rings[:, None, None] * ((1.0 - round_) * square + round_ * circle)
    tree = KDTree(far.points[:, :2], balanced_tree=False, compact_nodes=False)
    points = far.points[tree.query(xy.reshape(-1, 2))[1]]
    first = len(near.points)
    ids = first + np.arange(count * RAYS, dtype=np.int32).reshape(count, RAYS)
    a, b = ids[:-1], ids[1:]
    c, d = np.roll(b, -1, axis=1), np.roll(a, -1, axis=1)
    bands = np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)
    edge = np.flatnonzero(np.abs(near.points[:, :2]).max(axis=1) >= half * (1.0 - 1e-6))
    at = _square_turn(near.points[edge, :2])
    order = np.argsort(at)
    seam = _sew(edge[order], at[order], ids[0], turn)
    return TriMesh(
        np.concatenate([near.points, points]), np.concatenate([near.faces, seam, bands]).astype(np.int32, copy=False)
    )


def _on_square(turn: np.ndarray) -> np.ndarray:
    """Places on the border of the square [-1, 1]², by sides from the corner (-, -) counter-clockwise, shape [N, 2]."""
    along = 2.0 * (turn % 1.0) - 1.0
    one = np.ones_like(along)
    sides = np.stack([[along, -one], [one, along], [-along, one], [-one, -along]])
    return sides[turn.astype(int) % 4, :, np.arange(len(turn))]


def _square_turn(xy: np.ndarray) -> np.ndarray:
    """Inverse of `_on_square` for places on the border of any square about the origin, in [0, 4)."""
    x, y = xy.T / np.abs(xy).max(axis=1)
    side = np.select([(y == -1.0) & (x < 1.0), (x == 1.0) & (y < 1.0), (y == 1.0) & (x > -1.0)], [0, 1, 2], 3)
    return side + 0.5 * (1.0 + np.choose(side, [x, y, -x, -y]))


def _sew(inner: np.ndarray, inner_at: np.ndarray, outer: np.ndarray, outer_at: np.ndarray) -> np.ndarray:
    """Triangles between two closed lines around the origin, counter-clockwise from above.

    Args:
        inner: Vertex numbers of the inner line, shape [M].
        inner_at: Their positions along it, rising from 0 in [0, 4).
        outer: Vertex numbers of the outer line, shape [N].
        outer_at: Their positions.
    """
    middles = [0.5 * (at + np.append(at[1:], 4.0)) for at in (inner_at, outer_at)]
    order = np.argsort(np.concatenate(middles), kind="stable")  # an edge joins the strip at its middle
    from_inner = order < len(inner)
    i, j = np.cumsum(from_inner) - from_inner, np.cumsum(~from_inner) - ~from_inner
    third = np.where(from_inner, inner[(i + 1) % len(inner)], outer[(j + 1) % len(outer)])
    return np.stack([inner[i % len(inner)], outer[j % len(outer)], third], axis=1)


def rock_batches(content: StageContent) -> Iterator[Batch]:
    """Group rocks by prototype and by how many triangles they are worth."""
    rocks = content.rocks
    if not len(rocks.prototype):
        return
    gap = np.maximum(np.hypot(rocks.position[:, 0], rocks.position[:, 1]) - content.focus_m, 0.0) + EYE_GAP_M
    level = np.searchsorted(np.array(ROCK_SIZES), rocks.diameter / gap)
    for number, mesh in enumerate(rocks.prototypes):
        own = np.flatnonzero(rocks.prototype == number)
        finest = min(sphere_level(mesh), len(ROCK_SIZES))
        for wanted in range(finest + 1):
            index = own[np.minimum(level[own], finest) == wanted]
            if len(index):
                yield Batch(coarser(mesh, wanted) if wanted else octahedron(mesh), index)


def octahedron(mesh: TriMesh) -> TriMesh:
    """Octahedron between the outermost points of a mesh along its axes: a pebble."""
    points = mesh.points[np.stack([mesh.points.argmax(axis=0), mesh.points.argmin(axis=0)], axis=1).ravel()]
    faces = [(x, y, z) if (x + y + z) % 2 == 0 else (y, x, z) for x in (0, 1) for y in (2, 3) for z in (4, 5)]
    return TriMesh(points, np.array(faces, np.int32))


def sphere_level(mesh: TriMesh) -> int:
    """Subdivisions of the icosahedron a mesh is a deformation of; 0 for any other mesh."""
    level = round(math.log(max(len(mesh.faces), 1) / 20.0, 4.0))
    if level < 1 or len(mesh.faces) != 20 * 4**level or not np.array_equal(mesh.faces, icosphere(level)[1]):
        return 0
    return level


def coarser(mesh: TriMesh, level: int) -> TriMesh:
    """Take a deformed icosphere back to fewer subdivisions, as large as before; any other mesh stays as it is."""
    if level >= sphere_level(mesh):
        return mesh
    sphere, faces = icosphere(level)
    kept, whole = (
        np.stack([points.min(axis=0), points.max(axis=0)]) for points in (mesh.points[: len(sphere)], mesh.points)
    )
    points = (mesh.points[: len(sphere)] - kept[0]) * ((whole[1] - whole[0]) / (kept[1] - kept[0])) + whole[0]
    return TriMesh(points.astype(np.float32), faces)


def quaternions(turn: np.ndarray) -> np.ndarray:
    """Rotation matrices, shape [N, 3, 3], as unit quaternions (w, x, y, z), float32, shape [N, 4]."""
    if not len(turn):
        return np.zeros((0, 4), np.float32)
    return Rotation.from_matrix(turn).as_quat(scalar_first=True).astype(np.float32)
