"""Scores of the transfer study: what can be told of a training set before, or without, labels of real photographs.

The product's own (`quality.semantics`, `quality.appearance`), and candidates: features near rocks alone, a linear probe
carried from one side to the other, whether labels go with features, whether a linear classifier tells the sides apart.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from regolith.lunar.files import replacing
from regolith.lunar.labels import NAMES, REGOLITH, ROCK
from regolith.lunar.quality.appearance import Looks, compare_looks, look_at
from regolith.lunar.quality.divergence import (
    group_kernel,
    mmd_squared,
    neighbour_divergence,
    norm_divergence,
    project,
)
from regolith.lunar.quality.features import CELLS_MAX, Encoder, Features, cell_classes, collect_features, near_rock
from regolith.lunar.quality.frechet import frechet_distance
from regolith.lunar.quality.pictures import Picture, Pictures

PX = 320
"""Long side both sides are brought to [px]: that of the frames."""
SHRINKAGE = 0.1
"""Of the covariance of a probe towards a multiple of the identity."""
LOWER, HIGHER = -1, 1
"""Whether less or more of a score is said to be better."""


def export_imagenet(path: Path) -> Path:
    """Write EfficientNet-Lite0 with its ImageNet weights as ONNX, under a decoder that was never trained.

    `Encoder` reads inside the encoder, at the tensor it reads in the shipped model.
    """
    if not path.exists():
        import torch

        from training.export import write_graph
        from training.networks import build_network

        torch.manual_seed(0)
        network, _ = build_network("efficientnet-lite0", "imagenet", logits_stride=2)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            write_graph(network.eval(), temporary)
    return path


class KeepingEncoder(Encoder):
    """An encoder that keeps the features of the picture it saw last."""

    last: np.ndarray
    """float32 [channels, rows, columns]."""

    def maps(self, rgb: np.ndarray) -> np.ndarray:
        """Return the features of a picture, as `Encoder.maps` does."""
        self.last = super().maps(rgb)
        return self.last


@dataclasses.dataclass(frozen=True)
class Seen:
    """What an encoder sees of a set of pictures."""

    cells: Features
    """Of every class, as the semantic score takes them."""
    near: Features
    """Ground near rocks."""


def see(pictures: Pictures, encoder: KeepingEncoder) -> Seen:
    """Collect the features of a set: cells by class, and cells of ground near rocks (`quality.features.near_rock`)."""
    values: list[np.ndarray] = []
    rows: list[tuple[int, int]] = []
    groups: dict[str, int] = {}
    random = np.random.default_rng(0)

    def near(picture: Picture) -> None:
        group = groups.setdefault(picture.group, len(groups))
        ground = cell_classes(picture.classes, encoder.stride) == REGOLITH
        places = np.flatnonzero(ground & near_rock(picture.classes, encoder.stride))
        if len(places) > CELLS_MAX:
            places = np.sort(random.choice(places, CELLS_MAX, replace=False))
        values.append(encoder.last.reshape(len(encoder.last), -1).T[places])
        rows.extend([(len(values) - 1, group)] * len(places))

    cells = collect_features(pictures, encoder, PX, also=near)
    table = np.array(rows, np.int32).reshape(-1, 2)
    ground = np.full(len(table), REGOLITH, np.uint8)
    return Seen(cells, Features(np.concatenate(values), ground, table[:, 0], table[:, 1]))


def distances(x: Features, y: Features) -> dict[str, float]:
    """The four figures of the semantic score, without intervals; 1 for divergences of what one side lacks."""
    gx, gy = (np.unique(part.groups, return_inverse=True)[1] for part in (x, y))
    if min(gx.max(initial=-1), gy.max(initial=-1)) < 1:
        return {"norm": 1.0, "neighbour": 1.0}
    wx, wy = np.ones(len(x)), np.ones(len(y))
    px, py = project(x.values, y.values)
    return {
        "norm": norm_divergence(x.values, y.values)(wx, wy),
        "neighbour": neighbour_divergence(px, py, gx, gy)(wx, wy),
        "frechet": frechet_distance(px, py)(wx, wy),
        "mmd": mmd_squared(group_kernel(px, py, gx, gy), gx, gy)(wx, wy),
    }


@dataclasses.dataclass(frozen=True)
class Probe:
    """A linear discriminant between two samples."""

    direction: np.ndarray
    """float [d]."""

    @classmethod
    def fit(cls, first: np.ndarray, second: np.ndarray) -> Probe:
        """Fit Fisher's discriminant (1936) with a shrunken pooled covariance; the second sample scores higher.

        Args:
            first: float [n, d].
            second: float [m, d].
        """
        means = [part.mean(axis=0, dtype=np.float64) for part in (first, second)]
        within = [np.cov(part.astype(np.float64), rowvar=False, ddof=0) for part in (first, second)]
        pooled = (within[0] + within[1]) / 2
        identity = np.eye(len(pooled)) * np.trace(pooled) / len(pooled)
        pooled = (1 - SHRINKAGE) * pooled + SHRINKAGE * identity
        return cls(np.linalg.solve(pooled, means[1] - means[0]))

    def auc(self, first: np.ndarray, second: np.ndarray) -> float:
        """Area under the curve: chance that a row of the second sample scores above one of the first, ties half."""
        ranks = rankdata(np.concatenate([first @ self.direction, second @ self.direction]))
        n, m = len(first), len(second)
        return float((ranks[n:].sum() - m * (m + 1) / 2) / (n * m))


def ground_and_rock(seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of ground and of rock."""
    return seen.cells.of_class(REGOLITH).values, seen.cells.of_class(ROCK).values


