"""Rock figures of photographs whose true classes are known: all together, and by group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from regolith.lunar.labels import IGNORE, REGOLITH, ROCK
from regolith.lunar.perception.baseline import ContrastBaseline
from regolith.lunar.perception.calibration import Reliability
from regolith.lunar.perception.metrics import mean_defined, rock_counts, rock_scores
from regolith.lunar.perception.rocks import RocksBySize
from regolith.lunar.perception.session import Prediction


class LabelledPhotos:
    """Sums over labelled photographs."""

    def __init__(self, groups: Sequence[str]) -> None:
        """Begin with none.

        Args:
            groups: Names of the groups whose figures are given apart.
        """
        self._all = _Pool()
        self._groups = {name: _Pool() for name in groups}
        self._baseline = ContrastBaseline()

    def add(self, rgb: np.ndarray, truth: np.ndarray, predicted: Prediction, group: str | None) -> dict[str, Any]:
        """Add a photograph and return its own rock figures.

        Args:
            rgb: Photograph, uint8 [H, W, 3].
            truth: True classes, uint8 [H, W].
            predicted: Predicted classes and their probabilities.
            group: Name of its group, None for none.
        """
        rock = rock_scores(*rock_counts(truth, predicted.mask))
        for pool in (self._all, *([] if group is None else [self._groups[group]])):
            pool.rocks.append(rock)
            pool.by_size.add(truth, predicted.mask)
            pool.reliability.add(_rock_or_not(truth), _rock_or_not(predicted.mask), predicted.confidence)
        self._baseline.add(rgb, truth)
        return rock

    def result(self) -> dict[str, Any]:
        """Return `labelled`, `rock`, `calibration`, `by_size`, and `groups` where there are some.

        Without a mask it is `baseline` alone. Of `calibration`, right is a pixel that is rock as it was called, or no
        rock as it was called: masks of photographs need not know the sky. Its confidence is that of the class called.
        """
        groups = {name: pool.result() for name, pool in self._groups.items() if pool.rocks}
        found = self._all.result() if self._all.rocks else {}
        return found | ({"groups": groups} if groups else {}) | {"baseline": self._baseline.best()}


class _Pool:
    """Photographs whose pixels and rocks are counted together."""

    def __init__(self) -> None:
        self.rocks: list[dict[str, Any]] = []
        self.by_size = RocksBySize()
        self.reliability = Reliability()

    def result(self) -> dict[str, Any]:
        tp, fp, fn = (sum(rock[key] for rock in self.rocks) for key in ("tp", "fp", "fn"))
        return {
            "labelled": len(self.rocks),
            "rock": rock_scores(tp, fp, fn) | {"mean_iou": mean_defined([rock["iou"] for rock in self.rocks])},
            "calibration": self.reliability.result(),
            "by_size": self.by_size.rows(),
        }


def _rock_or_not(classes: np.ndarray) -> np.ndarray:
    """Sky as ground: what is no rock."""
    return np.where((classes == ROCK) | (classes == IGNORE), classes, REGOLITH)
