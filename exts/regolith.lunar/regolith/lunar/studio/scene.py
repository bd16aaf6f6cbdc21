"""The stage in the browser's 3D view: ground, rocks, sun and rover camera, with handles that aim them."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from regolith.lunar.panel.host import Eye
from regolith.lunar.stage.spec import FrameSpec
from regolith.lunar.studio.scene_aim import CameraPose, angles, direction, limited, sun_of
from regolith.lunar.studio.scene_marks import RoverMark, SunMark
from regolith.lunar.studio.scene_mesh import GROUND_TRIANGLES, StageContent, read_content
from regolith.lunar.studio.scene_path import PathMark
from regolith.lunar.studio.scene_solids import Shadows, Solid, Solids

if TYPE_CHECKING:
    import viser
    from pxr import Usd

FOLLOW_S = 0.2
"""Sun and rover camera follow once no frame has come for this time [s]: a browser without a graphics card is busy for a
tenth of a second with every change of the 3D view, and the rover camera's picture comes first."""

FOLLOW_LATEST_S = 2.0
"""Time after which they follow [s] while frames keep coming, as from a slider."""

SHADOW_LAG_S = 0.35
"""Shadows follow once no frame has come for this time [s]."""

FOV_RAD = math.radians(50.0)
"""Vertical field of view of a page's eye."""

BEHIND_M, ABOVE_M, AHEAD_M = 8.5, 2.6, 8.0
"""Eye behind and above the rover camera's lens, and how far ahead of the lens it looks at the ground [m]."""

UP = np.array([0.0, 0.0, 1.0])

FRAME = 1.12
"""Picture of an eye that looks through the rover camera over that camera's: its frame stays in sight."""


