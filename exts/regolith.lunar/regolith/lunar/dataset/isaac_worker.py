"""One chunk drawn by headless Isaac Sim: `…/python.sh -m regolith.lunar.dataset.isaac_worker TASK.json`.

What `regolith generate --executor isaac --command "…/python.sh EXT/regolith/lunar/dataset/isaac_worker.py {task}"`
starts, EXT being `exts/regolith.lunar`, which is then imported from (the generator hands on no PYTHONPATH: it would be
its own). Task, part journal and result are those of `dataset.chunk`. How it ended is told by
the result file alone: SimulationApp ends the process inside `close`, in Isaac Sim 5.1 always with exit status 0.

Arguments it does not know go to Kit.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import Any

EXTRA_ARGS = (
    "--/rtx/descriptorSets=360000",
    "--/rtx/reservedDescriptors=900000",  # long Replicator runs exhaust the default ones
    "--/app/installSignalHandlers=false",  # SIGTERM finishes the frame
    "--/app/asyncRendering=false",
    "--/omni/replicator/asyncRendering=false",
    "--/rtx/hydra/enableSemanticSchema=true",
    "--/rtx/materialDb/syncLoads=true",
    "--/omni/kit/plugin/syncUsdLoads=true",
    "--enable",
    "omni.replicator.core",
)
"""Arguments of Kit: room for descriptor sets, frames that wait for what they show."""


def launch_config(extra: list[str]) -> dict[str, Any]:
    """Configuration of SimulationApp, in keys that 5.1 and 6.x share; the render mode is set with the frames.

    Args:
        extra: More arguments of Kit.
    """
    return {
        "headless": True,
        "sync_loads": True,
        "multi_gpu": False,  # with several, semantic pictures came empty at random (IsaacSim issue 507)
        "disable_viewport_updates": True,
        "extra_args": [*EXTRA_ARGS, *extra],
    }


def main() -> int:
    """Run the task named on the command line; SIGTERM and SIGINT finish the frame being written."""
    parser = argparse.ArgumentParser(prog="python -m regolith.lunar.dataset.isaac_worker", description=__doc__)
    parser.add_argument("task", type=Path, help="task file, as `regolith generate --executor isaac` writes it")
    parser.add_argument("--picture", choices=("hdr", "ldr"), default="hdr", help="linear light through our sensor, or RTX's own picture")  # fmt: skip  # noqa: E501
    parser.add_argument("--gain", type=float, default=1.0, help="radiance over HdrColor (ReplicatorRenderer)")
    arguments, extra = parser.parse_known_args()
    sys.argv[1:] = []  # SimulationApp reads it; what is Kit's goes by `extra_args`
    try:
        from isaacsim import SimulationApp  # type: ignore[import-not-found]  # before anything of OpenUSD

        app = SimulationApp(launch_config(extra))
    except Exception as error:  # nothing else tells the generator why
        _refuse(arguments.task, error)
        return 1
    try:
        _draw(arguments.task, picture=arguments.picture, gain=arguments.gain)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        app.close()  # may not return
    return 0


def _draw(path: Path, **options: Any) -> None:
    """Draw a task inside the app that runs; leaves the result file."""
    from regolith.lunar.dataset.chunk import ChunkTask, run_task
    from regolith.lunar.jobs.tether import end_with
    from regolith.lunar.render.replicator import ReplicatorRenderer
    from regolith.lunar.system import STOP_SIGNALS

    task = ChunkTask.read(path)
    if task.parent is not None:
        end_with(task.parent)
    stop = threading.Event()
    for number in STOP_SIGNALS:  # after SimulationApp, which has its own
        signal.signal(number, lambda *_: stop.set())
    for _ in run_task(task, lambda task: ReplicatorRenderer(**options), stop.is_set):
        pass


def _refuse(path: Path, error: Exception) -> None:
    """Leave the result of a task that could not be begun."""
    from regolith.lunar.dataset.chunk import ChunkTask, failed, write_result

    write_result(ChunkTask.read(path), {"renderer": None, "frames": 0, "seconds": {}} | failed(error))


if __name__ == "__main__":
    if not __package__:  # started by its path
        sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    sys.exit(main())
