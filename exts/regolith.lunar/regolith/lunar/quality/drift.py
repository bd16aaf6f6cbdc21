"""`regolith drift`: whether new pictures look to a model as those it was made for did."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.files import AnyPath, write_json
from regolith.lunar.jobs.events import Emit
from regolith.lunar.jobs.progress import show
from regolith.lunar.labels import REGOLITH
from regolith.lunar.params import CheckError, InputError, Verb, quantity, sole_folder
from regolith.lunar.perception.calibration import softmax
from regolith.lunar.perception.session import Segmenter, load_model, padded
from regolith.lunar.quality.acquisition import entropy
from regolith.lunar.quality.divergence import (
    FEW_NOTE,
    GROUPS_MIN,
    ROUNDS,
    bootstrap_interval,
    group_kernel,
    mmd_squared,
    neighbour_divergence,
    norm_divergence,
    permutation_p,
    project,
    smallest_p,
)
from regolith.lunar.quality.drift_report import REPORT, write_report
from regolith.lunar.quality.features import STRIDE, Encoder, Features, collect_features
from regolith.lunar.quality.pictures import Pictures, working_px
from regolith.lunar.quality.semantics import SIZE_HELP, say_interval

DRIFT = "drift.json"
TESTS = ("features", "entropy")
"""What is tested, each at the level divided by their number (Bonferroni)."""


class Drift(Verb):
    """Test whether new pictures are drawn as reference pictures are, by a model's features and its entropy."""

    reference: Path = quantity(
        ..., "What the model was made for: a split, or a folder of photographs.", positional=True
    )
    new: Path = quantity(..., "What it sees now: a split, or a folder of photographs.", positional=True)
    model: str = quantity("default", "Model: a shipped one by name, or an .onnx file with its card.")
    level: float = quantity(0.05, "Share of false alarms, both tests together.", ge=0.001, le=0.5, step=0.01)
    size: int | None = quantity(None, SIZE_HELP, unit="px", ge=64, le=8192, step=32)
    seed: int = quantity(0, "Seed of what is drawn: cells, permutations.", ge=0)
    out: Path = quantity(Path("out/drift"), f"Folder of {DRIFT} and {REPORT}.")
    threads: int | None = quantity(None, "CPU threads; left out, one per core.", ge=1, le=1024)
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Test, write the result, and return it.

        Raises:
            CheckError: There is drift; the result is written and is the error's.
        """
        with show(self.events, "drift", "pictures") as emit, sole_folder("out", self.out):
            result = measure_drift(
                self.reference,
                self.new,
                model=self.model,
                level=self.level,
                size=self.size,
                seed=self.seed,
                page=self.out / REPORT,
                threads=self.threads,
                emit=emit,
            )
            write_json(self.out / DRIFT, result)
        if result["alert"]:
            by = " and ".join(name for name in TESTS if result[name]["p"] <= self.level / len(TESTS))
            raise CheckError(f"drift in {by} at level {self.level:g}", result)
        return result

    def summary(self, result: dict[str, Any]) -> str:
        """Give a line for each test."""
        lines = [f"{'of':<9} {'MMD² (95 %)':<26}{'p':>6}  {'JSD, neighbours':<22}JSD, histogram"]
        for name in TESTS:
            row = result[name]
            values = f"{say_interval(row['mmd']):<26}{row['p']:>6.3f}  {say_interval(row['neighbour']):<22}"
            lines.append(f"{name:<9} {values}{say_interval(row['norm'])}")
        means = result["entropy"]["mean"]
        lines.append(f"mean entropy {means[0]:.3f} bit, now {means[1]:.3f} bit")
        lines += [f"note: {note}" for note in result["notes"]]
        return "\n".join([*lines, str(self.out / REPORT)])


def measure_drift(
    reference: AnyPath,
    new: AnyPath,
    *,
    model: AnyPath = "default",
    level: float = 0.05,
    size: int | None = None,
    seed: int = 0,
    page: AnyPath | None = None,
    threads: int | None = None,
    emit: Emit = lambda event: None,
) -> dict[str, Any]:
    """Test whether two sets of pictures look alike to a model; labels are not looked at.

    Two tests by permutation of groups (the scenes of a split, photographs one by one), each at half the level: the
    squared MMD of the features of cells anywhere in the pictures, and that of a group's mean predictive entropy.

    Args:
        reference: A split, or a folder of photographs.
        new: The same.
        model: `.onnx` file with its card, or the name of a shipped one.
        level: Share of false alarms, in (0, 1).
        size: Long side both sets are reduced to [px]; None for the smaller split's.
        seed: Of what is drawn.
        page: HTML file to write, with contact sheets of both; None for none.
        threads: CPU threads; None for one per core.
        emit: Receives `progress` events, dictionaries.

    Returns:
        {alert, level, smallest_p, model, size, seed, reference, new, features, entropy, notes}: `features` and
        `entropy` {mmd, neighbour, norm, p}, the first three {value, interval}; `entropy` also has `mean` of each set
        [bit].

    Raises:
        InputError: No such pictures or model, or too few groups for any p-value at that level.
    """
    sets = [Pictures(Path(reference), field="reference"), Pictures(Path(new), field="new")]
    groups = [pictures.groups for pictures in sets]
    least = smallest_p(groups[0], groups[1])
    if least > level / len(TESTS) or min(groups) < 2:
        found = f"{groups[0]} and {groups[1]} scenes or photographs"
        raise InputError(
            "level",
            level,
            f"no less than {math.ceil(1000 * len(TESTS) * least) / 1000:g} with {found}, at least 2 each; add more",
        )
    px = working_px(sets[0], sets[1], size)
    segmenter = load_model(model, threads=threads, cuda=False)
    encoder = Encoder(segmenter.path, layer=STRIDE, threads=threads)
    looks = [_look(pictures, encoder, segmenter, px, seed, emit) for pictures in sets]
    features = compare_sets(looks[0][0], looks[1][0], seed)
    doubt = compare_sets(looks[0][1], looks[1][1], seed)
    doubt["mean"] = [float(part.values.mean()) for _, part in looks]
    result = {
        "alert": min(features["p"], doubt["p"]) <= level / len(TESTS),
        "level": level,
        "smallest_p": least,
        "model": encoder.words(),
        "size": px,
        "seed": seed,
        "reference": sets[0].words(),
        "new": sets[1].words(),
        "features": features,
        "entropy": doubt,
        "notes": [FEW_NOTE] if min(groups) < GROUPS_MIN else [],
    }
    if page is not None:
        write_report(Path(page), result, sets, [part.values[:, 0] for _, part in looks])
    return result


def _look(
    pictures: Pictures, encoder: Encoder, segmenter: Segmenter, px: int, seed: int, emit: Emit
) -> tuple[Features, Features]:
    """Return features of cells anywhere in the pictures, and the entropy of each picture, float32 [pictures, 1]."""
    entropies: list[float] = []

    def anywhere(rgb: np.ndarray) -> np.ndarray:
        return np.full(rgb.shape[:2], REGOLITH, np.uint8)

    features = collect_features(
        pictures, encoder, px, labeller=anywhere, seed=seed, emit=emit,
        also=lambda picture: entropies.append(mean_entropy(segmenter, picture.rgb)),
    )  # fmt: skip
    _, first = np.unique(features.pictures, return_index=True)
    values = np.array(entropies, np.float32)[:, None]
    whole = Features(values, features.classes[first], features.pictures[first], features.groups[first])
    return features, whole


def mean_entropy(segmenter: Segmenter, rgb: np.ndarray) -> float:
    """Mean over a picture's pixels of the entropy of the classes' probabilities [bit], in [0, log2 3].

    Args:
        segmenter: The model; its card's temperature is in the probabilities.
        rgb: Picture, uint8 [H, W, 3], taken at its own size.
    """
    height, width = rgb.shape[:2]
    p = softmax(segmenter.logits(padded(rgb)[None])[0][:, :height, :width], segmenter.temperature)
    return float(entropy(p).mean())


def even_out(x: Features, y: Features, seed: int) -> tuple[Features, Features]:
    """Draw as many pictures of every group, and as many cells of every picture, as the one of fewest has.

    Groups can be exchanged between the samples only if they are alike but for what is tested, and the mean of many
    pictures varies less than that of one: scenes of several frames and single photographs would alarm by that alone.

    Args:
        x: Features of one sample.
        y: Of the other.
        seed: Of the draw.
    """
    random = np.random.default_rng(seed)
    firsts = [np.unique(part.pictures, return_index=True)[1] for part in (x, y)]
    most = min(_fewest(part.groups[first]) for part, first in zip((x, y), firsts, strict=True))
    drawn: list[Features] = []
    for part, first in zip((x, y), firsts, strict=True):
        pictures = part.pictures[first[_draw_each(part.groups[first], most, random)]]
        drawn.append(part.rows(np.isin(part.pictures, pictures)))
    cells = min(_fewest(part.pictures) for part in drawn)
    x, y = (part.rows(_draw_each(part.pictures, cells, random)) for part in drawn)
    return x, y


def _fewest(labels: np.ndarray) -> int:
    """Return how often the rarest label occurs."""
    return int(np.unique(labels, return_counts=True)[1].min())


def _draw_each(labels: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Return the places of `count` of each label, drawn without replacement, in their order."""
    order = random.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    ordered = labels[order]
    return np.sort(order[np.arange(len(order)) - np.searchsorted(ordered, ordered) < count])


def compare_sets(x: Features, y: Features, seed: int, *, rounds: int = ROUNDS) -> dict[str, Any]:
    """Compare two samples in groups of at least two each, evened out: {mmd, neighbour, norm, p}."""
    x, y = even_out(x, y, seed)
    px, py = project(x.values, y.values)
    kernel = group_kernel(px, py, x.groups, y.groups)
    statistics = {
        "mmd": (mmd_squared(kernel, x.groups, y.groups), -np.inf, 2),
        "neighbour": (neighbour_divergence(px, py, x.groups, y.groups), 0, 1),
        "norm": (norm_divergence(x.values, y.values), 0, 1),
    }
    row: dict[str, Any] = {}
    for key, (statistic, low, high) in statistics.items():
        value = statistic(np.ones(len(x)), np.ones(len(y)))
        interval = bootstrap_interval(statistic, x.groups, y.groups, low=low, high=high, rounds=rounds, seed=seed)
        row[key] = {"value": value, "interval": interval}
    return row | {"p": permutation_p(kernel, int(x.groups.max()) + 1, seed=seed)}
