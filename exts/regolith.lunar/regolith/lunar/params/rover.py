"""Parameters of the rover on the stage, and the names of its cameras."""

from __future__ import annotations

from typing import Literal

from regolith.lunar.params.fields import Group, quantity

CameraView = Literal[
    "navcam_left",
    "navcam_right",
    "hazcam_front_left",
    "hazcam_front_right",
    "hazcam_rear_left",
    "hazcam_rear_right",
    "aftcam_left",
    "aftcam_right",
]
"""Cameras of the rover, as its own team calls them but for port and starboard."""


class RoverParams(Group):
    """The rover on the stage: unlabelled, so that no metric and no loss counts its pixels."""

    model: Literal["none", "viper"] = quantity(
        "none",
        "Rover that stands on the stage, with rigid bodies, joints and drives for a physics engine; a camera on a "
        "rover's rig brings its rover along.",
    )
