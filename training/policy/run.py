"""All rounds of a policy's training; every step leaves a file, and what is there already is not done again.

```
<out>/settings.json                what it is known by
<out>/config.json                  what the processes that drive are told
<out>/round_0/stage_00000.npz      drives over a stage (`collect.Drives`)
<out>/round_0/policy.onnx          what was learned from all drives so far, with its card and weights
<out>/held_out/stage_00000.json    a held-out stage (`held_out.measure_stage`), trajectories beside it
<out>/policy.onnx, policy.json     the last round's, its card with the success rates
<out>/results.json, report.html    what came of it
```
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event as Flag
from typing import Any

from regolith.lunar.dataset.contract import first_difference
from regolith.lunar.files import replacing, write_json
from regolith.lunar.jobs.companion import Companion
from regolith.lunar.jobs.events import Emit
from regolith.lunar.machine import cores, stop_on_signal
from regolith.lunar.params import CheckError, InputError, Params, validate
from regolith.lunar.params.policy import PolicyParams
from regolith.lunar.physics.policy import Policy
from regolith.lunar.reading import read_json
from regolith.lunar.render import Renderer, open_renderer
from training.policy.collect import Drives, collect_stage
from training.policy.held_out import is_of, measure_stage, measured

SCHEMA_VERSION = 1
LATER = {"out", "workers", "threads", "rounds", "held_out", "preset", "params_file", "json_file", "debug", "events"}
"""Fields another call may change: rounds and held-out stages may be added."""


def policy_file(out: Path, round_: int) -> Path:
    """The policy of a round."""
    return out / f"round_{round_}" / "policy.onnx"


def stage_file(out: Path, round_: int, index: int) -> Path:
    """Drives over a stage of a round."""
    return out / f"round_{round_}" / f"stage_{index:05d}.npz"


def held_out_file(out: Path, number: int) -> Path:
    """A held-out stage."""
    return out / "held_out" / f"stage_{number:05d}.json"


def settings(params: PolicyParams) -> dict[str, Any]:
    """What a folder's training is known by."""
    fields = params.model_dump(mode="json", exclude=LATER)
    return {"schema": SCHEMA_VERSION} | fields | {"parameters": params.params.model_dump(mode="json")}


def settle(params: PolicyParams) -> None:
    """Hold the training against the one its folder was begun with, and write down what it is.

    Raises:
        InputError: The folder holds another.
    """
    path = params.out / "settings.json"
    wanted = settings(params)
    if path.exists():
        try:
            begun = read_json(path)
        except (OSError, ValueError):
            raise InputError("out", str(params.out), "a folder whose settings.json can be read") from None
        if (difference := first_difference(begun, wanted)) is not None:
            field, old, new = difference
            raise InputError(field, new, f"{old!r}, with which {params.out} was begun; or another --out")
    write_json(path, wanted)
    config = params.model_dump(mode="json", exclude={"json_file", "debug", "events"})
    write_json(params.out / "config.json", {"fields": config, "parameters": wanted["parameters"]})


def read_config(out: Path) -> PolicyParams:
    """What `settle` wrote for the processes that drive."""
    config = read_json(out / "config.json")
    params = PolicyParams.model_validate(config["fields"] | {"out": str(out)})
    return params.with_params(validate(Params, config["parameters"], stored=True))


def train_policy(params: PolicyParams, emit: Emit) -> dict[str, Any]:
    """Do what is left of all rounds and of the held-out stages.

    Args:
        params: What is asked for; its folder is held.
        emit: Receives `progress` and `note` events.

    Returns:
        What results.json holds.

    Raises:
        InputError: The folder holds another training, or there is nothing to learn from.
        CheckError: A process that drives failed.
        KeyboardInterrupt: It was stopped; the same call goes on.
    """
    from training.policy.page import write_report

    settle(params)
    total = params.rounds * (params.scaled(params.stages) + 1) + params.scaled(params.held_out)
    with stop_on_signal() as stop:
        steps = Steps(params, stop, emit, total)
        for round_ in range(params.rounds):
            steps.drive(round_)
            _learn(params, round_, steps)
        source, final = policy_file(params.out, params.rounds - 1), params.out / "policy.onnx"
        steps.drive(None)
        result = _results(params)
        card = read_json(source.with_suffix(".json"))
        with replacing(final) as scratch:
            shutil.copyfile(source, scratch)
            write_json(final.with_suffix(".json"), card | {"success": result["held_out"]})
        write_report(params, result)
    return result


