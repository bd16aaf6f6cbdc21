"""What a frame reads off the stage besides geometry: camera, sun, materials, stars and sensor."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from pxr import Gf, Usd, UsdGeom, UsdLux, UsdShade

from regolith.lunar.params import InputError
from regolith.lunar.reflectance import single_scattering_albedo
from regolith.lunar.render.sensor import Sensor
from regolith.lunar.stage import schema
from regolith.lunar.stage.colour import LUMINANCE
from regolith.lunar.stage.lens import Lens


@dataclasses.dataclass(frozen=True)
class Pinhole:
    """A pinhole camera with radial distortion (`stage.lens`) in the world frame; pixels are square."""

    origin: np.ndarray
    """Lens position [m], float64, shape [3]."""
    axes: np.ndarray
    """Rows right, up, forward; unit vectors, float64, shape [3, 3]."""
    tan_x: float
    """Tangent of half the horizontal field of view, without distortion."""
    k1: float = 0.0
    """Radial distortion of `stage.lens`."""
    k2: float = 0.0
    """Radial distortion of the fourth power."""

    @property
    def distorted(self) -> bool:
        """Whether the lens bends straight lines."""
        return self.k1 != 0.0 or self.k2 != 0.0

    def lens(self, width: int, height: int) -> Lens:
        """The lens over a picture of a size [px]."""
        return Lens(focal_px=0.5 * width / self.tan_x, width=width, height=height, k1=self.k1, k2=self.k2)

    def rays(self, x: np.ndarray, y: np.ndarray, width: int, height: int) -> np.ndarray:
        """Unit ray directions through picture positions, in pixels from the top left corner.

        Returns:
            float32, shape of `x` with 3 appended.
        """
        if self.distorted:
            local = self.lens(width, height).rays(x, y)
            d = local[..., :1] * self.axes[0] - local[..., 1:2] * self.axes[1] + self.axes[2]
            return (d / np.linalg.norm(d, axis=-1, keepdims=True)).astype(np.float32)
        sx = (2.0 * x / width - 1.0) * self.tan_x
        sy = (1.0 - 2.0 * y / height) * self.tan_x * height / width
        d = sx[..., None] * self.axes[0] + sy[..., None] * self.axes[1] + self.axes[2]
        return (d / np.linalg.norm(d, axis=-1, keepdims=True)).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Sunlight:
    """A sun, or an Earth, infinitely far away."""

    direction: np.ndarray
    """Unit vector towards the sun, float64, shape [3]."""
    irradiance: float
    """Irradiance of a surface facing it, in the stage's relative unit."""
    tan_radius: float
    """Tangent of its angular radius."""

    @property
    def tangents(self) -> np.ndarray:
        """Two unit vectors across the direction, float64, shape [2, 3]."""
        helper = np.array([1.0, 0, 0]) if abs(self.direction[0]) < 0.9 else np.array([0, 1.0, 0])
        first = np.cross(self.direction, helper)
        first /= np.linalg.norm(first)
        return np.stack([first, np.cross(self.direction, first)])


@dataclasses.dataclass(frozen=True)
class Material:
    """Photometry of a surface."""

    model: str = "lambert"
    """Reflectance law: `lambert` or `hapke`."""
    albedo: float = 0.18
    """Normal albedo."""
    bump: float = 0.0
    """Strength of the shading relief."""
    seed: int = 0
    """Seed of mottling and relief."""
    values: Mapping[str, float] = dataclasses.field(
        default_factory=lambda: {value.name: value.absent for value in schema.PHOTOMETRY_VALUES.values()}
    )
    """The rest, by the names of attributes in `schema.PHOTOMETRY_VALUES`."""

    @property
    def row(self) -> dict[str, float]:
        """Values the shader gathers, by name: albedo, w (single-scattering albedo, negative: Lambert), `values`, bump.

        Every material's are in the same order.
        """
        values = {value.name: self.values[value.name] for value in schema.PHOTOMETRY_VALUES.values()}
        hapke = self.model == "hapke"
        w = single_scattering_albedo(self.albedo, values["b"], values["c"], values["b0"]) if hapke else -1.0
        return {"albedo": self.albedo, "w": w, **values, "bump": self.bump}


@dataclasses.dataclass(frozen=True)
class View:
    """Everything about a frame that is not geometry."""

    camera: Pinhole
    sun: Sunlight
    materials: tuple[Material, ...]
    sensor: Sensor
    stars: np.ndarray
    """Unit directions and brightness (linear radiance over a pixel), float64, shape [S, 4]."""
    earth: Sunlight | None = None
    """Earthshine, where there is an Earth."""


