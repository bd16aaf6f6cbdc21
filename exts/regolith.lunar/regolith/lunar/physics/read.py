"""A stage as an engine is given it: gravity, ground, rocks, bodies and joints.

The ground is the stage's own, relief included, read at the nodes of a grid; whether or not it is marked as a collider.
Rocks are the convex hulls of their own meshes. Regolith banked at their feet and pebbles are left out: they are below
the spacing of the grid. Everything else collides where it has `PhysicsCollisionAPI`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from pxr import Gf, Usd, UsdGeom, UsdPhysics
from scipy.spatial import ConvexHull

from regolith.lunar.params import InputError
from regolith.lunar.physics.read_bodies import friction_of, hull_shape, owner, read_body, read_joints, read_shapes
from regolith.lunar.physics.read_refused import refuse_moving, refuse_unread
from regolith.lunar.physics.world import MOON_GRAVITY, Body, GroundField, Joint, Shape, World
from regolith.lunar.stage import schema
from regolith.lunar.stage.craters import CRATER_DTYPE
from regolith.lunar.stage.mesh import grid_cells
from regolith.lunar.stage.reading import read_ground, read_mesh
from regolith.lunar.stage.terrain import Terrain

ROCK_MIN_M = 0.1
"""Smallest rock that collides [m]: a wheel of half a metre rolls over smaller ones."""

NODES_MAX = 4096
"""Most nodes along a side of the ground."""

PREDICATE = Usd.TraverseInstanceProxies(Usd.PrimIsActive & Usd.PrimIsDefined & ~Usd.PrimIsAbstract)
"""Which prims count."""


def read_world(
    stage: Usd.Stage, *, rock_min_m: float = ROCK_MIN_M, cell_m: float | None = None, with_ground: bool = True
) -> World:
    """Read what an engine simulates of a stage.

    Args:
        stage: Stage in metres, Z up.
        rock_min_m: Smallest rock that collides [m].
        cell_m: Spacing of the ground's nodes [m]; None for that of the stage's own grid.
        with_ground: Whether the ground is read; a baked one cannot be. Without, the stage is simulated by somebody
            else, and nothing is refused for what no engine here does (`physics.read_refused`).

    Raises:
        InputError: Something no engine here can simulate; names its prim.
    """
    if UsdGeom.GetStageUpAxis(stage) != "Z" or UsdGeom.GetStageMetersPerUnit(stage) != 1.0:
        raise InputError("stage", stage.GetRootLayer().identifier, "a stage in metres with Z up")
    cache = UsdGeom.XformCache()
    prims = list(_simulated(stage))
    if with_ground:
        refuse_unread(prims)
        for root in filter(None, map(stage.GetPrimAtPath, (schema.GROUND, schema.ROCKS))):
            still = list(Usd.PrimRange(root, PREDICATE))
            refuse_moving(still)
            refuse_unread(still)
    shapes = read_shapes(prims, cache)
    bodies = [
        read_body(prim, tuple(shapes.get(str(prim.GetPath()), ())), cache) for prim in prims if owner(prim) == prim
    ]
    joints, roots = read_joints(prims, cache)
    ground = read_field(stage, cell_m) if with_ground else None
    area = (math.inf, math.inf) if ground is None else (ground.half_x, ground.half_y)
    return World(
        gravity=read_gravity(stage),
        bodies=_ordered(bodies, joints),
        joints=tuple(joints),
        fixed=(*shapes.get("", ()), *read_rocks(stage, rock_min_m, area, cache)),
        ground=ground,
        apart=frozenset(root for root in roots if _keeps_apart(stage.GetPrimAtPath(root))),
        stage=stage,
    )


def _simulated(stage: Usd.Stage) -> Iterator[Usd.Prim]:
    """Active prims in namespace order, but for the ground and the rocks."""
    walk = iter(Usd.PrimRange(stage.GetPseudoRoot(), PREDICATE))
    for prim in walk:
        if prim.GetPath() in (schema.GROUND, schema.ROCKS):
            walk.PruneChildren()
        elif not prim.IsPseudoRoot():
            yield prim


def _ordered(bodies: list[Body], joints: list[Joint]) -> tuple[Body, ...]:
    """Bodies, parents before their children."""
    children = [joint.child for joint in joints]
    named = {body.path: body for body in bodies}
    return (*(body for body in bodies if body.path not in children), *(named[child] for child in children))


def _keeps_apart(root: Usd.Prim) -> bool:
    """Whether an articulation asks PhysX that its bodies do not collide with each other."""
    while root and not root.IsPseudoRoot():
        attribute = root.GetAttribute("physxArticulation:enabledSelfCollisions")
        if attribute and attribute.HasValue():
            return not attribute.Get()
        root = root.GetParent()
    return False


def read_gravity(stage: Usd.Stage) -> np.ndarray:
    """Gravity of the first PhysicsScene [m/s²], shape [3]; the Moon's where there is none or it leaves it open.

    UsdPhysics takes no direction for −Z, and a negative magnitude for the Earth's: on a stage of the Moon the Moon's.
    """
    magnitude, direction = MOON_GRAVITY, np.array([0.0, 0.0, -1.0])
    for prim in stage.Traverse():
        if scene := UsdPhysics.Scene(prim):
            given = float(scene.GetGravityMagnitudeAttr().Get())
            along = np.array(scene.GetGravityDirectionAttr().Get(), np.float64)
            magnitude = given if given >= 0.0 else magnitude
            if (length := float(np.linalg.norm(along))) > 0.0:
                direction = along / length
            break
    return magnitude * direction


def read_terrain(stage: Usd.Stage) -> Terrain:
    """The ground of a stage to ask heights of; which craters it was laid down by is not kept.

    Raises:
        InputError: As `stage.reading.read_ground`.
    """
    ground = read_ground(stage)
    return Terrain(ground.grid, ground.far, np.empty(0, CRATER_DTYPE), ground.recipe)


def read_field(stage: Usd.Stage, cell_m: float | None = None) -> GroundField | None:
    """Read the ground's working area as a grid of heights; None where the stage has no ground.

    Args:
        stage: Stage.
        cell_m: Spacing of the nodes [m]; None for that of the stage's own grid.

    Raises:
        InputError: As `stage.reading.read_ground`; or too many nodes.
    """
    if not stage.GetPrimAtPath(schema.TERRAIN):
        return None
    terrain = read_terrain(stage)
    grid = terrain.grid
    columns, rows = (grid_cells(2.0 * half, cell_m or grid.cell)[0] + 1 for half in (grid.half_x, grid.half_y))
    if max(rows, columns) > NODES_MAX:
        raise InputError(
            "cell_m", cell_m or grid.cell, f"at least {2.0 * grid.half_x / NODES_MAX:.3g} m for this ground"
        )
    x, y = np.linspace(-grid.half_x, grid.half_x, columns), np.linspace(-grid.half_y, grid.half_y, rows)
    z = terrain.height(x[None, :], y[:, None])
    friction, _ = friction_of(stage.GetPrimAtPath(schema.TERRAIN))
    return GroundField(schema.GROUND, z, grid.half_x, grid.half_y, friction)


def read_rocks(
    stage: Usd.Stage, diameter_min_m: float, area: tuple[float, float], cache: UsdGeom.XformCache
) -> Iterator[Shape]:
    """Read rocks as convex hulls.

    Args:
        stage: Stage.
        diameter_min_m: Smallest rock [m].
        area: Half sides of the ground [m]; rocks whose centres lie beyond it are left out.
        cache: Transforms of the stage.

    Raises:
        InputError: A mesh is malformed.
    """
    scope = stage.GetPrimAtPath(schema.ROCKS)
    corners: dict[bytes, np.ndarray] = {}
    for prim in scope.GetChildren() if scope else ():
        diameter = prim.GetAttribute(schema.ROCK_DIAMETER)
        matrix: Gf.Matrix4d = cache.GetLocalToWorldTransform(prim)
        x, y, _ = np.array(matrix.ExtractTranslation())
        if (diameter and diameter.Get() < diameter_min_m) or abs(x) > area[0] or abs(y) > area[1]:
            continue
        points = read_mesh(prim).points
        key = points.tobytes()  # rocks share a few prototypes
        if key not in corners:
            corners[key] = points[ConvexHull(points).vertices]
        friction, density = friction_of(prim)
        yield hull_shape(str(prim.GetPath()), corners[key], matrix, friction=friction, density=density)
