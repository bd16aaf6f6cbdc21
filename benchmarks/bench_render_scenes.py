"""Scenes and rows the benchmarks of rendering share."""

from __future__ import annotations

from typing import Any

from regolith.lunar.params import Params, load_preset

SIZE = 512
"""Side of the benchmark pictures [px]."""


def scene_params(name: str) -> tuple[Params, float]:
    """Parameters and rock abundance of a benchmark scene."""
    params = load_preset("v3")
    changes: dict[str, dict[str, dict[str, Any]]] = {
        "S512": {"terrain": {"size_m": 40.0, "cell_m": 40 / 512}, "relief": {"enabled": False}},
        "S1024": {"terrain": {"size_m": 51.2, "cell_m": 0.05}, "relief": {"enabled": False}},
        "RICH": {"relief": {"near_cell_m": 0.01, "near_radius_m": 6.0, "mid_cell_m": 0.02, "mid_radius_m": 11.0}},
    }
    for scene in changes.values():  # the targets were set on scenes of a dozen prototypes
        scene["rocks"] = {"shape_count": 12}
    groups = {group: getattr(params, group).model_copy(update=values) for group, values in changes[name].items()}
    return params.model_copy(update=groups), {"S512": 0.0095, "S1024": 0.0068, "RICH": 0.0095}[name]
