"""Segmentation beside the renderer: the newest picture only, on a thread of its own; and of photographs dropped in."""

from __future__ import annotations

import dataclasses
import logging
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from regolith.lunar.labels import ROCK, count_classes
from regolith.lunar.machine import cores
from regolith.lunar.panel.host import LiveSettings, LiveState
from regolith.lunar.perception.photos import read_photo
from regolith.lunar.perception.session import SIZE_PX, Prediction, Views
from regolith.lunar.studio.camera import Shown

MOVING_PX = 256
"""Long side the network works at while things move; at rest it is that of `regolith evaluate`."""
PHOTO_PX = 1024
"""Longest side of a photograph on the page."""
SMOOTHING = 0.2
"""Weight of the newest picture in milliseconds and frames/s."""
PAUSE_S = 1.0
"""Time between two pictures beyond which they do not count for frames/s [s]."""

_log = logging.getLogger(__name__)


class Model(Protocol):
    """What inference needs of `perception.session.Segmenter`."""

    provider: str
    card: dict[str, Any]

    @property
    def photo_px(self) -> int:
        """Long side photographs are best brought to [px]."""
        ...

    @property
    def photo_tta(self) -> Views:
        """Views of a photograph that are best averaged."""
        ...

    def predict(self, rgb: np.ndarray, *, size: int | None = SIZE_PX, tta: Views = "none") -> Prediction:
        """Segment a picture, uint8 [H, W, 3]."""
        ...


@dataclasses.dataclass(frozen=True)
class Seen:
    """What the model made of a picture."""

    shown: Shown
    mask: np.ndarray
    """Class at each pixel of the picture, uint8 [h, w]."""
    milliseconds: float


@dataclasses.dataclass(frozen=True)
class Photo:
    """What the model made of a photograph."""

    name: str
    rgb: np.ndarray
    """The photograph, at most `PHOTO_PX` on its long side, uint8 [h, w, 3]."""
    mask: np.ndarray
    """Classes, uint8 [h, w]."""
    width: int
    """Width of the photograph itself [px]."""
    height: int
    counts: dict[str, int]
    """Pixels per class of the photograph itself (`labels.count_classes`)."""
    model: str
    """Name of the model."""
    milliseconds: float


@dataclasses.dataclass
class _Wanted:
    """A photograph that waits."""

    name: str
    content: bytes
    model: str
    future: Future[Photo]


