"""Do the steps that are not done yet, several at a time; what is done is known by its fingerprint."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path

from regolith.lunar.files import write_bytes, write_json
from regolith.lunar.jobs.companion import Companion
from regolith.lunar.jobs.events import Emit
from regolith.lunar.machine import cores, stop_on_signal
from regolith.lunar.reading import read_json
from training.ablate.steps import Step, child_command

SECONDS_PER_WORK = {
    "generate": 7.5, "link": 0.0, "train": 1.5, "export-model": 25.0, "synth": 1.2, "real": 2.0,
    "train-policy": 1.0, "traverse": 0.5, "calibrate-dynamics": 60.0, "calibrate-camera": 30.0,
}  # fmt: skip
"""Seconds a unit of `Step.work` takes on one core of a server CPU; what the study itself took says more."""
SECONDS_PER_STEP = 2.0
"""Seconds a process takes to start and end."""
GRACE_S = 60.0
"""Time a step has to save itself when the study is stopped [s]."""


@dataclasses.dataclass(frozen=True)
class Stamp:
    """What is written down of a step that is done."""

    fingerprint: str
    """Of everything that decided the result."""
    output: str
    """Digest of what it left on disk."""
    seconds: float
    work: float

    @classmethod
    def read(cls, step: Step) -> Stamp | None:
        """Return the stamp of a step, None where there is none that can be read."""
        try:
            return cls(**read_json(stamp_file(step)))
        except (OSError, ValueError, TypeError):
            return None


def stamp_file(step: Step) -> Path:
    """File of a step's stamp."""
    return step.folder / f"{step.label}.done.json"


@dataclasses.dataclass
class _Running:
    step: Step
    fingerprint: str
    companion: Companion
    began: float
    message: str = ""


class Schedule:
    """The steps of a study and how far they are."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = {step.name: step for step in steps}
        self.done: dict[str, Stamp] = {}
        self.failed: dict[str, str] = {}
        self._running: dict[str, _Running] = {}

    def look(self) -> None:
        """Find out which steps are done already; changes nothing on disk."""
        for step in self.steps.values():
            if all(name in self.done for name in step.needs):
                self._known(step)

    def _known(self, step: Step) -> bool:
        stamp = Stamp.read(step)
        if stamp is None or stamp.fingerprint != self._fingerprint(step) or stamp.output != step.digest():
            return False
        self.done[step.name] = stamp
        return True

    def _fingerprint(self, step: Step) -> str:
        return step.fingerprint({name: self.done[name].output for name in step.needs})

    @property
    def left(self) -> list[Step]:
        """Steps that are neither done nor failed."""
        return [step for step in self.steps.values() if step.name not in self.done and step.name not in self.failed]

    def seconds_left(self) -> float:
        """Process seconds of the steps that are left, by what the done ones of their kind took."""
        rates: dict[str, float] = {}
        for kind, guess in SECONDS_PER_WORK.items():
            stamps = [self.done[s.name] for s in self.steps.values() if s.kind == kind and s.name in self.done]
            work = sum(stamp.work for stamp in stamps)
            rates[kind] = sum(stamp.seconds for stamp in stamps) / work if work else guess
        return sum(SECONDS_PER_STEP + step.work * rates[step.kind] for step in self.left)

    def run(self, *, workers: int, trainings: int, emit: Emit) -> None:
        """Do what is left; a step that fails stops only those that need it.

        Args:
            workers: Steps at once.
            trainings: Trainings among them.
            emit: Receives `progress` and `note` events.

        Raises:
            KeyboardInterrupt: SIGINT or SIGTERM came; the steps that ran have saved what they save.
        """
        threads = max(1, cores() // workers)
        pending = self.left
        with stop_on_signal() as stop:
            try:
                while (pending or self._running) and not stop.is_set():
                    pending = self._start(pending, workers, trainings, threads)
                    for running in list(self._running.values()):
                        if self._follow(running, emit):
                            del self._running[running.step.name]
                            self._finish(running, workers, emit)
                    if not self._running:
                        pending = [step for step in pending if not any(name in self.failed for name in step.needs)]
                        if not any(all(name in self.done for name in step.needs) for step in pending):
                            break
                    stop.wait(0.1)
            finally:
                self._stop()
            if stop.is_set():
                raise KeyboardInterrupt

    def _start(self, pending: list[Step], workers: int, trainings: int, threads: int) -> list[Step]:
        """Start what can be started; return what is still to be."""
        ready = [step for step in pending if all(name in self.done for name in step.needs)]
        for step in sorted(ready, key=lambda step: not step.cheap):
            if len(self._running) >= workers:
                break
            if step.kind == "train" and sum(r.step.kind == "train" for r in self._running.values()) >= trainings:
                continue
            if not self._known(step):
                fingerprint = self._fingerprint(step)
                step.prepare(fingerprint)
                command = child_command(step, threads, os.getpid())
                self._running[step.name] = _Running(step, fingerprint, Companion(command), time.monotonic())
            pending = [other for other in pending if other is not step]
        return pending

    def _follow(self, running: _Running, emit: Emit) -> bool:
        """Pass on what a step says; whether it has ended and all is read."""
        ended = running.companion.returncode is not None
        events = list(running.companion.events()) if ended else running.companion.poll_events()
        for event in events:
            if event["event"] == "error":
                running.message = event["message"]
            elif event["event"] == "note":
                emit({"event": "note", "message": f"{running.step.name}: {event['message']}"})
        return ended

    def _finish(self, running: _Running, workers: int, emit: Emit) -> None:
        step, companion = running.step, running.companion
        seconds = time.monotonic() - running.began
        status = companion.returncode
        assert status is not None
        output = None
        if step.accepts(status):
            step.tidy()
            output = step.digest()
        log = step.folder / f"{step.label}.log"
        if output is None:
            said = running.message or (companion.tail[-1] if companion.tail else "")
            self.failed[step.name] = said.removeprefix("regolith: ") or f"exit status {status}"
            write_bytes(log, "".join(line + "\n" for line in companion.tail).encode())
            emit({"event": "note", "message": f"{step.name} failed: {self.failed[step.name]}"})
        else:
            stamp = Stamp(running.fingerprint, output, round(seconds, 2), step.work)
            write_json(stamp_file(step), dataclasses.asdict(stamp))
            log.unlink(missing_ok=True)
            self.done[step.name] = stamp
            left = self.seconds_left() / workers
            words = [f"[{len(self.done)}/{len(self.steps)}] {step.name}", step.summary(), f"{seconds:.0f} s"]
            words += [f"about {duration(left)} to go"] if left else []
            emit({"event": "note", "message": ", ".join(word for word in words if word)})
        emit({"event": "progress", "done": len(self.done), "total": len(self.steps), "unit": "steps"})

    def _stop(self) -> None:
        for running in self._running.values():
            running.companion.terminate()
        for running in self._running.values():
            running.companion.cancel(grace_s=GRACE_S)
        self._running.clear()


def duration(seconds: float) -> str:
    """Write a time for a person: `40 s`, `12 min`, `3.4 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
