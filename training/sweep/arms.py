"""Studies that compare arms, what trainings take the world to be, in worlds that are otherwise (`worlds`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from regolith.lunar.params import InputError, Params, quantity
from regolith.lunar.params.io import load_preset, preset_names
from regolith.lunar.reading import read_json
from training.ablate.asked import StudyVerb, checked
from training.ablate.collect import Cell
from training.ablate.schedule import Schedule
from training.ablate.steps import Generate, Step, make_steps
from training.ablate.study import RunSpec, Study
from training.sweep.arms_report import Contrast, write_report
from training.sweep.policy_steps import DrivePolicy, PolicyFlags, PolicyPlan, TeachPolicy
from training.sweep.worlds import WORLDS, world_params

DETECTOR_WORLDS = ("sim", "real")
"""Worlds a detector is tested in: how a rover grips and what it weighs is in no picture."""


@dataclasses.dataclass(frozen=True)
class ArmStudy(Study):
    """A study whose `presets` are arms of one preset, and which is tested in worlds."""

    preset: str = "v1"
    plan: PolicyPlan | None = None
    """How policies are taught; None for detectors alone."""
    worlds: tuple[str, ...] = ("sim", "real")
    """Worlds policies drive in."""
    noun: ClassVar[str] = "arms"

    @property
    def tested(self) -> tuple[str, ...]:
        """A val and a test split for each world that a detector is tested in."""
        return DETECTOR_WORLDS

    def home(self, preset: str) -> str:
        """Return the simulation: its val chooses the epoch of every arm, for nobody has the real one's labels."""
        return "sim"

    @property
    def base(self) -> Params:
        """The preset's parameters."""
        params = load_preset(self.preset)
        if self.frames_per_scene is None:
            return params
        dataset = params.dataset.model_copy(update={"frames_per_scene": self.frames_per_scene})
        return params.model_copy(update={"dataset": dataset})

    def params(self, preset: str) -> Params:
        """Parameters of a world, or of what an arm takes it to be."""
        return world_params(self.base, preset) if preset in WORLDS else self.arm(preset)

    def arm(self, name: str) -> Params:
        """Parameters an arm's frames and stages are drawn from.

        Raises:
            NotImplementedError: The study has no arms.
        """
        raise NotImplementedError

    def check_presets(self) -> None:
        """Refuse a preset that is none.

        Raises:
            InputError: There is none of that name.
        """
        if self.preset not in preset_names():
            raise InputError("preset", self.preset, ", ".join(preset_names()))

    def settings(self) -> dict[str, Any]:
        """What a folder's sweep is known by; more seeds may join it later."""
        plan = None if self.plan is None else self.plan.to_dict()
        return super().settings() | {
            "preset": self.preset, "arms": list(self.presets), "train_frames": self.split_frames("train_dr"),
            "policy": plan,
        }  # fmt: skip


class ArmFlags(PolicyFlags):
    """What every comparison of arms takes."""

    preset: str = quantity("v1", "Preset of stages and frames.")
    frames: int = quantity(400, "Training frames of each arm at scale 1.", unit="frames", ge=1, le=100_000)
    policy: bool = quantity(True, "Teach policies too; --no-policy compares detectors alone.")


class ArmVerb(StudyVerb, ArmFlags):
    """A comparison of arms; its class adds which."""

    always: ClassVar[tuple[str, ...]] = ("preset", "seeds", "scale")
    arms: ClassVar[tuple[str, ...]]
    """Arms in their order."""
    worlds: ClassVar[tuple[str, ...]] = ("sim", "real")
    """Worlds policies drive in."""
    title: ClassVar[str]
    study_class: ClassVar[type[ArmStudy]]

    scale: float = quantity(
        0.25,
        "Factor on frames, on the side of a frame, on epochs, and on a policy's stages; stamped on every result.",
        ge=0.01,
        le=4,
    )

    def study(self) -> Study:
        """Return what is asked for.

        Raises:
            InputError: The first field that does not fit.
        """
        run = RunSpec(f"dr_{self.frames}", "train_dr", self.frames)
        plan = PolicyPlan.of(self) if self.policy else None
        return checked(self.study_class(
            presets=self.arms, runs=(run,), preset=self.preset, plan=plan, worlds=self.worlds, **self.asked(),
        ))  # fmt: skip

    def steps(self, study: Study, shown: list[str]) -> list[Step]:
        """Return all steps: frames and detectors, then policies, and drives with them in every world."""
        assert isinstance(study, ArmStudy)
        steps = self.arranged(study, make_steps(study, shown=shown))
        if study.plan is None:
            return steps
        for seed in study.seeds:
            for arm in study.presets:
                teach = TeachPolicy(study, arm, seed, study.plan, lambda arm=arm: study.params(arm), self.before(arm))
                steps.append(teach)
                for world in study.worlds if arm == study.presets[0] else ("sim", "real"):
                    steps.append(DrivePolicy(study, teach, world, lambda world=world: study.params(world)))
        return steps

    def arranged(self, study: ArmStudy, steps: list[Step]) -> list[Step]:
        """Return the steps of frames and detectors, with those added that they wait for."""
        return steps

    def before(self, arm: str) -> tuple[str, ...]:
        """Names of the steps that the parameters of an arm wait for."""
        return ()

    def contrasts(self, run: str) -> list[Contrast]:
        """What is compared.

        Args:
            run: Name of the run that every arm has.
        """
        raise NotImplementedError

    def notes(self, study: ArmStudy) -> Sequence[str]:
        """What is to be said beside the figures."""
        return ()

    def report(self, study: Study, schedule: Schedule, shown: list[str]) -> dict[str, Any]:
        """Write results.json, RESULTS.md and the figure of what is done so far."""
        assert isinstance(study, ArmStudy)
        return write_report(
            study, schedule, self.title, self.contrasts(study.runs[0].name), method=self.method, notes=self.notes(study)
        )

    @property
    def method(self) -> str:
        """How it was done, in a paragraph."""
        raise NotImplementedError


def cells(study: ArmStudy) -> list[Cell]:
    """The arms as cells of the results."""
    return [(arm, study.runs[0].name) for arm in study.presets]


def result_of(study: ArmStudy, step: str) -> Mapping[str, Any] | None:
    """Result file of a calibration by the label of its step; None where it is not there."""
    path: Path = study.out / "steps" / f"{step}.result.json"
    return read_json(path) if path.exists() else None


def waiting(steps: list[Step], arms: Sequence[str], need: str) -> None:
    """Let frames of some arms wait for a step."""
    for step in steps:
        if isinstance(step, Generate) and step.preset in arms:
            step.needs = (*step.needs, need)
