"""A small stage authored by hand after `stage.schema`."""

from __future__ import annotations

import math

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdLux, UsdShade, Vt

from regolith.lunar.stage import schema


def _mesh(stage: Usd.Stage, path: str, points: np.ndarray, faces: np.ndarray) -> UsdGeom.Mesh:
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(points, np.float32)))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(faces), faces.shape[1], np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(np.ascontiguousarray(faces, np.int32).ravel()))
    mesh.CreateSubdivisionSchemeAttr("none")
    return mesh


def _label(prim: Usd.Prim, name: str) -> None:
    prim.AddAppliedSchema("SemanticsLabelsAPI:class")
    prim.CreateAttribute("semantics:labels:class", Sdf.ValueTypeNames.TokenArray).Set([name])


def _material(stage: Usd.Stage, path: str, *, model: str, albedo: float, bump: float = 0.0) -> UsdShade.Material:
    material = UsdShade.Material.Define(stage, path)
    prim = material.GetPrim()
    values: dict[str, tuple[Sdf.ValueTypeName, object]] = {
        "model": (Sdf.ValueTypeNames.Token, model),
        "albedo": (Sdf.ValueTypeNames.Double, albedo),
        "bump": (Sdf.ValueTypeNames.Double, bump),
        "mottling": (Sdf.ValueTypeNames.Double, 0.0),
        "seed": (Sdf.ValueTypeNames.Int64, 5),
    }
    for name, (kind, value) in values.items():
        prim.CreateAttribute(schema.PHOTOMETRY + name, kind).Set(value)
    return material


def icosphere(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit sphere by subdividing an icosahedron: points [V, 3], faces [F, 3]."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=steps, radius=1.0)
    return np.asarray(ball.vertices), np.asarray(ball.faces)


def make_stage(*, model: str = "lambert", albedo: float = 0.2, bump: float = 0.0, rocks: int = 5) -> Usd.Stage:
    """A level 40 m ground of quads with a swell, `rocks` boulders of one prototype, sun, camera."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, schema.WORLD).GetPrim())
    ground = UsdGeom.Xform.Define(stage, schema.GROUND).GetPrim()
    _label(ground, "regolith")
    n = 65
    axis = np.linspace(-20, 20, n)
    x, y = np.meshgrid(axis, axis)
    z = 0.15 * np.sin(0.5 * x) * np.cos(0.4 * y) * (np.hypot(x, y) > 6)
    k = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)[None]).ravel()
    _mesh(stage, schema.TERRAIN, np.stack([x, y, z], -1).reshape(-1, 3), np.stack([k, k + 1, k + n + 1, k + n], 1))
    UsdShade.MaterialBindingAPI.Apply(ground).Bind(
        _material(stage, schema.LOOK_GROUND, model=model, albedo=albedo, bump=bump)
    )
    stage.CreateClassPrim(schema.PROTOTYPES)
    _mesh(stage, f"{schema.PROTOTYPES}/shape_00_lod0", *icosphere(2))
    scope = UsdGeom.Scope.Define(stage, schema.ROCKS).GetPrim()
    UsdShade.MaterialBindingAPI.Apply(scope).Bind(
        _material(stage, schema.LOOK_ROCK, model=model, albedo=1.2 * albedo, bump=bump)
    )
    for i in range(rocks):
        rock = UsdGeom.Mesh.Define(stage, f"{schema.ROCKS}/rock_{i:05d}")
        rock.GetPrim().GetReferences().AddInternalReference(f"{schema.PROTOTYPES}/shape_00_lod0")
        _label(rock.GetPrim(), "rock")
        angle = 2.4 * i
        rock.AddTranslateOp().Set(Gf.Vec3d((4 + i) * math.cos(angle), (4 + i) * math.sin(angle), 0.2))
        rock.AddRotateZOp().Set(40.0 * i)
        rock.AddScaleOp().Set(Gf.Vec3f(0.5 + 0.1 * i, 0.4, 0.5))
    sun = UsdLux.DistantLight.Define(stage, schema.SUN)
    sun.CreateAngleAttr(0.53)
    sun.CreateIntensityAttr(math.pi)
    sun.CreateNormalizeAttr(True)
    sun.AddRotateXYZOp()
    UsdGeom.Camera.Define(stage, schema.CAMERA).AddTransformOp()
    aim_sun(stage, elevation=20, azimuth=60)
    aim_camera(stage)
    return stage


def aim_sun(stage: Usd.Stage, *, elevation: float, azimuth: float) -> None:
    """Put the sun at an elevation and azimuth [deg]."""
    attribute = stage.GetAttributeAtPath(f"{schema.SUN}.xformOp:rotateXYZ")
    attribute.Set(Gf.Vec3f(0.0, 90.0 - elevation, azimuth))


def aim_camera(
    stage: Usd.Stage,
    *,
    heading: float = 0.0,
    pitch: float = -8.0,
    position: tuple[float, float, float] = (0.0, 0.0, 1.6),
    fov: float = 60.0,
    exposure: float = 2.0,
    k1: float = 0.0,
    k2: float = 0.0,
) -> None:
    """Place and aim the camera; angles in degrees, exposure in EV, k1 and k2 of its lens."""
    h, p = math.radians(heading), math.radians(pitch)
    forward = Gf.Vec3d(math.cos(p) * math.cos(h), math.cos(p) * math.sin(h), math.sin(p))
    up = Gf.Vec3d(0, 0, 1) if abs(pitch) < 89 else Gf.Vec3d(math.cos(h), math.sin(h), 0)
    eye = Gf.Vec3d(*position)
    matrix = Gf.Matrix4d().SetLookAt(eye, eye + forward, up).GetInverse()
    camera = UsdGeom.Camera(stage.GetPrimAtPath(schema.CAMERA))
    camera.GetPrim().GetAttribute("xformOp:transform").Set(matrix)
    camera.CreateHorizontalApertureAttr(20.0)
    camera.CreateFocalLengthAttr(10.0 / math.tan(math.radians(fov) / 2))
    camera.CreateExposureAttr(exposure)
    set_sensor(stage, k1=k1, k2=k2)


def add_right(stage: Usd.Stage, baseline: float, *, noise_seed: int = 7) -> None:
    """Put a right camera beside the camera as it is now."""
    left = stage.GetPrimAtPath(schema.CAMERA)
    right = UsdGeom.Camera.Define(stage, schema.CAMERA_RIGHT)
    right.ClearXformOpOrder()
    right.AddTranslateOp().Set(Gf.Vec3d(baseline, 0.0, 0.0))
    for attribute in left.GetAuthoredAttributes():
        if not attribute.GetName().startswith("xformOp"):
            right.GetPrim().CreateAttribute(attribute.GetName(), attribute.GetTypeName()).Set(attribute.Get())
    name = schema.SENSOR + "noiseSeed"
    right.GetPrim().CreateAttribute(name, Sdf.ValueTypeNames.Int64).Set(noise_seed)


def set_sensor(stage: Usd.Stage, **values: float) -> None:
    """Set sensor attributes by their names on the stage."""
    camera = stage.GetPrimAtPath(schema.CAMERA)
    for name, value in values.items():
        camera.CreateAttribute(schema.SENSOR + name, Sdf.ValueTypeNames.Double).Set(float(value))
