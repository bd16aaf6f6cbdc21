"""A "real" simulation with known offsets, and what each training of a sweep knows of it.

A world is one way a rover and its camera really are; an arm is what a training takes them to be: ranges it draws from.
The dynamics act on hard ground alone, for on soil the friction is the soil's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regolith.lunar.params import DynamicsParams, Interval, Params, change_params
from regolith.lunar.params.policy import DYNAMICS
from regolith.lunar.quality.calibrate_camera import READ_NOISE, READ_SHARE

FRICTION, MASS, NOISE = "dynamics.friction_scale", "dynamics.mass_scale", READ_NOISE
"""Parameters the offsets are of."""

NOISE_SHARE = 0.03
"""Camera noise of the "real" simulation: standard deviation over the value of full scale, in linear light."""

NOISE_RANGE = (0.0, 0.08)
"""What it is drawn from where it is randomized; chosen, as far as read noise goes at 12,000 electrons."""

PSF_RANGE_PX = (0.0, 1.0)
"""Blur of the lens where it is randomized [px]."""

DIFFERENCES: dict[str, tuple[str, float]] = {
    "friction": (FRICTION, 0.8), "mass": (MASS, 1.1), "noise": (NOISE, NOISE_SHARE),
}  # fmt: skip
"""Difference by its name to the parameter and its value in the "real" simulation."""

WORLDS: dict[str, tuple[str, ...]] = {"sim": (), **{name: (name,) for name in DIFFERENCES}, "real": tuple(DIFFERENCES)}
"""World by its name to what in it is as in the "real" simulation; all else is as drawn."""


def nominal(params: Params) -> Params:
    """The simulation without offsets: the rover as it is drawn, a camera without read noise and gain."""
    return change_params(params.model_copy(update={"dynamics": DynamicsParams()}), {NOISE: 0.0, "sensor.gain_db": 0.0})


def world_params(params: Params, world: str) -> Params:
    """Parameters of a world.

    Args:
        params: The preset's.
        world: One of `WORLDS`.
    """
    values = dict(DIFFERENCES[name] for name in WORLDS[world])
    if NOISE in values:
        values[NOISE] = _electrons(params, Interval(values[NOISE])).center
    return change_params(nominal(params), values)


def randomized(params: Params, *, visual: bool = True, dynamics: bool = True, strength: float = 1.0) -> Params:
    """Parameters of an arm that draws what it does not know.

    Args:
        params: The preset's.
        visual: Whether noise and blur of the camera are drawn.
        dynamics: Whether the rover's dynamics are (`params.policy.DYNAMICS`).
        strength: How far their ranges go from what is nominal towards their ends, 0 … 1.
    """
    found = nominal(params)
    ranges: dict[str, Interval] = {}
    if dynamics:
        ranges |= {f"dynamics.{name}": getattr(DYNAMICS, name) for name in DynamicsParams.model_fields}
    if visual:
        ranges |= {NOISE: _electrons(params, Interval(*NOISE_RANGE)), "sensor.psf_px": Interval(*PSF_RANGE_PX)}
    return change_params(found, {name: _towards(found, name, end, strength) for name, end in ranges.items()})


def _towards(params: Params, name: str, end: Interval, strength: float) -> Interval:
    """The range of a parameter, each end moved by a part of its way to another."""
    group, field = name.split(".")
    here: Interval = getattr(getattr(params, group), field)
    lo, hi = ((1.0 - strength) * a + strength * b for a, b in ((here.lo, end.lo), (here.hi, end.hi)))
    return Interval(lo, hi)


def _electrons(params: Params, share: Interval) -> Interval:
    """Read noise [e-] of a share of the simulation's own full scale."""
    return Interval(share.lo * params.sensor.full_well_e, share.hi * params.sensor.full_well_e)


def identified(params: Params, found: Mapping[str, Interval], *, rest: bool) -> Params:
    """Parameters of an arm that has measured the "real" simulation.

    Args:
        params: The preset's.
        found: Dotted name to the interval that was found (`found_intervals`).
        rest: Whether what was not measured is drawn; else it is nominal.
    """
    return change_params(randomized(params) if rest else nominal(params), dict(found))


def found_intervals(
    params: Params, camera: Mapping[str, Any] | None, dynamics: Mapping[str, Any] | None
) -> dict[str, Interval]:
    """What calibrations told of the offsets.

    Args:
        params: The preset's; read noise is told as a share of full scale, and is that of its camera.
        camera: Result of `regolith calibrate camera`; None where it failed.
        dynamics: Result of `regolith calibrate dynamics`; None where it failed.

    Returns:
        Dotted name to interval, of what was identified alone.
    """
    found: dict[str, Interval] = {}
    noise = (camera or {}).get("found", {}).get(READ_SHARE, {})
    if noise.get("status") == "identified":
        found[NOISE] = _electrons(params, Interval(*noise["interval"]))
    for name in (FRICTION, MASS):
        each = (dynamics or {}).get("parameters", {}).get(name.removeprefix("dynamics."))
        if each is not None and each["told"]:
            found[name] = Interval(each["lo"], each["hi"])
    return found
