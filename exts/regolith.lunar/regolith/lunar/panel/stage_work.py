"""The stage on show: authored when asked for, then kept up to date with what is entered."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from regolith.lunar.panel.aim import PLACE, Aim
from regolith.lunar.panel.confirmation import Confirmation
from regolith.lunar.panel.context import CANCELLED, PanelContext, say
from regolith.lunar.panel.forms import Field
from regolith.lunar.panel.frame_builder import Built, FrameBuilder, Shot, redraws_wanted
from regolith.lunar.panel.host import Eye, Task
from regolith.lunar.panel.work import Work
from regolith.lunar.params import InputError
from regolith.lunar.stage.camera import check_lens
from regolith.lunar.stage.edit import apply_frame
from regolith.lunar.stage.spec import FrameSpec

OPEN = "Open the new stage"
NO_STAGE = "author a stage first"
"""Why nothing can be done with a stage that is not there."""


class StageWork:
    """Builds stages and frames on a worker, and hands them to the host."""

    def __init__(self, context: PanelContext, fields: Iterable[Field]) -> None:
        """Make it, with nothing on show.

        Args:
            context: Of the panel.
            fields: All of the panel.
        """
        self.work = Work("stage", "Stage")
        self.spec: FrameSpec | None = None
        """The frame the host shows, what is held by hand included; None where no stage of ours is open."""
        self._context = context
        self._aim = Aim(fields)
        self._aim_due = False
        self._shown: Built | None = None
        self._frame_builder = FrameBuilder(baked=context.host.baked)
        self._placing: tuple[Task, Built] | None = None
        self._confirmation = Confirmation(context, "Author stage", OPEN)
        self.held: Callable[[], bool] = lambda: False
        """Whether the host needs its place for something else now: edits wait until it is back."""
        self._waiting: bool | None = None
        """Whether an edit waits, and one that may need a new terrain."""
        self.ours = False
        """Whether the host has a stage of ours open, or is about to."""

    @property
    def built(self) -> Built | None:
        """What the frame on show was made of; None where no stage of ours is open."""
        return self._shown

    @property
    def opening(self) -> bool:
        """Whether the host is opening a stage of ours."""
        return self._placing is not None

    def problem(self) -> str:
        """Why no stage can be authored; empty where one can."""
        if self.held():
            return "an export runs"
        return self._context.values.problem("", "shot")

    def author(self) -> None:
        """Author a new stage and open it, after a question where the user has something to lose."""
        if not self._confirmation.asking:
            self._confirmation.forget()
            self._confirmation.get("Open the new stage in its place?", self._author)

    def show(self, *, committed: bool) -> None:
        """Bring the open stage to what is entered; a new terrain only where the edit is committed."""
        if not self.ours:
            return
        self._follow_frame()
        if self.held():
            self._waiting = committed or bool(self._waiting)
            return
        shot = self._shot()
        self._frame_builder.wish(shot, rebuild=committed)
        if committed:
            self._say("running", f"frame {shot.frame} of {shot.split}")

    def closed(self) -> None:
        """Let go of a stage that is no longer open."""
        self._frame_builder.forget()
        self._confirmation.forget()
        self._placing = self._waiting = self._shown = None
        self.ours = self._aim_due = False
        released = self._aim.release(list(self.aimed))
        if released or self.spec is not None:
            self.spec = None
            self._context.changed("shot")
        self._say("idle", "")

    # -- free look ----------------------------------------------------------------------------------------------------

    @property
    def aimed(self) -> Mapping[str, float]:
        """Values of the frame that are held by hand, by name; read only."""
        return self._aim.held

    def aim(self, values: Mapping[str, float], *, limited: bool = True) -> None:
        """Hold values of the frame on show over what was drawn, and show it.

        Args:
            values: By their names in `aim`.
            limited: Whether they obey the limits of their fields.

        Raises:
            InputError: No frame is on show, or it cannot be held so; then nothing changes.
        """
        if self._shown is None:
            raise InputError("aim", ", ".join(values), "a frame on show: author a stage first")
        self._follow_frame()
        self._aim.hold(values, self._shown, limited=limited)
        self._aim_due = True
        self._show_aim()

    def seen_from(self, eye: Eye) -> dict[str, float]:
        """Values that put the camera of the frame on show where an eye is, by their names in `aim`.

        Raises:
            InputError: No frame is on show, or no camera can be there.
        """
        if self._shown is None:
            raise InputError("eye", None, f"a frame on show: {NO_STAGE}")
        scene, (x, y, z) = self._shown.scene, eye.place_m
        check_lens(scene, np.array([x, y, np.inf]))  # beyond the working area there may be no ground
        check_lens(scene, np.array(eye.place_m))
        ground = float(scene.terrain.height(np.array([x]), np.array([y]))[0])
        angles = {name: getattr(eye, name) for name in ("heading_deg", "pitch_deg", "roll_deg", "fov_deg")}
        return {"camera_x_m": x, "camera_y_m": y, "height_m": z - ground} | angles

    def release_aim(self, names: Iterable[str]) -> None:
        """Let go of held values, and show the frame without them."""
        if self._aim.release(names):
            self._aim_due = True
            self._show_aim()

    def _follow_frame(self) -> None:
        """Let go of what was held in another frame than the one that is entered."""
        try:
            released = self._aim.follow(self._shot())
        except InputError:
            return  # nothing new is shown before that is mended
        self._aim_due = self._aim_due or released

    def _show_aim(self) -> None:
        """Show what is held, once the host has time and nothing newer is being built."""
        busy = self._placing is not None or self._frame_builder.busy or self._confirmation.asking or self.held()
        if self._aim_due and self._shown is not None and not busy:
            self._place(self._shown)

    def tick(self) -> None:
        """Look at the worker and the host."""
        if self._placing is not None:
            task, built = self._placing
            if not task.done():
                self._show_progress(task)
                return
            self._placing = None
            self._placed(task, built)
        if self._confirmation.asking or self.held():
            return
        if self._waiting is not None:
            committed, self._waiting = self._waiting, None
            self.show(committed=committed)
        done = self._frame_builder.poll()
        if done is not None:
            self._built(done)
        elif self._frame_builder.building and self.work.state == "running":
            self._say("running", "building terrain and rocks")
        else:
            self._show_aim()

    def close(self) -> None:
        """End the worker."""
        if self._placing is not None:
            self._placing[0].cancel()
        self._frame_builder.close()

    # -- steps --------------------------------------------------------------------------------------------------------

    def _shot(self) -> Shot:
        good = self._context.values.good
        size, out = good["generate.size"], good["generate.out"]
        return Shot(
            self._context.values.params, good["shot.split"], good["shot.frame"], good["generate.seed"],
            size.width, size.height, None if out is None else self._context.absolute(out),
        )  # fmt: skip

    def _author(self) -> None:
        self._frame_builder.forget()
        self.ours = True
        self._frame_builder.wish(self._shot())
        self._say("running", "building terrain and rocks")

    def _built(self, done: Any) -> None:
        try:
            built: Built | None = done.result()
        except Exception as error:
            self._fail(error)
            return
        if built is None:
            return
        if built.stage is None:
            self._place(built)
            return
        text = "Open the new terrain in its place?"
        self._confirmation.get(text, lambda: self._place(built) if self.ours else None, self.closed)

    def _place(self, built: Built) -> None:
        shot, host = built.shot, self._context.host
        shown, spec, before = self._shown, self._over(built), self.spec
        self._aim_due = False
        self._shown, self.spec = dataclasses.replace(built, stage=None), spec
        try:
            if built.stage is not None:
                self._confirmation.forget()
                if spec is not built.spec:
                    apply_frame(built.stage, shot.params, spec, shot.width, shot.height)
                task = host.author(built.stage, shot.params, spec, shot.width, shot.height)
            else:
                task = host.apply_frame(shot.params, spec, shot.width, shot.height)
        except Exception as error:
            self._shown, self.spec = shown, before
            self._fail(error)
            return
        self._context.changed("shot")
        if task.done():
            self._placed(task, built)
        else:
            self._placing = (task, built)

    def _over(self, built: Built) -> FrameSpec:
        """Return the frame with what is held; a place that new ground does not allow is let go."""
        try:
            return self._aim.over(built)
        except InputError as error:
            self._aim.release(PLACE)
            self._context.host.notify(f"The camera is where it was drawn again: {error}", "warning")
            return self._aim.over(built)

    def _placed(self, task: Task, built: Built) -> None:
        try:
            task.result()
        except CANCELLED:
            self.closed()
            return
        except Exception as error:
            self._fail(error)
            return
        if self._frame_builder.busy:  # a newer frame is on its way: the words are its own
            return
        shot = built.shot
        text = f"frame {shot.frame} of {shot.split}: {len(built.scene.terrain.craters)} craters, "
        text += f"{len(built.scene.rocks)} rocks"
        if self.aimed:
            text += "; aimed by hand"
        elif redraws_wanted(shot.params):
            text += "; frames outside the wanted share of rock are drawn again at export"
        self._say("finished", text)

    def _fail(self, error: Exception) -> None:
        """Say why there is no new frame; the open stage stays as it is, and is built anew next time."""
        self._frame_builder.forget()
        self._say("failed", say(error))
        self._context.host.notify(say(error), "error")

    def _show_progress(self, task: Task) -> None:
        progress = task.progress
        if (self.work.done, self.work.total) != (progress.done, progress.total):
            self.work.done, self.work.total = progress.done, progress.total
            self._say("running", progress.text or "opening the stage")

    def _say(self, state: Any, text: str) -> None:
        if state != "running":
            self.work.done = self.work.total = 0.0
        if (self.work.state, self.work.text) != (state, text):
            self.work.state, self.work.text = state, text
            self._context.changed("work", "stage")
