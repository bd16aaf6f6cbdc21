"""`regolith evaluate synth` and `regolith evaluate real`: score a model on a split and on photographs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from regolith.lunar.jobs.events import Emit
from regolith.lunar.jobs.progress import show
from regolith.lunar.params import quantity
from regolith.lunar.perception.results import RESULTS
from regolith.lunar.perception.rocks import size_words
from regolith.lunar.perception.score_photos import PhotoScoring, evaluate_photos
from regolith.lunar.perception.score_split import SplitScoring, evaluate_split

BAR_FROM = 200
"""Pictures above which a progress bar is shown."""
LEFT_OUT_SHOWN = 8
"""Files left out that the summary names; results.json names all."""


class EvaluateSynth(SplitScoring):
    """Score a model on a generated split: every figure from pixel counts summed over all frames."""

    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Score the split, write results and pictures, and return the results."""
        with _progress(self.events, "frames") as emit:
            return evaluate_split(
                self.split,
                model=self.model,
                out=self.out,
                worst=self.worst,
                tta=self.tta,
                columns=self.columns,
                threads=self.threads,
                emit=emit,
            )

    def summary(self, result: dict[str, Any]) -> str:
        """Give the rock figures and where the rest is."""
        figures = {key: result["rock"][key] for key in ("iou", "precision", "recall")}
        figures |= {"mIoU": result["miou"], "accuracy": result["accuracy"]}
        words = ", ".join(f"{name} {_say(value)}" for name, value in figures.items())
        lines = [
            f"{result['frames']} frames, rock: {words}",
            _calibration_words(result["calibration"]),
            *_size_lines(result["by_size"]),
        ]
        return "\n".join([*lines, str(self.out / RESULTS)])


class EvaluateReal(PhotoScoring):
    """Score a model on photographs: flood over each one's own pixels; rock figures where masks are given."""

    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Score the photographs, write results and pictures, and return the results.

        Raises:
            CheckError: Some file could not be used; everything else is scored and written first.
        """
        with _progress(self.events, "photographs") as emit:
            return evaluate_photos(
                self.images,
                model=self.model,
                masks=self.masks,
                out=self.out,
                size=self.size,
                tile=self.tile,
                seed_protocol=self.seed_protocol,
                tta=self.tta,
                threads=self.threads,
                emit=emit,
            )

    def summary(self, result: dict[str, Any]) -> str:
        """Give the figures of every photograph, of all, and where the rest is."""
        lines = [f"long side {result['size']} px{', in tiles' if result['tile'] else ''}, views: {result['tta']}"]
        for row in result["per_image"]:
            rock = f"  rock-IoU {_say(row['rock']['iou'])}" if "rock" in row else ""
            lines.append(f"{row['image']}: flood {row['flood']:.1%}  sky {row['sky']:.1%}{rock}")
            lines += [f"  {note}" for note in row.get("notes", [])]
        if result["left_out"]:
            words = ", ".join(f"{item['file']} ({item['reason']})" for item in result["left_out"][:LEFT_OUT_SHOWN])
            more = len(result["left_out"]) - LEFT_OUT_SHOWN
            lines.append(f"left out: {words}" + (f" and {more} more, listed in {RESULTS}" if more > 0 else ""))
        for key, title in (("flood", "flood"), ("flood_seed_protocol", "flood, published protocol")):
            if result.get(key, {}).get("mean") is not None:
                lines.append(f"{title}: " + ", ".join(f"{name} {value:.1%}" for name, value in result[key].items()))
        if "rock" in result:
            lines.append(f"rock on {result['labelled']} labelled photographs, pooled: {_rock_words(result['rock'])}")
            for name, group in result.get("groups", {}).items():
                lines.append(f"  {group['labelled']} {name}: {_rock_words(group['rock'])}")
            lines.append(_calibration_words(result["calibration"]))
            lines += _size_lines(result["by_size"])
            if result["baseline"]:
                lines.append(f"local contrast, tuned on these photographs: {_rock_words(result['baseline'])}")
        else:
            lines.append(f"note: {result['note']}")
        return "\n".join([*lines, str(self.out / RESULTS)])


@contextlib.contextmanager
def _progress(events: bool, unit: str) -> Iterator[Emit]:
    """Yield what shows progress events: JSON lines, a bar where it takes long, or nothing."""
    with show(events, "evaluate", unit) as emit:
        yield lambda event: emit(event) if events or event["total"] > BAR_FROM else None


def _say(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _rock_words(rock: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_say(rock[key])}" for key in ("iou", "precision", "recall"))


def _calibration_words(found: dict[str, Any]) -> str:
    return f"expected calibration error {_say(found['ece'])}, over pixels called rock {_say(found['ece_rock'])}"


def _size_lines(rows: list[dict[str, Any]]) -> list[str]:
    return ["rocks by apparent size:", *(f"  {size_words(row)}" for row in rows)]
