"""Training, and the verbs of the command line that the panel runs as companions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from regolith.lunar.dataset.contract import CONTRACT
from regolith.lunar.files import write_json
from regolith.lunar.jobs.runs import Run
from regolith.lunar.panel.context import PanelContext
from regolith.lunar.panel.host import Question
from regolith.lunar.panel.run_work import RESULT, RunWork
from regolith.lunar.panel.work import WorkState
from regolith.lunar.params import InputError
from regolith.lunar.params.curriculum import CurriculumParams
from regolith.lunar.params.training import split_folders
from regolith.lunar.reading import read_json_lines

USE, LATER = "Use this model", "Not now"
SPLITS = ("train_split", "val_split", "test_split")
"""Fields of a training that name splits, of each one or several."""


def split_problem(name: str, folder: Path) -> str:
    """Why a folder is no split to work on; empty where it is one.

    Args:
        name: Field, as the command line names it.
        folder: The folder.
    """
    if (folder / CONTRACT).is_file():
        return ""
    return str(InputError(name, str(folder), f"a folder with a {CONTRACT}, as `regolith generate` writes"))


class TrainWork(RunWork):
    """Training, by the interpreter the user picked."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__(context, "training", "Training", unit="steps", describe=_describe_training)
        self.ended = self._training_ended
        self.use: Callable[[], None] = lambda: None
        """Called when the user wants the trained model for the preview."""

    def problem(self) -> str:
        """Why no training can be started now; empty where it can."""
        if self.work.active:
            return "a training is under way"
        values = self._context.values
        problem = values.problem("training", "companion")
        if problem:
            return problem
        params = values.models["training"]
        assert isinstance(params, CurriculumParams)
        for name in SPLITS:
            entered: Path | None = getattr(params, name)
            for folder in [] if entered is None else split_folders(entered) or [entered]:
                problem = split_problem(name, self._context.absolute(folder))
                if problem:
                    return problem
        return "" if self._context.training_python is not None else self._context.no_python()

    def begin(self) -> None:
        """Train what is entered; a run of the same recipe in the same folder goes on."""
        params, python = self._context.values.models["training"], self._context.training_python
        assert isinstance(params, CurriculumParams) and python is not None
        entered = {name: getattr(params, name) for name in SPLITS}
        absolute = {name: self._folders(place) for name, place in entered.items() if place is not None}
        absolute["out"] = self._context.absolute(params.out)
        config = params.model_copy(update=absolute).model_dump(mode="json")
        try:
            self._context.check_inside("out", absolute["out"])
            folder = self.folder()
            write_json(folder / "config.json", config)
            command = [python, "-m", "training.train", "--config", folder / "config.json"]
            self.start(folder, command, {"out": str(absolute["out"])})
        except (InputError, OSError) as error:
            self.fail(error)
            return
        self._read_history(absolute["out"])
        self.work.folder = absolute["out"]

    def _folders(self, entered: Path) -> Path:
        """A folder, or several with commas between them, wherever the companion is started."""
        return Path(",".join(str(self._context.absolute(folder)) for folder in split_folders(entered)))

    def adopt(self, run: Run) -> None:
        """Follow a training that was started before the host was, its earlier epochs with it."""
        super().adopt(run)
        out = self.out
        if out is not None:
            self._read_history(out)
            self.work.folder = out

    @property
    def out(self) -> Path | None:
        """Folder of the last training."""
        place = self.run.details.get("out") if self.run is not None else None
        if not isinstance(place, str):
            return None
        try:
            self._context.check_inside("out", Path(place))
        except InputError:  # a record that came with the folder
            return None
        return Path(place)

    @property
    def checkpoint(self) -> Path | None:
        """The best checkpoint of the last training, where there is one."""
        best = self.out / "best.pt" if self.out is not None else None
        return best if best is not None and best.is_file() else None

    def _read_history(self, out: Path) -> None:
        """Take the epochs of a run that goes on into the plots."""
        try:
            for row in read_json_lines(out / "metrics.jsonl"):
                figures = {name: row[name] for name in ("train_loss", "val_loss", "miou", "lr")}
                for name, value in (figures | {"rock_iou": row["iou"]["rock"]}).items():
                    if value is not None:
                        points = self.work.metrics.setdefault(name, [])
                        points.append((float(row["epoch"]), float(value)))
        except (OSError, ValueError, KeyError, TypeError):
            self.work.metrics.clear()  # none yet, or not ours: the run's own events tell the rest

    def _training_ended(self, state: WorkState) -> None:
        if state == "failed":
            self._context.host.notify(self.work.text, "error")
        elif state == "finished" and self.checkpoint is not None:
            question = Question("Training finished", f"{self.work.text}. Use it for the live preview?", (USE, LATER))
            self._context.after(self._context.host.ask(question), self._answered)

    def _answered(self, answer: str) -> None:
        if answer == USE:
            self.use()


class VerbWork(RunWork):
    """A verb of the command line that ends with a result."""

    def begin(
        self,
        verb: str,
        arguments: list[str],
        details: dict[str, Any],
        *,
        writes: Path | None = None,
        python: Path | None = None,
        given: Mapping[str, Callable[[Path], object]] = MappingProxyType({}),
    ) -> None:
        """Run it.

        Args:
            verb: Its name, of one word or two.
            arguments: Its flags.
            details: What to note.
            writes: File or folder it writes; left out, none.
            python: Interpreter; left out, the one of all verbs.
            given: Flag to what writes the file it names, a YAML file in the run's folder.
        """
        python = python or self._context.python
        if python is None:
            self._context.host.notify(self._context.no_python("regolith-lunar"), "error")
            return
        try:
            if writes is not None:
                self._context.check_inside("out", writes)
            folder = self.folder()
            for flag, write in given.items():
                write(folder / f"{flag}.yaml")
            arguments = [*(f"--{flag}={folder / flag}.yaml" for flag in given), *arguments]
            command = [str(python), "-m", "regolith.lunar.cli", *verb.split(), *arguments, f"--json={folder / RESULT}"]
            self.start(folder, command, details)
        except (InputError, OSError) as error:
            self.fail(error)


def _describe_training(result: Any) -> str:
    if not isinstance(result, dict) or result.get("best_epoch") is None:
        return "finished"
    return f"rock-IoU {result['best_rock_iou']:.3f} on {result['selected_on']} at epoch {result['best_epoch']}"
