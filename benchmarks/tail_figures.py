"""Figures of the tail study: which rocks are of a tail, how well they are found, and what arms come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.dataset.split_reader import open_split
from regolith.lunar.dataset.strata import bucket_words, strata
from regolith.lunar.perception.metrics import rock_counts, rock_scores
from regolith.lunar.quality.tail_rocks import Predict, Rocks, collect_rocks, joined

TAILS = ("frequency", "error")
ARMS = ("base", "untargeted", *TAILS)
"""What is trained on: the first frames alone, and with as many of each kind more."""


def of_tail(rocks: Rocks, found: Mapping[str, Any]) -> np.ndarray | None:
    """Whether each rock is of a tail, bool [n]; None where one of its variables is known of no rock.

    Args:
        rocks: The rocks.
        found: What `tail.json` holds.
    """
    borders = {name: np.array(border, np.float64) for name, border in found["edges"].items()}
    if not all(np.isfinite(rocks.values[name]).any() for name in borders):
        return None
    wanted = {tuple(row["stratum"][name] for name in borders) for row in found["strata"] if row["tail"]}
    kinds = strata({name: rocks.values[name] for name in borders}, borders)
    words = [tuple(bucket_words(k, edge) for k, edge in zip(kind, borders.values(), strict=True)) for kind in kinds]
    return np.array([word in wanted for word in words])


def supply(split: Path, tails: Mapping[str, Any]) -> dict[str, float]:
    """Rocks of each tail in a frame of a split, the mean."""
    reader = open_split(split)
    rocks = joined(list(collect_rocks(reader)))
    found = {by: of_tail(rocks, tail) for by, tail in tails.items()}
    return {by: float(own.sum()) / len(reader) for by, own in found.items() if own is not None}


def measure(split: Path, predict: Predict, tails: Mapping[str, Any]) -> dict[str, Any]:
    """Measure rock of a split.

    Returns:
        `pixels`, rock-IoU of all pixels together; `all` and, where it can be told, each tail: {rocks, iou}, how many
        and the mean IoU of each with the predicted rock that fits best.
    """
    reader, masks = open_split(split), []

    def look(rgb: np.ndarray) -> np.ndarray:
        masks.append(predict(rgb))
        return masks[-1]

    rocks = joined(list(collect_rocks(reader, look)))
    counts = np.sum([rock_counts(frame.mask, mask) for frame, mask in zip(reader, masks, strict=True)], axis=0)
    own = {"all": np.ones(len(rocks), bool)} | {by: of_tail(rocks, tail) for by, tail in tails.items()}
    return {"pixels": rock_scores(*counts.tolist())["iou"] or 0.0} | {
        name: {"rocks": int(which.sum()), "iou": float(rocks.iou[which].mean()) if which.any() else None}
        for name, which in own.items() if which is not None
    }  # fmt: skip


def figures(row: Mapping[str, Any]) -> dict[str, float]:
    """IoU of a run by what it is of: `test pixels`, `polar all` and so on."""
    found = {f"{name} pixels": part["pixels"] for name, part in row.items()}
    return found | {
        f"{name} {key}": value["iou"]
        for name, part in row.items()
        for key, value in part.items()
        if isinstance(value, Mapping) and value["iou"] is not None
    }


def compare(runs: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, dict[str, Any]]:
    """Compare arms by each figure.

    Args:
        runs: Arm to the figures of each seed, in the same order.

    Returns:
        Figure to arm to {mean, sd, gain}: `gain` over `untargeted` seed by seed, of what a request drew.
    """
    found: dict[str, dict[str, Any]] = {}
    for key in runs["base"][0]:
        values = {arm: np.array([row[key] for row in rows]) for arm, rows in runs.items()}
        found[key] = {
            arm: {"mean": float(of.mean()), "sd": float(of.std(ddof=1)) if len(of) > 1 else None}
            | ({"gain": (of - values["untargeted"]).tolist()} if arm in TAILS else {})
            for arm, of in values.items()
        }
    return found


def say(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The table, in Markdown."""
    lines = [f"| IoU of | {' | '.join(ARMS)} |", "|---" * (1 + len(ARMS)) + "|"]
    for key, arms in found.items():
        cells = []
        for arm in ARMS:
            row = arms[arm]
            gain = f" ({', '.join(f'{value:+.3f}' for value in row['gain'])})" if "gain" in row else ""
            cells.append(f"{row['mean']:.3f} ± {row['sd'] or 0:.3f}{gain}")
        lines.append(f"| {key} | {' | '.join(cells)} |")
    return "\n".join(lines)
