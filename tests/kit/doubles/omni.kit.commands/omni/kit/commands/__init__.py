"""Double of omni.kit.commands: registry, execution and the stack `omni.kit.undo` reads."""

from __future__ import annotations

from typing import Any


class Command:
    """Base class; a subclass with `undo` goes on the stack."""

    def do(self) -> Any:
        raise NotImplementedError


_registry: dict[str, type[Command]] = {}
_done: list[Command] = []
_undone: list[Command] = []


def _name(command: type[Command]) -> str:
    return command.__name__.removesuffix("Command")


def register(command_class: type[Command]) -> None:
    if not issubclass(command_class, Command):
        raise TypeError(f"{command_class} is no Command")
    if _name(command_class) in _registry:
        raise ValueError(f"command {_name(command_class)} is registered twice")
    _registry[_name(command_class)] = command_class


def unregister(command_class: type[Command]) -> None:
    del _registry[_name(command_class)]
    for stack in (_done, _undone):
        stack[:] = [command for command in stack if not isinstance(command, command_class)]


def execute(name: str, **arguments: Any) -> tuple[bool, Any]:
    command_class = _registry.get(name.removesuffix("Command"))
    if command_class is None:
        raise KeyError(f"command {name} is not registered")
    command = command_class(**arguments)
    result = command.do()
    if hasattr(command, "undo"):
        _done.append(command)
        _undone.clear()
    return True, result
