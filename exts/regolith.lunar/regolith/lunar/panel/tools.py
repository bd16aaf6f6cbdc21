"""What is done with datasets and models: evaluation, the trained model's way into the preview, the card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from regolith.lunar.dataset.layout import JOURNAL
from regolith.lunar.panel.desk import Desk
from regolith.lunar.panel.export_work import ExportWork
from regolith.lunar.panel.train_work import TrainWork, VerbWork, split_problem
from regolith.lunar.panel.work import WorkState
from regolith.lunar.params import InputError, Verb
from regolith.lunar.perception.evaluate import EvaluateReal, EvaluateSynth


class Tools:
    """Verbs that work on what export and training made."""

    def __init__(self, desk: Desk, training: TrainWork, export: ExportWork, choose: Callable[[str], None]) -> None:
        """Make them.

        Args:
            desk: Of the panel.
            training: Makes the models.
            export: Makes the splits.
            choose: Makes a model file the one of preview and evaluation.
        """
        self._desk, self._training, self._export, self._choose = desk, training, export, choose
        self._evaluate = VerbWork(desk, "evaluate", "Evaluation", describe=_describe_evaluation)
        self._convert = VerbWork(desk, "model", "Model", describe=lambda result: "model written")
        self._report = VerbWork(desk, "report", "Report", describe=lambda result: "card written")
        self._evaluate.ended = self._evaluated
        self._convert.ended = self._converted
        self._report.ended = self._reported
        training.use = self.use_model
        self.runs = (self._evaluate, self._convert, self._report)

    # -- model --------------------------------------------------------------------------------------------------------

    def use_problem(self) -> str:
        """Why the trained model cannot be used; empty where it can."""
        if self._convert.work.active:
            return "the model is being written"
        return "" if self._training.checkpoint is not None else "no training has made a model yet"

    def use_model(self) -> None:
        """Take the last training's best checkpoint, written as ONNX first where it is not yet."""
        checkpoint = self._training.checkpoint
        if checkpoint is None:
            return
        model = checkpoint.with_name("model.onnx")
        if model.is_file() and model.stat().st_mtime >= checkpoint.stat().st_mtime:
            self._choose(str(model))
        else:
            python = self._desk.training_python  # the one that has torch
            self._convert.begin(
                "export-model", [str(checkpoint), f"--out={model}"], {"model": str(model)}, writes=model, python=python
            )

    def _converted(self, state: WorkState) -> None:
        run = self._convert.run
        if state == "finished" and run is not None:
            self._choose(run.details["model"])
        elif state == "failed":
            self._desk.host.notify(self._convert.work.text, "error")

    # -- evaluation ---------------------------------------------------------------------------------------------------

    def evaluate_problem(self, *, photos: bool) -> str:
        """Why nothing can be evaluated; empty where it can."""
        if self._evaluate.work.active:
            return "an evaluation is under way"
        if self._desk.python is None:
            return self._desk.no_python("regolith-lunar")
        values, prefix = self._desk.values, "photos" if photos else "evaluate"
        problem = values.problem(prefix)
        verb = values.models[prefix]
        if problem or verb is None:
            return problem
        if isinstance(verb, EvaluateSynth):
            return split_problem("split", self._desk.absolute(verb.split))
        assert isinstance(verb, EvaluateReal)
        images = self._desk.absolute(verb.images)
        allowed = "a folder of photographs, or one photograph"
        return "" if images.exists() else str(InputError("images", str(images), allowed))

    def evaluate(self, *, photos: bool) -> None:
        """Score the model on the entered split or photographs."""
        values, prefix = self._desk.values, "photos" if photos else "evaluate"
        verb, path = values.models[prefix], values.good["model.path"]
        assert isinstance(verb, Verb)
        model = path if path == "default" else str(self._desk.absolute(Path(path)))
        out = self._desk.absolute(values.good[f"{prefix}.out"])
        name = "evaluate real" if photos else "evaluate synth"
        self._evaluate.begin(name, self._desk.arguments(verb, model=model), {"out": str(out)}, writes=out)
        self._evaluate.work.folder = out

    def _evaluated(self, state: WorkState) -> None:
        level = "error" if state == "failed" else "info"
        self._desk.host.notify(f"Evaluation {state}: {self._evaluate.work.text}", level)

    # -- card ---------------------------------------------------------------------------------------------------------

    def dataset_folder(self) -> Path:
        """Folder of the exported split, or where datasets go."""
        split = self._export.split
        return split if split is not None and split.is_dir() else self._desk.host.data_folder

    def report_problem(self) -> str:
        """Why there is no report to open; empty where there is one, or one can be written."""
        if self._report.work.active:
            return "it is being written"
        split = self._export.split
        return "" if split is not None and (split / JOURNAL).is_file() else "nothing is exported yet"

    def open_report(self) -> None:
        """Open the card of the exported split, written first where it is older than the frames."""
        split = self._export.split
        assert split is not None
        if _card_is_new(split):
            self._desk.host.open_path(split / "card.html")
        else:
            page = split / "card.html"
            self._report.begin("card", [str(split)], {"card": str(page)}, writes=page)

    def _reported(self, state: WorkState) -> None:
        run = self._report.run
        if state == "finished" and run is not None:
            self._desk.host.open_path(Path(run.details["card"]))
        elif state == "failed":
            self._desk.host.notify(self._report.work.text, "error")


def _card_is_new(split: Path) -> bool:
    """Whether a split's card is at least as new as its frames."""
    try:
        return (split / "card.html").stat().st_mtime >= (split / JOURNAL).stat().st_mtime
    except OSError:
        return False


def _describe_evaluation(result: Any) -> str:
    """Figures of an evaluation in a line."""
    if not isinstance(result, dict):
        return "finished"
    words = []
    iou = result.get("rock", {}).get("iou")
    if iou is not None:
        words.append(f"rock-IoU {iou:.3f}")
    flood = result.get("flood", {}).get("mean")
    if flood is not None:
        words.append(f"flood {flood:.1%}")
    count = result.get("frames", result.get("photographs"))
    return ", ".join([*words, f"{count} pictures"])
