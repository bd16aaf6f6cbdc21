"""What every study takes from the command line, and how it is done: `regolith ablate`, `regolith sweep …`."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationError, create_model

from regolith.lunar.jobs.progress import show
from regolith.lunar.params import CheckError, InputError, PictureSize, Verb, as_text, quantity, sole_folder
from regolith.lunar.params.fields import input_error
from regolith.lunar.params.training import RUNTIME_FIELDS, TrainParams, portable_name
from regolith.lunar.perception.photos import find_photos
from training.ablate.schedule import Schedule, duration
from training.ablate.steps import STEPS, Step, make_steps
from training.ablate.study import Study

FIXED = RUNTIME_FIELDS | {"seed", "select_on", "test_split"}
"""Fields of `TrainParams` that the study sets itself: the epoch is chosen on the preset's own val."""
ASIDE = frozenset(Verb.model_fields) | {
    "out", "real", "polar", "masks", "workers", "trainings", "dry_run", "overlays", "report_only", "events",
}  # fmt: skip
"""Fields that decide no result."""
SHOWN = 6
"""Photographs whose overlays are kept and shown for each version."""


class StudyFlags(Verb):
    """What is asked for beside what is compared and the recipe."""

    seeds: str = quantity("0,1,2", "Seeds of training; the frames are the same for all.")
    scale: float = quantity(
        1.0,
        "Factor on frames, on the side of a frame and on epochs, all three; stamped on every result.",
        ge=0.01,
        le=4,
    )
    size: PictureSize = quantity(PictureSize(512), "Size of a frame at scale 1: one side.")
    val_frames: int = quantity(150, "Frames of val at scale 1.", unit="frames", ge=1, le=100_000)
    test_frames: int = quantity(300, "Frames of test_photoreal at scale 1.", unit="frames", ge=1, le=100_000)
    frames_per_scene: int | None = quantity(
        None, "Frames that share a scene, where it is not to be the preset's number.", ge=1, le=200
    )
    data_seed: int = quantity(0, "Seed of the frames.", ge=0)
    out: Path = quantity(Path("out/ablate"), "Folder of the study; results.json and RESULTS.md land in it.")
    real: Path | None = quantity(None, "Folder of photographs to measure flood on.")
    polar: Path | None = quantity(None, "Folder of photographs with masks, to measure rock-IoU on.")
    masks: Path | None = quantity(None, "Their masks, same names: 0 ground, 1 rock, 255 ignore.")
    workers: int = quantity(1, "Steps at once; each takes its share of the cores.", ge=1, le=256)
    trainings: int | None = quantity(None, "Trainings among them; left out, as many.", ge=1, le=256)
    dry_run: bool = quantity(False, "Print the plan and what it may take, and do nothing.")
    overlays: bool = quantity(
        True, "Show some of the photographs themselves in the report, plain and with what each version calls rock."
    )
    report_only: bool = quantity(False, "Write the report of what is done, and do nothing else.")
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")


def _flag(name: str) -> str:
    """Name of a recipe's field among those of the study."""
    return f"recipe_{name}" if name in StudyFlags.model_fields else name


RECIPE = {_flag(name): name for name in TrainParams.model_fields if name not in FIXED}
"""Flag to field of `TrainParams`: each one that makes the recipe is a flag of a study too."""

_recipe: dict[str, Any] = {
    flag: (TrainParams.model_fields[name].annotation, copy.copy(TrainParams.model_fields[name]))
    for flag, name in RECIPE.items()
}
if TYPE_CHECKING:

    class RecipeFlags(Verb):
        """Flags of the recipe, which are made of `TrainParams`."""

else:
    RecipeFlags = create_model("RecipeFlags", __base__=Verb, **_recipe)


