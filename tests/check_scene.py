"""The scene that tests of a machine's check draw; our package is loaded when asked for, in Kit by the extension."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regolith.lunar.params import Params


def small_params() -> Params:
    """Parameters of a check, with a coarse ground and few rocks."""
    from regolith.lunar.rtx_check.looking import check_params

    base = check_params()
    return base.model_copy(
        update={
            "terrain": base.terrain.model_copy(update={"cell_m": 0.3, "far_radius_m": 300.0}),
            "rocks": base.rocks.model_copy(update={"diameter_min_m": 0.1}),
            "craters": base.craters.model_copy(update={"diameter_min_m": 1.5}),
            "render": base.render.model_copy(update={"quality": "draft"}),
        }
    )


def smallest_params() -> Params:
    """The same, coarser still: no step of it is to be caught in the middle."""
    base = small_params()
    return base.model_copy(
        update={
            "terrain": base.terrain.model_copy(update={"cell_m": 0.5, "far_radius_m": 200.0}),
            "rocks": base.rocks.model_copy(update={"diameter_min_m": 0.2, "shape_count": 1}),
            "craters": base.craters.model_copy(update={"diameter_min_m": 2.0}),
        }
    )
