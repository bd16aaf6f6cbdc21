"""`regolith evaluate synth` and `regolith evaluate real`: score a model on a split and on photographs."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from PIL import Image

from regolith.lunar.dataset.layout import FrameRecord, frame_paths
from regolith.lunar.files import write_json
from regolith.lunar.jobs.events import Emit
from regolith.lunar.labels import NAMES, ROCK, SKY
from regolith.lunar.params import CheckError, InputError, Verb, quantity, writable_folder
from regolith.lunar.perception.baseline import ContrastBaseline
from regolith.lunar.perception.metrics import (
    SUN_EDGES_DEG,
    RockSizeRecall,
    bin_index,
    class_share,
    confusion_matrix,
    rock_counts,
    rock_scores,
    scores,
)
from regolith.lunar.perception.overlay import contact_sheet, draw_classes, draw_overlay
from regolith.lunar.perception.photos import find_photos, read_mask, read_photo
from regolith.lunar.perception.session import Segmenter, Views

RESULTS = "results.json"
FLOOD_NOTE = (
    "flood is the share of a photograph's own pixels called rock; a model that never predicts rock scores 0, "
    "so read it beside rock recall and IoU on labelled photographs (--masks)"
)
BAR_FROM = 200
"""Pictures above which a progress bar is shown."""
MODEL_HELP = "Model to score: an .onnx file, or a shipped one by name, `default` or a variant such as `default-fp16`."
TTA_HELP = "Views averaged: none, the picture with its mirror image (flip), or both at three sizes (flip-scale)."
WORST_MIN_ROCK_PX = 50
"""Frames with less rock than this are never among the worst: a handful of pixels decides their IoU."""


class EvaluateSynth(Verb):
    """Score a model on a generated split: every figure from pixel counts summed over all frames."""

    model: str = quantity("default", MODEL_HELP)
    split: Path = quantity(..., "Split to score it on, a folder written by `regolith generate`.")
    out: Path = quantity(Path("out/evaluate-synth"), "Folder of results.json and the worst frames as pictures.")
    worst: int = quantity(8, "Frames of lowest rock-IoU to draw.", ge=0, le=1000)
    tta: Views = quantity("none", TTA_HELP)
    threads: int | None = quantity(None, "CPU threads; left out, one per core.", ge=1, le=1024)
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Score the split, write results and pictures, and return the results."""
        writable_folder("out", self.out)
        segmenter = Segmenter(self.model, threads=self.threads)
        frames = list(frame_paths(self.split))
        with _progress(self.events, "frames", len(frames)) as emit:
            return self._run(segmenter, frames, emit)

    def _run(self, segmenter: Segmenter, frames: list[tuple[FrameRecord, Path, Path]], emit: Emit) -> dict[str, Any]:
        total = np.zeros((3, 3), np.int64)
        by_sun = [np.zeros((3, 3), np.int64) for _ in SUN_EDGES_DEG[1:]]
        by_size = RockSizeRecall()
        rows: list[dict[str, Any]] = []
        for record, rgb_path, mask_path in frames:
            rgb, truth = _read_frame(rgb_path, mask_path)
            mask = segmenter.predict(rgb, size=None, tta=self.tta).mask
            confusion = confusion_matrix(truth, mask)
            total += confusion
            by_size.add(truth, mask)
            sun = record.spec.get("sun_elevation_deg")
            place = None if sun is None else bin_index(float(sun), SUN_EDGES_DEG)
            if place is not None:
                by_sun[place] += confusion
            rows.append({"index": record.index, "rock_px": int(confusion[ROCK].sum()), **scores(confusion)["rock"]})
            emit({"event": "progress", "done": len(rows), "total": len(frames)})
        result = {
            "model": _model_name(segmenter),
            "split": str(self.split),
            "frames": len(frames),
            "tta": self.tta,
            **scores(total),
            "confusion": total.tolist(),
            "classes": list(NAMES),
            "by_size": by_size.rows(),
            "by_sun_elevation": _sun_rows(by_sun),
            "per_frame": rows,
        }
        result["pictures"] = self._draw_worst(segmenter, rows)
        _write_results(self.out, result)
        return result

    def summary(self, result: dict[str, Any]) -> str:
        """Give the rock figures and where the rest is."""
        figures = {key: result["rock"][key] for key in ("iou", "precision", "recall")}
        figures |= {"mIoU": result["miou"], "accuracy": result["accuracy"]}
        words = ", ".join(f"{name} {_say(value)}" for name, value in figures.items())
        return f"{result['frames']} frames, rock: {words}\n{self.out / RESULTS}"

    def _draw_worst(self, segmenter: Segmenter, rows: list[dict[str, Any]]) -> list[str]:
        ranked = sorted((r for r in rows if r["rock_px"] >= WORST_MIN_ROCK_PX), key=lambda r: (r["iou"], r["index"]))
        files = {record.index: (rgb, mask) for record, rgb, mask in frame_paths(self.split)}
        drawn = []
        for rank, row in enumerate(ranked[: self.worst]):
            rgb, truth = _read_frame(*files[row["index"]])
            mask = segmenter.predict(rgb, size=None, tta=self.tta).mask
            sheet = contact_sheet(
                [
                    (rgb, f"frame {row['index']}"),
                    (draw_classes(truth), "labels"),
                    (draw_overlay(rgb, mask), f"predicted, rock-IoU {row['iou']:.2f}"),
                ],
                columns=3,
                cell=max(*rgb.shape[:2], 200),
            )
            path = self.out / f"worst_{rank:02d}_frame_{row['index']:05d}.png"
            sheet.save(path)
            drawn.append(str(path))
        return drawn


