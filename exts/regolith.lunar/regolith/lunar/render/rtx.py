"""Where rendering touches Kit: versions, settings, the open stage, the frames of the app, Replicator's orchestrator.

Nothing is imported from Kit before a function here is called, so that the module loads on any machine. Kit's own room
builds on it; these are all of rendering's calls with all their keywords:

| call | arguments |
|---|---|
| carb.settings.get_settings() | |
| settings.get, .destroy_item | path |
| settings.set | path, value |
| omni.kit.app.get_app() | |
| app.get_kit_version(), .get_kit_version_short(), .get_app_version(), .get_extension_manager() | |
| app.update(), await app.next_update_async() | |
| manager.get_enabled_extension_id | name |
| omni.kit.async_engine.run_coroutine | coroutine |
| omni.usd.get_context() | |
| context.get_stage(), .get_stage_url(), .get_stage_loading_status() | |
| context.stage_event_name | member of omni.usd.StageEventType |
| carb.eventdispatcher.get_eventdispatcher().observe_event | event_name=, on_event=, observer_name=, order= |
| omni.timeline.get_timeline_interface() | |
| timeline.is_stopped(), .is_playing(), .play(), .stop(), .commit(), .get_current_time(), .get_end_time() | |
| timeline.set_end_time | end_time |
| context.open_stage, await context.open_stage_async | url |
| context.new_stage(), await context.new_stage_async() | |
| rep.create.render_product | camera path, (width, height), name=, force_new= |
| product.destroy() | |
| rep.AnnotatorRegistry.get_annotator | name, init_params= |
| annotator.attach | [product] or [path] |
| annotator.detach(), .get_data() | |
| rep.orchestrator.step, await rep.orchestrator.step_async | rt_subframes=, delta_time= |
| rep.orchestrator.wait_until_complete, await rep.orchestrator.wait_until_complete_async | |

Nothing is ever written under `/persistent`: Isaac Sim quits fast, and what was to be undone on leaving would stay.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from regolith.lunar.render.base import StoppedError
from regolith.lunar.render.settings_scope import give_back

if TYPE_CHECKING:
    from pxr import Usd

_T = TypeVar("_T")

ISAAC_SIM = {(5, 1): (107, 3), (6, 0): (110, 1), (6, 1): (110, 3), (6, 2): (110, 4)}
"""Versions of Isaac Sim that this is written for, and the Kit of each (release notes of Isaac Sim)."""

LEGACY = (108, 0)
"""Kit versions below this have `RaytracedLighting` as their real-time mode: 107.3 of Isaac Sim 5.1 does, 110 of 6.x
has `RealTimePathTracing`; no Isaac Sim lies between."""

CAPTURE_SETTINGS: dict[str, Any] = {
    "/rtx/post/aa/op": 4,  # DLAA: every pixel is rendered, none is scaled up
    "/rtx/post/dlss/execMode": 2,  # where a mode insists on DLSS, its best
    "/rtx-transient/dlssg/enabled": False,  # no frames made up between frames
    "/rtx/post/histogram/enabled": False,  # no automatic exposure
    "/rtx/post/motionblur/enabled": False,
    "/omni/replicator/captureMotionBlur": False,
    "/rtx/post/dof/enabled": False,
    "/rtx/post/tvNoise/enabled": False,
    "/rtx/post/chromaticAberration/enabled": False,
    "/rtx/post/lensFlares/enabled": False,
    "/rtx/ecoMode/enabled": False,  # does not stop to gather samples
    "/rtx/useViewLightingMode": False,  # the stage's light, not a lamp on the camera
    "/rtx/sceneDb/ambientLightIntensity": 0.0,
    "/rtx/background/source/type": 2,  # a colour
    "/rtx/background/source/color": [0.0, 0.0, 0.0],
}
"""What has to hold for a frame to show the stage and nothing else."""

LEGACY_SETTINGS: dict[str, Any] = {"/rtx/ambientOcclusion/enabled": False, "/rtx/indirectDiffuse/enabled": True}
"""What RaytracedLighting needs besides: stark shadows with light between surfaces; the other modes ignore it."""

STEP_LIMIT_S = 600.0
"""Longest wait for a frame of Replicator [s]: path tracing takes minutes on a slow GPU."""
FINISH_LIMIT_S = 10.0
"""Longest wait for Replicator to stop [s]."""
LOOK_S = 0.1
"""Time between two looks at what may end a wait [s]."""

CLOSED = "the stage was closed while frames were taken of it"
OBSERVER = "regolith.lunar"
"""Who observes, in carb's own log."""

