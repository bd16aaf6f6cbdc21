"""The report of one run: what was made, what it learned, and what it is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.dataset.formats.source import read_source
from regolith.lunar.dataset.splits import counted
from regolith.lunar.dataset.strata import say_stratum
from regolith.lunar.labels import NAMES
from regolith.lunar.params.training import ARCHITECTURE_NAMES
from regolith.lunar.perception.overlay import SHEET_CELLS, draw_overlay
from regolith.lunar.reading import read_json_lines
from regolith.lunar.report.page import Picture, ReportSection, Table, drawing, picture, write_page
from regolith.lunar.report.plots import confusion_matrix, reliability, training_curves

SAMPLES = 4
"""Frames shown of each split."""
OVERLAYS = 24
"""Photographs shown, the first by name."""


def write_run_report(path: Path, run: Path, results: dict[str, Any], seconds: dict[str, float]) -> None:
    """Write the report of a finished demo.

    Args:
        path: HTML file to write.
        run: Folder of the demo.
        results: Result of each step by name; `real` only where photographs were given.
        seconds: Duration of each step [s].
    """
    total = sum(seconds.values())
    lead = f"{_frame_count(results)} frames, {results['train']['epochs']} epochs, {total / 60:.1f} minutes."
    sections = [
        _stage_section(results["author"]),
        _samples_section(results["generate"]),
        _training_section(run, results["train"]),
        synth_section(
            results["synth"],
            "On unseen synthetic frames",
            f"{results['synth']['frames']} frames of test_photoreal, a domain outside training",
        ),
    ]
    if "real" in results:
        sections.append(real_section(results["real"], results["real"]["per_image"]))
    sections.append(_machine_section(results, seconds))
    write_page(path, "regolith.lunar: one run, end to end", lead, sections)


def _frame_count(results: dict[str, Any]) -> int:
    return sum(split["frames"] for split in results["generate"].values())


def _stage_section(author: dict[str, Any]) -> ReportSection:
    frame = author["frame"]
    view = f"sun {frame['sun_elevation_deg']:.0f}° high, camera {frame['height_m']:.1f} m above the ground"
    text = (
        f"{author['craters']} craters and {author['rocks']} labelled rocks; {view}, {frame['fov_deg']:.0f}° wide.",
        f"Stage: {author['stage']}.",
    )
    pictures = (
        picture(Path(author["picture"]), "The stage of the first training frame", wide=True),
        picture(Path(author["sizes"]), "Size–frequency distributions, requested and drawn", wide=True),
    )
    return ReportSection("Stage", text, pictures=pictures)


def _samples_section(generated: dict[str, Any]) -> ReportSection:
    pictures, rows = [], []
    for split, result in generated.items():
        source = read_source(Path(result["split"]))
        frames = source.records
        counts = {name: sum(record.counts[name] for record in frames) for name in (*NAMES, "ignore")}
        pixels = sum(counts.values())
        rows.append([split, len(frames), *(counts[name] / pixels for name in NAMES), counts["ignore"]])
        for record in frames[:: max(1, len(frames) // SAMPLES)][:SAMPLES]:
            rgb_array, mask_array = source.array("rgb", record), source.array("mask", record)
            pair = np.concatenate([rgb_array, draw_overlay(rgb_array, mask_array)], axis=1)
            pictures.append(picture(pair, f"{split} {record.index}: sun {record.spec['sun_elevation_deg']:.0f}°"))
    table = Table(
        ["split", "frames", *(f"{name} share" for name in NAMES), "ignored pixels"], rows, "Class shares by pixels"
    )
    text = ("Each pair is a frame and its labels: rock red, regolith green, sky untouched.",)
    return ReportSection("Frames", text, (table,), tuple(pictures))


def _training_section(run: Path, summary: dict[str, Any]) -> ReportSection:
    curves = training_curves(read_json_lines(run / "run" / "metrics.jsonl"), summary["best_epoch"])
    config = summary["config"]
    network = ARCHITECTURE_NAMES[config.get("arch", "segformer-b0")]
    text = (
        f"{network}, started from {config['init']}, batch {config['batch']}, learning rate {config['lr']:g}; "
        f"epoch {summary['best_epoch']} of {summary['epochs']} kept: {summary['selection_note']}.",
    )
    return ReportSection("Training", text, pictures=(drawing(curves, "Loss and validation IoU by epoch", wide=True),))


def synth_section(synth: dict[str, Any], heading: str, where: str) -> ReportSection:
    """Show the scores on a generated split.

    Args:
        synth: As `regolith evaluate synth` writes it.
        heading: Of the section.
        where: What it was scored on.
    """
    rock = synth["rock"]
    scores = Table(
        ["", *NAMES, "mean"], [["IoU", *(synth["iou"][name] for name in NAMES), synth["miou"]]],
        f"{where}; accuracy {synth['accuracy']:.3f}",
    )  # fmt: skip
    rocks = Table(["", "IoU", "precision", "recall"], [["rock", rock["iou"], rock["precision"], rock["recall"]]])
    tables = [scores, rocks, _size_table(synth["by_size"])]
    if "calibration" in synth:  # results of before do not have it
        tables.append(_calibration_table({"": synth["calibration"]}, synth["calibration"]["temperature"]))
    suns = Table(
        ["sun elevation [deg]", "IoU", "precision", "recall"],
        [[_range(row, "deg"), row["iou"], row["precision"], row["recall"]] for row in synth["by_sun_elevation"]],
        "Rock by sun elevation",
    )
    pictures = [drawing(confusion_matrix(synth["confusion"], synth["classes"]), "Confusion matrix")]
    if bins := synth.get("calibration", {}).get("bins"):
        pictures.append(drawing(reliability(bins), "Confidence against accuracy"))
    rows = synth.get("strata", [])
    strata = _strata_table(rows, "frames", ("iou", "precision", "recall"), lambda row, key: row[key])
    pictures += _sheets(rows, "frames")
    pictures += [picture(Path(path), "One of the worst frames", wide=True) for path in synth["pictures"]]
    return ReportSection(heading, (), (*tables, suns, *strata), tuple(pictures))


def _strata_table(
    rows: Sequence[dict[str, Any]], unit: str, keys: Sequence[str], value: Callable[[dict[str, Any], str], Any]
) -> list[Table]:
    """Figures of strata; none of results of before, which have none."""
    if not rows:
        return []
    cells = [[say_stratum(row["stratum"]) or "all", row[unit], *(value(row, key) for key in keys)] for row in rows]
    return [Table(["stratum", unit, *("IoU" if key == "iou" else key for key in keys)], cells, "Rock by stratum")]


def _sheets(rows: Sequence[dict[str, Any]], unit: str) -> list[Picture]:
    """Contact sheets of strata, those that are there."""
    found = []
    for row in rows:
        if row["sheet"] is not None:
            size = f"{min(row[unit], SHEET_CELLS)} of {counted(row[unit], unit[:-1])}"
            found.append(picture(Path(row["sheet"]), f"{say_stratum(row['stratum']) or 'all'}: {size}", wide=True))
    return found


def _calibration_table(pools: dict[str, dict[str, Any]], temperature: float) -> Table:
    """Calibration errors of pools of pixels by name."""
    return Table(
        ["", "expected calibration error", "over pixels called rock"],
        [[name, found["ece"], found["ece_rock"]] for name, found in pools.items()],
        f"Mean distance of confidence and accuracy, in 15 bins of confidence; temperature {temperature:.3f}",
    )


def _size_table(by_size: list[dict[str, Any]]) -> Table:
    keys = ("found_iou", "found_touch", "false_iou", "false_touch", "recall")
    return Table(
        ["apparent size [px]", "rocks", "found", "touched", "false a picture", "touching none", "pixel recall"],
        [[_range(row, "px"), row["rocks"], *(row.get(key) for key in keys)] for row in by_size],  # or older results
        "Rocks by apparent size: found with IoU 0.5, touched by a predicted pixel; false ones fit none, or touch none",
    )


def _range(row: dict[str, Any], unit: str) -> str:
    lo, hi = row[f"from_{unit}"], row[f"to_{unit}"]
    return f"{lo:g} and more" if hi is None else f"{lo:g} … {hi:g}"


def real_section(real: dict[str, Any], shown: Sequence[dict[str, Any]]) -> ReportSection:
    """Show the scores on photographs.

    Args:
        real: As `regolith evaluate real` writes it.
        shown: Those of its photographs whose overlays are there to be shown.
    """
    flood = real["flood"]
    tables = [
        Table(
            ["", "mean", "median", "worst"], [["flood", flood["mean"], flood["median"], flood["worst"]]],
            f"{real['photographs']} photographs; flood is the share of a photograph's own pixels called rock",
        )
    ]  # fmt: skip
    pictures: list[Picture] = []
    text = list(real.get("problems", [])) + ([real["note"]] if "note" in real else [])
    if "tta" in real:  # results of before do not say
        tiles = ", in tiles" if real["tile"] else ""
        text.insert(0, f"Looked at with a long side of {real['size']} px{tiles}; views averaged: {real['tta']}.")
    if "rock" in real:
        pools = {"all": real, **real.get("groups", {})}
        tables.append(
            Table(
                ["rock", "photographs", "IoU", "precision", "recall"],
                [[name, of["labelled"], *(of["rock"][key] for key in ("iou", "precision", "recall"))]
                 for name, of in pools.items()],
                "Pooled over labelled photographs",
            )
        )  # fmt: skip
        if "calibration" in real:  # results of before do not have it
            found = {name: of["calibration"] for name, of in pools.items()}
            tables.append(_calibration_table(found, real["temperature"]))
            pictures += [
                drawing(reliability(of["bins"]), f"Confidence against accuracy, rock or not: {name}")
                for name, of in found.items() if of["bins"]
            ]  # fmt: skip
        if "by_size" in real:  # nor this
            tables.append(_size_table(real["by_size"]))
    strata, keys = real.get("strata", []), ("flood", "iou", "precision", "recall")
    tables += _strata_table(
        strata, "photographs", keys, lambda row, key: row[key] if key == "flood" else (row["rock"] or {}).get(key)
    )
    pictures += _sheets(strata, "photographs")
    rows = real["per_image"]
    tables.append(
        Table(
            ["photograph", "flood", "sky", "rock-IoU"],
            [[row["image"], row["flood"], row["sky"], row.get("rock", {}).get("iou")] for row in rows],
        )
    )
    pictures += [
        picture(Path(row["overlay"]), f"{row['image']}: flood {row['flood']:.1%}", side=640) for row in shown[:OVERLAYS]
    ]
    return ReportSection("On real photographs", text, tables, pictures)


def _machine_section(results: dict[str, Any], seconds: dict[str, float]) -> ReportSection:
    machine = results["train"]["machine"]
    renderer = results["generate"]["train_dr"]["renderer"]
    steps = Table(["step", "seconds"], [[name, value] for name, value in seconds.items()])
    facts = Table(["", ""], [[key, str(value)] for key, value in {**renderer, **machine}.items()], "Machine")
    return ReportSection("How long, on what", (), (steps, facts))