class EvaluateReal(Verb):
    """Score a model on photographs: flood over each one's own pixels; rock figures where masks are given."""

    model: str = quantity("default", MODEL_HELP)
    images: Path = quantity(..., "Folder of photographs, or one photograph.")
    masks: Path | None = quantity(
        None, "Folder of true classes, NAME.png for each photograph: 0 ground, 1 rock, 255 ignore."
    )
    out: Path = quantity(Path("out/evaluate-real"), "Folder of results.json, overlays and contact sheet.")
    size: int | None = quantity(
        None,
        "Long side the network works at, or side of a tile; left out, what the model's card says, or 512.",
        unit="px",
        ge=64,
        le=8192,
        step=32,
    )
    tile: bool = quantity(False, "Cut photographs into overlapping tiles at full resolution.")
    seed_protocol: bool = quantity(
        False, "Also give the published figure: letterboxed into a black square of 512 px, flood over the whole square."
    )
    tta: Literal["card"] | Views = quantity("card", TTA_HELP + " card: what the model's card says.")
    threads: int | None = quantity(None, "CPU threads; left out, one per core.", ge=1, le=1024)
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Score the photographs, write results and pictures, and return the results.

        Raises:
            CheckError: Some file could not be used; everything else is scored and written first.
        """
        writable_folder("out", self.out / "overlays")
        segmenter = Segmenter(self.model, threads=self.threads)
        photos = find_photos(self.images)
        if self.masks is not None and not self.masks.is_dir():
            raise InputError("masks", str(self.masks), "a folder of masks")
        with _progress(self.events, "photographs", len(photos)) as emit:
            return self._run(segmenter, photos, emit)

    def _run(self, segmenter: Segmenter, photos: Sequence[Path], emit: Emit) -> dict[str, Any]:
        rows: list[dict[str, Any]] = []
        problems: list[str] = []
        sheet: list[tuple[np.ndarray, str]] = []
        baseline = ContrastBaseline()
        for number, path in enumerate(photos):
            emit({"event": "progress", "done": number, "total": len(photos)})
            try:
                row, overlay = self._score(segmenter, path, problems, baseline)
            except InputError as error:
                problems.append(str(error))
                continue
            target = self.out / "overlays" / f"{path.name}.png"  # the ending stays: a.jpg and a.png are two photographs
            Image.fromarray(overlay).save(target)
            rows.append(row | {"overlay": str(target)})
            sheet.append((_thumbnail(overlay), f"{path.name}  flood {row['flood']:.1%}"))
        emit({"event": "progress", "done": len(photos), "total": len(photos)})
        result = self._result(segmenter, rows, problems) | {"baseline": baseline.best()}
        if sheet:
            contact_sheet(sheet).save(self.out / "contact_sheet.png")
            result["contact_sheet"] = str(self.out / "contact_sheet.png")
        _write_results(self.out, result)
        if problems:
            listing = "\n".join(f"  {problem}" for problem in problems)
            raise CheckError(f"problems: {len(problems)} in {len(photos)} photographs\n{listing}", result)
        return result

    def summary(self, result: dict[str, Any]) -> str:
        """Give the figures of every photograph, of all, and where the rest is."""
        lines = [f"long side {result['size']} px{', in tiles' if result['tile'] else ''}, views: {result['tta']}"]
        for row in result["per_image"]:
            rock = f"  rock-IoU {_say(row['rock']['iou'])}" if "rock" in row else ""
            lines.append(f"{row['image']}: flood {row['flood']:.1%}  sky {row['sky']:.1%}{rock}")
        for key, title in (("flood", "flood"), ("flood_seed_protocol", "flood, published protocol")):
            if result.get(key, {}).get("mean") is not None:
                lines.append(f"{title}: " + ", ".join(f"{name} {value:.1%}" for name, value in result[key].items()))
        if "rock" in result:
            words = ", ".join(f"{key} {_say(result['rock'][key])}" for key in ("iou", "precision", "recall"))
            lines.append(f"rock on {result['labelled']} labelled photographs, pooled: {words}")
            if result["baseline"]:
                words = ", ".join(f"{key} {_say(result['baseline'][key])}" for key in ("iou", "precision", "recall"))
                lines.append(f"local contrast, tuned on these photographs: {words}")
        else:
            lines.append(f"note: {result['note']}")
        return "\n".join([*lines, str(self.out / RESULTS)])

    def _score(
        self, segmenter: Segmenter, path: Path, problems: list[str], baseline: ContrastBaseline
    ) -> tuple[dict[str, Any], np.ndarray]:
        """Score one photograph; a mask that cannot be used is a problem, and the rest of the row stands."""
        rgb = read_photo(path)
        mask = segmenter.predict(rgb, **self._how(segmenter)).mask
        row: dict[str, Any] = {
            "image": path.name,
            "width": rgb.shape[1],
            "height": rgb.shape[0],
            "flood": class_share(mask, ROCK),
            "sky": class_share(mask, SKY),
        }
        if self.seed_protocol:
            row["flood_seed_protocol"] = class_share(segmenter.predict_letterboxed(rgb), ROCK)
        if self.masks is not None:
            try:
                truth = read_mask(self.masks / f"{path.stem}.png", mask.shape)
                row["rock"] = rock_scores(*rock_counts(truth, mask))
                baseline.add(rgb, truth)
            except InputError as error:
                problems.append(f"mask of {path.name}: {error}")
        return row, draw_overlay(rgb, mask)

    def _how(self, segmenter: Segmenter) -> dict[str, Any]:
        """How photographs are looked at: as asked for, and else as the model's card says."""
        return {
            "size": self.size or segmenter.photo_px,
            "tile": self.tile,
            "tta": segmenter.photo_tta if self.tta == "card" else self.tta,
        }

    def _result(self, segmenter: Segmenter, rows: list[dict[str, Any]], problems: list[str]) -> dict[str, Any]:
        result: dict[str, Any] = {
            "model": _model_name(segmenter),
            "images": str(self.images),
            "photographs": len(rows),
            **self._how(segmenter),
            "flood": spread([r["flood"] for r in rows]),
            "sky": {key: value for key, value in spread([r["sky"] for r in rows]).items() if key != "worst"},
            "per_image": rows,
            "problems": problems,
        }
        if self.seed_protocol:
            result["flood_seed_protocol"] = spread([r["flood_seed_protocol"] for r in rows])
        labelled = [r["rock"] for r in rows if "rock" in r]
        if labelled:
            tp, fp, fn = (sum(r[key] for r in labelled) for key in ("tp", "fp", "fn"))
            ious = [r["iou"] for r in labelled if r["iou"] is not None]
            result["rock"] = rock_scores(tp, fp, fn) | {"mean_iou": statistics.fmean(ious) if ious else None}
            result["labelled"] = len(labelled)
        else:
            result["note"] = FLOOD_NOTE
        return result


