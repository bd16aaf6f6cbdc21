"""Exported models that look at a picture: as what is asked how sure it is, and as a teacher that labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from regolith.lunar.labels import IGNORE
from regolith.lunar.params import InputError
from regolith.lunar.perception.calibration import softmax
from regolith.lunar.perception.session import Segmenter, load_model, padded
from regolith.lunar.perception.views import Views
from regolith.lunar.quality.acquisition import Posterior
from regolith.lunar.quality.features import Encoder

FEATURE_STRIDE = 32
"""Stride of the tensor whose mean over a picture is its features."""


@dataclasses.dataclass(frozen=True)
class Look:
    """What a model says of a picture of height H and width W."""

    posterior: Posterior
    """Of its passes, each [3, H, W]."""
    features: np.ndarray
    """Mean of an encoder's coarsest feature map, float [channels]."""


class Looker(Protocol):
    """What gives passes over a picture: checkpoints with dropout, an ensemble of checkpoints or exported models."""

    passes: int
    """Passes over each picture; their disagreement needs two."""

    def look(self, rgb: np.ndarray) -> Look:
        """Look at a picture, uint8 [H, W, 3], at its own size."""
        ...

    def words(self) -> dict[str, Any]:
        """What it is, for a result."""
        ...


class Ensemble:
    """Exported models, each of which gives one pass."""

    def __init__(self, models: Sequence[str], *, threads: int | None = None) -> None:
        """Load the models.

        Args:
            models: Names of shipped models, or .onnx files with their cards.
            threads: CPU threads; left out, onnxruntime decides.

        Raises:
            InputError: One is none, or has no features of stride 32.
        """
        self._members = [load_model(model, threads=threads, cuda=False) for model in models]
        self._encoder = Encoder(self._members[0].path, layer=FEATURE_STRIDE, threads=threads)
        self.passes = len(self._members)

    def look(self, rgb: np.ndarray) -> Look:
        """Look at a picture, uint8 [H, W, 3], at its own size; each card's temperature is in the probabilities."""
        height, width = rgb.shape[:2]
        posterior = Posterior()
        for member in self._members:
            logits = member.logits(padded(rgb)[None])[0][:, :height, :width]
            posterior.add(softmax(logits, member.temperature)[None])
        return Look(posterior, self._encoder.maps(rgb).mean(axis=(1, 2)))

    def words(self) -> dict[str, Any]:
        """What they are, for a result: {files, passes, drawn}."""
        return {"files": model_words(self._members), "passes": self.passes, "drawn": "members"}


class Teacher:
    """Exported models that label what they are sure of, in the averaged views that each card names for photographs."""

    def __init__(
        self, models: Sequence[str], *, sure: float, views: Views | None = None, threads: int | None = None
    ) -> None:
        """Load the models.

        Args:
            models: Names of shipped models, or .onnx files with their cards.
            sure: Probability a class needs, by the temperature of the card, mean over the models, in (0.5, 1].
            views: Views that are averaged; None for those of each card.
            threads: CPU threads; left out, onnxruntime decides.

        Raises:
            InputError: One is no model, by the name `teacher`.
        """
        try:
            self._members = [load_model(model, threads=threads, cuda=False) for model in models]
        except InputError as error:
            raise InputError("teacher", error.value, error.allowed) from None
        self.sure = sure
        self.views: Views | None = views

    def label(self, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Label a picture, whole, for the size it is looked at decides what a view shows.

        Args:
            rgb: Picture, uint8 [H, W, 3].

        Returns:
            Classes uint8 [H, W], `IGNORE` where models differ or are not sure enough, and the mean probability of the
            class, float32 [H, W].
        """
        answers = [member.predict(rgb, size=member.photo_px, tta=self._views(member)) for member in self._members]
        classes = answers[0].mask.copy()
        confidence = np.stack([answer.confidence for answer in answers]).mean(axis=0)
        agreed = np.all([answer.mask == classes for answer in answers], axis=0)
        classes[~agreed | (confidence < self.sure)] = IGNORE
        return classes, confidence

    def _views(self, member: Segmenter) -> Views:
        return member.photo_tta if self.views is None else self.views

    def words(self) -> dict[str, Any]:
        """What it is, for a result: {files, views, sure}."""
        views = [self._views(member) for member in self._members]
        return {"files": model_words(self._members), "views": views, "sure": self.sure}


def model_words(members: Sequence[Segmenter]) -> list[dict[str, str]]:
    """Name the files of models: [{file, sha256}]."""
    return [{"file": member.path.name, "sha256": member.card["sha256"]} for member in members]
