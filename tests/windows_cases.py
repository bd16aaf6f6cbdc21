"""What `test_windows.py` runs in the stand-in for Windows, each case in a process and a folder of its own."""

# typeshed has only the names of the system that the check runs on
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from regolith.lunar import system
from regolith.lunar.files import holding, take_lock, temporary_beside, write_bytes
from regolith.lunar.jobs.companion import Companion
from regolith.lunar.jobs.runs import Run, find_runs

WAITING = "import sys, time, signal, subprocess\nfrom regolith.lunar.jobs.events import emit\n"
POLITE = f"""{WAITING}
from regolith.lunar.machine import stop_on_signal
with stop_on_signal() as stop:
    emit({{'event': 'note', 'message': 'ready'}})
    while not stop.wait(0.05): pass
emit({{'event': 'done', 'status': 'interrupted'}})
sys.exit(130)
"""
PLAIN = f"{WAITING}emit({{'event': 'note', 'message': 'ready'}})\ntime.sleep(60)"
STUBBORN = "signal.signal(signal.SIGBREAK, signal.SIG_IGN)"


def leaving(flags: str, before: str = "") -> list[str]:
    """Command of a process that starts another and tells its id."""
    below = f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], creationflags={flags})"
    told = "emit({'event': 'metric', 'name': 'pid', 'value': below.pid})"
    return python(f"{WAITING}below = {below}\n{before}\n{told}\ntime.sleep(60)")


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# locks and files


def a_locked_byte_is_nobody_elses() -> None:
    """The stand-in itself: what LockFile says of a locked range, of its owner, and of a lock that is taken."""
    import msvcrt

    Path("file").write_bytes(b"words")
    with Path("file").open("rb+") as owner, Path("file").open("rb+") as other:
        msvcrt.locking(owner.fileno(), msvcrt.LK_NBLCK, 1)
        assert owner.read() == b"words"
        for attempt in (other.read, lambda: msvcrt.locking(other.fileno(), msvcrt.LK_NBLCK, 1)):
            try:
                attempt()
            except PermissionError:
                continue
            raise AssertionError("not refused")
        owner.seek(0)
        msvcrt.locking(owner.fileno(), msvcrt.LK_UNLCK, 1)
        assert other.read() == b"words"


def a_second_writer_is_refused_and_told_who_writes() -> None:
    lock = Path(".lock")
    code = (
        "from pathlib import Path\nfrom regolith.lunar.files import holding\nwith holding(Path('.lock')): print('in')"
    )
    with holding(lock):
        second = subprocess.run(python(code), capture_output=True, text=True, check=False)
        assert second.returncode == 1 and f"BlockingIOError: [Errno 11] process {os.getpid()} on " in second.stderr
    assert not lock.exists()
    third = subprocess.run(python(code), capture_output=True, text=True, check=False)
    assert third.stdout == "in\n" and not lock.exists(), third.stderr


