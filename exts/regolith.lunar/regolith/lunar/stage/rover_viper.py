"""What is known of NASA's VIPER, and what is chosen here, as numbers: sizes, masses, joints, drives and cameras.

Rover frame: +X ahead, +Y left (port), +Z up, metres, the origin on level ground under the middle of the chassis.

Published, and kept:

- 1.53 m × 1.53 m × 2.45 m, 430 kg, wheels of 0.5 m, at most 0.8 km/h (NASA's pages on VIPER, which also round: 1.5 m by
  2.5 m, 430 to 450 kg). A golden chassis; solar panels to port, to starboard and aft, none ahead; every wheel steered,
  driven and hung on its active suspension by itself; the drill TRIDENT.
- A mast whose tip is 2.5 m above the wheels' rims, with a stereo pair of navigation cameras on a head that pans and
  tilts, a pair of LED lamps, and antennas of low and high gain (NASA on the mast's installation, April 2024).
- Cameras and their names: NavCam left and right, HazCam forward and back, port and starboard, AftCam left and right
  (`vipersci.pds.pid`, NASA's software of the science team). Fields of view of 70° for the NavCams and 110° for the
  AftCams, on square sensors (VIPER Proposal Information Package, Colaprete 2021, NTRS 20210015009, as the Space ROS
  simulation of a lunar pole rover quotes it). 110° is taken for the HazCams as well.

Chosen, after photographs and after Project Chrono's and Space ROS's models of the rover: how the masses are shared, the
track and the wheel base (Project Chrono's 1.28 m and 0.5 m wheels are longer than NASA's 1.53 m;
here everything stays within that), lengths of arms, stiffness, damping and limits of joints, friction, tilt of the
panels, and where each camera sits and points.
"""

from __future__ import annotations

import dataclasses
import math

from regolith.lunar.params.fields import Interval
from regolith.lunar.stage.schema import CORNERS

LENGTH_M, WIDTH_M, HEIGHT_M = 1.53, 1.53, 2.45
"""Outer size [m]."""

MASS_KG = 430.0
"""Mass of the whole rover [kg]."""

GRAVITY = 1.62
"""Gravity on the Moon [m/s²]."""

WHEEL_RADIUS_M, WHEEL_WIDTH_M = 0.25, 0.20
"""Radius with grousers, and width, of a wheel [m]."""

AXLE_X_M, AXLE_Y_M = 0.50, 0.62
"""Centre of a wheel ahead of and beside the rover's origin [m]."""

STEERING_Y_M = 0.53
"""Steering axis beside the rover's origin [m]: over the inner flank of the wheel."""

PIVOT_Y_M = 0.20
"""Axis of a suspension arm beside the rover's origin [m]; as high as the axles."""

ARM_M = AXLE_Y_M - PIVOT_Y_M
"""Axis of the suspension to the middle of the wheel [m]."""

FRAME_M = (1.24, 2.0 * PIVOT_Y_M, 0.34, 0.62)
"""Lower frame: length, width, bottom and top above the ground [m]."""

BODY_M = (1.36, 1.36, 0.62, 1.40)
"""Warm box between the panels: length, width, bottom and top above the ground [m]."""

MAST_M = (0.62, 0.05, 2.40)
"""Mast: place along X, half-width, top above the ground [m]."""

DRILL_M = (0.03, 0.0, 0.17)
"""Lowest point of the stowed drill in the rover's frame [m]."""

REACH_OUT_M = 1.1
"""Farthest any part of the rover is from its origin, seen from above [m]."""

FRICTION = (0.6, 0.5)
"""Static and dynamic friction of metal on regolith."""


@dataclasses.dataclass(frozen=True)
class Body:
    """Mass properties of a rigid body, in its own frame."""

    mass_kg: float
    centre_m: tuple[float, float, float]
    """Centre of mass [m]."""
    inertia: tuple[float, float, float]
    """Moments of inertia about the axes through it [kg m²]."""


@dataclasses.dataclass(frozen=True)
class Drive:
    """A joint's limits and motor; angles in degrees, as `UsdPhysics` has them."""

    axis: str
    """Axis of the joint: X, Y or Z of the rover."""
    limit_deg: float | None
    """Farthest angle to either side [deg]; None for no limit."""
    stiffness: float
    """Torque by which a position is held [N m/deg]; 0 for a velocity drive."""
    damping: float
    """Torque by which a speed is held [N m s/deg]."""
    torque: float
    """Largest torque [N m]."""


