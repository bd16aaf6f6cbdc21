"""A verb of the table as a companion: what it found in its line, its table and its log, pictures while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from regolith.lunar.jobs.events import Event
from regolith.lunar.jobs.runs import Run
from regolith.lunar.panel.context import PanelContext, ships
from regolith.lunar.panel.pages import modified
from regolith.lunar.panel.run_work import UNREADABLE
from regolith.lunar.panel.train_work import VerbWork, split_problem
from regolith.lunar.panel.values import PRESET, flatten
from regolith.lunar.panel.verb_row import VerbRow
from regolith.lunar.panel.verb_rows import ROWS
from regolith.lunar.panel.work import Picture, WorkState
from regolith.lunar.params import InputError, Verb, load_params, load_preset, save_params
from regolith.lunar.params.training import split_folders
from regolith.lunar.reading import read_bytes

PICTURE_BYTES = 4 << 20
"""Largest picture that is shown [bytes]."""


class RowWork(VerbWork):
    """One of the verbs; that one rejects is an answer, and no failure."""

    def __init__(self, context: PanelContext, row: VerbRow) -> None:
        super().__init__(context, row.key, row.title, unit=row.unit, describe=row.describe)
        self.row = row
        self.judges = True
        self.ended = self._ended
        self._drawn: dict[str, str] = {}
        """Kind of a picture to the name of its newest file, until that is read."""

    @property
    def _interpreter(self) -> Path | None:
        return self._context.training_python if self.row.trains else self._context.python

    @property
    def _out(self) -> Path:
        return self._context.absolute(self._context.values.good[f"{self.row.key}.out"])

    # -- start --------------------------------------------------------------------------------------------------------

    def problem(self) -> str:
        """Why it cannot be started; empty where it can."""
        if self._interpreter is None:
            return self._context.no_python("torch" if self.row.trains else "regolith-lunar")
        values, key = self._context.values, self.row.key
        verb = values.models[key]
        problem = values.problem(key, *([""] if self.row.starts_from_params else []))
        if problem or verb is None:
            return problem
        assert isinstance(verb, Verb)
        try:
            self._check_marked(verb)
        except InputError as error:
            return str(error)
        return next(self._absent(verb), "")

    def _check_marked(self, verb: Verb) -> None:
        """Refuse to write into what it reads, where it is to and the host does not allow it.

        Raises:
            InputError: The host does not allow it.
        """
        switches, name = self.row.marks
        if any(getattr(verb, switch) for switch in switches):
            self._context.check_inside(name, self._context.absolute(getattr(verb, name)))

    def _absent(self, verb: Verb) -> Iterator[str]:
        """What is not there of all it reads."""
        for name in type(verb).model_fields:
            value = getattr(verb, name)
            if name in self.row.splits:
                problem = split_problem(name, self._context.absolute(value))
                if problem:
                    yield problem
            elif isinstance(value, Path) and name != "out":
                for part in split_folders(value):
                    if not ships(name, part) and modified(self._context.absolute(part)) is None:
                        yield str(InputError(name, str(part), "what is there to be read"))

    def begin_entered(self) -> None:
        """Run it on what is entered."""
        verb, context, out = self._context.values.models[self.row.key], self._context, self._out
        assert isinstance(verb, Verb)
        try:
            self._check_marked(verb)
        except InputError as error:
            self.fail(error)
            return
        arguments = context.arguments(verb, **self._decided())
        events = ["--events"] if self.row.unit else []
        details = {"out": str(out)}
        self.begin(
            self.row.verb, [*arguments, *events], details, writes=out, python=self._interpreter, given=self._given()
        )  # fmt: skip
        self.work.folder = out

    def _decided(self) -> dict[str, Any]:
        """Values that are the panel's own."""
        return {"model": self._context.model} if self.row.takes_model else {}

    def _given(self) -> dict[str, Callable[[Path], object]]:
        """Flag to what writes the file it names."""
        return {"params": partial(save_params, self._context.values.params)} if self.row.starts_from_params else {}

    # -- while it runs ------------------------------------------------------------------------------------------------

    def adopt(self, run: Run) -> None:
        """Follow a run that was started before the host was, its pictures too."""
        super().adopt(run)
        place = run.details.get("out")
        if isinstance(place, str):
            with contextlib.suppress(InputError):  # of a record that came with the folder
                self._context.check_inside("out", Path(place))
                self.work.folder = Path(place)

    def tick(self) -> None:
        """Read what the run says, and the newest of each of its pictures; never waits."""
        super().tick()
        folder, drawn, self._drawn = self.work.folder, self._drawn, {}
        if folder is None or self.run is None or folder == self.run.folder:
            return
        for kind, name in drawn.items():
            with contextlib.suppress(OSError):  # a newer one takes its place
                data = read_bytes(folder / name, PICTURE_BYTES)
                self.work.pictures[kind] = Picture(self.row.pictures[kind], data)
        if drawn:
            self._context.changed("work", self.work.key)

    def _read(self, event: Event) -> None:
        super()._read(event)
        if event["event"] == "artifact" and event.get("kind") in self.row.pictures:
            self._drawn[event["kind"]] = Path(event["path"]).name  # it lies in the folder, whatever an event says

    # -- what came of it ----------------------------------------------------------------------------------------------

    def _ended(self, state: WorkState) -> None:
        lines = self._summary()
        if lines:
            self.work.log.clear()
            self.work.log.extend(lines)
        with contextlib.suppress(*UNREADABLE):  # of a record that came with the folder
            self.work.table = () if self.result is None else tuple(self.row.table(self.result))
        self._context.changed("work", self.work.key)
        level = "error" if state == "failed" else "info"
        self._context.host.notify(f"{self.work.title} {state}: {self.work.text}", level)

    def _summary(self) -> list[str]:
        """What the command line prints of the result; nothing of what cannot be read."""
        if self.run is None or not isinstance(self.result, dict):
            return []
        verb = self.row.model.model_construct(out=Path(str(self.run.details.get("out", ""))))
        try:
            return verb.summary(self.result).splitlines()
        except (ImportError, *UNREADABLE):  # Kit has no rich; of a record that came with the folder
            return []

    @property
    def page(self) -> Path:
        """The page it writes."""
        return self._out / self.row.page

    def page_problem(self) -> str:
        """Why there is no page to open; empty where there is one."""
        return "" if modified(self.page) is not None else f"no {self.row.page} in its folder yet"

    # -- ranges it found ----------------------------------------------------------------------------------------------

    @property
    def ranges(self) -> Path:
        """The parameter file it writes."""
        return self._out / self.row.ranges if self.row.ranges else self._out

    def ranges_problem(self) -> str:
        """Why there are no ranges to take; empty where there are."""
        if self.work.active:
            return "they are being measured"
        return "" if modified(self.ranges) is not None else f"no {self.ranges.name} in its folder yet"

    def read_ranges(self) -> dict[str, Any]:
        """Values that its parameter file has otherwise than the preset it names, by their paths.

        Raises:
            InputError: It is no parameter file, or cannot be read.
        """
        found = load_params(self.ranges)
        preset = flatten(load_preset(found.preset))
        return {path: value for path, value in flatten(found).items() if path != PRESET and value != preset[path]}


def row_works(context: PanelContext, made: Mapping[str, RowWork]) -> tuple[RowWork, ...]:
    """Make the work of every verb.

    Args:
        context: Of the panel.
        made: Key of a verb to its work where that is no plain one.
    """
    return tuple(made.get(row.key) or RowWork(context, row) for row in ROWS)
