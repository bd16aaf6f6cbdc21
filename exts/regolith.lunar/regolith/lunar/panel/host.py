"""What the panel asks of the program it runs in: Kit, the studio, a test. No call waits.

Every method is called on the host's main thread. One that starts something returns a `Task`, whose state the panel
looks at in `PanelModel.tick`; what the host does meanwhile, and on which threads, is its own matter.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from regolith.lunar.params import Params

if TYPE_CHECKING:
    from pxr import Usd

    from regolith.lunar.randomize import Split
    from regolith.lunar.stage.spec import FrameSpec

Level = Literal["info", "warning", "error"]


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a task is."""

    done: float = 0.0
    total: float = 0.0
    """0 where it is not known."""
    text: str = ""

    @property
    def fraction(self) -> float:
        """Share done in [0, 1]."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total > 0 else 0.0


class Task(Protocol):
    """Something under way."""

    @property
    def progress(self) -> Progress:
        """How far it is."""
        ...

    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        ...

    def result(self) -> Any:
        """What came of it; only asked once it is done.

        Raises:
            InputError: It was refused: one line for the user.
            asyncio.CancelledError, concurrent.futures.CancelledError: It was cancelled.
            Exception: It failed.
        """
        ...

    def cancel(self) -> None:
        """Ask it to end soon; what is finished stays."""
        ...


@runtime_checkable
class Pausable(Protocol):
    """A task that can be held; without these a task is paused by its end and resumed by a new start."""

    def pause(self) -> None:
        """Hold after the present frame."""
        ...

    def resume(self) -> None:
        """Go on."""
        ...


class Finished:
    """A task that ended at once: what a host returns where nothing was left to wait for."""

    def __init__(self, value: Any = None, error: Exception | None = None) -> None:
        self._value, self._error = value, error

    @property
    def progress(self) -> Progress:
        """All of it."""
        return Progress(1.0, 1.0)

    def done(self) -> bool:
        """Always."""
        return True

    def result(self) -> Any:
        """Return the value, or raise the error."""
        if self._error is not None:
            raise self._error
        return self._value

    def cancel(self) -> None:
        """Too late."""


@dataclasses.dataclass(frozen=True)
class OpenStage:
    """The stage a host has open."""

    ours: bool
    """Whether the panel authored it: it is the one that `Host.author` opened last."""
    unsaved: bool
    """Whether a user would lose changes by opening another."""
    name: str = ""
    """What a question calls it."""
    key: str = ""
    """Tells it from another stage with the same name."""


@dataclasses.dataclass(frozen=True)
class Question:
    """Something only the user can decide."""

    title: str
    text: str
    answers: tuple[str, ...]
    """Labels of the buttons; the last one changes nothing and is also the answer of a closed dialog."""


@dataclasses.dataclass(frozen=True)
class Pick:
    """A path the user chooses."""

    title: str
    kind: Literal["file", "folder", "save"]
    start: Path | None = None
    """Where the dialog opens."""
    endings: tuple[str, ...] = ()
    """Endings of the files to show, with their dots; empty for all."""


@dataclasses.dataclass(frozen=True)
class LiveSettings:
    """What a live preview does."""

    model: str
    """An .onnx file, or `default`."""
    opacity: float
    rock: bool
    outline: bool
    regolith: bool
    legend: bool
    rate_hz: float


@dataclasses.dataclass(frozen=True)
class LiveState:
    """What a live preview is doing."""

    model: str = ""
    """Name of the model on show."""
    provider: str = ""
    """Where it runs: CPU, CUDA."""
    milliseconds: float = 0.0
    """Time of one inference."""
    frames_per_s: float = 0.0
    rock_share: float = 0.0
    """Share of the picture's pixels called rock."""
    problem: str = ""
    """Why nothing is shown: one line with what to do about it, such as what to install."""


@dataclasses.dataclass(frozen=True)
class GenerateRequest:
    """A split to draw."""

    params: Params
    out: Path
    split: Split
    frames: int
    width: int
    height: int
    seed: int
    options: dict[str, Any]
    """The other fields of `dataset.generate.Generate` by name: workers, executor, extend, verify, …"""
    headless: bool
    """Whether the user wants it drawn by processes of its own."""
    gain: float = 1.0
    """Radiance over RTX's `HdrColor`, of hosts that draw with it."""


