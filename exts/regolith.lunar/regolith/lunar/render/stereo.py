"""The right camera of a stereo pair (`stage.stereo`) as the stage has it: what it sees, and how far it is."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from pxr import Usd, UsdGeom

from regolith.lunar.params import InputError
from regolith.lunar.render.view import View, read_pinhole, read_sensor
from regolith.lunar.stage import schema

ALIKE = 1e-6
"""Largest difference of axes, of the lens, and of the displacement's direction from +X: what writing them as numbers
costs, and less than a thousandth of a pixel."""


class RightCamera(NamedTuple):
    """The right camera of a stereo pair."""

    view: View
    """What it sees."""
    baseline_m: float
    """Distance from the left one."""


def read_right(stage: Usd.Stage, left: View) -> RightCamera:
    """Read the right camera.

    Args:
        stage: The stage.
        left: What the left one sees.

    Raises:
        InputError: There is none, or the two are no pair: axes or lenses differ, or it is elsewhere than to the right.
    """
    prim = stage.GetPrimAtPath(schema.CAMERA_RIGHT)
    if not prim or not UsdGeom.Camera(prim):
        allowed = f"a stage with a right camera, {schema.CAMERA_RIGHT}, as camera.baseline_m above 0 has one"
        raise InputError("stage", stage.GetRootLayer().identifier, allowed)
    camera, one = read_pinhole(prim), left.camera
    offset = one.axes @ (camera.origin - one.origin)
    lens = np.array([camera.tan_x / one.tan_x - 1.0, camera.k1 - one.k1, camera.k2 - one.k2])
    stray = max(
        float(np.abs(part).max()) for part in (camera.axes - one.axes, lens, offset[1:] / max(offset[0], ALIKE))
    )
    if offset[0] <= 0.0 or stray > ALIKE:
        allowed = "a camera to the right of the left one, with its axes and lens"
        raise InputError(schema.CAMERA_RIGHT, f"moved by {np.round(offset, 6).tolist()} m", allowed)
    view = dataclasses.replace(left, camera=camera, sensor=read_sensor(stage, schema.CAMERA_RIGHT))
    return RightCamera(view, float(offset[0]))
