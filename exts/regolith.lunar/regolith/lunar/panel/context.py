"""What every line of work of the panel shares: the host, the values, the observers, the interpreters."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import regolith.lunar
from regolith.lunar.panel.forms import OUTPUTS
from regolith.lunar.panel.host import Host, Pick, Task
from regolith.lunar.panel.observe import Change, ChangeKind, Observers
from regolith.lunar.panel.values import Values
from regolith.lunar.params import CheckError, InputError, Verb, as_text, field_extra
from regolith.lunar.perception.apollo_masks import APOLLO
from regolith.lunar.perception.model_files import shipped_models
from regolith.lunar.system import PYTHON

NAME_BYTES, PATH_BYTES = 255, 4096 - 512
"""Longest name, and longest path that leaves room for the files below it, on the systems this runs on."""
CANCELLED = (asyncio.CancelledError, concurrent.futures.CancelledError)


@dataclasses.dataclass(eq=False)
class PanelContext:
    """Shared by the panel's model and its lines of work."""

    host: Host
    clock: Callable[[], float]
    values: Values
    """Everything entered, as it is now."""
    observers: Observers = dataclasses.field(default_factory=Observers)
    _waiting: list[tuple[Task, Callable[[Any], object]]] = dataclasses.field(default_factory=list)

    def changed(self, kind: ChangeKind, *keys: str) -> None:
        """Tell the observers."""
        self.observers.send(Change(kind, frozenset(keys)))

    def after(self, task: Task, then: Callable[[Any], object]) -> None:
        """Call a function with a task's result once it is there; a failure is shown to the user instead."""
        self._waiting.append((task, then))

    def choose(self, pick: Pick, chosen: Callable[[Path], object]) -> None:
        """Let the user choose a path and hand it on; where none can be chosen, the user is told why."""
        self.after(self.host.pick_path(pick), lambda place: place is not None and chosen(place))

    def tick(self) -> None:
        """Look at the tasks that are waited for."""
        for entry in [entry for entry in self._waiting if entry[0].done()]:
            self._waiting.remove(entry)
            task, then = entry
            try:
                result = task.result()
            except CANCELLED:
                continue
            except Exception as error:
                self.host.notify(say(error), "error")
                continue
            then(result)

    def drop(self) -> None:
        """Wait for nothing any more."""
        for task, _ in self._waiting:
            task.cancel()
        self._waiting.clear()

    # -- companions ---------------------------------------------------------------------------------------------------

    @property
    def training_python(self) -> Path | None:
        """Interpreter of training: the one that was picked, or the one found here."""
        picked = self.values.good["companion.python"]
        return picked if picked is not None else find_python(self.host.python)

    @property
    def python(self) -> Path | None:
        """Interpreter of all other companions."""
        return self.host.python or self.training_python

    @property
    def model(self) -> str:
        """Model of preview and evaluation, as a companion finds it."""
        return self._place("model", Path(self.values.good["model.path"]))

    def no_python(self, what: str = "torch") -> str:
        """Line for the user where there is no interpreter.

        Args:
            what: What has to be installed in it.
        """
        where = "named by REGOLITH_PYTHON" if "companion.python" in self.host.withheld else "chosen under Training"
        return f"python: missing; allowed: a Python with {what}, {where}"

    def absolute(self, path: Path) -> Path:
        """A path as entered; a relative one lies in the data folder, wherever this process was started."""
        return self.host.data_folder / path

    def refuse(self, path: str, value: Any) -> str:
        """What a field allows where the host confines what is written and the value leaves that; empty where it may be.

        Args:
            path: Of the field.
            value: What is entered there, not None.
        """
        return self._elsewhere(Path(value)) if path in OUTPUTS else ""

    def check_inside(self, name: str, path: Path) -> None:
        """Refuse to write where the host does not allow it; asked again before anything is written, for links move.

        Args:
            name: What the error calls it.
            path: File or folder to be written; it need not exist.

        Raises:
            InputError: The host does not allow it.
        """
        allowed = self._elsewhere(path)
        if allowed:
            raise InputError(name, str(path), allowed)

    def _elsewhere(self, path: Path) -> str:
        """What is allowed instead of a path that the host does not let be written; empty where it does."""
        if _too_long(self.absolute(path)):
            return f"a path of at most {PATH_BYTES} bytes, each name in it of at most {NAME_BYTES}"
        root = self.host.confine
        if root is None:
            return ""
        try:
            place = self.absolute(path).resolve()
        except (OSError, RuntimeError, ValueError):  # a ring of links, a NUL character
            return f"a path inside {root}"
        if not place.is_relative_to(root.resolve()):
            return f"a path inside {root}"
        for folder in (*self.host.protected, self.host.runs_folder):
            if place.is_relative_to(folder.resolve()):
                return f"a path outside {folder}, which the program keeps for itself"
        return ""

    def arguments(self, verb: Verb, /, **changes: Any) -> list[str]:
        """Arguments of a verb of the command line: every field that differs from its default.

        Args:
            verb: The verb.
            changes: Values that take the place of its own.
        """
        positional: list[str] = []
        flags: list[str] = []
        for name, info in type(verb).model_fields.items():
            value = changes.get(name, getattr(verb, name))
            if name in Verb.model_fields or value is None or (value == info.default and name not in changes):
                continue
            extra = field_extra(info)
            text = self._place(name, value) if isinstance(value, Path) else as_text(value)
            flag = "--" + (extra.get("flag") or name).replace("_", "-")
            if extra.get("positional"):
                positional.append(text)
            elif isinstance(value, bool):
                flags.append(flag if value else flag.replace("--", "--no-", 1))
            else:
                flags.append(f"{flag}={text}")
        return positional + flags

    def _place(self, name: str, path: Path) -> str:
        return str(path) if ships(name, path) else str(self.absolute(path))


def ships(name: str, path: Path) -> bool:
    """Whether what a field of that name has is no path, but the name of something that ships."""
    return (name == "masks" and str(path) == APOLLO) or (name == "model" and str(path) in shipped_models())


def find_python(host: Path | None) -> Path | None:
    """Return the interpreter of companions where none was picked; None where there is none.

    `REGOLITH_PYTHON`, the host's, this process's own where it is a Python (in Kit it is not), `PYTHON` on the path.
    """
    own = Path(sys.executable or "")
    found = os.environ.get("REGOLITH_PYTHON") or host or (own if own.name.startswith("python") else None)
    found = found or shutil.which(PYTHON)
    return Path(found) if found else None


def package_environment() -> dict[str, str]:
    """Variables that let any interpreter import this very `regolith.lunar`, and `training` beside it.

    Where the package is not in an extension folder, the interpreter has its own installed.
    """
    extension = Path(regolith.lunar.__file__).resolve().parents[2]
    if not (extension / "config" / "extension.toml").is_file():
        return {}
    root = extension.parents[1]
    places = [extension, *([root] if (root / "training" / "train.py").is_file() else [])]
    return {"PYTHONPATH": os.pathsep.join(map(str, places))}


def _too_long(path: Path) -> bool:
    """Whether a system would fail at a path, instead of finding that it is not there."""
    sizes = [len(text.encode("utf-8", "surrogatepass")) for text in (str(path), *path.parts)]
    return sizes[0] > PATH_BYTES or max(sizes[1:]) > NAME_BYTES


def say(error: BaseException) -> str:
    """One line of an error, as the command line says it."""
    if isinstance(error, (InputError, CheckError)):
        return str(error)
    line = " ".join(str(error).split())
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
