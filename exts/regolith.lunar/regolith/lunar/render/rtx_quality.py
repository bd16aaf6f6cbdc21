"""What a quality means to RTX: its render mode, and the frames it gathers for one."""

from __future__ import annotations

from typing import Any

from regolith.lunar.render import rtx
from regolith.lunar.render.base import Quality

LEGACY_SUBFRAMES: dict[Quality, int] = {"draft": 2, "default": 8, "reference": 16}
"""Frames RTX gathers for one after a change of light and camera, in Isaac Sim 5.1: its real-time mode needs a few."""
SUBFRAMES: dict[Quality, int] = {**LEGACY_SUBFRAMES, "draft": 16, "default": 64}
"""The same in 6.x, whose real-time mode traces paths and gathers them over time. NVIDIA's own code takes 32 in its
Replicator tests, 36 at least and 800 at most for captured scenes (isaacsim.replicator.experimental.mobility_gen 6.2,
`nurec_overrides`; isaacsim.replicator.nurec_utils 6.2); `render.first_run` measures what more would change."""

PATH_TRACING: dict[str, Any] = {
    "/rtx/rendermode": "PathTracing",
    "/rtx/pathtracing/spp": 16,
    "/rtx/pathtracing/totalSpp": 256,
    "/rtx/pathtracing/optixDenoiser/enabled": False,
}
"""Quality `reference`: as many samples as the embedded renderer's, its subframes times 16."""


def gathered_frames() -> dict[Quality, int]:
    """Frames RTX of this Kit gathers for one, by quality."""
    return LEGACY_SUBFRAMES if rtx.kit_version() < rtx.LEGACY else SUBFRAMES
