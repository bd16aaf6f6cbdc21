"""The experiments of `physics.measured`, simulated with given dynamics.

- *drop*: a ball of the wheel's radius and mass, of the rover's material, falls from `release` above a floor of the
  same; `height` is that of its lowest point.
- *rolling*: the rover's wheel, by itself and at rest at first, rolls freely down a floor tilted by `slope`; `distance`
  is along the slope, `spin` the wheel's.
- *coast*: the rover goes ahead on level ground at `start`, and is commanded to stand at time 0; `speed` is that of the
  chassis' centre of mass, `spin` the mean of the wheels.
- *steps*: the rover stands on level ground, and all wheels are commanded `command`, which holds until the next sample;
  `speed` and `spin` as above.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics, UsdShade

from regolith.lunar.params.dynamics import CONTROL_S
from regolith.lunar.physics.actuation import Actuation, Channel
from regolith.lunar.physics.engine import Engine
from regolith.lunar.physics.engines import open_engine
from regolith.lunar.physics.measured import Run
from regolith.lunar.stage import layer as write
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage import schema
from regolith.lunar.stage.author import grid_quads
from regolith.lunar.stage.dynamics import NEUTRAL, apply_dynamics
from regolith.lunar.stage.mesh import Heightfield
from regolith.lunar.stage.rover import write_rover

DEPENDS: dict[str, tuple[str, ...]] = {
    "drop": ("restitution",),
    "rolling": ("inertia_scale", "friction_scale"),
    "coast": ("friction_scale", "joint_damping_scale", "inertia_scale", "mass_scale", "drive_stiffness_scale"),
}
DEPENDS["steps"] = (*DEPENDS["coast"], "action_gain", "action_delay_steps")
"""Experiment to the fields of `DynamicsParams` that its motion depends on."""

STEP_S = 0.002
"""Step of the rover and its wheel [s]: at longer ones contacts make motion a rough function of the dynamics."""

DROP_STEP_S = 0.0001
"""Step of a drop [s]: an impact lasts a hundred of them, and what it throws back is exact."""

SETTLE_S, RUN_UP_S = 0.4, 2.0
"""How long the rover stands before it is commanded, and drives before it coasts [s]."""

GROUND_M, CELL_M = 40.0, 2.0
"""Half side and cell of the level ground [m]."""

_BODY, _FLOOR = "/World/Body", "/World/Floor"
_DRIVES = [schema.rover_joint("drive", corner) for corner in schema.CORNERS]


class Bench:
    """Simulates runs; keeps the rover's stage, and its engine for as long as its dynamics stay."""

    def __init__(self) -> None:
        self._stage: Usd.Stage | None = None
        self._engine: Engine | None = None
        self._values: dict[str, float] = {}

    def simulate(self, run: Run, values: Mapping[str, float]) -> dict[str, np.ndarray]:
        """Repeat a run on a rover of given dynamics.

        Args:
            run: Settings, times, inputs and which outputs; what was measured does not count.
            values: Fields of `DynamicsParams`; those left out are neutral.

        Returns:
            Every output of the run at its times, shape [N] each.
        """
        values = NEUTRAL | dict(values)
        if run.experiment == "drop":
            return _drop(run, values)
        if run.experiment == "rolling":
            return _roll(run, values)
        return self._drive(run, values)

    def _drive(self, run: Run, values: Mapping[str, float]) -> dict[str, np.ndarray]:
        engine = self._rover({name: values[name] for name in DEPENDS["coast"]})
        engine.reset()
        if run.experiment == "coast":
            for joint in _DRIVES:
                engine.drive(joint, velocity=run.settings["start"] / viper.WHEEL_RADIUS_M)
            engine.step(round(RUN_UP_S / STEP_S))
            actuation, command = Actuation(Channel(), actions=[1.0]), np.zeros(len(run.time))
        else:
            engine.step(round(SETTLE_S / STEP_S))
            actuation, command = Actuation(Channel.of(values), actions=[1.0]), run.columns["command"]

        def control(time: float) -> None:
            held = int(np.searchsorted(run.time, time + 1e-9, side="right")) - 1
            (target,) = actuation.act([command[held] if held >= 0 else 0.0])
            for joint in _DRIVES:
                engine.drive(joint, velocity=target)

        return _record(engine, run, CONTROL_S, _rover_motion, control)

    def _rover(self, values: dict[str, float]) -> Engine:
        if self._stage is None:
            self._stage = rover_stage()
        if self._engine is None or values != self._values:
            apply_dynamics(self._stage, values)
            self._engine, self._values = open_engine(self._stage, timestep_s=STEP_S), values
        return self._engine


def _record(
    engine: Engine,
    run: Run,
    every_s: float,
    motion: Callable[[Engine], dict[str, float]],
    control: Callable[[float], None] = lambda time: None,
) -> dict[str, np.ndarray]:
    """Simulate a run from now on; a sample lies on the line between those recorded before and after it."""
    count = math.ceil(run.time[-1] / every_s)
    rows = [motion(engine)]
    for number in range(count):
        control(number * every_s)
        engine.step(round(every_s / engine.timestep_s))
        rows.append(motion(engine))
    times = np.arange(count + 1) * every_s
    return {name: np.interp(run.time, times, [row[name] for row in rows]) for name in run.outputs}


