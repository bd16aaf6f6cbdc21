"""The fused Dr.Jit kernel: primary ray, shading relief, sun-cone shadow ray and reflectance in one launch.

Threads are ordered pixel by pixel with a pixel's samples side by side, so that all lanes of a packet trace rays of
the same pixel. Camera, sun and materials enter as opaque values: moving them recompiles nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import drjit as dr  # noqa: TID253 — this module is about it and is itself imported late
import mitsuba as mi  # noqa: TID253
import numpy as np

from regolith.lunar.labels import SKY
from regolith.lunar.render.compile import Geometry
from regolith.lunar.render.photometry import Vector, add, dot, normalize, scale
from regolith.lunar.render.sequences import mixed, shuffled, sobol_pair
from regolith.lunar.render.shading import SurfaceInteraction, Values, reflect, sunlit, surface, textured
from regolith.lunar.render.tables import MATERIAL_ROW, ROW_WIDTH, material_rows, matrix_row, pack_scene
from regolith.lunar.render.tracer import Tracer
from regolith.lunar.render.view import Pinhole, Sunlight, View

LENS_STEPS = 256
"""Steps of the table a lens's inversion starts from; one step of Newton's method then takes it to float32's accuracy
(2e-4 pixels of 512 at worst, over all lenses that do not fold)."""

ALIGNMENT = 64
"""Address an array's memory shall be a multiple of [bytes]: the most that Dr.Jit asks for (`jitc_var_mem_map`)."""

BOUNCE_DIRECTIONS = 8
"""Directions per pixel of the reduced one-bounce pass."""


class JitOps:
    """The operations of `reflectance.Ops` on Dr.Jit arrays."""

    def __init__(self) -> None:
        self.sqrt, self.log, self.log2, self.exp2 = dr.sqrt, dr.log, dr.log2, dr.exp2
        self.floor, self.minimum, self.maximum, self.select = dr.floor, dr.minimum, dr.maximum, dr.select

    def uint(self, x: Any) -> Any:
        """Convert whole floats to uint32, negative ones modulo 2^32."""
        return mi.UInt32(mi.Int32(x))

    def float(self, x: Any) -> Any:
        """Convert uint32 to float32."""
        return mi.Float(x)


def _straightened(lens: _OpaqueLens, sx: Any, sy: Any) -> Any:
    """True over distorted radius at a picture position in [-1, 1]²: `Lens.rays` from a table and one Newton step."""
    x, y = sx * lens.tan_x, sy * lens.tan_y
    square = x * x + y * y
    at = dr.minimum(square * lens.per_step, LENS_STEPS - 1e-3)
    step = mi.UInt32(at)
    low, high = dr.gather(mi.Float, lens.factors, step), dr.gather(mi.Float, lens.factors, step + 1)
    factor = low + (at - mi.Float(step)) * (high - low)
    a, b, s2 = lens.k1 * square, lens.k2 * square * square, factor * factor
    excess = factor * (1.0 + s2 * (a + s2 * b)) - 1.0
    return factor - excess / (1.0 + s2 * (3.0 * a + s2 * (5.0 * b)))


@dataclasses.dataclass
class _Opaque:
    """A view's values as opaque device variables."""

    origin: Vector
    right: Vector
    up: Vector
    forward: Vector
    pixel: Any
    width: Any
    height: Any
    sun: _OpaqueLight
    earth: _OpaqueLight | None
    """None where there is no Earth: kernels then hold no code for one."""
    seed: Any
    rows: Any
    seeds: Any
    lens: _OpaqueLens | None
    """None for a lens that does not distort: its kernels hold no code for one."""


@dataclasses.dataclass
class _OpaqueLight:
    """A distant light's values as opaque device variables."""

    direction: Vector
    u: Vector
    v: Vector
    irradiance: Any


@dataclasses.dataclass
class _OpaqueLens:
    """A distorting lens's values as opaque device variables."""

    tan_x: Any
    tan_y: Any
    k1: Any
    k2: Any
    per_step: Any
    """Steps of the table per squared distorted radius."""
    factors: Any
    """`Lens.factors` of `LENS_STEPS`."""


