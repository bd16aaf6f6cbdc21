"""A drive to be watched while it goes on: a map of it, and what one of the rover's cameras sees, every few metres."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pxr import Sdf, Usd
from scipy.spatial.transform import Rotation

from regolith.lunar.files import write_bytes
from regolith.lunar.jobs.events import Emit
from regolith.lunar.params import CameraView, InputError, Params, validate
from regolith.lunar.physics.engine import Joints
from regolith.lunar.physics.sketch import Sketch
from regolith.lunar.randomize import draw_values, frame_seed, narrowed
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage import schema
from regolith.lunar.stage.edit import apply_frame
from regolith.lunar.stage.pose import rover_matrix
from regolith.lunar.stage.spec import FrameSpec, Stance

MAP, VIEW = "map", "view"
"""Kinds of the pictures: what their files' names begin with, and what their `artifact` events say."""
WIDTH_PX, HEIGHT_PX = 384, 288
"""Size of what the camera sees [px]."""

Row = dict[str, np.ndarray]


def stance_of(position: np.ndarray, orientation: np.ndarray, arms: Sequence[float] = (0.0,) * 4) -> Stance:
    """A pose of the chassis as the stance of a rover that carries the camera.

    Args:
        position: Of its origin, world frame [m], shape [3].
        orientation: Unit quaternion (w, x, y, z), rover to world, shape [4].
        arms: Angles of the suspension joints of `schema.CORNERS` [rad].
    """
    ahead, left, up = Rotation.from_quat(orientation, scalar_first=True).as_matrix().T
    pitch = math.asin(float(np.clip(ahead[2], -1.0, 1.0)))
    fl, fr, rl, rr = (math.degrees(angle) for angle in arms)
    return Stance(
        x_m=float(position[0]), y_m=float(position[1]), z_m=float(position[2]),
        heading_deg=math.degrees(math.atan2(ahead[1], ahead[0])), pitch_deg=math.degrees(pitch),
        roll_deg=math.degrees(math.atan2(left[2], up[2])), arms_deg=(fl, fr, rl, rr), carries=True,
    )  # fmt: skip


def mounted(spec: FrameSpec, view: CameraView, stance: Stance) -> FrameSpec:
    """The frame that a camera of a rover sees where that stands: light, ground and sensor stay.

    Args:
        spec: A frame of the scene.
        view: Camera, one of `rover_viper.MOUNTS`.
        stance: How the rover stands.
    """
    mount, matrix = viper.MOUNTS[view], rover_matrix(stance)
    x, y, z = (float(part) for part in np.array(mount.place_m) @ matrix[:3, :3] + matrix[3, :3])
    rig = {
        "heading_deg": (stance.heading_deg + mount.yaw_deg) % 360.0, "pitch_deg": mount.pitch_deg, "roll_deg": 0.0,
        "height_m": mount.place_m[2], "fov_deg": mount.fov_deg,
    }  # fmt: skip
    return dataclasses.replace(
        spec, camera_x_m=x, camera_y_m=y, camera_z_m=z, values=spec.values | rig, rover=stance
    )  # fmt: skip


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


def first_frame(params: Params, seed: int, split: str, scene: int) -> tuple[Params, FrameSpec]:
    """Parameters and light, ground and sensor of the first frame of a scene; its camera is nowhere yet."""
    index = scene * params.dataset.frames_per_scene
    values = draw_values(params, seed, split, index)
    spec = FrameSpec(split, index, scene, frame_seed(seed, split, index), 0.0, 0.0, 0.0, values)
    return narrowed(params, split), spec


