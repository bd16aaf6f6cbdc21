"""The panel's model: fields, undo, files, actions and what is under way, for any view."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from regolith.lunar.jobs.runs import Run
from regolith.lunar.panel.actions import Action
from regolith.lunar.panel.artifact_work import ArtifactWork
from regolith.lunar.panel.buttons import Buttons
from regolith.lunar.panel.camera_path import CameraPath
from regolith.lunar.panel.context import PanelContext, say
from regolith.lunar.panel.editor import ParameterEditor
from regolith.lunar.panel.film import FILM
from regolith.lunar.panel.film_work import FilmWork
from regolith.lunar.panel.forms import OUTPUTS, build_sections, offered
from regolith.lunar.panel.generate_work import GenerateWork
from regolith.lunar.panel.host import Eye, Host, LiveState, Pick
from regolith.lunar.panel.live_work import LiveWork
from regolith.lunar.panel.observe import Callback, Subscription
from regolith.lunar.panel.row_work import RowWork, row_works
from regolith.lunar.panel.run_work import RunWork, latest_runs
from regolith.lunar.panel.settings import KEYS
from regolith.lunar.panel.stage_work import StageWork
from regolith.lunar.panel.train_work import TrainWork
from regolith.lunar.panel.values import Values, enter, start_values
from regolith.lunar.panel.verb_rows import row_defaults
from regolith.lunar.params import Group, InputError, Params, load_preset, preset_names
from regolith.lunar.stage.spec import FrameSpec

PYTHON_KEY = "python"
"""Key under which a host remembers the interpreter of training."""
PATH_KEY = "camera_path"
"""Key under which a host remembers the keys of the camera's path."""
LOOK_S = 0.5
"""Time between two looks at what actions depend on outside the panel: files, folders [s]."""
SHOWN = frozenset({"shot.split", "shot.frame", "generate.seed", "generate.size"})
"""Fields beside the parameters that decide what the stage shows."""


