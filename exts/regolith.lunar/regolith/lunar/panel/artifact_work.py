"""What is done with datasets and models: verification, evaluation, the trained model's way into the preview."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from regolith.lunar.dataset.layout import JOURNAL
from regolith.lunar.dataset.splits import counted
from regolith.lunar.panel.context import PanelContext
from regolith.lunar.panel.generate_work import GenerateWork
from regolith.lunar.panel.pages import RESULTS, Pages, modified
from regolith.lunar.panel.train_work import TrainWork, VerbWork, split_problem
from regolith.lunar.panel.work import WorkState
from regolith.lunar.params import InputError, Verb
from regolith.lunar.perception.evaluate import EvaluateReal, EvaluateSynth

NAMED = 3
"""Problems of a verification that its line names; its log has more."""


class ArtifactWork:
    """Verbs that work on what export and training made."""

    def __init__(
        self, context: PanelContext, training: TrainWork, generate: GenerateWork, choose: Callable[[str], None]
    ) -> None:
        """Make them.

        Args:
            context: Of the panel.
            training: Makes the models.
            generate: Makes the splits.
            choose: Makes a model file the one of preview and evaluation.
        """
        self._context, self._training, self._generate, self._choose = context, training, generate, choose
        self.evaluate_run = VerbWork(context, "evaluate", "Evaluation", unit="pictures", describe=_describe_evaluation)
        self.convert_run = VerbWork(context, "model", "Model", describe=lambda result: "model written")
        self.verify_run = VerbWork(context, "verify", "Verification", unit="frames", describe=_describe_verification)
        self.doctor_run = VerbWork(context, "doctor", "Machine", describe=describe_machine)
        self.pages = Pages(context, training, generate, self.evaluation)
        self.evaluate_run.ended = self._evaluated
        self.convert_run.ended = self._converted
        self.verify_run.ended = self._verified
        self.doctor_run.ended = self._examined
        training.use = self.use_model
        self.runs = (self.evaluate_run, self.convert_run, self.verify_run, self.doctor_run, self.pages.run)

    # -- model --------------------------------------------------------------------------------------------------------

    def use_problem(self) -> str:
        """Why the trained model cannot be used; empty where it can."""
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
            python = self._context.training_python  # the one that has torch
            self.convert_run.begin(
                "export-model", [str(checkpoint), f"--out={model}"], {"model": str(model)}, writes=model, python=python
            )

    def _converted(self, state: WorkState) -> None:
        run = self.convert_run.run
        if state == "finished" and run is not None and isinstance(run.details.get("model"), str):
            self._choose(run.details["model"])
        elif state == "failed":
            self._context.host.notify(self.convert_run.work.text, "error")

    # -- evaluation ---------------------------------------------------------------------------------------------------

    def evaluate_problem(self, *, photos: bool) -> str:
        """Why nothing can be evaluated; empty where it can."""
        if self.evaluate_run.work.active:
            return "an evaluation is under way"
        if self._context.python is None:
            return self._context.no_python("regolith-lunar")
        values, prefix = self._context.values, "photos" if photos else "evaluate"
        problem = values.problem(prefix)
        verb = values.models[prefix]
        if problem or verb is None:
            return problem
        if isinstance(verb, EvaluateSynth):
            return split_problem("split", self._context.absolute(verb.split))
        assert isinstance(verb, EvaluateReal)
        images = self._context.absolute(verb.images)
        allowed = "a folder of photographs, or one photograph"
        return "" if images.exists() else str(InputError("images", str(images), allowed))

    def evaluating(self, *, photos: bool) -> bool:
        """Whether photographs, or a split, are being scored."""
        run = self.evaluate_run
        return run.work.active and run.run is not None and run.run.details.get("photos", False) == photos

    def evaluate(self, *, photos: bool) -> None:
        """Score the model on the entered split or photographs."""
        values, prefix = self._context.values, "photos" if photos else "evaluate"
        verb = values.models[prefix]
        assert isinstance(verb, Verb)
        out = self._context.absolute(values.good[f"{prefix}.out"])
        name = "evaluate real" if photos else "evaluate synth"
        details = {"out": str(out), "photos": photos}
        arguments = self._context.arguments(verb, model=self._context.model)
        self.evaluate_run.begin(name, [*arguments, "--events"], details, writes=out)
        self.evaluate_run.work.folder = out

    def _evaluated(self, state: WorkState) -> None:
        level = "error" if state == "failed" else "info"
        self._context.host.notify(f"Evaluation {state}: {self.evaluate_run.work.text}", level)

    def evaluation(self) -> Path | None:
        """Folder of the last evaluation: the run's, or of the entered ones that with the newest results."""
        place = self.evaluate_run.run.details.get("out") if self.evaluate_run.run is not None else None
        if isinstance(place, str) and (Path(place) / RESULTS).is_file():
            return Path(place)
        entered = (self._context.values.good[path] for path in ("evaluate.out", "photos.out"))
        folders = [self._context.absolute(out) for out in entered if out is not None]
        dated = [(modified(folder / RESULTS) or 0.0, folder) for folder in folders if (folder / RESULTS).is_file()]
        return max(dated)[1] if dated else None

    # -- datasets -----------------------------------------------------------------------------------------------------

    def dataset_folder(self) -> Path:
        """Folder of the exported split, or where datasets go."""
        split = self._generate.split
        return split if split is not None and split.is_dir() else self._context.host.data_folder

    def verify_problem(self) -> str:
        """Why nothing can be verified; empty where something can."""
        if self._generate.work.active:
            return "an export is under way"
        split = self._generate.split
        if split is None or not (split / JOURNAL).is_file():
            return "nothing is exported yet"
        return "" if self._context.python is not None else self._context.no_python("regolith-lunar")

    def verify(self) -> None:
        """Check every frame of the exported split."""
        split = self._generate.split
        assert split is not None
        self.verify_run.begin("verify", [str(split), "--events"], {"split": str(split)})
        self.verify_run.work.folder = split

    def _verified(self, state: WorkState) -> None:
        result, work = self.verify_run.result, self.verify_run.work
        if isinstance(result, dict) and result.get("problems"):
            work.log.clear()
            work.log.extend(_say_problem(problem) for problem in result["problems"])
            self._context.changed("work", work.key)
        level = "error" if state == "failed" else "info"
        self._context.host.notify(f"Verification {state}: {work.text}", level)

    # -- this machine -------------------------------------------------------------------------------------------------

    def doctor_problem(self) -> str:
        """Why this machine cannot be checked; empty where it can."""
        return "" if self._context.python is not None else self._context.no_python("regolith-lunar")

    def check_machine(self) -> None:
        """Say what works here, and what to install for the rest."""
        self.doctor_run.begin("doctor", [f"--folder={self._context.host.data_folder}"], {})

    def _examined(self, state: WorkState) -> None:
        result, work = self.doctor_run.result, self.doctor_run.work
        if isinstance(result, dict):
            states = ("ok", "absent", "failed")  # what there is to do comes last, where it is seen
            work.log.clear()
            work.log.extend(
                _say_check(check) for check in sorted(result["checks"], key=lambda c: states.index(c["state"]))
            )
            self._context.changed("work", work.key)
        self._context.host.notify(f"Machine {state}: {work.text}", "error" if state == "failed" else "info")


