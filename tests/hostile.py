"""Hostile values, small real files with one of theirs changed to such a one, and what reading these may take."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from regolith.lunar.dataset.chunk import peak_bytes
from regolith.lunar.params import InputError
from regolith.lunar.params.errors import LINE_MAX

CPU_S = 2.0
"""Most processor time that a file may take, read or refused [s]."""
HELD_BYTES = 1 << 30
"""Most memory that a file may take beside what the process holds already."""
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


@dataclasses.dataclass(frozen=True)
class _Reading:
    right: bool
    cpu_s: float
    held_bytes: int


def _read(read: Callable[[], Any], refusals: tuple[type[Exception], ...]) -> _Reading:
    before, began = _mark_bytes(), time.process_time()
    try:
        read()
        line = None
    except refusals as error:
        line = str(error)
    found = _Reading(line is None, time.process_time() - began, peak_bytes() - before)
    if line is not None:
        assert line.isprintable() and 0 < len(line) <= LINE_MAX + len(str(Path.cwd())), line
    return found


def _mark_bytes() -> int:
    """Set the mark of this process's largest resident memory back to what is resident now, and return that [bytes].

    Where the system does not (it takes Linux 4.0 and a `/proc` to write to), the mark counts from the process's start:
    what the call holds is underestimated.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # proc_pid_clear_refs(5)
    return peak_bytes()


def right_or_one_line(read: Callable[[], Any], *more: type[Exception]) -> bool:
    """Whether a file was read; refused, it was by one line of bounded length without control characters.

    Either takes at most `CPU_S` and `HELD_BYTES`. Processor time is what counts, as no test knows how long it waits for
    a core. Neither modules that the call is the first to load nor a processor shared with others are of the file, so
    it is read once more.

    Args:
        read: Reads it.
        more: Other errors that the function promises.
    """
    modules = len(sys.modules)
    found = _read(read, (InputError, *more))
    if len(sys.modules) > modules or found.cpu_s > CPU_S:
        found = _read(read, (InputError, *more))
    assert found.cpu_s <= CPU_S, f"{found.cpu_s:.1f} s of processor time"
    assert found.held_bytes <= HELD_BYTES, f"{found.held_bytes >> 20} MiB"
    return found.right
