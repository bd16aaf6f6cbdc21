"""The page of a gate: figures against thresholds, the least and most like frames beside real pictures, what to draw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.dataset.strata import frame_strata, say_stratum
from regolith.lunar.perception.overlay import draw_overlay, sheet_cell
from regolith.lunar.quality.appearance_plot import plot_appearance
from regolith.lunar.quality.divergence import project
from regolith.lunar.quality.features import Features
from regolith.lunar.quality.gate_frames import Check, ClassVerdict, say_accepted
from regolith.lunar.quality.semantics import Seen, say_interval
from regolith.lunar.quality.stratum_sheets import Cell, stratum_sheets
from regolith.lunar.report.page import Picture, ReportSection, Table, picture, write_page
from regolith.lunar.scratch import scratch_folder

REPORT = "gate.html"
SHOWN = 3
"""Frames of either end that are shown of a class."""
GAP_PX = 4
BACKGROUND = (28, 27, 25)
"""Colour between and below pictures that are set side by side: that of the page's cards."""


def write_report(path: Path, result: dict[str, Any], seen: Seen, verdicts: Sequence[ClassVerdict]) -> None:
    """Write the page whole or not at all.

    Args:
        path: HTML file to write.
        result: What `gate.json` holds.
        seen: What the encoder saw.
        verdicts: Of the classes.

    Raises:
        InputError: A picture cannot be read again.
        OSError: The page cannot be written.
    """
    lead = f"{result['synth']} against {result['real']}"
    if result["real_clouds"]:
        lead += f", and the clouds of {result['real_clouds']}"
    checks = [Check.from_dict(row) for row in result["checks"]]
    verdict = say_accepted(checks) if result["verdict"] == "accept" else "rejected"
    facts: list[tuple[str, Any]] = [("verdict", verdict)]
    facts += [(f"{check.measure} {check.name}", check.verdict) for check in checks]
    sections = [
        _figures(result, checks),
        _aside(result),
        *(_frames(seen, verdict) for verdict in verdicts if np.isfinite(verdict.own).any()),
        *_strata(seen, verdicts),
        _appearance(result["appearance"], [verdict.check.name for verdict in verdicts]),
    ]
    if result["geometry"] is not None:
        sections.append(_geometry(result["geometry"]))
    write_page(path, f"Gate: {verdict}", lead, sections, facts)


def _figures(result: dict[str, Any], checks: Sequence[Check]) -> ReportSection:
    rows = []
    for check in checks:
        value = None if check.value is None else {"value": check.value, "interval": check.interval}
        sign = "at least" if check.measure == "geometry" else "at most"
        rows.append([f"{check.measure} {check.name}", say_interval(value), f"{sign} {check.limit:g}", check.verdict])
    text = [
        *(f"Rejected: {reason}." for reason in result["reasons"]),
        f"Semantics is the Jensen–Shannon divergence ({result['thresholds']['divergence']}) of what "
        f"{result['semantics']['model']['file']} sees of a class, 0 alike, 1 apart; geometry a score of shapes, 1 "
        "as near as real ground to real ground. Intervals are of 95 %. The value decides; uncertain says that the "
        "interval holds the threshold.",
        "Thresholds are defaults of this tool: that a model trains better beyond them is not known.",
        *(f"{check.name}: {check.note}." for check in checks if check.note and check.measure == "semantics"),
        *(f"Note: {note}." for note in result["notes"]),
    ]
    return ReportSection("Figures", text, [Table(["figure", "value", "threshold", ""], rows)])


def _aside(result: dict[str, Any]) -> ReportSection:
    aside = result["quarantine"]
    text = [f"Class {name} as a whole: {'; '.join(reasons)}." for name, reasons in aside["classes"].items()]
    if aside["frames"]:
        found = ", ".join(aside["frames"])
        text.append(f"Frames ({len(aside['frames'])}): {found if len(found) < 600 else found[:600] + ' …'}.")
    for name, value in aside["without"].items():
        text.append(f"Without them the divergence of {name} is {value:.3f}: of the same frames they were chosen by.")
    if not text:
        text = ["Nothing."]
    elif not aside["set"]:
        text.append("Nothing was marked in the split: --quarantine does that.")
    text += [line for line in result["why"] if line.rstrip(".") not in result["reasons"]]
    rows = [[each["name"], each["was"], each["wanted"], each["why"]] for each in result["asked"]]
    tables = [Table(["parameter", "here", "asked for", "why"], rows, "What to draw instead")] if rows else []
    return ReportSection("Set aside, and what to draw instead", text, tables)


def _strata(seen: Seen, verdicts: Sequence[ClassVerdict]) -> list[ReportSection]:
    """How unlike the frames of each stratum are, and a contact sheet of each; of a real split too."""
    sides = [pictures.frames for pictures in seen.pictures]
    found = frame_strata(sides)
    rows = []
    for stratum in found:
        here = stratum.places[0]
        own = [verdict.own[here] for verdict in verdicts]
        means = [float(values[np.isfinite(values)].mean()) if np.isfinite(values).any() else None for values in own]
        held = {int(place) for verdict in verdicts for place in verdict.held}
        words = say_stratum(stratum.words) or "all"
        rows.append([words, *map(len, stratum.places), *means, len(held & set(here))])
    cells = [lambda place, side=side: _cell(seen, side, place, verdicts) for side in (0, 1)]
    sheets = stratum_sheets(found, list(zip(("Synthetic", "Real"), cells, strict=True)))
    head = ["stratum", "frames", "real frames", *(f"mean own, {v.check.name}" for v in verdicts), "set aside"]
    text = ["Frames that are alike, tinted by class, with their own divergences."]
    return [ReportSection("Strata", text, [Table(head, rows)], sheets)]


