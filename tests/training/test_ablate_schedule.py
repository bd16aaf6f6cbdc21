"""The job graph: what is done stays done, what changed is done again, a failure stops only what needs it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from toy_split import write_split

from regolith.lunar import cli
from regolith.lunar.files import write_json
from training.ablate.digests import digest_if_there
from training.ablate.schedule import Schedule, Stamp, duration, stamp_file
from training.ablate.steps import Step, Train, make_steps
from training.ablate.study import Study
from training.ablate.verb import Ablate

WAIT_S = 240.0


class Copy(Step):
    """Writes what it is told into a file; a real process, as every step is."""

    kind = "link"

    def __init__(
        self, study: Study, name: str, needs: tuple[str, ...] = (), *, text: str = "x", pause: float = 0
    ) -> None:
        super().__init__(study, name, needs, 1.0)
        self.text, self.pause = text, pause
        self.target = study.out / name

    def inputs(self) -> dict[str, Any]:
        return {"text": self.text}

    def command(self, threads: int) -> list[str]:
        return [self.text, str(self.target), str(self.pause)]

    def digest(self) -> str | None:
        return digest_if_there(self.target)


WRITER = """
import pathlib, sys, time
text, target, pause = sys.argv[1:]
with open(target + ".starts", "a") as file: file.write("x")
began = time.time()
time.sleep(float(pause))
pathlib.Path(target + ".times").write_text(f"{began} {time.time()}")
if text == "fail": sys.exit("no such luck")
if text != "nothing": pathlib.Path(target).write_text(text)
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study whose steps are processes of `WRITER`."""
    (tmp_path / "steps").mkdir()
    monkeypatch.setattr(
        "training.ablate.schedule.child_command",
        lambda step, threads, parent: [sys.executable, "-c", WRITER, *step.command(threads)],
    )
    verb = cli.parse_verb(Ablate, "ablate", ["--out", str(tmp_path)])
    assert isinstance(verb, Ablate)
    return verb.study()


def run(steps: list[Copy], workers: int = 2) -> tuple[Schedule, list[dict]]:
    schedule = Schedule(steps)
    events: list[dict] = []
    schedule.look()
    schedule.run(workers=workers, trainings=workers, emit=events.append)
    return schedule, events


def starts(step: Copy) -> int:
    path = step.target.with_name(step.target.name + ".starts")
    return len(path.read_text()) if path.exists() else 0


def chain(study: Study, **texts: str) -> list[Copy]:
    a = Copy(study, "a", text=texts.get("a", "1"))
    b = Copy(study, "b", (a.name,), text=texts.get("b", "2"))
    return [a, b, Copy(study, "c", (b.name,), text=texts.get("c", "3")), Copy(study, "d", text=texts.get("d", "4"))]


def test_done_steps_are_skipped_and_changed_ones_done_again(study: Study) -> None:
    schedule, events = run(chain(study))
    assert len(schedule.done) == 4 and not schedule.failed
    assert [e["done"] for e in events if e["event"] == "progress"] == [1, 2, 3, 4]
    run(steps := chain(study))
    assert [starts(step) for step in steps] == [1, 1, 1, 1]
    run(steps := chain(study, b="two"))
    assert [starts(step) for step in steps] == [1, 2, 2, 1]
    steps[0].target.unlink()
    run(chain(study, b="two"))
    assert [starts(step) for step in steps] == [2, 2, 2, 1], "the same output again leaves what needs it valid"
    steps[1].target.write_text("damaged")
    run(chain(study, b="two"))
    assert [starts(step) for step in steps] == [2, 3, 2, 1]


def test_a_failed_step_stops_only_those_that_need_it(study: Study) -> None:
    schedule, _ = run(chain(study, b="fail"))
    assert schedule.failed == {"link b": "no such luck"}
    assert sorted(schedule.done) == ["link a", "link d"]
    assert (study.out / "steps" / "link-b.log").read_text() == "no such luck\n"
    schedule, _ = run(chain(study))
    assert len(schedule.done) == 4 and not (study.out / "steps" / "link-b.log").exists()


def test_a_step_that_leaves_nothing_has_failed(study: Study) -> None:
    schedule, _ = run(chain(study, a="nothing"))
    assert schedule.failed == {"link a": "exit status 0"} and list(schedule.done) == ["link d"]


def test_torn_stamp_does_not_count(study: Study) -> None:
    run(steps := chain(study))
    path = stamp_file(steps[3])
    path.write_bytes(path.read_bytes()[:20])
    run(chain(study))
    assert starts(steps[3]) == 2


@pytest.mark.parametrize(("workers", "fewest"), [(1, 1), (4, 2)])
def test_steps_at_once_are_at_most_the_workers(study: Study, workers: int, fewest: int) -> None:
    steps = [Copy(study, name, pause=0.6) for name in "abcd"]
    run(steps, workers=workers)
    spans = [
        [float(time) for time in step.target.with_name(f"{step.target.name}.times").read_text().split()]
        for step in steps
    ]
    together = max(sum(begin <= instant < end for begin, end in spans) for instant, _ in spans)
    assert fewest <= together <= workers


def test_a_signal_ends_the_steps_and_the_next_run_goes_on(study: Study) -> None:
    quick, slow = Copy(study, "a"), Copy(study, "b", pause=60)

    def interrupt() -> None:
        deadline = time.monotonic() + WAIT_S
        while not (starts(slow) and quick.target.exists()) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run([quick, slow])
    thread.join()
    assert quick.target.exists() and not slow.target.exists()
    schedule, _ = run([Copy(study, "a"), Copy(study, "b")])
    assert len(schedule.done) == 2 and starts(slow) == 2


def test_estimate_follows_what_steps_took(study: Study) -> None:
    steps = chain(study)
    schedule = Schedule(steps)
    for step, seconds in zip(steps[:2], (10.0, 30.0), strict=True):
        schedule.done[step.name] = Stamp("f", "o", seconds, 1.0)
    assert schedule.seconds_left() == pytest.approx(2 * (20 + 2))


def test_times_are_readable() -> None:
    assert [duration(s) for s in (3.2, 600, 12240)] == ["3 s", "10 min", "3.4 h"]


def test_child_waits_for_the_one_before(tmp_path: Path) -> None:
    """A killed study's step may still be saving itself: the next one waits for its lock."""
    split = write_split(tmp_path / "train_dr", 2)
    lock = tmp_path / "lock"
    child = [sys.executable, "-m", "training.ablate.child"]
    holder = "import fcntl, sys, time; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{holder}; time.sleep(600)", str(lock)], stdout=subprocess.PIPE
    ) as held:
        assert held.stdout is not None and held.stdout.readline()
        arguments = [str(os.getpid()), str(lock), "subset", str(split), str(tmp_path / "part"), "1"]
        with subprocess.Popen([*child, *arguments]) as waiting:
            with pytest.raises(subprocess.TimeoutExpired):
                waiting.wait(3)
            held.kill()
            assert waiting.wait(WAIT_S) == 0
    assert (tmp_path / "part" / "dataset.json").exists() and not lock.exists()


