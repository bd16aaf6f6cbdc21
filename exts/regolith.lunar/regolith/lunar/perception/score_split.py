"""Score a model on a split: every figure from pixel counts summed over all frames."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.dataset.formats.source import Source, read_source
from regolith.lunar.dataset.layout import FrameRecord
from regolith.lunar.files import AnyPath
from regolith.lunar.jobs.events import Emit
from regolith.lunar.labels import NAMES, ROCK
from regolith.lunar.params import sole_folder
from regolith.lunar.perception.calibration import Reliability
from regolith.lunar.perception.metrics import SUN_EDGES_DEG, bin_index, confusion_matrix, scores
from regolith.lunar.perception.overlay import contact_sheet, draw_classes, draw_overlay
from regolith.lunar.perception.results import model_words, save_picture, write_results
from regolith.lunar.perception.rocks import RocksBySize
from regolith.lunar.perception.session import Segmenter, Views, load_model

WORST_MIN_ROCK_PX = 50
"""Frames with less rock than this are never among the worst: a handful of pixels decides their IoU."""


def evaluate_split(
    split: AnyPath,
    *,
    model: Segmenter | AnyPath = "default",
    out: AnyPath | None = None,
    worst: int = 8,
    tta: Views = "none",
    threads: int | None = None,
    emit: Emit = lambda event: None,
) -> dict[str, Any]:
    """Score a model on a split at its frames' own size.

    Args:
        split: Folder of a split.
        model: A loaded model, an `.onnx` file, or the name of a shipped one.
        out: Folder of `results.json` and the worst frames as pictures; None to write nothing.
        worst: How many of the frames of lowest rock-IoU to draw there.
        tta: Views averaged: `none`, `flip`, `flip-scale`, `pyramid` or `fine`.
        threads: CPU threads of a model that is loaded here; None for one per core.
        emit: Receives `progress` events, dictionaries.

    Returns:
        {frames, rock, miou, accuracy, confusion, calibration, by_size, by_sun_elevation, per_frame, pictures, …}:
        `rock` is {iou, precision, recall, …} over all pixels that are not ignored; `confusion` counts them, truth by
        prediction, 3 × 3; `by_size` counts rocks one by one by apparent size [px].

    Raises:
        InputError: No split, a file of it that is not as it was written, no model, or a folder that cannot be written.
    """
    with contextlib.nullcontext() if out is None else sole_folder("out", Path(out)) as folder:
        return _evaluate(Path(split), model, folder, worst, tta, threads, emit)


def _evaluate(
    split: Path,
    model: Segmenter | AnyPath,
    folder: Path | None,
    worst: int,
    tta: Views,
    threads: int | None,
    emit: Emit,
) -> dict[str, Any]:
    segmenter = model if isinstance(model, Segmenter) else load_model(model, threads=threads)
    source = read_source(split)
    frames = source.records
    total = np.zeros((3, 3), np.int64)
    by_sun = [np.zeros((3, 3), np.int64) for _ in SUN_EDGES_DEG[1:]]
    by_size, reliability = RocksBySize(), Reliability()
    rows: list[dict[str, Any]] = []
    for record in frames:
        rgb, truth = _read_frame(source, record)
        prediction = segmenter.predict(rgb, size=None, tta=tta)
        mask = prediction.mask
        confusion = confusion_matrix(truth, mask)
        reliability.add(truth, mask, prediction.confidence)
        total += confusion
        by_size.add(truth, mask)
        sun = record.spec.get("sun_elevation_deg")
        place = None if sun is None else bin_index(float(sun), SUN_EDGES_DEG)
        if place is not None:
            by_sun[place] += confusion
        rows.append({"index": record.index, "rock_px": int(confusion[ROCK].sum()), **scores(confusion)["rock"]})
        emit({"event": "progress", "done": len(rows), "total": len(frames)})
    result = {
        "model": model_words(segmenter),
        "split": str(split),
        "frames": len(frames),
        "tta": tta,
        **scores(total),
        "confusion": total.tolist(),
        "classes": list(NAMES),
        "calibration": {"temperature": segmenter.temperature} | reliability.result(),
        "by_size": by_size.rows(),
        "by_sun_elevation": _sun_rows(by_sun),
        "per_frame": rows,
        "pictures": [],
    }
    if folder is not None:
        result["pictures"] = _draw_worst(segmenter, source, rows, worst, tta, folder)
        write_results(folder, result)
    return result


def _draw_worst(
    segmenter: Segmenter, source: Source, rows: list[dict[str, Any]], worst: int, tta: Views, out: Path
) -> list[str]:
    rocky = (place for place, row in enumerate(rows) if row["rock_px"] >= WORST_MIN_ROCK_PX)
    ranked = sorted(rocky, key=lambda place: (rows[place]["iou"], place))
    drawn = []
    for rank, place in enumerate(ranked[:worst]):
        row = rows[place]
        rgb, truth = _read_frame(source, source.records[place])
        mask = segmenter.predict(rgb, size=None, tta=tta).mask
        sheet = contact_sheet(
            [
                (rgb, f"frame {row['index']}"),
                (draw_classes(truth), "labels"),
                (draw_overlay(rgb, mask), f"predicted, rock-IoU {row['iou']:.2f}"),
            ],
            columns=3,
            cell=max(*rgb.shape[:2], 200),
        )
        path = out / f"worst_{rank:02d}_frame_{row['index']:05d}.png"
        save_picture(sheet, path)
        drawn.append(str(path))
    return drawn


def _read_frame(source: Source, record: FrameRecord) -> tuple[np.ndarray, np.ndarray]:
    return source.array("rgb", record), source.array("mask", record)


def _sun_rows(by_sun: list[np.ndarray]) -> list[dict[str, Any]]:
    return [
        {"from_deg": SUN_EDGES_DEG[i], "to_deg": SUN_EDGES_DEG[i + 1], **scores(confusion)["rock"]}
        for i, confusion in enumerate(by_sun)
        if confusion.any()
    ]
