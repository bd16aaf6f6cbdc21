"""Rendering without LLVM: Mitsuba's scalar kernels trace, numpy shades with the formulas of the fused kernel.

One stock `aov` pass gives triangle number, barycentrics and distance of the ray through each pixel's centre; every
sample is then one pass of the stock `direct` integrator over white diffuse surfaces, which tells lit from shadowed at
its own place inside the pixel and on the sun's disc (both shared by all pixels of the pass). The scene is one flat
mesh, since the scalar variant with instances is unsafe.

Against the fused kernel: labels come from the same tables and tracer; reflectance is taken at the pixel's centre and
light and shadow averaged over the samples, so that silhouettes are less smooth; shadow rays start on the facets;
bounced light always comes from the reduced pass, whose rays are traced one by one, with `REFERENCE_DIRECTIONS` in
`reference`. A distorting lens has all its rays traced one by one: some microseconds each.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from regolith.lunar.labels import SKY
from regolith.lunar.params import InputError
from regolith.lunar.reflectance import NUMPY_OPS
from regolith.lunar.render.compile import SceneTables
from regolith.lunar.render.denoise import REDUCTION, denoise, enlarge
from regolith.lunar.render.photometry import Vector, dot, scale
from regolith.lunar.render.scene import DrawOptions, Labels, check_wanted
from regolith.lunar.render.shading import SurfaceInteraction, Values, reflect, sunlit, surface, textured
from regolith.lunar.render.tables import MATERIAL_ROW, ROW_WIDTH, SCENE, flatten, material_rows, matrix_row, pack_scene
from regolith.lunar.render.view import Sunlight, View
from regolith.lunar.stage.spec import rng

DIRECTIONS = 8
REFERENCE_DIRECTIONS = 64
"""Bounce directions per pixel of the reduced pass, by default and in the reference quality."""

MAX_TRIANGLES = 1 << 24
"""The stock integrator returns triangle numbers as float32: beyond this they lose digits."""

NEAR_M = 1e-3
"""Distance of the stock camera's near plane [m], from which it measures depth."""

CHUNK = 16384
"""Pixels shaded at once: a working set that stays in the cache."""

Array = np.ndarray


def kronecker(index: int, dimensions: int) -> Array:
    """Point `index` of the generalised golden-ratio sequence (Roberts 2018) in [0, 1)^dimensions."""
    phi = 2.0
    for _ in range(60):
        phi = (1.0 + phi) ** (1.0 / (dimensions + 1.0))
    return (0.5 + (index + 1) * phi ** -np.arange(1.0, dimensions + 1.0)) % 1.0


@dataclasses.dataclass(frozen=True)
class _Hits:
    """Hits of the rays of one picture, flattened; numbers of misses are undefined."""

    valid: Array
    prim: Array
    u: Array
    v: Array
    t: Array
    direction: Array