LENS_SCHEMA = "OmniLensDistortionOpenCvPinholeAPI"
"""Schema of cameras with OpenCV's pinhole lens (omni.usd.schema.omni_lens_distortion)."""


def replicator() -> Any:
    """Replicator's module, `omni.replicator.core`."""
    import omni.replicator.core as rep  # type: ignore[import-not-found]

    return rep


def _app() -> Any:
    import omni.kit.app  # type: ignore[import-not-found]

    return omni.kit.app.get_app()


def _context() -> Any:
    import omni.usd  # type: ignore[import-not-found]

    return omni.usd.get_context()


def kit_version() -> tuple[int, int]:
    """Version of Kit: (107, 3) in Isaac Sim 5.1, (110, 4) in 6.2."""
    major, minor, *_ = _app().get_kit_version_short().split(".")
    return int(major), int(minor)


def real_time_mode(version: tuple[int, int] | None = None) -> str:
    """Name of the real-time render mode.

    Args:
        version: Of Kit; this one's by default.
    """
    return "RaytracedLighting" if (version or kit_version()) < LEGACY else "RealTimePathTracing"


def capture_settings(version: tuple[int, int] | None = None) -> dict[str, Any]:
    """Settings that hold while frames are taken.

    Args:
        version: Of Kit; this one's by default.
    """
    return CAPTURE_SETTINGS | (LEGACY_SETTINGS if (version or kit_version()) < LEGACY else {})


def versions() -> dict[str, str]:
    """Versions of Kit and of Replicator; `none` of one that is not enabled."""
    app = _app()
    found = app.get_extension_manager().get_enabled_extension_id("omni.replicator.core") or ""
    return {"kit": app.get_kit_version(), "replicator": found.removeprefix("omni.replicator.core-") or "none"}


def app_version() -> str:
    """Version of the app: of Isaac Sim its release, of an app without one Kit's."""
    return _app().get_app_version()


def log_file() -> str:
    """Where Kit writes its log; empty for nowhere."""
    import carb.settings  # type: ignore[import-not-found]

    return carb.settings.get_settings().get("/log/file") or ""