def _rover_motion(engine: Engine) -> dict[str, float]:
    spin = sum(engine.joint(joint).velocity for joint in _DRIVES) / len(_DRIVES)
    return {"speed": float(engine.motion([schema.ROVER_CHASSIS]).velocity[0, 0]), "spin": spin}


def _drop(run: Run, values: Mapping[str, float]) -> dict[str, np.ndarray]:
    radius = viper.WHEEL_RADIUS_M
    stage = body_stage("Sphere", values, lift=run.settings["release"])
    engine = open_engine(stage, timestep_s=DROP_STEP_S)
    return _record(
        engine, run, 40 * DROP_STEP_S, lambda now: {"height": float(now.motion([_BODY]).position[0, 2]) - radius}
    )


def _roll(run: Run, values: Mapping[str, float]) -> dict[str, np.ndarray]:
    stage = body_stage("Cylinder", values, slope=run.settings["slope"])
    engine = open_engine(stage, timestep_s=STEP_S)

    def motion(engine: Engine) -> dict[str, float]:
        now = engine.motion([_BODY])
        return {"distance": float(now.position[0, 0]), "spin": float(now.spin[0, 1])}

    return _record(engine, run, CONTROL_S, motion)


def rover_stage() -> Usd.Stage:
    """The rover on level ground, and nothing else."""
    layer = _empty_layer()
    write.prim(layer, schema.GROUND, "Xform")
    terrain = write.prim(layer, schema.TERRAIN, "Mesh")
    side = 2 * round(GROUND_M / CELL_M) + 1
    write.mesh(terrain, grid_quads(Heightfield(np.zeros((side, side), np.float32), CELL_M)))
    write.attribute(terrain, schema.GRID_SHAPE, Sdf.ValueTypeNames.Int2, Gf.Vec2i(side, side), custom=True)
    write.attribute(terrain, schema.GRID_CELL, Sdf.ValueTypeNames.Double, CELL_M, custom=True)
    write.prim(layer, schema.PROTOTYPES, "", specifier=Sdf.SpecifierClass)
    write_rover(layer)
    return Usd.Stage.Open(layer)


def body_stage(kind: str, values: Mapping[str, float], *, lift: float = 0.0, slope: float = 0.0) -> Usd.Stage:
    """One body of the wheel's radius and mass on a floor of the rover's material.

    Args:
        kind: `Sphere`, or `Cylinder` for the wheel itself, its axle along Y.
        values: Fields of `DynamicsParams`, all of them.
        lift: Lowest point above the floor [m].
        slope: Angle by which the floor falls towards +X [rad]; the stage is turned with it, and gravity tilts.
    """
    stage = Usd.Stage.Open(_empty_layer())
    scene = UsdPhysics.Scene.Define(stage, schema.PHYSICS_SCENE)
    scene.CreateGravityMagnitudeAttr(viper.GRAVITY)
    scene.CreateGravityDirectionAttr(Gf.Vec3f(math.sin(slope), 0.0, -math.cos(slope)))
    material = UsdShade.Material.Define(stage, schema.TRACTION)
    traction = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
    static, dynamic = viper.FRICTION
    traction.CreateStaticFrictionAttr(static * values["friction_scale"])
    traction.CreateDynamicFrictionAttr(dynamic * values["friction_scale"])
    traction.CreateRestitutionAttr(values["restitution"])
    floor = UsdGeom.Cube.Define(stage, _FLOOR)
    floor.CreateSizeAttr(2.0 * GROUND_M)
    floor.AddTranslateOp().Set(Gf.Vec3d(0.0, 0.0, -GROUND_M))
    body = UsdGeom.Sphere.Define(stage, _BODY) if kind == "Sphere" else UsdGeom.Cylinder.Define(stage, _BODY)
    body.CreateRadiusAttr(viper.WHEEL_RADIUS_M)
    body.AddTranslateOp().Set(Gf.Vec3d(0.0, 0.0, viper.WHEEL_RADIUS_M + lift))
    if isinstance(body, UsdGeom.Cylinder):
        body.CreateAxisAttr("Y")
        body.CreateHeightAttr(viper.WHEEL_WIDTH_M)
    for prim in (floor.GetPrim(), body.GetPrim()):
        UsdPhysics.CollisionAPI.Apply(prim)
        UsdShade.MaterialBindingAPI.Apply(prim).Bind(material, materialPurpose="physics")
    wheel = viper.corner_bodies(next(iter(schema.CORNERS)))["wheel"]
    UsdPhysics.RigidBodyAPI.Apply(body.GetPrim())
    mass = UsdPhysics.MassAPI.Apply(body.GetPrim())
    mass.CreateMassAttr(wheel.mass_kg)
    mass.CreateDiagonalInertiaAttr(Gf.Vec3f(*(values["inertia_scale"] * moment for moment in wheel.inertia)))
    return stage


def _empty_layer() -> Sdf.Layer:
    layer = Sdf.Layer.CreateAnonymous("bench.usda")
    layer.pseudoRoot.SetInfo("metersPerUnit", 1.0)
    layer.pseudoRoot.SetInfo("upAxis", "Z")
    layer.defaultPrim = "World"
    write.prim(layer, schema.WORLD, "Xform")
    return layer
