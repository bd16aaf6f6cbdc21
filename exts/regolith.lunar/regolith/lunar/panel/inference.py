"""Live inference: the newest picture only, on a thread of its own, and what the preview is doing meanwhile."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from regolith.lunar.panel.host import LiveSettings, LiveState

SMOOTHING = 0.2
"""Weight of the newest picture in milliseconds and frames/s."""
PAUSE_S = 1.0
"""Time between two pictures, beside that of inference, beyond which they do not count for frames/s [s]."""

_log = logging.getLogger(__name__)


class Model(Protocol):
    """What the preview needs of `perception.session.Segmenter`."""

    provider: str


class Outcome(Protocol):
    """What was made of a picture."""

    @property
    def milliseconds(self) -> float:
        """Time the model took."""
        ...

    @property
    def rock_share(self) -> float:
        """Share of the picture's pixels that are rock."""
        ...

    @property
    def at_rest(self) -> bool:
        """Whether nothing moves: its milliseconds count alone."""
        ...


M = TypeVar("M", bound="Model")  # by name: typing's cache of Generic[M, …] would keep a class, and with it our modules
P = TypeVar("P")
R = TypeVar("R", bound="Outcome")


class LiveInference(Generic[M, P, R]):
    """A model and the thread it runs on. Every method may be called from any thread, and none waits but `join`."""

    def __init__(
        self,
        segment: Callable[[M, P, LiveSettings], R],
        done: Callable[[R], object],
        load: Callable[[str], M],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the thread, with the preview off.

        Args:
            segment: Segments a picture, on the thread.
            done: Called on the thread with every result; it is to hand it on, at once.
            load: Loads a model by its name, on the thread.
            clock: Monotonic time [s].
        """
        self._do, self._done, self._load, self._clock = segment, done, load, clock
        self._wake = threading.Condition()
        self._settings: LiveSettings | None = None
        self._starts: list[Future[None]] = []
        """Futures of changes the thread has not taken up."""
        self._newest: P | None = None
        """Picture that waits."""
        self._recent: P | None = None
        """Newest picture there is, whether the preview is on or not."""
        self._fresh = False
        """Whether the model has not seen it: another one is set, or the preview was off."""
        self._jobs: deque[tuple[Future[Any], Callable[[Callable[[str], M]], Any]]] = deque()
        self._generation = 0
        """Counts `forget`; what comes of an older picture is dropped."""
        self._at_work = self._ended = False
        self._model: tuple[str, M] | None = None
        self._due = self._last = 0.0
        self.state: LiveState | None = None
        """What the preview is doing; None while it is off."""
        self._thread = threading.Thread(target=self._run, name="regolith-live", daemon=True)
        self._thread.start()

    def set(self, settings: LiveSettings | None) -> Future[None]:
        """Start the preview, change it, or stop it (None).

        Returns:
            Done once the model is loaded; InputError where it cannot be used.
        """
        future: Future[None] = Future()
        with self._wake:
            self._fresh |= settings is not None and (self._settings is None or self._settings.model != settings.model)
            self._settings = settings
            if settings is None:
                self.state, self._newest = None, None
                for start in self._starts:
                    start.cancel()
                self._starts.clear()
                future.set_result(None)
            else:
                self.state = self.state or LiveState()
                self._starts.append(future)
                self._wake.notify()
        return future

    @property
    def ready(self) -> bool:
        """Whether a picture would be segmented at once: a model is there, none is at work or waits, and it is time."""
        with self._wake:
            idle = self._model is not None and not self._at_work and self._newest is None and not self._starts
            return idle and self._settings is not None and self._clock() >= self._due

    def see(self, picture: P) -> None:
        """Segment a picture next, if the preview is on; one that still waits is left out."""
        with self._wake:
            self._recent = picture
            if self._settings is not None:
                self._newest = picture
                self._wake.notify()

    def forget(self) -> None:
        """Drop every picture so far, the one at work too: what comes of it is not told."""
        with self._wake:
            self._newest = self._recent = None
            self._generation += 1
            self._last = 0.0

    def tell(self, problem: str) -> None:
        """Say in the state what keeps the preview from working; the next result takes it back."""
        with self._wake:
            if self.state is not None and self.state.problem != problem:
                self.state = dataclasses.replace(self.state, problem=problem)

    def run(self, job: Callable[[Callable[[str], M]], Any]) -> Future[Any]:
        """Do something else on the thread, before the next picture.

        Args:
            job: Takes what loads a model by its name, or hands on the one that is loaded.
        """
        future: Future[Any] = Future()
        with self._wake:
            if self._ended:
                future.cancel()
            else:
                waiting = [entry for entry in self._jobs if not entry[0].cancelled()]  # what they hold is let go of
                self._jobs = deque(waiting)
                self._jobs.append((future, job))
                self._wake.notify()
        return future

    def end(self) -> None:
        """Have the thread end after what it is at; what waits is cancelled, and no result is told any more."""
        with self._wake:
            self._ended, self.state, self._newest, self._recent = True, None, None, None
            self._generation += 1
            for future in (*self._starts, *(future for future, _ in self._jobs)):
                future.cancel()
            self._starts.clear()
            self._jobs.clear()
            self._wake.notify()

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join()

    # the thread

    def _run(self) -> None:
        while self._await_turn():
            if self._starts:
                self._start()
            elif self._jobs:
                self._take_job()
            else:
                self._segment()
        self._model = None

    def _await_turn(self) -> bool:
        """Wait until there is something to do; False at the end."""
        with self._wake:
            while not (self._ended or self._starts or self._jobs):
                rest = None if self._newest is None else self._due - self._clock()
                if rest is not None and rest <= 0.0:
                    break
                self._wake.wait(rest)
            return not self._ended

    def _start(self) -> None:
        """Load the model that is set."""
        with self._wake:
            settings, starts = self._settings, self._starts
            self._starts = []
        waiting = [future for future in starts if future.set_running_or_notify_cancel()]
        if settings is None:  # stopped meanwhile
            for future in waiting:
                future.set_result(None)
            return
        try:
            model = self._use(settings.model)
        except Exception as error:
            for future in waiting:
                future.set_exception(error)
            return
        name = model_name(settings.model, model)
        provider = model.provider.removesuffix("ExecutionProvider")
        with self._wake:
            if self.state is not None and (self.state.model, self.state.provider) != (name, provider):
                self.state = LiveState(model=name, provider=provider)
            if self._fresh and self._settings is not None:
                self._fresh, self._newest = False, self._recent
        for future in waiting:
            future.set_result(None)

    def _use(self, name: str) -> M:
        if self._model is None or self._model[0] != name:
            self._model = None  # one at a time: a model is some 20 MB, and as much again while it runs
            self._model = name, self._load(name)
        return self._model[1]

    def _take_job(self) -> None:
        with self._wake:
            if not self._jobs:  # ended meanwhile
                return
            future, job = self._jobs.popleft()
            if not future.set_running_or_notify_cancel():
                return
        try:
            future.set_result(job(self._use))
        except Exception as error:
            future.set_exception(error)

    def _segment(self) -> None:
        """Segment the picture that waits."""
        with self._wake:
            picture, self._newest = self._newest, None
            settings, generation = self._settings, self._generation
            if picture is None or settings is None:
                return
            self._at_work = True
        self._due = self._clock() + 1.0 / settings.rate_hz
        try:
            result = self._do(self._use(settings.model), picture, settings)
        except Exception as error:
            _log.error("inference failed: %s", error)
            self._finish(generation, f"inference failed: {error}")
        else:
            self._finish(generation, result)

    def _finish(self, generation: int, result: R | str) -> None:
        """Tell a result, or why there is none, unless nobody wants it any more."""
        with self._wake:
            self._at_work = False
            if generation != self._generation or self.state is None:
                return
            if isinstance(result, str):
                self.state = dataclasses.replace(self.state, problem=result)
                return
            now, old, milliseconds = self._clock(), self.state, result.milliseconds
            span, self._last = now - self._last, now
            rate = 1.0 / span if 0.0 < span < PAUSE_S + 1e-3 * milliseconds else 0.0
            self.state = dataclasses.replace(
                old,
                milliseconds=milliseconds if result.at_rest else _smooth(old.milliseconds, milliseconds),
                frames_per_s=_smooth(old.frames_per_s, rate) if rate else old.frames_per_s,
                rock_share=result.rock_share,
                problem="",
            )
            self._done(result)


def model_name(path: str, model: Model) -> str:
    """What a model is called: as its card says, or its file."""
    return str(getattr(model, "card", {}).get("name") or Path(path.replace("\\", "/")).stem)


def _smooth(old: float, new: float) -> float:
    return new if old == 0.0 else (1.0 - SMOOTHING) * old + SMOOTHING * new
