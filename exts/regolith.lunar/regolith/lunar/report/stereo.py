"""The card's section on stereo pairs: both pictures of some frames, disparity in colours, and how far it reaches."""

from __future__ import annotations

import numpy as np

from regolith.lunar.dataset.formats.source import Source
from regolith.lunar.dataset.layout import FrameRecord
from regolith.lunar.dataset.splits import counted
from regolith.lunar.labels import SKY
from regolith.lunar.report.page import Picture, ReportSection, picture
from regolith.lunar.report.split_stats import spread

PAIRS = 6
"""Frames that are shown and measured."""


def stereo_section(source: Source) -> ReportSection | None:
    """Show the pairs of a split; None where it keeps none.

    Raises:
        InputError: A file is missing, or not as it was written.
    """
    if not (source.has("right") or source.has("disparity")):
        return None
    records = [source.records[number] for number in spread(len(source.records), PAIRS)]
    text = [f"{counted(len(records), 'frame')}, evenly spread: left, right and disparity, as far as they are kept."]
    largest = 0.0
    if source.has("disparity"):
        seen = [source.array("disparity", record)[source.array("mask", record) != SKY] for record in records]
        values = np.concatenate(seen)
        if values.size:
            half, most, largest = np.quantile(values, [0.5, 0.99, 1.0]).tolist()
            text.append(
                f"Half of what is not sky is at most {half:.1f} px apart in the two pictures, 99 % of it {most:.1f} "
                f"px and all {largest:.1f} px: the range a matcher has to search."
            )
    return ReportSection("Stereo pairs", text, pictures=[_pair(source, record, largest) for record in records])


def _pair(source: Source, record: FrameRecord, largest: float) -> Picture:
    """What is kept of a pair, side by side; disparity from 0 to the largest."""
    parts = [source.array("rgb", record)]
    if source.has("right"):
        parts.append(source.array("right", record))
    if source.has("disparity"):
        import matplotlib

        disparity = source.array("disparity", record)
        colours = matplotlib.colormaps["viridis"](disparity / max(largest, 1e-9), bytes=True)[..., :3]
        parts.append(np.where((disparity > 0.0)[..., None], colours, 0).astype(np.uint8))
    return picture(np.concatenate(parts, axis=1), str(record.index), wide=True)
