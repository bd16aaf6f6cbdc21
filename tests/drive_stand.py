"""What stands for Omni PhysX behind the double of the timeline: a rover that rolls as its drives' targets say."""

from __future__ import annotations

import math

from pxr import Gf, Usd, UsdPhysics

from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage import schema


class RollingRover:
    """Moves the bodies of the open stage, and puts them back at the end, as PhysX does.

    The chassis goes ahead at the mean speed of its wheels, and turns as the steering of its front wheels says; steered
    bodies are at once where their targets are. Nothing else moves.
    """

    def __init__(self, stage: Usd.Stage) -> None:
        self._stage = stage
        self._before: dict[str, object] = {}
        self.asleep = False
        """Whether the rover stands, whatever it is told."""
        self.events: list[str] = []

    def __call__(self, event: str, seconds: float) -> None:
        if event != "step" or not self.events or self.events[-1] != "step":
            self.events.append(event)
        if event == "step" and not self.asleep:
            self._roll(seconds)
        elif event == "stop":
            for path, value in self._before.items():
                self._stage.GetAttributeAtPath(path).Set(value)
            self._before.clear()

    def _target(self, joint: str, corner: str, name: str) -> float:
        drive = UsdPhysics.DriveAPI(self._stage.GetPrimAtPath(schema.rover_joint(joint, corner)), "angular")
        return math.radians(getattr(drive, f"GetTarget{name}Attr")().Get() or 0.0)

    def _set(self, path: str, name: str, value: object) -> None:
        attribute = self._stage.GetAttributeAtPath(f"{path}.{name}")
        self._before.setdefault(str(attribute.GetPath()), attribute.Get())
        attribute.Set(value)

    def _roll(self, seconds: float) -> None:
        rates = [self._target("drive", corner, "Velocity") for corner in schema.CORNERS]
        angles = {corner: self._target("steering", corner, "Position") for corner in schema.CORNERS}
        for corner, angle in angles.items():
            turn = Gf.Quatd(math.cos(0.5 * angle), 0.0, 0.0, math.sin(0.5 * angle))
            self._set(schema.rover_body("steering", corner), "xformOp:orient", turn)
        speed = sum(rates) / len(rates) * viper.WHEEL_RADIUS_M
        curvature = math.tan(0.5 * (angles["fl"] + angles["fr"])) / viper.AXLE_X_M
        chassis = self._stage.GetPrimAtPath(schema.ROVER_CHASSIS)
        turn = chassis.GetAttribute("xformOp:orient").Get()
        place = chassis.GetAttribute("xformOp:translate").Get()
        half = 0.5 * curvature * speed * seconds
        turn = turn * Gf.Quatd(math.cos(half), 0.0, 0.0, math.sin(half))
        ahead = Gf.Rotation(turn).TransformDir(Gf.Vec3d(1.0, 0.0, 0.0))
        self._set(schema.ROVER_CHASSIS, "xformOp:orient", turn)
        self._set(schema.ROVER_CHASSIS, "xformOp:translate", place + speed * seconds * ahead)
