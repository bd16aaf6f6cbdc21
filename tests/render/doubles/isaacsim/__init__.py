"""Double of isaacsim: SimulationApp with the keys that 5.1 and 6.x share, ending the process inside `close`."""

from __future__ import annotations

import os
import sys
from typing import Any

KEYS = {
    "headless", "hide_ui", "open_usd", "create_new_stage", "renderer", "width", "height", "window_width",
    "window_height", "active_gpu", "physics_gpu", "multi_gpu", "max_gpu_count", "anti_aliasing",
    "samples_per_pixel_per_frame", "denoiser", "max_bounces", "sync_loads", "subdiv_refinement_level", "fast_shutdown",
    "limit_cpu_threads", "disable_viewport_updates", "extra_args", "enable_crashreporter", "profiler_backend",
    "display_options",
}  # fmt: skip
RUNNING: SimulationApp | None = None


class SimulationApp:
    """The headless app."""

    def __init__(self, launch_config: dict[str, Any] | None = None, experience: str = "") -> None:
        global RUNNING
        unknown = set(launch_config or {}) - KEYS
        if unknown:
            raise TypeError(f"SimulationApp: unknown keys {sorted(unknown)}")
        early = [name for name in ("pxr", "omni", "carb") if name in sys.modules]
        if early:
            raise ImportError(f"{early} imported before SimulationApp")
        if sys.argv[1:]:
            raise ValueError(f"arguments for Kit it does not know: {sys.argv[1:]}")
        if os.environ.get("DOUBLE_NO_GPU"):
            raise RuntimeError("no RTX device was found")
        RUNNING = self
        import omni.usd  # type: ignore[import-not-found]

        omni.usd.get_context().new_stage()

    def close(self, wait_for_replicator: bool = True, skip_cleanup: bool = False) -> None:
        import omni.replicator.core as rep  # type: ignore[import-not-found]

        if rep.leftovers():
            print("left attached:", rep.leftovers(), file=sys.stderr)
        os._exit(0)
