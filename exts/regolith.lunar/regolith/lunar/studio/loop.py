"""The one thread that touches the panel's model, its host and the page's widgets."""

from __future__ import annotations

import concurrent.futures
import heapq
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from regolith.lunar.panel.context import say
from regolith.lunar.params import InputError

RATE_HZ = 30.0
"""Ticks per second."""


class Loop:
    """A queue of calls and a tick; `run` is the thread everything happens on.

    A call that fails is told to the user, logged, and ends nothing else.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.tell: Callable[[str], object] = lambda text: None
        """Shows the user, in a line, what failed."""
        self.ticks: list[Callable[[], object]] = []
        """Called in turn about `RATE_HZ` times a second."""
        self._clock = clock
        self._queue: queue.SimpleQueue[tuple[Hashable, int, Callable[..., object], tuple[Any, ...]]]
        self._queue = queue.SimpleQueue()
        self._numbers = itertools.count()
        self._newest: dict[Hashable, int] = {}
        """Number of the newest call of each key; an older one that is still queued is left out."""
        self._later: list[tuple[float, int, Hashable, Callable[..., object], tuple[Any, ...]]] = []
        self._running = False
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._failing: dict[Callable[[], object], str] = {}
        """What each tick fails with at present."""

    @property
    def here(self) -> bool:
        """Whether the calling thread is the loop's."""
        return threading.current_thread() is self._thread

    def call(self, function: Callable[..., object], *args: Any, key: Hashable = None) -> None:
        """Call a function on the loop's thread soon; from any thread, also from a signal handler.

        Args:
            function: What to call.
            args: Its arguments.
            key: A newer call takes the place of a queued one of the same key, at the end of the queue.
        """
        number = next(self._numbers)
        if key is not None:
            self._newest[key] = number
        self._queue.put((key, number, function, args))

    def later(self, seconds: float, function: Callable[..., object], *args: Any, key: Hashable) -> None:
        """Call a function after some time without another call of the same key: at rest. From any thread."""
        number = next(self._numbers)
        self._newest[key] = number
        self._queue.put((None, number, self._put_off, (self._clock() + seconds, number, key, function, args)))

    def _put_off(self, *entry: Any) -> None:
        heapq.heappush(self._later, entry)

    def handler(
        self, function: Callable[[Any], object], *, key: Hashable = None
    ) -> Callable[[Any], Coroutine[Any, Any, None]]:
        """Callback for viser's `on_update`, `on_click` and their like that calls `function(event)` on this loop.

        It is a coroutine function, which viser runs in the order of the page's messages; plain functions go to a pool
        of threads, where a slider's last value may overtake the one before.

        Args:
            function: Takes viser's event.
            key: As for `call`.
        """

        async def handle(event: Any) -> None:
            self.call(function, event, key=key)

        return handle

    def result(self, function: Callable[..., Any], *args: Any, timeout_s: float | None = 60.0) -> Any:
        """Call a function on the loop's thread from another one, and wait for what it returns or raises."""
        if self.here:
            return function(*args)
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def run() -> None:
            try:
                future.set_result(function(*args))
            except BaseException as error:  # it is raised where the result is awaited
                future.set_exception(error)

        self.call(run)
        return future.result(timeout_s)

    def run(self) -> None:
        """Run on the calling thread until `stop`."""
        self._thread, self._running = threading.current_thread(), True
        due = self._clock()
        try:
            while self._running:
                self._drain(due)
                if not self._running:
                    break
                for tick in self.ticks:
                    self._tick(tick)
                now = self._clock()
                due = max(due + 1.0 / RATE_HZ, now + 0.2 / RATE_HZ)  # a slow tick leaves time for calls
        finally:
            self._thread = None
            self._stopped.set()

    def _drain(self, until: float) -> None:
        """Run calls as they come until a time."""
        while self._running:
            now = self._clock()
            while self._later and self._later[0][0] <= now:
                _, number, key, function, args = heapq.heappop(self._later)
                if self._newest.get(key) == number:
                    self._guard(function, *args)
            wait = min([until, *(entry[0] for entry in self._later[:1])]) - now
            try:
                key, number, function, args = self._queue.get(timeout=wait) if wait > 0 else self._queue.get_nowait()
            except queue.Empty:
                if wait <= 0:
                    return
                continue
            if key is None or self._newest.get(key) == number:
                self._guard(function, *args)
            if self._clock() >= until:
                return

    def _tick(self, tick: Callable[[], object]) -> None:
        """Make a tick; one that fails the same way each time says so once, until it has worked again."""
        try:
            tick()
        except Exception as error:
            if self._failing.get(tick) != say(error):
                self._failing[tick] = say(error)
                self._failed(error)
        else:
            self._failing.pop(tick, None)

    def _guard(self, function: Callable[..., object], *args: Any) -> None:
        """Make a call; what goes wrong is logged and told, and the loop goes on."""
        try:
            function(*args)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Tell the user what failed; what is no mere refusal of an input is logged with its traceback."""
        if not isinstance(error, InputError):
            logging.getLogger(__name__).error("%s", say(error), exc_info=error)
        try:
            self.tell(say(error))
        except Exception:
            logging.getLogger(__name__).exception("a failure could not be shown")

    def stop(self) -> None:
        """End `run` after the call that is being made; from any thread, also from a signal handler."""
        self.call(self._stop)

    def _stop(self) -> None:
        self._running = False

    def wait(self, timeout_s: float) -> bool:
        """Wait on another thread until `run` has ended; False where it has not in that time."""
        return self._stopped.wait(timeout_s)
