"""`regolith score semantics`: how unlike synthetic and real pictures are to a frozen encoder, class by class."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import numpy as np

from regolith.lunar.dataset.splits import is_split
from regolith.lunar.files import AnyPath, write_json
from regolith.lunar.jobs.events import Emit
from regolith.lunar.jobs.progress import show
from regolith.lunar.labels import CLASSES, NAMES
from regolith.lunar.params import InputError, Verb, quantity, sole_folder
from regolith.lunar.params.fields import words_of
from regolith.lunar.perception.session import load_model
from regolith.lunar.quality.divergence import (
    FEW_NOTE,
    GROUPS_MIN,
    Divergence,
    Statistic,
    bootstrap_interval,
    group_kernel,
    mmd_squared,
    neighbour_divergence,
    norm_divergence,
    permutation_p,
    project,
)
from regolith.lunar.quality.features import STRIDE, STRIDES, Encoder, Features, collect_features
from regolith.lunar.quality.frechet import frechet_distance
from regolith.lunar.quality.pictures import Labeller, Pictures, working_px

SEMANTICS = "semantics.json"
GROUND = "regolith"
Which = Literal["neighbour", "norm"]
"""Divergences a threshold can be held against."""
REAL_HELP = "Real pictures: a folder of photographs, or a split of imported ones."
MASKS_HELP = (
    "Folder of the photographs' classes, NAME.png or NAME_mask.png, or `apollo`, the shipped masks of Apollo "
    "photographs; left out, the model's own predictions, and the result says so."
)
SIZE_HELP = "Long side pictures are reduced to; left out, the smaller split's, or 512 where there is none."


class ScoreSemantics(Verb):
    """Compare what an encoder sees of each class in synthetic and in real pictures."""

    synth: Path = quantity(..., "Split of synthetic frames.", positional=True)
    real: Path = quantity(..., REAL_HELP)
    masks: Path | None = quantity(None, MASKS_HELP)
    model: str = quantity("default", "Encoder: a shipped model by name, or an .onnx file.")
    layer: str = quantity(
        str(STRIDE), "Stride of the features, 2, 4, 8, 16 or 32, or the name of a tensor of the model's graph."
    )
    classes: str = quantity(",".join(NAMES), "Classes to compare; name only those that both sides have labelled.")
    size: int | None = quantity(None, SIZE_HELP, unit="px", ge=64, le=8192, step=32)
    seed: int = quantity(0, "Seed of what is drawn: cells, bootstrap, permutations.", ge=0)
    out: Path = quantity(Path("out/score-semantics"), f"Folder of {SEMANTICS}.")
    threads: int | None = quantity(None, "CPU threads; left out, one per core.", ge=1, le=1024)
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Compare, write the result, and return it."""
        with show(self.events, "score semantics", "pictures") as emit, sole_folder("out", self.out):
            result = score_semantics(
                self.synth,
                self.real,
                masks=self.masks,
                model=self.model,
                layer=read_layer(self.layer),
                classes=words_of(self.classes),
                size=self.size,
                seed=self.seed,
                threads=self.threads,
                emit=emit,
            )
            write_json(self.out / SEMANTICS, result)
        return result

    def summary(self, result: dict[str, Any]) -> str:
        """Give a line for each class."""
        rows = result["classes"] | result["regions"]
        width = max(map(len, rows))
        head = f"{'class':<{width}} {'cells':>12}  {'JSD, norms':<22}{'JSD, neighbours':<22}{'Fréchet':>8}  MMD² (p)"
        lines = [head]
        for name, row in rows.items():
            cells = "{} / {}".format(*row["cells"])
            mmd = "" if row["mmd"] is None else f"{row['mmd']['value']:.3f} ({row['mmd']['p']:.3f})"
            distance = "" if row["frechet"] is None else f"{row['frechet']['value']:.2f}"
            values = "".join(f"{say_interval(row[key]):<22}" for key in ("norm", "neighbour"))
            lines.append(f"{name:<{width}} {cells:>12}  {values}{distance:>8}  {mmd}".rstrip())
        lines += [f"{name}: {row['note']}" for name, row in rows.items() if row["note"]]
        lines += [f"note: {note}" for note in result["notes"]]
        return "\n".join([*lines, str(self.out / SEMANTICS)])


def read_layer(text: str) -> str | int:
    """Read a stride, or else the name of a tensor: of what is no stride there is none, and a name may be digits."""
    return next((stride for stride in STRIDES if text == str(stride)), text)