def _cell(seen: Seen, side: int, place: int, verdicts: Sequence[ClassVerdict]) -> Cell:
    """A picture, tinted by class, and its caption."""
    shown = seen.pictures[side].one(place, seen.px)
    words = shown.name
    if side == 0:
        own = [f"{v.check.name} {v.own[place]:.2f}" for v in verdicts if np.isfinite(v.own[place])]
        words = ", ".join([f"{shown.name}: {own[0]}", *own[1:]]) if own else shown.name
    return sheet_cell(draw_overlay(shown.rgb, shown.classes)), words


def _frames(seen: Seen, verdict: ClassVerdict) -> ReportSection:
    """The frames least and most like real ones in a class, each beside the real picture nearest to it."""
    name = verdict.check.name
    known = np.flatnonzero(np.isfinite(verdict.own))
    order = known[np.argsort(-verdict.own[known], kind="stable")]
    worst = order[: min(SHOWN, (len(order) + 1) // 2)]
    best = order[len(worst) :][-SHOWN:][::-1]
    nearest = nearest_real(*seen.of_class(name))
    pictures = []
    for word, places in (("least", worst), ("most", best)):
        for place in places.tolist():
            caption = f"{word} like real: own divergence {verdict.own[place]:.2f}"
            caption += ", set aside" if place in verdict.held else ""
            pictures.append(_pair(seen, place, nearest[place], caption))
    text = [
        "Left a frame, right the real picture whose mean features of the class are nearest; tinted by class. A frame's "
        "own divergence is the mean of what its cells add to the class's: 1 where nothing real is like them, 0 where "
        "as much real as synthetic is, below 0 where more is."
    ]
    return ReportSection(f"Frames: {name}", text, (), pictures)


def nearest_real(x: Features, y: Features) -> dict[int, int]:
    """Frame to the real picture that is nearest to it, by the means of their features in common components."""
    sides = []
    for side, values in zip((x, y), project(x.values, y.values), strict=True):
        numbers, place, count = np.unique(side.pictures, return_inverse=True, return_counts=True)
        total = np.zeros((len(numbers), values.shape[1]))
        np.add.at(total, place, values)
        sides.append((numbers, total / count[:, None]))
    (frames, a), (reals, b) = sides
    near = ((a[:, None] - b) ** 2).sum(axis=2).argmin(axis=1)
    return dict(zip(frames.tolist(), reals[near].tolist(), strict=True))


def _pair(seen: Seen, frame: int, real: int, caption: str) -> Picture:
    """A frame and a real picture side by side, tinted by class."""
    shown = [
        seen.pictures[0].one(frame, seen.px),
        seen.pictures[1].one(real, seen.px, seen.labeller),
    ]
    drawn = [draw_overlay(one.rgb, one.classes) for one in shown]
    height = max(image.shape[0] for image in drawn)
    canvas = np.empty((height, sum(image.shape[1] for image in drawn) + GAP_PX, 3), np.uint8)
    canvas[:] = BACKGROUND
    left = 0
    for image in drawn:
        top = (height - image.shape[0]) // 2
        canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
        left += image.shape[1] + GAP_PX
    return picture(canvas, f"Frame {shown[0].name}, {caption}; {shown[1].name}")


def _appearance(looks: dict[str, Any], classes: Sequence[str]) -> ReportSection:
    rows, shown = [], {name: looks["classes"][name] for name in classes}
    for name, row in shown.items():
        if row["note"]:
            continue
        worst = None if row["spectrum"] is None else row["spectrum"]["worst"]
        spectrum = "–" if worst is None else f"{worst['db']:+.1f} dB at {worst['cycles_per_px']:.2f} /px"
        shadow = " / ".join(f"{share:.1%}" for share in row["shadow"]["shares"])
        rows.append([name, spectrum, *(say_interval(row[key]["jsd"]) for key in ("luminance", "edges")), shadow])
    with scratch_folder() as folder:
        plot_appearance(looks | {"classes": shown}, folder / "appearance.png")
        drawn = picture(folder / "appearance.png", "Synthetic and real, class by class", wide=True, side=1500)
    head = ["class", "spectrum, where it differs most", "luminance JSD", "edges JSD", "shadow, synthetic / real"]
    text = ["What an eye would look for. It decides nothing: there are no thresholds for it."]
    return ReportSection("Appearance", text, [Table(head, rows)] if rows else [], [drawn])


def _geometry(found: dict[str, Any]) -> ReportSection:
    rows = []
    for row in found["rows"]:
        relief = row["relief"]
        words = "–" if relief is None else f"{relief['synth_m']:.3g} / {relief['real_m']:.3g} m"
        metrics = ["–" if row[key] is None else f"{row[key]['score']:.2f}" for key in ("chamfer", "emd")]
        rows.append([row["class"], row["score"], row["spread"], row["samples"], *metrics, words])
    head = ["class", "score", "±", "patches", "Chamfer", "Earth Mover's", "relief, synthetic / real"]
    how = f"Patches of {found['patch_m']:g} m at points {found['voxel_m']:.3g} m apart, as sets."
    return ReportSection("Geometry", [how], [Table(head, rows)])
