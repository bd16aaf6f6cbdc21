"""What each of the panel's buttons is called, does, and needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

from regolith.lunar.panel.actions import Action
from regolith.lunar.panel.artifact_work import ArtifactWork
from regolith.lunar.panel.camera_path import CameraPath
from regolith.lunar.panel.context import PanelContext
from regolith.lunar.panel.editor import ParameterEditor
from regolith.lunar.panel.generate_work import GenerateWork
from regolith.lunar.panel.host import Pick
from regolith.lunar.panel.live_work import LiveWork
from regolith.lunar.panel.pages import PageKind
from regolith.lunar.panel.row_work import RowWork
from regolith.lunar.panel.run_work import RunWork
from regolith.lunar.panel.stage_work import NO_STAGE, StageWork
from regolith.lunar.panel.train_work import TrainWork
from regolith.lunar.params import InputError

PARAMETERS = (".yaml", ".yml", ".json")
"""Endings of parameter files."""


@dataclasses.dataclass(frozen=True)
class Buttons:
    """Makes the actions of a panel."""

    context: PanelContext
    editor: ParameterEditor
    stage: StageWork
    live: LiveWork
    generate: GenerateWork
    training: TrainWork
    artifacts: ArtifactWork
    path: CameraPath
    rows: tuple[RowWork, ...]
    done: Callable[[], None]
    """Called after an action has run."""

    def make(self) -> dict[str, Action]:
        """Every action by its key."""
        actions = (*self._stage_actions(), *self._generate_actions(), *self._model_actions(), *self._report_actions(),
                   *self._path_actions(), *self._row_actions(), *self._entry_actions())  # fmt: skip
        return {action.key: action for action in actions}

    def _action(
        self, key: str, label: str | Callable[[], str], tooltip: str, run: Callable[[], Any],
        reason: Callable[[], str] = lambda: "", *, needs: tuple[str, ...] = (),
    ) -> Action:  # fmt: skip
        """Make a button.

        Args:
            key: Of the action.
            label: Text, or what says it for the present state.
            tooltip: What it does.
            run: Does it.
            reason: Says why it cannot be done now; empty where it can.
            needs: Prefixes of the sources whose empty fields it cannot do without: a refusal marks them.
        """

        def act() -> None:
            run()
            self.done()

        def refuse(text: str) -> None:
            self.editor.ask_for(*needs)
            self.context.host.notify(text, "warning")

        return Action(key, label, tooltip, act, reason=reason, refuse=refuse)

    def _stoppable(
        self, key: str, label: str, stop: str, tooltip: str, run: RunWork, begin: Callable[[], Any],
        problem: Callable[[], str], *, ours: Callable[[], bool] | None = None, needs: tuple[str, ...] = (),
    ) -> Action:  # fmt: skip
        """Make the button of a companion, which ends it while it is under way.

        Args:
            key: Of the action.
            label: Text while nothing is under way.
            stop: Text while it is.
            tooltip: What it does.
            run: The companion's line of work.
            begin: Starts it.
            problem: Says why it cannot be started.
            ours: Whether what is under way was started by this button; left out, whatever is.
            needs: Prefixes of the sources whose empty fields it cannot do without.
        """

        def going() -> bool:
            return run.work.active if ours is None else ours()

        def reason() -> str:
            if not going():
                return problem()
            return "it is stopping" if run.work.state == "stopping" else ""

        def act() -> None:
            if going():
                run.stop()
            else:
                begin()

        return self._action(key, lambda: stop if going() else label, tooltip, act, reason, needs=needs)

    def _stage_actions(self) -> list[Action]:
        action, stage, live = self._action, self.stage, self.live
        return [
            action("author", "Author stage", "Build the scene of the frame on show as a new stage and open it.",
                   stage.author, stage.problem, needs=("", "shot")),
            action("randomize", "Randomize once", "Show the next frame of the split, exactly as it is exported.",
                   self._randomize, lambda: stage.problem() or ("" if stage.ours else NO_STAGE), needs=("", "shot")),
            action("exact", "Exact frame", "Let go of what was aimed by hand: the frame just as it is exported.",
                   lambda: stage.release_aim(tuple(stage.aimed)),
                   lambda: "" if stage.aimed else "it is the exact frame" if stage.spec else NO_STAGE),
            action("preview", lambda: "Stop live preview" if live.on else "Start live preview",
                   "Segment the viewport's picture as it is drawn.", lambda: live.stop() if live.on else live.start()),
            action("choose_model", "Choose model…", "Choose the model of the preview and the evaluation.",
                   lambda: self._pick("model.path", Pick("Model", "file", endings=(".onnx",)))),
        ]  # fmt: skip

    def _generate_actions(self) -> list[Action]:
        action, generate, stage, artifacts = self._action, self.generate, self.stage, self.artifacts
        return [
            action("generate", "Export dataset", "Draw the split into its folder; again to go on or to grow it.",
                   generate.start, lambda: generate.problem() or ("a stage is being opened" if stage.opening else ""),
                   needs=("", "generate", "drawing")),
            action("pause", lambda: "Resume" if generate.can_resume() else "Pause",
                   "Hold the export after the frame being drawn; go on with it later, even after a restart.",
                   lambda: generate.resume() if generate.can_resume() else generate.pause(),
                   lambda: "" if generate.can_pause() or generate.can_resume() else "no export is under way"),
            action("cancel", "Cancel", "End the export; what is drawn stays and counts.", generate.cancel,
                   lambda: "" if generate.work.state in ("running", "pausing", "paused") else "no export is under way"),
            self._stoppable("verify", "Verify", "Stop verification",
                            "Check every frame of the exported split: whole, as drawn, apart from the other splits.",
                            artifacts.verify_run, artifacts.verify, artifacts.verify_problem),
            action("open_folder", "Open folder", "Open the folder of the dataset.",
                   lambda: self.context.host.open_path(artifacts.dataset_folder()),
                   lambda: "" if artifacts.dataset_folder().is_dir() else "nothing is exported yet"),
        ]  # fmt: skip

    def _model_actions(self) -> list[Action]:
        training, artifacts = self.training, self.artifacts
        python = self._action("choose_python", "Choose Python…", "Choose the interpreter that training runs in.",
                              lambda: self._pick("companion.python", Pick("Python with torch", "file")))  # fmt: skip
        evaluations = (
            ("evaluate", "Evaluate", "Score the model on a split.", False),
            ("evaluate_photos", "Evaluate on photographs", "Score the model on real photographs.", True),
        )
        return [
            self._stoppable("train", "Start training", "Stop training",
                            "Train in a process of its own; stopped, the same training goes on later.",
                            training, training.begin, training.problem, needs=("training", "companion")),
            self._stoppable("use_model", "Use this model", "Stop writing the model",
                            "Take the last training's best model for preview and evaluation.",
                            artifacts.convert_run, artifacts.use_model, artifacts.use_problem),
            *(self._stoppable(key, label, "Stop evaluation", tooltip, artifacts.evaluate_run,
                              partial(artifacts.evaluate, photos=photos),
                              partial(artifacts.evaluate_problem, photos=photos),
                              ours=partial(artifacts.evaluating, photos=photos), needs=("photos" if photos else key,))
              for key, label, tooltip, photos in evaluations),
            *([] if "companion.python" in self.context.host.withheld else [python]),
            self._stoppable("doctor", "See what works here", "Stop looking",
                            "Say what works on this machine, and what to install for the rest.",
                            artifacts.doctor_run, artifacts.check_machine, artifacts.doctor_problem),
        ]  # fmt: skip

    def _report_actions(self) -> list[Action]:
        pages, training = self.artifacts.pages, self.training
        reports: tuple[tuple[PageKind, str, str], ...] = (
            ("report", "Open report", "Open the card of the exported split: what it holds, in pictures."),
            ("evaluation_report", "Open evaluation", "Open the report of the last evaluation: scores and pictures."),
            ("training_report", "Open training", "Open the report of the training: its course so far and its recipe."),
        )
        return [
            *(self._stoppable(key, label, "Stop writing", tooltip, pages.run, partial(pages.open, key),
                              partial(pages.problem, key), ours=partial(pages.writing, key))
              for key, label, tooltip in reports),
            self._action("open_run", "Open run", "Open the folder of the training.",
                         lambda: training.out is not None and self.context.host.open_path(training.out),
                         lambda: "" if training.out is not None and training.out.is_dir()
                         else "nothing is trained yet"),
        ]  # fmt: skip

    def _path_actions(self) -> list[Action]:
        action, path, pick = self._action, self.path, self.context.choose
        return [
            action("add_key", "Add key at this view", "Add a key where the camera is now, 2 s after the last one.",
                   path.add, path.view_problem, needs=("", "shot")),
            action("play", lambda: "Stop" if path.playing else "Play path",
                   "Move the camera along its path, in the film's own time; nothing is written.",
                   lambda: path.stop() if path.playing else path.play(),
                   lambda: "" if path.playing else path.scrub_problem()),
            action("load_path", "Load path…", "Load keys from a file, as `regolith flythrough --path` takes it.",
                   lambda: pick(Pick("Load camera path", "file", path.file, PARAMETERS), path.read)),
            action("save_path", "Save path…", "Save the keys to a file, for `regolith flythrough --path` too.",
                   lambda: pick(Pick("Save camera path", "save", path.file, PARAMETERS), path.write),
                   lambda: "" if path.keyframes is not None else path.problem()),
        ]  # fmt: skip

    def _row_actions(self) -> list[Action]:
        host = self.context.host
        verbs = [
            self._stoppable(run.row.key, run.row.label, f"Stop {run.row.verb}", run.row.tooltip, run,
                            run.begin_entered, run.problem, needs=(run.row.key,))
            for run in self.rows
        ]  # fmt: skip
        pages = [
            self._action(run.row.report, f"Open {run.row.title.lower()}", f"Open {run.row.page}, what it made last.",
                         lambda run=run: host.open_path(run.page), run.page_problem)
            for run in self.rows if run.row.page
        ]  # fmt: skip
        ranges = [
            self._action(run.row.take, "Take the ranges", "Enter the ranges that were found among the parameters.",
                         partial(self._take_ranges, run), run.ranges_problem)
            for run in self.rows if run.row.ranges is not None
        ]  # fmt: skip
        return verbs + pages + ranges

    def _take_ranges(self, run: RowWork) -> None:
        """Enter what was found, as one undo step; all other parameters stay."""
        try:
            found = run.read_ranges()
        except InputError as error:
            self.context.host.notify(str(error), "error")
            return
        self.editor.take(found)
        names = ", ".join(self.editor.field(path).label for path in found) or "nothing is narrower than in the preset"
        self.context.host.notify(f"Taken from {run.ranges.name}: {names}")

    def _entry_actions(self) -> list[Action]:
        action, editor = self._action, self.editor
        return [
            action("undo", "Undo", "Take back the last edit.", editor.undo,
                   lambda: "" if editor.can_undo else "nothing to undo"),
            action("redo", "Redo", "Take the edit again.", editor.redo,
                   lambda: "" if editor.can_redo else "nothing to redo"),
            action("load", "Load…", "Load parameters, or a request of gate or tail, from a file.", self._load),
            action("save", "Save…", "Save the parameters to a file, for the command line too.", self._save),
        ]  # fmt: skip

    def _randomize(self) -> None:
        frame = self.context.values.good["shot.frame"]
        limit = self.editor.field("shot.frame").le or 0
        self.editor.commit("shot.frame", frame + 1 if frame < limit else 0)

    def _pick(self, path: str, pick: Pick) -> None:
        self.context.choose(pick, lambda place: self.editor.commit(path, str(place)))

    def _load(self) -> None:
        pick = Pick("Load parameters", "file", self.editor.file, PARAMETERS)
        self.context.choose(pick, self.editor.load)

    def _save(self) -> None:
        pick = Pick("Save parameters", "save", self.editor.file, PARAMETERS)
        self.context.choose(pick, self.editor.save)