def spread(values: list[float]) -> dict[str, float | None]:
    """Return mean, median and worst (largest) of shares; None for each where there is none."""
    if not values:
        return {"mean": None, "median": None, "worst": None}
    return {"mean": statistics.fmean(values), "median": statistics.median(values), "worst": max(values)}


@contextlib.contextmanager
def _progress(events: bool, unit: str, count: int) -> Iterator[Emit]:
    """Yield what shows progress events: JSON lines, a bar where it takes long, or nothing."""
    from regolith.lunar.jobs.progress import show

    if events or count > BAR_FROM:
        with show(events, "evaluate", unit) as emit:
            yield emit
    else:
        yield lambda event: None


def _say(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _read_frame(rgb_path: Path, mask_path: Path) -> tuple[np.ndarray, np.ndarray]:
    rgb = read_photo(rgb_path)
    return rgb, read_mask(mask_path, cast(tuple[int, int], rgb.shape[:2]))


def _sun_rows(by_sun: list[np.ndarray]) -> list[dict[str, Any]]:
    return [
        {"from_deg": SUN_EDGES_DEG[i], "to_deg": SUN_EDGES_DEG[i + 1], **scores(confusion)["rock"]}
        for i, confusion in enumerate(by_sun)
        if confusion.any()
    ]


def _model_name(segmenter: Segmenter) -> dict[str, Any]:
    return {"file": segmenter.path.name, "sha256": segmenter.card["sha256"], "provider": segmenter.provider}


def _thumbnail(rgb: np.ndarray) -> np.ndarray:
    image = Image.fromarray(rgb)
    image.thumbnail((720, 720))
    return np.asarray(image)


def _write_results(out: Path, result: dict[str, Any]) -> None:
    write_json(out / RESULTS, result)
