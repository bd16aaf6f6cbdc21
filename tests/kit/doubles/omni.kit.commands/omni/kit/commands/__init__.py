"""Double of omni.kit.commands: registry, execution and the stacks `omni.kit.undo` reads."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple


class Command:
    """Base class; a subclass with `undo` goes on the stack."""

    def do(self) -> Any:
        raise TypeError(f"{type(self).__name__} has no do()")


class Entry(NamedTuple):
    """A step on a stack."""

    command: Command
    name: str
    level: int
    history_key: int


_registry: dict[str, type[Command]] = {}
_done: deque[Entry] = deque()
_undone: deque[Entry] = deque()
_off = 0
"""How many `omni.kit.undo.disabled` are open."""


def _name(command: type[Command]) -> str:
    return command.__name__.removesuffix("Command")


def register(command_class: type[Command]) -> None:
    if not issubclass(command_class, Command):
        raise TypeError(f"{command_class} is no Command")
    if _name(command_class) in _registry:
        raise ValueError(f"command {_name(command_class)} is registered twice")
    _registry[_name(command_class)] = command_class


def unregister(command_class: type[Command]) -> None:
    """What was done stays on the stacks, as it does in Kit."""
    del _registry[_name(command_class)]


def execute(name: str, **arguments: Any) -> tuple[bool, Any]:
    command_class = _registry.get(name.removesuffix("Command"))
    if command_class is None:
        raise KeyError(f"command {name} is not registered")
    command = command_class(**arguments)
    result = command.do()
    if hasattr(command, "undo") and not _off:
        _done.append(Entry(command, _name(command_class), 0, len(_done)))
        _undone.clear()
    return True, result
