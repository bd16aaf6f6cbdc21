"""Double of omni.kit.undo over the stack of omni.kit.commands."""

from __future__ import annotations

from omni.kit import commands


def can_undo() -> bool:
    return bool(commands._done)


def can_redo() -> bool:
    return bool(commands._undone)


def undo() -> bool:
    if not commands._done:
        return False
    command = commands._done.pop()
    command.undo()
    commands._undone.append(command)
    return True


def redo() -> bool:
    if not commands._undone:
        return False
    command = commands._undone.pop()
    command.do()
    commands._done.append(command)
    return True