class ScalarScene:
    """A compiled stage in one flat Mitsuba mesh."""

    def __init__(self, tables: SceneTables) -> None:
        import mitsuba as mi

        self.tables, self.packed = tables, pack_scene(tables)
        self._build()
        self.centre: Any = mi.load_dict({"type": "aov", "aovs": "pi:prim_index,uv:uv,t:depth"})
        self.direct: Any = mi.load_dict({"type": "direct", "emitter_samples": 1, "bsdf_samples": 0})
        self.rows = np.zeros((1, ROW_WIDTH), np.float32)
        self.seeds = np.zeros(1, np.uint32)
        self._still: Any = None
        """Scene of what stays, once it was asked for; the whole one where nothing moves."""

    def _build(self) -> None:
        """Make the flat mesh of where everything is."""
        import mitsuba as mi

        points, faces, self.first = flatten(self.tables, self.packed)
        if self.first[-1] > MAX_TRIANGLES:
            raise InputError("stage", int(self.first[-1]), f"at most {MAX_TRIANGLES} triangles on the scalar back end")
        sun = {"type": "directional", "direction": [0.0, 0.0, -1.0], "irradiance": {"type": "rgb", "value": 1.0}}
        self.scene: Any = mi.load_dict({**SCENE, "ground": self._mesh(points, faces), "sun": sun})
        self.values = mi.traverse(self.scene)

    def move(self, matrices: Mapping[int, np.ndarray]) -> None:
        """Place objects that move elsewhere (`scene.CompiledScene.move`)."""
        for number, matrix in matrices.items():
            self.packed.matrices[number] = matrix_row(matrix)
        self._build()

    @staticmethod
    def _mesh(points: Array, faces: Array) -> Any:
        import drjit as dr
        import mitsuba as mi

        mesh = mi.Mesh("scene", len(points), len(faces))
        values = mi.traverse(mesh)
        values["vertex_positions"] = dr.scalar.ArrayXf(np.ascontiguousarray(points, np.float32).ravel())
        values["faces"] = dr.scalar.ArrayXu(np.ascontiguousarray(faces, np.uint32).ravel())
        values.update()
        return mesh

    # Reads of the packed tables (`shading.Gather`) -------------------------------------------------------------

    def face(self, number: Array) -> tuple[Any, Any, Any]:
        """Vertex numbers of a face."""
        f = self.packed.faces[number]
        return f[:, 0], f[:, 1], f[:, 2]

    def vertex(self, number: Array) -> tuple[Vector, Any]:
        """Position and packed normal of a vertex."""
        v = self.packed.vertices[number]
        return (v[:, 0], v[:, 1], v[:, 2]), np.ascontiguousarray(v[:, 3]).view(np.uint32)

    def placement(self, number: Array) -> tuple[tuple[Any, ...], tuple[Any, Any, Any]]:
        """Matrix rows of an object and its first face, material and flags."""
        m, o = self.packed.matrices[number], self.packed.objects[number]
        return tuple(m[:, k] for k in range(12)), (o[:, 0], o[:, 1], o[:, 2])

    def patch(self, number: Array, prim: Array, material: Array) -> Array:
        """Material of a face of an object, given the object's."""
        first = self.packed.objects[number, 3]
        return np.where(first != 0, self.packed.patches[np.where(first != 0, first + prim, 0)], material)

    def material(self, number: Array) -> tuple[Values, Any]:
        """Values and seed of a material."""
        row = self.rows[number]
        return {name: row[:, k] for k, name in enumerate(MATERIAL_ROW)}, self.seeds[number]

    # Tracing -----------------------------------------------------------------------------------------------------

    @staticmethod
    def _sensor(view: View, width: int, height: int, at: Array) -> Any:
        """Stock camera whose rays go through the point `at` of each pixel."""
        import mitsuba as mi

        camera = view.camera
        frame = np.eye(4)
        frame[:3, :] = np.stack([-camera.axes[0], camera.axes[1], camera.axes[2], camera.origin], axis=1)
        film = {
            "type": "hdrfilm", "width": width, "height": height, "rfilter": {"type": "box"},
            "pixel_format": "luminance", "component_format": "float32",
        }  # fmt: skip
        return mi.load_dict(
            {
                "type": "perspective",
                "fov": math.degrees(2.0 * math.atan(camera.tan_x)),
                "fov_axis": "x",
                "near_clip": NEAR_M,
                "far_clip": 1e5,
                "to_world": mi.ScalarTransform4f(frame.tolist()),
                "principal_point_offset_x": float(at[0] - 0.5) / width,
                "principal_point_offset_y": float(at[1] - 0.5) / height,
                "film": film,
                "sampler": {"type": "stratified", "sample_count": 1, "jitter": False},
            }
        )

    def _hits(self, view: View, width: int, height: int) -> _Hits:
        """Trace the rays through the pixels' centres."""
        if view.camera.distorted:
            return self._bent(view, width, height, np.array([0.5, 0.5]))
        sensor = self._sensor(view, width, height, np.array([0.5, 0.5]))
        image = np.array(self.centre.render(self.scene, sensor, 0, 1))
        flat = image.reshape(-1, image.shape[-1])[:, -4:]
        row, column = np.divmod(np.arange(width * height), width)
        direction = view.camera.rays(column + 0.5, row + 0.5, width, height)
        ahead = direction @ view.camera.axes[2].astype(np.float32)
        return _Hits(
            valid=flat[:, 3] > 0.0,
            prim=flat[:, 0].astype(np.int64),
            u=flat[:, 1],
            v=flat[:, 2],
            t=flat[:, 3] + np.float32(NEAR_M) / ahead,
            direction=direction,
        )

    def _bent(self, view: View, width: int, height: int, at: Array) -> _Hits:
        """Trace the rays of a distorting lens through the point `at` of each pixel, one by one."""
        row, column = np.divmod(np.arange(width * height), width)
        direction = view.camera.rays(column + at[0], row + at[1], width, height)
        origin = np.broadcast_to(view.camera.origin, direction.shape)
        return self._trace(origin, direction, np.isfinite(direction[:, 0]))

    def _lit_bent(self, view: View, width: int, height: int, at: Array, sun: Array) -> Array:
        """`_lit` through a distorting lens."""
        import mitsuba as mi

        hits = self._bent(view, width, height, at)
        lit = np.zeros(len(hits.valid), bool)
        found = np.flatnonzero(hits.valid)
        place, _, _ = self._surface(hits, found)
        facing = dot(place.ng, tuple(np.float32(x) for x in sun)) > 0.0  # type: ignore[arg-type]
        starts, to_sun = np.stack(place.lifted, axis=1).astype(np.float64).tolist(), mi.Vector3f(sun.tolist())
        for k in np.flatnonzero(facing).tolist():
            lit[found[k]] = not self.scene.ray_test(mi.Ray3f(mi.Point3f(starts[k]), to_sun))
        return lit

    def _lit(self, view: View, width: int, height: int, at: Array, light: Sunlight, disc: Array) -> Array:
        """Which pixels are lit at their point `at` from the point `disc` of a light's disc, bool, size pixels."""
        import mitsuba as mi

        towards = light.direction + disc @ light.tangents
        towards = towards / np.linalg.norm(towards)
        if view.camera.distorted:
            return self._lit_bent(view, width, height, at, towards)

        self.values["sun.to_world"] = mi.ScalarTransform4f().look_at(
            origin=[0.0, 0.0, 0.0], target=(-towards).tolist(), up=light.tangents[0].tolist()
        )
        self.values.update()
        sensor = self._sensor(view, width, height, at)
        image = np.array(self.direct.render(self.scene, sensor, 0, 1))
        return image.ravel() > 0.0

    def _surface(self, hits: _Hits, at: Array) -> tuple[SurfaceInteraction, Array, Vector]:
        """Surface, object number and direction of the hits numbered `at`."""
        number = np.searchsorted(self.first, hits.prim[at], side="right") - 1
        local = (hits.prim[at] - self.first[number]).astype(np.uint32)
        direction = tuple(hits.direction[at, k] for k in range(3))
        place = surface(NUMPY_OPS, self, number, local, hits.u[at], hits.v[at], direction)  # type: ignore[arg-type]
        return place, number, direction  # type: ignore[return-value]

    # Shading -----------------------------------------------------------------------------------------------------

    def _over_hits(self, hits: _Hits, shade: Any, threads: int) -> None:
        """Call `shade` with the numbers of the hits, some thousands at a time."""
        found = np.flatnonzero(hits.valid)
        parts = [found[k : k + CHUNK] for k in range(0, len(found), CHUNK)]
        with ThreadPoolExecutor(max_workers=threads) as pool:
            list(pool.map(shade, parts))

    def _shade(self, view: View, hits: _Hits, width: int, threads: int) -> dict[str, Array]:
        """Labels, and radiance in unshadowed sunlight and earthshine, at the pixels' centres."""
        count = len(hits.valid)
        out = {
            "mask": np.full(count, SKY, np.uint8),
            "instance": np.zeros(count, np.uint16),
            "depth": np.where(hits.valid, hits.t, np.float32(np.inf)).astype(np.float32),
            "albedo": np.zeros(count, np.float32),
            "normals": np.zeros((count, 3), np.float32),
            "sunlit": np.zeros(count, np.float32),
            "earthlit": np.zeros(count, np.float32),
        }
        pixel = np.float32(2.0 * view.camera.tan_x / width)
        lights = [("sunlit", view.sun), *((("earthlit", view.earth),) if view.earth is not None else ())]

        def shade(at: Array) -> None:
            place, number, direction = self._surface(hits, at)
            values, seed = self.material(place.material)
            eye = scale(direction, -1.0)
            normal, albedo = textured(NUMPY_OPS, values, seed, place, hits.t[at] * pixel)
            out["mask"][at] = self.packed.labels[number, 0]
            out["instance"][at] = self.packed.labels[number, 1]
            out["albedo"][at] = albedo
            out["normals"][at] = np.stack(place.ng, axis=1)
            for name, light in lights:
                towards: Any = tuple(np.float32(x) for x in light.direction)
                radiance = sunlit(NUMPY_OPS, values, normal, albedo, eye, towards)
                out[name][at] = np.float32(light.irradiance) * radiance

        self._over_hits(hits, shade, threads)
        return out

    def _bounce(self, view: View, width: int, height: int, count: int, threads: int) -> Array:
        """One-bounce radiance per unit normal albedo from the reduced picture, shape [H, W]."""
        w, h = math.ceil(width / REDUCTION), math.ceil(height / REDUCTION)
        hits = self._hits(view, w, h)
        found = np.flatnonzero(hits.valid)
        light = np.zeros(w * h, np.float32)
        guide = np.zeros((w * h, 3), np.float32)
        if len(found):
            place, _, direction = self._surface(hits, found)
            guide[found] = np.stack(place.ns, axis=1)
            light[found] = self._gathered(view, place, direction, count)
        weight = hits.valid.astype(np.float32).reshape(h, w)
        clean = denoise(light.reshape(h, w), guide.reshape(h, w, 3), weight, threads=threads)
        return enlarge(clean, weight, width=width, height=height)

    def _gathered(self, view: View, place: SurfaceInteraction, direction: Vector, count: int) -> Array:
        import mitsuba as mi

        normal, origin = np.stack(place.ns, axis=1), np.stack(place.lifted, axis=1).astype(np.float64)
        facet = np.stack(place.ng, axis=1)
        values, _ = self.material(place.material)
        eye = scale(direction, -1.0)
        tangent = np.cross(normal, np.where(np.abs(normal[:, :1]) < 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]]))
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
        second = np.cross(normal, tangent)
        shift = rng(view.sensor.noise_seed, "bounce").random((len(normal), 2))
        sun = view.sun.direction
        to_sun = mi.Vector3f(sun.tolist())
        total = np.zeros(len(normal), np.float64)
        for number in range(count):
            a, b = ((kronecker(number, 2) + shift) % 1.0).T
            radius, turn = np.sqrt(a), 2.0 * np.pi * b
            out = (tangent * (radius * np.cos(turn))[:, None] + second * (radius * np.sin(turn))[:, None]
                   + normal * np.sqrt(1.0 - a)[:, None])  # fmt: skip
            hits = self._trace(origin, out, np.einsum("ij,ij->i", out, facet) > 0.0)
            found = np.flatnonzero(hits.valid)
            if not len(found):
                continue
            far, _, way = self._surface(hits, found)
            there, _ = self.material(far.material)
            light = (np.float32(sun[0]), np.float32(sun[1]), np.float32(sun[2]))
            incoming = sunlit(NUMPY_OPS, there, far.ns, there["albedo"], scale(way, -1.0), light)
            starts = np.stack(far.lifted, axis=1).astype(np.float64).tolist()
            rays = ((k, mi.Ray3f(mi.Point3f(starts[k]), to_sun)) for k in np.flatnonzero(incoming > 0).tolist())
            lit = [k for k, ray in rays if not self.scene.ray_test(ray)]
            at = found[lit]
            mu0 = np.maximum(np.einsum("ij,ij->i", normal[at], out[at]), 1e-3)
            mu = np.maximum(dot(tuple(x[at] for x in place.ns), tuple(x[at] for x in eye)), 0.02)  # type: ignore[arg-type]
            cos_g = dot(tuple(out[at, k] for k in range(3)), tuple(x[at] for x in eye))  # type: ignore[arg-type]
            per = reflect(NUMPY_OPS, {name: x[at] for name, x in values.items()}, mu0, mu, cos_g) * (np.pi / mu0)
            total[at] += incoming[lit] * per
        return (total * (view.sun.irradiance / count)).astype(np.float32)

    def _trace(self, origin: Array, out: Array, active: Array) -> _Hits:
        """Trace single rays."""
        import mitsuba as mi

        prim, u, v, t = np.zeros(len(out), np.int64), *np.zeros((3, len(out)), np.float32)
        starts, ways = origin.tolist(), out.tolist()
        for k in np.flatnonzero(active).tolist():
            found = self.scene.ray_intersect_preliminary(mi.Ray3f(mi.Point3f(starts[k]), mi.Vector3f(ways[k])))
            if found.is_valid():
                prim[k], t[k] = found.prim_index, found.t
                u[k], v[k] = found.prim_uv
        return _Hits(valid=t > 0.0, prim=prim, u=u, v=v, t=t, direction=out.astype(np.float32))

    def blocked(self, starts: Array, way: Array) -> Array:
        """Tell whether rays meet anything (`scene.CompiledScene.blocked`), one by one."""
        import mitsuba as mi

        to = mi.Vector3f(way.tolist())
        hit = (self.scene.ray_test(mi.Ray3f(mi.Point3f(start), to)) for start in starts.tolist())
        return np.fromiter(hit, bool, len(starts))

    def heights(self, at: Array) -> Array:
        """Height of the topmost surface of what stays (`scene.CompiledScene.heights`), one by one."""
        import mitsuba as mi

        scene = self._what_stays()
        above, down = float(np.float32(scene.bbox().max.z)) + 1.0, mi.Vector3f(0.0, 0.0, -1.0)
        met = (
            scene.ray_intersect_preliminary(mi.Ray3f(mi.Point3f(x, y, above), down)).t
            for x, y in at.astype(np.float32).tolist()
        )
        return above - np.fromiter(met, np.float64, len(at))

    def _what_stays(self) -> Any:
        import mitsuba as mi

        if self._still is None:
            moves = np.array([placed.moves for placed in self.tables.objects])
            self._still = self.scene
            if moves.any():
                points, faces, first = flatten(self.tables, self.packed)
                mesh = self._mesh(points, faces[~np.repeat(moves, np.diff(first))])
                self._still = mi.load_dict({**SCENE, "ground": mesh})
        return self._still

    def classes(self, view: View, width: int, height: int) -> Array:
        """Class at each pixel centre, uint8, shape [H, W]."""
        hits = self._hits(view, width, height)
        number = np.searchsorted(self.first, hits.prim, side="right") - 1
        label = self.packed.labels[np.clip(number, 0, len(self.packed.labels) - 1), 0]
        return np.where(hits.valid, label, SKY).astype(np.uint8).reshape(height, width)

    def draw(self, view: View, width: int, height: int, options: DrawOptions) -> tuple[Array, Labels | None]:
        """Draw a view (`scene.CompiledScene.draw`); labels come with the shading, at no cost."""
        self.rows, self.seeds = material_rows(view.materials)
        centre = self._shade(view, self._hits(view, width, height), width, options.threads)
        lights = {"sunlit": view.sun} | ({"earthlit": view.earth} if view.earth is not None else {})
        lit = {name: np.zeros(width * height, np.float32) for name in lights}
        start = int(rng(view.sensor.noise_seed, "samples").integers(1 << 16))
        for number in range(options.samples):
            check_wanted(options.stop)
            x, y, u1, u2 = kronecker(start + number, 4)
            turn = 2.0 * math.pi * u2
            disc = math.sqrt(u1) * np.array([math.cos(turn), math.sin(turn)])
            for name, light in lights.items():
                lit[name] += self._lit(view, width, height, np.array([x, y]), light, light.tan_radius * disc)
        arrays = {name: value.reshape(height, width, *value.shape[1:]) for name, value in centre.items()}
        share = {name: (seen / np.float32(options.samples)).reshape(height, width) for name, seen in lit.items()}
        radiance = arrays["sunlit"] * share["sunlit"]
        if "earthlit" in share:
            radiance += arrays["earthlit"] * share["earthlit"]
        if options.quality != "draft":
            count = REFERENCE_DIRECTIONS if options.quality == "reference" else DIRECTIONS
            count *= options.finer
            radiance += arrays["albedo"] * self._bounce(view, width, height, count, options.threads)
        found = Labels(**{field.name: arrays[field.name] for field in dataclasses.fields(Labels)})
        return radiance, found if options.labels else None
