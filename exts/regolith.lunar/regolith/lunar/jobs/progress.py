"""Show the events of long work: a bar for a person, JSON lines for a program."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from regolith.lunar.jobs.events import Emit, Event, emit_quietly

METRICS = ("val_loss", "rock_iou")
"""Metrics there is room for beside the bar."""


@contextlib.contextmanager
def show(events: bool, title: str, unit: str) -> Iterator[Emit]:
    """Yield a function that shows events.

    Args:
        events: Print each event as one JSON line on stdout instead of drawing a bar on stderr.
        title: What is being done.
        unit: What `done` and `total` of a progress event count, in the plural.
    """
    if events:
        yield emit_quietly
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
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn(f"{unit} {{task.fields[rate]}}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[metrics]}"),
    )
    bar = Progress(*columns, console=Console(file=sys.stderr))
    task = bar.add_task(title, total=None, rate="", metrics="")
    metrics: dict[str, str] = {}

    def draw(event: Event) -> None:
        bar.start()  # not before there is something to show: bad input is one line
        if event["event"] == "progress":
            bar.update(task, completed=event["done"], total=event["total"])
            speed = bar.tasks[task].speed
            bar.update(task, rate=f"({speed:.1f}/s)" if speed else "")
        elif event["event"] == "metric":
            metrics[event["name"]] = "–" if event["value"] is None else f"{event['value']:.3g}"
            shown = [name for name in METRICS if name in metrics]
            bar.update(task, metrics=" ".join(f"{name} {metrics[name]}" for name in shown))
        elif event["event"] == "note":
            bar.console.print(event["message"], highlight=False)

    try:
        yield draw
    finally:
        if bar.live.is_started:
            bar.stop()
