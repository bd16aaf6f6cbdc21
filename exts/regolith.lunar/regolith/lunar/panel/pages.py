"""Reports: pages on a dataset, an evaluation and a training, written by a companion where they are not up to date."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from regolith.lunar.dataset.layout import JOURNAL
from regolith.lunar.panel.context import PanelContext
from regolith.lunar.panel.generate_work import GenerateWork
from regolith.lunar.panel.train_work import TrainWork, VerbWork
from regolith.lunar.panel.work import WorkState

PageKind = Literal["report", "evaluation_report", "training_report"]
RESULTS, METRICS, SUMMARY = "results.json", "metrics.jsonl", "summary.json"


@dataclasses.dataclass(frozen=True)
class Page:
    """A page, and what it is made of."""

    verb: str
    folder: Path
    name: str
    sources: tuple[str, ...]
    """Files in the folder; the page is up to date where it is as new as all of them that are there."""

    @property
    def path(self) -> Path:
        """The HTML file."""
        return self.folder / self.name

    @property
    def current(self) -> bool:
        """Whether it is there and up to date."""
        written = modified(self.path)
        return written is not None and all(written >= (modified(self.folder / name) or 0.0) for name in self.sources)


class Pages:
    """The pages; one is written at a time."""

    def __init__(
        self, context: PanelContext, training: TrainWork, generate: GenerateWork, evaluation: Callable[[], Path | None]
    ) -> None:
        """Make them.

        Args:
            context: Of the panel.
            training: Whose runs have pages.
            generate: Whose splits have cards.
            evaluation: Returns the folder of the last evaluation, where there is one.
        """
        self._context, self._training, self._generate, self._evaluation = context, training, generate, evaluation
        self.run = VerbWork(context, "report", "Report", unit="frames", describe=lambda result: "page written")
        self.run.ended = self._ended
        self._written: Page | None = None
        """The page that is being written for this session."""

    def _page(self, kind: PageKind) -> Page | None:
        if kind == "report":
            split = self._generate.split
            found = split is not None and modified(split / JOURNAL) is not None
            return Page("card", split, "card.html", (JOURNAL,)) if split is not None and found else None
        if kind == "evaluation_report":
            folder, needed = self._evaluation(), RESULTS
        else:
            folder, needed = self._training.out or self._entered_training(), METRICS
        found = folder is not None and modified(folder / needed) is not None
        return Page("report", folder, "report.html", (RESULTS, METRICS, SUMMARY)) if folder and found else None

    def _entered_training(self) -> Path | None:
        out = self._context.values.good["training.out"]
        return None if out is None else self._context.absolute(out)

    def writing(self, kind: PageKind) -> bool:
        """Whether this page is being written."""
        return self.run.work.active and self.run.run is not None and self.run.run.details.get("kind") == kind

    def problem(self, kind: PageKind) -> str:
        """Why there is no page to open; empty where there is one, or one can be written."""
        if self.run.work.active:
            return "another page is being written"
        missing = {"report": "exported", "evaluation_report": "evaluated", "training_report": "trained"}[kind]
        return "" if self._page(kind) is not None else f"nothing is {missing} yet"

    def open(self, kind: PageKind) -> None:
        """Open a page, written first where it is older than what it shows."""
        page = self._page(kind)
        if page is None:
            return
        if page.current:
            self._context.host.open_path(page.path)
            return
        events = ["--events"] if page.verb == "card" else []
        self._written, details = page, {"kind": kind}
        self.run.begin(page.verb, [str(page.folder), *events], details, writes=page.path)
        self.run.work.folder = page.folder

    def _ended(self, state: WorkState) -> None:
        if state == "finished" and self._written is not None:  # no path of a record is opened
            self._context.host.open_path(self._written.path)
        elif state == "failed":
            self._context.host.notify(self.run.work.text, "error")


def modified(path: Path) -> float | None:
    """When a file was written last [s since the epoch]; None where there is none, or none can be looked at."""
    try:
        return path.stat().st_mtime
    except OSError:
        return None
