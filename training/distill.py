"""Give SegFormer's encoder a free start: it learns to give the features of an encoder whose weights are free.

regolith distill --splits DATA/wide/train_dr,DATA/v4/train_dr --images photographs --out start
regolith train --init start …

Pictures alone are used, never labels. Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015: each stage of the
student, through a 1×1 convolution that is thrown away afterwards, is to give the teacher's map of the same stride.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from regolith.lunar.dataset.formats.target import new_folder
from regolith.lunar.files import write_json
from regolith.lunar.jobs.progress import show
from regolith.lunar.labels import IGNORE
from regolith.lunar.params import InputError, Verb, quantity
from regolith.lunar.params.training import QUARANTINED_HELP, Quarantined, TrainParams, split_folders
from regolith.lunar.perception.photos import find_photos, read_photo
from regolith.lunar.stage.spec import rng
from training.augment import Augmentation
from training.data import Frames

if TYPE_CHECKING:
    import torch

    from training.networks.segformer import LunarSegformer

TEACHER = "efficientnet-lite0"
LONG_SIDE_PX = 1024
"""Photographs are brought to this long side before crops are cut, the size they are segmented at."""
RECIPE: dict[str, Any] = {
    "scale": (0.6, 2.0), "photo_gamma": (0.6, 1.7), "photo_contrast": (0.6, 1.5), "photo_brightness": (-0.1, 0.15),
    "photo_gray": 0.3, "photo_light_ev": (1.0, 4.0), "photo_blur_px": (0.0, 1.0), "photo_noise": (0.0, 0.03),
    "weight_decay": 0.01, "lr_min": 1e-6, "grad_clip": 1.0,
}  # fmt: skip
"""What pictures and weights go through, in the terms of a training."""


SETTINGS = {"steps", "batch", "crop_px", "lr", "seed", "photo_share"}
"""Fields that decide the weights, beside the pictures."""


class Distill(Verb):
    """Teach SegFormer-B0's encoder the features of a free ImageNet encoder, on pictures without labels."""

    splits: Path = quantity(..., "Splits whose pictures are used; several are separated by commas.")
    quarantined: Quarantined = quantity("refuse", QUARANTINED_HELP)
    images: Path | None = quantity(None, "Folder of photographs, used beside them.")
    photo_share: float = quantity(0.25, "Share of crops cut from photographs, where there are some.", ge=0, le=1)
    out: Path = quantity(..., "Folder of the encoder, not there yet or empty, as `--init` of a training takes it.")
    steps: int = quantity(1500, "Steps of the optimizer.", ge=1, le=1_000_000)
    batch: int = quantity(8, "Crops per step.", ge=1, le=256)
    crop_px: int = quantity(224, "Side of a crop.", unit="px", ge=64, le=1024, step=32)
    lr: float = quantity(1e-3, "Peak learning rate.", ge=1e-8, le=1, step=1e-5)
    seed: int = quantity(0, "Seed of weights and crops.", ge=0, le=2**63 - 1)
    threads: int | None = quantity(None, "Threads of the CPU arithmetic; left out, one per core.", ge=1, le=1024)
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Teach the encoder and write it with what it was made from."""
        if self.crop_px % 32:
            raise InputError("crop_px", self.crop_px, "a multiple of 32")
        with new_folder(self.out) as folder:
            return self._teach(folder)

    def _teach(self, folder: Path) -> dict[str, Any]:
        import torch

        from training.machine import describe_machine, has_bf16

        pictures = Pictures(self)
        with show(self.events, "distill", "steps") as emit:
            student, losses = teach(self, pictures, emit)
        result = {
            "teacher": TEACHER, "fingerprint": pictures.frames.fingerprint, "photographs": len(pictures.photographs),
            "settings": self.model_dump(mode="json", include=SETTINGS),
            "loss_first": float(np.mean(losses[:20])), "loss_last": float(np.mean(losses[-20:])),
            "machine": describe_machine(torch.device("cpu"), has_bf16(torch.device("cpu"))),
        }  # fmt: skip
        weights = student.net.state_dict()  # of the encoder, in half precision: what a start needs
        kept = {name: weight.half() for name, weight in weights.items() if name.startswith("segformer.")}
        student.net.save_pretrained(folder, state_dict=kept)
        (folder / "README.md").write_text(MODEL_CARD.format(**result), "utf-8")
        write_json(folder / "distilled.json", result)
        return result

    def summary(self, result: dict[str, Any]) -> str:
        """Say how near the student came."""
        return f"{self.out}: loss {result['loss_first']:.3f} → {result['loss_last']:.3f} against {TEACHER}"


MODEL_CARD = """---
license: apache-2.0
---
# SegFormer-B0 encoder, taught by {teacher}