@dataclasses.dataclass(frozen=True)
class Eye:
    """What a user looks through who flies freely, as a camera of a `FrameSpec` looks."""

    place_m: tuple[float, float, float]
    """Lens in the world frame [m]."""
    heading_deg: float
    """Optical axis in the XY plane, anticlockwise from +X [deg]."""
    pitch_deg: float
    """Optical axis above the horizon [deg]."""
    roll_deg: float
    """Clockwise roll seen from behind the camera [deg]."""
    fov_deg: float
    """Horizontal field of view [deg]."""


class Host(Protocol):
    """The program the panel is in."""

    name: str
    """What messages call it: `Isaac Sim`, `studio`."""
    runs_folder: Path
    """Where run folders lie; the same every time this host starts."""
    data_folder: Path
    """Where datasets and training runs go unless the user says otherwise."""
    python: Path | None
    """Interpreter in which `regolith.lunar` and all it needs to draw, score and report is installed; None for the one
    of training, as in Kit, whose own lacks a renderer."""

    baked: bool
    """Whether stages for this host have the fine ground as meshes: its renderer does not know the relief recipe."""
    confine: Path | None
    """Folder that all the panel's user names for writing has to lie in, links resolved: datasets, trainings,
    evaluations, saved parameters; never the runs folder. None where the user may write wherever the system lets them,
    as in Kit."""
    protected: tuple[Path, ...]
    """Folders of the host's own, beside the runs folder, in which nothing the panel's user names is written."""
    withheld: frozenset[str]
    """Paths of fields that are not offered: they are in no section, keep their defaults and cannot be set. A host whose
    users may not run what they like withholds at least `panel.forms.PROGRAMS`."""

    @property
    def generates_here(self) -> bool:
        """Whether `start_generate` draws in the place of the open stage, unless the request is headless."""
        ...

    def stage_state(self) -> OpenStage | None:
        """The stage that is open; None for none."""
        ...

    def author(self, stage: Usd.Stage, params: Params, spec: FrameSpec, width: int, height: int) -> Task:
        """Open a stage that was built on a worker thread, and show it through its camera.

        Args:
            stage: Stage in memory of the `stage.schema` layout, with the frame applied; the host's from now on.
            params: Parameters it was built from, as entered (not narrowed to the split).
            spec: The frame that is applied.
            width: Picture width [px].
            height: Picture height [px].
        """
        ...

    def apply_frame(self, params: Params, spec: FrameSpec, width: int, height: int) -> Task:
        """Edit the stage that `author` opened into another frame of its scene, by `stage.edit.apply_frame`.

        Fails with InputError where that stage is no longer open.
        """
        ...

    def eye(self) -> Eye | None:
        """What the user looks through, where the program lets the view fly; None for the camera of the frame."""
        ...

    def look_through(self) -> None:
        """Show the frame's own camera, where the user looks through another."""
        ...

    def set_live(self, settings: LiveSettings | None) -> Task:
        """Start a live preview, change the one that runs, or stop it (None).

        The task is done once the model is loaded and the preview runs, or has stopped.
        """
        ...

    def live_state(self) -> LiveState | None:
        """The running preview; None where there is none, also after the host ended it (stage or viewport closed)."""
        ...

    def start_generate(self, request: GenerateRequest) -> Task | None:
        """Draw a split here, writing it by `dataset.generate`'s writer and journal; the result is as `generate`'s.

        Returns:
            None where the host leaves it to a companion process (`regolith generate`), as the studio does; Kit where
            `headless` is set, with `generate_options`.
        """
        ...

    def generate_options(self, request: GenerateRequest) -> dict[str, Any]:
        """Options of `regolith generate` that a companion of this host needs, such as executor and command."""
        ...

    def ask(self, question: Question) -> Task:
        """Ask the user; the result is one of the question's answers."""
        ...

    def pick_path(self, pick: Pick) -> Task:
        """Let the user choose a path; the result is a `Path`, or None where nothing was chosen."""
        ...

    def notify(self, text: str, level: Level = "info") -> None:
        """Show a message that goes away by itself."""
        ...

    def open_path(self, path: Path) -> None:
        """Open a folder, or a file in the program that shows it."""
        ...

    def remember(self, key: str, value: str) -> None:
        """Keep a text beyond this session."""
        ...

    def remembered(self, key: str) -> str:
        """Text kept under a key, empty for none."""
        ...
