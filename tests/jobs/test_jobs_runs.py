"""Runs: real children that outlive their launcher, are found again, resume, lie about their id, and die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regolith.lunar.jobs import runs
from regolith.lunar.jobs.events import Event
from regolith.lunar.jobs.runs import Run, find_runs, new_folder, prune_runs
from regolith.lunar.system import birth, foreign_owner

HEAD = "import sys, time, os, signal\nfrom regolith.lunar.jobs.events import emit\n"
COUNTER = """
from pathlib import Path
place = Path(sys.argv[1])
stop = []
signal.signal(signal.SIGTERM, lambda *a: stop.append(1))
done = int(place.read_text()) if place.exists() else 0
while done < int(sys.argv[2]) and not stop:
    done += 1
    place.write_text(str(done))
    emit({'event': 'progress', 'done': done, 'total': int(sys.argv[2])})
    time.sleep(0.02)
emit({'event': 'done', 'status': 'interrupted' if stop else 'finished'})
sys.exit(130 if stop else 0)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Start a run of Python code; whatever still runs at the end is killed."""
    made: list[Run] = []

    def begin(body: str, *arguments: object, kind: str = "test", **options: object) -> Run:
        command = [sys.executable, "-c", HEAD + body, *map(str, arguments)]
        made.append(Run.start(new_folder(tmp_path / "runs", kind), command, kind=kind, **options))  # type: ignore[arg-type]
        return made[-1]

    yield begin
    for run in made:
        run.kill()


def until(condition: Callable[[], object], seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def drain(run: Run) -> list[Event]:
    """Every event until the run has ended and is read to its end."""
    events: list[Event] = []
    end = time.monotonic() + 240
    while True:
        alive = run.alive  # before it is read, so that nothing written until then is missed
        new = run.poll()
        events += new
        if not alive and not new:
            break
        assert time.monotonic() < end
        time.sleep(0.01)
    return events


def test_events_and_status_of_a_run(start: Callable[..., Run]) -> None:
    run = start(
        "emit({'event': 'note', 'message': 'hi'}); print('plain'); print('oops', file=sys.stderr)",
        details={"model": "a.onnx"},
    )
    events = drain(run)
    assert {"event": "note", "message": "hi"} in events
    assert {"event": "log", "line": "plain", "stream": "stdout"} in events
    assert {"event": "log", "line": "oops", "stream": "stderr"} in events
    assert (run.state, run.status, run.details, run.kind) == ("finished", 0, {"model": "a.onnx"}, "test")


@pytest.mark.parametrize(
    ("body", "state", "status"),
    [("sys.exit(2)", "failed", 2), ("sys.exit(130)", "interrupted", 130), ("raise SystemExit('why')", "failed", 1)],
)
def test_state_follows_the_exit_status(start: Callable[..., Run], body: str, state: str, status: int) -> None:
    run = start(body)
    drain(run)
    assert (run.state, run.status) == (state, status)


def test_terminate_leaves_a_state_it_resumes_from(start: Callable[..., Run], tmp_path: Path) -> None:
    run = start(COUNTER, tmp_path / "count", 200)
    seen: list[Event] = []
    until(lambda: seen.extend(run.poll()) or len(seen) >= 5)
    run.terminate()
    seen += drain(run)
    stopped = int((tmp_path / "count").read_text())
    assert run.state == "interrupted" and seen[-1]["status"] == "interrupted" and 5 <= stopped < 200
    assert [event["done"] for event in seen[:-1]] == list(range(1, stopped + 1))
    again = start(COUNTER, tmp_path / "count", 200)
    until(lambda: any(event["event"] == "progress" for event in again.poll()))
    again.terminate()
    drain(again)
    assert int((tmp_path / "count").read_text()) > stopped


def test_run_survives_its_launcher_and_is_found_again(tmp_path: Path) -> None:
    """Another process starts a run, says so and is killed; we find the run, read all of it and stop it."""
    folder = tmp_path / "runs" / "one"
    command = [sys.executable, "-c", HEAD + COUNTER, str(tmp_path / "count"), "5000"]
    launcher = (
        "import sys, time\nfrom pathlib import Path\nfrom regolith.lunar.jobs.runs import Run\n"
        f"Run.start(Path({str(folder)!r}), {command!r}, kind='training')\nprint('up', flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", launcher], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        process.kill()
    (run,) = find_runs(tmp_path / "runs")
    try:
        assert run.state == "running" and run.kind == "training"
        seen: list[Event] = []
        until(lambda: seen.extend(run.poll()) or len(seen) >= 5)
        run.terminate()
        seen += drain(run)
        assert run.state == "interrupted" and run.status == 130
        assert [event["done"] for event in seen[:-1]] == list(range(1, len(seen)))
        assert Run.open(folder).state == "interrupted"
    finally:
        run.kill()


def test_detached_run_goes_on(start: Callable[..., Run], tmp_path: Path) -> None:
    run = start(COUNTER, tmp_path / "count", 5000)
    run.detach()
    again = Run.open(run.folder)
    assert again.state == "running"
    again.terminate()
    drain(again)
    assert again.state == "interrupted"


def test_killed_run_is_lost(start: Callable[..., Run], tmp_path: Path) -> None:
    run = start(COUNTER, tmp_path / "count", 5000)
    until((tmp_path / "count").exists)
    run.kill()
    drain(run)
    assert (run.state, run.status) == ("lost", None)


def test_stubborn_run_is_killed_with_its_children(start: Callable[..., Run]) -> None:
    run = start(
        "import subprocess\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "emit({'event': 'metric', 'name': 'pid', 'value': p.pid}); time.sleep(60)"
    )
    seen: list[Event] = []
    until(lambda: seen.extend(run.poll()) or seen)
    run.terminate()
    time.sleep(0.2)
    assert run.alive
    run.kill()
    until(lambda: not run.alive and birth(seen[0]["value"]) is None)
    assert run.state == "interrupted"  # it was asked to stop first


def test_process_that_only_has_the_number_is_not_ours(start: Callable[..., Run]) -> None:
    """A recycled process id: the run counts as lost, and nobody is signalled."""
    run = start("pass")
    drain(run)
    other = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        info = json.loads((run.folder / runs.RUN).read_text())
        (run.folder / runs.RUN).write_text(json.dumps(info | {"pid": other.pid}))
        (run.folder / runs.STATUS).unlink()
        again = Run.open(run.folder)
        assert again.state == "lost"
        again.terminate()
        again.kill()
        time.sleep(0.05)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("posing", ["another program", "the shell of another run", "a link to another run"])
def test_a_record_cannot_have_a_process_of_somebody_else_killed(
    start: Callable[..., Run], tmp_path: Path, posing: str
) -> None:
    """Id and birth are there for every user of a machine to read: they do not make a process a run's."""
    victim = start("time.sleep(60)")
    target = victim.pid
    folder = tmp_path / "hostile" / "one"
    if posing == "another program":
        target = subprocess.Popen(["sleep", "60"], start_new_session=True).pid
    (tmp_path / "hostile").mkdir()
    if posing == "a link to another run":
        folder.symlink_to(victim.folder)
        assert find_runs(tmp_path / "hostile") == []
        return
    folder.mkdir()
    record = {"kind": "generate", "details": {}, "pid": target, "birth": birth(target), "started": 1.0}
    (folder / runs.RUN).write_text(json.dumps(record))
    try:
        (run,) = find_runs(tmp_path / "hostile")
        assert not run.alive and run.state == "lost"
        run.terminate()
        run.kill()
        run.remove()
        time.sleep(0.05)
        assert birth(target) == record["birth"] and victim.alive
    finally:
        os.kill(target, signal.SIGKILL)