class Watch:
    """Draws the drives over one stage into a folder, and says so in `artifact` events."""

    def __init__(
        self, out: Path, sketch: Sketch, emit: Emit, *, every_m: float, joints: Joints, camera: Camera | None
    ) -> None:
        """Take what is drawn.

        Args:
            out: Folder of the pictures.
            sketch: Map of the stage.
            emit: Receives the events.
            every_m: Length of the rover's way between two pictures [m].
            joints: Of the rover.
            camera: What the camera draws with; None for a map alone.
        """
        self._out, self._sketch, self._emit, self._every = out, sketch, emit, every_m
        self._joints, self._camera = joints, camera
        self._name, self._route = "", np.zeros((0, 2))
        self._told: Callable[[float], object] = lambda share: None
        self._due = self._length = 0.0

    def begin(self, name: str, route: np.ndarray, told: Callable[[float], object]) -> None:
        """Begin another drive.

        Args:
            name: What its files' names end in.
            route: Corners of the way planned, shape [N, 2] [m].
            told: Takes the share of it that is driven, below 1.
        """
        self._name, self._route, self._told = name, route, told
        self._due = self._length = 0.0

    @property
    def pictures(self) -> dict[str, str]:
        """Kind to file name of the pictures of the present drive."""
        kinds = (MAP,) if self._camera is None else (MAP, VIEW)
        return {kind: f"{kind}_{self._name}.png" for kind in kinds}

    def see(self, rows: Sequence[Row], touched: Iterable[str], *, last: bool) -> None:
        """Look at a drive, and draw it where it is time to.

        Args:
            rows: Of its trajectory so far, at least one.
            touched: Prims of the rocks that were touched.
            last: Whether it is over.
        """
        if len(rows) > 1 and not last:  # the last row was seen before
            self._length += float(np.linalg.norm((rows[-1]["position_m"] - rows[-2]["position_m"])[:2]))
        if self._length < self._due and not last:
            return
        self._due = self._length + self._every
        row = rows[-1]
        arms = [self._joints.joint(schema.rover_joint("suspension", corner)).position for corner in schema.CORNERS]
        stance = stance_of(row["position_m"], row["orientation"], arms)
        driven = np.array([row["position_m"][:2] for row in rows])
        self._put(MAP, self._sketch.draw(self._route, driven, math.radians(stance.heading_deg), touched))
        if self._camera is not None:
            self._put(VIEW, self._camera.draw(stance))
        planned = float(np.linalg.norm(np.diff(self._route, axis=0), axis=1).sum())
        self._told(min(self._length / planned, 0.99))

    def _put(self, kind: str, picture: bytes) -> None:
        path = self._out / f"{kind}_{self._name}.png"
        write_bytes(path, picture)
        self._emit({"event": "artifact", "path": str(path), "kind": kind})


class Camera:
    """One of the rover's cameras on a stage, in draft quality; a context that frees its renderer."""

    def __init__(self, stage: Usd.Stage, params: Params, spec: FrameSpec, view: CameraView) -> None:
        """Open the renderer of the parameters on a stage, and see that it draws.

        Args:
            stage: Stage with a rover; what is edited for the picture is a session layer of its own.
            params: Its parameters.
            spec: A frame of it, whose light, ground and sensor are shown.
            view: Which camera.

        Raises:
            InputError: It cannot be drawn.
        """
        from regolith.lunar.render import open_renderer

        self._params, self._spec = params, spec
        self._view: CameraView = view
        self._renderer = open_renderer(params.render.backend)
        try:
            own = Usd.Stage.Open(stage.GetRootLayer(), Sdf.Layer.CreateAnonymous("watch.usda"))
            own.SetEditTarget(own.GetSessionLayer())
            self._stage = self._renderer.load(own)
            self.draw(stance_of(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])))
        except BaseException:
            self._renderer.close()
            raise

    def draw(self, stance: Stance) -> bytes:
        """What the camera sees from a rover that stands so, as PNG."""
        spec = mounted(self._spec, self._view, stance)
        apply_frame(self._stage, self._params, spec, WIDTH_PX, HEIGHT_PX)
        data = io.BytesIO()
        Image.fromarray(self._renderer.render(WIDTH_PX, HEIGHT_PX, quality="draft").rgb).save(data, "PNG")
        return data.getvalue()

    def close(self) -> None:
        """Free the renderer."""
        self._renderer.close()

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()