def say_interval(row: dict[str, Any] | None) -> str:
    """Write a value and its interval for a table; empty for none."""
    if row is None:
        return "–"
    interval = row["interval"]
    return f"{row['value']:.3f}" + ("" if interval is None else f" ({interval[0]:.3f} … {interval[1]:.3f})")


def score_semantics(
    synth: AnyPath,
    real: AnyPath,
    *,
    masks: AnyPath | None = None,
    model: AnyPath = "default",
    layer: str | int = STRIDE,
    classes: tuple[str, ...] = NAMES,
    size: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    emit: Emit = lambda event: None,
) -> dict[str, Any]:
    """Compare what a frozen encoder sees of each class in two sets of pictures.

    Args:
        synth: A split.
        real: A folder of photographs, or a split.
        masks: Folder of the photographs' masks, or `apollo`; None to take the classes a model predicts: `model`, or the
            default one where `model` is an encoder without a card.
        model: `.onnx` file, or the name of a shipped one, as `Encoder` takes it.
        layer: Stride of the features [px], or the name of a tensor of the graph.
        classes: Names of the classes to compare.
        size: Long side both sets are reduced to [px]; None for the smaller split's.
        seed: Of what is drawn.
        threads: CPU threads; None for one per core.
        emit: Receives `progress` events, dictionaries.

    Returns:
        {model, size, seed, synth, real, classes, regions, notes}: `classes` has a row each with `cells`, `pictures` and
        `groups` (of synth, of real), `norm`, `neighbour`, `frechet` and `mmd`, each {value, interval} (`mmd` with `p`)
        or None where it cannot be told, and a `note`. A class that one side lacks has divergences of 1. `regions` has
        such rows of ground within `features.NEAR_CELLS` cells of a rock and of the rest, where regolith is compared.

    Raises:
        InputError: No such pictures, masks, model, layer or class.
    """
    seen = see_both(
        open_both(synth, real, masks), model=model, layer=layer, classes=classes, size=size, seed=seed, threads=threads,
        emit=emit,
    )  # fmt: skip
    return compare_seen(seen, classes, seed) | {"regions": _compare_regions(seen, seed) if GROUND in classes else {}}


@dataclasses.dataclass(frozen=True)
class Seen:
    """What an encoder saw of synthetic and of real pictures."""

    encoder: Encoder
    px: int
    """Long side both were brought to [px]."""
    pictures: tuple[Pictures, Pictures]
    features: tuple[Features, Features]
    labeller: Labeller | None
    """What the classes of the real ones were taken from instead of labels."""

    def of_class(self, name: str) -> tuple[Features, Features]:
        """Return the features of one class."""
        x, y = (side.of_class(CLASSES[name]) for side in self.features)
        return x, y


def open_both(synth: AnyPath, real: AnyPath, masks: AnyPath | None) -> tuple[Pictures, Pictures]:
    """Open synthetic and real pictures; arguments and errors as of `score_semantics`."""
    if not is_split(Path(synth)):
        raise InputError("synth", str(synth), "a split, as `regolith generate` writes")
    first = Pictures(Path(synth), field="synth")
    return first, Pictures(Path(real), field="real", masks=None if masks is None else Path(masks))


def see_both(
    pictures: tuple[Pictures, Pictures], *, model: AnyPath, layer: str | int, classes: tuple[str, ...],
    size: int | None, seed: int, threads: int | None, emit: Emit,
) -> Seen:  # fmt: skip
    """Look at both sets of pictures; other arguments and errors as of `score_semantics`."""
    unknown = [name for name in classes if name not in CLASSES]
    if unknown or not classes:
        raise InputError("classes", ",".join(unknown), ",".join(NAMES))
    first, second = pictures
    px = working_px(first, second, size)
    encoder = Encoder(Path(model), layer=layer, threads=threads)
    labeller = _predictor(encoder.path, threads) if second.labels == "pseudo" else None
    x = collect_features(first, encoder, px, seed=seed, emit=emit)
    y = collect_features(second, encoder, px, labeller=labeller, seed=seed, emit=emit)
    return Seen(encoder, px, pictures, (x, y), labeller)


