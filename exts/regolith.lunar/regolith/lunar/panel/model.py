"""The panel's model: fields, undo, files, actions and what is under way, for any view."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from regolith.lunar.jobs.runs import Run
from regolith.lunar.panel.actions import Action
from regolith.lunar.panel.desk import Desk
from regolith.lunar.panel.entry import Entry, find_fields
from regolith.lunar.panel.export_work import ExportWork
from regolith.lunar.panel.forms import OUTPUTS, Field, build_sections, offered
from regolith.lunar.panel.host import Host, LiveState, Pick
from regolith.lunar.panel.live_work import LiveWork
from regolith.lunar.panel.observe import Callback, Subscription
from regolith.lunar.panel.pages import PageKind
from regolith.lunar.panel.run_work import RunWork, latest_runs
from regolith.lunar.panel.stage_work import StageWork
from regolith.lunar.panel.tools import Tools
from regolith.lunar.panel.train_work import TrainWork
from regolith.lunar.panel.values import enter, start_values
from regolith.lunar.params import Params, load_preset, preset_names
from regolith.lunar.stage.spec import FrameSpec

PYTHON_KEY = "python"
"""Key under which a host remembers the interpreter of training."""
LOOK_S = 0.5
"""Time between two looks at what actions depend on outside the panel: files, folders [s]."""
SHOWN = frozenset({"shot.split", "shot.frame", "export.seed", "export.size"})
"""Fields beside the parameters that decide what the stage shows."""


class PanelModel:
    """State of the panel. It outlives any window; all calls on the host's main thread."""

    def __init__(
        self,
        host: Host,
        *,
        preset: str = "v3",
        defaults: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make it, and find runs again that an earlier panel started.

        Args:
            host: The program it is in.
            preset: Preset to start from.
            defaults: By their paths, what takes the place of the panel's own defaults of fields beside the parameters.
            clock: Monotonic time [s].

        Raises:
            InputError: There is no such preset.
        """
        everything = build_sections()
        self.sections = offered(everything, host.withheld)
        """Their `Field` objects stay the same; `value`, `default` and `message` follow the state."""
        self.presets: tuple[str, ...] = preset_names()
        values = start_values(everything, load_preset(preset), _defaults(host) | dict(defaults or {}))
        self._desk = Desk(host, clock, values)
        self._desk.values = enter(values, {path: values.good[path] for path in OUTPUTS}, refuse=self._desk.refuse)
        self._entry = Entry(self._desk, self.sections)
        self._host, self._clock = host, clock
        self._looked = clock()
        self._states: tuple[Any, ...] = ()
        self._asked: tuple[Any, bool] = (self._shown_values, True)
        self._stage = StageWork(self._desk, self._entry.fields.values())
        self._live = LiveWork(self._desk)
        self._export = ExportWork(self._desk)
        self._stage.held = lambda: self._export.in_place
        self._training = TrainWork(self._desk)
        self._tools = Tools(self._desk, self._training, self._export, lambda path: self.commit("model.path", path))
        self._runs: tuple[RunWork, ...] = (self._training, *self._tools.runs)
        self.works = {work.key: work for work in (self._stage.work, self._export.work, *(r.work for r in self._runs))}
        """Keys: stage, export, training, evaluate, model, verify, report."""
        self._adopt()
        self.actions: dict[str, Action] = {action.key: action for action in self._make_actions()}
        """Keys: author, randomize, exact, preview, choose_model, export, pause, cancel, verify, train, use_model,
        evaluate, evaluate_photos, report, evaluation_report, training_report, open_folder, open_run, choose_python,
        undo, redo, load, save; none that edits a withheld field."""

    # -- fields -------------------------------------------------------------------------------------------------------

    def field(self, path: str) -> Field:
        """Field by its path.

        Raises:
            KeyError: There is none.
        """
        return self._entry.fields[path]

    def set(self, path: str, value: Any) -> None:
        """Enter a value while a slider moves: no undo step, only cheap reactions (sun and material, not terrain).

        A value that is not allowed stays entered with a message, and the last allowed one counts; so it is with
        `commit`.

        Args:
            path: Of the field.
            value: As typed, or text, `Path`, a pair for an interval; None or blank for a field that may be left out.

        Raises:
            KeyError: No field has that path.
        """
        self._edit(lambda: self._entry.set({path: value}), committed=False)

    def commit(self, path: str, value: Any) -> None:
        """Enter a value on release, enter or click: one undo step; a terrain is rebuilt where it has to be.

        Raises:
            KeyError: No field has that path.
        """
        self._edit(lambda: self._entry.commit({path: value}), committed=True)

    def reset(self, path: str) -> None:
        """Give a field its default, as one undo step.

        Raises:
            KeyError: No field has that path.
        """
        self._edit(lambda: self._entry.reset([path]), committed=True)

    def reset_section(self, key: str) -> None:
        """Give a section's fields their defaults, as one undo step.

        Raises:
            KeyError: There is no such section.
        """
        sections = {section.key: section for section in self.sections}
        paths = [field.path for field in sections[key].fields]
        self._edit(lambda: self._entry.reset(paths), committed=True)

    def search(self, text: str) -> list[Field]:
        """Fields that have every word of a text in their name, heading or help; names first, none for no text."""
        return find_fields(self.sections, text)

    def _edit(self, edit: Callable[[], Any], *, committed: bool) -> Any:
        """Change the values, and let what depends on them follow."""
        before = self._shown_values
        python = self._desk.values.good["companion.python"]
        done = edit()
        if committed or self._shown_values != before:
            now = self._desk.values.good["companion.python"]
            if committed and now != python:
                self._host.remember(PYTHON_KEY, "" if now is None else str(now))
            self._show(committed=committed)
        self._refresh_actions()
        return done

    @property
    def _shown_values(self) -> tuple[Any, ...]:
        values = self._desk.values
        return values.params, *(values.good[path] for path in sorted(SHOWN))

    def _show(self, *, committed: bool) -> None:
        """Bring the stage to what is entered, if it is not that already."""
        now = (self._shown_values, committed)
        if now[0] != self._asked[0] or (committed and not self._asked[1]):
            self._asked = now
            self._stage.show(committed=committed)

    # -- the frame on show --------------------------------------------------------------------------------------------

    @property
    def spec(self) -> FrameSpec | None:
        """The frame the stage shows, what is held by hand included; None before one is authored."""
        return self._stage.spec

    @property
    def aimed(self) -> Mapping[str, float]:
        """Values of the frame on show that are held by hand, by their names in `aim`; read only."""
        return self._stage.aimed

    @property
    def exact(self) -> bool:
        """Whether nothing is held: the frame is exactly the one that is exported (before any redraw)."""
        return not self._stage.aimed

    def aim(self, values: Mapping[str, float]) -> None:
        """Hold values of the frame on show over what was drawn, as a hand that moves sun or camera does.

        Cheap: no terrain is built, the stage is edited at once; told as `shot`. What is held is no parameter, no undo
        step and never exported. It is let go of one value each where its range is edited, and of all where split,
        frame or seed change or the stage is closed.

        The camera keeps `height_m` above the ground wherever it is put. It may stand anywhere in the working area at
        least `camera.clearance_m` from ground and rocks, and look anywhere, also at a rock that fills its view; every
        other place is refused, and so is a value beyond the limits of its parameter. A direction of 360 degrees' range
        may be any number of turns.

        Args:
            values: By their names in `FrameSpec.values` (`sun_elevation_deg`, `heading_deg`, `fov_deg`, …), or
                `camera_x_m`, `camera_y_m` [m, world frame]; beside those already held. One equal to what was drawn is
                let go.

        Raises:
            InputError: It cannot be; then nothing changes.
        """
        self._stage.aim(values)
        self._refresh_actions()

    def release_aim(self, *names: str) -> None:
        """Let go of values held by hand, or of all: without any the frame is the exact one again."""
        self._stage.release_aim(names or tuple(self.aimed))
        self._refresh_actions()

    # -- history and files --------------------------------------------------------------------------------------------

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self._entry.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back."""
        return self._entry.can_redo

    @property
    def undo_depth(self) -> int:
        """Steps made less steps taken back; every change of it is told as `history`."""
        return self._entry.depth

    @property
    def dirty(self) -> bool:
        """Whether the parameters differ from the file or preset they are of."""
        return self._entry.dirty

    @property
    def preset(self) -> str:
        """Preset the parameters started from."""
        return self._entry.preset

    @property
    def file(self) -> Path | None:
        """File the parameters were loaded from or saved to."""
        return self._entry.file

    def settle(self) -> None:
        """Make one undo step of what was set and not committed, if anything."""
        self._entry.commit({})

    def undo(self) -> bool:
        """Take back the last step; False where there is none."""
        return self._edit(self._entry.undo, committed=True)

    def redo(self) -> bool:
        """Take the last taken-back step again; False where there is none."""
        return self._edit(self._entry.redo, committed=True)

    def use_preset(self, name: str) -> bool:
        """Start from a preset, as one undo step; False with a message to the user where there is none of that name."""
        return self._edit(lambda: self._entry.use_preset(name), committed=True)

    def load(self, path: Path) -> bool:
        """Take the parameters of a file, as one undo step; False with a message to the user where it cannot be used."""
        return self._edit(lambda: self._entry.load(path), committed=True)

    def save(self, path: Path) -> bool:
        """Write the parameters that count; False with a message to the user where the file cannot be written."""
        return self._edit(lambda: self._entry.save(path), committed=True)

    # -- state --------------------------------------------------------------------------------------------------------

    @property
    def params(self) -> Params:
        """The parameters that count: with the last allowed value where what is entered is not."""
        return self._desk.values.params

    @property
    def valid(self) -> bool:
        """Whether no field of the scene and its frames has a message."""
        return not self._desk.values.problem("", "shot")

    @property
    def live(self) -> LiveState | None:
        """The running preview; None for none."""
        return self._live.state

    def subscribe(self, callback: Callback) -> Subscription:
        """Call a function at every change for as long as what is returned is held."""
        return self._desk.observers.subscribe(callback)

    def tick(self) -> None:
        """Once a frame, on the main thread: look at tasks and runs, never wait, tell the observers."""
        self._desk.tick()
        self._stage.tick()
        self._live.tick()
        self._export.tick()
        for run in self._runs:
            run.tick()
        if self._work_states != self._states or self._clock() - self._looked >= LOOK_S:
            self._refresh_actions()

    def stage_closed(self) -> None:
        """Told by the host when the stage that `Host.author` opened was closed or replaced by something else."""
        self._stage.closed()
        self._refresh_actions()

    def close(self) -> None:
        """End previews and what the host draws; let go of companions: they go on, and are found again."""
        self._desk.drop()
        self._stage.close()
        self._live.close()
        self._export.close()
        for run in self._runs:
            run.close()
        self._desk.observers.clear()

    # -- actions ------------------------------------------------------------------------------------------------------

    @property
    def _work_states(self) -> tuple[Any, ...]:
        stage, export = self._stage, self._export
        looks = self._live.on, stage.ours, stage.spec is None, bool(stage.aimed), export.asking
        return *looks, *(work.state for work in self.works.values())

    def _refresh_actions(self) -> None:
        self._states, self._looked = self._work_states, self._clock()
        changed = [action.key for action in self.actions.values() if action.refresh()]
        if changed:
            self._desk.changed("actions", *changed)

    def _action(
        self, key: str, label: str | Callable[[], str], tooltip: str, run: Callable[[], Any],
        reason: Callable[[], str] = lambda: "",
    ) -> Action:  # fmt: skip
        def act() -> None:
            run()
            self._refresh_actions()

        return Action(key, label, tooltip, act, reason=reason, refuse=self._refuse)

    def _stoppable(
        self, key: str, label: str, stop: str, tooltip: str, run: RunWork, begin: Callable[[], Any],
        problem: Callable[[], str], ours: Callable[[], bool] | None = None,
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
        """

        def going() -> bool:
            return run.work.active if ours is None else ours()

        def reason() -> str:
            if not going():
                return problem()
            return "it is stopping" if run.work.state == "stopping" else ""

        return self._action(
            key, lambda: stop if going() else label, tooltip, lambda: run.stop() if going() else begin(), reason
        )

    def _make_actions(self) -> list[Action]:
        return [*self._stage_actions(), *self._job_actions(), *self._file_actions(), *self._entry_actions()]

    def _stage_actions(self) -> list[Action]:
        action, stage, live = self._action, self._stage, self._live
        return [
            action("author", "Author stage", "Build the scene of the frame on show as a new stage and open it.",
                   stage.author, stage.problem),
            action("randomize", "Randomize once", "Show the next frame of the split, exactly as it is exported.",
                   self._randomize, lambda: stage.problem() or ("" if stage.ours else "author a stage first")),
            action("exact", "Exact frame", "Let go of what was aimed by hand: the frame just as it is exported.",
                   self.release_aim,
                   lambda: "" if self.aimed else "it is the exact frame" if self.spec else "author a stage first"),
            action("preview", lambda: "Stop live preview" if live.on else "Start live preview",
                   "Segment the viewport's picture as it is drawn.", lambda: live.stop() if live.on else live.start()),
            action("choose_model", "Choose model…", "Choose the model of the preview and the evaluation.",
                   lambda: self._pick("model.path", Pick("Model", "file", endings=(".onnx",)))),
        ]  # fmt: skip

    def _job_actions(self) -> list[Action]:
        action, export, training, tools = self._action, self._export, self._training, self._tools
        stage = self._stage
        return [
            action("export", "Export dataset", "Draw the split into its folder; again to go on or to grow it.",
                   export.start, lambda: export.problem() or ("a stage is being opened" if stage.opening else "")),
            action("pause", lambda: "Resume" if export.can_resume() else "Pause",
                   "Hold the export after the frame being drawn; go on with it later, even after a restart.",
                   lambda: export.resume() if export.can_resume() else export.pause(),
                   lambda: "" if export.can_pause() or export.can_resume() else "no export is under way"),
            action("cancel", "Cancel", "End the export; what is drawn stays and counts.", export.cancel,
                   lambda: "" if export.work.state in ("running", "pausing", "paused") else "no export is under way"),
            self._stoppable("train", "Start training", "Stop training",
                            "Train in a process of its own; stopped, the same training goes on later.",
                            training, training.begin, training.problem),
            self._stoppable("use_model", "Use this model", "Stop writing the model",
                            "Take the last training's best model for preview and evaluation.",
                            tools.convert_run, tools.use_model, tools.use_problem),
            *(self._stoppable(key, label, "Stop evaluation", tooltip, tools.evaluate_run,
                              partial(tools.evaluate, photos=photos), partial(tools.evaluate_problem, photos=photos),
                              partial(tools.evaluating, photos=photos))
              for key, label, tooltip, photos in (
                  ("evaluate", "Evaluate", "Score the model on a split.", False),
                  ("evaluate_photos", "Evaluate on photographs", "Score the model on real photographs.", True))),
            self._stoppable("verify", "Verify", "Stop verification",
                            "Check every frame of the exported split: whole, as drawn, apart from the other splits.",
                            tools.verify_run, tools.verify, tools.verify_problem),
        ]  # fmt: skip

    def _file_actions(self) -> list[Action]:
        action, training, tools, pages = self._action, self._training, self._tools, self._tools.pages
        python = action("choose_python", "Choose Python…", "Choose the interpreter that training runs in.",
                        lambda: self._pick("companion.python", Pick("Python with torch", "file")))  # fmt: skip
        reports: tuple[tuple[PageKind, str, str], ...] = (
            ("report", "Open report", "Open the card of the exported split: what it holds, in pictures."),
            ("evaluation_report", "Open evaluation", "Open the report of the last evaluation: scores and pictures."),
            ("training_report", "Open training", "Open the report of the training: its course so far and its recipe."),
        )
        return [
            *(self._stoppable(key, label, "Stop writing", tooltip, pages.run, partial(pages.open, key),
                              partial(pages.problem, key), partial(pages.writing, key))
              for key, label, tooltip in reports),
            action("open_folder", "Open folder", "Open the folder of the dataset.",
                   lambda: self._host.open_path(tools.dataset_folder()),
                   lambda: "" if tools.dataset_folder().is_dir() else "nothing is exported yet"),
            action("open_run", "Open run", "Open the folder of the training.",
                   lambda: training.out is not None and self._host.open_path(training.out),
                   lambda: "" if training.out is not None and training.out.is_dir() else "nothing is trained yet"),
            *([] if "companion.python" in self._host.withheld else [python]),
        ]  # fmt: skip

    def _entry_actions(self) -> list[Action]:
        action = self._action
        return [
            action("undo", "Undo", "Take back the last edit.", self.undo,
                   lambda: "" if self.can_undo else "nothing to undo"),
            action("redo", "Redo", "Take the edit again.", self.redo,
                   lambda: "" if self.can_redo else "nothing to redo"),
            action("load", "Load…", "Load parameters from a file.", self._load),
            action("save", "Save…", "Save the parameters to a file, for the command line too.", self._save),
        ]  # fmt: skip

    def _refuse(self, text: str) -> None:
        self._host.notify(text, "warning")

    def _randomize(self) -> None:
        frame = self._desk.values.good["shot.frame"]
        limit = self.field("shot.frame").le or 0
        self.commit("shot.frame", frame + 1 if frame < limit else 0)

    def _pick(self, path: str, pick: Pick) -> None:
        def picked(place: Path | None) -> None:
            if place is not None:
                self.commit(path, str(place))

        self._desk.after(self._host.pick_path(pick), picked)

    def _load(self) -> None:
        pick = Pick("Load parameters", "file", self.file, (".yaml", ".yml", ".json"))
        self._desk.after(self._host.pick_path(pick), lambda place: place is not None and self.load(place))

    def _save(self) -> None:
        pick = Pick("Save parameters", "save", self.file, (".yaml", ".yml", ".json"))
        self._desk.after(self._host.pick_path(pick), lambda place: place is not None and self.save(place))

    def _adopt(self) -> None:
        found: dict[str, Run] = latest_runs(self._host.runs_folder)
        if "export" in found:
            self._export.adopt(found["export"])
        for work in self._runs:
            run = found.get(work.work.key)
            if run is not None and (work is self._training or run.alive):
                work.adopt(run)


def _defaults(host: Host) -> dict[str, Any]:
    """What takes the place of the command line's defaults: paths in the host's data folder, and what it remembers."""
    data = host.data_folder
    python = "" if "companion.python" in host.withheld else host.remembered(PYTHON_KEY)
    return {
        "export.split": "train_dr",
        "export.frames": 100,
        "export.out": data / "dataset",
        "evaluate.split": data / "dataset" / "test_photoreal",
        "evaluate.out": data / "evaluation",
        "photos.out": data / "photographs",
        "training.train_split": data / "dataset" / "train_dr",
        "training.val_split": data / "dataset" / "val",
        "training.out": data / "training",
        "companion.python": Path(python) if python else None,
    }
