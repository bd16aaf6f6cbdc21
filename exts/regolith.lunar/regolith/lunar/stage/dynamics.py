"""Edits of a stage that change how its rover moves. Plain attribute sets, in `UsdPhysics`' own units.

PhysX in Isaac Sim and the engines of `physics` read the same attributes. What no physics schema has, between a
controller and the drives, is kept beside them (`schema.ACTUATION`) for whoever drives the rover.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from pxr import Gf, Sdf, Usd

from regolith.lunar.params import DynamicsParams, InputError
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage import schema

NEUTRAL = {name: getattr(DynamicsParams(), name).lo for name in DynamicsParams.model_fields}
"""Value of each field of `DynamicsParams` that leaves the rover as it is drawn."""

COMPLIANCE = "PhysxMaterialAPI"
"""PhysX's schema of `physxMaterial:compliantContactStiffness` [N/m] and `…Damping` [N s/m] of each contact."""


def apply_dynamics(stage: Usd.Stage, drawn: Mapping[str, float]) -> None:
    """Set how the stage's rover moves; what an earlier call set is forgotten.

    Args:
        stage: Stage of the `stage.schema` layout with a rover.
        drawn: Value by its field of `DynamicsParams`, as `randomize.draw_dynamics` gives them; one left out is neutral.

    Raises:
        InputError: There is no rover on the stage, or no such field.
    """
    if not stage.GetPrimAtPath(schema.ROVER_CHASSIS):
        raise InputError("stage", stage.GetRootLayer().identifier, "a stage with a rover (--rover.model viper)")
    for name, value in drawn.items():
        if name not in NEUTRAL:
            raise InputError(f"dynamics.{name}", value, ", ".join(NEUTRAL))
    values = NEUTRAL | dict(drawn)
    with Sdf.ChangeBlock():
        for path, body in _bodies():
            _set(stage, path, "physics:mass", values["mass_scale"] * body.mass_kg)
            turning = values["mass_scale"] * values["inertia_scale"]
            _set(stage, path, "physics:diagonalInertia", Gf.Vec3f(*(turning * moment for moment in body.inertia)))
        for joint, drive in viper.DRIVES.items():
            for corner in schema.CORNERS:
                path = schema.rover_joint(joint, corner)
                stiffness = values["drive_stiffness_scale"] * drive.stiffness
                _set(stage, path, "drive:angular:physics:stiffness", stiffness)
                _set(stage, path, "drive:angular:physics:damping", values["joint_damping_scale"] * drive.damping)
        for name, friction in zip(("static", "dynamic"), viper.FRICTION, strict=True):
            _set(stage, schema.TRACTION, f"physics:{name}Friction", values["friction_scale"] * friction)
        _set(stage, schema.TRACTION, "physics:restitution", values["restitution"])
        _set(stage, schema.PHYSICS_SCENE, "physics:gravityDirection", gravity_direction(values))
    _set_compliance(stage, values)
    _note_actuation(stage, values)


def read_actuation(stage: Usd.Stage) -> dict[str, float]:
    """Values of `schema.ACTUATION` on a stage's rover by fields of `DynamicsParams`; neutral where it says none."""
    rover, values = stage.GetPrimAtPath(schema.ROVER), {}
    for field, (name, _) in schema.ACTUATION.items():
        attribute = rover.GetAttribute(schema.DYNAMICS + name) if rover else None
        values[field] = float(attribute.Get()) if attribute and attribute.HasValue() else NEUTRAL[field]
    return values


def gravity_direction(values: Mapping[str, float]) -> Gf.Vec3f:
    """Unit vector of gravity in the world."""
    tilt, azimuth = math.radians(values["gravity_tilt_deg"]), math.radians(values["gravity_azimuth_deg"])
    if tilt == 0.0:
        return Gf.Vec3f(0.0, 0.0, -1.0)
    return Gf.Vec3f(math.sin(tilt) * math.cos(azimuth), math.sin(tilt) * math.sin(azimuth), -math.cos(tilt))


def _bodies() -> Iterator[tuple[str, viper.Body]]:
    yield schema.ROVER_CHASSIS, viper.CHASSIS
    for corner in schema.CORNERS:
        for part, body in viper.corner_bodies(corner).items():
            yield schema.rover_body(part, corner), body


def _set_compliance(stage: Usd.Stage, values: Mapping[str, float]) -> None:
    """Make contacts springs that are critically damped for a quarter of the rover; 0 has PhysX make them hard."""
    compliance = 1e-6 * values["terrain_compliance"]  # mm/kN to m/N
    stiffness = 1.0 / compliance if compliance else 0.0
    damping = 2.0 * math.sqrt(stiffness * 0.25 * values["mass_scale"] * viper.MASS_KG)
    material = stage.GetPrimAtPath(schema.TRACTION)
    for name, value in (("Stiffness", stiffness), ("Damping", damping)):
        attribute = material.GetAttribute(f"physxMaterial:compliantContact{name}")
        if value and not attribute:
            material.AddAppliedSchema(COMPLIANCE)
            attribute = material.CreateAttribute(attribute.GetName(), Sdf.ValueTypeNames.Float, custom=False)
        if attribute:
            attribute.Set(value)


def _note_actuation(stage: Usd.Stage, values: Mapping[str, float]) -> None:
    rover = stage.GetPrimAtPath(schema.ROVER)
    for field, (name, doc) in schema.ACTUATION.items():
        attribute = rover.GetAttribute(schema.DYNAMICS + name)
        if values[field] != NEUTRAL[field] and not attribute:
            attribute = rover.CreateAttribute(schema.DYNAMICS + name, Sdf.ValueTypeNames.Double, custom=True)
            attribute.SetDocumentation(doc)
        if attribute:
            attribute.Set(values[field])


def _set(stage: Usd.Stage, path: str, name: str, value: float | Gf.Vec3f) -> None:
    attribute = stage.GetAttributeAtPath(f"{path}.{name}")
    if not attribute:
        raise InputError(f"{path}.{name}", "nothing", "a rover written by regolith author")
    attribute.Set(value)
