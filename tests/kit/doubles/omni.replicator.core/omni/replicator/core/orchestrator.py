"""Double of omni.replicator.core.orchestrator."""

from __future__ import annotations

import sys

import carb.settings
import omni.kit.app

from . import _annotators


class OrchestratorError(Exception):
    """A call that would lock up a running app."""


def set_capture_on_play(value: bool) -> None:
    for path in ("/persistent/omni/replicator/captureOnPlay", "/omni/replicator/captureOnPlay"):
        carb.settings.get_settings().set(path, value)


def step(
    rt_subframes: int = -1,
    pause_timeline: bool = True,
    delta_time: float | None = None,
    wait_for_render: bool = True,
) -> None:
    if getattr(sys.modules.get("isaacsim"), "RUNNING", None) is None:
        raise OrchestratorError("step outside a SimulationApp; use step_async")
    omni.kit.app.get_app().update()
    _annotators.capture(rt_subframes, delta_time)


async def step_async(
    rt_subframes: int = -1,
    pause_timeline: bool = True,
    delta_time: float | None = None,
    wait_for_render: bool = True,
) -> None:
    await omni.kit.app.get_app().next_update_async()
    _annotators.capture(rt_subframes, delta_time)
    await omni.kit.app.get_app().next_update_async()
