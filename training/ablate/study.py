"""What an ablation is asked for: scene generations, runs, seeds, one recipe, and the scale of it all."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from regolith.lunar.dataset.contract import first_difference
from regolith.lunar.files import file_digest, write_json
from regolith.lunar.params import InputError, Params, load_preset, preset_names
from regolith.lunar.params.training import TrainParams
from regolith.lunar.randomize import frame_intervals
from regolith.lunar.reading import read_json
from regolith.lunar.stage.lens import check_lens

SCHEMA_VERSION = 1
SIDE_MULTIPLE_PX = 32
"""Sides are multiples of the encoder's largest stride."""
SIDE_MIN_PX = 64
SETTINGS = "study.json"
TEST = "test_photoreal"
TrainSplit = Literal["train_dr", "train_nodr"]


@dataclasses.dataclass(frozen=True)
class RunSpec:
    """A training set of the ablation: `dr_750` is the first 750 frames with domain randomization, at scale 1."""

    name: str
    split: TrainSplit
    frames: int
    """Frames at scale 1."""

    @property
    def randomized(self) -> bool:
        """Whether appearance was randomized."""
        return self.split == "train_dr"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `dr_750` or `nodr_750`.

        Raises:
            InputError: It is neither.
        """
        match = re.fullmatch(r"(dr|nodr)_([1-9]\d{0,5})", text)
        if match is None:
            raise InputError(
                "runs", text, "names like dr_1500 and nodr_750: randomized or not, and the frames at scale 1"
            )
        return cls(text, "train_dr" if match[1] == "dr" else "train_nodr", int(match[2]))


@dataclasses.dataclass(frozen=True)
class Study:
    """Everything that decides the results of an ablation, and where it is done."""

    out: Path
    presets: tuple[str, ...]
    runs: tuple[RunSpec, ...]
    seeds: tuple[int, ...]
    scale: float
    base_side: int
    base_val: int
    base_test: int
    base_epochs: int
    recipe: dict[str, Any]
    """Fields of `TrainParams` that every training shares; `epochs` is at scale 1."""
    data_seed: int = 0
    frames_per_scene: int | None = None
    real: Path | None = None
    polar: Path | None = None
    masks: Path | None = None
    command: str = "regolith ablate"
    """Command line that asks for it, without folders and workers."""
    noun: ClassVar[str] = "presets"
    """What `presets` are in the plural: the training sets that are compared."""

    @property
    def tested(self) -> tuple[str, ...]:
        """Those of which there is a val and a test split; every training is scored on all of the latter."""
        return self.presets

    def home(self, preset: str) -> str:
        """Return whose val chooses the epoch of a training on a preset, and whose test counts as its own."""
        return preset

    @property
    def side(self) -> int:
        """Side of a frame [px]."""
        return max(SIDE_MIN_PX, round(self.base_side * self.scale / SIDE_MULTIPLE_PX) * SIDE_MULTIPLE_PX)

    @property
    def epochs(self) -> int:
        """Passes over the training frames."""
        return max(1, round(self.base_epochs * self.scale))

    @property
    def megapixels(self) -> float:
        """Megapixels of a frame."""
        return self.side**2 / 1e6

    def scaled(self, frames: int) -> int:
        """Frames at the study's scale."""
        return max(1, round(frames * self.scale))

    def split_frames(self, split: str) -> int:
        """Frames a split is generated with, 0 where no run needs it."""
        if split in ("val", TEST):
            return self.scaled(self.base_val if split == "val" else self.base_test)
        return max((self.scaled(run.frames) for run in self.runs if run.split == split), default=0)

    def params(self, preset: str) -> Params:
        """Parameters the frames of a preset are drawn from."""
        params = load_preset(preset)
        if self.frames_per_scene is None:
            return params
        return params.model_copy(
            update={"dataset": params.dataset.model_copy(update={"frames_per_scene": self.frames_per_scene})}
        )

    def split_folder(self, preset: str, split: str, frames: int | None = None) -> Path:
        """Folder of a split, or of its first `frames` frames where it has more: `train_dr_750`."""
        part = frames is not None and frames != self.split_frames(split)
        return self.out / "data" / preset / (f"{split}_{frames}" if part else split)

    def run_folder(self, preset: str, run: RunSpec, seed: int) -> Path:
        """Folder of a training and of all that is made from it."""
        return self.out / "runs" / preset / run.name / f"seed_{seed}"

    def train_params(self, preset: str, run: RunSpec, seed: int, *, threads: int = 1) -> TrainParams:
        """Parameters of one training; the recipe is the same in all of them."""
        fields = self.recipe | {
            "train_split": self.split_folder(preset, run.split, self.scaled(run.frames)),
            "val_split": self.split_folder(self.home(preset), "val"),
            "out": self.run_folder(preset, run, seed) / "train",
            "seed": seed,
            "epochs": self.epochs,
            "threads": threads,
        }
        return TrainParams.model_validate(fields)

    def with_start(self) -> Study:
        """Return the study with the start that ships where none is asked for and the default is in no reach."""
        from training.networks import with_start

        start = with_start(self.train_params(self.presets[0], self.runs[0], self.seeds[0])).init
        return dataclasses.replace(self, recipe=self.recipe | {"init": start})

    def settings(self) -> dict[str, Any]:
        """What a folder's study is known by; more presets, runs, seeds and photographs may join it later."""
        recipe = changed_recipe(self.train_params(self.presets[0], self.runs[0], 0))
        return {
            "schema": SCHEMA_VERSION,
            "scale": self.scale,
            "side_px": self.side,
            "epochs": self.epochs,
            "val_frames": self.split_frames("val"),
            "test_frames": self.split_frames(TEST),
            "data_seed": self.data_seed,
            "frames_per_scene": self.frames_per_scene,
            "recipe": {name: value for name, value in recipe.items() if name != "epochs"},
        }

    def check(self) -> None:
        """Refuse what cannot work before any of it is done.

        Raises:
            InputError: The first field that does not fit.
        """
        self.check_presets()
        for split in ("train_dr", "val", TEST):
            for preset in self.presets if split == "train_dr" else self.tested:
                check_lens(frame_intervals(self.params(preset), split), self.side, self.side)
        for name in ("real", "polar", "masks"):
            folder = getattr(self, name)
            if folder is not None and not folder.is_dir():
                raise InputError(name, str(folder), "a folder")
        if (self.polar is None) != (self.masks is None):
            raise InputError("masks", str(self.masks) if self.masks else None, "together with --polar, and only so")
        self.settings()  # refuses a checkpoint that cannot be read

    def check_presets(self) -> None:
        """Refuse a preset that is none.

        Raises:
            InputError: It is none.
        """
        for preset in self.presets:
            if preset not in preset_names():
                raise InputError("presets", preset, ", ".join(preset_names()))

    def agree(self) -> bool:
        """Hold the study against the one its folder was begun with; whether there is one.

        Raises:
            InputError: The folder holds a study of another scale, seed or recipe.
        """
        path = self.out / SETTINGS
        if not path.exists():
            return False
        try:
            begun = read_json(path)
        except (OSError, ValueError):
            raise InputError("out", str(self.out), f"a folder whose {SETTINGS} can be read") from None
        difference = first_difference(begun, self.settings())
        if difference is not None:
            field, old, new = difference
            raise InputError(field, new, f"{old!r}, with which {self.out} was begun; or another --out")
        return True

    def settle(self) -> None:
        """Write what the study is into its folder, where that is not known yet.

        Raises:
            InputError: The folder holds a study of another scale, seed or recipe.
        """
        if not self.agree():
            write_json(self.out / SETTINGS, self.settings())


def changed_recipe(params: TrainParams) -> dict[str, Any]:
    """Return what of a recipe is not the default: an option that is new and unused leaves older results valid.

    A checkpoint to start from is there by its bytes too: other weights of the same name are another recipe.

    Raises:
        InputError: That checkpoint cannot be read.
    """
    default = TrainParams.recipe_defaults()
    changed = {name: value for name, value in params.recipe().items() if value != default[name]}
    return changed | ({"init_sha256": init_digest(params.start)} if params.from_checkpoint else {})


def init_digest(init: str) -> str:
    """SHA-256 of a checkpoint to start from; whether it is one, training finds out.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return file_digest(Path(init))
    except OSError as error:
        raise InputError("init", init, f"best.pt or last.pt of a training run ({error.strerror})") from None
