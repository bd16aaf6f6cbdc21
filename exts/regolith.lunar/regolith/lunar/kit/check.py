"""*Check this machine*: the checklist of `rtx_check` in the app, with what only an app with windows shows."""

from __future__ import annotations

import functools
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from regolith.lunar.jobs.events import Event
from regolith.lunar.kit import adapter
from regolith.lunar.kit.host import KitHost
from regolith.lunar.kit.tasks import Job
from regolith.lunar.machine import ONNXRUNTIME
from regolith.lunar.panel.host import LiveSettings, Task
from regolith.lunar.panel.observe import Callback, Change, Observers, Subscription
from regolith.lunar.panel.presentation import live_words
from regolith.lunar.panel.settings import ModelSettings
from regolith.lunar.panel.work import Work
from regolith.lunar.params import InputError, sole_folder
from regolith.lunar.render import rtx
from regolith.lunar.render.viewport import ViewportFrames
from regolith.lunar.rtx_check.checklist import Checklist, Context, Seen, Step, StepFailed
from regolith.lunar.rtx_check.looking import author, check_params, save_picture, shining_lights
from regolith.lunar.rtx_check.report import Report
from regolith.lunar.rtx_check.steps import DARK, LAST, STEPS
from regolith.lunar.scratch import scratch_folder

SIZE = 512
"""Side of the pictures [px]."""
SETTLED = 60
"""Frames after which a viewport shows a stage that was opened."""
WAIT_S = 30.0
"""Longest wait for a picture of the viewport, and for the first that went through the model [s]."""
NO_VIEWPORT = "no viewport is open: Window > Viewport"


class MachineCheck:
    """The check in the app: one at a time; it takes the place of the open stage, which is opened again afterwards."""

    def __init__(self, host: KitHost, busy: Callable[[], str]) -> None:
        """Make it.

        Args:
            host: The panel's.
            busy: Says why the app cannot be had now; empty where it can.
        """
        self.work = Work("check", "Check this machine")
        self._host, self._busy = host, busy
        self._observers = Observers()
        self._job: Job | None = None

    def subscribe(self, callback: Callback) -> Subscription:
        """Call a function when `work` has changed, for as long as what is returned is held."""
        return self._observers.subscribe(callback)

    def start(self) -> None:
        """Begin, or say why that cannot be."""
        reason = "a check is under way" if self.work.active else self._busy()
        if reason:
            adapter.notify(f"{self.work.title}: {reason}", warning=True)
            return
        self.work.log.clear()
        self._say("starting")
        self.work.state = "running"
        self._job = Job(self._run())

    async def _run(self) -> None:
        folder, before = self._host.data_folder / "rtx_check", rtx.stage_url()
        try:
            with sole_folder("dataFolder", folder), scratch_folder() as scratch:
                report = await self._check(folder, scratch)
            if before and not before.startswith("anon:"):
                await rtx.Guest().open_stage(before)
        except (InputError, RuntimeError) as error:
            self._end(str(error), failed=True)
            return
        failed = report.failed()
        what = f"does not hold: {', '.join(failed)}" if failed else f"all {len(report.steps)} steps hold"
        self._end(f"{what}; zip this folder and send it back: {folder}", failed=bool(failed))

    async def _check(self, folder: Path, scratch: Path) -> Report:
        steps = app_steps(self._host)
        report = Report.begin(folder, "app", [(step.name, step.shows) for step in steps])
        checklist = Checklist(report, Context(folder, scratch, check_params(), SIZE), self._take)
        try:
            for step in steps:
                await checklist.take(step)
        finally:
            checklist.end("the extension was disabled meanwhile")
        return report

    def _take(self, event: Event) -> None:
        if event["event"] == "note":
            self.work.log.append(event["message"])
        else:
            self.work.done, self.work.total = event["done"], event["total"]
            self._say(event.get("stage", "ending"))

    def _end(self, text: str, *, failed: bool) -> None:
        self.work.state = "failed" if failed else "finished"
        self._say(text)
        adapter.notify(f"{self.work.title}: {text}", warning=failed)

    def _say(self, text: str) -> None:
        self.work.text = text
        self._observers.send(Change("work", frozenset({self.work.key})))

    def close(self) -> None:
        """End at once; what was seen so far is in the report."""
        self._observers.clear()
        if self._job is not None:
            self._job.cancel()


def app_steps(host: KitHost) -> tuple[Step, ...]:
    """The steps in an app with windows."""
    viewport, preview = functools.partial(see_viewport, host), functools.partial(see_preview, host)
    return (
        *STEPS,
        Step("viewport", "our stage in the viewport: black sky and one light", viewport, 90.0),
        Step("preview", "a preview lays the model's classes over it", preview, 60.0),
        LAST,
    )


async def see_viewport(host: KitHost, context: Context) -> Seen:
    """A stage opened as *Author stage* does, and what the viewport shows of it."""
    window, pace = adapter.viewport_window(), rtx.Guest()
    if window is None:
        return Seen(NO_VIEWPORT, state="absent")
    stage, spec = await pace.aside(lambda: author(context))
    await _result(host.author(stage, context.params, spec, context.size, context.size))
    for _ in range(SETTLED):
        await pace.update()
    opened = adapter.stage()
    lights = [] if opened is None else shining_lights(opened)
    picture = await _viewport_picture(window)
    save_picture(context.folder / "viewport.png", picture)
    dark, lit = float(np.percentile(picture, 5)), float(np.percentile(picture, 75))
    values = {"lights": lights, "p5": dark, "p75": lit, "shape": list(picture.shape)}
    seen = f"darkest {dark:.0f}, ground {lit:.0f} of 255, lights {', '.join(lights)}"
    if len(lights) != 1 or dark > DARK or lit <= 2 * DARK:
        raise StepFailed(f"{seen}; should be at most {DARK}, more than {2 * DARK}, and one", **values)
    return Seen(seen, values)


async def see_preview(host: KitHost, context: Context) -> Seen:
    """The live preview until pictures have gone through it."""
    pace, looks = rtx.Guest(), ModelSettings().model_dump()
    if adapter.viewport_window() is None:
        return Seen(NO_VIEWPORT, state="absent")
    if importlib.util.find_spec("onnxruntime") is None:
        return Seen(f"no onnxruntime. {ONNXRUNTIME}", state="absent")
    try:
        await _result(host.set_live(LiveSettings(looks.pop("path"), **looks)))
        end = time.monotonic() + WAIT_S
        while (live := host.live_state()) is None or live.problem or not live.frames_per_s:
            if time.monotonic() > end:
                raise StepFailed(live.problem if live and live.problem else "no picture went through the model")
            await pace.update()
    finally:
        host.set_live(None)
    return Seen(live_words(live), {"provider": live.provider, "milliseconds": live.milliseconds})


async def _result(task: Task) -> None:
    """Wait for a task of the host, and raise what it raises."""
    while not task.done():
        await rtx.Guest().update()
    task.result()


async def _viewport_picture(window: object) -> np.ndarray:
    """What a viewport shows, uint8 [H, W, 3]."""
    api = window.viewport_api  # type: ignore[attr-defined]
    frames, found, end = ViewportFrames(), None, time.monotonic() + WAIT_S
    frames.attach(api.render_product_path)
    try:
        while found is None:
            if time.monotonic() > end:
                raise StepFailed(f"the viewport gave no picture in {WAIT_S:.0f} s")
            await rtx.Guest().update()
            found = frames.poll(int(api.resolution[0]), int(api.resolution[1]))
        return np.ascontiguousarray(found[..., :3])
    finally:
        frames.detach()