def _world(prim: Usd.Prim) -> np.ndarray:
    matrix = UsdGeom.Xformable(prim).ComputeLocalToWorldTransform(Usd.TimeCode.Default())
    return np.array(matrix, np.float64)  # rows are the images of the axes: row vectors, as USD multiplies


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.linalg.norm(v)


def _luminance(colour: Gf.Vec3f) -> float:
    """Luminance of linear Rec. 709 primaries."""
    return float(Gf.Dot(Gf.Vec3f(*LUMINANCE.tolist()), colour))


def read_camera(stage: Usd.Stage) -> Pinhole:
    """Read the pinhole of `/World/Camera`, or of the stage's first camera."""
    prim = stage.GetPrimAtPath(schema.CAMERA)
    if not prim or not UsdGeom.Camera(prim):
        prim = next((p for p in stage.Traverse() if UsdGeom.Camera(p)), None)
    if prim is None:
        raise InputError("stage", stage.GetRootLayer().identifier, f"a stage with a camera, as at {schema.CAMERA}")
    return read_pinhole(prim)


def read_pinhole(prim: Usd.Prim) -> Pinhole:
    """Read the pinhole of a `UsdGeom.Camera`.

    Raises:
        InputError: Its focal length or aperture is none.
    """
    camera = UsdGeom.Camera(prim)
    focal, aperture = camera.GetFocalLengthAttr().Get(), camera.GetHorizontalApertureAttr().Get()
    if not focal or focal <= 0 or not aperture or aperture <= 0:
        raise InputError(f"{prim.GetPath()}.focalLength", focal, "a positive focal length and horizontal aperture")
    m = _world(prim)
    axes = np.stack([_unit(m[0, :3]), _unit(m[1, :3]), -_unit(m[2, :3])])  # a camera looks along its -Z
    k1, k2 = (float(_sensor(prim, name, 0.0)) for name in ("k1", "k2"))
    return Pinhole(origin=m[3, :3].copy(), axes=axes, tan_x=0.5 * aperture / focal, k1=k1, k2=k2)


def _sensor(camera: Usd.Prim, name: str, default: float | str) -> float | str:
    """Value of a sensor attribute, or the default where there is none."""
    attribute = camera.GetAttribute(schema.SENSOR + name)
    found = attribute.Get() if attribute else None
    return default if found is None else found


def read_sun(stage: Usd.Stage) -> Sunlight:
    """Read `/World/Sun`, or the stage's first distant light; without one the scene is dark."""
    prim = stage.GetPrimAtPath(schema.SUN)
    if not prim or not UsdLux.DistantLight(prim):
        prim = next((p for p in stage.Traverse() if UsdLux.DistantLight(p)), None)
    if prim is None:
        return Sunlight(direction=np.array([0.0, 0.0, 1.0]), irradiance=0.0, tan_radius=0.0)
    return _read_light(prim)


def read_earth(stage: Usd.Stage) -> Sunlight | None:
    """Read `/World/Earth`; None where there is none, or it gives no light."""
    prim = stage.GetPrimAtPath(schema.EARTH)
    earth = _read_light(prim) if prim and UsdLux.DistantLight(prim) else None
    return earth if earth is not None and earth.irradiance > 0.0 else None


def _read_light(prim: Usd.Prim) -> Sunlight:
    light = UsdLux.DistantLight(prim)
    hidden = UsdGeom.Imageable(prim).ComputeVisibility() == UsdGeom.Tokens.invisible
    radius = 0.5 * math.radians(light.GetAngleAttr().Get() or 0.0)
    luminance = _luminance(light.GetColorAttr().Get() or Gf.Vec3f(1.0))
    irradiance = light.GetIntensityAttr().Get() * 2.0 ** light.GetExposureAttr().Get() * luminance
    if not light.GetNormalizeAttr().Get() and radius > 0.0:
        irradiance *= math.pi * math.sin(radius) ** 2  # a radiance: UsdLux scales by the disc's solid angle
    direction = _unit(_world(prim)[2, :3])  # it shines along its -Z
    return Sunlight(direction=direction, irradiance=0.0 if hidden else irradiance, tan_radius=math.tan(radius))


