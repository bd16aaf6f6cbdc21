"""What the panel holds beside `Params`: the frame on show, the preview's looks, the interpreter of companions."""

from __future__ import annotations

from pathlib import Path

from regolith.lunar.params import Group, quantity
from regolith.lunar.randomize import Split


class ShotSettings(Group):
    """The frame the stage shows; seed and picture size are those of the export."""

    split: Split = quantity("train_dr", "Split whose frame the stage shows.")
    frame: int = quantity(0, "Frame of the split the stage shows, exactly as it is exported.", ge=0, le=999_999)


class ModelSettings(Group):
    """The model that segments the live preview, and how its classes are drawn."""

    path: str = quantity("default", "Model: an .onnx file, or a shipped one by name, such as `default`.")
    opacity: float = quantity(0.45, "Opacity of the classes over the picture.", ge=0, le=1, step=0.05)
    rock: bool = quantity(True, "Show rock, red.")
    outline: bool = quantity(True, "Draw an outline around rock.")
    regolith: bool = quantity(True, "Show regolith, faint green.")
    legend: bool = quantity(True, "Show legend, rock share, model name and speed.")
    rate_hz: float = quantity(10.0, "Most frames segmented per second.", unit="Hz", ge=0.2, le=60, step=0.5)


class CompanionSettings(Group):
    """Where companion processes run."""

    python: Path | None = quantity(
        None, "Python with torch that training runs in; left out, the one found on this machine. Remembered."
    )


class GenerateSettings(Group):
    """Where a dataset is drawn, and what RTX's light is worth there."""

    headless: bool = quantity(
        False, "Draw in chunks of a process of its own instead of here: longer to start, the window stays free."
    )
    gain: float = quantity(
        1.0,
        "Radiance over RTX's `HdrColor`: 1 where RTX keeps to UsdLux. A split goes on with the one it was begun with.",
        ge=0.001,
        le=1000,
    )