def _say_check(check: dict[str, Any]) -> str:
    advice = f"; to do: {check['advice']}" if check["advice"] else ""
    return f"{check['name']}: {check['found']}{advice}"


def describe_machine(result: Any) -> str:
    """What the main job lacks here, or that it lacks nothing."""
    if not isinstance(result, dict):
        return "finished"
    checks = result["checks"]
    stopping = [_say_check(check) for check in checks if check["needed"] and check["state"] != "ok"]
    absent = [check["name"] for check in checks if check["state"] == "absent"]
    without = f"; without {', '.join(absent)}" if absent else ""
    return "; ".join(stopping) or f"all that is needed works{without}"


def _say_problem(problem: dict[str, Any]) -> str:
    where = " ".join(filter(None, (problem["split"], str(problem["where"] or ""))))
    return f"{where}: {problem['problem']}"


def _describe_verification(result: Any) -> str:
    """How many frames were looked at, and the first problems."""
    if not isinstance(result, dict):
        return "finished"
    frames, problems = result["frames"], result["problems"]
    if not problems:
        return f"{counted(frames, 'frame')}, no problem"
    named = "; ".join(_say_problem(problem) for problem in problems[:NAMED])
    more = f"; and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
    return f"{counted(len(problems), 'problem')} in {counted(frames, 'frame')}: {named}{more}"


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
    problems = result.get("problems") or []
    text = ", ".join([*words, f"{count} pictures"])
    return f"{text}; {counted(len(problems), 'problem')}: {problems[0]}" if problems else text
