"""`regolith sweep dr-strength`: how strongly one randomizes against what comes of it elsewhere."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from regolith.lunar.params import InputError, Params, change_params, preset_names, quantity
from regolith.lunar.randomize import narrowed
from training.ablate.asked import StudyVerb, checked, names
from training.ablate.schedule import Schedule
from training.ablate.steps import Step
from training.ablate.study import RunSpec, Study
from training.sweep.policy_steps import DrivePolicy, PolicyFlags, PolicyPlan, TeachPolicy
from training.sweep.report import write_report
from training.sweep.worlds import randomized, world_params

LEVELS = {"none": 0.0, "mild": 0.5, "strong": 1.0}
"""Level by its name to `randomize.strength`, whose range is 0 … 1."""
SHARED = "shared"
"""What val and test are drawn for: all levels, at full strength."""


def strength_of(level: str) -> float:
    """Return the `randomize.strength` of a level: one of `LEVELS`, or the number it is.

    Raises:
        InputError: It is neither.
    """
    try:
        strength = LEVELS[level] if level in LEVELS else float(level)
    except ValueError:
        strength = -1.0
    if not 0 <= strength <= 1:
        raise InputError("levels", level, f"{', '.join(LEVELS)}, or a number 0 … 1")
    return strength


@dataclasses.dataclass(frozen=True)
class StrengthStudy(Study):
    """A study whose `presets` are levels: one preset, randomized the more or the less."""

    preset: str = "v3"
    """Preset whose ranges are shrunk."""
    plan: PolicyPlan | None = None
    """How policies are taught; None for detectors alone."""
    noun: ClassVar[str] = "levels"

    @property
    def tested(self) -> tuple[str, ...]:
        """One val and one test split for all levels."""
        return (SHARED,)

    def home(self, preset: str) -> str:
        """Return `SHARED`, whatever the level."""
        return SHARED

    def params(self, preset: str) -> Params:
        """Parameters the frames of a level are drawn from."""
        strength = 1.0 if preset == SHARED else strength_of(preset)
        return change_params(super().params(self.preset), {"randomize.strength": strength})

    def policy_params(self, level: str) -> Params:
        """Parameters of the stages a policy of a level is taught on: dynamics and camera noise are randomized too.

        The preset's ranges shrink about their centres; these, about what a simulation without them takes for granted.
        """
        strength = strength_of(level)
        shrunk = narrowed(change_params(super().params(self.preset), {"randomize.strength": strength}), "train_dr")
        return randomized(shrunk, strength=strength)

    @property
    def real_params(self) -> Params:
        """Parameters of the "real" simulation policies are tried in."""
        return world_params(super().params(self.preset), "real")

    def check_presets(self) -> None:
        """Refuse a preset that is none, and levels that are one.

        Raises:
            InputError: There is none of that name, or two levels are of one strength.
        """
        if self.preset not in preset_names():
            raise InputError("preset", self.preset, ", ".join(preset_names()))
        strengths = [strength_of(level) for level in self.presets]
        if len(set(strengths)) != len(strengths) or len(strengths) < 2:
            raise InputError("levels", ",".join(self.presets), "two levels or more, each of another strength")

    def settings(self) -> dict[str, Any]:
        """What a folder's sweep is known by; more levels, seeds and photographs may join it later."""
        plan = {} if self.plan is None else {"policy": self.plan.to_dict()}
        return super().settings() | {"preset": self.preset, "train_frames": self.split_frames("train_dr")} | plan


class StrengthFlags(PolicyFlags):
    """What is varied."""

    preset: str = quantity("v3", "Preset whose ranges are shrunk about their centres.")
    levels: str = quantity(
        ",".join(LEVELS),
        "Levels of randomization: " + ", ".join(f"{name} ({strength:g})" for name, strength in LEVELS.items())
        + ", or a randomize.strength 0 … 1.",
    )  # fmt: skip
    frames: int = quantity(400, "Training frames of each level at scale 1.", unit="frames", ge=1, le=100_000)
    policy: bool = quantity(False, 'Teach a policy at each level too, and try it in a "real" simulation.')


class SweepStrength(StudyVerb, StrengthFlags):
    """Measure what the strength of domain randomization does to a detector; run again to resume."""

    verb: ClassVar[str] = "sweep dr-strength"
    always: ClassVar[tuple[str, ...]] = ("levels", "seeds", "scale")

    scale: float = quantity(
        0.25,
        "Factor on frames, on the side of a frame and on epochs, all three; stamped on every result.",
        ge=0.01,
        le=4,
    )
    out: Path = quantity(Path("out/sweep"), "Folder of the sweep; results.json and RESULTS.md land in it.")

    def study(self) -> Study:
        """Return what is asked for, levels by their strength.

        Raises:
            InputError: The first field that does not fit.
        """
        levels = sorted(names("levels", self.levels), key=strength_of)
        run = RunSpec(f"dr_{self.frames}", "train_dr", self.frames)
        plan = PolicyPlan.of(self) if self.policy else None
        asked = self.asked()
        return checked(StrengthStudy(presets=tuple(levels), runs=(run,), preset=self.preset, plan=plan, **asked))

    def steps(self, study: Study, shown: list[str]) -> list[Step]:
        """Return the steps of detectors, then those of policies where they are asked for."""
        assert isinstance(study, StrengthStudy)
        steps = super().steps(study, shown)
        if study.plan is None:
            return steps
        for seed in study.seeds:
            for level in study.presets:
                teach = TeachPolicy(study, level, seed, study.plan, lambda level=level: study.policy_params(level), ())
                steps += [teach, DrivePolicy(study, teach, "real", lambda: study.real_params)]
        return steps

    def report(self, study: Study, schedule: Schedule, shown: list[str]) -> dict[str, Any]:
        """Write results.json, RESULTS.md and the figures of what is done so far."""
        strengths = {level: strength_of(level) for level in study.presets}
        return write_report(study, schedule, shown, strengths)