def test_child_ends_with_its_parent_however_that_ends(tmp_path: Path) -> None:
    """The parent is killed while the child waits for a lock; both had the pipe, which ends with the last of them."""
    call = "subprocess.call([*sys.argv[1:4], str(os.getpid()), *sys.argv[4:]])"
    code = f"import os, subprocess, sys; print(1, flush=True); {call}"
    child = [sys.executable, "-m", "training.ablate.child", str(tmp_path / "lock"), "subset", "a", "b", "1"]
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen([sys.executable, "-c", code, *child], stdout=subprocess.PIPE) as parent:
            assert parent.stdout is not None and parent.stdout.readline()
            time.sleep(1)
            parent.kill()
            os.set_blocking(parent.stdout.fileno(), False)
            deadline = time.monotonic() + WAIT_S
            while (rest := parent.stdout.read()) is None and time.monotonic() < deadline:
                time.sleep(0.05)
            assert rest == b"", "the child is still there"


def train_step(tmp_path: Path, *args: str, init: str = "random") -> Train:
    verb = cli.parse_verb(Ablate, "ablate", ["--out", str(tmp_path), "--init", init, *args])
    assert isinstance(verb, Ablate)
    (tmp_path / "steps").mkdir(exist_ok=True)
    return next(step for step in make_steps(verb.study(), shown=[]) if isinstance(step, Train))


def test_training_goes_on_only_where_recipe_and_data_are_the_same(tmp_path: Path) -> None:
    step = train_step(tmp_path)
    step.prepare("one")
    (step.out / "last.pt").write_text("half done")
    step.prepare("one")
    assert (step.out / "last.pt").exists()
    train_step(tmp_path, "--batch", "4").prepare("one")
    assert not (step.out / "last.pt").exists(), "begun with another recipe"
    step.prepare("one")
    (step.out / "last.pt").write_text("half done")
    step.prepare("two")
    assert not (step.out / "last.pt").exists(), "begun with other data"
    write_json(step.out / "summary.json", {"status": "finished"})
    step.prepare("two")
    assert not (step.out / "summary.json").exists(), "finished, but the best epoch is gone"


def test_training_from_other_weights_of_the_same_name_begins_anew(tmp_path: Path) -> None:
    checkpoint = tmp_path / "best.pt"
    checkpoint.write_bytes(b"weights")
    step = train_step(tmp_path, init=str(checkpoint))
    upstream = dict.fromkeys(step.needs, "same")
    step.prepare(step.fingerprint(upstream))
    (step.out / "last.pt").write_text("half done")
    step.prepare(step.fingerprint(upstream))
    assert (step.out / "last.pt").exists()
    checkpoint.write_bytes(b"other weights")
    step.prepare(step.fingerprint(upstream))
    assert not (step.out / "last.pt").exists()


def test_training_counts_once_it_is_finished(tmp_path: Path) -> None:
    step = train_step(tmp_path)
    assert step.digest() is None
    step.prepare("one")
    (step.out / "best.pt").write_bytes(b"weights")
    write_json(step.out / "summary.json", {"status": "interrupted"})
    assert step.digest() is None
    write_json(step.out / "summary.json", {"status": "finished"})
    assert step.digest() == digest_if_there(step.out / "best.pt")
    config = step.command(3)
    assert json.loads(Path(config[1]).read_text())["threads"] == 3
