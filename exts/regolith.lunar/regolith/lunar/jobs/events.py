"""What a companion process says: one JSON object a line on its standard output.

| event      | fields                                                        |
|------------|---------------------------------------------------------------|
| `progress` | `done`, `total`; optional `unit`, `stage`, `frames_per_s` |
| `metric`   | `name`, `value`; optional `step`                               |
| `artifact` | `path`; optional `kind`                                        |
| `note`     | `message`                                                     |
| `error`    | `message`; optional `code`, the exit status that follows       |
| `done`     | `status`: `finished` or `interrupted`; optional `result`       |
| `log`      | `line`, `stream`; never sent: what a launcher makes of a line that is no event |
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

Event = dict[str, Any]
Emit = Callable[[Event], None]
Stop = Callable[[], bool]
"""Asked now and then by long work: once true, it saves itself and returns."""

NUMBER = (int, float)
FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    "progress": {"done": NUMBER, "total": NUMBER},
    "metric": {"name": (str,), "value": (*NUMBER, type(None))},
    "artifact": {"path": (str,)},
    "note": {"message": (str,)},
    "error": {"message": (str,)},
    "done": {"status": (str,)},
    "log": {"line": (str,), "stream": (str,)},
}
"""Event name to its required fields and their types."""


def check_event(event: Any) -> str | None:
    """Say what is wrong with an event, None where nothing is."""
    if not isinstance(event, dict):
        return "not an object"
    name = event.get("event")
    if not isinstance(name, str) or name not in FIELDS:
        return f"event {name!r} is none of {', '.join(FIELDS)}"
    for field, kinds in FIELDS[name].items():
        if field not in event:
            return f"{name} lacks {field}"
        if not isinstance(event[field], kinds) or (isinstance(event[field], bool) and bool not in kinds):
            return f"{name}.{field} is {event[field]!r}"
    return None


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def format_event(event: Event) -> str:
    """Return an event as one line of JSON without the newline; a number that is not finite becomes null.

    Raises:
        ValueError: It is no event.
    """
    event = _finite(event)
    problem = check_event(event)
    if problem:
        raise ValueError(problem)
    return json.dumps(event, separators=(",", ":"), ensure_ascii=True)


def emit(event: Event, stream: TextIO | None = None) -> None:
    """Write an event in one piece and flush it.

    Raises:
        BrokenPipeError: Nobody reads any more; `emit_quietly` works on.
    """
    print(format_event(event), file=stream or sys.stdout, flush=True)


def emit_quietly(event: Event) -> None:
    """Write an event on standard output as long as somebody reads it: work whose files matter more goes on."""
    try:
        emit(event)
    except BrokenPipeError:
        silence()


def silence() -> None:
    """Send standard output nowhere from here on: its reader went away."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def parse_event(line: str) -> Event | None:
    """Read a line of a companion's output; None where it is no event."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return None if check_event(event) or event["event"] == "log" else event
