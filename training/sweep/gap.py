"""`regolith sweep gap`: what known differences between a simulation and a "real" one cost, and what wins it back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from regolith.lunar.params import Params, quantity
from training.ablate.contrasts import minus
from training.ablate.steps import Generate, Step
from training.sweep.arms import ArmStudy, ArmVerb, result_of, waiting
from training.sweep.arms_report import Contrast
from training.sweep.policy_steps import MeasureCamera, MeasureDynamics
from training.sweep.worlds import (
    DIFFERENCES,
    FRICTION,
    MASS,
    NOISE,
    READ_SHARE,
    WORLDS,
    found_intervals,
    identified,
    nominal,
    randomized,
)

ARMS = ("nominal", "randomized", "identified", "both")
MEASURING = ("identified", "both")
"""Arms that know what was measured in the "real" simulation."""


@dataclasses.dataclass(frozen=True)
class GapStudy(ArmStudy):
    """Arms that know nothing, randomize, measure, or do both."""

    def arm(self, name: str) -> Params:
        """Parameters of an arm; before anything is measured, one that measures knows nothing."""
        if name in MEASURING:
            camera, dynamics = result_of(self, "calibrate-camera-real"), result_of(self, "calibrate-dynamics-real")
            return identified(self.base, found_intervals(self.base, camera, dynamics), rest=name == "both")
        return randomized(self.base) if name == "randomized" else nominal(self.base)


class SweepGap(ArmVerb):
    """Measure what known differences to a "real" simulation cost a detector and a policy, and what wins it back."""

    verb: ClassVar[str] = "sweep gap"
    arms: ClassVar[tuple[str, ...]] = ARMS
    worlds: ClassVar[tuple[str, ...]] = tuple(WORLDS)
    title: ClassVar[str] = 'Sweep: the gap to a "real" simulation'
    study_class: ClassVar[type[ArmStudy]] = GapStudy

    out: Path = quantity(Path("out/sweep-gap"), "Folder of the sweep; results.json and RESULTS.md land in it.")

    def arranged(self, study: ArmStudy, steps: list[Step]) -> list[Step]:
        """Put the calibrations behind the real world's pictures, and before what waits for them."""
        pictures = next(s for s in steps if isinstance(s, Generate) and (s.preset, s.split) == ("real", "val"))
        camera = MeasureCamera(study, pictures.name, study.split_folder("real", "val"), study.preset)
        dynamics = MeasureDynamics(study, "real", lambda: study.params("real"))
        for measure in (camera, dynamics):
            waiting(steps, MEASURING, measure.name)
        return [pictures, camera, dynamics, *(step for step in steps if step is not pictures)]

    def before(self, arm: str) -> tuple[str, ...]:
        """The calibrations, for arms that measure."""
        return ("calibrate-camera real", "calibrate-dynamics real") if arm in MEASURING else ()

    def contrasts(self, run: str) -> list[Contrast]:
        """The drop, what each difference costs by itself, and what each remedy wins back in the real simulation."""
        first = (ARMS[0], run)
        words = {"real": ("nominal, from the simulation to the real one", "drop", "all")}
        words |= {name: (f"nominal, by {name} alone", "cost", name) for name in DIFFERENCES}
        found = [Contrast(*said, weights={(world, first): 1.0, ("sim", first): -1.0}) for world, said in words.items()]
        for arm in ARMS[1:]:
            weights = {("real", cell): weight for cell, weight in minus((arm, run), first).items()}
            found.append(Contrast(f"by {WORDS[arm]}, in the real simulation", "recovery", WORDS[arm], weights))
        return found

    def notes(self, study: ArmStudy) -> Sequence[str]:
        """What the calibrations told, and what they did not."""
        camera, dynamics = result_of(study, "calibrate-camera-real"), result_of(study, "calibrate-dynamics-real")
        if camera is None and dynamics is None:
            return ()
        told = found_intervals(study.base, camera, dynamics)
        said = ", ".join(f"{name} {interval.lo:.4g} … {interval.hi:.4g}" for name, interval in told.items())
        notes = [f"Identified: {said or 'nothing'}."]
        left = [name for name in (FRICTION, MASS, NOISE) if name not in told]
        if left:
            notes.append(f"Not identified, and nominal in `identified`: {', '.join(left)}.")
        share = (camera or {}).get("found", {}).get(READ_SHARE)
        if share is not None and NOISE in left:
            notes.append(f"Why not the camera's noise: {share['note']}.")
        return notes

    @property
    def method(self) -> str:
        """How it was done."""
        return (
            'The "real" simulation has 0.8 of the friction, 1.1 of the mass, and a camera with noise of 0.03 of full '
            "scale in linear light, against 1, 1 and 0. `nominal` knows nothing of that. `randomized` draws friction, "
            "mass, gain, delay and noise of actions, noise of readings, and noise and blur of the camera. `identified` "
            "has the intervals that `regolith calibrate dynamics` and `camera` found in runs and pictures of the real "
            "simulation, all else nominal; `both` has these, and draws the rest. All arms have one recipe, as many "
            "frames, stages and epochs; val of the simulation chooses a detector's epoch, for the real one has no "
            "labels. Policies drive over the same stages of val in every world, on hard ground."
        )


WORDS = {"randomized": "randomization", "identified": "identification", "both": "both"}
"""Arm to what it does about the gap."""
