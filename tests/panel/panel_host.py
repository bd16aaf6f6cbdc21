"""A host of the panel without a window: real stages in memory, answers from a list, everything written down."""

from __future__ import annotations

import concurrent.futures
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pxr import Usd

from regolith.lunar.dataset.generate import generate
from regolith.lunar.jobs.runs import find_runs
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
from regolith.lunar.panel.model import PanelModel
from regolith.lunar.panel.observe import Change
from regolith.lunar.params import Params
from regolith.lunar.stage.edit import apply_frame
from regolith.lunar.stage.spec import FrameSpec


class Held:
    """A task that ends when the test says so."""

    def __init__(self) -> None:
        self.progress = Progress(1, 4, "opening")
        self._future: concurrent.futures.Future[Any] = concurrent.futures.Future()

    def done(self) -> bool:
        return self._future.done()

    def result(self) -> Any:
        return self._future.result(0)

    def cancel(self) -> None:
        self._future.cancel()

    def finish(self, value: Any = None) -> None:
        self._future.set_result(value)


class Waiting(Held):
    """A task that can be held and gone on with."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")


class Drawn:
    """A thread that draws a split with `generate` in this process; a cancel ends it between two frames."""

    def __init__(self, request: GenerateRequest) -> None:
        self._pool = concurrent.futures.ThreadPoolExecutor(1)
        self._stop = threading.Event()
        self.progress = Progress()
        self._future = self._pool.submit(self._draw, request)

    def _draw(self, request: GenerateRequest) -> Any:
        def emit(event: dict[str, Any]) -> None:
            if event["event"] == "progress":
                self.progress = Progress(event["done"], event["total"], "drawing here")
            if self._stop.is_set():
                raise concurrent.futures.CancelledError

        return generate(
            request.params, request.out, split=request.split, frames=request.frames, width=request.width,
            height=request.height, seed=request.seed, executor="in-process", emit=emit,
        )  # fmt: skip

    def done(self) -> bool:
        return self._future.done()

    def result(self) -> Any:
        return self._future.result(0)

    def cancel(self) -> None:
        self._stop.set()


class MemoryHost:
    """See the module."""

    name = "test"
    baked = False
    protected: tuple[Path, ...] = ()
    withheld: frozenset[str] = frozenset()

    def __init__(self, root: Path) -> None:
        self.confine: Path | None = None
        self.runs_folder = root / "runs"
        self.data_folder = root / "data"
        self.python: Path | None = Path(sys.executable)
        self.stage: Usd.Stage | None = None
        self.state: OpenStage | None = None
        self.authored: list[FrameSpec] = []
        self.applied: list[FrameSpec] = []
        self.placing: Task | None = None
        self.answers: dict[str, str] = {}
        """Title of a question to its answer; questions without one stay open."""
        self.held: dict[str, Held] = {}
        """Title of a question to an answer that is given later."""
        self.questions: list[Question] = []
        self.picks: list[Pick] = []
        self.picked: Path | None = None
        self.notes: list[tuple[str, str]] = []
        self.opened: list[Path] = []
        self.memory: dict[str, str] = {}
        self.flown: Eye | None = None
        """What the user looks through who has flown off the frame's camera."""
        self.live: LiveSettings | None = None
        self.lives: list[LiveSettings | None] = []
        self.live_error: Exception | None = None
        self.generated: list[GenerateRequest] = []
        self.draws_here = False
        self.waiting: Waiting | None = None
        self.options: dict[str, Any] = {}

    @property
    def generates_here(self) -> bool:
        return self.draws_here or self.waiting is not None

    def stage_state(self) -> OpenStage | None:
        return self.state

    def author(self, stage: Usd.Stage, params: Params, spec: FrameSpec, width: int, height: int) -> Task:
        self.stage, self.state = stage, OpenStage(ours=True, unsaved=False, name="moon.usda")
        self.authored.append(spec)
        return self.placing or Finished()

    def apply_frame(self, params: Params, spec: FrameSpec, width: int, height: int) -> Task:
        assert self.stage is not None
        apply_frame(self.stage, params, spec, width, height)
        self.applied.append(spec)
        return Finished()

    def eye(self) -> Eye | None:
        return self.flown

    def look_through(self) -> None:
        self.flown = None

    def set_live(self, settings: LiveSettings | None) -> Task:
        self.lives.append(settings)
        if self.live_error is not None and settings is not None:
            return Finished(error=self.live_error)
        self.live = settings
        return Finished()

    def live_state(self) -> LiveState | None:
        return None if self.live is None else LiveState(model=self.live.model, frames_per_s=7.0)

    def start_generate(self, request: GenerateRequest) -> Task | None:
        self.generated.append(request)
        if self.waiting is not None:
            return self.waiting
        return Drawn(request) if self.draws_here and not request.headless else None

    def generate_options(self, request: GenerateRequest) -> dict[str, Any]:
        return self.options

    def ask(self, question: Question) -> Task:
        self.questions.append(question)
        if question.title in self.held:
            return self.held[question.title]
        answer = self.answers.get(question.title)
        return Held() if answer is None else Finished(answer)

    def pick_path(self, pick: Pick) -> Task:
        self.picks.append(pick)
        return Finished(self.picked)

    def notify(self, text: str, level: Level = "info") -> None:
        self.notes.append((level, text))

    def open_path(self, path: Path) -> None:
        self.opened.append(path)

    def remember(self, key: str, value: str) -> None:
        self.memory[key] = value

    def remembered(self, key: str) -> str:
        return self.memory.get(key, "")


class Bench:
    """A panel under test: ticks it, and keeps what its observers were told."""

    def __init__(self, host: MemoryHost, model: PanelModel) -> None:
        self.host, self.model = host, model
        self.changes: list[Change] = []
        self._subscription = model.subscribe(self.changes.append)

    def until(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        """Tick until something holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (self.host.notes, {k: vars(w) for k, w in self.model.works.items()})
            self.model.tick()
            time.sleep(0.005)

    def rest(self, key: str, seconds: float = 60.0) -> None:
        """Tick until a work is no longer under way, and nothing of it is left to be read."""
        self.until(lambda: not self.model.works[key].active, seconds)
        self.model.tick()

    def run(self, key: str) -> None:
        """Press a button that has to be enabled."""
        action = self.model.actions[key]
        assert action.enabled, action.reason
        action.run()

    def author(self) -> None:
        """Author a stage and wait for it."""
        self.run("author")
        self.rest("stage")
        assert self.model.works["stage"].state == "finished", self.model.works["stage"].text

    def restart(self) -> Bench:
        """Close the panel, as a host that ends does, and make another on the same folders."""
        self.model.close()
        fresh = MemoryHost(self.host.runs_folder.parent)
        fresh.memory = self.host.memory
        return Bench(fresh, PanelModel(fresh, preset="v1"))

    def end(self) -> None:
        """Close the panel and kill whatever still runs."""
        self.model.close()
        for run in find_runs(self.host.runs_folder):
            run.kill()