class StudyVerb(RecipeFlags, StudyFlags):
    """A study; its class adds what is compared."""

    verb: ClassVar[str]
    """Name on the command line."""
    always: ClassVar[tuple[str, ...]]
    """Fields the study's command names even where they are the default."""

    def study(self) -> Study:
        """Return what is asked for.

        Raises:
            InputError: The first field that does not fit.
        """
        raise NotImplementedError

    def steps(self, study: Study, shown: list[str]) -> list[Step]:
        """Return the steps of the study, each after those it needs.

        Args:
            study: What was asked for.
            shown: Photographs whose overlays are kept.
        """
        return make_steps(study, shown=shown)

    def report(self, study: Study, schedule: Schedule, shown: list[str]) -> dict[str, Any]:
        """Write what the study came to so far.

        Args:
            study: What was asked for.
            schedule: How far it is.
            shown: Photographs to show overlays of.

        Returns:
            What results.json holds.
        """
        raise NotImplementedError

    def run(self) -> dict[str, Any]:
        """Do what is left of the study and report all of it.

        Raises:
            CheckError: A step failed; everything that does not need it is done and reported first.
        """
        study = self.study().with_start()
        study.check()
        shown = [] if study.real is None else spaced([path.name for path in find_photos(study.real)], SHOWN)
        schedule = Schedule(self.steps(study, shown))
        if self.dry_run:
            schedule.look()
            return {"plan": plan(study, schedule, self.workers)}
        if self.report_only:
            study.agree()
            schedule.look()
            with sole_folder("out", study.out, "study"):
                return self.report(study, schedule, shown if self.overlays else [])
        with sole_folder("out", study.out, "study"):
            study.settle()
            (study.out / STEPS).mkdir(exist_ok=True)
            schedule.look()
            with show(self.events, self.verb, "steps") as emit:
                for line in plan(study, schedule, self.workers):
                    emit({"event": "note", "message": line})
                schedule.run(workers=self.workers, trainings=self.trainings or self.workers, emit=emit)
            result = self.report(study, schedule, shown if self.overlays else [])
        if schedule.failed:
            listing = "\n".join(f"  {name}: {message}" for name, message in schedule.failed.items())
            raise CheckError(f"{len(schedule.failed)} steps failed; run again to go on\n{listing}", result)
        return result

    def summary(self, result: dict[str, Any]) -> str:
        """The plan, or where the report is and how much of the study it has."""
        if "plan" in result:
            return "\n".join(result["plan"])
        return f"{self.out / 'RESULTS.md'}: {result['steps']['done']} of {result['steps']['all']} steps"

    def asked(self) -> dict[str, Any]:
        """Return the fields of `Study` but for what is compared.

        Raises:
            InputError: The first field that does not fit.
        """
        width, height = self.size.width, self.size.height
        if width != height or width % 32:
            raise InputError("size", str(self.size), "one side, a multiple of 32")
        seeds = names("seeds", self.seeds)
        if not all(seed.isascii() and seed.isdigit() for seed in seeds):
            raise InputError("seeds", self.seeds, "whole numbers, at least 0, with commas between them")
        given = {name: getattr(self, flag) for flag, name in RECIPE.items()}
        return {
            "out": self.out, "seeds": tuple(int(seed) for seed in seeds), "scale": self.scale, "base_side": width,
            "base_val": self.val_frames, "base_test": self.test_frames, "base_epochs": given.pop("epochs"),
            "recipe": given, "data_seed": self.data_seed, "frames_per_scene": self.frames_per_scene,
            "real": self.real, "polar": self.polar, "masks": self.masks, "command": self.command(),
        }  # fmt: skip

    def command(self) -> str:
        """Command line of what is asked for, without folders and workers, which decide nothing.

        A checkpoint to start from goes by its portable name, as in a recipe.
        """
        words = [f"regolith {self.verb}"]
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name in ASIDE or (value == field.default and name not in self.always):
                continue
            if name == "init" and value and value.endswith(".pt"):
                value = portable_name(value)
            flag = name.replace("_", "-")
            words.append(
                f"--no-{flag}" if value is False else f"--{flag}" if value is True else f"--{flag} {as_text(value)}"
            )
        return " ".join(words)


def checked(study: Study) -> Study:
    """Return a study whose recipe fits together.

    Raises:
        InputError: The first field that does not fit.
    """
    try:
        study.train_params(study.presets[0], study.runs[0], study.seeds[0])
    except ValidationError as error:
        raise input_error(TrainParams, study.recipe, error) from None
    return study


def names(field: str, text: str) -> list[str]:
    """Read a list of different names with commas between them.

    Raises:
        InputError: One is empty or there twice.
    """
    found = [part.strip() for part in text.split(",")]
    if not all(found) or len(set(found)) != len(found):
        raise InputError(field, text, "different names with commas between them")
    return found


def spaced(items: list[str], count: int) -> list[str]:
    """Return `count` of the items, evenly spaced, the first and the last among them."""
    if len(items) <= count:
        return items
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def plan(study: Study, schedule: Schedule, workers: int) -> list[str]:
    """Say what the study is at its scale, what is left of it, and what that may take."""
    runs = ", ".join(f"{run.name} {study.scaled(run.frames)}" for run in study.runs)
    val, test = study.split_frames("val"), study.split_frames("test_photoreal")
    lines = [
        f"scale {study.scale:g}: {study.side} × {study.side} px, {study.epochs} epochs; training frames: {runs}; "
        f"val {val}, test_photoreal {test}",
        f"{len(study.presets)} {study.noun} × {len(study.runs)} runs × {len(study.seeds)} seeds = "
        f"{len(study.presets) * len(study.runs) * len(study.seeds)} trainings, {len(schedule.steps)} steps",
    ]
    lines += [f"{name}: not measured (no --{name})" for name in ("real", "polar") if getattr(study, name) is None]
    kinds = dict.fromkeys(step.kind for step in schedule.steps.values())
    for kind in kinds:
        of_kind = [step for step in schedule.steps.values() if step.kind == kind]
        lines.append(f"  {kind}: {len(of_kind)} steps, {sum(step.name in schedule.done for step in of_kind)} done")
    basis = "by the steps that are done" if schedule.done else "by what a core of a server CPU does, without a GPU"
    lines.append(f"about {duration(schedule.seconds_left() / workers)} to go with {workers} at once ({basis})")
    return lines
