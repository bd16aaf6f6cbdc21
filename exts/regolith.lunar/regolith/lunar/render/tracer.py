"""Rays against a compiled stage, by Embree behind Mitsuba: what stays and what moves are scenes of their own.

Mitsuba builds all of a scene anew when any part of it is placed elsewhere: the ground's millions of triangles, for a
rover's dozen parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import drjit as dr  # noqa: TID253 — this module is about it and is itself imported late
import mitsuba as mi  # noqa: TID253
import numpy as np

from regolith.lunar.render.compile import Geometry
from regolith.lunar.render.tables import SCENE, world_points


class Tracer:
    """The acceleration structures of a stage."""

    def __init__(self, geometry: Geometry, variant: str) -> None:
        """Build them, in any thread; `variant` is Mitsuba's."""
        mi.set_variant(variant)
        single = geometry.fixed
        moving = {placed.shape for placed in geometry.objects if placed.moves}
        stays: dict[str, Any] = {**SCENE}
        moves: dict[str, Any] = {**SCENE}
        for number, shape in enumerate(geometry.shapes):
            name, points = f"shape{number}", shape.mesh.points
            if number in single:
                stays[name] = _mesh(name, world_points(points, single[number].matrix), shape.mesh.faces)
                continue
            group = {"type": "shapegroup", "mesh": _mesh(name, points, shape.mesh.faces)}
            (moves if number in moving else stays)[name] = group
        names: dict[str, int] = {}
        for number, placed in enumerate(geometry.objects):
            if placed.shape in single:
                names[f"shape{placed.shape}"] = number
                continue
            names[f"object{number}"] = number
            (moves if placed.shape in moving else stays)[f"object{number}"] = {
                "type": "instance",
                "to_world": mi.ScalarTransform4f(placed.matrix.T),
                "group": {"type": "ref", "id": f"shape{placed.shape}"},
            }
        self._stays: Any = mi.load_dict(stays, optimize=False)
        self._moves: Any = mi.load_dict(moves, optimize=False) if moving else None
        numbers: dict[int, int] = {}
        for scene in (self._stays, self._moves) if moving else (self._stays,):
            keys: Any = dr.reinterpret_array(mi.UInt32, scene.shapes_dr())
            shapes = zip(keys.numpy().tolist(), scene.shapes(), strict=True)
            numbers |= {key: names[shape.id()] for key, shape in shapes if shape.id() in names}
        lookup = np.zeros(max(numbers) + 1, np.uint32)
        lookup[list(numbers)] = list(numbers.values())
        self._lookup = mi.UInt32(lookup)
        """Number of an object by that of its shape in Mitsuba's registry."""
        dr.sync_thread()

    def move(self, matrices: Mapping[int, np.ndarray]) -> None:
        """Place objects that move elsewhere: number to local-to-world matrix for row vectors."""
        values = mi.traverse(self._moves)
        for number, matrix in matrices.items():
            values[f"object{number}.to_world"] = mi.Transform4f(mi.ScalarTransform4f(matrix.T))
        values.update()

    def closest(self, ray: Any, *, coherent: bool, active: Any) -> tuple[Any, ...]:
        """What rays meet first: (valid, object number, face, its barycentric coordinates, distance)."""
        found = self._stays.ray_intersect_preliminary(ray, coherent=coherent, active=active)
        if self._moves is not None:
            other = self._moves.ray_intersect_preliminary(ray, coherent=coherent, active=active)
            found = dr.select(other.t < found.t, other, found)
        valid = found.is_valid() & active
        instance = dr.reinterpret_array(mi.UInt32, found.instance)
        shape = dr.reinterpret_array(mi.UInt32, found.shape)
        key = dr.select(instance != 0, instance, shape)
        number = dr.gather(mi.UInt32, self._lookup, mi.UInt32(dr.select(valid, key, 0)))
        prim = dr.select(valid, found.prim_index, 0)
        return valid, number, prim, dr.select(valid, found.prim_uv, mi.Point2f(0.0)), found.t

    @property
    def top(self) -> float:
        """Height of the highest point of what stays [m]."""
        return float(np.float32(self._stays.bbox().max.z))

    def depth(self, ray: Any) -> Any:
        """Distance at which rays meet what stays; inf where they do not."""
        found = self._stays.ray_intersect_preliminary(ray, coherent=True)
        return dr.select(found.is_valid(), found.t, dr.inf)

    def blocked(self, ray: Any, *, coherent: bool, active: Any) -> Any:
        """Whether rays meet anything."""
        hit = self._stays.ray_test(ray, coherent=coherent, active=active)
        if self._moves is not None:
            hit |= self._moves.ray_test(ray, coherent=coherent, active=active & ~hit)
        return hit


def _mesh(name: str, points: np.ndarray, faces: np.ndarray) -> Any:
    mesh = mi.Mesh(name, len(points), len(faces))
    values = mi.traverse(mesh)
    values["vertex_positions"] = mi.Float(np.ascontiguousarray(points, np.float32).ravel())
    values["faces"] = mi.UInt32(np.ascontiguousarray(faces, np.uint32).ravel())
    values.update()
    return mesh