@pytest.mark.parametrize("pid", [0, 1, -1, 2**40, 10**90])
def test_a_record_cannot_have_our_own_group_or_everything_killed(tmp_path: Path, pid: int) -> None:
    for born in ("", birth(os.getpid())):
        record = {"kind": "generate", "details": {}, "pid": pid, "birth": born, "started": 1.0}
        (tmp_path / runs.RUN).write_text(json.dumps(record))
        run = Run.open(tmp_path)
        assert not run.alive
        run.terminate()
        run.kill()
    assert not (tmp_path / runs.STOP).exists()


def test_a_record_holds_nothing_that_is_executed(start: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "not to be written down")
    run = start("pass", details={"verb": "generate"}, env={"EXTRA": "1"})
    drain(run)
    record = json.loads((run.folder / runs.RUN).read_text())
    assert set(record) == {"kind", "details", "pid", "birth", "started"} and record["details"] == {"verb": "generate"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize("name", [runs.RUN, runs.STATUS, runs.EVENTS, runs.LOG])
def test_a_pipe_in_a_run_folder_is_not_waited_for(start: Callable[..., Run], tmp_path: Path, name: str) -> None:
    run = start("pass")
    drain(run)
    (run.folder / name).unlink()
    os.mkfifo(run.folder / name)
    found = find_runs(run.folder.parent)
    assert [(one.state, one.poll()) for one in found] == (
        [] if name == runs.RUN else [("lost" if name == runs.STATUS else "finished", [])]
    )


def stated(owner: int) -> Callable[[Path], os.stat_result]:
    """A look at a file that belongs to a given user."""
    return lambda path: os.stat_result((0o40755, 1, 1, 1, owner, 0, 0, 0, 0, 0))


def test_what_belongs_to_another_user_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    me, other = os.geteuid(), 54321
    monkeypatch.delenv("SUDO_UID", raising=False)
    assert foreign_owner(tmp_path) == "" and foreign_owner(tmp_path / "none") == ""
    assert foreign_owner(tmp_path, stated(me)) == "" and foreign_owner(tmp_path, stated(other)) == f"user {other}"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", str(other))
    assert foreign_owner(tmp_path, stated(other)) == "" and foreign_owner(tmp_path, stated(other + 1))
    monkeypatch.setattr(os, "geteuid", lambda: 77)
    assert foreign_owner(tmp_path, stated(other)) and foreign_owner(tmp_path, stated(0)) == "root"


def test_birth_tells_processes_apart() -> None:
    here = birth(os.getpid())
    assert here is not None and here == birth(os.getpid())
    child = subprocess.Popen(["sleep", "60"])
    assert birth(child.pid) not in (None, here)
    child.send_signal(signal.SIGKILL)
    until(lambda: birth(child.pid) is None)  # a zombie until it is waited for
    child.wait()
    assert birth(child.pid) is None


def test_torn_line_waits_for_its_end(start: Callable[..., Run], tmp_path: Path) -> None:
    run = start(
        'sys.stdout.write(\'{"event": "note", \'); sys.stdout.flush()\n'
        "while not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
        "print('\"message\": \"whole\"}'); sys.stdout.write('last words')",
        tmp_path / "go",
    )
    until(lambda: (run.folder / runs.EVENTS).stat().st_size > 0)
    assert run.poll() == []
    (tmp_path / "go").touch()
    events = drain(run)
    assert events == [
        {"event": "note", "message": "whole"},
        {"event": "log", "line": "last words", "stream": "stdout"},
    ]


def test_a_look_reads_a_bounded_piece(start: Callable[..., Run]) -> None:
    run = start("for i in range(30000): emit({'event': 'progress', 'done': i, 'total': 30000})")
    until(lambda: not run.alive)
    again = Run.open(run.folder)
    seen: list[Event] = []
    while piece := again.poll():
        assert len(piece) < 1500
        seen += piece
    assert [event["done"] for event in seen] == list(range(30000))


def test_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such program"):
        Run.start(tmp_path / "run", [tmp_path / "none"], kind="test")
    assert find_runs(tmp_path) == []


def test_environment_is_clean_and_extended(start: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("LD_PRELOAD_X", "kept")
    run = start("print(os.environ.get('PYTHONHOME'), os.environ.get('EXTRA'))", env={"EXTRA": "1"})
    assert [event["line"] for event in drain(run)] == ["None 1"]


def test_running_run_is_not_removed(start: Callable[..., Run]) -> None:
    run = start("time.sleep(60)")
    with pytest.raises(RuntimeError, match="still runs"):
        run.remove()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": 1}', "\x00", "[" * 100_000])
def test_folder_without_a_run_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / runs.RUN).write_text(text)
    assert find_runs(tmp_path) == [] and find_runs(tmp_path / "none") == []


def test_prune_keeps_the_latest_and_what_runs(start: Callable[..., Run], tmp_path: Path) -> None:
    oldest = start("time.sleep(60)")
    ended = [start("pass") for _ in range(4)]
    other = start("pass", kind="other")
    for run in (*ended, other):
        until(lambda run=run: not run.alive)
    prune_runs(tmp_path / "runs", keep=2)
    left = {run.folder for run in find_runs(tmp_path / "runs")}
    assert left == {oldest.folder, *(run.folder for run in ended[-2:]), other.folder}
