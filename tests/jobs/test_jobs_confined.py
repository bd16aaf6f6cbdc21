"""A confined process is held to its memory and its time, and how it ends is told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from regolith.lunar.jobs import confined
from regolith.lunar.jobs.confined import LimitError, run_confined

BEGIN = (
    "import sys, time\nfrom regolith.lunar.jobs.confined import begin\nfrom regolith.lunar.jobs.events import emit\n"
)
BEGIN += "begin(int(sys.argv[2]))\n"
DONE = "emit({'event': 'done', 'status': 'finished'})\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run some code confined, with the word `word` as its argument."""

    def run(code: str) -> None:
        (tmp_path / "confined_work.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)
        run_confined("confined_work", ["word"], most_bytes=300 << 20, most_cpu_s=0.5)

    return run


def test_what_keeps_within_its_limits_is_done(run) -> None:
    """Time before it begins does not count, and what it says beside does no harm."""
    spent = "import time\nwhile time.process_time() < 1: pass\n"
    run(spent + BEGIN + "assert sys.argv[1] == 'word'\nprint('{')\nheld = bytes(1 << 20)\n" + DONE)


@pytest.mark.parametrize(
    "code", ["while True: pass", "held = b'x' * (1 << 33)", "held = [b'x' * (1 << 24) for _ in range(1000)]"]
)
def test_what_takes_more_is_ended(run, code: str) -> None:
    with pytest.raises(LimitError):
        run(BEGIN + code + "\n" + DONE)


def test_what_only_waits_is_ended(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confined, "WALL_S", 2.0)
    with pytest.raises(LimitError):
        run(BEGIN + "time.sleep(1000)\n" + DONE)


@pytest.mark.parametrize(
    ("code", "begun"), [(BEGIN + "import os\nos.abort()\n", True), ("raise ImportError('no such')\n", False)]
)
def test_what_ends_by_itself_says_when(run, code: str, begun: bool) -> None:
    with pytest.raises(ChildProcessError) as raised:
        run(code)
    line, had_begun = raised.value.args
    assert had_begun is begun and (begun or line == "ImportError: no such")