Its features follow those of {teacher} (ImageNet weights, Apache-2.0) on rendered frames (fingerprint {fingerprint})
and {photographs} photographs, without labels. Written by `regolith distill`; distilled.json has the settings.
"""


class Pictures:
    """Crops of frames and photographs, changed as a training changes them."""

    def __init__(self, verb: Distill) -> None:
        """Read what the crops are cut from.

        Raises:
            InputError: A split or a photograph cannot be used.
        """
        self.verb = verb
        base = {"train_split": verb.splits, "val_split": verb.splits, "out": verb.out, "crop_px": verb.crop_px}
        self.params = TrainParams.model_validate(base | RECIPE | {"init": "random", "lr": verb.lr, "batch": verb.batch})
        self.augmentation = Augmentation(self.params)
        self.frames = Frames(split_folders(verb.splits), field="splits", workers=1, quarantined=verb.quarantined)
        self.photographs = [] if verb.images is None else [_at_size(p) for p in find_photos(verb.images)]

    def batches(self) -> Iterator[np.ndarray]:
        """Yield uint8 [batch, crop, crop, 3] for every step."""
        verb = self.verb
        for step in range(verb.steps):
            crops = []
            for i in range(verb.batch):
                random = rng(verb.seed, "distill", step, i)
                if self.photographs and random.random() < verb.photo_share:
                    rgb = self.photographs[int(random.integers(len(self.photographs)))]
                else:
                    rgb, _ = self.frames.frame(int(random.integers(len(self.frames))))
                crop, _ = self.augmentation(rgb, np.full(rgb.shape[:2], IGNORE, np.uint8), random)
                crops.append(crop[:, ::-1] if random.random() < 0.5 else crop)
            yield np.stack(crops)


def teach(verb: Distill, pictures: Pictures, emit: Any) -> tuple[LunarSegformer, list[float]]:
    """Return the student in evaluation mode and the loss of every step."""
    import torch

    from training.machine import has_bf16, keep_freed_memory
    from training.networks.efficientnet import EfficientNetLite, load_imagenet
    from training.networks.segformer import fresh_segformer
    from training.optimization import learning_rate

    torch.manual_seed(verb.seed)
    if verb.threads:
        torch.set_num_threads(verb.threads)
    keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    amp = has_bf16(device)
    teacher = EfficientNetLite(TEACHER)
    load_imagenet(teacher, TEACHER)
    teacher.eval().requires_grad_(False).to(device)
    student = fresh_segformer().to(device).train()
    widths = cast(list[int], student.net.config.hidden_sizes)
    layers = (torch.nn.Conv2d(into, out, 1) for into, out in zip(widths, teacher.channels[1:], strict=True))
    hints = torch.nn.ModuleList(layers).to(device)
    trained = [*student.net.segformer.parameters(), *hints.parameters()]
    optimizer = torch.optim.AdamW(trained, verb.lr, weight_decay=pictures.params.weight_decay)
    mean, std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (teacher.mean, teacher.std))
    losses: list[float] = []
    began = time.monotonic()
    for step, crops in enumerate(pictures.batches()):
        x = torch.from_numpy(crops).to(device).permute(0, 3, 1, 2).float()  # (N, 3, H, W)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, verb.steps, pictures.params)
        with torch.autocast(device.type, torch.bfloat16, enabled=amp):
            with torch.no_grad():
                wanted = teacher((x - mean) / std)[1:]
            given = student.encode((x - student.mean) / student.std)
            loss = sum(hint_loss(hint(g), w) for hint, g, w in zip(hints, given, wanted, strict=True)) / len(wanted)
        assert isinstance(loss, torch.Tensor)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, pictures.params.grad_clip)
        optimizer.step()
        losses.append(loss.item())
        emit({"event": "progress", "done": step + 1, "total": verb.steps, "unit": "steps",
              "frames_per_s": (step + 1) * verb.batch / (time.monotonic() - began)})  # fmt: skip
    return student.eval().cpu(), losses


def hint_loss(given: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return the mean squared difference of feature maps [N, C, h, w], each wanted channel scaled to unit variance.

    Scaling is over the batch, so every channel counts alike; 1 is what a constant map scores.
    """
    import torch.nn.functional as F  # noqa: N812

    mean = wanted.float().mean((0, 2, 3), keepdim=True)
    deviation = wanted.float().std((0, 2, 3), keepdim=True) + 1e-3
    return F.mse_loss(given.float(), (wanted.float() - mean) / deviation)


def _at_size(path: Path) -> np.ndarray:
    """A photograph, uint8 [H, W, 3], its long side at most `LONG_SIDE_PX`."""
    from PIL import Image

    rgb = read_photo(path)
    factor = LONG_SIDE_PX / max(rgb.shape[:2])
    if factor >= 1:
        return rgb
    size = tuple(math.ceil(side * factor) for side in rgb.shape[1::-1])
    return np.asarray(Image.fromarray(rgb).resize(cast(tuple[int, int], size), Image.Resampling.LANCZOS))
