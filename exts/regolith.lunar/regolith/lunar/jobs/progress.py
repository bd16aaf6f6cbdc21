"""Show the events of long work: a bar for a person, JSON lines for a program."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

Emit = Callable[[dict[str, Any]], None]


@contextlib.contextmanager
def show(events: bool, title: str, unit: str) -> Iterator[Emit]:
    """Yield a function that shows events.

    Args:
        events: Print each event as one JSON line on stdout instead of drawing a bar on stderr.
        title: What is being done.
        unit: What `done` and `total` of a progress event count, in the plural.
    """
    if events:
        yield lambda event: print(json.dumps(event), flush=True)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(file=sys.stderr)) as bar:
        task = bar.add_task(title, total=None, rate="", note="")

        def emit(event: dict[str, Any]) -> None:
            if event["event"] == "progress":
                bar.update(task, completed=event["done"], total=event["total"])
                speed = bar.tasks[task].speed
                bar.update(task, rate=f"{speed:.1f} {unit}/s" if speed else "")
            elif event["event"] == "metric":
                values = (f"{name} {value:.3f}" for name, value in event.items() if isinstance(value, float))
                bar.update(task, note=" ".join(values))

        yield emit
