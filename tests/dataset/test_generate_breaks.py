"""Generation that is broken on purpose: kills, full and read-only disks, power cuts, clock jumps.

After each the journal names only whole frames, and the next run completes to the bytes of an undisturbed one.
"""

import contextlib
import hashlib
import json
import os
import random
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from power_cut import PowerCut, read_state, restore, seen
from split_drawing import FRAMES, command, digest, draw

from regolith.lunar.dataset.layout import JOURNAL, read_lines, scan_lines
from regolith.lunar.dataset.survey import LOG
from regolith.lunar.params import InputError

DESCRIBE = f'case $(cat "$0") in *\'"indices": []\'*) exec {sys.executable} -m regolith.lunar.dataset.chunk "$0";; esac'
"""Shell that answers a task which only asks for the renderer, and goes on otherwise."""


def assert_journal_is_true(split: Path) -> int:
    """Every frame the journal names is whole on disk; returns how many there are."""
    records, damaged = scan_lines(read_lines(split / JOURNAL))
    assert not damaged
    for record in records.values():
        for name, expected in record.sha256.items():
            assert hashlib.sha256((split / name).read_bytes()).hexdigest() == expected, name
    return len(records)


def start(out: Path, *more: str, **options: Any) -> subprocess.Popen[str]:
    """Start the command line."""
    return subprocess.Popen(command(out, *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def chunk_processes(parent: int) -> list[psutil.Process]:
    """Processes that draw the chunks of a running generator."""
    found: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(parent).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it ended in between
                if any("dataset.chunk" in word for word in child.cmdline()):
                    found.append(child)
    return found


@pytest.mark.parametrize("seed", range(2))
def test_generator_killed_at_a_random_moment(undisturbed: Path, tmp_path: Path, seed: int) -> None:
    """SIGKILL again and again, until a run gets through; the lock of a killed run never stands in the way."""
    chance = random.Random(seed)
    kills = 0
    for _ in range(3):
        process = start(tmp_path, "--workers", "2", "--chunk-frames", "2", "--events")
        try:
            process.wait(chance.uniform(0.3, 6.0))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        process.communicate()
        if (tmp_path / "val").exists():
            assert_journal_is_true(tmp_path / "val")
    draw(tmp_path)
    assert digest(tmp_path / "val") == digest(undisturbed)
    assert kills or process.returncode == 0


def at_work(process: psutil.Process) -> bool:
    """Whether a worker is past its start: it has loaded the renderer."""
    with contextlib.suppress(psutil.Error):
        return any("drjit" in region.path for region in process.memory_maps())
    return False


@pytest.mark.parametrize("how", ["running", "frozen", "behind a shell"])
def test_chunks_end_with_a_killed_generator(tmp_path: Path, how: str) -> None:
    """Also one that is stopped, which Linux alone can do, and one that a shell started."""
    script = f'{sys.executable} -m regolith.lunar.dataset.chunk "$0"; true'
    shell = ["--executor", "isaac", "--command", shlex.join(["sh", "-c", script, "{task}"])]
    process = start(tmp_path, "--events", *(shell if how == "behind a shell" else []))
    deadline = time.monotonic() + 240
    while not (chunks := list(filter(at_work, chunk_processes(process.pid)))):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    if how == "frozen":
        chunks[0].suspend()
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(chunks, timeout=240)
    assert not alive


@pytest.mark.parametrize("action", ["kill -9 $$", "kill -STOP $$"])
def test_worker_that_describes_the_renderer_is_started_again(undisturbed: Path, tmp_path: Path, action: str) -> None:
    """The first worker of a run, killed or frozen: as any other, and the split is the same."""
    first = tmp_path / "first"
    script = (
        f'[ -e {first} ] || {{ touch {first}; {action}; }}; exec {sys.executable} -m regolith.lunar.dataset.chunk "$0"'
    )
    notes: list[str] = []
    command = shlex.join(["sh", "-c", script, "{task}"])
    emit = lambda event: notes.append(event.get("message", ""))  # noqa: E731
    draw(tmp_path, executor="isaac", command=command, retries=9, stall_s=20.0, emit=emit)
    how = "signal 9" if "-9" in action else "no answer in 20 s"
    assert notes[0] == f"the worker that describes the renderer ended ({how}); starting again"
    assert digest(tmp_path / "val") == digest(undisturbed)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_worker_is_started_again(undisturbed: Path, tmp_path: Path, number: int) -> None:
    """The run itself notices, says so and completes."""
    process = start(tmp_path, "--events", "--workers", "2", "--chunk-frames", "2")
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "progress" and event["total"] == FRAMES:
            break
    deadline = time.monotonic() + 240
    while not (chunks := chunk_processes(process.pid)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    chunks[0].send_signal(number)
    rest, errors = process.communicate(timeout=480)
    assert process.returncode == 0, errors
    how = "(interrupted|signal 15)" if number == signal.SIGTERM else f"signal {int(number)}"
    assert re.search(rf"a chunk ended \({how}\) with .*; starting again", rest), rest
    assert digest(tmp_path / "val") == digest(undisturbed)


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        (
            "exit 3",
            [
                "the worker that describes the renderer ended (exit status 3); starting again",
                "out of memory? Run the same command",
            ],
        ),
        (
            DESCRIBE + "; kill -9 $$",
            [
                "a chunk ended (signal 9) with frames 0 … 4 to draw; starting again",
                "out of memory? Run the same command",
            ],
        ),
    ],
)
def test_worker_that_always_dies_is_given_up(tmp_path: Path, script: str, lines: list[str]) -> None:
    """One line says what died and what to do, exit code 1, no traceback."""
    template = shlex.join(["sh", "-c", script, "{task}"])
    process = start(tmp_path, "--retries", "1", "--executor", "isaac", "--command", template)
    _, errors = process.communicate(timeout=240)
    text = " ".join(errors.split())
    assert process.returncode == 1 and "Traceback" not in errors
    assert all(line in text for line in lines), errors


def test_progress_earns_new_tries(undisturbed: Path, tmp_path: Path) -> None:
    """A chunk that dies after every frame it draws, as one that leaks, still completes with a single retry."""
    program = (
        "import os, sys, threading, time; from pathlib import Path\n"
        "from regolith.lunar.dataset.chunk import ChunkTask, open_embedded, run_task\n"
        "task = ChunkTask.read(Path(sys.argv[1]))\n"
        "def watch():\n"
        "    while not task.part.exists() or not task.part.read_bytes().count(b'\\n'): time.sleep(0.01)\n"
        "    os._exit(9)\n"
        "if task.indices: threading.Thread(target=watch, daemon=True).start()\n"
        "for _ in run_task(task, open_embedded): pass\n"
    )
    template = shlex.join([sys.executable, "-c", program, "{task}"])
    notes: list[str] = []
    emit = lambda event: notes.append(event.get("message", ""))  # noqa: E731
    draw(tmp_path, executor="isaac", command=template, retries=0, emit=emit)
    assert any("a chunk ended (exit status 9)" in note for note in notes)
    assert digest(tmp_path / "val") == digest(undisturbed)


def failing(until: str) -> str:
    """Command of a worker whose renderer cannot be opened while an expression of its task holds."""
    program = (
        "import sys; from pathlib import Path\n"
        "from regolith.lunar.dataset.chunk import ChunkTask, open_embedded, run_task\n"
        "def lost(task): raise EOFError\n"
        "task = ChunkTask.read(Path(sys.argv[1]))\n"
        f"for _ in run_task(task, lost if task.indices and {until} else open_embedded): pass\n"
    )
    return shlex.join([sys.executable, "-c", program, "{task}"])


def test_a_worker_that_fails_is_started_again(undisturbed: Path, tmp_path: Path) -> None:
    """Once is no reason to end a run of days; it is said and logged."""
    notes: list[str] = []
    emit = lambda event: notes.append(event.get("message", ""))  # noqa: E731
    draw(tmp_path, executor="isaac", command=failing("task.path.stem.endswith('00002')"), retries=1, emit=emit)
    assert any(
        f"a chunk ended (EOFError) with frames 0 … {FRAMES - 1} to draw; starting again" in note for note in notes
    )
    assert digest(tmp_path / "val") == digest(undisturbed)


def test_a_worker_that_keeps_failing_tells_where(tmp_path: Path) -> None:
    """The traceback is that of the process it happened in, for `--debug` and in the log."""
    with pytest.raises(RuntimeError, match=r"a chunk ended \(EOFError\) .* to draw; Run the same") as raised:
        draw(tmp_path, executor="isaac", command=failing("True"), retries=1)
    assert raised.value.__cause__ is not None
    assert ", in lost\n" in str(raised.value.__cause__.__cause__)
    log = [json.loads(line) for line in (tmp_path / "val" / LOG).read_text().splitlines()]
    assert [line["event"] for line in log] == ["failed"] * 2 and ", in lost\n" in log[0]["traceback"]


def test_stalled_chunk_is_ended(tmp_path: Path) -> None:
    """A worker that hangs, as a renderer's driver may, does not hang the run."""
    template = shlex.join(["sh", "-c", f"{DESCRIBE}; sleep 99", "{task}"])
    with pytest.raises(RuntimeError, match=r"a chunk ended \(no frame in 10 s\) with frames 0 … 4 to draw"):
        draw(tmp_path, executor="isaac", command=template, retries=0, stall_s=10.0)
    assert (tmp_path / "val" / "dataset.json").exists()


def test_terminated_generator_finishes_its_frame(undisturbed: Path, tmp_path: Path) -> None:
    """A chunk that would never end by itself ends after the frame it is at."""
    program = (
        "import sys, time; from pathlib import Path\n"
        "from regolith.lunar.dataset.chunk import ChunkTask, open_embedded, run_task\n"
        "task = ChunkTask.read(Path(sys.argv[1]))\n"
        "for _ in run_task(task, open_embedded):\n"
        "    while task.part.exists() and task.part.stat().st_size and not task.stop.exists(): time.sleep(0.02)\n"
    )
    slow = shlex.join([sys.executable, "-c", program, "{task}"])
    more = ("--frames", "40", "--workers", "1", "--executor", "isaac", "--command", slow)
    process = start(tmp_path, "--events", *more)
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "progress" and event["done"]:
            process.terminate()
            break
    rest, errors = process.communicate(timeout=240)
    assert process.returncode == 130, errors
    assert '"done":40' not in rest
    assert 1 <= assert_journal_is_true(tmp_path / "val") < 40
    whole = digest(undisturbed)
    own = {"dataset.json", JOURNAL}
    mine = {name: found for name, found in digest(tmp_path / "val").items() if name in whole.keys() - own}
    assert mine and mine.items() <= whole.items()


@pytest.fixture
def small_disk(undisturbed: Path, tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for about two thirds of the split."""
    folder = tmp_path / "disk"
    folder.mkdir()
    pages = sum(-(-path.stat().st_size // 4096) for path in undisturbed.rglob("*") if path.is_file())
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={int(2.6 * pages)}k", "none", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a file system here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk(undisturbed: Path, small_disk: Path) -> None:
    """One line, exit code 2, only whole frames count; with more room the same command completes the split."""
    process = start(small_disk)
    _, errors = process.communicate(timeout=480)
    assert process.returncode == 2, errors
    assert "out: " in errors and "No space left on device" in errors
    assert assert_journal_is_true(small_disk / "val") < FRAMES
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    draw(small_disk)
    assert digest(small_disk / "val") == digest(undisturbed)


def test_read_only_disk(undisturbed: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    draw(small_disk, frames=2)
    before = digest(small_disk / "val")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(InputError, match=r"out: .*(can be written|room for the frames \(Read-only)"):
        draw(small_disk, extend=True)
    assert digest(small_disk / "val") == before
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    draw(small_disk, extend=True)
    assert digest(small_disk / "val") == digest(undisturbed)


def test_file_size_limit(undisturbed: Path, tmp_path: Path) -> None:
    """A quota met in the middle of a file: nothing of that frame counts."""
    limit = sorted(path.stat().st_size for path in undisturbed.glob("rgb/*"))[0] - 1

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    out = tmp_path / "data"
    command(out)  # the parameter file is written without the limit
    process = start(out, preexec_fn=limited)
    _, errors = process.communicate(timeout=480)
    assert process.returncode == 2 and "File too large" in errors.splitlines()[-1], errors
    assert assert_journal_is_true(out / "val") == 0
    draw(out)
    assert digest(out / "val") == digest(undisturbed)


@pytest.mark.parametrize(
    "how", [{}, {"executor": "processes", "workers": 2, "chunk_frames": 2}], ids=["here", "workers"]
)
def test_power_cut_at_any_flush(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]
) -> None:
    """What a crash leaves after each flush never names a frame that is not whole, and completes to the same bytes."""
    (tmp_path / "disk").mkdir()
    disk = PowerCut(tmp_path / "disk", monkeypatch)
    draw(tmp_path / "disk", **how)
    monkeypatch.undo()
    assert seen(disk.states[-1]) == seen(read_state(tmp_path / "disk")), "something was never flushed"
    assert len(disk.states) > 5 * FRAMES
    resumed = random.Random(1).sample(range(len(disk.states)), 4)
    for number, state in enumerate(disk.states):
        out = tmp_path / f"cut{number}"
        restore(state, out)
        (out / "val").mkdir(exist_ok=True)
        assert_journal_is_true(out / "val")
        if number in resumed:
            draw(out)
            assert digest(out / "val") == digest(undisturbed), number
        shutil.rmtree(out)


def test_clock_jumps_change_nothing(undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock leaps by years at every look, file times lie: frames, journal and resume do not care."""
    draw(tmp_path, frames=3)
    for number, path in enumerate(sorted(tmp_path.rglob("*"))):
        os.utime(path, (number * 1e8, 4e9 - number * 1e8))
    leap = random.Random(3)
    monkeypatch.setattr(time, "time", lambda: leap.uniform(0.0, 4e9))
    assert draw(tmp_path, extend=True)["drawn"] == FRAMES - 3
    assert digest(tmp_path / "val") == digest(undisturbed)
