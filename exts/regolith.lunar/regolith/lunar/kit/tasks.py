"""Tasks of the panel's host that are coroutines of Kit's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from regolith.lunar.panel.host import Progress


class Job:
    """A coroutine in Kit's event loop as a `panel.host.Task`."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], progress: Progress | None = None) -> None:
        self.progress = progress or Progress()
        self._task: asyncio.Task = asyncio.ensure_future(coroutine)
        self._task.add_done_callback(_retrieve)

    def done(self) -> bool:
        """Whether it has ended."""
        return self._task.done()

    def result(self) -> Any:
        """What it returned, or what it raised."""
        return self._task.result()

    def cancel(self) -> None:
        """Ask it to end."""
        self._task.cancel()


def _retrieve(task: asyncio.Task) -> None:
    """Take a task's exception, which `Job.result` hands on: asyncio complains about one nobody took."""
    if not task.cancelled():
        task.exception()
