"""A "real" simulation with known offsets, and what each training of a sweep knows of it.

A world is one way a rover and its camera really are; an arm is what a training takes them to be: ranges it draws from.
The dynamics act on hard ground alone, for on soil the friction is the soil's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regolith.lunar.params import DynamicsParams, Interval, Params, change_params
from regolith.lunar.params.policy import DYNAMICS

FRICTION, MASS, NOISE = "dynamics.friction_scale", "dynamics.mass_scale", "sensor.read_noise_e"
"""Parameters the offsets are of."""

NOISE_SHARE = 0.03
"""Camera noise of the "real" simulation: standard deviation over the value of full scale, in linear light."""

NOISE_RANGE = (0.0, 0.06)
"""What it is drawn from where it is randomized."""

PSF_RANGE_PX = (0.0, 1.0)
"""Blur of the lens where it is randomized [px]."""

DIFFERENCES: dict[str, tuple[str, float]] = {
    "friction": (FRICTION, 0.8), "mass": (MASS, 1.1), "noise": (NOISE, NOISE_SHARE),
}  # fmt: skip
"""Difference by its name to the parameter and its value in the "real" simulation."""

WORLDS: dict[str, tuple[str, ...]] = {"sim": (), **{name: (name,) for name in DIFFERENCES}, "real": tuple(DIFFERENCES)}
"""World by its name to what in it is as in the "real" simulation; all else is as drawn."""


def nominal(params: Params) -> Params:
    """The simulation without offsets: the rover as it is drawn, a camera without read noise."""
    return change_params(params.model_copy(update={"dynamics": DynamicsParams()}), {NOISE: 0.0})


def world_params(params: Params, world: str) -> Params:
    """Parameters of a world.

    Args:
        params: The preset's.
        world: One of `WORLDS`.
    """
    values = dict(DIFFERENCES[name] for name in WORLDS[world])
    if NOISE in values:
        values[NOISE] *= params.sensor.full_well_e
    return change_params(nominal(params), values)


def randomized(params: Params, *, visual: bool = True, dynamics: bool = True) -> Params:
    """Parameters of an arm that draws what it does not know.

    Args:
        params: The preset's.
        visual: Whether noise and blur of the camera are drawn.
        dynamics: Whether the rover's dynamics are (`params.policy.DYNAMICS`).
    """
    found = nominal(params)
    if dynamics:
        found = found.model_copy(update={"dynamics": DYNAMICS})
    if visual:
        full = params.sensor.full_well_e
        ranges = {NOISE: Interval(*(share * full for share in NOISE_RANGE)), "sensor.psf_px": Interval(*PSF_RANGE_PX)}
        found = change_params(found, ranges)
    return found


def identified(params: Params, found: Mapping[str, Interval], *, rest: bool) -> Params:
    """Parameters of an arm that has measured the "real" simulation.

    Args:
        params: The preset's.
        found: Dotted name to the interval that was found.
        rest: Whether what was not measured is drawn; else it is nominal.
    """
    return change_params(randomized(params) if rest else nominal(params), dict(found))


def found_intervals(camera: Mapping[str, Any] | None, dynamics: Mapping[str, Any] | None) -> dict[str, Interval]:
    """What calibrations told of the offsets.

    Args:
        camera: Result of `regolith calibrate camera`; None where it failed.
        dynamics: Result of `regolith calibrate dynamics`; None where it failed.

    Returns:
        Dotted name to interval, of what was identified alone.
    """
    found: dict[str, Interval] = {}
    noise = (camera or {}).get("found", {}).get(NOISE, {})
    if noise.get("status") == "identified":
        found[NOISE] = Interval(*noise["interval"])
    for name in (FRICTION, MASS):
        each = (dynamics or {}).get("parameters", {}).get(name.removeprefix("dynamics."))
        if each is not None and each["told"]:
            found[name] = Interval(each["lo"], each["hi"])
    return found
