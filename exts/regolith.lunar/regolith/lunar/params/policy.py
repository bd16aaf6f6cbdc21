"""The parameters of a policy's training: on which stages it learns to drive, from what, and how long."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from regolith.lunar.params.dynamics import DynamicsParams
from regolith.lunar.params.fields import Interval, PictureSize, cross_field, quantity
from regolith.lunar.params.models import Params
from regolith.lunar.params.verb import PresetVerb

DYNAMICS = DynamicsParams(
    friction_scale=Interval(0.8, 1.2),
    mass_scale=Interval(0.9, 1.1),
    action_gain=Interval(0.9, 1.1),
    action_delay_steps=Interval(0, 8),
    action_noise=Interval(0, 0.03),
    proprioception_noise=Interval(0, 0.02),
)
"""What the rover's dynamics are drawn from where a preset leaves the rover as it is drawn; chosen."""

PICTURE = PictureSize(96, 72)
"""Picture of a hazard camera as the policy sees it [px]."""

SIDE_PX = (32, 512)
"""Sides a picture may have [px]."""


class PolicyParams(PresetVerb):
    """Teach a small network to drive by pictures of the hazard cameras and proprioception; run again to resume."""

    seed: int = quantity(0, "Seed of stages, ways, weights and batches.", ge=0, le=2**31)
    stages: int = quantity(24, "Stages of a round at scale 1, one a scene of train_dr.", ge=1, le=10_000)
    drives: int = quantity(4, "Drives over each stage, each on a way of its own.", ge=1, le=64)
    rounds: int = quantity(
        4,
        "Rounds: in the first the planner drives, in each further one the policy so far; the planner says at every "
        "decision what it would do from there, and training goes on with all of it (DAgger).",
        ge=1,
        le=50,
    )
    held_out: int = quantity(
        40, "Stages at scale 1, of val, on which straight driving, planner and policy are compared.", ge=1, le=10_000
    )
    scale: float = quantity(1.0, "Factor on stages, held-out stages and epochs.", ge=0.01, le=10)
    size: PictureSize = quantity(PICTURE, "Picture of a hazard camera, in draft quality: WIDTHxHEIGHT.")
    distance_m: float = quantity(10.0, "From start to goal in a straight line.", unit="m", ge=2, le=1000)
    clearance_m: float = quantity(
        1.3, "From the middle of the rover to a rock, as the planner it learns from keeps it where there is room.",
        unit="m", ge=0.1, le=5, step=0.05,
    )  # fmt: skip
    soil: Literal["none", "lunar"] = quantity("lunar", "Soil in which wheels sink and slip; none for hard ground.")
    stray: float = quantity(
        0.1, "Probability at each decision of the first round that the planner does as chance has it for 3 s.",
        ge=0, le=1, step=0.01,
    )  # fmt: skip
    epochs: int = quantity(6, "Passes of each round over all decisions so far, at scale 1.", ge=1, le=1000)
    batch: int = quantity(64, "Decisions per step.", ge=1, le=4096)
    lr: float = quantity(1e-3, "Peak learning rate of each round.", ge=1e-8, le=1, step=1e-5)
    photo_share: float = quantity(
        0.5, "Probability of each change of a picture, as a training's photo_* make them.", ge=0, le=1, step=0.05
    )
    workers: int = quantity(1, "Processes that drive at once.", ge=1, le=256)
    threads: int | None = quantity(None, "Threads of the CPU arithmetic; left out, one per core.", ge=1, le=1024)
    out: Path = quantity(Path("out/policy"), "Folder of policy.onnx, its card policy.json, and every round.")

    @model_validator(mode="after")
    def _pictures(self) -> PolicyParams:
        if not all(SIDE_PX[0] <= side <= SIDE_PX[1] for side in (self.size.width, self.size.height)):
            raise cross_field("size", str(self.size), f"sides of {SIDE_PX[0]} … {SIDE_PX[1]} pixels")
        return self

    @classmethod
    def start(cls, given: Mapping[str, str]) -> tuple[Params, dict[str, str]]:
        """Say what the other flags start from: a preset, with `DYNAMICS` where it has none of its own.

        Raises:
            InputError: As `PresetVerb.start`.
        """
        params, texts = super().start(given)
        if "params" not in given and params.dynamics == DynamicsParams():
            params = params.model_copy(update={"dynamics": DYNAMICS})
        return params, texts

    def scaled(self, count: int) -> int:
        """Stages or epochs at the scale."""
        return max(1, round(count * self.scale))
