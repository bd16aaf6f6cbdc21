"""Double of omni.replicator.core.orchestrator, as 1.12 of Isaac Sim 5.1 is where that matters.

At its first step it keeps the values of some settings and hides what a viewport shows beside the stage; both come back
when it is stopped, or when a stage closes. A stage that closes during a step leaves that step waiting for ever.
"""

from __future__ import annotations

import sys
from typing import Any

import carb.settings
import omni.kit.app
import omni.usd

from . import _annotators

HIDDEN = ("/app/viewport/grid/enabled", "/app/viewport/outline/enabled")
KEPT = (*HIDDEN, "/rtx/rendermode", "/rtx/post/histogram/enabled")

_kept: dict[str, Any] = {}
_resets = 0


class OrchestratorError(Exception):
    """A call that would lock up a running app."""


def _begin() -> None:
    settings = carb.settings.get_settings()
    if not _kept:
        _kept.update({path: settings.get(path) for path in KEPT})
        for path in HIDDEN:
            settings.set(path, False)


def _end() -> None:
    if _annotators.quirks.keeps:
        return
    settings = carb.settings.get_settings()
    for path, value in _kept.items():
        if value is None:
            settings.destroy_item(path)
        else:
            settings.set(path, value)
    _kept.clear()


def _stage_closing() -> None:
    global _resets
    _resets += 1
    _end()


omni.usd.CLOSING.append(_stage_closing)


def step(
    rt_subframes: int = -1,
    pause_timeline: bool = True,
    delta_time: float | None = None,
    wait_for_render: bool = True,
) -> None:
    _standalone("step", "step_async")
    _begin()
    omni.kit.app.get_app().update()
    _annotators.capture(rt_subframes, delta_time)


async def step_async(
    rt_subframes: int = -1,
    pause_timeline: bool = True,
    delta_time: float | None = None,
    wait_for_render: bool = True,
) -> None:
    _begin()
    resets = _resets
    await omni.kit.app.get_app().next_update_async()
    while resets != _resets or _annotators.quirks.endless:
        await omni.kit.app.get_app().next_update_async()
    _annotators.capture(rt_subframes, delta_time)
    await omni.kit.app.get_app().next_update_async()


def wait_until_complete() -> None:
    _standalone("wait_until_complete", "wait_until_complete_async")
    _end()


async def wait_until_complete_async() -> None:
    await omni.kit.app.get_app().next_update_async()
    _end()


def _standalone(name: str, instead: str) -> None:
    if getattr(sys.modules.get("isaacsim"), "RUNNING", None) is None:
        raise OrchestratorError(f"{name} outside a SimulationApp; use {instead}")
