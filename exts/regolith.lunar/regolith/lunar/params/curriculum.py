"""The parameters of a training in stages, each on frames of its own and from the weights of the one before."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from pydantic import ValidationError, ValidationInfo, field_validator

from regolith.lunar.params.fields import cross_field, input_error, quantity
from regolith.lunar.params.training import TrainParams


@dataclasses.dataclass(frozen=True)
class CurriculumStage:
    """One training of a curriculum."""

    name: str
    strength: float
    """`randomize.strength` its synthetic frames were drawn at."""
    synth: float
    """Share of its frames that are synthetic; the others are real."""
    epochs: float
    """Factor on the run's epochs."""
    lr: float
    """Factor on the run's peak learning rate."""


PROGRESSIVE = (
    CurriculumStage("sim-only", strength=0.5, synth=1.0, epochs=0.3, lr=1.0),
    CurriculumStage("strong", strength=1.0, synth=1.0, epochs=0.3, lr=1.0),
    CurriculumStage("mixed", strength=0.8, synth=0.7, epochs=0.2, lr=0.5),
    CurriculumStage("real-focused", strength=0.3, synth=0.2, epochs=0.2, lr=0.25),
)
"""Stages of `--curriculum progressive` in their order: what each is unless the command line says otherwise."""

LIMITS: dict[str, tuple[float, float]] = {"strength": (0, 1), "synth": (0, 1), "epochs": (0.01, 100), "lr": (0.001, 10)}
"""Column of the table to the least and largest number it takes."""
PREFIX = "curriculum_"
"""What the parameters of the columns begin with."""
NAMES = ", ".join(stage.name for stage in PROGRESSIVE)


def _column(name: str) -> str:
    return ",".join(f"{getattr(stage, name):g}" for stage in PROGRESSIVE)


class CurriculumParams(TrainParams):
    """Train a segmentation network on a labelled split; the same command again resumes a stopped run."""

    curriculum: Literal["none", "progressive"] = quantity(
        "none",
        "Train in stages, each from the weights of the last: simulation alone, strong randomization, mixed with real "
        "frames, mostly real ones. train_split then names the splits of all stages: rendered ones are told by the "
        "randomize.strength they were drawn at, real ones by `regolith import`.",
    )
    curriculum_strength: str = quantity(
        _column("strength"), f"Of each stage ({NAMES}): randomize.strength of its synthetic frames, 0 … 1."
    )
    curriculum_synth: str = quantity(_column("synth"), "Of each stage: share of its frames that are synthetic, 0 … 1.")
    curriculum_epochs: str = quantity(_column("epochs"), "Of each stage: factor on epochs, 0.01 … 100.")
    curriculum_lr: str = quantity(_column("lr"), "Of each stage: factor on the peak learning rate, 0.001 … 10.")
    curriculum_start: Literal["best", "last"] = quantity(
        "best", "Weights a stage goes on from: of the best epoch of the one before, or of its last."
    )

    @field_validator(*(PREFIX + name for name in LIMITS))
    @classmethod
    def _is_column(cls, value: str, info: ValidationInfo) -> str:
        least, most = LIMITS[(info.field_name or "").removeprefix(PREFIX)]
        try:
            numbers = [float(part) for part in value.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) != len(PROGRESSIVE) or not all(least <= number <= most for number in numbers):
            raise cross_field(
                "", value, f"{len(PROGRESSIVE)} numbers {least:g} … {most:g} with commas between them: {NAMES}"
            )
        return value

    @property
    def stages(self) -> tuple[CurriculumStage, ...]:
        """The table, as it is asked for."""
        columns = {name: [float(part) for part in getattr(self, PREFIX + name).split(",")] for name in LIMITS}
        return tuple(
            dataclasses.replace(stage, **{name: numbers[k] for name, numbers in columns.items()})
            for k, stage in enumerate(PROGRESSIVE)
        )

    def one_run(self, **changes: Any) -> TrainParams:
        """Return the parameters of a single training.

        Args:
            changes: Fields of it that are others.

        Raises:
            InputError: One of them does not fit.
        """
        fields = {name: getattr(self, name) for name in TrainParams.model_fields} | changes
        try:
            return TrainParams.model_validate(fields)
        except ValidationError as error:
            raise input_error(TrainParams, fields, error) from None
