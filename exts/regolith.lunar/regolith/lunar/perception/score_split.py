"""Score a model on a split: every figure from pixel counts summed over all frames."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.dataset.columns import ColumnTable, sole_split, write_columns
from regolith.lunar.dataset.formats.source import Source, read_source
from regolith.lunar.dataset.layout import FrameRecord
from regolith.lunar.dataset.strata import frame_strata
from regolith.lunar.files import AnyPath
from regolith.lunar.jobs.events import Emit
from regolith.lunar.labels import NAMES, ROCK
from regolith.lunar.params import Verb, check_values, quantity, sole_folder
from regolith.lunar.perception.calibration import Reliability
from regolith.lunar.perception.metrics import SUN_EDGES_DEG, bin_index, confusion_matrix, scores
from regolith.lunar.perception.model_files import MODEL_HELP
from regolith.lunar.perception.overlay import SHEET_CELLS, contact_sheet, draw_classes, draw_overlay, sheet_cell
from regolith.lunar.perception.results import model_words, save_picture, save_reliability, save_sheet, write_results
from regolith.lunar.perception.rocks import RocksBySize
from regolith.lunar.perception.session import Segmenter, load_model
from regolith.lunar.perception.views import TTA_HELP, Views

WORST_MIN_ROCK_PX = 50
"""Frames with less rock than this are never among the worst: a handful of pixels decides their IoU."""


class SplitScoring(Verb):
    """What is scored on a split, and how."""

    model: str = quantity("default", MODEL_HELP)
    split: Path = quantity(..., "Split to score it on, a folder written by `regolith generate`.")
    out: Path = quantity(
        Path("out/evaluate-synth"), "Folder of results.json, reliability.png and the worst frames as pictures."
    )
    worst: int = quantity(8, "Frames of lowest rock-IoU to draw.", ge=0, le=1000)
    tta: Views = quantity("none", TTA_HELP)
    columns: bool = quantity(False, "Also write the figures of each frame into the split: columns/evaluate.jsonl.")
    threads: int | None = quantity(None, "CPU threads; left out, one per core.", ge=1, le=1024)


def evaluate_split(
    split: AnyPath,
    *,
    model: Segmenter | AnyPath = "default",
    out: AnyPath | None = None,
    worst: int = 8,
    tta: Views = "none",
    columns: bool = False,
    threads: int | None = None,
    emit: Emit = lambda event: None,
) -> dict[str, Any]:
    """Score a model on a split at its frames' own size.

    Args:
        split: Folder of a split.
        model: A loaded model, an `.onnx` file, or the name of a shipped one.
        out: Folder of `results.json`, `reliability.png` and the worst frames as pictures; None to write nothing.
        worst: How many of the frames of lowest rock-IoU to draw there.
        tta: Views averaged: `none`, `flip`, `flip-scale`, `pyramid` or `fine`.
        columns: Whether to write the figures of each frame into the split (`dataset.columns`).
        threads: CPU threads of a model that is loaded here; None for one per core.
        emit: Receives `progress` events, dictionaries.

    Returns:
        {frames, rock, miou, accuracy, confusion, calibration, by_size, by_sun_elevation, strata, per_frame, …}:
        `rock` is {iou, precision, recall, …} over all pixels that are not ignored; `confusion` counts them, truth by
        prediction, 3 × 3; `by_size` counts rocks one by one by apparent size [px]; `strata` have a contact sheet each;
        `reliability` is the plot of `calibration`.

    Raises:
        InputError: An argument that does not fit, no split, a file of it that is not as it was written, no model, or a
            folder that cannot be written.
    """
    check_values(SplitScoring, worst=worst, tta=tta, columns=columns, threads=threads)
    with contextlib.ExitStack() as stack:
        folder = None if out is None else stack.enter_context(sole_folder("out", Path(out)))
        if columns:
            stack.enter_context(sole_split("split", Path(split), folder))
        result = _evaluate(Path(split), model, folder, worst, tta, threads, emit)
        if columns:
            _write_columns(read_source(Path(split)), result)
        return result


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
    strata = _Strata(frames)
    rows: list[dict[str, Any]] = []
    for number, record in enumerate(frames):
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
        strata.add(number, record.index, rgb, mask, confusion)
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
        "strata": strata.rows(folder),
        "per_frame": rows,
        "pictures": [],
    }
    if folder is not None:
        result["pictures"] = _draw_worst(segmenter, source, rows, worst, tta, folder)
        result["reliability"] = save_reliability(folder, result["calibration"])
        write_results(folder, result)
    return result


class _Strata:
    """Frames by what makes them alike: figures of each stratum, and a few of its frames to be shown."""

    def __init__(self, frames: Sequence[FrameRecord]) -> None:
        self._strata = frame_strata([frames])
        self._of = {place: k for k, stratum in enumerate(self._strata) for place in stratum.places[0]}
        self._shown = {place for stratum in self._strata for place in stratum.shown(0, SHEET_CELLS)}
        self._confusion = np.zeros((len(self._strata), 3, 3), np.int64)
        self._cells: list[list[tuple[np.ndarray, str]]] = [[] for _ in self._strata]

    def add(self, place: int, number: int, rgb: np.ndarray, mask: np.ndarray, confusion: np.ndarray) -> None:
        """Add a frame: its place among the frames, its number, what it shows, what was predicted, counts of pixels."""
        k = self._of[place]
        self._confusion[k] += confusion
        if place in self._shown:
            iou = scores(confusion)["rock"]["iou"]
            words = f"frame {number}" + ("" if iou is None else f", rock-IoU {iou:.2f}")
            self._cells[k].append((sheet_cell(draw_overlay(rgb, mask)), words))

    def rows(self, out: Path | None) -> list[dict[str, Any]]:
        """Words, frames and rock figures of each stratum, and its contact sheet where there is a folder."""
        return [
            {
                "stratum": stratum.words,
                "frames": len(stratum.places[0]),
                **scores(self._confusion[k])["rock"],
                "sheet": None if out is None else save_sheet(out, k, self._cells[k]),
            }
            for k, stratum in enumerate(self._strata)
        ]


def _write_columns(source: Source, result: dict[str, Any]) -> None:
    """Write the figures of each frame into the split; it is held, so its frames are those that were scored."""
    rows, model = result["per_frame"], result["model"]
    figures = {
        "rock_iou": "IoU of the rock class, where rock is true or predicted",
        "rock_precision": "share of predicted rock that is rock, where some is predicted",
        "rock_recall": "share of rock that is predicted rock, where there is some",
    }
    columns = {
        name: (what, [math.nan if (value := row[name[5:]]) is None else value for row in rows])
        for name, what in figures.items()
    }
    about = {"model": model["file"], "sha256": model["sha256"], "tta": result["tta"]}
    numbers = [row["index"] for row in rows]
    table = ColumnTable.of("evaluate", "regolith evaluate synth", about, numbers, columns)
    write_columns(source.folder, table, source.records)


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