def held_out_auc(first: Features, second: Features) -> float:
    """How well a probe tells two samples apart on groups it was not fitted on: mean over both halves of the groups."""
    found = []
    for half in (0, 1):
        fitted = [part.values[part.groups % 2 == half] for part in (first, second)]
        left = [part.values[part.groups % 2 != half] for part in (first, second)]
        if min(map(len, (*fitted, *left))) < 2:
            return float("nan")
        found.append(Probe.fit(*fitted).auc(*left))
    return float(np.mean(found))


def feature_scores(synth: Seen, real: Seen) -> dict[str, tuple[float, int]]:
    """Scores of features, by name, each with the direction that is said to be better."""
    found: dict[str, tuple[float, int]] = {}
    for name, value in (("ground", REGOLITH), ("rock", ROCK)):
        for key, distance in distances(synth.cells.of_class(value), real.cells.of_class(value)).items():
            found[f"{name} {key}"] = distance, LOWER
        found[f"{name} told apart"] = held_out_auc(real.cells.of_class(value), synth.cells.of_class(value)), LOWER
    for key in ("norm", "neighbour", "mmd"):
        if all(f"{name} {key}" in found for name in ("ground", "rock")):
            found[f"mean of both {key}"] = (found[f"ground {key}"][0] + found[f"rock {key}"][0]) / 2, LOWER
    for key, distance in distances(synth.near, real.near).items():
        found[f"ground near rocks {key}"] = distance, LOWER
    ours, theirs = ground_and_rock(synth), ground_and_rock(real)
    probe, other = Probe.fit(*ours), Probe.fit(*theirs)
    found["probe, synthetic to real"] = probe.auc(*theirs), HIGHER
    found["probe, synthetic to real, near rocks"] = probe.auc(real.near.values, theirs[1]), HIGHER
    found["probe, real to synthetic"] = other.auc(*ours), HIGHER
    found["probe within synthetic"] = (
        held_out_auc(synth.cells.of_class(REGOLITH), synth.cells.of_class(ROCK)),
        HIGHER,
    )
    return found


def rock_share(pictures: Pictures) -> float:
    """Share of rock among the pixels of ground and rock of a set."""
    counts = np.zeros(len(NAMES))
    for picture in pictures.read(PX):
        counts += np.bincount(picture.classes.ravel(), minlength=256)[: len(NAMES)]
    return float(counts[ROCK] / (counts[ROCK] + counts[REGOLITH]))


def looks_of(pictures: Pictures) -> list[tuple[str, dict[int, Looks]]]:
    """How each class looks in each picture, with the picture's group."""
    return [(picture.group, look_at(picture.rgb, picture.classes)) for picture in pictures.read(PX)]


def appearance_scores(
    synth: list[tuple[str, dict[int, Looks]]], real: list[tuple[str, dict[int, Looks]]]
) -> dict[str, tuple[float, int]]:
    """Figures of the appearance score of ground and rock, by name, with the direction that is said to be better."""
    found: dict[str, tuple[float, int]] = {}
    for name, value in (("ground", REGOLITH), ("rock", ROCK)):
        sides = [[(group, looks[value]) for group, looks in side if value in looks] for side in (synth, real)]
        row = compare_looks(sides[0], sides[1], NAMES[value], 0)
        figures: dict[str, Any] = {
            "spectrum [dB]": row["spectrum"] and row["spectrum"]["rms_db"],
            "luminance": row["luminance"]["jsd"] and row["luminance"]["jsd"]["value"],
            "edges": row["edges"]["jsd"] and row["edges"]["jsd"]["value"],
            "shadow": abs(row["shadow"]["difference"]["value"]),
        }
        found |= {f"{name} {key}": (value, LOWER) for key, value in figures.items() if value is not None}
    return found
