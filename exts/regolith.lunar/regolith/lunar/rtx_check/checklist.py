"""How the steps of a check run: one after the other, each within its time, the next one whatever became of the last.

Nothing of OpenUSD or Kit is imported here before a step runs: a SimulationApp has to come first.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from regolith.lunar.jobs.events import Emit
from regolith.lunar.params import Params
from regolith.lunar.rtx_check.report import Report, State, step_line

if TYPE_CHECKING:
    import numpy as np
    from pxr import Usd

    from regolith.lunar.stage.spec import FrameSpec

TOTAL_S = 480.0
"""Longest time of all steps together [s]."""
Outcome = tuple[State, str, dict[str, Any]]
"""What a step came to, what was seen, and what was measured."""
LET_GO_S = 10.0
"""How long a step whose time is over may take to give back what it holds [s]."""


class StepFailed(Exception):  # noqa: N818  (it is no error of ours: the machine was found to be so)
    """What a step looks for is not so; says what was seen instead."""

    def __init__(self, seen: str, **values: Any) -> None:
        super().__init__(seen)
        self.values = values
        """What was measured all the same."""


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a step that holds has seen."""

    text: str
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What was measured, as plain values."""
    state: Literal["ok", "absent"] = "ok"


@dataclasses.dataclass
class Context:
    """What the steps share."""

    folder: Path
    """Where pictures for the user go, beside the report."""
    scratch: Path
    """Folder for what is only looked at; gone afterwards."""
    params: Params
    """Of the scenes that are drawn."""
    size: int
    """Side of the pictures [px]."""
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Settings of the app as they were before the first frame; empty while nobody noted them."""
    scene: Usd.Stage | None = None
    """The stage that is drawn, in memory."""
    spec: FrameSpec | None = None
    """The frame it is."""
    picture: np.ndarray | None = None
    """A picture of it, uint8 [H, W, 3]."""
    mask: np.ndarray | None = None
    """Its classes, uint8 [H, W]."""


@dataclasses.dataclass(frozen=True)
class Step:
    """One thing to look at."""

    name: str
    shows: str
    """What holds where it is `ok`."""
    look: Callable[[Context], Awaitable[Seen]]
    """Looks; raises `StepFailed`, or whatever the machine makes it raise."""
    limit_s: float
    """Longest time it may take [s]."""
    drives: bool = False
    """Whether it drives the app itself, as `rtx.Owner` does, instead of waiting in the app's loop: headless only. It
    never waits, so nothing but the end of the process can end it early."""


class Checklist:
    """A check under way: `take` its steps in order, then `end`."""

    def __init__(self, report: Report, context: Context, emit: Emit, *, total_s: float = TOTAL_S) -> None:
        """Begin.

        Args:
            report: Receives what the steps come to.
            context: What they share.
            emit: Receives a `progress` event before each step, and a `note` with its line after it.
            total_s: Longest time of all steps together [s].
        """
        self._report, self._context, self._emit = report, context, emit
        self._end = time.monotonic() + total_s

    async def take(self, step: Step) -> None:
        """Take a step; whatever it raises is what it came to, unless it is cancelled."""
        done = sum(other["state"] not in ("not run", "running") for other in self._report.steps)
        self._report.note(step.name, "running")
        self._emit({"event": "progress", "done": done, "total": len(self._report.steps), "stage": step.name})
        started = time.monotonic()
        state, text, values = await self._within(step, min(step.limit_s, self._end - started))
        seconds = time.monotonic() - started
        noted = self._report.note(step.name, state, text, seconds=seconds, values=values)
        self._emit({"event": "note", "message": step_line(noted)})

    async def _within(self, step: Step, limit_s: float) -> Outcome:
        if limit_s <= 0.0:
            return "failed", "no time was left for it", {}
        if step.drives:
            return await self._look(step)
        looking = asyncio.ensure_future(self._look(step))
        try:
            if (await asyncio.wait({looking}, timeout=limit_s))[0]:
                return looking.result()
            looking.cancel()
            await asyncio.wait({looking}, timeout=LET_GO_S)
            return "failed", f"not done within {limit_s:.0f} s", {}
        finally:
            looking.cancel()

    async def _look(self, step: Step) -> Outcome:
        try:
            seen = await step.look(self._context)
        except StepFailed as failure:
            return "failed", str(failure), failure.values
        except Exception as error:  # the machine's, of whatever kind: what it says is what there is to report
            return "failed", f"{type(error).__name__}: {error}", {}
        return seen.state, seen.text, dict(seen.values)

    def end(self, unfinished: str = "") -> None:
        """Note the end.

        Args:
            unfinished: Why the step that was begun has not ended, where that is so.
        """
        self._report.end(unfinished)
        count = len(self._report.steps)
        self._emit({"event": "progress", "done": count, "total": count})
