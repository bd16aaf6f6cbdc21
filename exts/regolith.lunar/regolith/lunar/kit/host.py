"""Kit as the panel's host: opens and edits the stage, previews, exports, asks and tells."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Sdf, Tf, Usd, UsdGeom

from regolith.lunar.kit import adapter
from regolith.lunar.kit.dialogs import QuestionWindow
from regolith.lunar.kit.generate import AppGenerate, chunk_options
from regolith.lunar.kit.live import LivePreview
from regolith.lunar.kit.tasks import Job
from regolith.lunar.panel.host import (
    Eye,
    Finished,
    GenerateRequest,
    Level,
    LiveSettings,
    LiveState,
    OpenStage,
    Pick,
    Progress,
    Question,
    Task,
)
from regolith.lunar.panel.tasks import Answer, Waiting
from regolith.lunar.params import InputError, Params
from regolith.lunar.render import rtx
from regolith.lunar.render.settings_scope import SettingsScope
from regolith.lunar.stage import schema
from regolith.lunar.stage.edit import apply_frame, note_frame
from regolith.lunar.stage.pose import camera_angles
from regolith.lunar.stage.save import save_stage
from regolith.lunar.stage.spec import FrameSpec
from regolith.lunar.system import discard

EDITED = (
    schema.SUN, schema.EARTH, schema.CAMERA, schema.LOOK_GROUND, schema.LOOK_ROCK, schema.LOOK_BRIGHT, schema.LOOK_DARK,
    *schema.LOOKS_FRESH,
)  # fmt: skip
"""Prims whose attributes make a frame of a scene, where it has them."""

NOTES = "omni:kit:"
"""What the names of attributes begin with that Kit writes by itself, as where a camera turns about."""

LOOK = (
    "/rtx/post/histogram/enabled",
    "/rtx/useViewLightingMode",
    "/rtx/sceneDb/ambientLightIntensity",
    "/rtx/background/source/type",
    "/rtx/background/source/color",
)
"""Of `rtx.CAPTURE_SETTINGS`, what also holds while our stage is only looked at: black sky, one hard light, no automatic
exposure. Given back when the stage is closed."""


class KitHost:
    """`panel.host.Host` in Kit. `close` gives back everything it changed."""

    baked = generates_here = True
    python: Path | None = None
    confine: Path | None = None
    protected: tuple[Path, ...] = ()
    withheld: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.name = "Isaac Sim"
        own = adapter.setting("dataFolder")
        self.data_folder = Path(own) if own else Path.home() / "regolith"
        runs = adapter.setting("runsFolder")
        self.runs_folder = Path(runs) if runs else Path(adapter.token("data")) / "regolith.lunar" / "runs"
        self._url = ""
        """Address of the stage we opened, while it is open."""
        self._file: tuple[Path, float] | None = None
        """Its file and when we wrote it."""
        self._left = ""
        """Key of the stage an export left open where there was no file to open again: nobody would miss it."""
        self._home = ""
        """Address of the stage we opened last, as Kit gives it."""
        self._shape: Usd.Stage | None = None
        """The prims a frame edits, in memory."""
        self._frame: tuple[Params, FrameSpec, int, int] | None = None
        """The frame on show."""
        self._generate: AppGenerate | None = None
        self._notice: Any = None
        self._editing = self._held = self._touched = self._opening = self._ended = False
        self._look: SettingsScope | None = None
        self._live: LivePreview | None = None
        self._dialogs: dict[int, Answer] = {}
        self._questions: list[QuestionWindow] = []
        self.on_stage_lost: Callable[[], None] | None = None
        """Called where an export could not open our stage again."""
        self._jobs: list[Job] = []

    # the stage

    def stage_state(self) -> OpenStage | None:
        """The stage that is open; None for none."""
        stage = adapter.stage()
        if stage is None:
            return None
        url = adapter.stage_url()
        ours = bool(self._url) and url == self._url and schema.LAYER_DATA in stage.GetRootLayer().customLayerData
        name, key = "" if url.startswith("anon:") else Path(url).name, adapter.stage_key()
        unsaved = self._touched if ours else adapter.has_unsaved_changes()
        return OpenStage(ours or key == self._left, unsaved, name, key)

    def author(self, stage: Usd.Stage, params: Params, spec: FrameSpec, width: int, height: int) -> Task:
        """Save a stage on a worker thread and open it, lit by its own sun and seen through its own camera."""
        if self._generate is not None:
            return Finished(error=InputError("stage", "in use", "none while an export draws in the app"))
        self._jobs = [job for job in self._jobs if not job.done()]
        self._jobs.append(Job(self._open(stage, params.preset), Progress(text="opening the stage")))
        self._frame = (params, spec, width, height)
        return self._jobs[-1]

    async def _open(self, stage: Usd.Stage, preset: str) -> None:
        pace = rtx.Guest()
        path = self._free_file(preset)
        agreed = self.stage_state()
        await pace.aside(lambda: save_stage(stage, path))
        found = self.stage_state()
        if found is not None and found != agreed and not (found.ours and not found.unsaved):
            discard(path)
            raise InputError("stage", "another or edited meanwhile", "the one the panel asked about; author again")
        before, self._file = self._file, (path, path.stat().st_mtime)
        self._hold_look()
        self._opening = True
        try:
            opened = await pace.open_stage(path.as_posix())
        except RuntimeError as error:
            self._forget()
            raise InputError("stage", path.name, f"a stage Kit opens ({error})") from None
        finally:
            self._opening = False
        self._adopt(opened)
        await pace.update()
        adapter.look_through(schema.CAMERA)  # viewports choose a camera of their own when a stage has opened
        if before and before[0].is_file() and before[0].stat().st_mtime == before[1]:  # nobody saved into it
            discard(before[0])

    def _adopt(self, stage: Usd.Stage) -> None:
        """Take the stage that is open as ours."""
        self._let_go()
        self._hold_look()
        self._url, self._shape = adapter.stage_url(), shape_of(stage)
        self._home = self._url
        self._notice = Tf.Notice.Register(Usd.Notice.ObjectsChanged, self._changed, stage)
        adapter.use_stage_lights()
        adapter.look_through(schema.CAMERA)

    def _free_file(self, preset: str) -> Path:
        folder = self.data_folder / "stages"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError("dataFolder", str(folder), f"a folder that can be written ({error.strerror})") from None
        numbers = itertools.count(1)
        return next(p for n in numbers if not (p := folder / f"regolith_{preset}_{n}.usdc").exists())

    def _changed(self, notice: Any, stage: Usd.Stage) -> None:
        """Note an edit somebody else made to our stage, so that it is not thrown away unasked."""
        if self._editing or self._held or self._touched:
            return
        root = stage.GetRootLayer()
        for path in (*notice.GetResyncedPaths(), *notice.GetChangedInfoOnlyPaths()):
            # Kit keeps notes of its own in the layer's metadata and with cameras
            if path != Sdf.Path.absoluteRootPath and not path.name.startswith(NOTES) and root.GetObjectAtPath(path):
                self._touched = True

    @contextlib.contextmanager
    def holding_edits(self) -> Iterator[None]:
        """Count no edit of our stage as a user's meanwhile: physics moves what is on it, and puts it back."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def apply_frame(self, params: Params, spec: FrameSpec, width: int, height: int) -> Task:
        """Edit the open stage into another frame of its scene: only the attributes that differ are touched."""
        stage = adapter.stage()
        if stage is None or self._shape is None or adapter.stage_url() != self._url:
            return Finished(error=InputError("stage", "closed", "a stage authored by the panel"))
        try:
            apply_frame(self._shape, params, spec, width, height)
        except InputError as error:
            return Finished(error=error)
        self._frame = (params, spec, width, height)
        self._editing = True
        try:
            note_frame(stage, params, spec)
            return Finished(copy_values(self._shape, stage))
        finally:
            self._editing = False

    def eye(self) -> Eye | None:
        """The active viewport's camera, also where the frame's own was moved in it; None where there is no viewport."""
        stage, path = adapter.stage(), adapter.viewport_camera()
        camera = UsdGeom.Camera(stage.GetPrimAtPath(path)) if stage is not None and path else None
        if not camera:
            return None
        matrix = np.array(UsdGeom.XformCache().GetLocalToWorldTransform(camera.GetPrim()))
        focal, aperture = camera.GetFocalLengthAttr().Get(), camera.GetHorizontalApertureAttr().Get()
        heading, pitch, roll = camera_angles(matrix)
        fov = math.degrees(2.0 * math.atan(0.5 * aperture / focal))
        x, y, z = (float(value) for value in matrix[3, :3])
        return Eye((x, y, z), heading, pitch, roll, fov)

    def look_through(self) -> None:
        """Show the frame's own camera in the active viewport."""
        if adapter.viewport_camera() not in ("", schema.CAMERA):
            adapter.look_through(schema.CAMERA)

    def _hold_look(self) -> None:
        values = {path: rtx.CAPTURE_SETTINGS[path] for path in LOOK} | {"/rtx/rendermode": rtx.real_time_mode()}
        if self._look is None:
            self._look = SettingsScope(values)
        else:
            self._look.set(values)

    def _drop_look(self) -> None:
        if self._look is not None:
            self._look.close()
            self._look = None

    def stage_closing(self) -> None:
        """Let go of what belongs to the stage that is about to close."""
        if self._live is not None:
            self._live.detach()

    def stage_closed(self) -> bool:
        """Give back what held for our stage; whether it was ours that closed, and for good."""
        ours = bool(self._url)
        if self._opening:  # it makes room for ours, which is to be lit right from its first frame
            self._let_go()
        else:
            self._forget()
        return ours and not self._opening and self._generate is None

    def _forget(self) -> None:
        self._let_go()
        self._drop_look()

    def _let_go(self) -> None:
        if self._notice is not None:
            self._notice.Revoke()
        self._url, self._shape, self._notice, self._touched = "", None, None, False

    # live preview

    def set_live(self, settings: LiveSettings | None) -> Task:
        """Start, change or stop the live preview."""
        if settings is None:
            self._end_live()
            return Finished()
        if self._live is None:
            from regolith.lunar.render.viewport import ViewportFrames

            adapter.warn_of_gpus()
            self._live = LivePreview(settings, ViewportFrames(), adapter.viewport_window)
            return Waiting(self._live.ready, text="loading the model")
        return Waiting(self._live.change(settings), text="loading the model")

    def live_state(self) -> LiveState | None:
        """The running preview."""
        return self._live.state if self._live else None

    def _end_live(self) -> None:
        if self._live is not None:
            live, self._live = self._live, None
            live.close()

    def tick(self) -> None:
        """Once a frame, before the panel's own tick."""
        for question in [q for q in self._questions if q.answered]:
            self._questions.remove(question)
            question.destroy()
        if self._live is not None:
            self._live.tick()

    # generate

    def start_generate(self, request: GenerateRequest) -> Task | None:
        """Draw a split in the app; None where processes of their own shall."""
        if request.headless:
            return None
        adapter.warn_of_gpus()
        ours = bool(self._url)
        self._generate = AppGenerate(request, lambda: self._generated(ours))
        return self._generate

    def _generated(self, ours: bool) -> None:
        """Take our stage back that made room for the export's; its file is without the edits since."""
        self._generate = None
        if self._ended or self._url:
            return
        if not ours:
            self._left = adapter.stage_key() if adapter.stage_url().startswith("anon:") else ""
            return
        stage = adapter.stage()
        if stage is not None and adapter.stage_url() == self._home:
            self._adopt(stage)
            if self._frame is not None:
                self.apply_frame(*self._frame)
        elif self.on_stage_lost is not None:
            self.on_stage_lost()

    def generate_options(self, request: GenerateRequest) -> dict[str, Any]:
        """Options with which `regolith generate` draws its chunks in headless Isaac Sims."""
        return chunk_options(request.gain)

    # dialogs and messages

    def ask(self, question: Question) -> Task:
        """Ask the user."""
        answer = Answer()
        window = QuestionWindow(question, lambda text: self._settle(answer, text))
        answer.on_cancel = window.close
        self._questions.append(window)
        self._dialogs[id(answer)] = answer
        return answer

    def pick_path(self, pick: Pick) -> Task:
        """Let the user choose a path."""
        answer = Answer()
        try:
            answer.on_cancel = adapter.pick_path(
                pick.title,
                lambda path: self._settle(answer, path),
                folder=pick.kind == "folder",
                save=pick.kind == "save",
                start=pick.start,
                endings=pick.endings,
            )
        except ImportError:
            allowed = "the extension omni.kit.window.filepicker enabled, or a path typed into the field"
            return Finished(error=InputError("file picker", None, allowed))
        self._dialogs[id(answer)] = answer
        return answer

    def _settle(self, answer: Answer, value: Any) -> None:
        self._dialogs.pop(id(answer), None)
        answer.settle(value)

    def notify(self, text: str, level: Level = "info") -> None:
        """Show a message that goes away by itself."""
        adapter.notify(text, warning=level != "info")

    def open_path(self, path: Path) -> None:
        """Open a folder or a file on the desktop."""
        adapter.open_path(path)

    def remember(self, key: str, value: str) -> None:
        """Keep a text beyond this session."""
        adapter.remember(key, value)

    def remembered(self, key: str) -> str:
        """Text kept under a key."""
        return adapter.remembered(key)

    # life

    def close(self) -> None:
        """End everything and give everything back; the open stage stays, without our settings."""
        self._ended, self.on_stage_lost = True, None
        self._end_live()
        if self._generate is not None:
            self._generate.abort()
        for answer in list(self._dialogs.values()):
            answer.cancel()
        for question in self._questions:
            question.destroy()
        self._questions.clear()
        for job in self._jobs:
            job.cancel()
        self._jobs.clear()
        self._forget()


