"""The report of a check: one JSON file, whole after every step, whoever ends it.

{schema, regolith, host, system, status, isaac_sim, steps: [{name, shows, state, seen, seconds, values}]}
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from regolith.lunar import __version__
from regolith.lunar.files import write_json
from regolith.lunar.params.errors import one_line
from regolith.lunar.reading import read_json

SCHEMA = 1
REPORT = "rtx_check.json"
START = ("start", "Isaac Sim starts, and has what this tool needs")
"""Name of the step that comes before all of a headless check, and what it shows."""

State = Literal["not run", "running", "ok", "absent", "failed"]


class Report:
    """The report in a folder; every change is written at once."""

    def __init__(self, path: Path, data: dict[str, Any]) -> None:
        self.path, self.data = path, data

    @classmethod
    def begin(cls, folder: Path, host: Literal["headless", "app"], steps: Iterable[tuple[str, str]]) -> Report:
        """Begin one with no step run.

        Args:
            folder: Where it lies.
            host: Where the steps run.
            steps: Name of each step, and what it shows.
        """
        unrun = {"state": "not run", "seen": "", "seconds": 0.0, "values": {}}
        report = cls(
            folder / REPORT,
            {
                "schema": SCHEMA,
                "regolith": __version__,
                "host": host,
                "system": platform.platform(),
                "python": platform.python_version(),
                "begun": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "status": "running",
                "steps": [{"name": name, "shows": shows, **unrun} for name, shows in steps],
            },
        )
        report.write()
        return report

    @classmethod
    def read(cls, folder: Path) -> Report:
        """Go on with the one in a folder.

        Raises:
            OSError, ValueError: There is none.
        """
        return cls(folder / REPORT, read_json(folder / REPORT))

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The steps in order."""
        return self.data["steps"]

    def failed(self) -> list[str]:
        """Names of the steps that did not hold, or were not come to."""
        return [step["name"] for step in self.steps if step["state"] not in ("ok", "absent")]

    def note(
        self, name: str, state: State, seen: str = "", *, seconds: float = 0.0, values: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Note what came of a step.

        Args:
            name: Its name.
            state: What it came to; `absent` where what it looks at is not there, and the rest works without.
            seen: What was seen, brought to one line.
            seconds: How long it took [s].
            values: What was measured, as plain values.
        """
        step = next(step for step in self.steps if step["name"] == name)
        step.update(state=state, seen=one_line(seen), seconds=round(seconds, 2), values=values or {})
        self.write()
        return step

    def end(self, unfinished: str) -> None:
        """Note the end.

        Args:
            unfinished: What there is to say of a step that was begun and never ended.
        """
        for step in self.steps:
            if step["state"] == "running":
                self.note(step["name"], "failed", unfinished)
        self.data["status"] = "ended early" if any(s["state"] == "not run" for s in self.steps) else "finished"
        self.write()

    def write(self) -> None:
        """Write it, whole or not at all."""
        write_json(self.path, self.data)


def step_line(step: dict[str, Any]) -> str:
    """A step in a line: `ok       black sky: …`."""
    return f"{step['state']:<8} {step['name']}: {step['seen'] or step['shows']}"
