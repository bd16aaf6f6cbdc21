"""From a hit to radiance, written once for numpy and Dr.Jit (see `photometry`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

from regolith.lunar.reflectance import Ops, hapke, lambert
from regolith.lunar.render.photometry import Vector, add, bump_normal, cross, dot, mottle, normalize, scale, sub

EPSILON_M = 1e-4
"""Offset of a secondary ray's origin along the geometric normal at the world's origin [m]; grows with distance."""

MIN_EMISSION = 0.02
"""Smallest cosine of emission on tilted shading normals, which may face away from the viewer."""


class Gather(Protocol):
    """Reads of the packed scene's geometry."""

    def face(self, number: Any) -> tuple[Any, Any, Any]:
        """Vertex numbers of a face."""
        ...

    def vertex(self, number: Any) -> tuple[Vector, Any]:
        """Position and packed normal (uint32) of a vertex."""
        ...

    def placement(self, number: Any) -> tuple[tuple[Any, ...], tuple[Any, Any, Any]]:
        """Matrix rows (12 values) of an object and its (first face, material, flags)."""
        ...

    def patch(self, number: Any, prim: Any, material: Any) -> Any:
        """Material of a face of an object, given the object's."""
        ...


@dataclasses.dataclass
class SurfaceInteraction:
    """Where a ray met the scene, in the world frame."""

    p: Vector
    """Position [m]."""
    lifted: Vector
    """Position for secondary rays: off the facet, towards the smooth surface its normals describe [m]."""
    ng: Vector
    """Geometric unit normal on the viewer's side."""
    ns: Vector
    """Shading unit normal."""
    material: Any
    """Material number."""


def unpack_normal(ops: Ops, bits: Any) -> Vector:
    """Unpack an octahedral normal of 2 × 16 bits."""
    k = 2.0 / 65535.0
    x = ops.float(bits & 0xFFFF) * k - 1.0
    y = ops.float(bits >> 16) * k - 1.0
    ax, ay = ops.maximum(x, -x), ops.maximum(y, -y)
    z = 1.0 - ax - ay
    below = z < 0.0
    return normalize(
        ops,
        (
            ops.select(below, ops.select(x < 0.0, ay - 1.0, 1.0 - ay), x),
            ops.select(below, ops.select(y < 0.0, ax - 1.0, 1.0 - ax), y),
            z,
        ),
    )


def _point(m: tuple[Any, ...], p: Vector) -> Vector:
    return tuple(m[4 * i] * p[0] + m[4 * i + 1] * p[1] + m[4 * i + 2] * p[2] + m[4 * i + 3] for i in range(3))  # type: ignore[return-value]


def _normal(ops: Ops, m: tuple[Any, ...], n: Vector) -> Vector:
    """Transform a normal by the cofactor matrix (valid for any scale, mirrored ones flip with their winding)."""
    cx, cy, cz = (m[0], m[4], m[8]), (m[1], m[5], m[9]), (m[2], m[6], m[10])
    a, b, c = cross(cy, cz), cross(cz, cx), cross(cx, cy)
    return normalize(ops, add(add(scale(a, n[0]), scale(b, n[1])), scale(c, n[2])))


def _lift(ops: Ops, p: Vector, corner: Vector, normal: Vector) -> Vector:
    """Project a point onto a vertex's tangent plane if it lies below it."""
    depth = ops.minimum(dot(sub(p, corner), normal), 0.0)
    return sub(p, scale(normal, depth))


def surface(ops: Ops, gather: Gather, obj: Any, prim: Any, u: Any, v: Any, direction: Vector) -> SurfaceInteraction:
    """Interpolate position and normals from the packed tables.

    Secondary rays start on the Phong-tessellated point of Hanika (2021), Hacking the Shadow Terminator (Ray Tracing
    Gems II, ch. 4): facets of a smooth surface then do not shadow themselves at low sun.

    Args:
        ops: Array operations.
        gather: Reads of the scene.
        obj: Object number.
        prim: Face number inside the object's shape.
        u: Barycentric weight of the face's second vertex.
        v: Barycentric weight of its third vertex.
        direction: Direction of the ray.
    """
    matrix, (first, material, flags) = gather.placement(obj)
    i0, i1, i2 = gather.face(first + prim)
    (a, na), (b, nb), (c, nc) = gather.vertex(i0), gather.vertex(i1), gather.vertex(i2)
    n0, n1, n2 = (unpack_normal(ops, bits) for bits in (na, nb, nc))
    e1, e2 = sub(b, a), sub(c, a)
    local = add(a, add(scale(e1, u), scale(e2, v)))
    w = 1.0 - u - v
    smooth = add(scale(n0, w), add(scale(n1, u), scale(n2, v)))
    lifted = add(
        scale(_lift(ops, local, a, n0), w),
        add(scale(_lift(ops, local, b, n1), u), scale(_lift(ops, local, c, n2), v)),
    )
    ng = _normal(ops, matrix, cross(e1, e2))
    ns = _normal(ops, matrix, smooth)
    flat = (flags & 1) != 0
    side = ops.select(dot(ng, direction) > 0.0, -1.0, 1.0)
    ng = scale(ng, side)
    ns = tuple(ops.select(flat, g, s * side) for g, s in zip(ng, ns, strict=True))
    lifted = tuple(ops.select(flat, x, y) for x, y in zip(local, lifted, strict=True))
    p, origin = _point(matrix, local), _point(matrix, lifted)  # type: ignore[arg-type]
    reach = ops.maximum(ops.maximum(ops.maximum(p[0], -p[0]), ops.maximum(p[1], -p[1])), ops.maximum(p[2], -p[2]))
    origin = add(origin, scale(ng, EPSILON_M + EPSILON_M * 0.02 * reach))
    material = gather.patch(obj, prim, material)
    return SurfaceInteraction(p=p, lifted=origin, ng=ng, ns=ns, material=material)  # type: ignore[arg-type]


Values = Mapping[str, Any]
"""Values of materials by the names of `Material.row`, each an array."""


def reflect(ops: Ops, values: Values, mu0: Any, mu: Any, cos_g: Any) -> Any:
    """Bidirectional reflectance r [1/sr] per unit of normal albedo of a material's law."""
    w, b, c, b0, h = (values[name] for name in ("w", "b", "c", "b0", "h"))
    law = hapke(ops, mu0, mu, cos_g, ops.maximum(w, 0.0), b, c, b0, h) / ops.maximum(values["albedo"], 1e-4)
    return ops.select(w < 0.0, lambert(ops, mu0, 1.0), law)


def textured(ops: Ops, values: Values, seed: Any, hit: SurfaceInteraction, spread: Any) -> tuple[Vector, Any]:
    """Shading normal with footprint relief, and mottled normal albedo.

    The relief is locked to the pixel's width across the ray, not to its longer reach along the ground: at grazing
    view the latter draws streaks.

    Args:
        ops: Array operations.
        values: The material's.
        seed: Material's seed.
        hit: The surface.
        spread: Width of the pixel at the hit across the ray [m].
    """
    normal = bump_normal(ops, hit.ns, hit.p, spread, values["bump"], seed)
    return normal, values["albedo"] * mottle(ops, hit.p, values["mottling"], seed)


def sunlit(ops: Ops, values: Values, normal: Vector, albedo: Any, view: Vector, sun: Vector) -> Any:
    """Radiance per unit irradiance of an unshadowed surface [1/sr]."""
    mu = ops.maximum(dot(normal, view), MIN_EMISSION)
    return albedo * reflect(ops, values, dot(normal, sun), mu, dot(view, sun))
