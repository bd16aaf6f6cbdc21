"""`regolith sweep visual-vs-dynamics`: which randomization helps which, in a table of two by two."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from regolith.lunar.params import Params, change_params, quantity
from training.sweep.arms import ArmStudy, ArmVerb
from training.sweep.arms_report import Contrast
from training.sweep.worlds import randomized

ARMS = {"neither": (False, False), "visual": (True, False), "dynamics": (False, True), "both": (True, True)}
"""Arm to whether it randomizes what is seen, and how the rover moves."""

VISUAL = ("light", "ground", "rocks", "sensor")
"""Switches of `randomize` that are off where nothing visual is randomized."""


@dataclasses.dataclass(frozen=True)
class VisualDynamicsStudy(ArmStudy):
    """Arms that randomize what is seen, how the rover moves, both or neither."""

    def arm(self, name: str) -> Params:
        """Parameters of an arm."""
        visual, dynamics = ARMS[name]
        params = randomized(self.base, visual=visual, dynamics=dynamics)
        return change_params(params, {f"randomize.{switch}": visual for switch in VISUAL})


class SweepVisualDynamics(ArmVerb):
    """Measure which randomization, of what is seen or of how the rover moves, helps a detector and a policy."""

    verb: ClassVar[str] = "sweep visual-vs-dynamics"
    arms: ClassVar[tuple[str, ...]] = tuple(ARMS)
    title: ClassVar[str] = "Sweep: randomization of what is seen, and of how the rover moves"
    study_class: ClassVar[type[ArmStudy]] = VisualDynamicsStudy

    out: Path = quantity(Path("out/sweep-2x2"), "Folder of the sweep; results.json and RESULTS.md land in it.")

    def contrasts(self, run: str) -> list[Contrast]:
        """Main effects, each the mean of two differences, and their interaction, in the real simulation."""

        def weights(neither: float, visual: float, dynamics: float, both: float) -> dict:
            by_arm = zip(ARMS, (neither, visual, dynamics, both), strict=True)
            return {("real", (arm, run)): weight for arm, weight in by_arm}

        return [
            Contrast("visual randomization, the other on and off", "effect", "visual", weights(-0.5, 0.5, -0.5, 0.5)),
            Contrast(
                "dynamics randomization, the other on and off", "effect", "dynamics", weights(-0.5, -0.5, 0.5, 0.5)
            ),
            Contrast("what both do beyond the sum of each", "effect", "interaction", weights(1.0, -1.0, -1.0, 1.0)),
        ]

    @property
    def method(self) -> str:
        """How it was done."""
        return (
            "Visual randomization draws light, ground, rocks and sensor from the preset's ranges, and noise and blur "
            "of the camera; without it all of these are the centres of their ranges. Dynamics randomization draws "
            "friction, mass, gain, delay and noise of actions, and noise of readings; without it the rover is as it is "
            'drawn. The "real" simulation has 0.8 of the friction, 1.1 of the mass and camera noise of 0.03 of full '
            "scale in linear light, and the preset's whole variety of light and ground. All arms have one recipe, as "
            "many frames, stages and epochs."
        )