class SceneView:
    """What a page shows in its middle; scene nodes are shared by all tabs.

    Every method may be called from any thread. Geometry is made on a thread of its own; the stage is read before
    `show` returns and never touched again.
    """

    def __init__(
        self,
        server: viser.ViserServer,
        aim: Callable[[dict[str, float]], None],
        *,
        triangles: int = GROUND_TRIANGLES,
    ) -> None:
        """Make an empty view: a black sky.

        Args:
            server: Server whose pages show it.
            aim: Takes values by their names in `FrameSpec.values`, or camera_x_m and camera_y_m, while a handle is
                dragged, about 20 times a second; called on viser's thread, so that it only passes them on.
            triangles: Most triangles of the working area.
        """
        self._server, self._triangles = server, triangles
        self._lock = threading.RLock()
        self._worker, self._follower = ThreadPoolExecutor(1, "scene"), ThreadPoolExecutor(1, "scene-follow")
        self._closed = threading.Event()
        self._spec: FrameSpec | None = None
        """The frame shown."""
        self._next: FrameSpec | None = None
        """The frame to follow."""
        self._following = False
        self._came = -math.inf
        """When a frame came last [s]."""
        self._size = (640, 480)
        self._wanted = self._made = 0
        """Numbers of the stage to show and of the one shown."""
        self._solid: Solid | None = None
        self._shadows_wanted = self._shadows_made = 0
        self._shadows_queued = False
        self._seconds = 0.0
        scene, eye = server.scene, server.initial_camera
        scene.world_axes.visible = False
        scene.set_up_direction("+z")
        scene.configure_default_lights(False)
        scene.configure_environment_map(None)
        scene.set_background_image(np.zeros((2, 2, 3), np.uint8), format="png")
        eye.fov, eye.near, eye.far = FOV_RAD, 0.05, 20_000.0
        self._solids = Solids(scene)
        self._aim = aim
        self._path = PathMark(scene)
        self._marks: tuple[SunMark, RoverMark] | None = None

    @property
    def solid(self) -> Solid | None:
        """What is shown; None until a stage has been made."""
        return self._solid

    @property
    def seconds(self) -> float:
        """Wall-clock time the geometry on show took to make, without reading its stage [s]."""
        return self._seconds

    @property
    def busy(self) -> bool:
        """Whether geometry or shadows are being made, or a frame is to be followed."""
        with self._lock:
            return self._following or self._made != self._wanted or self._shadows_made != self._shadows_wanted

    def show(self, stage: Usd.Stage, spec: FrameSpec, w: int, h: int) -> None:
        """Show a stage of the `stage.schema` layout.

        The stage must not be edited while this runs.

        Args:
            stage: The stage.
            spec: Frame whose sun and camera are shown.
            w: Picture width of the rover camera [px].
            h: Its picture height [px].

        Raises:
            InputError: Its ground is no square grid.
        """
        content = read_content(stage)
        with self._lock:
            first = self._spec is None
            self._wanted += 1
            self._size = (w, h)
            self._next = None
            self._place(spec)
            assert self._marks is not None
            self._marks[1].half_m = content.half_m
            self._submit(self._build, self._wanted, content)
        if first:
            for client in self._server.get_clients().values():
                self.look_over(client)

    def move(self, spec: FrameSpec, w: int | None = None, h: int | None = None) -> None:
        """Move sun and rover camera to those of a frame, once they rest (`FOLLOW_S`). Cheap.

        Args:
            spec: The frame.
            w: Picture width [px] where it changed.
            h: Picture height [px] where it changed.
        """
        with self._lock:
            self._size = (w or self._size[0], h or self._size[1])
            self._next, self._came = spec, time.monotonic()
            if not self._following:
                self._following = True
                self._submit(self._follow, on=self._follower)

    def _follow(self) -> None:
        latest = time.monotonic() + FOLLOW_LATEST_S
        while (pause := min(self._came + FOLLOW_S, latest) - time.monotonic()) > 0.0:
            if self._closed.wait(pause):
                return
        with self._lock:
            self._following = False
            before, spec, self._next = self._spec, self._next, None
            if spec is None:
                return
            self._place(spec)
            if before is None or _lighting(before) != _lighting(spec):
                self._ask_shadows()

    def picture(self, rgb: np.ndarray | None) -> None:
        """Show a picture in the rover camera's frustum, uint8, shape [H, W, 3]; None for none."""
        with self._lock:
            if self._marks is not None:
                self._marks[1].frustum.image = rgb

    def path(self, eye_m: np.ndarray, poses: Sequence[CameraPose]) -> None:
        """Show a film's path: its lens frame by frame [m], shape [N, 3], N = 0 for none, and the camera at each key."""
        with self._lock, self._server.atomic():
            self._path.place(eye_m, poses)

    def eye(self, client: viser.ClientHandle) -> Eye:
        """One tab's eye as the rover camera would have it: as high a picture, of that camera's shape."""
        with self._lock:
            width, height = self._size
        seen = client.camera
        pitch, heading = angles(seen.look_at - seen.position)
        fov = 2.0 * math.degrees(math.atan(math.tan(0.5 * seen.fov) * width / height))
        x, y, z = (float(value) for value in seen.position)
        return Eye((x, y, z), heading, limited("pitch_deg", pitch), 0.0, limited("fov_deg", fov))

    def look_through(self, client: viser.ClientHandle) -> None:
        """Put one tab's eye where the rover camera is, with that camera's frame in sight."""
        with self._lock:
            if self._spec is None:
                return
            pose = CameraPose.of(self._next or self._spec, *self._size)
        fov = 2.0 * math.atan(FRAME * math.tan(0.5 * pose.fov_rad))
        _put(client, pose.position, pose.position + 5.0 * pose.forward, -pose.axes[:, 1], fov)

    def look_over(self, client: viser.ClientHandle) -> None:
        """Put one tab's eye behind and above the rover camera."""
        with self._lock:
            if self._spec is not None:
                position, look_at = _overview(self._spec)
                _put(client, position, look_at, UP, FOV_RAD)

    def close(self) -> None:
        """End the view's threads."""
        self._closed.set()
        for pool in (self._worker, self._follower):
            pool.shutdown(wait=True, cancel_futures=True)

    def _place(self, spec: FrameSpec) -> None:
        with self._server.atomic():
            if self._marks is None:
                scene = self._server.scene
                self._marks = SunMark(scene, self._aim), RoverMark(scene, self._aim, self.look_through)
            sun, rover = self._marks
            ground = self._solid.ground if self._solid else None
            sun.place(spec, rover.place(spec, *self._size), ground)
            self._solids.light(spec)
            self._solids.stand(spec.rover)
        self._spec = spec
        eye = self._server.initial_camera
        eye.position, eye.look_at = _overview(spec)

    def _submit(self, function: Callable[..., None], *args: object, on: ThreadPoolExecutor | None = None) -> None:
        if not self._closed.is_set():
            (on or self._worker).submit(function, *args).add_done_callback(_report)

    def _build(self, number: int, content: StageContent) -> None:
        if number != self._wanted:
            return
        start = time.perf_counter()
        solid = Solid.of(content, self._triangles)
        seconds = time.perf_counter() - start
        with self._lock:
            if number != self._wanted or self._closed.is_set():
                return
            with self._server.atomic():
                self._solids.replace(solid)
            self._solid, self._seconds, self._made = solid, seconds, number
            if self._spec is not None:
                self._place(self._spec)
            self._ask_shadows(0.0)

    def _ask_shadows(self, lag: float = SHADOW_LAG_S) -> None:
        if self._solid is None:
            return
        self._shadows_wanted += 1
        if not self._shadows_queued:
            self._shadows_queued = True
            self._submit(self._shade, lag)

    def _shade(self, lag: float) -> None:
        while lag > 0.0:
            if self._closed.wait(lag):
                return
            lag = self._came + SHADOW_LAG_S - time.monotonic()
        with self._lock:
            self._shadows_queued = False  # a sun that moves from here on asks again
            spec, solid, number, wanted = self._spec, self._solid, self._made, self._shadows_wanted
        if spec is None or solid is None:
            return
        shadows = Shadows.of(solid, sun_of(spec))
        with self._lock:
            if number != self._made or self._closed.is_set():
                return
            with self._server.atomic():
                self._solids.shade(shadows, spec["rock_albedo_ratio"])
            self._shadows_made = wanted


def _lighting(spec: FrameSpec) -> tuple[float, float, float]:
    return spec["sun_elevation_deg"], spec["sun_azimuth_deg"], spec["rock_albedo_ratio"]


def _overview(spec: FrameSpec) -> tuple[np.ndarray, np.ndarray]:
    """Place of an eye behind and above a frame's camera [m], and what it looks at."""
    lens = np.array([spec.camera_x_m, spec.camera_y_m, spec.camera_z_m])
    heading = direction(0.0, spec["heading_deg"])
    return lens - BEHIND_M * heading + ABOVE_M * UP, lens + AHEAD_M * heading - spec["height_m"] * UP


def _put(client: viser.ClientHandle, position: np.ndarray, look_at: np.ndarray, up: np.ndarray, fov: float) -> None:
    with client.atomic():
        client.camera.up_direction = up
        client.camera.position = position
        client.camera.look_at = look_at
        client.camera.fov = fov


def _report(job: Future[None]) -> None:
    if not job.cancelled() and (error := job.exception()) is not None:
        logging.getLogger(__name__).error("the 3D view failed", exc_info=error)
