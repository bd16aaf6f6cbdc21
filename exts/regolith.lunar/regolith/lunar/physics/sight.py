"""What the rover of a simulation sees: pictures of its own cameras, drawn from where the engine has it."""

from __future__ import annotations

import dataclasses

import numpy as np
from pxr import Usd, UsdGeom

from regolith.lunar.params import Params, PictureSize
from regolith.lunar.randomize import draw_values, frame_seed
from regolith.lunar.render import Renderer
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage import schema
from regolith.lunar.stage.camera import mounted_lens
from regolith.lunar.stage.edit import apply_frame, set_camera
from regolith.lunar.stage.rover_stance import move_rover
from regolith.lunar.stage.spec import FrameSpec, Stance

HAZCAMS = ("hazcam_front_left", "hazcam_front_right")
"""Cameras a policy drives by, the left one first: each is blind to the wheel of the other side."""


class Sight:
    """Pictures of the rover's cameras on one stage, grey, in draft quality.

    Light, ground and sensor are those of one frame of the split (`light`); the noise is new in every picture.
    """

    def __init__(
        self,
        renderer: Renderer,
        stage: Usd.Stage,
        size: PictureSize,
        *,
        params: Params,
        seed: int,
        split: str,
    ) -> None:
        """Compile a stage; until `light` its light, ground and sensor are as the stage has them.

        Args:
            renderer: Draws the pictures; what it held before is gone.
            stage: Stage with a rover.
            size: Of a picture.
            params: What light, ground and sensor are drawn from.
            seed: Seed of the split.
            split: Split the frames are of.
        """
        self._renderer, self._size, self._params, self._seed, self._split = renderer, size, params, seed, split
        self._stage = renderer.load(stage)
        self._frame: FrameSpec | None = None
        self._taken = 0
        camera = UsdGeom.Camera(self._stage.GetPrimAtPath(schema.CAMERA))
        self._exposure = float(camera.GetExposureAttr().Get() or 0.0)

    def light(self, number: int) -> None:
        """Take light, ground and sensor of frame `number` of the split."""
        values = draw_values(self._params, self._seed, self._split, number)
        seed = frame_seed(self._seed, self._split, number)
        self._frame = FrameSpec(self._split, number, number, seed, 0.0, 0.0, 0.0, values)
        self._taken = 0

    def look(self, stance: Stance, views: tuple[str, ...] = HAZCAMS) -> np.ndarray:
        """Take a picture with each of some cameras, from where the rover stands.

        Returns:
            The green channel of each, uint8, shape [views, H, W].
        """
        return np.stack([self._picture(stance, view) for view in views])

    def _picture(self, stance: Stance, view: str) -> np.ndarray:
        mount = viper.MOUNTS[view]
        x, y, z = mounted_lens(view, stance).tolist()
        heading = stance.heading_deg + mount.yaw_deg
        width, height = self._size.width, self._size.height
        if self._frame is not None:
            attitude = {"heading_deg": heading, "pitch_deg": mount.pitch_deg, "roll_deg": 0.0, "fov_deg": mount.fov_deg}
            frame = dataclasses.replace(
                self._frame, seed=self._frame.seed + self._taken, camera_x_m=x, camera_y_m=y, camera_z_m=z,
                values=self._frame.values | attitude, rover=stance,
            )  # fmt: skip
            apply_frame(self._stage, self._params, frame, width, height)
        else:
            move_rover(self._stage, stance)
            set_camera(
                self._stage, (x, y, z), heading, mount.pitch_deg, 0.0, mount.fov_deg, exposure_ev=self._exposure,
                width=width, height=height, aperture_mm=self._params.camera.aperture_mm, stance=stance,
            )  # fmt: skip
        self._taken += 1
        return np.ascontiguousarray(self._renderer.render(width, height, quality="draft").rgb[..., 1])
