"""`regolith card`: one self-contained page that shows what a split holds."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.formats.source import Source, read_source
from regolith.lunar.dataset.layout import FrameRecord, OrderedRecords
from regolith.lunar.dataset.splits import counted, split_folders
from regolith.lunar.dataset.survey import CARD, LOG
from regolith.lunar.jobs.events import Emit
from regolith.lunar.labels import NAMES, ROCK, SKY
from regolith.lunar.params import InputError, Interval, Params, Verb, quantity, sole_file
from regolith.lunar.params.outputs import refusing
from regolith.lunar.randomize.draws import Draws
from regolith.lunar.report import card_plots as plots
from regolith.lunar.report.page import Picture, ReportSection, Table, drawing, picture, write_page
from regolith.lunar.report.split_stats import (
    WRITER_STAGES,
    Pixels,
    Timings,
    collect_drawn,
    measure_pixels,
    read_timings,
    spread,
)
from regolith.lunar.report.stereo import stereo_section
from regolith.lunar.report.truth import truth_section

SAMPLES = 24
"""Frames on the contact sheet."""
SIDE = 640
"""Width of a frame and its outline on the sheet [px]; 24 of them make about 2 MB of page."""
ROCK_LINE = (255, 84, 66)
SKY_LINE = (96, 160, 220)
BAR_FROM = 500
"""Frames above which a progress bar is shown."""


class Card(Verb):
    """Write a page that shows what a split, or each split of a dataset, holds."""

    split: Path = quantity(..., "Folder of a split, or of a dataset: then each of its splits.", positional=True)
    out: Path | None = quantity(None, "HTML file to write; left out, card.html in the split's folder.")
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Write the cards and say where they are."""
        from regolith.lunar.jobs.progress import show

        folders = split_folders(self.split)
        if self.out is not None and len(folders) > 1:
            raise InputError("out", str(self.out), f"left out where there are several splits; here are {len(folders)}")
        cards = []
        for folder in folders:
            with contextlib.ExitStack() as stack:
                source = read_source(folder)
                bar = show(self.events, f"card {source.name}", "frames")
                told = self.events or len(source.records) > BAR_FROM
                emit = stack.enter_context(bar) if told else _silent
                path = stack.enter_context(sole_file("out", self.out or folder / CARD))
                cards.append(write_card(source, path, emit=emit))
        return {"cards": cards}

    def summary(self, result: dict[str, Any]) -> str:
        """Say where the cards are."""
        return "\n".join(
            f"{card['card']}: {counted(card['frames'], 'frame')} of {card['split']}" for card in result["cards"]
        )


def _silent(event: dict[str, Any]) -> None:
    pass


def write_card(source: Source, path: Path, *, emit: Emit = _silent) -> dict[str, Any]:
    """Write the card of a split.

    Args:
        source: The split.
        path: HTML file to write.
        emit: Receives `progress` events.

    Returns:
        {card, split, frames, shares, rocks, small_rock_share, redrawn, ms_per_frame}: shares of pixels by class, rocks
        or rock regions in the frames read, share of rock pixels in regions under 4 px (None without rocks), frames
        that were drawn again, mean drawing time [ms] by the log (None without one).

    Raises:
        InputError: A frame's file is missing or not as it was written, or the page cannot be written.
    """
    contract, records = source.contract, source.records
    params = None if contract.imported else contract.params
    pixels = measure_pixels(
        source, progress=lambda done, total: emit({"event": "progress", "done": done, "total": total})
    )
    drawn = collect_drawn(params, source) if params else []
    timings = read_timings(source.folder / LOG)
    counts = {name: sum(record.counts[name] for record in records) for name in (*NAMES, "ignore")}
    others = [stereo_section(source), truth_section(source)]
    sections = [
        _frames_section(source, pixels),
        *(section for section in others if section is not None),
        _classes_section(records, counts, params),
        _rocks_section(pixels, len(records)),
        _light_section(pixels, drawn),
        _parameters_section(drawn, params),
        _redraws_section(records, params),
        _timings_section(timings, len(records)),
        _contract_section(contract),
    ]
    with refusing("out", path, "file"):
        write_page(path, f"{contract.split}: a split at a glance", _lead(contract), sections, _facts(contract, records))
    total = sum(counts.values())
    return {
        "card": str(path),
        "split": contract.split,
        "frames": len(records),
        "shares": {name: count / total for name, count in counts.items()},
        "rocks": len(pixels.regions),
        "small_rock_share": _small_share(pixels),
        "redrawn": sum(record.redraws > 0 for record in records),
        "ms_per_frame": 1000 * timings.drawing_s / timings.frames if timings else None,
    }


def _lead(contract: Contract) -> str:
    if contract.imported:
        return "Imported pictures and masks, in the layout of a generated split."
    renderer = contract.renderer
    back_end = f" on {renderer['backend']}" if renderer.get("backend") else ""
    return f"Frames drawn from preset {contract.parameters['preset']} by {renderer.get('name')}{back_end}."


