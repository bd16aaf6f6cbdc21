"""Trainings of the transfer study, all alike but for their frames, and what they make of real photographs."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transfer_arms import SPLIT, folder_of, write_derived

from regolith.lunar.dataset.split_reader import open_split
from regolith.lunar.files import appearing, replacing, write_json
from regolith.lunar.labels import IGNORE, ROCK
from regolith.lunar.params import Interval
from regolith.lunar.params.training import TrainParams
from regolith.lunar.perception.metrics import class_share, rock_counts
from regolith.lunar.quality.pictures import Picture, Pictures
from regolith.lunar.reading import read_json
from training.checkpoint import read_checkpoint
from training.networks import load_network
from training.train import train

EPOCHS = 6
"""Passes over the frames of an arm: of 80 frames in batches of 8, 60 steps."""
VAL_FRAMES = 2
"""Frames that the trainer is given to validate on. Nothing is selected: the last weights count."""
PHOTO_PX = 512
"""Long side photographs are brought to [px], both for the network and for the truth."""
APOLLO_LABELLED = "apollo-labelled"
"""The Apollo photographs that have masks, close-ups of boulders among them."""
RESULT = "real.json"
PREDICTED = "predicted.npz"
"""Classes of every photograph as the network sees them, which agreement of seeds is measured on."""


def recipe(train_split: Path, val_split: Path, out: Path, seed: int, *, epochs: int = EPOCHS) -> TrainParams:
    """The one recipe: ImageNet weights, crops of 128 px, no photometric change, the average of the last steps."""
    return TrainParams(
        train_split=train_split, val_split=val_split, out=out, arch="efficientnet-lite0", init="imagenet",
        logits_stride=2, lr=1e-3, lr_min=2e-5, warmup_steps=10, batch=8, epochs=epochs, patience=epochs, grad_clip=1.0,
        ema_decay=0.9, crop_px=128, scale=Interval(0.6, 2.0), rock_min_px=2.0, rock_bias=0.1, class_weight_power=0.0,
        loss_lovasz=0.5, seed=seed, threads=1, workers=1,
    )  # fmt: skip


def val_split(root: Path, arm: str = "v4") -> Path:
    """Return the split of a few frames of an arm that have most rock; made where it is not there."""
    folder = root / "data" / "val" / SPLIT
    if not folder.exists():
        frames = sorted(open_split(folder_of(root, arm)), key=lambda frame: -frame.counts["rock"])[:VAL_FRAMES]
        write_derived(folder, [(frame.rgb, frame.mask, frame.spec) for frame in frames], SPLIT)
    return folder


def run_folder(root: Path, arm: str, seed: int) -> Path:
    """Folder of a training."""
    return root / "runs" / f"{arm}-{seed}"


def train_run(root: Path, arm: str, seed: int) -> Path:
    """Train an arm with a seed, or go on with it; return the checkpoint of its last weights."""
    out = run_folder(root, arm, seed)
    if not (out / RESULT).exists():
        train(recipe(folder_of(root, arm), val_split(root), out, seed), lambda event: None)
    return out / "last.pt"


@dataclasses.dataclass(frozen=True)
class Photographs:
    """Real pictures at working size, in memory."""

    polar: list[Picture]
    """With the classes of POLAR's masks."""
    apollo: list[Picture]
    """The 21 photographs flood is measured on; their classes are those of the shipped masks, else `IGNORE`."""
    boulders: list[Picture]
    """Five photographs filled by boulders, with the shipped masks."""


def prepare_photographs(root: Path, folder: Path) -> Path:
    """Bring photographs and their masks to working size once, as PNG below `root / real`, and return that folder.

    Args:
        root: Folder of the study.
        folder: Has `polar/images`, `polar/masks`, `apollo` and `apollo_boulders`.
    """
    target = root / "real"
    if target.exists():
        return target

    def bare(rgb: np.ndarray) -> np.ndarray:
        return np.full(rgb.shape[:2], IGNORE, np.uint8)

    def apollo(images: Path) -> list[Picture]:
        masked = {p.name: p for p in Pictures(images, field="real", masks=Path("apollo")).read(PHOTO_PX)}
        return [masked.get(p.name, p) for p in Pictures(images, field="real").read(PHOTO_PX, bare)]

    polar = Pictures(folder / "polar" / "images", field="real", masks=folder / "polar" / "masks")
    sets = {"polar": list(polar.read(PHOTO_PX)), "apollo": apollo(folder / "apollo")}
    sets["boulders"] = apollo(folder / "apollo_boulders")
    sets[APOLLO_LABELLED] = [p for name in ("apollo", "boulders") for p in sets[name] if labelled(p)]
    with appearing(target) as temporary:
        for name, pictures in sets.items():
            for picture in pictures:
                for kind, array in (("images", picture.rgb), ("masks", picture.classes)):
                    path = temporary / name / kind / f"{Path(picture.name).stem}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(array).save(path)
    return target


