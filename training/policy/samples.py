"""Batches of decisions: pictures changed as a vision training changes its frames, half of them mirrored."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.params.training import TrainParams
from regolith.lunar.physics.policy import LAG, mirrored
from regolith.lunar.stage.spec import rng
from training.augment import Augmentation
from training.policy.collect import Drives

RECIPE: dict[str, Any] = {
    "photo_gamma": (0.6, 1.7), "photo_contrast": (0.6, 1.5), "photo_brightness": (-0.1, 0.15),
    "photo_light_ev": (1.0, 3.0), "photo_blur_px": (0.0, 1.0), "photo_noise": (0.0, 0.03),
    "lr_min": 1e-6, "weight_decay": 0.01, "grad_clip": 1.0, "init": "random",
}  # fmt: skip
"""What pictures and weights go through, in the terms of a training; the four pictures of a decision alike."""
AHEAD = 3
"""Batches being made while one is computed."""

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Pictures uint8 [N, 2, 2, H, W], readings float32 [N, 13] and the planner's shares float32 [N, 11]."""


def recipe(lr: float, batch: int, photo_share: float) -> TrainParams:
    """The recipe of a round, as the parameters of a training."""
    nowhere = {"train_split": Path(), "val_split": Path(), "out": Path()}
    return TrainParams.model_validate(nowhere | RECIPE | {"lr": lr, "batch": batch, "photo_share": photo_share})


class Samples:
    """Decisions of some drives, in memory."""

    def __init__(self, drives: Sequence[Drives]) -> None:
        """Put drives together; those of no decision add nothing."""
        self._pictures = np.concatenate([each.pictures for each in drives])
        self._readings = np.concatenate([each.readings for each in drives])
        self._shares = np.concatenate([each.shares for each in drives])
        firsts: list[np.ndarray] = []
        count = 0
        for each in drives:
            for length in np.diff(each.ends, prepend=0).tolist():
                firsts.append(np.full(length, count))
                count += length
        self._first = np.concatenate(firsts)
        """First decision of the drive each is of."""

    def __len__(self) -> int:
        return len(self._readings)

    def batches(
        self, order: np.ndarray, size: int, change: Augmentation, keys: Sequence[int | str], workers: int
    ) -> Iterator[Batch]:
        """Yield batches, the next ones being made meanwhile.

        Args:
            order: Decisions to go through.
            size: Decisions per batch.
            change: What pictures go through.
            keys: Seed and names of the stream that changes are drawn from.
            workers: Threads that make them.
        """
        seed, *names = keys
        waiting: deque[list[Future[Batch]]] = deque()
        pool = ThreadPoolExecutor(workers)
        try:
            for start in range(0, len(order), size):
                part = order[start : start + size].tolist()
                waiting.append([pool.submit(self._sample, i, change, rng(int(seed), *names, i)) for i in part])
                if len(waiting) > AHEAD:
                    yield _stacked(waiting.popleft())
            while waiting:
                yield _stacked(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _sample(self, i: int, change: Augmentation, random: np.random.Generator) -> Batch:
        before = max(i - LAG, int(self._first[i]))
        pictures, readings, shares = self._pictures[[i, before]], self._readings[i], self._shares[i]
        flip = random.random() < 0.5
        if change.photometric and change.params.photo_share > 0.0:
            height, width = pictures.shape[2:]
            sheet = pictures.transpose(0, 2, 1, 3).reshape(2 * height, 2 * width)
            changed = change.photograph(np.repeat(sheet[..., None], 3, axis=2), random)[..., 1]
            pictures = changed.reshape(2, height, 2, width).transpose(0, 2, 1, 3)
        if flip:
            pictures, readings, shares = pictures[:, ::-1, :, ::-1], mirrored(readings), shares[::-1]
        return pictures, readings, shares


def _stacked(made: list[Future[Batch]]) -> Batch:
    parts = [one.result() for one in made]
    return np.stack([p for p, _, _ in parts]), np.stack([r for _, r, _ in parts]), np.stack([s for _, _, s in parts])
