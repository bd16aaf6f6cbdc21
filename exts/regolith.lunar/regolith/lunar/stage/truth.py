"""What the outputs shadow, crater, slope and hazard need of a stage beside its geometry, and their values.

Craters and what a rover asks of the ground stand on it where they are asked for: a renderer knows no parameters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured, unstructured_to_structured
from pxr import Sdf, Usd, Vt

from regolith.lunar.params.errors import InputError
from regolith.lunar.params.models import Params
from regolith.lunar.stage import schema
from regolith.lunar.stage.craters import CRATER_DTYPE
from regolith.lunar.stage.layer import attribute

TRUTHS = ("shadow", "crater", "slope", "hazard")
"""Outputs of a frame for which rays of their own are traced, or craters looked up."""

LIT, CAST, SELF = 0, 1, 2
"""Values of the output shadow: lit by the sun's centre, something blocks the ray to it, turned away from it."""

STEEP, STEPPED = 1, 2
"""Bits of the output hazard."""

CRATERS_MAX = np.iinfo(np.uint16).max
"""Most craters of a stage that keeps them: their numbers are 16 bits wide."""


class Footprint(NamedTuple):
    """What a rover asks of the ground under it."""

    radius_m: float
    """Radius of the disc over which slope and step are taken [m]."""
    slope_deg: float
    """Slope above which ground is a hazard [deg]."""
    step_m: float
    """Step above which ground is a hazard [m]."""


def write_craters(ground: Sdf.PrimSpec, craters: np.ndarray) -> None:
    """Write craters, `CRATER_DTYPE` in the order they were laid, on the Ground.

    Raises:
        InputError: There are more than `CRATERS_MAX`.
    """
    if len(craters) > CRATERS_MAX:
        raise InputError("dataset.crater", len(craters), f"a scene of at most {CRATERS_MAX} craters, their numbers")
    rows = np.ascontiguousarray(structured_to_unstructured(craters, np.float64))
    doc = "x, y, diameter [m] and freshness of each crater, oldest first."
    value = Vt.Vec4dArray.FromNumpy(rows.reshape(-1, 4))
    attribute(ground, schema.CRATERS, Sdf.ValueTypeNames.Double4Array, value, doc=doc, custom=True)


def read_craters(stage: Usd.Stage) -> np.ndarray:
    """Read the craters a stage keeps, `CRATER_DTYPE` in the order they were laid.

    Raises:
        InputError: It keeps none.
    """
    found = stage.GetAttributeAtPath(f"{schema.GROUND}.{schema.CRATERS}")
    if not found:
        allowed = "a stage that keeps its craters, as dataset.crater true authors it, with the output crater"
        raise InputError("stage", stage.GetRootLayer().identifier, allowed)
    return unstructured_to_structured(np.array(found.Get(), np.float64).reshape(-1, 4), CRATER_DTYPE)


def asks_ground(params: Params) -> bool:
    """Whether an output is asked for that needs a rover's demands."""
    return params.dataset.slope or params.dataset.hazard


def set_footprint(stage: Usd.Stage, params: Params) -> None:
    """Write what a rover asks of the ground on a stage of the `stage.schema` layout."""
    ground = stage.GetPrimAtPath(schema.GROUND)
    for field, (name, doc) in schema.FOOTPRINT_VALUES.items():
        made = ground.CreateAttribute(schema.FOOTPRINT + name, Sdf.ValueTypeNames.Double, custom=True)
        made.SetDocumentation(doc)
        made.Set(getattr(params.dataset, field))


def read_footprint(stage: Usd.Stage) -> Footprint:
    """Read what a rover asks of the ground.

    Raises:
        InputError: The stage does not say.
    """
    names = [schema.FOOTPRINT + name for name, _ in schema.FOOTPRINT_VALUES.values()]
    found = [stage.GetAttributeAtPath(f"{schema.GROUND}.{name}") for name in names]
    if not all(found):
        allowed = "a stage that says what a rover asks of the ground, as dataset.slope true authors it"
        raise InputError("stage", stage.GetRootLayer().identifier, allowed)
    return Footprint(*(each.Get() for each in found))


def steep_ground(slope: np.ndarray, limit_deg: float) -> np.ndarray:
    """Whether slopes [deg], float32, are hazards, bool; in their precision, and never where there is none."""
    return slope > np.float32(limit_deg)
