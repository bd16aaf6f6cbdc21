"""Tasks a host hands to the panel: futures of worker threads, and answers of dialogs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from regolith.lunar.panel.host import Progress


class Waiting:
    """A worker's future as a `panel.host.Task`; `finish` turns its result into the task's."""

    def __init__(self, future: Future, finish: Callable[[Any], Any] = lambda result: None, *, text: str = "") -> None:
        self.progress = Progress(text=text)
        self._future, self._finish = future, finish

    def done(self) -> bool:
        """Whether it has ended."""
        return self._future.done()

    def result(self) -> Any:
        """What came of it, or what it raised."""
        return self._finish(self._future.result())

    def cancel(self) -> None:
        """Ask it not to start."""
        self._future.cancel()


class Answer:
    """A task a dialog settles."""

    progress = Progress()

    def __init__(self) -> None:
        self._settled = False
        self._value: Any = None
        self.on_cancel: Callable[[], None] | None = None
        """Takes the dialog away."""

    def settle(self, value: Any) -> None:
        """Give the answer; only the first counts."""
        if not self._settled:
            self._settled, self._value, self.on_cancel = True, value, None

    def done(self) -> bool:
        """Whether there is an answer."""
        return self._settled

    def result(self) -> Any:
        """The answer."""
        return self._value

    def cancel(self) -> None:
        """Take the dialog away; its answer is that of a closed one."""
        if self.on_cancel is not None:
            self.on_cancel()
