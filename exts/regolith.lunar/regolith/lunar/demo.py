"""`regolith demo`: the main job end to end, at a size for two cores."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from regolith.lunar.dataset.author import Author
from regolith.lunar.dataset.generate import generate
from regolith.lunar.files import file_digest
from regolith.lunar.jobs.progress import show
from regolith.lunar.machine import cores
from regolith.lunar.params import CheckError, InputError, PictureSize, PresetVerb, quantity, sole_folder
from regolith.lunar.params.training import Architecture, TrainParams
from regolith.lunar.perception.evaluate import EvaluateReal, EvaluateSynth
from regolith.lunar.perception.model_files import read_card
from regolith.lunar.perception.photos import find_photos
from regolith.lunar.report.page import number
from regolith.lunar.report.run import write_run_report
from training.launch import train


class Demo(PresetVerb):
    """The main job end to end: author, generate, train, export, evaluate, report; run again to resume."""

    out: Path = quantity(Path("out/demo"), "Folder of everything the demo makes.")
    frames: int = quantity(112, "Training frames.", unit="frames", ge=8, le=100000)
    held_out: int = quantity(24, "Frames of val, and of test_photoreal.", unit="frames", ge=4, le=10000)
    size: PictureSize = quantity(PictureSize(256), "Size of the pictures, multiples of 32.")
    epochs: int = quantity(16, "Passes over the training frames.", ge=1, le=1000)
    arch: Architecture = quantity("efficientnet-lite0", "Network, as `regolith train` takes it.")
    init: str | None = quantity(None, "What to start from; left out, what `regolith train` starts it from.")
    seed: int = quantity(0, "Seed of dataset and training.", ge=0)
    workers: int | None = quantity(
        None, "Processes that render; left out, one per core, at most 8.", ge=1, le=256, step=1
    )
    real: Path | None = quantity(None, "Folder of real photographs to evaluate on.")
    masks: Path | None = quantity(None, "Rock masks of the real photographs, same names.")

    def run(self) -> dict[str, Any]:
        """Run every step, resuming what is already there, and write `report.html`."""
        if self.size.width % 32 or self.size.height % 32:
            raise InputError("size", str(self.size), "multiples of 32")
        if self.real is not None:
            if not self.real.is_dir():
                raise InputError("real", str(self.real), "a folder of photographs")
            find_photos(self.real)
        if self.masks is not None and self.real is None:
            raise InputError("masks", str(self.masks), "only together with --real")
        if self.masks is not None and not self.masks.is_dir():
            raise InputError("masks", str(self.masks), "a folder of masks")
        with sole_folder("out", self.out):
            return self._steps()

    def _steps(self) -> dict[str, Any]:
        console = Console(stderr=True)
        seconds: dict[str, float] = {}
        results: dict[str, Any] = {}
        steps = {
            "author": self._author,
            "generate": self._generate,
            "train": self._train,
            "export": self._export,
            "synth": self._evaluate_synth,
            **({"real": self._evaluate_real} if self.real else {}),
        }
        for name, step in steps.items():
            console.rule(name, align="left")
            started = time.perf_counter()
            results[name] = step()
            seconds[name] = round(time.perf_counter() - started, 1)
        report = self.out / "report.html"
        write_run_report(report, self.out, results, seconds)
        return {"report": str(report), "seconds": seconds, **results}

    def summary(self, result: dict[str, Any]) -> str:
        """One line on where the report is and what it says."""
        return f"{result['report']}: rock-IoU {number(result['synth']['rock']['iou'])} on test_photoreal"

    def _author(self) -> dict[str, Any]:
        verb = Author(out=self.out / "stage.usda", seed=self.seed, size=PictureSize(1024, 640)).with_params(self.params)
        return verb.run()

    def _generate(self) -> dict[str, Any]:
        counts = {"train_dr": self.frames, "val": self.held_out, "test_photoreal": self.held_out}
        workers = self.workers or min(8, cores())
        done = {}
        for split, frames in counts.items():
            with show(False, f"generate {split}", "frames") as emit:
                done[split] = generate(
                    self.params, self.out / "data", split=split, frames=frames, width=self.size.width,
                    height=self.size.height, seed=self.seed, workers=workers, emit=emit,
                )  # fmt: skip
        return done

    def _train(self) -> dict[str, Any]:
        data = self.out / "data"
        params = TrainParams(
            train_split=data / "train_dr", val_split=data / "val", out=self.out / "run",
            arch=self.arch, init=self.init, epochs=self.epochs, patience=self.epochs, seed=self.seed,
            class_weight_power=0.5,  # full inverse counts flood a model this short of training with rock
        )  # fmt: skip
        with show(False, "train", "steps") as emit:
            return train(params, emit)

    def _export(self) -> dict[str, Any]:
        from training.export import export_model

        checkpoint, model = self.out / "run" / "best.pt", self.out / "model.onnx"
        with contextlib.suppress(InputError, OSError):  # none yet, or a damaged one
            card = read_card(model)
            if card.get("checkpoint_sha256") == file_digest(checkpoint):
                return card
        return export_model(checkpoint, model)

    def _evaluate_synth(self) -> dict[str, Any]:
        split = self.out / "data" / "test_photoreal"
        return EvaluateSynth(model=str(self.out / "model.onnx"), split=split, out=self.out / "synth", worst=4).run()

    def _evaluate_real(self) -> dict[str, Any]:
        assert self.real is not None
        verb = EvaluateReal(
            model=str(self.out / "model.onnx"), images=self.real, masks=self.masks, out=self.out / "real"
        )
        try:
            return verb.run()
        except CheckError as error:  # a file that cannot be read is listed in the report, not the end of the demo
            if error.result is None:
                raise
            Console(stderr=True).print(str(error), highlight=False)
            return error.result