def run_in_loop(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine in the app's own event loop to its end, in a process that drives the app."""
    from omni.kit.async_engine import run_coroutine  # type: ignore[import-not-found]

    task = run_coroutine(coroutine)
    while not task.done():
        _app().update()
    return task.result()


def knows_schema(name: str) -> bool:
    """Whether the running OpenUSD knows an applied schema; attributes of one it does not know would mean nothing."""
    from pxr import Usd

    return bool(Usd.SchemaRegistry().FindAppliedAPIPrimDefinition(name))


def _observe(event: str, callback: Callable[[Any], None]) -> Any:
    import carb.eventdispatcher  # type: ignore[import-not-found]

    dispatcher = carb.eventdispatcher.get_eventdispatcher()
    return dispatcher.observe_event(event_name=event, on_event=callback, observer_name=OBSERVER, order=0)


def observe_update(callback: Callable[[Any], None]) -> Any:
    """Call a function once a frame on the main thread; drop what is returned to end that."""
    import omni.kit.app  # type: ignore[import-not-found]

    return _observe(omni.kit.app.GLOBAL_EVENT_UPDATE, callback)


def observe_stage(name: str, callback: Callable[[Any], None]) -> Any:
    """Call a function at a stage event of the default context; drop what is returned to end that.

    Args:
        name: Member of `omni.usd.StageEventType`: OPENED, CLOSING, CLOSED.
        callback: Receives the event.
    """
    import omni.usd  # type: ignore[import-not-found]

    return _observe(_context().stage_event_name(getattr(omni.usd.StageEventType, name)), callback)


def open_stage_now() -> Usd.Stage | None:
    """The stage that is open in the app; fetched anew each time, for it may have been closed."""
    return _context().get_stage()


def stage_url() -> str:
    """Address of the open stage; empty where none is open, `anon:…` for one that was never saved."""
    return _context().get_stage_url() or ""


def make_product(camera: str, size: tuple[int, int], name: str) -> Any:
    """Make a render product of a camera on the open stage; `destroy()` ends it.

    Args:
        camera: Prim path.
        size: (width, height) [px].
        name: Of the product.
    """
    rep = replicator()
    return rep.create.render_product(camera, size, name=name, force_new=True)


def attach_annotator(name: str, product: Any, options: Mapping[str, Any]) -> Any:
    """Attach an annotator that is read by hand, not by playing; `detach()` ends it.

    Args:
        name: Replicator's name of it.
        product: Render product, or the path of a viewport's.
        options: Its parameters.
    """
    rep = replicator()
    annotator = rep.AnnotatorRegistry.get_annotator(name, init_params=dict(options))
    annotator.attach([product])
    return annotator


class GraphLostError(RuntimeError):
    """What an annotator read from is gone."""


def read_annotator(annotator: Any) -> Any:
    """What an annotator returns.

    Raises:
        GraphLostError: Its graph went with its stage, or somebody else cleared it.
    """
    errors = replicator().annotators
    try:
        return annotator.get_data()
    except (errors.AnnotatorError, errors.AnnotatorRegistryError) as error:  # nothing but Exception they derive from
        raise GraphLostError(f"Replicator's graph is gone: {error}") from error


class Owner:
    """Drives the app itself: a SimulationApp, where Replicator allows `step`."""

    async def update(self) -> None:
        """Let the app draw a frame."""
        _app().update()

    async def step(self, subframes: int) -> None:
        """Let Replicator take a frame of the stage as it stands, time standing still."""
        replicator().orchestrator.step(rt_subframes=subframes, delta_time=0.0)

    async def finish(self) -> None:
        """Stop Replicator, which gives back the settings and shows again the gizmos of before its first step."""
        replicator().orchestrator.wait_until_complete()

    async def open_stage(self, url: str) -> Usd.Stage:
        """Open a stage; a new one where the address is empty.

        Raises:
            RuntimeError: It does not open.
        """
        await _halt(self)
        context = _context()
        done = context.open_stage(url) if url else context.new_stage()
        return await _opened(self, url, "" if done else "it does not open")

    async def aside(self, work: Callable[[], _T]) -> _T:
        """Do slow work that touches nothing of the app."""
        return work()


class Guest:
    """Waits for the frames of an app that somebody else runs: a window's event loop, which must never stand still."""

    def __init__(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Take what tells that a frame is no longer wanted."""
        self._stopped = stopped

    async def update(self) -> None:
        """Wait for the app's next frame."""
        await _app().next_update_async()

    async def step(self, subframes: int) -> None:
        """Let Replicator take a frame.

        Opening or closing a stage meanwhile resets the orchestrator of Replicator 1.12 (Isaac Sim 5.1), whose
        `step_async` then never returns; so the step is a task of its own, given up for that and for what else there is.

        Raises:
            StoppedError: The frame is no longer wanted.
            RuntimeError: The stage was closed meanwhile, or there was no frame within `STEP_LIMIT_S`.
        """
        stage, end = open_stage_now(), time.monotonic() + STEP_LIMIT_S
        step = asyncio.ensure_future(replicator().orchestrator.step_async(rt_subframes=subframes, delta_time=0.0))
        try:
            while not (await asyncio.wait({step}, timeout=LOOK_S))[0]:
                if self._stopped():
                    raise StoppedError
                if open_stage_now() != stage:
                    raise RuntimeError(CLOSED)
                if time.monotonic() > end:
                    raise RuntimeError(f"Replicator took no frame in {STEP_LIMIT_S:g} s")
            step.result()
        finally:
            step.cancel()

    async def finish(self) -> None:
        """Stop Replicator, or stop waiting for that after `FINISH_LIMIT_S`."""
        await _finish({})

    async def open_stage(self, url: str) -> Usd.Stage:
        """Open a stage."""
        await _halt(self)
        context = _context()
        opening = context.open_stage_async(url) if url else context.new_stage_async()
        done, error = await opening
        return await _opened(self, url, "" if done else error or "it does not open")

    async def aside(self, work: Callable[[], _T]) -> _T:
        """Do slow work in a thread."""
        return await asyncio.to_thread(work)


_finishing: set[asyncio.Future[None]] = set()


def finish_later(paths: Iterable[str]) -> None:
    """Let Replicator stop beside the app, and then give settings the values they have now: it has kept others.

    Holds nothing of ours but these values: the extension may be gone by then.
    """
    import carb.settings  # type: ignore[import-not-found]

    settings = carb.settings.get_settings()
    finishing = asyncio.ensure_future(_finish({path: settings.get(path) for path in paths}))
    _finishing.add(finishing)  # the loop alone would not keep it
    finishing.add_done_callback(_finishing.discard)


async def _finish(values: Mapping[str, Any]) -> None:
    """Let Replicator stop, `FINISH_LIMIT_S` at most, and then give settings these values."""
    stopping = asyncio.ensure_future(replicator().orchestrator.wait_until_complete_async())
    try:
        await asyncio.wait({stopping}, timeout=FINISH_LIMIT_S)
    finally:  # also where the app's loop ends meanwhile
        stopping.cancel()
        if values:
            import carb.settings  # type: ignore[import-not-found]

            settings = carb.settings.get_settings()
            for path, value in values.items():
                give_back(settings, path, value)


Pace = Owner | Guest
"""How rendering waits for the app: as its owner, or as its guest."""


def _timeline() -> Any:
    import omni.timeline  # type: ignore[import-not-found]

    return omni.timeline.get_timeline_interface()


class Timeline:
    """The app's timeline, played from its present time; `stop` leaves it as it was."""

    def __init__(self) -> None:
        self._timeline = _timeline()
        self._began, self._end = self._timeline.get_current_time(), self._timeline.get_end_time()

    def play(self, most_s: float) -> None:
        """Begin; before it has played so long [s] it neither ends nor begins anew by itself."""
        self._timeline.set_end_time(max(self._end, self._began + most_s + 1.0))
        self._timeline.play()
        self._timeline.commit()

    @property
    def playing(self) -> bool:
        """Whether it plays: a user may stop it at any time."""
        return self._timeline.is_playing()

    @property
    def played_s(self) -> float:
        """Time since `play` [s]."""
        return self._timeline.get_current_time() - self._began

    def stop(self) -> None:
        """Stop: what physics has moved is put back by it with the app's next frame."""
        self._timeline.stop()
        self._timeline.set_end_time(self._end)
        self._timeline.commit()


async def _halt(pace: Owner | Guest) -> None:
    """Stop the timeline before a stage is replaced: playing, it has ended Isaac Sim 6.1 (IsaacSim issue 821)."""
    timeline = _timeline()
    if not timeline.is_stopped():
        timeline.stop()
        timeline.commit()
        await pace.update()


async def _opened(pace: Owner | Guest, url: str, error: str) -> Usd.Stage:
    """The stage that was opened, once all of it is loaded."""
    if error:
        raise RuntimeError(f"{url or 'a new stage'}: {error}")
    context = _context()
    await pace.update()
    while context.get_stage_loading_status()[2] > 0:
        await pace.update()
    stage = context.get_stage()
    if stage is None:
        raise RuntimeError(f"{url}: closed while it was opened")
    return stage
