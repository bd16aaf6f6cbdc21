"""Steps of a sweep about policies: teach one, drive with it in a world, and measure what that world is like."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar import __version__
from regolith.lunar.params import Params, Verb, change_params, quantity, save_params
from regolith.lunar.physics.experiments import Bench
from regolith.lunar.physics.measured import Run, save_run
from regolith.lunar.quality.calibrate_camera import READ_SHARE
from regolith.lunar.reading import read_json
from regolith.lunar.stage.spec import rng
from training.ablate.digests import digest_if_there
from training.ablate.steps import Step
from training.ablate.study import Study

SPLIT = "val"
"""Stages policies are tried on: none of those they were taught on."""

MEASURED_NOISE = {"speed": 0.002, "spin": 0.01}
"""Standard deviation of measured speeds [m/s] and rates of wheels [rad/s]."""


class PolicyFlags(Verb):
    """How policies are taught and tried."""

    policy_stages: int = quantity(24, "Stages of each round of a policy, at scale 1.", ge=1, le=10_000)
    policy_drives: int = quantity(4, "Drives of a policy over each stage.", ge=1, le=64)
    policy_rounds: int = quantity(4, "Rounds of a policy.", ge=1, le=50)
    policy_epochs: int = quantity(6, "Passes of each round over all decisions, at scale 1.", ge=1, le=1000)
    policy_distance_m: float = quantity(
        10.0, "From start to goal of a policy's drives.", unit="m", ge=2, le=1000, step=0.5
    )
    policy_abundance: float = quantity(
        0.006, "Share of the ground that rocks cover where policies drive; a preset's own may leave no way between.",
        ge=0, le=0.3, step=0.0005,
    )  # fmt: skip
    drive_stages: int = quantity(40, "Stages a policy is tried on in each world, at scale 1.", ge=1, le=10_000)


@dataclasses.dataclass(frozen=True)
class PolicyPlan:
    """What of `PolicyFlags` was asked for."""

    stages: int
    drives: int
    rounds: int
    epochs: int
    distance_m: float
    tried: int
    abundance: float

    @classmethod
    def of(cls, flags: PolicyFlags) -> PolicyPlan:
        """Read the flags."""
        return cls(
            flags.policy_stages, flags.policy_drives, flags.policy_rounds, flags.policy_epochs,
            flags.policy_distance_m, flags.drive_stages, flags.policy_abundance,
        )  # fmt: skip

    def grounds(self, params: Params) -> Params:
        """Parameters with as few rocks as policies drive among."""
        return change_params(params, {"rocks.abundance": self.abundance})

    def to_dict(self) -> dict[str, Any]:
        """Fields as a study is known by them."""
        return dataclasses.asdict(self)


class TeachPolicy(Step):
    """Teach a policy on the stages of an arm."""

    kind = "train-policy"

    def __init__(
        self, study: Study, arm: str, seed: int, plan: PolicyPlan, params: Callable[[], Params], needs: tuple[str, ...]
    ) -> None:
        drives = plan.rounds * study.scaled(plan.stages) * plan.drives
        super().__init__(study, f"{arm} seed {seed}", needs, drives * plan.distance_m)
        self.arm, self.seed, self.plan, self._params = arm, seed, plan, lambda: plan.grounds(params())
        self.out = study.out / "policies" / arm / f"seed_{seed}"
        self.policy = self.out / "policy.onnx"

    def inputs(self) -> dict[str, Any]:
        """Parameters and sizes."""
        plan = {name: value for name, value in self.plan.to_dict().items() if name != "tried"}
        parameters = self._params().model_dump(mode="json")
        return {"version": __version__, "parameters": parameters, "plan": plan, "scale": self.study.scale}

    def command(self, threads: int) -> list[str]:
        """`regolith train-policy`, which goes on where it stopped."""
        params, plan = self.folder / f"{self.label}.params.json", self.plan
        save_params(self._params(), params)
        return [
            "train-policy", "--params", str(params), "--seed", str(self.seed), "--scale", repr(self.study.scale),
            "--stages", str(plan.stages), "--drives", str(plan.drives), "--rounds", str(plan.rounds),
            "--epochs", str(plan.epochs), "--distance-m", repr(plan.distance_m), "--held-out", "1", "--soil", "none",
            "--threads", str(threads), "--out", str(self.out), "--json", str(self.result_file), "--events",
        ]  # fmt: skip

    def digest(self) -> str | None:
        """Of the policy."""
        return digest_if_there(self.policy) if self.policy.with_suffix(".json").exists() else None


class DrivePolicy(Step):
    """Drive with a policy over the stages of a world."""

    kind = "traverse"
    cheap = True

    def __init__(self, study: Study, teach: TeachPolicy, world: str, params: Callable[[], Params]) -> None:
        stages = study.scaled(teach.plan.tried)
        super().__init__(
            study, f"{teach.arm} seed {teach.seed} in {world}", (teach.name,), stages * teach.plan.distance_m
        )
        self.world, self.arm, self.seed = world, teach.arm, teach.seed
        self._policy, self._stages, self._distance = teach.policy, stages, teach.plan.distance_m
        self._params = lambda: teach.plan.grounds(params())
        self._out = teach.out / f"in_{world}"

    def inputs(self) -> dict[str, Any]:
        """The world, and how far it is driven over."""
        return {
            "version": __version__,
            "parameters": self._params().model_dump(mode="json"),
            "stages": self._stages,
            "distance_m": self._distance,
            "seed": self.study.data_seed,
        }

    def command(self, threads: int) -> list[str]:
        """`regolith traverse`."""
        params = self.folder / f"{self.label}.params.json"
        save_params(self._params(), params)
        return [
            "traverse", "--params", str(params), "--split", SPLIT, "--seed", str(self.study.data_seed),
            "--stages", str(self._stages), "--distance-m", repr(self._distance), "--soil", "none", "--avoid", "policy",
            "--skip-crowded",
            "--policy", str(self._policy), "--time-max-s", repr(15.0 * self._distance), "--out", str(self._out),
            "--json", str(self.result_file), "--events",
        ]  # fmt: skip

    def digest(self) -> str | None:
        """Of the result."""
        return digest_if_there(self.result_file)

    def summary(self) -> str:
        """Success rate."""
        return f"success {success_of(self):.0%}"


def success_of(step: Step | None) -> float | None:
    """Success rate a step of drives came to; None where it is not done."""
    return None if step is None else float(read_json(step.result_file)["totals"]["policy"]["success"]["share"])


class MeasureDynamics(Step):
    """Run the rover of a world on the bench, and fit the dynamics to what was measured."""

    kind = "calibrate-dynamics"
    cheap = True

    def __init__(self, study: Study, world: str, params: Callable[[], Params]) -> None:
        super().__init__(study, world, (), 1.0)
        self._params = params
        self._runs = study.out / "measured" / "runs"

    def inputs(self) -> dict[str, Any]:
        """The world."""
        return {"version": __version__, "parameters": self._params().dynamics.model_dump(mode="json")}

    def prepare(self, fingerprint: str) -> None:
        """Measure: steps of speed and a coast-down, with noise."""
        super().prepare(fingerprint)
        self._runs.mkdir(parents=True, exist_ok=True)
        dynamics = self._params().dynamics
        truth = {name: getattr(dynamics, name).center for name in type(dynamics).model_fields}
        random = rng(self.study.data_seed, "measured", "dynamics")
        for run in bench_runs():
            seen = Bench().simulate(run, truth)
            noisy = {name: x + random.normal(0.0, MEASURED_NOISE[name], len(x)) for name, x in seen.items()}
            measured = Run(run.name, run.experiment, run.settings, run.time, {**run.columns, **noisy})
            save_run(measured, self._runs / f"{run.name}.csv")

    def command(self, threads: int) -> list[str]:
        """`regolith calibrate dynamics`; the damping of the drives is taken as known, so that a mass is told."""
        return [
            "calibrate", "dynamics", str(self._runs), "--fit", "friction_scale,mass_scale", "--starts", "2",
            "--out", str(self._runs.parent / "dynamics.yaml"), "--json", str(self.result_file), "--events",
        ]  # fmt: skip

    def digest(self) -> str | None:
        """Of the result."""
        return digest_if_there(self.result_file)


class MeasureCamera(Step):
    """Find the camera's noise in pictures of a world."""

    kind = "calibrate-camera"
    cheap = True

    def __init__(self, study: Study, pictures: str, folder: Path, preset: str) -> None:
        super().__init__(study, "real", (pictures,), 1.0)
        self._pictures, self._preset = folder / "rgb", preset

    def inputs(self) -> dict[str, Any]:
        """The preset; the pictures are those of the step it needs."""
        return {"version": __version__, "preset": self._preset, "tells": READ_SHARE}

    def command(self, threads: int) -> list[str]:
        """`regolith calibrate camera`."""
        return [
            "calibrate", "camera", str(self._pictures), "--preset", self._preset,
            "--out", str(self.study.out / "measured" / "camera"), "--json", str(self.result_file), "--events",
        ]  # fmt: skip

    def digest(self) -> str | None:
        """Of the result."""
        return digest_if_there(self.result_file)


def bench_runs() -> list[Run]:
    """What is measured of a rover: wheels that jerk it off, and a coast-down at which they slip."""
    time = np.arange(0.0, 1.2, 0.02)
    command = np.select([time < 0.1, time < 0.5, time < 0.7], [0.0, 0.2, 0.0], 0.8)
    nothing = np.zeros(len(time))
    return [
        Run("steps", "steps", {}, time, {"command": command, "speed": nothing, "spin": nothing}),
        Run("coast", "coast", {"start": 1.0}, time, {"speed": nothing, "spin": nothing}),
    ]