def _facts(contract: Contract, records: Sequence[FrameRecord]) -> list[tuple[str, Any]]:
    wanted = contract.frames
    frames = str(len(records)) if len(records) == wanted else f"{len(records)} of {wanted}"
    scenes = len({record.spec["scene"] for record in records if "scene" in record.spec})
    facts = [("frames", frames), ("size", f"{contract.width} × {contract.height} px")]
    facts += [("scenes", str(scenes))] if scenes else []
    facts += [("preset", contract.parameters["preset"])] if "preset" in contract.parameters else []
    megabytes = sum(sum(record.bytes.values()) for record in records) / 1e6
    facts += [("seed", str(contract.seed)), ("outputs", ", ".join(contract.outputs))]
    return [*facts, ("on disk", f"{megabytes:,.1f} MB"), ("digest", contract.digest[:12])]


def outline(rgb: np.ndarray, mask: np.ndarray, width: int = 1) -> np.ndarray:
    """Draw a line around every rock, just outside it, and along the horizon.

    Args:
        rgb: Picture, uint8 [H, W, 3].
        mask: Classes, uint8 [H, W].
        width: Width of the line [px].

    Returns:
        uint8 [H, W, 3], a new array.
    """
    out = rgb.copy()
    for value, color in ((SKY, SKY_LINE), (ROCK, ROCK_LINE)):
        inside = mask == value
        out[np.asarray(scipy.ndimage.binary_dilation(inside, iterations=width)) & ~inside] = color
    return out


