"""Companion processes: real children that report, crash, babble, linger and refuse to die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from regolith.lunar.jobs.companion import Companion, clean_environment

HEAD = "import sys, time, os, signal\nfrom regolith.lunar.jobs.events import emit\n"


def child(body: str, **options: object) -> Companion:
    return Companion([sys.executable, "-c", HEAD + body], **options)  # type: ignore[arg-type]


def gone(pid: int) -> bool:
    """Whether a process has ended, within a second; a zombie has."""
    for _ in range(50):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def test_events_arrive_in_order() -> None:
    with child("for i in range(500): emit({'event': 'progress', 'done': i, 'total': 500})") as companion:
        events = list(companion.events())
    assert [e["done"] for e in events] == list(range(500))
    assert companion.returncode == 0


def test_garbage_becomes_log_lines() -> None:
    body = (
        "print('hello'); print('{\"event\": \"dance\"}'); sys.stdout.buffer.write(b'\\xff\\xfe\\n')\n"
        "sys.stdout.flush(); emit({'event': 'note', 'message': 'ä'}); print('oops', file=sys.stderr)"
    )
    with child(body) as companion:
        events = list(companion.events())
    assert [e["event"] for e in events if e.get("stream") != "stderr"] == ["log", "log", "log", "note"]
    assert {"event": "log", "line": "oops", "stream": "stderr"} in events
    assert "oops" in companion.tail


def test_events_on_stderr_do_not_count() -> None:
    with child("emit({'event': 'note', 'message': 'x'}, sys.stderr)") as companion:
        assert [e["event"] for e in companion.events()] == ["log"]


def test_crash_leaves_status_and_tail() -> None:
    with child("emit({'event': 'note', 'message': 'x'}); raise RuntimeError('boom')") as companion:
        events = list(companion.events())
    assert {"event": "note", "message": "x"} in events
    assert companion.returncode == 1
    assert any("boom" in line for line in companion.tail)


def test_death_by_signal_is_seen() -> None:
    with child("os.kill(os.getpid(), signal.SIGKILL)") as companion:
        assert list(companion.events()) == []
    assert companion.returncode == -signal.SIGKILL


def test_cancel_lets_the_child_finish() -> None:
    body = (
        "def stop(*a):\n    emit({'event': 'done', 'status': 'interrupted'}); sys.exit(130)\n"
        "signal.signal(signal.SIGTERM, stop); emit({'event': 'note', 'message': 'ready'})\ntime.sleep(60)"
    )
    with child(body) as companion:
        stream = companion.events()
        assert next(stream)["message"] == "ready"
        assert companion.cancel(grace_s=20) == 130
        assert next(stream) == {"event": "done", "status": "interrupted"}


def test_stubborn_child_is_killed_with_its_children() -> None:
    body = (
        "import subprocess\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import signal, time; signal.signal(15, 1); time.sleep(60)'])\n"
        "emit({'event': 'metric', 'name': 'pid', 'value': p.pid}); time.sleep(60)"
    )
    with child(body) as companion:
        grandchild = next(companion.events())["value"]
        assert companion.cancel(grace_s=0.3) == -signal.SIGKILL
    assert gone(grandchild)


def test_leaving_the_block_ends_the_child() -> None:
    with child("emit({'event': 'note', 'message': 'ready'}); time.sleep(60)") as companion:
        next(companion.events())
    assert companion.returncode == -signal.SIGTERM
    assert gone(companion.pid)


def test_grandchild_holding_the_pipe_does_not_hang_the_reader() -> None:
    """The reader is through while the grandchild still holds the pipe."""
    body = (
        "import subprocess\nheld = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "emit({'event': 'note', 'message': str(held.pid)})"
    )
    with child(body) as companion:
        (event,) = companion.events(linger_s=0.3)
        assert psutil.Process(int(event["message"])).status() != psutil.STATUS_ZOMBIE
        companion.cancel()


def test_chatty_child_does_not_block_on_a_full_pipe() -> None:
    with child("for _ in range(20000): print('y' * 99, file=sys.stderr)") as c:
        assert c.wait(240) == 0


def test_polling_never_waits() -> None:
    """Neither looking for events nor a short wait outlasts the child, which goes on."""
    with child("time.sleep(600)") as companion:
        assert companion.poll_events() == []
        with pytest.raises(TimeoutError):
            companion.wait(0.01)
        assert companion.returncode is None and psutil.Process(companion.pid).status() != psutil.STATUS_ZOMBIE


def test_unknown_program_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="none"):
        Companion([tmp_path / "none"])


def test_environment_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "PYTHONPATH",
        "PYTHONHOME",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "CARB_X",
        "OMNI_Y",
        "COLCON_Z",
        "ROS_DISTRO",
    ):
        monkeypatch.setenv(name, "bad")
    monkeypatch.setenv("HF_HOME", "kept")
    env = clean_environment({"LD_LIBRARY_PATH": "/chosen"})
    assert "bad" not in env.values()
    assert (env["HF_HOME"], env["LD_LIBRARY_PATH"], env["PYTHONUNBUFFERED"]) == ("kept", "/chosen", "1")
    assert env["PATH"] == os.environ["PATH"]
    with Companion([sys.executable, "-c", "import os; print(os.environ.get('PYTHONPATH'))"]) as companion:
        assert [e["line"] for e in companion.events()] == ["None"]


def test_the_folder_we_are_in_is_not_on_a_childs_path(shadowing: Path) -> None:
    """Nor on that of its own children."""
    code = "import sys, subprocess, random, training, regolith.lunar.jobs; print(sys.path, flush=True)\n"
    code += "raise SystemExit(subprocess.call([sys.executable, '-m', 'regolith.lunar.cli', '--version']))"
    with Companion([sys.executable, "-c", code]) as companion:
        path, version = [event["line"] for event in companion.events()]
    assert companion.returncode == 0 and version.startswith("regolith.lunar ")
    assert "''" not in path and str(shadowing) not in path


def test_child_does_not_read_our_input() -> None:
    with child("emit({'event': 'note', 'message': repr(sys.stdin.read())})") as companion:
        assert next(companion.events())["message"] == "''"


def test_terminal_interrupt_reaches_only_the_launcher() -> None:
    with child("emit({'event': 'metric', 'name': 'group', 'value': os.getpgrp()}); time.sleep(60)") as companion:
        assert next(companion.events())["value"] == companion.pid != os.getpgrp()


def test_companion_needs_no_gui_and_no_torch() -> None:
    heavy = ("torch", "viser", "omni", "onnxruntime")
    code = f"import sys, regolith.lunar.jobs.companion; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
