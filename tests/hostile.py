"""Hostile values, and small real files with one of their values changed to such a one, digests kept valid."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from regolith.lunar.params import InputError
from regolith.lunar.params.errors import LINE_MAX

EXAMPLES = int(os.environ.get("REGOLITH_EXAMPLES", "0"))
"""Changed files a test looks at; few where it is not set, and then the same ones each time."""


def examples(few: int) -> settings:
    """Settings of a test: so many files, or as many as the environment asks for."""
    health = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=EXAMPLES or few, derandomize=not EXAMPLES, deadline=None, suppress_health_check=health)


DEEP: Any = []
for _ in range(60):
    DEEP = [DEEP]
VALUES = st.one_of(
    st.sampled_from(
        [None, True, -1, 0, 7, 10**12, 10**300, 2**64, "", "x" * 2000, "\x1b[31m\n\u202e", "nan", {}, [], DEEP,
         {"": {}}, float("nan"), float("inf"), -1e300, "../../etc/passwd", "/dev/zero", "2001-01-01", [[1], [1, 2]]]
    ),
    st.text(max_size=8),
    st.integers(),
    st.floats(),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip
"""Values a file may hold in place of what belongs there."""


def places(data: Any) -> list[tuple[Any, Any]]:
    """Every dictionary or list in some data, with each of its keys."""
    keys = list(data) if isinstance(data, dict) else list(range(len(data))) if isinstance(data, list) else []
    return [(data, key) for key in keys] + [found for key in keys for found in places(data[key])]


@st.composite
def changed(draw: st.DrawFn, data: dict[str, Any]) -> dict[str, Any]:
    """Data with a value or two replaced, taken out or put in, at any depth."""
    data = copy.deepcopy(data)
    for _ in range(draw(st.integers(1, 2))):
        found = places(data)
        if not found:
            break
        place, key = draw(st.sampled_from(found))
        how = draw(st.sampled_from(["replace", "replace", "replace", "remove", "add"]))
        if how == "remove":
            del place[key]
        elif how == "add" and isinstance(place, dict):
            place[draw(st.text(max_size=4))] = copy.deepcopy(draw(VALUES))
        else:
            place[key] = copy.deepcopy(draw(VALUES))
    return data


@st.composite
def torn(draw: st.DrawFn, content: bytes) -> bytes:
    """Content of a file with bits flipped, cut off, or with something put in."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 8))):
        found[draw(st.integers(0, len(found) - 1))] ^= 1 << draw(st.integers(0, 7))
    if draw(st.integers(0, 3)) == 0:
        del found[draw(st.integers(0, len(found))) :]
    if draw(st.integers(0, 3)) == 0:
        where = draw(st.integers(0, len(found)))
        found[where:where] = draw(st.binary(max_size=64))
    return bytes(found)


def right_or_one_line(read: Callable[[], Any], *more: type[Exception]) -> bool:
    """Whether a file was read; refused, it was by one line of bounded length without control characters.

    Args:
        read: Reads it.
        more: Other errors that the function promises.
    """
    try:
        read()
    except (InputError, *more) as error:
        line = str(error)
        assert line.isprintable() and 0 < len(line) <= LINE_MAX + len(str(Path.cwd())), line
        return False
    return True