class Kernels:
    """A compiled stage on the device, and the kernels that draw it."""

    def __init__(self, geometry: Geometry) -> None:
        """Upload a scene; its acceleration structure is built while the shapes are shaded."""
        self.ops = JitOps()
        with ThreadPoolExecutor(max_workers=1) as pool:
            building = pool.submit(Tracer, geometry, str(mi.variant()))
            packed = pack_scene(geometry.shaded())
            self.vertices = mi.Float(_aligned(packed.vertices))
            self.faces = mi.UInt32(_aligned(packed.faces))
            self.places = packed.matrices
            self.matrices = mi.Float(_aligned(packed.matrices))
            self.objects = mi.UInt32(_aligned(packed.objects))
            self.labels = mi.UInt32(_aligned(packed.labels))
            self.patches = _uint8()(_aligned(packed.patches)) if len(packed.patches) > 1 else None
            self.tracer = building.result()

    def move(self, matrices: Mapping[int, np.ndarray]) -> None:
        """Place objects that move elsewhere: number to local-to-world matrix for row vectors."""
        self.places = self.places.copy()
        for number, matrix in matrices.items():
            self.places[number] = matrix_row(matrix)
        self.tracer.move(matrices)
        self.matrices = mi.Float(_aligned(self.places))

    # Reads of the packed tables (`shading.Gather`) -------------------------------------------------------------

    def face(self, number: Any) -> tuple[Any, Any, Any]:
        """Vertex numbers of a face."""
        f = dr.gather(_uint4(), self.faces, number)
        return f[0], f[1], f[2]

    def vertex(self, number: Any) -> tuple[Vector, Any]:
        """Position and packed normal of a vertex."""
        v = dr.gather(mi.Vector4f, self.vertices, number)
        return (v[0], v[1], v[2]), dr.reinterpret_array(mi.UInt32, v[3])

    def placement(self, number: Any) -> tuple[tuple[Any, ...], tuple[Any, Any, Any]]:
        """Matrix rows of an object and its first face, material and flags."""
        rows = [dr.gather(mi.Vector4f, self.matrices, number * 3 + i) for i in range(3)]
        o = dr.gather(_uint4(), self.objects, number)
        return tuple(row[i] for row in rows for i in range(4)), (o[0], o[1], o[2])

    def patch(self, number: Any, prim: Any, material: Any) -> Any:
        """Material of a face of an object; without patches in the scene there is no code for them."""
        if self.patches is None:
            return material
        first = dr.gather(mi.UInt32, self.objects, number * 4 + 3)
        own = dr.gather(_uint8(), self.patches, first + prim, first != 0)
        return dr.select(first != 0, mi.UInt32(own), material)

    def values(self, view: _Opaque, number: Any) -> tuple[Values, Any]:
        """Values and seed of a material."""
        fours = ROW_WIDTH // 4
        parts = [dr.gather(mi.Vector4f, view.rows, number * fours + k) for k in range(fours)]
        row = {name: parts[k // 4][k % 4] for k, name in enumerate(MATERIAL_ROW)}
        return row, dr.gather(mi.UInt32, view.seeds, number)

    # Parts of the kernels ----------------------------------------------------------------------------------------

    def opaque(self, view: View, width: int, height: int) -> _Opaque:
        """Upload a view; none of its values is compiled into a kernel."""
        rows, seeds = material_rows(view.materials)

        def number(x: float) -> Any:
            return dr.opaque(mi.Float, float(x))

        def vector(x: np.ndarray) -> Vector:
            return number(x[0]), number(x[1]), number(x[2])

        def distant(light: Sunlight) -> _OpaqueLight:
            u, v = light.tangents * light.tan_radius
            return _OpaqueLight(vector(light.direction), vector(u), vector(v), number(light.irradiance))

        camera = view.camera
        return _Opaque(
            origin=vector(camera.origin),
            right=vector(camera.axes[0] * camera.tan_x),
            up=vector(camera.axes[1] * (camera.tan_x * height / width)),
            forward=vector(camera.axes[2]),
            pixel=number(2.0 * camera.tan_x / width),
            width=dr.opaque(mi.UInt32, width),
            height=dr.opaque(mi.UInt32, height),
            sun=distant(view.sun),
            earth=None if view.earth is None else distant(view.earth),
            seed=dr.opaque(mi.UInt32, view.sensor.noise_seed & 0xFFFFFFFF),
            rows=mi.Float(_aligned(rows)),
            seeds=mi.UInt32(_aligned(seeds)),
            lens=self._lens(camera, width, height),
        )

    @staticmethod
    def _lens(camera: Pinhole, width: int, height: int) -> _OpaqueLens | None:
        if not camera.distorted:
            return None
        lens = camera.lens(width, height)
        tan_x, tan_y, per_step = camera.tan_x, camera.tan_x * height / width, LENS_STEPS / lens.corner**2
        values = [dr.opaque(mi.Float, float(x)) for x in (tan_x, tan_y, lens.k1, lens.k2, per_step)]
        return _OpaqueLens(*values, factors=mi.Float(_aligned(lens.factors(LENS_STEPS).astype(np.float32))))

    def _ray(self, view: _Opaque, pixel: Any, jx: Any, jy: Any) -> Vector:
        row = pixel // view.width
        column = pixel - row * view.width
        sx = (mi.Float(column) + jx) * (2.0 / mi.Float(view.width)) - 1.0
        sy = 1.0 - (mi.Float(row) + jy) * (2.0 / mi.Float(view.height))
        if view.lens is not None:
            factor = _straightened(view.lens, sx, sy)
            sx, sy = sx * factor, sy * factor
        return normalize(self.ops, add(view.forward, add(scale(view.right, sx), scale(view.up, sy))))

    def _hit(self, origin: Vector, direction: Vector, *, coherent: bool, active: Any = True) -> tuple[Any, ...]:
        """Trace a ray: (valid, object number, surface, distance)."""
        ray = mi.Ray3f(mi.Point3f(*origin), mi.Vector3f(*direction))
        valid, number, prim, uv, t = self.tracer.closest(ray, coherent=coherent, active=active)
        place = surface(self.ops, self, number, prim, uv[0], uv[1], direction)
        return valid, number, place, t

    def _visible(self, hit: SurfaceInteraction, direction: Vector, *, coherent: bool, active: Any) -> Any:
        ray = mi.Ray3f(mi.Point3f(*hit.lifted), mi.Vector3f(*direction))
        return active & ~self.tracer.blocked(ray, coherent=coherent, active=active)

    def _towards(self, light: _OpaqueLight, u1: Any, u2: Any) -> Vector:
        """Direction to a point of a light's disc."""
        radius = dr.sqrt(u1)
        sin, cos = dr.sincos(u2 * dr.two_pi)
        offset = add(scale(light.u, radius * cos), scale(light.v, radius * sin))
        return normalize(self.ops, add(light.direction, offset))

    def _cosine(self, normal: Vector, u1: Any, u2: Any) -> Vector:
        """Cosine-distributed direction about a normal."""
        radius, z = dr.sqrt(u1), dr.sqrt(dr.maximum(1.0 - u1, 0.0))
        sin, cos = dr.sincos(u2 * dr.two_pi)
        s, t = mi.coordinate_system(mi.Vector3f(*normal))
        d = s * (radius * cos) + t * (radius * sin) + mi.Vector3f(*normal) * z
        return d.x, d.y, d.z

    def _bounced(self, view: _Opaque, hit: SurfaceInteraction, values: Any, normal: Vector, eye: Vector, seed: Any,
                 index: Any, active: Any) -> Any:  # fmt: skip
        """Radiance towards the eye from one diffuse bounce, per unit normal albedo of the hit."""
        ops = self.ops
        out = self._cosine(normal, *sobol_pair(index, mixed(seed, 11)))
        active = active & (dot(out, hit.ng) > 0.0)
        valid, _, far, _ = self._hit(hit.lifted, out, coherent=False, active=active)
        there, _ = self.values(view, far.material)
        sun = self._towards(view.sun, *sobol_pair(shuffled(index, mixed(seed, 12)), mixed(seed, 13)))
        lit = valid & (dot(far.ns, sun) > 0.0)
        lit = self._visible(far, sun, coherent=False, active=lit)
        back = (-out[0], -out[1], -out[2])
        incoming = view.sun.irradiance * sunlit(ops, there, far.ns, there["albedo"], back, sun)
        mu0 = dr.maximum(dot(normal, out), 1e-3)
        mu = dr.maximum(dot(normal, eye), 0.02)
        per = reflect(ops, values, mu0, mu, dot(eye, out)) * (dr.pi / mu0)
        return dr.select(lit, incoming * per, 0.0)

    # Kernels -------------------------------------------------------------------------------------------------------

    def radiance(
        self, view: _Opaque, pixels: int, *, samples: int, first: int = 0, bounce: bool = False, start: int = 0
    ) -> Any:
        """Mean radiance of `pixels` pixels from number `start` on, over `samples` samples from number `first` on.

        A pixel's value is the same whatever others are drawn with it, as long as `start` is a multiple of 16, the
        widest packet of rays.
        """
        ops = self.ops
        thread = dr.arange(mi.UInt32, pixels * samples)
        pixel = thread // samples
        index = (thread - pixel * samples) + dr.opaque(mi.UInt32, first)
        if start:
            pixel += dr.opaque(mi.UInt32, start)
        seed = mixed(pixel, view.seed)
        jx, jy = sobol_pair(index, mixed(seed, 3))
        direction = self._ray(view, pixel, jx, jy)
        valid, _, hit, t = self._hit(view.origin, direction, coherent=True)
        eye = (-direction[0], -direction[1], -direction[2])
        values, relief_seed = self.values(view, hit.material)
        normal, albedo = textured(ops, values, relief_seed, hit, t * view.pixel)
        sun = self._towards(view.sun, *sobol_pair(shuffled(index, mixed(seed, 4)), mixed(seed, 5)))
        lit = self._visible(hit, sun, coherent=True, active=valid & (dot(normal, sun) > 0.0))
        light = dr.select(lit, view.sun.irradiance * sunlit(ops, values, normal, albedo, eye, sun), 0.0)
        if view.earth is not None:
            earth = self._towards(view.earth, *sobol_pair(shuffled(index, mixed(seed, 6)), mixed(seed, 7)))
            lit = self._visible(hit, earth, coherent=True, active=valid & (dot(normal, earth) > 0.0))
            light += dr.select(lit, view.earth.irradiance * sunlit(ops, values, normal, albedo, eye, earth), 0.0)
        if bounce:
            light += albedo * self._bounced(view, hit, values, normal, eye, seed, index, valid)
        return dr.block_sum(dr.select(valid, light, 0.0), samples) * (1.0 / samples)

    def bounce(self, view: _Opaque, pixels: int, *, first: int = 0) -> tuple[Any, Any, Vector]:
        """One-bounce radiance per unit normal albedo at the centres of a (reduced) picture.

        Args:
            view: The picture.
            pixels: Its pixels.
            first: Number of the first of the `BOUNCE_DIRECTIONS` directions it is the mean of.

        Returns:
            Radiance, share of hits (0 or 1), shading normal; each Float, size pixels.
        """
        samples = BOUNCE_DIRECTIONS
        thread = dr.arange(mi.UInt32, pixels * samples)
        pixel = thread // samples
        index = thread - pixel * samples
        if first:
            index += dr.opaque(mi.UInt32, first)
        seed = mixed(pixel, view.seed, 0x51)
        direction = self._ray(view, pixel, 0.5, 0.5)
        valid, _, hit, _ = self._hit(view.origin, direction, coherent=True)
        eye = (-direction[0], -direction[1], -direction[2])
        values, _ = self.values(view, hit.material)
        light = self._bounced(view, hit, values, hit.ns, eye, seed, index, valid)
        light = dr.select(valid, light, 0.0)
        normal = tuple(dr.select(valid, x, 0.0) for x in hit.ns)
        hits = dr.select(valid, mi.Float(1.0), 0.0)
        dr.eval(light, hits, normal)  # one launch for all of them
        head = dr.arange(mi.UInt32, pixels) * samples
        nx, ny, nz = (dr.gather(mi.Float, x, head) for x in normal)
        return dr.block_sum(light, samples) * (1.0 / samples), dr.gather(mi.Float, hits, head), (nx, ny, nz)

    def centre(self, view: _Opaque, pixels: int, *, albedo: bool, start: int = 0) -> dict[str, Any]:
        """Labels of the ray through the centre of `pixels` pixels from number `start` on.

        Returns:
            label, instance (UInt32), depth [m] (Float), normal (three Floats) and, where asked for, albedo (Float; 0
            on sky), size pixels.
        """
        pixel = dr.arange(mi.UInt32, pixels)
        if start:
            pixel += dr.opaque(mi.UInt32, start)
        direction = self._ray(view, pixel, 0.5, 0.5)
        valid, number, hit, t = self._hit(view.origin, direction, coherent=True)
        found = {
            "label": dr.select(valid, dr.gather(mi.UInt32, self.labels, number * 2), SKY),
            "instance": dr.select(valid, dr.gather(mi.UInt32, self.labels, number * 2 + 1), 0),
            "depth": dr.select(valid, t, dr.inf),
            "normals": tuple(dr.select(valid, x, 0.0) for x in hit.ng),
        }
        if albedo:
            values, seed = self.values(view, hit.material)
            found["albedo"] = dr.select(valid, textured(self.ops, values, seed, hit, t * view.pixel)[1], 0.0)
        return found

    def classes(self, view: View, width: int, height: int) -> np.ndarray:
        """Class at each pixel centre, uint8, shape [H, W]: one traced ray a pixel and nothing else."""
        opaque = self.opaque(view, width, height)
        direction = self._ray(opaque, dr.arange(mi.UInt32, width * height), 0.5, 0.5)
        valid, number, _, _ = self._hit(opaque.origin, direction, coherent=True)
        label = dr.select(valid, dr.gather(mi.UInt32, self.labels, number * 2), SKY)
        return label.numpy().astype(np.uint8).reshape(height, width)

    def blocked(self, starts: np.ndarray, way: np.ndarray) -> np.ndarray:
        """Whether rays from points, shape [N, 3], in one direction meet anything, bool, shape [N]."""
        if not len(starts):
            return np.zeros(0, bool)
        ray = mi.Ray3f(mi.Point3f(*_columns(starts)), mi.Vector3f(*(dr.opaque(mi.Float, float(x)) for x in way)))
        return self.tracer.blocked(ray, coherent=True, active=mi.Bool(True)).numpy()

    def heights(self, at: np.ndarray) -> np.ndarray:
        """Height of what stays [m] at x, y, shape [N, 2]; float64, shape [N], -inf over nothing."""
        x, y = _columns(at)
        above = self.tracer.top + 1.0
        ray = mi.Ray3f(mi.Point3f(x, y, dr.opaque(mi.Float, above)), mi.Vector3f(0.0, 0.0, -1.0))
        return above - self.tracer.depth(ray).numpy().astype(np.float64)


def _columns(array: np.ndarray) -> list[Any]:
    """Columns of an array, on the device."""
    return [mi.Float(np.ascontiguousarray(column, np.float32)) for column in array.T]


def _aligned(array: np.ndarray) -> np.ndarray:
    """An array's values end to end at an address that Dr.Jit's packet gathers take, shape [size].

    Dr.Jit shares a numpy array's memory, and gathers from it value by value where it lies at another address, as it may
    or may not: each combination of tables was then a kernel of its own, compiled anew.
    """
    buffer = np.empty(array.nbytes + ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % ALIGNMENT
    out = buffer[start : start + array.nbytes].view(array.dtype)
    out[:] = array.ravel()
    return out


def _uint4() -> Any:
    return dr.uint32_array_t(mi.Vector4f)


def _uint8() -> Any:
    return dr.uint8_array_t(mi.UInt32)
