"""The parameters of a training run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ValidationError, model_validator

from regolith.lunar.params.errors import InputError
from regolith.lunar.params.fields import Interval, cross_field, input_error, quantity, words_of
from regolith.lunar.params.verb import Verb
from regolith.lunar.reading import parse_json, read_text

Architecture = Literal["segformer-b0", "efficientnet-lite0", "efficientnet-lite2", "auto-backbone"]
ARCHITECTURE_NAMES: dict[Architecture, str] = {
    "segformer-b0": "SegFormer-B0",
    "efficientnet-lite0": "feature pyramid on EfficientNet-Lite0",
    "efficientnet-lite2": "feature pyramid on EfficientNet-Lite2",
    "auto-backbone": "feature pyramid on a backbone of transformers",
}
DEFAULT_STARTS: dict[Architecture, str] = {
    "segformer-b0": "nvidia/mit-b0",
    "efficientnet-lite0": "imagenet",
    "efficientnet-lite2": "imagenet",
}
"""What a network starts from where nothing is asked for; a backbone of choice has none."""

DISTILLED = "distilled"
"""SegFormer's start under a free licence, which ships: an encoder taught by EfficientNet-Lite0 (`regolith distill`).

A run for which nothing is asked and whose default start is in no reach begins with it."""

FRESH_STARTS = frozenset({"random", "imagenet", DISTILLED})
"""Starts whose decoder is as fresh as their statistics are foreign: they warm up."""

Quarantined = Literal["refuse", "leave-out", "use"]
QUARANTINED_HELP = (
    "What to do with frames and classes that `regolith gate --quarantine` set aside: refuse the split, leave out the "
    "frames and ignore the pixels of the classes, or use all the same."
)

RUNTIME_FIELDS = frozenset(
    {"train_split", "val_split", "test_split", "out", "quarantined", "workers", "threads", "json_file", "debug"}
)
"""Fields a resumed run may change: where things are (the splits' fingerprints must stay) and how fast it runs."""


def split_folders(path: Path) -> tuple[Path, ...]:
    """Return the folders of a parameter that takes several, separated by commas."""
    return tuple(map(Path, words_of(str(path))))


def portable_name(path: str | Path) -> str:
    """Return what a path says on any machine: its last two parts."""
    return "/".join(Path(path).absolute().parts[-2:])


def portable_start(init: str) -> str:
    """Return what a start is called on any machine: a hub id or a word stays, of a longer or absolute path the name."""
    path = Path(init)
    return path.name if path.is_absolute() or ".." in path.parts or len(path.parts) > 2 else init


class TrainParams(Verb):
    """Train a segmentation network on a labelled split; the same command again resumes a stopped run."""

    train_split: Path = quantity(
        ...,
        "Split to train on, a folder written by `regolith generate`, or a manifest of `regolith mix`; several are "
        "separated by commas.",
    )
    val_split: Path = quantity(
        ..., "Split that selects the best epoch and stops the run early; several are separated by commas."
    )
    test_split: Path | None = quantity(None, "Split that selects instead of val_split where select_on is test.")
    quarantined: Quarantined = quantity("refuse", QUARANTINED_HELP)
    out: Path = quantity(..., "Folder of the run: best.pt, last.pt, metrics.jsonl, summary.json.")
    arch: Architecture = quantity(
        "segformer-b0",
        "Network: SegFormer-B0, a feature pyramid over an EfficientNet-Lite, or one over any backbone of transformers "
        "that --init names.",
    )
    init: str | None = quantity(
        None,
        "What to start from: `imagenet` (EfficientNet-Lite, Apache-2.0), `distilled` (SegFormer, Apache-2.0, taught by "
        "an EfficientNet), the encoder of a Hugging Face hub id or of a local folder, the whole network of another "
        "run's best.pt, or `random`. Left out, imagenet for an EfficientNet, and for SegFormer nvidia/mit-b0, whose "
        "licence is non-commercial, or distilled where neither hub nor cache has that.",
    )
    logits_stride: int = quantity(
        4,
        "Picture pixels to a pixel of the logits of a feature pyramid, 2 or 4; SegFormer's is 4.",
        unit="px",
        ge=2,
        le=4,
        step=2,
    )
    lr: float | None = quantity(
        None,
        "Peak learning rate; left out, 1e-3 for random, 5e-4 for imagenet, 6e-5 for other weights that were trained.",
        step=1e-5,
        ge=1e-8,
        le=1,
    )
    lr_min: float = quantity(1e-7, "Learning rate the schedule ends at.", ge=0, le=1, step=1e-7)
    schedule: Literal["cosine", "poly"] = quantity(
        "cosine", "How the learning rate falls after the warm-up: half a cosine, or a power of the steps left."
    )
    poly_power: float = quantity(
        1.0, "Power of the poly schedule; SegFormer was trained with 1.", ge=0.1, le=5, step=0.1
    )
    warmup_steps: int | None = quantity(
        None,
        "Steps of linear warm-up; left out, 100 for random and imagenet, and 0 for other weights that were trained.",
        ge=0,
        le=100000,
        step=10,
    )
    weight_decay: float = quantity(0.01, "Weight decay of AdamW.", ge=0, le=1, step=0.005)
    class_weight_power: float = quantity(
        1.0,
        "Power of the inverse pixel counts that weight the classes: 1 is the published recipe, 0 weights all alike.",
        ge=0,
        le=2,
        step=0.1,
    )
    loss_cross_entropy: float = quantity(1.0, "Weight of the class-weighted cross-entropy.", ge=0, le=10, step=0.1)
    loss_focal: float = quantity(
        0.0, "Focal exponent of the cross-entropy: pixels already right count less; 0 is plain.", ge=0, le=5, step=0.5
    )
    loss_dice: float = quantity(0.0, "Weight of the Dice loss of rock over a batch.", ge=0, le=10, step=0.1)
    loss_lovasz: float = quantity(
        0.0, "Weight of the Lovász-softmax loss of rock, a surrogate of its IoU.", ge=0, le=10, step=0.1
    )
    grad_clip: float = quantity(
        0.0, "Largest norm of a step's gradient, a longer one is scaled to it; 0 leaves it.", ge=0, le=1000, step=0.1
    )
    ema_decay: float = quantity(
        0.0,
        "Decay per step of the averaged weights that are validated and kept; 0 keeps the last step's.",
        ge=0,
        le=0.99999,
        step=0.001,
    )
    batch: int = quantity(8, "Frames per step.", unit="frames", ge=1, le=256)
    micro_batch: int | None = quantity(
        None,
        "Frames computed at once, the gradients of a step add up; left out, the whole batch or what fits in memory.",
        unit="frames",
        ge=1,
        le=256,
        step=1,
    )
    epochs: int = quantity(40, "Most passes over the training split.", ge=1, le=10000)
    patience: int = quantity(8, "Epochs without a better rock-IoU after which the run stops.", ge=1, le=10000)
    flip: bool = quantity(True, "Mirror half of the training frames left to right.")
    crop_px: int = quantity(
        0,
        "Side of the square cut at random from each frame, a multiple of 32; 0 trains on whole frames.",
        unit="px",
        ge=0,
        le=2048,
        step=32,
    )
    scale: Interval = quantity(
        Interval(1, 1),
        "Magnification of a frame before the crop, drawn log-uniformly; never so small that the crop leaves the frame.",
        ge=0.1,
        le=8,
        step=0.05,
    )
    crop_pad: bool = quantity(
        False, "Let a crop reach beyond the shorter side of a frame, so that small magnifications show all of it."
    )
    rock_bias: float = quantity(
        0.0, "Share of crops that hold a random rock pixel of their frame for certain.", ge=0, le=1, step=0.05
    )
    rock_min_px: float = quantity(
        0.0,
        "Rocks of a smaller apparent diameter are not trained on, neither as rock nor as ground; 0 takes all.",
        unit="px",
        ge=0,
        le=100,
        step=0.5,
    )
    photo_share: float = quantity(
        0.5, "Probability of each photo_* change whose range changes anything.", ge=0, le=1, step=0.05
    )
    photo_gamma: Interval = quantity(
        Interval(1, 1), "Exponent of the tone curve, drawn log-uniformly.", ge=0.2, le=5, step=0.05
    )
    photo_contrast: Interval = quantity(
        Interval(1, 1), "Contrast about the picture's mean, drawn log-uniformly.", ge=0.1, le=5, step=0.05
    )
    photo_brightness: Interval = quantity(
        Interval(0, 0), "Brightness added, as a share of full scale.", ge=-1, le=1, step=0.01
    )
    photo_tint: Interval = quantity(
        Interval(0, 0), "Standard deviation of the gains of red, green and blue.", ge=0, le=1, step=0.01
    )
    photo_gray: float = quantity(0.0, "Share of pictures turned grey, as black-and-white film.", ge=0, le=1, step=0.05)
    photo_vignette: Interval = quantity(
        Interval(0, 0), "Share of light lost in the corners of the crop.", ge=0, le=1, step=0.05
    )
    photo_light_ev: Interval = quantity(
        Interval(0, 0),
        "Stops between bright and dark of uneven light: a lamp's spot, or the soft edge of a beam or shadow.",
        unit="EV",
        ge=0,
        le=12,
        step=0.5,
    )
    photo_blur_px: Interval = quantity(
        Interval(0, 0), "Standard deviation of a Gaussian blur.", unit="px", ge=0, le=10, step=0.1
    )
    photo_noise: Interval = quantity(
        Interval(0, 0), "Standard deviation of noise, as a share of full scale.", ge=0, le=0.5, step=0.005
    )
    photo_jpeg: Interval = quantity(Interval(100, 100), "Quality of a JPEG compression.", ge=5, le=100, step=5)
    seed: int = quantity(0, "Seed of weights, order, flips, crops and dropout.", ge=0, le=2**63 - 1)
    select_on: Literal["val", "test"] = quantity(
        "val", "Split whose rock-IoU selects the epoch; test is the published protocol and marks the summary so."
    )
    amp: Literal["auto", "bf16", "off"] = quantity(
        "auto", "Mixed precision; auto is bf16 on CUDA and on CPUs with bf16 arithmetic, and off elsewhere."
    )
    workers: int = quantity(2, "Threads that decode and augment frames.", ge=1, le=64)
    threads: int | None = quantity(
        None,
        "Threads of the CPU arithmetic; left out, one per core. Leave a core free where others work on the machine.",
        ge=1,
        le=1024,
        step=1,
    )

    @model_validator(mode="after")
    def _selection(self) -> TrainParams:
        if (self.select_on == "test") != (self.test_split is not None):
            raise cross_field("select_on", self.select_on, "test together with a test_split, val without one")
        return self

    @model_validator(mode="after")
    def _network(self) -> TrainParams:
        if self.init is None and self.arch not in DEFAULT_STARTS:
            raise cross_field("init", self.init, "a backbone's hub id or local folder, or best.pt of a run of one")
        strides = (4,) if self.arch == "segformer-b0" else (2, 4)
        if self.logits_stride not in strides:
            raise cross_field("logits_stride", self.logits_stride, f"{' or '.join(map(str, strides))} for {self.arch}")
        return self

    @model_validator(mode="after")
    def _crops(self) -> TrainParams:
        if self.crop_px % 32:
            raise cross_field("crop_px", self.crop_px, "a multiple of 32, or 0 for whole frames")
        for name, neutral in ("rock_bias", 0), ("crop_pad", False), ("scale", Interval(1, 1)):
            if not self.crop_px and getattr(self, name) != neutral:
                raise cross_field(name, str(getattr(self, name)), f"{neutral} without a crop_px")
        if not (self.loss_cross_entropy or self.loss_dice or self.loss_lovasz):
            raise cross_field("loss_cross_entropy", 0, "above 0 where loss_dice and loss_lovasz are 0")
        return self

    @property
    def train_splits(self) -> tuple[Path, ...]:
        """The splits trained on, in order."""
        return split_folders(self.train_split)

    @property
    def val_splits(self) -> tuple[Path, ...]:
        """The splits validated on, in order."""
        return split_folders(self.val_split)

    @property
    def from_checkpoint(self) -> bool:
        """Whether the run starts from the checkpoint of another run, which its file name tells."""
        return self.start.endswith(".pt")

    @property
    def start(self) -> str:
        """What the run starts from, default resolved."""
        return self.init if self.init is not None else DEFAULT_STARTS[self.arch]

    @property
    def lr_peak(self) -> float:
        """Peak learning rate, defaults resolved."""
        return (
            self.lr
            if self.lr is not None
            else {"random": 1e-3, "imagenet": 5e-4, DISTILLED: 5e-4}.get(self.start, 6e-5)
        )

    @property
    def warmup(self) -> int:
        """Warm-up steps, defaults resolved."""
        return self.warmup_steps if self.warmup_steps is not None else 100 * (self.start in FRESH_STARTS)

    def recipe(self) -> dict[str, Any]:
        """What decides the result beside the data: every field but `RUNTIME_FIELDS`, defaults resolved.

        A checkpoint to start from goes by its portable name: a run carries the digest of it. So does a folder.
        """
        recipe = self.model_dump(mode="json", exclude=set(RUNTIME_FIELDS))
        init = portable_name(self.start) if self.from_checkpoint else portable_start(self.start)
        return recipe | {"init": init, "lr": self.lr_peak, "warmup_steps": self.warmup}

    @classmethod
    def recipe_defaults(cls) -> dict[str, Any]:
        """The recipe where nothing is asked for, which is also that of a run older than one of its fields."""
        return cls(train_split=Path(), val_split=Path(), out=Path()).recipe()


T = TypeVar("T", bound=TrainParams)


def load_train_params(path: Path, model: type[T] = TrainParams) -> T:
    """Read the parameters of a run from a JSON file.

    Args:
        path: The file.
        model: What it holds.

    Raises:
        InputError: The file is missing or not JSON, or a field does not fit.
    """
    try:
        text = read_text(path)
        data = parse_json(text)
    except OSError as error:
        raise InputError("config", str(path), f"a readable file ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise InputError("config", str(path), f"well-formed JSON ({error})") from None
    try:
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise input_error(model, data, error) from None
