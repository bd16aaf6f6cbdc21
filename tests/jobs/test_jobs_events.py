"""Events: what may be sent, and that nothing else is taken for one."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regolith.lunar.jobs.events import emit, format_event, parse_event

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(), JSON)
def test_events_survive_the_wire(text: str, extra: object) -> None:
    event = {"event": "note", "message": text, "extra": extra}
    line = format_event(event)
    assert "\n" not in line and line.isascii()
    assert parse_event(line) == event


@given(st.text() | JSON.map(json.dumps))
def test_anything_else_is_no_event(line: str) -> None:
    event = parse_event(line)
    assert event is None or "event" in event


@pytest.mark.parametrize(
    "event",
    [
        {"event": "progress", "done": 1},
        {"event": "progress", "done": True, "total": 2},
        {"event": "metric", "name": "iou", "value": "high"},
        {"event": "dance"},
        {"event": ["note"]},
        {"message": "x"},
    ],
)
def test_malformed_events_are_refused(event: dict) -> None:
    with pytest.raises(ValueError, match=r"."):
        format_event(event)
    assert parse_event(json.dumps(event)) is None


def test_log_lines_cannot_be_forged() -> None:
    assert parse_event('{"event":"log","line":"x","stream":"stdout"}') is None


def test_numbers_that_are_none_become_null() -> None:
    line = format_event({"event": "metric", "name": "loss", "value": float("nan"), "more": [float("inf"), 1.5]})
    assert json.loads(line) == {"event": "metric", "name": "loss", "value": None, "more": [None, 1.5]}


def test_emit_writes_one_line() -> None:
    stream = io.StringIO()
    emit({"event": "progress", "done": 1, "total": 2}, stream)
    assert stream.getvalue() == '{"event":"progress","done":1,"total":2}\n'