def a_killed_holder_keeps_nobody_out() -> None:
    code = "import time\nfrom pathlib import Path\nfrom regolith.lunar.files import holding\n"
    code += "with holding(Path('.lock')): print('in', flush=True); time.sleep(60)"
    with subprocess.Popen(python(code), stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"in\n"
        holder.kill()
    assert Path(".lock").exists()
    with holding(Path(".lock")):
        pass
    assert not Path(".lock").exists()


def a_lock_is_waited_for() -> None:
    with Path("step").open("a") as first, Path("step").open("a") as second:
        take_lock(first.fileno(), Path())
        threading.Timer(0.3, first.close).start()
        take_lock(second.fileno(), Path(), wait=True)
        assert first.closed


def a_reader_is_waited_for() -> None:
    """A file that somebody has open is replaced once that one is through; never, where that takes too long."""
    path = Path("value")
    write_bytes(path, b"1")
    reader = path.open("rb")
    threading.Timer(0.3, reader.close).start()
    write_bytes(path, b"2")
    assert path.read_bytes() == b"2"
    system.OPEN_S = 0.2
    with path.open("rb"):
        try:
            write_bytes(path, b"3")
        except PermissionError as error:
            assert error.filename == "value"
        else:
            raise AssertionError("replaced")
    assert path.read_bytes() == b"2" and {each.name for each in Path().iterdir()} == {"python.exe", "value"}


def leftovers_of_the_dead_go_and_the_living_are_left_alone() -> None:
    """Whether a process runs is asked without a signal: 0 would be Ctrl+C."""
    with Companion(python(PLAIN)) as living:
        next(living.events())
        mine = temporary_beside(Path("data")).name
        theirs = Path(mine.replace(str(os.getpid()), str(living.pid)))
        dead = Path(mine.replace(str(os.getpid()), str(2**22 + 1)))
        theirs.touch()
        dead.touch()
        write_bytes(Path("data"), b"1")
        assert theirs.exists() and not dead.exists()
        time.sleep(0.2)
        assert living.returncode is None


def what_a_library_has_open_stays() -> None:
    from pxr import Sdf, Usd

    stage = Usd.Stage.CreateInMemory()
    attribute = stage.DefinePrim("/World").CreateAttribute("long", Sdf.ValueTypeNames.FloatArray)
    attribute.Set([0.5] * 100_000)
    stage.GetRootLayer().Export("mapped.usdc")
    opened = Usd.Stage.Open("mapped.usdc")
    system.discard(Path("mapped.usdc"))
    assert Path("mapped.usdc").exists()
    del opened
    system.discard(Path("mapped.usdc"))
    assert not Path("mapped.usdc").exists()


# companions


def a_companion_finishes_when_asked() -> None:
    with Companion(python(POLITE)) as companion:
        events = companion.events()
        assert next(events)["message"] == "ready"
        assert companion.cancel(grace_s=30) == 130
        assert next(events) == {"event": "done", "status": "interrupted"}


def a_companion_that_does_not_care_is_ended_by_the_break() -> None:
    with Companion(python(PLAIN)) as companion:
        next(companion.events())
        assert companion.cancel(grace_s=30) == system.BREAK_STATUS


def a_stubborn_companion_is_killed_with_its_children() -> None:
    with Companion(leaving("0", STUBBORN)) as companion:
        below = next(companion.events())["value"]
        assert companion.cancel(grace_s=0.3) == signal.SIGTERM
    until(lambda: gone(below), 5)


def what_a_companion_leaves_behind_is_killed() -> None:
    """A grandchild in a group of its own, which the break does not reach."""
    with Companion(leaving("subprocess.CREATE_NEW_PROCESS_GROUP")) as companion:
        below = next(companion.events())["value"]
        assert companion.cancel(grace_s=30) == system.BREAK_STATUS
    until(lambda: gone(below), 5)


def without_a_console_a_companion_is_killed() -> None:
    with Companion(python(POLITE)) as companion:
        next(companion.events())
        os.environ["WINDOWS_CONSOLE"] = "another"
        companion.terminate()
        assert companion.wait(20) == signal.SIGTERM


def a_tethered_companion_ends_with_its_launcher() -> None:
    tethered = f"import os\nfrom regolith.lunar.jobs.tether import end_with\nend_with(os.getppid())\n{PLAIN}"
    code = "import sys, time\nfrom regolith.lunar.jobs.companion import Companion\n"
    code += f"c = Companion([sys.executable, '-c', {tethered!r}], tethered=True)\nnext(c.events())\n"
    code += "print(c.pid, flush=True)\ntime.sleep(60)"
    with subprocess.Popen(python(code), stdout=subprocess.PIPE) as launcher:
        assert launcher.stdout is not None
        child = int(launcher.stdout.readline())
        assert not gone(child)
        launcher.kill()
    until(lambda: gone(child), 10)


# runs


def a_run_tells_how_it_went() -> None:
    run = Run.start(Path("one"), python(f"{WAITING}emit({{'event': 'note', 'message': 'hi'}}); sys.exit(2)"), kind="a")
    until(lambda: not run.alive)
    assert run.poll() == [{"event": "note", "message": "hi"}]
    assert (run.state, run.status) == ("failed", 2)


def a_run_stops_where_it_can_go_on() -> None:
    """Asked from another console than its own, by whoever found it."""
    code = "import sys\nfrom pathlib import Path\nfrom regolith.lunar.jobs.runs import Run\n"
    code += f"Run.start(Path('runs/one'), [sys.executable, '-c', {POLITE!r}], kind='training')"
    subprocess.run(python(code), check=True)
    (run,) = find_runs(Path("runs"))
    assert run.state == "running"
    until(lambda: any(event.get("message") == "ready" for event in run.poll()))
    run.terminate()
    until(lambda: not run.alive)
    assert (run.state, run.status) == ("interrupted", 130)
    assert run.poll() == [{"event": "done", "status": "interrupted"}]


def a_run_asked_before_it_listens_is_interrupted() -> None:
    run = Run.start(Path("one"), python("import time\ntime.sleep(60)"), kind="a")
    run.terminate()
    until(lambda: not run.alive)
    assert run.state == "interrupted"


def a_killed_run_is_lost_with_all_below() -> None:
    run = Run.start(Path("one"), leaving("0", STUBBORN), kind="a")
    found: list[int] = []
    until(lambda: found.extend(event["value"] for event in run.poll() if event["event"] == "metric") or found)
    again = Run.open(Path("one"))
    assert again.alive
    again.kill()
    until(lambda: not run.alive and gone(found[0]))
    assert (run.state, run.status) == ("lost", None)


def a_process_that_only_has_the_number_is_not_ours() -> None:
    run = Run.start(Path("one"), python("pass"), kind="a")
    until(lambda: not run.alive)
    with Companion(python(PLAIN)) as other:
        next(other.events())
        record = Path("one/run.json")
        words = record.read_text("utf-8").replace(f'"pid": {run.pid}', f'"pid": {other.pid}')
        record.write_text(words.replace(run.info["birth"], system.birth(other.pid) or "?"), "utf-8")
        again = Run.open(Path("one"))
        assert again.info["pid"] == other.pid and not again.alive
        again.kill()
        time.sleep(0.2)
        assert other.returncode is None


# command lines


def a_command_line_keeps_its_backslashes() -> None:
    words = [r"C:\Program Files\isaac\python.bat", r"D:\exts\worker.py", "onnxruntime-gpu<1.27", ""]
    line = system.join_command(words)
    assert line == r'"C:\Program Files\isaac\python.bat" D:\exts\worker.py "onnxruntime-gpu<1.27" ""'
    assert system.split_command(line + " {task}") == [*words, "{task}"]
    try:
        system.split_command('"C:\\open')
    except ValueError:
        return
    raise AssertionError("not refused")


# a dataset


def stages_and_frames_are_written() -> None:
    """Author, draw in this process and in one of its own, grow, verify, bring into formats of text."""
    from regolith.lunar import cli

    coarse = "--preset v1 --terrain.cell-m 0.4 --rocks.diameter-min-m 0.3"
    small = f"{coarse} --size 32 --render.backend scalar --out data"
    for line in (
        f"author {coarse} --size 64 --out stage.usda",
        f"generate {small} --split val --frames 2 --executor in-process",
        f"generate {small} --split val --frames 3 --executor in-process --extend",
        f"generate {small} --split train_dr --frames 2 --workers 1",
        "verify data",
        "export data --to yolo-seg --out yolo",
        "export data --to voc --out voc",
    ):
        assert cli.main(line.split()) == 0, line
    texts = [path for path in Path().rglob("*") if path.suffix in (".txt", ".yaml", ".json", ".jsonl", ".usda")]
    assert len(texts) > 10 and not [path for path in texts if b"\r" in path.read_bytes()]
    assert not [path for path in Path().rglob(".*") if path.is_file()]
