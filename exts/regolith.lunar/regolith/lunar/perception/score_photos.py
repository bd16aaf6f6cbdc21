"""Score a model on photographs: flood over each one's own pixels; rock figures where masks are given."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from PIL import Image

from regolith.lunar.dataset.strata import evenly, value_strata
from regolith.lunar.files import AnyPath, shown_name
from regolith.lunar.jobs.events import Emit
from regolith.lunar.labels import ROCK, SKY
from regolith.lunar.params import CheckError, InputError, Verb, check_values, quantity, sole_folder, writable_folder
from regolith.lunar.perception.apollo_masks import APOLLO, BOULDERS, OTHERS, draw_masks, find_masks
from regolith.lunar.perception.folders import SHEET, Survey, only_mask, overlay_name, survey
from regolith.lunar.perception.labelled import LabelledPhotos
from regolith.lunar.perception.metrics import class_share, rock_scores
from regolith.lunar.perception.model_files import MODEL_HELP
from regolith.lunar.perception.overlay import SHEET_CELLS, contact_sheet, draw_overlay, sheet_cell
from regolith.lunar.perception.photos import read_mask, read_photo
from regolith.lunar.perception.results import model_words, save_picture, save_reliability, save_sheet, write_results
from regolith.lunar.perception.session import Segmenter, load_model
from regolith.lunar.perception.views import PHOTO_MAX_PX, PHOTO_MIN_PX, TTA_HELP, Views

FLOOD_NOTE = (
    "flood is the share of a photograph's own pixels called rock; a model that never predicts rock scores 0, "
    "so read it beside rock recall and IoU on labelled photographs (--masks)"
)
GROUPS = (BOULDERS, OTHERS)
"""Groups whose figures are given apart, in their order."""
THUMBNAIL_PX = (720, 720)


class PhotoScoring(Verb):
    """What is scored on photographs, and how."""

    model: str = quantity("default", MODEL_HELP)
    images: Path = quantity(..., "Folder of photographs, or one photograph.")
    masks: Path | None = quantity(
        None,
        "Folder of true classes, NAME.png or NAME_mask.png for each photograph: 0 ground, 1 rock, 255 ignore; or "
        "`apollo`, the shipped masks of Apollo photographs, found by name or NASA id.",
    )
    out: Path = quantity(Path("out/evaluate-real"), "Folder of results.json, overlays and contact sheet.")
    size: int | None = quantity(
        None,
        "Long side the network works at, or side of a tile; left out, what the model's card says, or 512.",
        unit="px",
        ge=PHOTO_MIN_PX,
        le=PHOTO_MAX_PX,
        step=32,
    )
    tile: bool = quantity(False, "Cut photographs into overlapping tiles at full resolution.")
    seed_protocol: bool = quantity(
        False, "Also give the published figure: letterboxed into a black square of 512 px, flood over the whole square."
    )
    tta: Literal["card"] | Views = quantity("card", TTA_HELP + " card: what the model's card says.")
    threads: int | None = quantity(None, "CPU threads; left out, one per core.", ge=1, le=1024)


def evaluate_photos(
    images: AnyPath,
    *,
    model: Segmenter | AnyPath = "default",
    masks: AnyPath | None = None,
    out: AnyPath | None = None,
    size: int | None = None,
    tile: bool = False,
    seed_protocol: bool = False,
    tta: Literal["card"] | Views = "card",
    threads: int | None = None,
    emit: Emit = lambda event: None,
) -> dict[str, Any]:
    """Score a model on photographs.

    Args:
        images: Folder of photographs, or one photograph.
        model: A loaded model, an `.onnx` file, or the name of a shipped one.
        masks: Folder of true classes, NAME.png or NAME_mask.png for each photograph (0 ground, 1 rock, 255 ignore); or
            `apollo`, the shipped masks of Apollo photographs; None for flood alone.
        out: Folder of `results.json`, overlays and contact sheet; None to write nothing.
        size: Long side the network works at, or side of a tile [px]; None for what the model's card says.
        tile: Whether to cut photographs into overlapping tiles at full resolution.
        seed_protocol: Whether to give the published figure too: letterboxed into 512 × 512 px, bars counted.
        tta: Views averaged: `none`, `flip`, `flip-scale`, `pyramid`, `fine`, or `card` for what the model's card says.
        threads: CPU threads of a model that is loaded here; None for one per core.
        emit: Receives `progress` events, dictionaries.

    Returns:
        {photographs, flood, sky, per_image, problems, left_out, …}: `flood` is {mean, median, worst} of the share of a
        photograph's own pixels called rock; with masks also `rock` {iou, precision, recall}, pooled, `calibration` and
        `by_size`; `strata` by the share of rock have a contact sheet each; `reliability` is the plot of `calibration`.

    Raises:
        InputError: An argument that does not fit, no photograph, no model, no such masks, or a folder that cannot be
            written.
        CheckError: Some file could not be used; everything else is scored and written first, and is its `result`.
    """
    check_values(PhotoScoring, size=size, tile=tile, seed_protocol=seed_protocol, tta=tta, threads=threads)
    apollo = masks is not None and str(masks) == APOLLO
    if masks is not None and not apollo and not Path(masks).is_dir():
        raise InputError("masks", str(masks), f"a folder of masks, or `{APOLLO}`")
    found = survey(Path(images), None if apollo or masks is None else Path(masks))
    if apollo and not any(find_masks(photo.stem) for photo in found.photos):
        raise InputError("masks", APOLLO, "photographs those masks are of, named as they are or by NASA id")
    folder = None if out is None else Path(out)
    segmenter = model if isinstance(model, Segmenter) else load_model(model, threads=threads)
    looks = {
        "size": segmenter.photo_px if size is None else size,
        "tile": tile,
        "tta": segmenter.photo_tta if tta == "card" else tta,
    }
    scoring = _Scoring(segmenter, looks, apollo, masks is not None and not apollo, seed_protocol)
    if folder is None:
        return scoring.run(str(images), found, None, emit)
    with sole_folder("out", folder):
        writable_folder("out", folder / "overlays")
        return scoring.run(str(images), found, folder, emit)


@dataclasses.dataclass(frozen=True)
class _Scoring:
    """How photographs are scored."""

    segmenter: Segmenter
    looks: dict[str, Any]
    """How they are looked at: size, tile and tta of `Segmenter.predict`."""
    apollo: bool
    """Whether the shipped masks of Apollo photographs are the truth."""
    masked: bool
    """Whether masks beside the photographs are."""
    seed_protocol: bool

    def run(self, images: str, found: Survey, out: Path | None, emit: Emit) -> dict[str, Any]:
        """Score every photograph, write what is to be written, and return the results."""
        rows: list[dict[str, Any]] = []
        problems: list[str] = []
        sheet: list[tuple[np.ndarray, str]] = []
        labelled = LabelledPhotos(GROUPS)
        photos = found.photos
        for number, path in enumerate(photos):
            emit({"event": "progress", "done": number, "total": len(photos)})
            try:
                row, overlay = self._score(path, found.masks[path], problems, labelled)
                if out is not None:
                    target = out / "overlays" / overlay_name(path)
                    save_picture(overlay, target)
                    row["overlay"] = str(target)
            except InputError as error:
                problems.append(str(error))
                continue
            except OSError as error:
                problems.append(f"{shown_name(path)}: overlay not written ({error.strerror or error})")
                continue
            rows.append(row)
            overlay.thumbnail(THUMBNAIL_PX)
            sheet.append((np.asarray(overlay), f"{row['image']}  flood {row['flood']:.1%}"))
        emit({"event": "progress", "done": len(photos), "total": len(photos)})
        result = self._result(images, rows, problems) | labelled.result()
        result["strata"] = _strata(rows, sheet, out)
        result["left_out"] = [{"file": shown_name(item.path), "reason": item.reason} for item in found.left_out]
        if out is not None:
            if sheet:
                save_picture(contact_sheet(sheet), out / SHEET)
                result["contact_sheet"] = str(out / SHEET)
            if "calibration" in result:
                result["reliability"] = save_reliability(out, result["calibration"])
            write_results(out, result)
        if problems:
            listing = "\n".join(f"  {problem}" for problem in problems)
            raise CheckError(f"problems: {len(problems)} in {len(photos)} photographs\n{listing}", result)
        return result

    def _score(
        self, path: Path, masks: Sequence[Path], problems: list[str], labelled: LabelledPhotos
    ) -> tuple[dict[str, Any], Image.Image]:
        """Score one photograph; a mask that cannot be used is a problem, and the rest of the row stands."""
        notes: list[str] = []
        rgb = read_photo(path, notes=notes)
        prediction = self.segmenter.predict(rgb, **self.looks)
        mask = prediction.mask
        row: dict[str, Any] = {
            "image": shown_name(path),
            "width": rgb.shape[1],
            "height": rgb.shape[0],
            "flood": class_share(mask, ROCK),
            "sky": class_share(mask, SKY),
        }
        if notes:
            row["notes"] = notes
        if self.seed_protocol:
            row["flood_seed_protocol"] = class_share(self.segmenter.predict_letterboxed(rgb), ROCK)
        apollo = find_masks(path.stem) if self.apollo else []
        if apollo:
            row["group"] = apollo[0].group
        if apollo or self.masked:
            try:
                shape = cast(tuple[int, int], mask.shape)
                truth = draw_masks(apollo, path.stem, shape) if apollo else read_mask(only_mask(path, masks), shape)
                row["rock"] = labelled.add(rgb, truth, prediction, row.get("group"))
            except InputError as error:
                problems.append(f"mask of {row['image']}: {error}")
        return row, Image.fromarray(draw_overlay(rgb, mask))

    def _result(self, images: str, rows: list[dict[str, Any]], problems: list[str]) -> dict[str, Any]:
        result: dict[str, Any] = {
            "model": model_words(self.segmenter),
            "images": images,
            "photographs": len(rows),
            **self.looks,
            "temperature": self.segmenter.temperature,
            "flood": spread([r["flood"] for r in rows if r.get("group") != BOULDERS]),
            "sky": {key: value for key, value in spread([r["sky"] for r in rows]).items() if key != "worst"},
            "per_image": rows,
            "problems": problems,
        }
        if self.seed_protocol:
            result["flood_seed_protocol"] = spread([r["flood_seed_protocol"] for r in rows])
        if not any("rock" in r for r in rows):
            result["note"] = FLOOD_NOTE
        return result


def _strata(
    rows: Sequence[dict[str, Any]], pictures: Sequence[tuple[np.ndarray, str]], out: Path | None
) -> list[dict[str, Any]]:
    """Photographs by their true share of rock, those without a mask by the share called rock: figures, and a sheet."""
    found: list[dict[str, Any]] = []
    for name in ("rock_share", "flood"):
        chosen = [place for place, row in enumerate(rows) if ("rock" in row) == (name == "rock_share")]
        shares = np.array([_rock_share(rows[place]) for place in chosen])
        for stratum in value_strata({name: [shares]}, [len(chosen)]):
            here = [chosen[place] for place in stratum.places[0]]
            of = [rows[place] for place in here]
            shown = [pictures[place] for place in evenly(here, SHEET_CELLS)]
            rock = None
            if name == "rock_share":
                rock = rock_scores(*(sum(row["rock"][key] for row in of) for key in ("tp", "fp", "fn")))
            sheet = None
            if out is not None:
                sheet = save_sheet(out, len(found), [(sheet_cell(image), words) for image, words in shown])
            flood = statistics.fmean(row["flood"] for row in of)
            found.append(
                {"stratum": stratum.words, "photographs": len(here), "flood": flood, "rock": rock, "sheet": sheet}
            )
    return found


def _rock_share(row: dict[str, Any]) -> float:
    """Share of a photograph's pixels that are rock; called rock where its mask is not known."""
    return (row["rock"]["tp"] + row["rock"]["fn"]) / (row["width"] * row["height"]) if "rock" in row else row["flood"]


def spread(values: list[float]) -> dict[str, float | None]:
    """Return mean, median and worst (largest) of shares; None for each where there is none."""
    if not values:
        return {"mean": None, "median": None, "worst": None}
    return {"mean": statistics.fmean(values), "median": statistics.median(values), "worst": max(values)}
