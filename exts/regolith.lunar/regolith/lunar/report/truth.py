"""The card's section on what else is known of the ground: shadow, craters, slope and hazards in colours."""

from __future__ import annotations

import numpy as np

from regolith.lunar.dataset.formats.source import Source
from regolith.lunar.dataset.layout import FrameRecord
from regolith.lunar.dataset.splits import counted
from regolith.lunar.labels import IGNORE
from regolith.lunar.report.page import Picture, ReportSection, picture
from regolith.lunar.report.split_stats import spread

FRAMES = 6
"""Frames that are shown and measured."""

STEEPEST_DEG = 30.0
"""Slope at the end of the colours [deg]."""

SHADOW_COLOURS = ((222, 222, 222), (30, 60, 150), (150, 60, 150))
"""Lit, cast, turned away."""

HAZARD_COLOURS = ((60, 160, 80), (250, 210, 50), (240, 130, 30), (205, 30, 45))
"""None, slope, step, both."""

OUTPUTS = ("shadow", "crater", "slope", "hazard")


def truth_section(source: Source) -> ReportSection | None:
    """Show these outputs of a split; None where it keeps none.

    Raises:
        InputError: A file is missing, or not as it was written.
    """
    kept = [name for name in OUTPUTS if source.has(name)]
    if not kept:
        return None
    records = [source.records[number] for number in spread(len(source.records), FRAMES)]
    text = [f"{counted(len(records), 'frame')}, evenly spread: the picture, then {', '.join(kept)}."]
    text += [line for name in kept for line in (_told(source, name, records),) if line]
    return ReportSection(
        "Shadow, craters, slope, hazards", text, pictures=[_row(source, record, kept) for record in records]
    )


def colour_truth(name: str, values: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """Colour one of these outputs.

    Args:
        name: Of the output.
        values: As a frame has it, shape [H, W].
        rgb: Its picture, uint8, shape [H, W, 3], which shows through craters and hazards.

    Returns:
        uint8, shape [H, W, 3]; what is sky or rover is black.
    """
    import matplotlib

    if name == "slope":
        colours = matplotlib.colormaps["viridis"](np.nan_to_num(values) / STEEPEST_DEG, bytes=True)[..., :3]
        return np.where(np.isnan(values)[..., None], 0, colours).astype(np.uint8)
    grey = rgb.mean(axis=-1, keepdims=True)
    if name == "crater":
        tints = (255 * np.array(matplotlib.colormaps["tab20"].colors)).astype(np.uint8)  # type: ignore[attr-defined]
        tinted = 0.5 * grey + 0.5 * tints[values % len(tints)]
        return np.where((values > 0)[..., None], tinted, grey).astype(np.uint8)
    table = np.array(SHADOW_COLOURS if name == "shadow" else HAZARD_COLOURS, np.uint8)
    unseen = values == IGNORE
    colours = table[np.where(unseen, 0, values)]
    if name == "hazard":
        colours = (0.35 * grey + 0.65 * colours).astype(np.uint8)
    return np.where(unseen[..., None], 0, colours).astype(np.uint8)


def _told(source: Source, name: str, records: list[FrameRecord]) -> str:
    """What the shares of an output are, in one sentence."""
    values = np.concatenate([source.array(name, record).ravel() for record in records])
    if name == "slope":
        values = values[np.isfinite(values)]
        if not values.size:
            return ""
        half, most = np.quantile(values, [0.5, 0.95]).tolist()
        return f"Half of the ground slopes at most {half:.1f}°, 95 % of it {most:.1f}°; bright is {STEEPEST_DEG:.0f}°."
    if name == "crater":
        return f"{np.mean(values > 0):.0%} of the pixels lie in a crater, each of its own colour."
    values = values[values != IGNORE]
    if not values.size:
        return ""
    if name == "shadow":
        lit, cast, turned = (float(np.mean(values == value)) for value in range(3))
        return (
            f"{lit:.0%} of the ground is lit (light), {cast:.0%} in cast shadow (blue), {turned:.0%} turned away "
            "from the sun (violet)."
        )
    none, steep, step, both = (float(np.mean(values == value)) for value in range(4))
    return (
        f"{none:.0%} of the ground is no hazard (green), {steep:.0%} too steep (yellow), {step:.0%} has too high a "
        f"step (orange), {both:.0%} both (red)."
    )


def _row(source: Source, record: FrameRecord, kept: list[str]) -> Picture:
    rgb = source.array("rgb", record)
    parts = [rgb, *(colour_truth(name, source.array(name, record), rgb) for name in kept)]
    return picture(np.concatenate(parts, axis=1), str(record.index), wide=True)