class LiveInference:
    """A model and the thread it runs on. Every method may be called from any thread and none waits but `close`."""

    def __init__(
        self,
        done: Callable[[Seen], object],
        *,
        load: Callable[[str], Model] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the thread, with the preview off.

        Args:
            done: Called on the thread with every result; it is to hand it on.
            load: Loads a model by its name; left out, `perception.session.Segmenter`.
            clock: Monotonic time [s].
        """
        self._done, self._load, self._clock = done, load or _load, clock
        self._wake = threading.Condition()
        self._settings: LiveSettings | None = None
        self._starts: list[Future[None]] = []
        """Futures of changes the thread has not taken up."""
        self._newest: Shown | None = None
        """Picture that waits."""
        self._recent: Shown | None = None
        """Newest picture there is, whether the preview is on or not."""
        self._fresh = False
        """Whether the model has not seen it: another one is set, or the preview was off."""
        self._photos: deque[_Wanted] = deque()
        self._ended = False
        self._model: tuple[str, Model] | None = None
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

    def see(self, shown: Shown) -> None:
        """Segment a picture next, if the preview is on; one that still waits is left out."""
        with self._wake:
            self._recent = shown
            if self._settings is not None:
                self._newest = shown
                self._wake.notify()

    def photo(self, name: str, content: bytes, model: str) -> Future[Photo]:
        """Segment a photograph.

        Args:
            name: File name it came with.
            content: The file.
            model: An .onnx file, or `default`.

        Returns:
            The result; InputError where the file is no photograph, or the model cannot be used.
        """
        wanted = _Wanted(name, content, model, Future())
        with self._wake:
            if self._ended:
                wanted.future.cancel()
            else:
                self._photos.append(wanted)
                self._wake.notify()
        return wanted.future

    def close(self) -> None:
        """End the thread after what it is at; what waits is cancelled."""
        with self._wake:
            self._ended, self.state, self._newest = True, None, None
            for future in (*self._starts, *(wanted.future for wanted in self._photos)):
                future.cancel()
            self._starts.clear()
            self._photos.clear()
            self._wake.notify()
        self._thread.join()

    # the thread

    def _run(self) -> None:
        while self._await_turn():
            if self._starts:
                self._start()
            elif self._photos:
                self._take_photo(self._photos.popleft())
            else:
                self._segment()

    def _await_turn(self) -> bool:
        """Wait until there is something to do; False at the end."""
        with self._wake:
            while not (self._ended or self._starts or self._photos):
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

    def _use(self, name: str) -> Model:
        if self._model is None or self._model[0] != name:
            self._model = None  # one at a time: a model is some 20 MB, and as much again while it runs
            self._model = name, self._load(name)
        return self._model[1]

    def _segment(self) -> None:
        """Segment the picture that waits."""
        with self._wake:
            shown, self._newest = self._newest, None
            settings = self._settings
        if shown is None or settings is None:
            return
        begun = self._clock()
        self._due = begun + 1.0 / settings.rate_hz
        try:
            start = time.perf_counter()
            mask = self._use(settings.model).predict(shown.rgb, size=SIZE_PX if shown.whole else MOVING_PX).mask
        except Exception as error:
            _log.error("inference failed: %s", error)
            self._tell(problem=f"inference failed: {error}")
            return
        milliseconds = 1e3 * (time.perf_counter() - start)
        now = self._clock()
        rate = 1.0 / (now - self._last) if 0.0 < now - self._last < PAUSE_S else 0.0
        self._last = now
        self._tell(milliseconds=milliseconds, rate=rate, rock_share=float(np.mean(mask == ROCK)), whole=shown.whole)
        self._done(Seen(shown, mask, milliseconds))

    def _tell(
        self, *, problem: str = "", milliseconds: float = 0.0, rate: float = 0.0, rock_share: float = 0.0,
        whole: bool = False,
    ) -> None:  # fmt: skip
        with self._wake:
            old = self.state
            if old is None:
                return
            if problem:
                self.state = dataclasses.replace(old, problem=problem)
                return
            self.state = dataclasses.replace(
                old,
                milliseconds=milliseconds if whole else _smooth(old.milliseconds, milliseconds),
                frames_per_s=_smooth(old.frames_per_s, rate) if rate else old.frames_per_s,
                rock_share=rock_share,
                problem="",
            )

    def _take_photo(self, wanted: _Wanted) -> None:
        if not wanted.future.set_running_or_notify_cancel():
            return
        try:
            rgb = decode_photo(wanted.name, wanted.content)
            model = self._use(wanted.model)
            start = time.perf_counter()
            mask = model.predict(rgb, size=model.photo_px, tta=model.photo_tta).mask
            milliseconds = 1e3 * (time.perf_counter() - start)
            height, width = mask.shape
            small = _fitted(width, height)
            photo = Photo(
                photo_name(wanted.name), _resize(rgb, small, Image.Resampling.LANCZOS),
                _resize(mask, small, Image.Resampling.NEAREST), width, height, count_classes(mask),
                model_name(wanted.model, model), milliseconds,
            )  # fmt: skip
        except Exception as error:
            wanted.future.set_exception(error)
            return
        wanted.future.set_result(photo)


def model_name(path: str, model: Model) -> str:
    """What a model is called: as its card says, or its file."""
    return str(model.card.get("name") or Path(path).stem)


def photo_name(name: str) -> str:
    """The last part of a name a page gave a file, fit for a file name and a line of text."""
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = "".join(c for c in last if c.isprintable()).strip(". ")
    stem, dot, ending = plain.rpartition(".")
    return f"{stem[:60]}{dot}{ending[:8]}" if stem else plain[:60] or "photograph"


def decode_photo(name: str, content: bytes) -> np.ndarray:
    """Read an uploaded photograph by `perception.photos.read_photo`, uint8 [H, W, 3].

    Raises:
        InputError: It is no photograph, damaged, too small or too large.
    """
    with tempfile.TemporaryDirectory(prefix="regolith-photo-") as folder:
        path = Path(folder) / photo_name(name)
        path.write_bytes(content)
        return read_photo(path)


def _load(name: str) -> Model:
    """Load a model for this thread; half the cores are left to renderer and page."""
    from regolith.lunar.perception.session import Segmenter

    return Segmenter(name, threads=max(1, cores() // 2))


def _fitted(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, PHOTO_PX / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _resize(array: np.ndarray, size: tuple[int, int], how: Image.Resampling) -> np.ndarray:
    return array if size == array.shape[1::-1] else np.asarray(Image.fromarray(array).resize(size, how))


def _smooth(old: float, new: float) -> float:
    return new if old == 0.0 else (1.0 - SMOOTHING) * old + SMOOTHING * new
