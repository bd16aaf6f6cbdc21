"""Generating a split: in the host itself where it can, else by a companion; paused, resumed and cancelled alike."""

from __future__ import annotations

import contextlib
from collections import deque
from pathlib import Path
from typing import Any, cast

from regolith.lunar.dataset.generate import Generate
from regolith.lunar.jobs.runs import Run
from regolith.lunar.panel.confirmation import Confirmation
from regolith.lunar.panel.context import CANCELLED, PanelContext, say
from regolith.lunar.panel.host import GenerateRequest, Pausable, Task
from regolith.lunar.panel.recorded import LOCAL, read_verb, record_verb
from regolith.lunar.panel.run_work import RESULT, RunWork, progress_words, speed
from regolith.lunar.panel.settings import GenerateSettings
from regolith.lunar.panel.work import Work, WorkState, counted
from regolith.lunar.params import InputError, Params, PictureSize, PresetVerb, save_params, validate
from regolith.lunar.randomize import narrowed

_OWN = (*PresetVerb.model_fields, "events", "split", "frames", "out", "size", "seed")
OPTIONS = tuple(name for name in Generate.model_fields if name not in _OWN)
"""Fields of `Generate` that say how a split is drawn, not what it is."""


class GenerateWork:
    """One split at a time."""

    def __init__(self, context: PanelContext) -> None:
        self._context = context
        self._companion = RunWork(context, "generate", "Export", unit="frames", describe=self._describe)
        self.work: Work = self._companion.work
        self._companion.ended = self._run_ended
        self._confirmation = Confirmation(context, "Export dataset", "Export in its place")
        self._task: Task | None = None
        self._request: GenerateRequest | None = None
        self._by_host = False
        self._then: WorkState = "interrupted"
        self._samples: deque[tuple[float, float]] = deque(maxlen=4096)
        self._checked: tuple[Any, str] = (None, "")

    # -- what is asked for --------------------------------------------------------------------------------------------

    def problem(self) -> str:
        """Why nothing can be exported now; empty where it can."""
        if self.work.active:
            return "an export is under way"
        if self._confirmation.asking:
            return "a question is open"
        values = self._context.values
        if self._checked[0] is not values:
            try:
                here = self._here(self.request())
                problem = "" if here or self._context.python is not None else self._context.no_python("regolith-lunar")
            except InputError as error:
                problem = str(error)
            self._checked = (values, problem)
        return self._checked[1]

    def request(self) -> GenerateRequest:
        """Return what is asked for.

        Raises:
            InputError: Something is missing, or does not go together.
        """
        values = self._context.values
        problem = values.problem("", "generate", "drawing")
        if problem:
            raise InputError.from_line(problem)
        verb = cast(Generate, values.models["generate"])
        return self._request_of(verb, values.params, cast(GenerateSettings, values.models["drawing"]))

    def _request_of(self, verb: Generate, params: Params, drawing: GenerateSettings) -> GenerateRequest:
        self._context.check_inside("out", verb.out / verb.split)
        narrowed(params, verb.split)
        return GenerateRequest(
            params=params,
            out=self._context.absolute(verb.out),
            split=verb.split,
            frames=verb.frames,
            width=verb.size.width,
            height=verb.size.height,
            seed=verb.seed,
            options={name: getattr(verb, name) for name in OPTIONS},
            headless=drawing.headless,
            gain=drawing.gain,
        )

    def _recorded(self, run: Run) -> GenerateRequest:
        """Read what an export that was found again was asked to draw.

        Raises:
            InputError: Its record does not say that, or says what would be refused if it were entered.
        """
        verb = read_verb(run.details, "generate", Generate)
        here = {name: self._context.values.good[f"generate.{name}"] for name in LOCAL}
        params = validate(Params, run.details.get("params"))
        drawing = validate(GenerateSettings, {"headless": True, "gain": run.details.get("gain", 1.0)})
        return self._request_of(verb.model_copy(update=here), params, drawing)

    @property
    def asking(self) -> bool:
        """Whether a question has to be answered first."""
        return self._confirmation.asking

    @property
    def in_place(self) -> bool:
        """Whether the host draws in the place of the open stage now."""
        return self._task is not None

    @property
    def split(self) -> Path | None:
        """Folder of the split the last export wrote, or the entered one."""
        if self._request is not None:
            return self._request.out / self._request.split
        if self._companion.run is not None:
            with contextlib.suppress(InputError):
                verb = read_verb(self._companion.run.details, "generate", Generate)
                self._context.check_inside("out", verb.out / verb.split)
                return self._context.absolute(verb.out) / verb.split
        out, split = (self._context.values.good[f"generate.{name}"] for name in ("out", "split"))
        return None if out is None or split is None else self._context.absolute(out) / split

    # -- start, pause, resume, cancel ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Export what is entered."""
        try:
            self._ask(self.request())
        except (InputError, OSError) as error:
            self._companion.fail(error)

    def _ask(self, request: GenerateRequest) -> None:
        """Begin, after a question where the open stage has to make room and the user has something to lose.

        The stage is opened again afterwards, from its file: what is not saved would be gone.
        """
        if not self._here(request):
            self._begin(request)
            return

        def begin() -> None:
            try:
                self._begin(request)
            except (InputError, OSError) as error:
                self._companion.fail(error)

        self._confirmation.forget()
        text = "Draw the dataset in its place? It is opened again afterwards, without what is not saved."
        self._confirmation.get(text, begin)

    def _here(self, request: GenerateRequest) -> bool:
        """Whether the host draws it in the place of the open stage."""
        return self._context.host.generates_here and not request.headless

    def _begin(self, request: GenerateRequest) -> None:
        self._request, self._then = request, "interrupted"
        self._samples.clear()
        self._task = self._context.host.start_generate(request)
        self._by_host = self._task is not None
        self.work.folder = request.out / request.split
        if self._by_host:
            self.work.done = self.work.total = 0.0
            self.work.log.clear()
            self._say("running", "starting")
            return
        python = self._context.python
        if python is None:
            raise InputError.from_line(self._context.no_python("regolith-lunar"))
        verb = Generate(
            split=request.split, frames=request.frames, out=request.out, seed=request.seed,
            size=PictureSize(request.width, request.height), **request.options,
        )  # fmt: skip
        folder = self._companion.folder()
        save_params(request.params, folder / "params.yaml")
        arguments = self._context.arguments(verb, **self._context.host.generate_options(request))
        command = [
            str(python), "-m", "regolith.lunar.cli", "generate", "--events",
            f"--params={folder / 'params.yaml'}", f"--json={folder / RESULT}", *arguments,
        ]  # fmt: skip
        params = request.params.model_dump(mode="json")
        details = record_verb("generate", verb) | {"params": params, "gain": request.gain}
        self._companion.start(folder, command, details)
        self.work.folder = request.out / request.split

    def can_pause(self) -> bool:
        """Whether an export runs that can be held."""
        return self.work.state == "running"

    def can_resume(self) -> bool:
        """Whether an export was held, or interrupted, and can go on."""
        known = self._request is not None or self._companion.run is not None
        return self.work.state in ("paused", "interrupted") and known

    def pause(self) -> None:
        """Hold the export: what is drawn stays, and nothing is held in memory but by a task that can wait."""
        if isinstance(self._task, Pausable):
            self._task.pause()
            self._say("paused", self.work.text)
        elif self._task is not None:
            self._then = "paused"
            self._task.cancel()
            self._say("pausing", self.work.text)
        else:
            self._companion.stop("paused")

    def resume(self) -> None:
        """Go on."""
        try:
            if self.split is not None:
                self._context.check_inside("out", self.split)
            if isinstance(self._task, Pausable):
                self._task.resume()
                self._say("running", self.work.text)
            elif self._request is not None:
                self._ask(self._request)
            elif self._companion.run is not None:
                self._ask(self._recorded(self._companion.run))
        except (InputError, OSError) as error:
            self._companion.fail(error)

    def cancel(self) -> None:
        """End the export; what is drawn stays, and the same export goes on from there."""
        if self._task is not None:
            self._then = "interrupted"
            self._task.cancel()
            self._say("stopping", self.work.text)
        elif self.work.active:
            self._companion.stop("interrupted")
        elif self.work.state == "paused":
            self._say("interrupted", self.work.text.replace("paused", "interrupted", 1))

    # -- how it goes --------------------------------------------------------------------------------------------------

    def adopt(self, run: Run) -> None:
        """Follow an export that was started before the host was."""
        self._request, self._by_host = None, False
        self._companion.adopt(run)
        self.work.folder = self.split

    def tick(self) -> None:
        """Look at the task or the run."""
        if self._task is None:
            self._companion.tick()
            return
        task = self._task
        if task.done():
            self._task = None
            self._end(task)
            return
        progress, now = task.progress, self._context.clock()
        if (self.work.done, self.work.total) != (progress.done, progress.total):
            self.work.done, self.work.total = progress.done, progress.total
            self._samples.append((now, progress.done))
            if self.work.state == "running":
                rate = speed(self._samples, now)
                words = progress_words(progress.done, progress.total, "frames", rate)
                self.work.text = f"{words} ({progress.text})" if progress.text else words
            self._context.changed("work", "generate")

    def _end(self, task: Task) -> None:
        kept = f" at {counted(self.work.done, self.work.total, 'frames')}" if self.work.total else ""
        try:
            result = task.result()
        except (*CANCELLED, KeyboardInterrupt):
            self._say(self._then, self._then + kept)
            return
        except Exception as error:
            self._say("failed", say(error))
            self._context.host.notify(say(error), "error")
            return
        self._say("finished", self._describe(result))
        self._context.host.notify(f"Export finished: {self.work.text}")

    def _run_ended(self, state: WorkState) -> None:
        if state == "finished":
            self._context.host.notify(f"Export finished: {self.work.text}")
        elif state == "failed":
            self._context.host.notify(self.work.text, "error")

    def _say(self, state: WorkState, text: str) -> None:
        self.work.state, self.work.text = state, text
        self._context.changed("work", "generate")

    def _describe(self, result: Any) -> str:
        """Frames and folder of a finished export; the folder as it is entered where it lies in the data folder."""
        if not isinstance(result, dict) or "frames" not in result:
            return "finished"
        split, data = Path(result["split"]), self._context.host.data_folder
        place = split.relative_to(data) if split.is_relative_to(data) else split
        return f"{result['frames']} frames in {place}, {result['drawn']} drawn now"

    def close(self) -> None:
        """End what the host draws, resumably; let go of a companion, which goes on."""
        if self._task is not None:
            self._task.cancel()
        self._companion.close()
