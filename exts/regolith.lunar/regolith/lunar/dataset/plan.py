"""The plan of a run: which frames are drawn, in which chunks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from regolith.lunar.params import Params
from regolith.lunar.randomize import scene_number


def plan_chunks(params: Params, missing: Sequence[int], *, chunk_frames: int, workers: int) -> list[tuple[int, ...]]:
    """Cut the missing frames into chunks of whole scenes, in order.

    A chunk has about `chunk_frames` frames, fewer where there would be less work than workers.

    Args:
        params: Parameters, for the frames a scene serves.
        missing: Frames to draw, ascending.
        chunk_frames: Most frames of a chunk, a scene more at the most.
        workers: Chunks that run at once.
    """
    scenes: dict[int, list[int]] = {}
    for index in missing:
        scenes.setdefault(scene_number(params, index), []).append(index)
    target = min(chunk_frames, math.ceil(len(missing) / max(workers, 1)))
    chunks: list[tuple[int, ...]] = []
    current: list[int] = []
    for indices in scenes.values():
        if current and len(current) + len(indices) > target:
            chunks.append(tuple(current))
            current = []
        current += indices
    return [*chunks, tuple(current)] if current else chunks