def real_set(real: Path, name: str) -> Pictures:
    """Photographs of a set below `prepare_photographs`'s folder, with their masks."""
    return Pictures(real / name / "images", field="real", masks=real / name / "masks")


def labelled(picture: Picture) -> bool:
    """Whether any of a picture's pixels has a class."""
    return bool((picture.classes != IGNORE).any())


def read_photographs(real: Path) -> Photographs:
    """Read what `prepare_photographs` wrote."""
    return Photographs(*(list(real_set(real, name).read(PHOTO_PX)) for name in ("polar", "apollo", "boulders")))


Predict = Callable[[np.ndarray], np.ndarray]
"""Picture uint8 [H, W, 3] to probabilities float32 [3, H, W]."""


def predictor(checkpoint: Path) -> Predict:
    """Return what predicts with the weights of a checkpoint, in one view, edge pixels filling up to 32."""
    network = load_network(read_checkpoint(checkpoint)).eval()

    @torch.no_grad()
    def predict(rgb: np.ndarray) -> np.ndarray:
        height, width = rgb.shape[:2]
        filled = np.pad(rgb, [(0, -height % 32), (0, -width % 32), (0, 0)], mode="edge")
        logits = network(torch.from_numpy(filled[None]))[0, :, :height, :width]  # (3, H, W)
        return torch.softmax(logits, dim=0).numpy()

    return predict


def score_run(root: Path, arm: str, seed: int, photographs: Photographs) -> dict[str, Any]:
    """Measure a training on the photographs, or read what was measured; see `measure`."""
    out = run_folder(root, arm, seed)
    if not (out / RESULT).exists():
        result, predicted = measure(predictor(out / "last.pt"), photographs)
        with replacing(out / PREDICTED) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **predicted)
        write_json(out / RESULT, result)
        for name in ("best.pt", "last.pt"):
            (out / name).unlink(missing_ok=True)  # a run is measured once, and weighs 40 MB
    return read_json(out / RESULT)


def train_measured(params: TrainParams, real: Path) -> dict[str, Any]:
    """Train and measure on the photographs, or read what was measured.

    Args:
        params: Of the training; the result is kept in its folder, the weights are not.
        real: What `prepare_photographs` wrote.

    Returns:
        {seconds, photographs}: CPU time of measuring [s], and what `measure` found.
    """
    out = params.out
    if not (out / RESULT).exists():
        train(params, lambda event: None)
        predict, photographs = predictor(out / "last.pt"), read_photographs(real)
        began = time.process_time()
        result, _ = measure(predict, photographs)
        write_json(out / RESULT, {"seconds": time.process_time() - began, "photographs": result})
        for name in ("best.pt", "last.pt"):
            (out / name).unlink(missing_ok=True)
    return read_json(out / RESULT)


def measure(predict: Predict, photographs: Photographs) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Measure rock on labelled photographs and flood on all, with the entropy of what is predicted.

    Returns:
        {polar, apollo, boulders}, each {counts, flood, entropy} by photograph: `counts` [tp, fp, fn] of rock [px] or
        None without a mask, `flood` the share called rock, `entropy` the mean over pixels [bit]; and the classes
        predicted, uint8 [H, W], by set and photograph.
    """
    result: dict[str, Any] = {}
    predicted: dict[str, np.ndarray] = {}
    for name in ("polar", "apollo", "boulders"):
        rows: dict[str, Any] = {}
        for picture in getattr(photographs, name):
            probability = predict(picture.rgb)
            mask = probability.argmax(axis=0).astype(np.uint8)
            entropy = -(probability * np.log2(np.maximum(probability, 1e-12))).sum(axis=0)
            rows[picture.name] = {
                "counts": list(rock_counts(picture.classes, mask)) if labelled(picture) else None,
                "flood": class_share(mask, ROCK),
                "entropy": float(entropy.mean()),
            }
            predicted[f"{name}/{picture.name}"] = mask
        result[name] = rows
    return result, predicted
