"""The semantic classes: the one definition every mask, stage, model and metric uses."""

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