def read_material(stage: Usd.Stage, path: str) -> Material:
    """Read a material's photometry attributes; else the diffuse colour of its `UsdPreviewSurface`, as Lambert."""
    prim = stage.GetPrimAtPath(path) if path else None
    if not prim:
        return Material()

    def read(name: str) -> Any:
        attribute = prim.GetAttribute(schema.PHOTOMETRY + name)
        return attribute.Get() if attribute else None

    model, albedo, bump, seed = (read(name) for name in ("model", "albedo", "bump", "seed"))
    absent = Material()
    if model not in (None, "lambert", "hapke"):
        raise InputError(f"{path}.{schema.PHOTOMETRY}model", model, "lambert, hapke")
    found = {name: read(name) for name in absent.values}
    return Material(
        model=absent.model if model is None else str(model),
        albedo=_diffuse(prim) if albedo is None else albedo,
        bump=absent.bump if bump is None else bump,
        seed=absent.seed if seed is None else seed,
        values={name: default if found[name] is None else found[name] for name, default in absent.values.items()},
    )


def _diffuse(prim: Usd.Prim) -> float:
    for child in Usd.PrimRange(prim):
        shader = UsdShade.Shader(child)
        if shader and shader.GetIdAttr().Get() == "UsdPreviewSurface":
            value = shader.GetInput("diffuseColor")
            colour = value.Get() if value else None
            if colour is not None:
                return _luminance(colour)
    return 0.18


def read_sensor(stage: Usd.Stage, path: str = schema.CAMERA) -> Sensor:
    """Read exposure, noise, optics, film and encoding of a camera, and the colour of what it sees."""
    prim = stage.GetPrimAtPath(path)
    if not prim:
        return Sensor()
    defaults = Sensor()
    encoding = str(_sensor(prim, "encoding", defaults.encoding))
    if encoding not in ("srgb", "linear"):
        raise InputError(f"{path}.{schema.SENSOR}encoding", encoding, "srgb, linear")
    return Sensor(
        exposure_ev=float(UsdGeom.Camera(prim).GetExposureAttr().Get() or 0.0),
        full_well_e=float(_sensor(prim, "fullWell", defaults.full_well_e)),
        encoding=encoding,  # type: ignore[arg-type]
        noise_seed=int(_sensor(prim, "noiseSeed", defaults.noise_seed)),
        tint=read_tint(stage),
        **{
            field: float(_sensor(prim, name, getattr(defaults, field)))
            for field, (name, _) in schema.SENSOR_VALUES.items()
            if field not in ("lens_k1", "lens_k2")  # the camera's
        },
    )


def read_tint(stage: Usd.Stage) -> tuple[float, float, float]:
    """Colour of sunlit ground over its luminance, linear Rec. 709: the sun's colour times the soil's."""
    sun, shader = stage.GetPrimAtPath(schema.SUN), stage.GetPrimAtPath(f"{schema.LOOK_GROUND}/Surface")
    light = UsdLux.DistantLight(sun).GetColorAttr().Get() if sun and UsdLux.DistantLight(sun) else None
    found = shader.GetAttribute("inputs:diffuseColor") if shader else None
    colour = np.array(light or Gf.Vec3f(1.0)) * np.array((found.Get() if found else None) or Gf.Vec3f(1.0))
    r, g, b = colour / max(_luminance(Gf.Vec3f(*colour.tolist())), 1e-9)
    return float(r), float(g), float(b)


def read_stars(stage: Usd.Stage) -> np.ndarray:
    """Read directions and brightness of `/World/Stars`; their widths stand for brightness.

    Returns:
        float64, shape [S, 4]: unit direction from the world origin, relative brightness in [0, 1].
    """
    prim = stage.GetPrimAtPath(schema.STARS)
    if not prim or not UsdGeom.Points(prim):
        return np.zeros((0, 4))
    points = UsdGeom.Points(prim)
    positions = np.array(points.GetPointsAttr().Get() or np.zeros((0, 3)), np.float64).reshape(-1, 3)
    world = _world(prim)
    positions = positions @ world[:3, :3] + world[3, :3]
    widths = points.GetWidthsAttr().Get()
    bright = np.ones(len(positions)) if not widths else np.array(widths, np.float64)
    bright = np.broadcast_to(bright, len(positions)) / max(float(bright.max(initial=0.0)), 1e-12)
    length = np.linalg.norm(positions, axis=1, keepdims=True)
    return np.concatenate([positions / np.maximum(length, 1e-12), (bright**2)[:, None]], axis=1)


def read_view(stage: Usd.Stage, material_paths: tuple[str, ...]) -> View:
    """Read everything but geometry.

    Args:
        stage: The stage.
        material_paths: Material prims in the order of the compiled scene's material numbers.
    """
    return View(
        camera=read_camera(stage),
        sun=read_sun(stage),
        earth=read_earth(stage),
        materials=tuple(read_material(stage, path) for path in material_paths),
        sensor=read_sensor(stage),
        stars=read_stars(stage),
    )
