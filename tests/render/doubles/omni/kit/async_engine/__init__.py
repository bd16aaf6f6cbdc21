"""Double of omni.kit.async_engine: a loop that goes on by one turn at each update of the app."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine

_loop = asyncio.new_event_loop()
_tasks: set[asyncio.Task] = set()


def run_coroutine(coroutine: Coroutine) -> asyncio.Task:
    task = _loop.create_task(coroutine)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


def turn() -> None:
    """Let what waits in the loop go on; the app must not be driven from inside it."""
    if _loop.is_running():
        raise RuntimeError("an update of the app inside its own loop")
    if _tasks:
        time.sleep(0.0005)
        _loop.call_soon(_loop.stop)
        _loop.run_forever()