def shape_of(stage: Usd.Stage) -> Usd.Stage:
    """A stage in memory with nothing but the prims a frame edits, to compute a frame's values on."""
    layer = Sdf.Layer.CreateAnonymous("frame.usda")
    root = stage.GetRootLayer()
    for path in EDITED:
        if root.GetPrimAtPath(path):
            Sdf.CreatePrimInLayer(layer, Sdf.Path(path).GetParentPath())
            Sdf.CopySpec(root, path, layer, path)
    return Usd.Stage.Open(layer)


def copy_values(source: Usd.Stage, target: Usd.Stage) -> list[str]:
    """Set attributes of a stage to the values of `shape_of` it, where they differ.

    Returns:
        Paths of the attributes that were set.
    """
    changed: list[tuple[Usd.Attribute, Any]] = []
    for path in EDITED:
        edited = source.GetPrimAtPath(path)
        for prim in Usd.PrimRange(edited, Usd.PrimAllPrimsPredicate) if edited else ():
            for attribute in prim.GetAuthoredAttributes():
                found = target.GetAttributeAtPath(attribute.GetPath())
                value = attribute.Get()
                if found and value is not None and found.Get() != value:
                    changed.append((found, value))
    with Sdf.ChangeBlock():
        for attribute, value in changed:
            attribute.Set(value)
    return [str(attribute.GetPath()) for attribute, _ in changed]
