"""The semantic classes: the one definition every mask, stage, model and metric uses."""

import numpy as np

REGOLITH = 0
ROCK = 1
SKY = 2
IGNORE = 255
"""Mask value of pixels no metric and no loss counts: rover body, anything unlabelled."""

CLASSES: dict[str, int] = {"regolith": REGOLITH, "rock": ROCK, "sky": SKY}
"""Class name to mask value."""

NAMES: tuple[str, ...] = tuple(CLASSES)
"""Class names ordered by mask value."""

TAXONOMY = "class"
"""`UsdSemantics.LabelsAPI` taxonomy under which a stage carries these names."""


def count_classes(mask: np.ndarray) -> dict[str, int]:
    """Pixels per class of a mask, uint8, any shape; all that is no class under `ignore`."""
    histogram = np.bincount(mask.ravel(), minlength=256)
    counts = {name: int(histogram[value]) for name, value in CLASSES.items()}
    return counts | {"ignore": mask.size - sum(counts.values())}