class PanelModel(ParameterEditor):
    """State of the panel: what is entered (`Entry`), and what is shown and done with it. It outlives any window.

    All calls on the host's main thread.
    """

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
        values = start_values(everything, load_preset(preset), _defaults(host) | dict(defaults or {}))
        context = PanelContext(host, clock, values)
        context.values = enter(values, {path: values.good[path] for path in OUTPUTS}, refuse=context.refuse)
        context.values = _with_kept(context.values, host.remembered(PATH_KEY))
        super().__init__(context, offered(everything, host.withheld))
        self.presets: tuple[str, ...] = preset_names()
        self._host, self._clock = host, clock
        self._python, self._keys = context.values.good["companion.python"], context.values.good[KEYS]
        self._looked = clock()
        self._states: tuple[Any, ...] = ()
        self._asked: tuple[Any, bool] = (self._shown_values, True)
        self._stage = StageWork(context, [field for section in everything for field in section.fields])
        self._live = LiveWork(context)
        self._generate = GenerateWork(context)
        self._stage.held = lambda: self._generate.in_place
        self._training = TrainWork(context)
        self._artifacts = ArtifactWork(
            context, self._training, self._generate, lambda path: self.commit("model.path", path)
        )
        self.path = CameraPath(context, self, self._stage)
        """The camera's path of a film."""
        self._rows: tuple[RowWork, ...] = row_works(context, {FILM.key: FilmWork(context, self.path, self.commit)})
        self._runs: tuple[RunWork, ...] = (self._training, *self._artifacts.runs, *self._rows)
        self.works = {work.key: work for work in (self._stage.work, self._generate.work, *(r.work for r in self._runs))}
        """Keys: stage, generate, training, evaluate, model, verify, doctor, report, and those of `ROWS`."""
        self._adopt()
        self.actions: dict[str, Action] = Buttons(
            context,
            self,
            self._stage,
            self._live,
            self._generate,
            self._training,
            self._artifacts,
            self.path,
            self._rows,
            self._refresh_actions,
        ).make()
        """Keys: author, randomize, exact, preview, choose_model, export, pause, cancel, verify, train, use_model,
        evaluate, evaluate_photos, report, evaluation_report, training_report, open_folder, open_run, choose_python,
        doctor, undo, redo, load, save, add_key, play, load_path, save_path, those of `ROWS`, each with _report and
        _take where it has these; none that edits a withheld field."""

    def _edited(self, *, committed: bool) -> None:
        python = self._context.values.good["companion.python"]
        if committed and python != self._python:
            self._python = python
            self._host.remember(PYTHON_KEY, "" if python is None else str(python))
        keys = self._context.values.good[KEYS]
        if committed and keys != self._keys:
            self._keys = keys
            self._host.remember(PATH_KEY, keys)
        self._show(committed=committed)
        self._refresh_actions()

    @property
    def _shown_values(self) -> tuple[Any, ...]:
        values = self._context.values
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

    def aim_as(self, eye: Eye) -> None:
        """Hold the camera of the frame on show where an eye is, as `aim` does.

        Raises:
            InputError: It cannot be; then nothing changes.
        """
        self.aim(self._stage.seen_from(eye))

    def release_aim(self, *names: str) -> None:
        """Let go of values held by hand, or of all: without any the frame is the exact one again."""
        self._stage.release_aim(names or tuple(self.aimed))
        self._refresh_actions()

    # -- state --------------------------------------------------------------------------------------------------------

    @property
    def params(self) -> Params:
        """The parameters that count: with the last allowed value where what is entered is not."""
        return self._context.values.params

    def entered(self, prefix: str) -> Group:
        """The model that some fields make, by what their paths begin with: `traverse`.

        Raises:
            InputError: One of them is missing or not allowed.
        """
        values = self._context.values
        model, problem = values.models[prefix], values.problem(prefix)
        if problem or model is None:
            raise InputError.from_line(problem or f"{prefix}: incomplete")
        return model

    @property
    def valid(self) -> bool:
        """Whether no field of the scene and its frames has a message."""
        return not self._context.values.problem("", "shot")

    @property
    def live(self) -> LiveState | None:
        """The running preview; None for none."""
        return self._live.state

    def subscribe(self, callback: Callback) -> Subscription:
        """Call a function at every change for as long as what is returned is held."""
        return self._context.observers.subscribe(callback)

    def choose(self, pick: Pick, chosen: Callable[[Path], object]) -> None:
        """Let the user choose a path and hand it on; where none can be chosen, the user is told why."""
        self._context.choose(pick, chosen)

    def tick(self) -> None:
        """Once a frame, on the main thread: look at tasks and runs, never wait, tell the observers."""
        self._context.tick()
        self._stage.tick()
        self.path.tick()
        self._live.tick()
        self._generate.tick()
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
        self._context.drop()
        self.path.close()
        self._stage.close()
        self._live.close()
        self._generate.close()
        for run in self._runs:
            run.close()
        self._context.observers.clear()

    @property
    def _work_states(self) -> tuple[Any, ...]:
        stage, generate = self._stage, self._generate
        looks = self._live.on, stage.ours, stage.spec is None, bool(stage.aimed), generate.asking
        looks = *looks, self.path.playing, self.path.problem()
        return *looks, *(work.state for work in self.works.values())

    def _refresh_actions(self) -> None:
        self._states, self._looked = self._work_states, self._clock()
        changed = []
        for action in self.actions.values():
            before = action.reason
            try:
                if action.refresh():
                    changed.append(action.key)
            except Exception as error:  # the others are to be told all the same
                action.reason = say(error)
                if action.reason != before:
                    logging.getLogger(__name__).warning("no state of %s", action.key, exc_info=True)
                    changed.append(action.key)
        if changed:
            self._context.changed("actions", *changed)

    def _adopt(self) -> None:
        found: dict[str, Run] = latest_runs(self._host.runs_folder)
        if "generate" in found:
            self._generate.adopt(found["generate"])
        for work in self._runs:
            run = found.get(work.work.key)
            if run is not None and (work is self._training or run.alive):
                work.adopt(run)


def _with_kept(values: Values, keys: str) -> Values:
    """Enter the keys that a host remembered; those of a file that somebody changed are left out."""
    kept = enter(values, {KEYS: keys})
    return values if KEYS in kept.messages else kept


def _defaults(host: Host) -> dict[str, Any]:
    """What takes the place of the command line's defaults: paths in the host's data folder, and what it remembers."""
    data = host.data_folder
    python = "" if "companion.python" in host.withheld else host.remembered(PYTHON_KEY)
    return {
        "generate.split": "train_dr",
        "generate.frames": 100,
        "generate.out": data / "dataset",
        "evaluate.split": data / "dataset" / "test_photoreal",
        "evaluate.out": data / "evaluation",
        "photos.out": data / "photographs",
        "training.train_split": data / "dataset" / "train_dr",
        "training.val_split": data / "dataset" / "val",
        "training.out": data / "training",
        "companion.python": Path(python) if python else None,
    } | row_defaults(data)
