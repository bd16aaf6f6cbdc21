"""What a verb may raise at a user: bad input, or a check that does not hold."""

from __future__ import annotations

import errno
import re
import reprlib
import unicodedata
from typing import Any

LINE_MAX = 290
"""Longest line of an error in characters: with the program's name before it at most 300."""

FULL = "make room there or name another place, and run the same command again"
ELSEWHERE = "name another place"
UNFIT = {
    errno.ENOSPC: FULL, errno.EDQUOT: FULL, errno.EFBIG: "raise the limit on the size of files, or " + FULL,
    errno.EROFS: ELSEWHERE, errno.EACCES: ELSEWHERE, errno.EPERM: ELSEWHERE, errno.ENOTDIR: ELSEWHERE,
    errno.ENOENT: ELSEWHERE, errno.ENODEV: ELSEWHERE,
    errno.EEXIST: ELSEWHERE, errno.ELOOP: ELSEWHERE, errno.ENAMETOOLONG: ELSEWHERE, errno.ENXIO: ELSEWHERE,
    errno.EISDIR: "a folder has that name; " + ELSEWHERE,
}  # fmt: skip
"""Errors of a place that cannot take what is written to it, and what to do: no room, no permission, something else in
a file's place."""


def one_line(text: str, length: int = LINE_MAX) -> str:
    """Return a text as one line without control characters; what is too long is cut in the middle."""
    text = re.sub(r"\s*[\t-\r\x1c-\x1e\x85\u2028\u2029]\s*", " ", text).strip()
    if not text.isprintable():
        shown = (c if c.isprintable() or unicodedata.category(c) == "Zs" else c.encode("unicode_escape") for c in text)
        text = "".join(c if isinstance(c, str) else c.decode() for c in shown)
    if len(text) <= length:
        return text
    tail = length // 3
    return f"{text[: length - tail - 1]}…{text[-tail:]}"


class _Brief(reprlib.Repr):
    """Writes values of any size and depth without walking through all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxstring = self.maxother = 3 * LINE_MAX  # `one_line` takes the middle out, and this mark of a cut with it
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 12

    def repr_int(self, x: int, level: int) -> str:
        """Write a whole number, or how long it is."""
        return repr(x) if x.bit_length() <= 256 else f"a whole number of {x.bit_length()} bits"


_BRIEF = _Brief()


def _shared(parts: list[str], length: int) -> list[str]:
    """Bring texts to a length together: each keeps an equal share at least, and what the others leave."""
    parts = [one_line(part, length) for part in parts]
    for number, part in enumerate(sorted(parts, key=len)):
        share = length // (len(parts) - number)
        if len(part) > share:
            return [one_line(part, share) for part in parts]
        length -= len(part)
    return parts


class InputError(ValueError):
    """Input that cannot be used: one line naming the field, its value and what is allowed (exit code 2).

    A value of None says that the field is missing. The line has at most `LINE_MAX` characters.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field, self.value, self.allowed = field, value, allowed
        verdict = "missing" if value is None else " is not allowed"
        parts = [field, "" if value is None else _BRIEF.repr(value), allowed]
        name, given, allowed = _shared(parts, LINE_MAX - len(f": {verdict}; allowed: "))
        super().__init__(f"{name}: {given}{verdict}; allowed: {allowed}")

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
        error.args = (one_line(line),)
        return error

    @classmethod
    def from_system(cls, error: OSError, field: str = "file") -> InputError | None:
        """Say of an error of the system which place it is about and what to do; None where it is no place's fault."""
        if error.errno not in UNFIT:
            return None
        return cls(field, str(error.filename or "what is written"), f"a place that can be used {system_words(error)}")


def system_words(error: OSError) -> str:
    """Say what is wrong with a place (`UNFIT`), and what to do."""
    return f"({error.strerror}); {UNFIT.get(error.errno or 0, ELSEWHERE)}"


class CheckError(Exception):
    """The thing that was checked does not hold (exit code 1)."""

    def __init__(self, message: str, result: dict[str, Any] | None = None) -> None:
        self.result = result
        """The verb's result, where the check failed only after all work was done."""
        super().__init__(message, result)

    def __str__(self) -> str:
        return str(self.args[0])
