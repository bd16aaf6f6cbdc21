"""Meshes and ground of a stage, as they are authored."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from pxr import Usd, UsdGeom

from regolith.lunar.params import InputError
from regolith.lunar.stage import relief, schema
from regolith.lunar.stage.mesh import Heightfield, TriMesh

NOTHING = TriMesh(points=np.zeros((0, 3), np.float32), faces=np.zeros((0, 3), np.int32))
"""A mesh without triangles."""


@dataclasses.dataclass(frozen=True)
class Ground:
    """What the ground of a stage is tessellated from (`stage.relief.ground_mesh`)."""

    grid: Heightfield
    recipe: relief.ReliefRecipe | None
    far: TriMesh
    """Far relief; without triangles where there is none."""


def triangulate(counts: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Split polygons into fans from their first vertex, int32, shape [F, 3]; polygons below 3 corners vanish."""
    if len(counts) and (counts == 3).all():
        return indices.reshape(-1, 3)
    if len(counts) and (counts == 4).all():
        return indices.reshape(-1, 4)[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    fans = np.maximum(counts - 2, 0)
    polygon = np.repeat(np.arange(len(counts)), fans)
    step = np.arange(len(polygon)) - np.repeat(np.concatenate([[0], np.cumsum(fans)[:-1]]), fans)
    first = starts[polygon]
    return np.stack([indices[first], indices[first + step + 1], indices[first + step + 2]], axis=1)


def hidden(prim: Usd.Prim) -> bool:
    """Whether a prim itself is invisible or no geometry to be drawn; what it inherits does not count."""
    imageable = UsdGeom.Imageable(prim)
    if not imageable:
        return False
    return imageable.GetVisibilityAttr().Get() == UsdGeom.Tokens.invisible or (
        imageable.GetPurposeAttr().Get() in (UsdGeom.Tokens.guide, UsdGeom.Tokens.proxy)
    )


def read_mesh(prim: Usd.Prim) -> TriMesh:
    """Read a mesh in its own frame, its polygons split into triangles.

    Raises:
        InputError: A face names a point that is not there.
    """
    mesh = UsdGeom.Mesh(prim)
    points = np.array(mesh.GetPointsAttr().Get(), np.float32).reshape(-1, 3)
    counts = np.array(mesh.GetFaceVertexCountsAttr().Get(), np.int64)
    indices = np.array(mesh.GetFaceVertexIndicesAttr().Get(), np.int32)
    if len(indices) and (indices.min() < 0 or indices.max() >= len(points)):
        raise InputError(f"{prim.GetPath()}.faceVertexIndices", int(indices.max()), f"0 … {len(points) - 1}")
    faces = triangulate(counts, indices)
    if mesh.GetOrientationAttr().Get() == UsdGeom.Tokens.leftHanded:
        faces = faces[:, ::-1]
    return TriMesh(points=points, faces=np.ascontiguousarray(faces))


def read_ground(stage: Usd.Stage) -> Ground:
    """Read what the ground of a stage is tessellated from.

    Raises:
        InputError: Terrain carries no grid, for instance because its fine ground is baked; or attributes do not agree.
    """
    prim = stage.GetPrimAtPath(schema.TERRAIN)
    if not prim or not prim.GetAttribute(schema.GRID_SHAPE).HasValue():
        raise InputError(f"{schema.TERRAIN}.{schema.GRID_SHAPE}", "nothing", "a stage whose ground is a grid")
    points = np.array(UsdGeom.Mesh(prim).GetPointsAttr().Get(), np.float32).reshape(-1, 3)
    rows, columns = prim.GetAttribute(schema.GRID_SHAPE).Get()
    cell = float(prim.GetAttribute(schema.GRID_CELL).Get())
    if rows * columns != len(points):
        raise InputError(f"{prim.GetPath()}.{schema.GRID_SHAPE}", (rows, columns), f"{len(points)} vertices")
    grid = Heightfield(z=points[:, 2].reshape(rows, columns), cell=cell)
    far_prim = stage.GetPrimAtPath(schema.FAR)
    far = read_mesh(far_prim) if far_prim and not hidden(far_prim) else NOTHING
    return Ground(grid, _read_recipe(stage), far)


def _read_recipe(stage: Usd.Stage) -> relief.ReliefRecipe | None:
    """Build the relief recipe from Ground's attributes; None where there is none or it is baked."""
    ground = stage.GetPrimAtPath(schema.GROUND)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(relief.ReliefRecipe):
        attribute = ground.GetAttribute(schema.RELIEF + field.name)
        if attribute and attribute.HasValue():
            values[field.name] = attribute.Get()
    if values.pop("baked", False) or not values:
        return None
    needed = [f.name for f in dataclasses.fields(relief.ReliefRecipe) if f.default is dataclasses.MISSING]
    if absent := [name for name in needed if name not in values]:
        raise InputError(f"{schema.GROUND}.{schema.RELIEF}{absent[0]}", "nothing", "all fields of a relief recipe")
    return relief.ReliefRecipe(**values)
