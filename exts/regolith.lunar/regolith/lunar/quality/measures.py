"""What the gate judges by, and its thresholds."""

from typing import Literal

MEASURES = ("geometry", "semantics")
Required = Literal["geometry,semantics", "semantics", "geometry"]
"""Measures that have to be scored and pass, with commas between."""
REQUIRED: Required = "geometry,semantics"
GEOMETRY_MIN, JSD_MAX = 0.75, 0.15
"""Thresholds, defaults of ours: that models train better beyond them is not known."""
