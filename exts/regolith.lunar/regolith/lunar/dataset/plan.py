"""The plan of a run: which frames are drawn, in which chunks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby

import numpy as np

from regolith.lunar.dataset.views import Views, scene_of
from regolith.lunar.params import Params


def plan_chunks(
    params: Params,
    missing: Sequence[int] | np.ndarray,
    *,
    chunk_frames: int,
    workers: int,
    views: Views | None = None,
) -> Iterator[tuple[int, ...]]:
    """Cut the missing frames into chunks of whole scenes, in order, each as it is asked for.

    A chunk has about `chunk_frames` frames, fewer where there would be less work than workers.

    Args:
        params: Parameters, for the frames a scene serves.
        missing: Frames to draw, ascending.
        chunk_frames: Most frames of a chunk, a scene more at the most.
        workers: Chunks that run at once.
        views: Frames that were chosen; None where they are drawn.
    """
    target = min(chunk_frames, math.ceil(len(missing) / max(workers, 1)))
    current: list[int] = []
    for _, scene in groupby(map(int, missing), partial(scene_of, params, views)):
        indices = list(scene)
        if current and len(current) + len(indices) > target:
            yield tuple(current)
            current = []
        current += indices
    if current:
        yield tuple(current)
