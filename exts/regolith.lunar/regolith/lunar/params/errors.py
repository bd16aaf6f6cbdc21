"""What a verb may raise at a user: bad input, or a check that does not hold."""

from __future__ import annotations

from typing import Any


class InputError(ValueError):
    """Input that cannot be used: one line naming the field, its value and what is allowed (exit code 2).

    A value of None says that the field is missing.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field, self.value, self.allowed = field, value, allowed
        given = "missing" if value is None else f"{value!r} is not allowed"
        super().__init__(f"{field}: {given}; allowed: {allowed}")

    def __reduce__(self) -> tuple[Any, ...]:
        return InputError._rebuild, (self.field, self.value, self.allowed, self.args)

    @staticmethod
    def _rebuild(field: str, value: object, allowed: str, args: tuple[Any, ...]) -> InputError:
        error = InputError(field, value, allowed)
        error.args = args
        return error

    @classmethod
    def from_line(cls, line: str) -> InputError:
        """Rebuild an error from its line, as a companion process reports it."""
        error = cls("", None, "")
        error.args = (line,)
        return error


class CheckError(Exception):
    """The thing that was checked does not hold (exit code 1)."""

    def __init__(self, message: str, result: dict[str, Any] | None = None) -> None:
        self.result = result
        """The verb's result, where the check failed only after all work was done."""
        super().__init__(message, result)

    def __str__(self) -> str:
        return str(self.args[0])
