"""What a quality means to RTX: its render mode, and the frames it gathers for one."""

from __future__ import annotations

from typing import Any

from regolith.lunar.params.models import SAMPLES
from regolith.lunar.render import rtx
from regolith.lunar.render.base import Quality

LEGACY_SUBFRAMES: dict[Quality, int] = {"draft": 2, "default": 8, "reference": 16}
"""Frames RTX gathers for one after a change of light and camera, in Isaac Sim 5.1: its real-time mode needs a few."""
SUBFRAMES: dict[Quality, int] = {**LEGACY_SUBFRAMES, "draft": 16, "default": 64}
"""The same in 6.x, whose real-time mode traces paths and gathers them over time. NVIDIA's own code takes 32 in its
Replicator tests, 36 at least and 800 at most for captured scenes (isaacsim.replicator.experimental.mobility_gen 6.2,
`nurec_overrides`; isaacsim.replicator.nurec_utils 6.2); `render.first_run` measures what more would change."""

PATHS_SUBFRAMES = 16
"""Most frames RTX gathers for one while it traces paths; each has its share of the samples."""


def path_tracing(samples: int, *, denoised: bool) -> dict[str, Any]:
    """Settings by which RTX traces paths.

    Args:
        samples: A pixel, a power of two.
        denoised: Whether OptiX denoises them.
    """
    return {
        "/rtx/rendermode": "PathTracing",
        "/rtx/pathtracing/spp": samples // min(samples, PATHS_SUBFRAMES),
        "/rtx/pathtracing/totalSpp": samples,
        "/rtx/pathtracing/optixDenoiser/enabled": denoised,
    }


PATH_TRACING = path_tracing(SAMPLES["reference"], denoised=False)
"""Quality `reference`: as many samples as the embedded renderer's."""


def gathered_frames() -> dict[Quality, int]:
    """Frames RTX of this Kit gathers for one, by quality."""
    return LEGACY_SUBFRAMES if rtx.kit_version() < rtx.LEGACY else SUBFRAMES


def mode_of(quality: Quality, samples: int | None = None) -> tuple[dict[str, Any], int]:
    """Settings of a render mode, and the frames RTX gathers in it for one.

    Paths are traced in quality `reference`, and in every quality where a number of samples is asked for; OptiX denoises
    these in quality `default`, in which the embedded renderer denoises its bounced light.

    Args:
        quality: Render mode.
        samples: Samples a pixel, a power of two; None for the quality's own.
    """
    if samples is not None:
        return path_tracing(samples, denoised=quality == "default"), min(samples, PATHS_SUBFRAMES)
    mode = PATH_TRACING if quality == "reference" else {"/rtx/rendermode": rtx.real_time_mode()}
    return mode, gathered_frames()[quality]