@dataclasses.dataclass(frozen=True)
class Mount:
    """Where a camera sits on the rover and how it looks."""

    place_m: tuple[float, float, float]
    """Lens in the rover's frame [m]."""
    yaw_deg: float
    """Optical axis in the XY plane, anticlockwise from +X [deg]."""
    pitch_deg: float
    """Optical axis above the XY plane [deg]."""
    fov_deg: float
    """Horizontal field of view [deg]."""


def _box(mass: float, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Moments of inertia of a uniform box about its middle [kg m²]."""
    return mass * (y * y + z * z) / 12.0, mass * (x * x + z * z) / 12.0, mass * (x * x + y * y) / 12.0


def _rim(mass: float, radius: float, width: float) -> tuple[float, float, float]:
    """Moments of inertia of a thin hoop of a width about its middle, its axis Y [kg m²]."""
    across = mass * (0.5 * radius * radius + width * width / 12.0)
    return across, mass * radius * radius, across


SUSPENSION_KG, STEERING_KG, WHEEL_KG = 8.0, 5.0, 12.0
CHASSIS_KG = MASS_KG - 4.0 * (SUSPENSION_KG + STEERING_KG + WHEEL_KG)

REACH_M = STEERING_Y_M - PIVOT_Y_M
"""Axis of the suspension to that of the steering [m]."""

CHASSIS = Body(CHASSIS_KG, (0.0, 0.0, 0.75), _box(CHASSIS_KG, BODY_M[0], BODY_M[1], BODY_M[3] - FRAME_M[2]))


def chassis_boxes() -> dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]]:
    """Boxes the chassis collides with: name to centre in the rover's frame and size [m]."""
    mast_x, mast_half, mast_top = MAST_M
    boxes = {}
    for name, (length, width, bottom, top) in (("FrameBox", FRAME_M), ("BodyBox", BODY_M)):
        boxes[name] = ((0.0, 0.0, 0.5 * (bottom + top)), (length, width, top - bottom))
    height = mast_top - BODY_M[3]
    boxes["MastBox"] = ((mast_x, 0.0, BODY_M[3] + 0.5 * height), (2.0 * mast_half, 2.0 * mast_half, height))
    return boxes


def solid_boxes() -> list[tuple[tuple[float, float, float], tuple[float, float, float]]]:
    """Boxes that hold the rover without its wheels: centre in the rover's frame and size [m].

    Those of `chassis_boxes`, wide enough for the skirt of panels, and one for the arms and the drill.
    """
    boxes = chassis_boxes()
    (x, y, z), (_, _, height) = boxes["BodyBox"]
    boxes["BodyBox"] = ((x, y, z), (LENGTH_M, WIDTH_M, height))
    for end in (-1.0, 1.0):
        arms = (0.2, 2.0 * STEERING_Y_M, 0.3)
        boxes[f"arms{end}"] = ((end * AXLE_X_M, 0.0, WHEEL_RADIUS_M + 0.05), arms)
    x, y, foot = DRILL_M
    boxes["drill"] = ((x, y, 0.5 * (foot + FRAME_M[2])), (0.14, 0.14, FRAME_M[2] - foot))
    return list(boxes.values())


def corner_bodies(corner: str) -> dict[str, Body]:
    """Bodies of a corner by part."""
    y = CORNERS[corner][1]
    return {
        "suspension": Body(SUSPENSION_KG, (0.0, 0.5 * REACH_M * y, 0.0), _box(SUSPENSION_KG, 0.12, REACH_M, 0.16)),
        "steering": Body(STEERING_KG, (0.0, 0.0, 0.0), _box(STEERING_KG, 0.14, 0.12, 0.30)),
        "wheel": Body(WHEEL_KG, (0.0, 0.0, 0.0), _rim(WHEEL_KG, 0.9 * WHEEL_RADIUS_M, WHEEL_WIDTH_M)),
    }


def corner_places(corner: str) -> dict[str, tuple[float, float, float]]:
    """Origins of a corner's bodies in the rover's frame by part [m]: where the joint that moves each lies."""
    x, y = CORNERS[corner]
    return {
        "suspension": (AXLE_X_M * x, PIVOT_Y_M * y, WHEEL_RADIUS_M),
        "steering": (AXLE_X_M * x, STEERING_Y_M * y, WHEEL_RADIUS_M),
        "wheel": (AXLE_X_M * x, AXLE_Y_M * y, WHEEL_RADIUS_M),
    }


DRIVES = {
    "suspension": Drive("X", 14.0, stiffness=50.0, damping=4.0, torque=500.0),
    "steering": Drive("Z", 50.0, stiffness=60.0, damping=4.0, torque=200.0),
    "drive": Drive("Y", None, stiffness=0.0, damping=2.0, torque=60.0),
}
"""Joint to its limits and motor. A turn about +X raises a left wheel and lowers a right one; a turn of the drive about
+Y rolls ahead. The suspension holds a quarter of the chassis with about a third of critical damping."""


def preload_deg(corner: str) -> float:
    """Angle at which a suspension's drive aims so that the rover, at rest on level ground, stands as it is drawn [deg].

    The torque about the pivot is that of a quarter of the rover's weight at the wheel, less that of the corner's own
    bodies at their arms.
    """
    load = GRAVITY * (0.25 * MASS_KG - WHEEL_KG) * ARM_M
    load -= GRAVITY * (STEERING_KG * REACH_M + SUSPENSION_KG * 0.5 * REACH_M)
    return -CORNERS[corner][1] * load / DRIVES["suspension"].stiffness


MOUNTS: dict[str, Mount] = {
    "navcam_left": Mount((0.75, 0.20, 2.06), 0.0, -12.0, 70.0),
    "navcam_right": Mount((0.75, -0.20, 2.06), 0.0, -12.0, 70.0),
    "hazcam_front_left": Mount((0.75, 0.30, 0.57), 30.0, -35.0, 110.0),
    "hazcam_front_right": Mount((0.75, -0.30, 0.57), -30.0, -35.0, 110.0),
    "hazcam_rear_left": Mount((-0.75, 0.30, 0.57), 150.0, -35.0, 110.0),
    "hazcam_rear_right": Mount((-0.75, -0.30, 0.57), -150.0, -35.0, 110.0),
    "aftcam_left": Mount((-0.75, -0.10, 1.46), 180.0, -25.0, 110.0),
    "aftcam_right": Mount((-0.75, 0.10, 1.46), 180.0, -25.0, 110.0),
}
"""Camera by its name in `camera.view`. The NavCams' head looks straight ahead. Left and right of a stereo pair (NavCam,
AftCam) are those of who looks through it, so that the left AftCam sits to starboard; of a HazCam they are
the rover's."""


def rig_ranges(view: str) -> dict[str, Interval]:
    """What a camera on the rover has in place of ranges of the domain: field name to range, each a single value."""
    mount = MOUNTS[view]
    fixed = {"height_m": mount.place_m[2], "pitch_deg": mount.pitch_deg, "roll_deg": 0.0, "fov_deg": mount.fov_deg}
    return {name: Interval(value) for name, value in fixed.items()}


def pair_baseline_m(view: str) -> float:
    """Distance of a camera from its partner to the right, along its own +X [m].

    Returns:
        0 where it has none: it is the right one itself, or the two do not look the same way.
    """
    mount, right = MOUNTS[view], MOUNTS.get(view.removesuffix("_left") + "_right")
    alike = right is not None and (mount.yaw_deg, mount.pitch_deg, mount.fov_deg) == (
        right.yaw_deg, right.pitch_deg, right.fov_deg,
    )  # fmt: skip
    if not view.endswith("_left") or right is None or not alike:
        return 0.0
    yaw = math.radians(mount.yaw_deg)
    offset = [there - here for here, there in zip(mount.place_m, right.place_m, strict=True)]
    return offset[0] * math.sin(yaw) - offset[1] * math.cos(yaw)


def heading_of(view: str, camera_heading_deg: float) -> float:
    """Heading of the rover whose camera has a heading, both anticlockwise from the world's +X, in [0, 360) [deg]."""
    return (camera_heading_deg - MOUNTS[view].yaw_deg) % 360.0
