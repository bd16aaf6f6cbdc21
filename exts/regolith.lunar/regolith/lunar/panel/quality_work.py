"""Judging data: each verb of `QUALITY` as a companion, with what it found in its line and its log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from regolith.lunar.panel.context import PanelContext, ships
from regolith.lunar.panel.pages import modified
from regolith.lunar.panel.quality import QUALITY, QualityVerb
from regolith.lunar.panel.run_work import UNREADABLE
from regolith.lunar.panel.train_work import VerbWork, split_problem
from regolith.lunar.panel.work import WorkState
from regolith.lunar.params import InputError, Verb
from regolith.lunar.params.training import split_folders


class QualityWork(VerbWork):
    """One of the verbs; that it rejects is an answer, and no failure."""

    def __init__(self, context: PanelContext, row: QualityVerb) -> None:
        super().__init__(context, row.key, row.title, unit=row.unit, describe=row.describe)
        self.row = row
        self.judges = True
        self.ended = self._ended

    @property
    def _interpreter(self) -> Path | None:
        return self._context.training_python if self.row.trains else self._context.python

    @property
    def _out(self) -> Path:
        return self._context.absolute(self._context.values.good[f"{self.row.key}.out"])

    def problem(self) -> str:
        """Why it cannot be started; empty where it can."""
        if self._interpreter is None:
            return self._context.no_python("torch" if self.row.trains else "regolith-lunar")
        values, key = self._context.values, self.row.key
        verb = values.models[key]
        problem = values.problem(key)
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

    def judge(self) -> None:
        """Run it on what is entered."""
        verb, context, out = self._context.values.models[self.row.key], self._context, self._out
        assert isinstance(verb, Verb)
        try:
            self._check_marked(verb)
        except InputError as error:
            self.fail(error)
            return
        arguments = context.arguments(verb, **({"model": context.model} if self.row.takes_model else {}))
        events = ["--events"] if self.row.unit else []
        details = {"out": str(out)}
        self.begin(self.row.verb, [*arguments, *events], details, writes=out, python=self._interpreter)
        self.work.folder = out

    def _ended(self, state: WorkState) -> None:
        lines = self._table()
        if lines:
            self.work.log.clear()
            self.work.log.extend(lines)
            self._context.changed("work", self.work.key)
        level = "error" if state == "failed" else "info"
        self._context.host.notify(f"{self.work.title} {state}: {self.work.text}", level)

    def _table(self) -> list[str]:
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


def quality_works(context: PanelContext) -> tuple[QualityWork, ...]:
    """Make the work of every verb.

    Args:
        context: Of the panel.
    """
    return tuple(QualityWork(context, row) for row in QUALITY)
