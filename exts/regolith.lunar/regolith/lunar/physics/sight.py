"""What the rover of a simulation sees: pictures of its own cameras, drawn from where it stands."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
from pxr import Usd

from regolith.lunar.params import InputError, Params, PictureSize, validate
from regolith.lunar.render import Frame, Renderer
from regolith.lunar.render.base import Quality
from regolith.lunar.stage import schema
from regolith.lunar.stage.camera import mounted
from regolith.lunar.stage.edit import apply_frame
from regolith.lunar.stage.spec import FrameSpec, Stance

HAZCAMS = ("hazcam_front_left", "hazcam_front_right")
"""Cameras a policy drives by, the left one first: each is blind to the wheel of the other side."""


def frame_shown(stage: Usd.Stage) -> tuple[Params, FrameSpec] | None:
    """Parameters and frame that a stage shows (`schema.SHOWN`); None where it says none.

    Raises:
        InputError: What it says is none.
    """
    world = stage.GetPrimAtPath(schema.WORLD)
    shown = world.GetCustomDataByKey(schema.SHOWN) if world else None
    if not shown:
        return None
    try:
        return validate(Params, json.loads(shown["parameters"])), FrameSpec.from_dict(json.loads(shown["frame"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        allowed = "a frame written by regolith author"
        raise InputError(f"{schema.WORLD}.customData", type(error).__name__, allowed) from None


class Sight:
    """Pictures of the rover's cameras on one stage.

    Light, ground and sensor are those of one frame; the noise is new in every picture.
    """

    def __init__(
        self, renderer: Renderer, stage: Usd.Stage, size: PictureSize, *, params: Params, frame: FrameSpec
    ) -> None:
        """Compile a stage.

        Args:
            renderer: Draws the pictures; what it held before is gone.
            stage: Stage with a rover, edited from now on.
            size: Of a picture.
            params: Parameters of the stage.
            frame: A frame of it, whose light, ground and sensor are shown.
        """
        self._renderer, self._size, self._params = renderer, size, params
        self._stage = renderer.load(stage)
        self.light(frame)

    def light(self, frame: FrameSpec) -> None:
        """Take light, ground and sensor of a frame."""
        self._frame, self._taken = frame, 0

    def look(self, stance: Stance, views: tuple[str, ...] = HAZCAMS) -> np.ndarray:
        """Take a grey picture in draft quality with each of some cameras, from where the rover stands.

        Returns:
            The green channel of each, uint8, shape [views, H, W].
        """
        return np.stack([self.take(stance, view)[0].rgb[..., 1] for view in views])

    def take(
        self, stance: Stance, view: str, *, quality: Quality = "draft", outputs: frozenset[str] = frozenset()
    ) -> tuple[Frame, FrameSpec]:
        """Take a picture with labels.

        Args:
            stance: How the rover stands.
            view: Camera, one of `rover_viper.MOUNTS`.
            quality: Of the picture.
            outputs: Which others to draw (`render.Renderer.render`).

        Returns:
            Picture and labels, and what fixes its camera.
        """
        spec = mounted(dataclasses.replace(self._frame, seed=self._frame.seed + self._taken), view, stance)
        self._taken += 1
        width, height = self._size.width, self._size.height
        apply_frame(self._stage, self._params, spec, width, height)
        return self._renderer.render(width, height, quality=quality, outputs=outputs), spec
