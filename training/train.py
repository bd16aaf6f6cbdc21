"""Train a segmentation network on labelled lunar frames.

    regolith train --train-split DATA/train_dr --val-split DATA/val --out RUN            # pretrained encoder
    python training/train.py --train-split DATA/train_dr --val-split DATA/val --out RUN --init random
    python -m training.train --config RUN.json        # companion process: one JSON event a line on stdout

The defaults are the published recipe: cross-entropy weighted inversely to the training split's pixel counts, AdamW,
cosine to lr_min, mirrored whole frames, early stop on the rock-IoU of the validation split. Crops and magnification,
photometric changes, further losses, averaged weights and gradient clipping are parameters. The same command again
resumes: a kill loses at most the running epoch, SIGTERM or Ctrl-C nothing. A resumed run ends in the same weights as an
undisturbed one on the same CPU.

Writes best.pt, last.pt, metrics.jsonl (a line an epoch) and summary.json into --out.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from regolith.lunar.files import file_digest, write_bytes, write_json
from regolith.lunar.jobs.events import Emit, Event, Stop, emit
from regolith.lunar.labels import CLASSES, IGNORE, NAMES, ROCK
from regolith.lunar.machine import cores
from regolith.lunar.params import CheckError, InputError, sole_folder, writable_folder
from regolith.lunar.params.curriculum import CurriculumParams
from regolith.lunar.params.training import DISTILLED, TrainParams, load_train_params, portable_start
from regolith.lunar.perception.metrics import scores
from regolith.lunar.stage.spec import rng
from regolith.lunar.system import STOP_SIGNALS
from training.augment import Augmentation
from training.checkpoint import Progress, read_checkpoint, read_origin, write_torch
from training.curriculum import train_as_asked
from training.data import Frames
from training.losses import class_weights, segmentation_loss
from training.machine import describe_machine, git_revision, has_bf16, keep_freed_memory
from training.memory import choose_micro_batch, measure_need
from training.networks import build_network, describe_network, load_network, with_start
from training.networks.base import SegmentationNetwork, Start
from training.optimization import learning_rate, update_average

NORM_MIN_PX = 64
"""Shortest side a network with batch normalisation is trained at: a single frame has to give it several values."""


def train(params: TrainParams, emit: Emit = emit, stop: Stop = lambda: False) -> dict[str, Any]:
    """Train or resume a run.

    Args:
        params: The run.
        emit: Receives the events of `regolith.lunar.jobs.events`.
        stop: Asked after every batch; once true the run saves itself and returns.

    Returns:
        The content of summary.json; `status` is `finished` or `interrupted`.

    Raises:
        InputError: A split cannot be used, or `out` holds a run of another recipe or other data, is another's at the
            moment, or has no room.
        CheckError: The loss is no longer a number.
    """
    with sole_folder("out", params.out):
        run = TrainingRun(params, emit)
        while not run.finished:
            if stop() or not (run.train_epoch(stop) and run.close_epoch(stop)):
                run.save()
                return run.write_summary("interrupted")
        return run.write_summary("finished")


class TrainingRun:
    """One run: data, network, optimizer, and the state that last.pt carries from process to process."""

    def __init__(self, params: TrainParams, emit: Emit) -> None:
        self.emit = emit
        writable_folder("out", params.out)
        last = params.out / "last.pt"
        begun = read_checkpoint(last, field="out") if last.exists() else None
        self.params = params = self._with_start(params, begun)
        torch.set_num_threads(params.threads or cores())
        keep_freed_memory()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.amp = params.amp == "bf16" or (params.amp == "auto" and has_bf16(self.device))
        read = partial(Frames, workers=params.workers, quarantined=params.quarantined)
        self.data = read(params.train_splits, field="train_split")
        self.val = read(params.val_splits, field="val_split")
        self.test = params.test_split and read(params.test_split, field="test_split")
        self.selection = self.test or self.val
        if not self.selection.counts[ROCK]:
            raise InputError(self.selection.field, self.selection.name, "a split in which some pixel is rock")
        if not params.crop_px and len(self.data.sizes) > 1:
            raise InputError("train_split", self.data.name, "splits with frames of one size; or a --crop-px")
        self.augmentation = Augmentation(params)
        for name, count in zip(NAMES, self.data.counts, strict=True):
            if not count:
                emit({"event": "note", "message": f"no {name} pixel in {self.data.name}: its class weight is 0"})
        weights = class_weights(self.data.counts, params.class_weight_power)
        self.weight = torch.tensor(weights, dtype=torch.float32, device=self.device)

        torch.manual_seed(params.seed)
        self.origin = begun.get("origin") if begun else read_origin(params)
        network, self.start = self._build(begun)
        self.model = network.to(self.device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), params.lr_peak, weight_decay=params.weight_decay)
        self.average = copy.deepcopy(self.model).requires_grad_(False) if params.ema_decay else None
        self.epoch, self.batch = 0, 0  # the next batch of the running epoch
        self.loss_sum, self.seconds, self.waited = 0.0, 0.0, 0.0  # of the running epoch
        self.history: list[dict[str, Any]] = []
        self.shape = self.augmentation.shape(self.data.shapes[0])
        """Height and width of what the network is trained on [px]."""
        self.memory = measure_need(self.model, self.shape, params, self.weight, amp=self.amp)
        self.micro_batch = 0
        if begun:
            self._resume(begun)
        if params.arch != "segformer-b0" and min(self.shape) < NORM_MIN_PX:
            raise InputError("crop_px", min(self.shape), f"frames of at least {NORM_MIN_PX} px for {params.arch}")
        if not self.finished:
            self.micro_batch = choose_micro_batch(self.memory, params, fixed=self.micro_batch or None)
        if self.micro_batch < (params.micro_batch or params.batch) and not self.finished:
            self.emit({"event": "note", "message": f"computes {self.micro_batch} frames at once: more do not fit"})

    def _with_start(self, params: TrainParams, begun: dict[str, Any] | None) -> TrainParams:
        """Name the start of a run that names none: the one it was begun with, or one that can be had."""
        if params.init is None and begun and begun["recipe"]["init"] == DISTILLED:
            return params.model_copy(update={"init": DISTILLED})
        settled = params if begun else with_start(params)
        if settled is not params:
            self.emit({"event": "note", "message": f"starts from {settled.init}: {params.start} is in no reach"})
        return settled

    def _build(self, begun: dict[str, Any] | None) -> tuple[SegmentationNetwork, Start]:
        """The network of a begun run, or a new one."""
        if begun:
            return load_network(begun, field="out", value=str(self.params.out)), Start(**begun["network"]["start"])
        return build_network(self.params.arch, self.params.start, logits_stride=self.params.logits_stride)

    # -- one epoch ---------------------------------------------------------------------------------------------------

    def train_epoch(self, stop: Stop) -> bool:
        """Train on the rest of the running epoch; False where it was stopped first."""
        p = self.params
        if self.batch == 0:
            torch.manual_seed(int(rng(p.seed, "dropout", self.epoch).integers(2**63 - 1)))
        self.model.train()
        done = self.batch * p.batch
        began = time.monotonic()
        for rgb, mask in self._training_batches(done):
            self.waited += time.monotonic() - began
            self.loss_sum += self._step(rgb, mask) * len(rgb)
            self.batch += 1
            done += len(rgb)
            self.seconds += time.monotonic() - began
            self.emit(
                {"event": "progress", "done": self.epoch * self.steps_per_epoch + self.batch, "total": self.total_steps,
                 "unit": "steps", "stage": f"epoch {self.epoch + 1}/{p.epochs}", "frames_per_s": done / self.seconds}
            )  # fmt: skip
            if stop():
                return False
            began = time.monotonic()
        return True

    def _training_batches(self, done: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the batches of the running epoch after its first `done` frames, changed as the recipe says."""
        p, n = self.params, len(self.data)
        order = rng(p.seed, "order", self.epoch).permutation(n)
        flips = rng(p.seed, "flip", self.epoch).random(n) < 0.5 if p.flip else np.zeros(n, bool)
        epoch = self.epoch

        def change(k: int, rgb: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return self.augmentation(rgb, mask, rng(p.seed, "augment", epoch, done + k))

        yield from self.data.batches(order[done:], p.batch, flips=flips[done:], change=change, shape=self.shape)

    def _step(self, rgb: np.ndarray, mask: np.ndarray) -> float:
        """Make one step of the optimizer on a batch and return its loss."""
        p = self.params
        step = self.epoch * self.steps_per_epoch + self.batch
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, self.total_steps, p)
        self.optimizer.zero_grad(set_to_none=True)
        value = self._backward(rgb, mask)
        if not math.isfinite(value):
            raise CheckError(f"loss is {value} in epoch {self.epoch + 1}: try a smaller --lr than {p.lr_peak:g}")
        if p.grad_clip:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), p.grad_clip)
        self.optimizer.step()
        if self.average is not None:
            update_average(self.average, self.model, min(p.ema_decay, (1 + step) / (10 + step)))
        return value

    def _backward(self, rgb: np.ndarray, mask: np.ndarray) -> float:
        """Add up the gradients of a batch, `micro_batch` frames at once, and return its loss.

        The cross-entropy is that of the whole batch; the losses of a region are averages over its parts.
        """
        size = self.micro_batch
        if size >= len(rgb):
            logits, target = self._forward(rgb, mask)
            loss = segmentation_loss(logits, target, self.weight, self.params)
            loss.backward()
            return loss.item()
        counts = torch.from_numpy(np.bincount(mask.ravel(), minlength=256)[: len(NAMES)]).to(self.device)
        weight_sum = (counts * self.weight).sum()
        total = torch.zeros((), device=self.device)
        for start in range(0, len(rgb), size):
            part = slice(start, start + size)
            logits, target = self._forward(rgb[part], mask[part])
            share = len(logits) / len(rgb)
            loss = segmentation_loss(logits, target, self.weight, self.params, weight_sum=weight_sum, share=share)
            loss.backward()
            total += loss.detach()
        return total.item()

    def _forward(self, rgb: np.ndarray, mask: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        image = torch.from_numpy(rgb).to(self.device)  # (N, H, W, 3) uint8
        target = torch.from_numpy(mask).to(self.device).long()  # (N, H, W)
        network = self.model if self.model.training else self.kept
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.amp):
            logits = network(image)  # (N, 3, H, W) float32
        return logits, target

    def close_epoch(self, stop: Stop) -> bool:
        """Evaluate, record and save the epoch; False where it was stopped first."""
        began = time.monotonic()
        val = self._evaluate(self.val, stop)
        test = self._evaluate(self.test, stop) if self.test and val else None
        if val is None or (self.test and test is None):
            return False
        row: dict[str, Any] = {
            "epoch": self.epoch + 1,
            "train_loss": self.loss_sum / len(self.data),
            "val_loss": val.pop("loss"),
            **{key: val[key] for key in ("iou", "miou", "accuracy")},
            "test": test,
            "lr": self.optimizer.param_groups[0]["lr"],
            "seconds": round(self.seconds + time.monotonic() - began, 3),
            "frames_per_s": round(len(self.data) / self.seconds, 3),
            "waiting_share": round(self.waited / self.seconds, 5),
        }
        row["selection_iou"] = (test or val)["iou"]["rock"]
        self.history.append(row)
        self.epoch, self.batch = self.epoch + 1, 0
        self.loss_sum, self.seconds, self.waited = 0.0, 0.0, 0.0
        if self.best == row:
            write_torch(self.params.out / "best.pt", self._checkpoint() | {"metrics": row})
            self.emit({"event": "artifact", "path": str(self.params.out / "best.pt"), "kind": "checkpoint"})
        lines = "".join(json.dumps(r) + "\n" for r in self.history)
        write_bytes(self.params.out / "metrics.jsonl", lines.encode())
        self.save()
        for name, value in (
            ("train_loss", row["train_loss"]), ("val_loss", row["val_loss"]),
            ("rock_iou", row["iou"]["rock"]), ("miou", row["miou"]), ("lr", row["lr"]),
        ):  # fmt: skip
            self.emit({"event": "metric", "name": name, "value": value, "step": row["epoch"]})
        return True

    @torch.no_grad()
    def _evaluate(self, frames: Frames, stop: Stop) -> dict[str, Any] | None:
        self.model.eval()
        self.kept.eval()
        confusion = torch.zeros(9, dtype=torch.int64, device=self.device)
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        weight_sum = torch.zeros_like(loss_sum)
        trained, largest = math.prod(self.shape), max(h * w for h, w in frames.shapes)
        size = max(1, self.micro_batch * trained // largest)  # no more pixels than the guard let a step have
        for rgb, mask in frames.batches(np.arange(len(frames)), size):
            logits, target = self._forward(rgb, mask)
            loss_sum += F.cross_entropy(logits, target, self.weight, ignore_index=IGNORE, reduction="sum")
            valid = target != IGNORE
            weight_sum += self.weight[target[valid]].sum()
            confusion += torch.bincount(target[valid] * 3 + logits.argmax(1)[valid], minlength=9)
            if stop():
                return None
        result = scores(confusion.cpu().numpy().reshape(3, 3))
        return result | {"loss": (loss_sum / weight_sum).item() if weight_sum > 0 else None}

    # -- state -------------------------------------------------------------------------------------------------------

    @property
    def kept(self) -> SegmentationNetwork:
        """The network that is validated and kept: the averaged one where the recipe averages."""
        return self.model if self.average is None else self.average

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch."""
        return math.ceil(len(self.data) / self.params.batch)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole schedule."""
        return self.steps_per_epoch * self.params.epochs

    @property
    def best(self) -> dict[str, Any] | None:
        """The first epoch with the highest rock-IoU on the selection split."""
        return max(self.history, key=lambda r: r["selection_iou"], default=None)

    @property
    def finished(self) -> bool:
        """Whether the run has used its epochs or its patience."""
        best = self.best
        stale = 0 if best is None else self.epoch - best["epoch"]
        return self.batch == 0 and (self.epoch >= self.params.epochs or stale >= self.params.patience)

    def _checkpoint(self) -> dict[str, Any]:
        """What both checkpoint files carry: weights, and what they were made from."""
        splits = {f.field: f.fingerprint for f in (self.data, self.val, self.test) if f}
        return {
            "kind": f"regolith.lunar {self.params.arch}",
            "network": describe_network(self.params.arch, self.model, self.start),
            "model": self.kept.state_dict(),
            "recipe": self.params.recipe(),
            "fingerprints": splits,
            "origin": self.origin,
            "classes": dict(CLASSES),
            "epoch": self.epoch,
        }

    def save(self) -> None:
        """Write last.pt: everything the run needs to go on from the next batch (the schedule follows from the step)."""
        state = self._checkpoint() | {
            "running": self.model.state_dict() if self.average is not None else None,
            "optimizer": self.optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "rng_cuda": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
            "batch": self.batch,
            "micro_batch": self.micro_batch,
            "loss_sum": self.loss_sum,
            "seconds": self.seconds,
            "waited": self.waited,
            "history": self.history,
        }
        write_torch(self.params.out / "last.pt", state)

    def _resume(self, state: dict[str, Any]) -> None:
        mine = self._checkpoint()
        defaults = TrainParams.recipe_defaults()  # of fields that came after the run was begun
        for key in ("recipe", "fingerprints"):
            for name in mine[key] | state[key]:
                old, new = state[key].get(name, defaults.get(name)), mine[key].get(name)
                if name == "init":  # runs begun earlier have a folder's whole path
                    old = portable_start(str(old))
                if old != new:
                    raise InputError(name, new, f"{old!r}, as the run in {self.params.out} has it; or another --out")
        start = Path(self.params.start)
        if self.origin and start.is_file() and file_digest(start) != self.origin["sha256"]:
            raise InputError(
                "init", self.params.start, f"the weights {self.params.out} was begun with; or another --out"
            )
        try:
            self._restore(state)
        except (AttributeError, KeyError, OverflowError, RuntimeError, TypeError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0][:80]
            raise InputError("out", str(self.params.out / "last.pt"), f"what a run writes ({reason})") from None
        self.emit({"event": "note", "message": f"resumes {self.params.out} after {self.epoch} epochs"})

    def _restore(self, state: dict[str, Any]) -> None:
        """Take over weights, optimizer, random state and progress."""
        self.kept.load_state_dict(state["model"])
        if self.average is not None:
            self.model.load_state_dict(state["running"])
        self.optimizer.load_state_dict(state["optimizer"])
        for weight, moments in self.optimizer.state.items():
            if any(value.shape not in ((), weight.shape) for value in moments.values()):
                raise ValueError("the optimizer's state is another network's")
        torch.set_rng_state(state["rng"])
        if state["rng_cuda"] and self.device.type == "cuda":
            torch.cuda.set_rng_state_all(state["rng_cuda"])
        progress = Progress.model_validate(state)
        if progress.batch > self.steps_per_epoch or (progress.batch and not progress.seconds):
            raise ValueError(f"{progress.batch} batches of an epoch of {self.steps_per_epoch}")
        for name in Progress.model_fields:
            setattr(self, name, state.get(name, getattr(progress, name)))

    def write_summary(self, status: str) -> dict[str, Any]:
        """Write summary.json and return its content."""
        best, test = self.best, self.params.select_on == "test"
        summary = {
            "status": status,
            "selected_on": self.params.select_on,
            "selection_note": "published protocol: the epoch was chosen on the test split, so its figures there are "
            "optimistic" if test else "the epoch was chosen on the validation split",
            "best_epoch": best and best["epoch"],
            "best_rock_iou": best and best["selection_iou"],
            "best": best,
            "epochs": self.epoch,
            "seconds": round(sum(r["seconds"] for r in self.history), 3),
            "splits": {
                f.field: {"path": f.name, "fingerprint": f.fingerprint, "frames": len(f), "sizes": f.sizes}
                for f in (self.data, self.val, self.test) if f
            },
            "network": {"arch": self.params.arch, "start": self.start.to_dict()},
            "origin": self.origin,
            "class_weights": dict(zip(NAMES, self.weight.tolist(), strict=True)),
            "config": self.params.recipe(),
            "memory": self.memory.to_dict() | {"micro_batch": self.micro_batch},
            "git": git_revision(),
            "machine": describe_machine(self.device, self.amp),
        }  # fmt: skip
        write_json(self.params.out / "summary.json", summary)
        self.emit({"event": "artifact", "path": str(self.params.out / "summary.json"), "kind": "summary"})
        return summary


def run_companion(config: Path) -> int:
    """Run as a companion process: events on stdout, SIGTERM and SIGINT save and stop; returns the exit status."""
    stopping = False

    def on_signal(number: int, frame: object) -> None:
        nonlocal stopping
        stopping = True

    def send(event: Event) -> None:
        nonlocal stopping
        try:
            emit(event)
        except BrokenPipeError:  # the launcher is gone: stop as if it had asked to
            stopping = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    for number in STOP_SIGNALS:
        signal.signal(number, on_signal)
    try:
        params = load_train_params(config, CurriculumParams)
        summary = train_as_asked(params, train, send, lambda: stopping)
    except (InputError, CheckError, OSError) as caught:
        error = InputError.from_system(caught) if isinstance(caught, OSError) else caught
        if error is None:
            raise
        code = 2 if isinstance(error, InputError) else 1
        send({"event": "error", "message": str(error), "code": code})
        return code
    send({"event": "done", "status": summary["status"], "result": summary})
    return 0 if summary["status"] == "finished" else 130


def main(arguments: list[str]) -> int:
    """Run with `--config FILE` as a companion process, else as `regolith train` with the same flags."""
    if "--config" in arguments:
        parser = argparse.ArgumentParser(prog="training.train", description=__doc__)
        parser.add_argument("--config", type=Path, required=True, help="JSON file with the fields of CurriculumParams")
        return run_companion(parser.parse_args(arguments).config)
    from regolith.lunar.cli import main as regolith

    return regolith(["train", *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
