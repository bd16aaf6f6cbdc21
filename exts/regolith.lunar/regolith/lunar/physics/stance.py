"""How a simulated rover stands, as the frames of a stage say it (`stage.spec.Stance`)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.spatial.transform import Rotation

from regolith.lunar.physics.engine import Engine
from regolith.lunar.stage import schema
from regolith.lunar.stage.pose import rover_angles
from regolith.lunar.stage.spec import Stance

LEVEL = np.zeros(4)


def stance_of(
    position: np.ndarray,
    orientation: np.ndarray,
    *,
    arms: np.ndarray = LEVEL,
    steering: np.ndarray = LEVEL,
    wheels: np.ndarray = LEVEL,
) -> Stance:
    """A pose of the chassis as the stance of a rover that carries the camera.

    Args:
        position: Of its origin, world frame [m], shape [3].
        orientation: Unit quaternion (w, x, y, z), rover to world, shape [4].
        arms: Angles of the suspension joints of `schema.CORNERS` [rad], shape [4].
        steering: Of the steering joints.
        wheels: Of the drive joints.
    """
    heading, pitch, roll = rover_angles(Rotation.from_quat(orientation, scalar_first=True).as_matrix())
    x, y, z = np.asarray(position).tolist()

    def degrees(angles: np.ndarray) -> tuple[float, float, float, float]:
        fl, fr, rl, rr = np.degrees(angles).tolist()
        return fl, fr, rl, rr

    return Stance(
        x_m=x, y_m=y, z_m=z, heading_deg=heading, pitch_deg=pitch, roll_deg=roll, arms_deg=degrees(arms), carries=True,
        steering_deg=degrees(steering), wheels_deg=degrees(wheels),
    )  # fmt: skip


def read_stance(engine: Engine) -> Stance:
    """How the rover of an engine stands now."""
    motion = engine.motion([schema.ROVER_CHASSIS])

    def angles(joint: str) -> np.ndarray:
        return np.array([engine.joint(schema.rover_joint(joint, corner)).position for corner in schema.CORNERS])

    return stance_of(
        motion.position[0], motion.orientation[0], arms=angles("suspension"), steering=angles("steering"),
        wheels=angles("drive"),
    )  # fmt: skip


def stance_at(row: Mapping[str, np.ndarray]) -> Stance:
    """How the rover stands in a row of a trajectory (`physics.drive`)."""
    return stance_of(
        row["position_m"], row["orientation"], arms=row["suspension_rad"], steering=row["steering_rad"],
        wheels=row["wheel_rad"],
    )  # fmt: skip