def compare_seen(seen: Seen, classes: tuple[str, ...], seed: int) -> dict[str, Any]:
    """Compare what was seen, class by class; the result is that of `score_semantics`."""
    first, second = seen.pictures
    return {
        "model": seen.encoder.words(),
        "size": seen.px,
        "seed": seed,
        "synth": first.words(),
        "real": second.words(),
        "classes": {name: compare_class(*seen.of_class(name), name, seed) for name in classes},
        "notes": [PSEUDO_NOTE] if seen.labeller is not None else [],
    }


def _compare_regions(seen: Seen, seed: int) -> dict[str, Any]:
    """Compare ground near rocks, and ground that is not; rows as of a class."""
    x, y = seen.of_class(GROUND)
    assert x.near is not None and y.near is not None
    return {
        "regolith near rocks": compare_class(x.rows(x.near), y.rows(y.near), "regolith near rocks", seed),
        "regolith elsewhere": compare_class(x.rows(~x.near), y.rows(~y.near), "regolith elsewhere", seed),
    }


PSEUDO_NOTE = (
    "the real pictures have no labels: their classes are what the model predicts, and its errors are in the score"
)


def _predictor(model: Path, threads: int | None) -> Labeller:
    """Return what labels photographs."""
    segmenter = load_model(labelling_model(model), threads=threads, cuda=False)
    return lambda rgb: segmenter.segment(rgb).mask


def labelling_model(model: Path) -> Path | str:
    """Return the model that labels photographs: an encoder where it has a card, else the default one."""
    return model if model.with_suffix(".json").is_file() else "default"


def divergence_of(x: Features, y: Features, which: Which) -> Divergence:
    """Prepare a divergence of the features of one class, of two or more groups a side unless norms are compared.

    Args:
        x: Features of synthetic pictures.
        y: Features of real ones.
        which: The figure of `score_semantics`.
    """
    if which == "norm":
        return norm_divergence(x.values, y.values)
    return neighbour_divergence(*project(x.values, y.values), *_groups(x, y))


def _groups(x: Features, y: Features) -> tuple[np.ndarray, np.ndarray]:
    """Groups of the rows of both, numbered from 0."""
    return np.unique(x.groups, return_inverse=True)[1], np.unique(y.groups, return_inverse=True)[1]


def compare_class(x: Features, y: Features, name: str, seed: int) -> dict[str, Any]:
    """Compare the features of one class.

    Args:
        x: Features of synthetic pictures.
        y: Features of real ones.
        name: Of the class, for the note.
        seed: Of bootstrap and permutations.

    Returns:
        A row as in `score_semantics`.
    """
    gx, gy = _groups(x, y)
    groups = [int(g.max(initial=-1)) + 1 for g in (gx, gy)]
    row: dict[str, Any] = {
        "cells": [len(x), len(y)],
        "pictures": [len(np.unique(part.pictures)) for part in (x, y)],
        "groups": groups,
        "norm": None,
        "neighbour": None,
        "frechet": None,
        "mmd": None,
        "note": "",
    }
    if not len(x) and not len(y):
        return row | {"note": f"no {name} on either side"}
    if not len(x) or not len(y):
        missing = {"value": 1.0, "interval": None}
        side = "synthetic" if not len(x) else "real"
        return row | {
            "norm": missing,
            "neighbour": missing,
            "note": f"no {name} on the {side} side: as unlike as can be",
        }
    if min(groups) < 2:
        only = divergence_of(x, y, "norm")(np.ones(len(x)), np.ones(len(y)))
        note = "in one picture, or pictures of one scene, of a side: neither interval nor p-value can be given"
        return row | {"norm": {"value": only, "interval": None}, "note": note}
    px, py = project(x.values, y.values)
    kernel = group_kernel(px, py, gx, gy)
    statistics: dict[str, tuple[Statistic, float, float]] = {
        "norm": (divergence_of(x, y, "norm"), 0, 1),
        "neighbour": (divergence_of(x, y, "neighbour"), 0, 1),
        "frechet": (frechet_distance(px, py), 0, np.inf),
        "mmd": (mmd_squared(kernel, gx, gy), -np.inf, 2),
    }
    for key, (statistic, low, high) in statistics.items():
        value = statistic(np.ones(len(x)), np.ones(len(y)))
        interval = bootstrap_interval(statistic, gx, gy, low=low, high=high, seed=seed)
        row[key] = {"value": value, "interval": interval}
    if min(groups) < GROUPS_MIN:
        row["note"] = FEW_NOTE
    row["mmd"]["p"] = permutation_p(kernel, groups[0], seed=seed)
    return row