class Steps:
    """The steps of a training that drive, and how many are done."""

    def __init__(self, params: PolicyParams, stop: Flag, emit: Emit, total: int) -> None:
        self._params, self._stop, self._emit, self._total = params, stop, emit, total
        self._before = 0

    def tell(self, done: int) -> None:
        """Say how far it is: `done` of the running step beside those before; ends where it was asked to.

        Raises:
            KeyboardInterrupt: It was asked to stop.
        """
        done = self._before + done
        self._emit({"event": "progress", "done": done, "total": self._total, "unit": "steps"})
        if self._stop.is_set():
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        """Say a line; ends where it was asked to.

        Raises:
            KeyboardInterrupt: It was asked to stop.
        """
        self._emit({"event": "note", "message": text})
        if self._stop.is_set():
            raise KeyboardInterrupt

    def passed(self, count: int) -> None:
        """Count steps that are done."""
        self._before += count
        self.tell(0)

    def drive(self, round_: int | None) -> None:
        """Drive over the stages of a round, or the held-out ones, that are left."""
        params = self._params
        count = params.scaled(params.held_out if round_ is None else params.stages)
        if (workers := min(params.workers, len(left(params, round_)))) > 1:
            self._spread(round_, workers, count)
        else:
            for number in drive_left(params, round_, 0, 1):
                self.tell(number)
        self.passed(count)

    def _spread(self, round_: int | None, workers: int, count: int) -> None:
        """Drive in processes of their own, each over its share of the stages."""
        name = "held_out" if round_ is None else str(round_)
        command = [sys.executable, "-m", "training.policy.worker", self._params.out, name]
        threads = str(max(1, cores() // workers))
        with contextlib.ExitStack() as held:
            running = [
                held.enter_context(Companion([*command, str(share), str(workers)], env={"OMP_NUM_THREADS": threads}))
                for share in range(workers)
            ]
            while any(worker.returncode is None for worker in running):
                self._stop.wait(0.5)
                for worker in running:
                    worker.poll_events()
                self.tell(count - len(left(self._params, round_)))
        for worker in running:
            if worker.returncode:
                line = worker.tail[-1] if worker.tail else f"exit status {worker.returncode}"
                raise CheckError(f"a process that drives failed: {line}")


def left(params: PolicyParams, round_: int | None) -> list[int]:
    """Numbers of the stages of a round, or of the held-out ones, that are not driven yet."""
    if round_ is not None:
        return [i for i in range(params.scaled(params.stages)) if not stage_file(params.out, round_, i).exists()]
    digest = Policy(policy_file(params.out, params.rounds - 1), threads=1).card["sha256"]
    held_out = range(params.scaled(params.held_out))
    return [number for number in held_out if not is_of(held_out_file(params.out, number), digest)]


def drive_left(params: PolicyParams, round_: int | None, share: int, shares: int) -> Iterator[int]:
    """Drive over a share of the stages that are left; yields after each how many of them are done.

    Args:
        params: What is asked for.
        round_: Number of the round; None for the held-out stages.
        share: Which share, from 0.
        shares: How many there are.
    """
    mine = [number for number in left(params, round_) if number % shares == share]
    if not mine:
        return
    driver = params.rounds - 1 if round_ is None else round_ - 1
    policy = None if driver < 0 else Policy(policy_file(params.out, driver), threads=1)
    backend = params.params.render.backend
    with contextlib.closing(open_renderer(backend, threads=max(1, cores() // shares))) as renderer:
        do = _stepper(params, round_, policy, renderer)
        for done, number in enumerate(mine):
            do(number)
            yield done + 1


def _stepper(
    params: PolicyParams, round_: int | None, policy: Policy | None, renderer: Renderer
) -> Callable[[int], None]:
    """What drives over a stage by its number and leaves its file."""

    def collect(number: int) -> None:
        assert round_ is not None
        file = stage_file(params.out, round_, number)
        file.parent.mkdir(exist_ok=True)
        collect_stage(params, round_, number, policy, renderer).save(file)

    def measure(number: int) -> None:
        assert policy is not None
        file = held_out_file(params.out, number)
        file.parent.mkdir(exist_ok=True)
        write_json(file, measure_stage(params, number, policy, renderer, file.parent))

    return measure if round_ is None else collect


def _learn(params: PolicyParams, round_: int, steps: Steps) -> None:
    """Learn from the drives of all rounds so far, where that is not done yet."""
    file = policy_file(params.out, round_)
    if not (file.exists() and file.with_suffix(".json").exists()):
        from training.policy.fit import fit, write_policy
        from training.policy.samples import Samples

        stages = range(params.scaled(params.stages))
        drives = [Drives.load(stage_file(params.out, r, index)) for r in range(round_ + 1) for index in stages]
        if not any(len(each.readings) for each in drives):
            raise InputError("distance_m", params.distance_m, "a way with room on one stage at least")
        start = policy_file(params.out, round_ - 1).with_suffix(".pt") if round_ else None
        network, made = fit(params, round_, Samples(drives), start, steps.note)
        write_policy(network, params.size, file, {"training": settings(params) | {"round": round_} | made})
    steps.passed(1)


def _results(params: PolicyParams) -> dict[str, Any]:
    """What results.json holds, which this writes: rounds, and the held-out stages."""
    rounds = []
    for round_ in range(params.rounds):
        stages = range(params.scaled(params.stages))
        drives = [Drives.load(stage_file(params.out, round_, index)) for index in stages]
        card = read_json(policy_file(params.out, round_).with_suffix(".json"))["training"]
        rounds.append({
            "drives": sum(len(each.success) for each in drives),
            "succeeded": int(sum(each.success.sum() for each in drives)),
            "decisions": card["decisions"],
            "losses": card["losses"],
        })  # fmt: skip
    held_out = range(params.scaled(params.held_out))
    result = {
        "settings": settings(params),
        "rounds": rounds,
        "held_out": measured(held_out_file(params.out, number) for number in held_out),
    }
    write_json(params.out / "results.json", result)
    return result