def _frames_section(source: Source, pixels: Pixels) -> ReportSection:
    records = source.records
    pictures: list[Picture] = []
    for record in (records[number] for number in spread(len(records), SAMPLES)):
        rgb, mask = source.array("rgb", record), source.array("mask", record)
        scale = max(1, round(SIDE / max(mask.shape)))  # so that a line may be thinner than a pixel of the frame
        rgb, mask = (array.repeat(scale, axis=0).repeat(scale, axis=1) for array in (rgb, mask))
        sun = record.spec.get("sun_elevation_deg")
        rock = record.counts["rock"] / max(sum(record.counts.values()), 1)
        caption = f"{record.index}: rock {rock:.1%}" + (f", sun {sun:.0f}° high" if sun is not None else "")
        pictures.append(
            picture(np.concatenate([rgb, outline(rgb, mask, width=-(-2 * scale // 3))], axis=1), caption, side=SIDE)
        )
    text = [
        f"{len(pictures)} of {counted(len(records), 'frame')}, evenly spread, each beside its outline: rock red, "
        "horizon blue."
    ]
    if pixels.frames < len(records):
        text.append(
            f"Rock sizes and brightness below are measured on {counted(pixels.frames, 'frame')}, evenly spread."
        )
    return ReportSection("Frames", text, pictures=pictures)


def _classes_section(records: Sequence[FrameRecord], counts: dict[str, int], params: Params | None) -> ReportSection:
    shares = np.array([record.counts["rock"] / sum(record.counts.values()) for record in records])
    asked = _asked_share(params)
    without = int(np.count_nonzero(shares == 0))
    text = (
        f"Rock covers {shares.mean():.2%} of a frame in the mean, from {shares.min():.2%} to {shares.max():.2%}; "
        f"{'every frame has some' if not without else f'{without} of {len(records)} frames have none'}.",
    )
    return ReportSection("Classes", text, pictures=[drawing(plots.class_shares(counts, shares, asked), wide=True)])


def _asked_share(params: Params | None) -> Interval | None:
    """Range a frame's rock share was asked to lie in; None where any would do."""
    asked = params.randomize.rock_share if params else None
    return None if asked is None or (asked.lo <= 0 and asked.hi >= 1) else asked


def _small_share(pixels: Pixels) -> float | None:
    total = int(pixels.regions.sum())
    return float(pixels.regions[pixels.regions < plots.SMALL].sum()) / total if total else None


def _rocks_section(pixels: Pixels, frames: int) -> ReportSection:
    if not len(pixels.regions):
        return ReportSection(
            "Apparent rock sizes", (f"There is no rock in {pixels.frames} of {counted(frames, 'frame')}.",)
        )
    kind = "rocks, told apart by their instance ids" if pixels.by_instance else "connected regions of rock"
    small = pixels.regions < plots.SMALL
    text = (
        f"{len(pixels.regions):,} {kind}, {len(pixels.regions) / pixels.frames:.0f} a frame; half of them cover at "
        f"most {np.median(pixels.regions):.0f} px.",
        f"{small.mean():.1%} of them are under {plots.SMALL} px; they hold {_small_share(pixels):.2%} of the rock "
        "pixels.",
    )
    return ReportSection("Apparent rock sizes", text, pictures=[drawing(plots.rock_sizes(pixels), wide=True)])


def _light_section(pixels: Pixels, drawn: Sequence[Draws]) -> ReportSection:
    by_name = {parameter.name: parameter for parameter in drawn}
    total = max(int(pixels.brightness.sum()), 1)
    black, white = (int(pixels.brightness[:, value].sum()) / total for value in (0, 255))
    lit = max(int(pixels.brightness[:2].sum()), 1)
    shadow = int(pixels.brightness[:2, :8].sum()) / lit
    text = (
        f"{black:.1%} of all pixels are black and {white:.2%} white; of ground and rock, {shadow:.1%} are darker "
        "than 8 of 255.",
    )
    pictures = []
    if by_name:
        names = ("sun_azimuth_deg", "sun_elevation_deg", "heading_deg")
        pictures.append(drawing(plots.sun_rose(*(by_name[name] for name in names)), wide=True))
    return ReportSection("Light", text, pictures=[*pictures, drawing(plots.brightness(pixels), wide=True)])


def _parameters_section(drawn: Sequence[Draws], params: Params | None) -> ReportSection:
    if params is None:
        return ReportSection("Parameters", ("The frames were imported: no parameters were drawn.",))
    varied = [parameter for parameter in drawn if parameter.varies]
    fixed = [parameter for parameter in drawn if not parameter.varies]
    strayed = sum(len(parameter.stray) for parameter in drawn)
    text = [
        f"{len(varied)} parameters vary, {len(fixed)} are held. "
        + (f"Outside their range: {strayed} values." if strayed else "Every value lies in the range asked for."),
        f"Drawn by {params.randomize.sampling} sampling at strength {params.randomize.strength:g}. Bars are the "
        "frames' values, green ones the scenes'; the shaded band is the range asked for, the line what even draws "
        "would give.",
    ]
    if fixed:
        values = (f"{each.name} {each.asked.lo:g} {each.unit}".rstrip() for each in fixed)
        text.append(f"Held at one value: {', '.join(values)}.")
    pictures = [drawing(plots.parameter_histograms(varied), wide=True)] if varied else []
    return ReportSection("Parameters", text, pictures=pictures)


def _redraws_section(records: OrderedRecords, params: Params | None) -> ReportSection:
    if params is None:
        return ReportSection("Redraws", ("The frames were imported: none was drawn, nor drawn again.",))
    redrawn = np.array([record.redraws for record in records])
    again = records[redrawn > 0]
    asked = _asked_share(params)
    wanted = f"between {asked.lo:.1%} and {asked.hi:.1%} of rock" if asked else ""
    if not again:
        missed = len(records) - _reached(records, asked)
        why = f"{'each' if not missed else f'all but {missed}'} had {wanted} at once" if asked else (
            "no range of rock shares was asked for"
        )  # fmt: skip
        return ReportSection("Redraws", (f"No frame was drawn again: {why}.",))
    mean = redrawn.sum() / len(again)
    text = f"{len(again)} of {counted(len(records), 'frame')} were drawn again, {mean:.1f} times in the mean."
    if asked:
        text += f" Asked for were frames with {wanted}: {_reached(again, asked)} of the {len(again)} came to lie there"
        text += f", and {_reached(records, asked)} of all {len(records)} do."
    times = Counter(redrawn.tolist())
    return ReportSection("Redraws", (text,), pictures=[drawing(plots.redraws(times), wide=True)])


def _reached(records: Sequence[FrameRecord], asked: Interval | None) -> int:
    """Number of frames whose share of rock is in the range asked for."""
    shares = (record.counts["rock"] / max(sum(record.counts.values()), 1) for record in records)
    return sum(asked is None or asked.contains(share) for share in shares)


def _timings_section(timings: Timings | None, frames: int) -> ReportSection:
    if timings is None:
        return ReportSection("Timings", (f"There is no {LOG} beside the frames: how long they took is not known.",))
    each = 1000 * timings.drawing_s / timings.frames
    memory = f"; a worker held at most {timings.peak_rss / 2**30:.2f} GiB" if timings.peak_rss else ""
    hosts = f" on {timings.hosts} machines" if timings.hosts > 1 else ""
    text = (
        f"{each:.0f} ms a frame and worker, {1000 / each:.1f} frames a second, by the log of "
        f"{timings.frames} drawn for the {frames} here{hosts}{memory}.",
    )
    rows = [
        [stage, f"{1000 * seconds / timings.frames:.1f}", f"{seconds / timings.drawing_s:.1%}",
         "beside the drawing" if stage in WRITER_STAGES else "drawing"]
        for stage, seconds in timings.seconds.items()
    ]  # fmt: skip
    table = Table(["stage", "ms a frame", "of the drawing", "thread"], rows)
    return ReportSection("Timings", text, [table], [drawing(plots.stage_times(timings), wide=True)])


def _contract_section(contract: Contract) -> ReportSection:
    rows = [[key, str(getattr(contract, key))] for key in ("digest", "schema", "version")]
    rows += [[f"renderer {key}", str(value)] for key, value in contract.renderer.items()]
    return ReportSection("Contract", ("What dataset.json says of how the frames were made, beside the parameters.",),
                   [Table(["", ""], rows)])  # fmt: skip
