"""Double of omni.kit.undo over the stacks of omni.kit.commands."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator

from omni.kit import commands


def get_undo_stack() -> deque[commands.Entry]:
    return commands._done


def get_redo_stack() -> deque[commands.Entry]:
    return commands._undone


@contextlib.contextmanager
def disabled() -> Iterator[None]:
    commands._off += 1
    try:
        yield
    finally:
        commands._off -= 1


def clear_stack() -> None:
    commands._done.clear()
    commands._undone.clear()


def can_undo() -> bool:
    return bool(commands._done)


def can_redo() -> bool:
    return bool(commands._undone)


def undo() -> bool:
    if not commands._done:
        return False
    entry = commands._done.pop()
    entry.command.undo()
    commands._undone.append(entry)
    return True


def redo() -> bool:
    if not commands._undone:
        return False
    entry = commands._undone.pop()
    entry.command.do()
    commands._done.append(entry)
    return True
