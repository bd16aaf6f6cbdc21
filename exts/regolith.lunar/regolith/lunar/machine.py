"""The machine and the process this runs in: cores, standard streams, signals that ask it to stop, what it lacks."""

from __future__ import annotations

import contextlib
import io
import math
import os
import signal
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from regolith.lunar.system import ISAAC_PYTHON, STOP_SIGNALS, join_command

ONNXRUNTIME = (
    f"onnxruntime for Isaac Sim's Python: {join_command([sys.executable, '-m', 'pip', 'install', 'onnxruntime'])}; "
    "on a GPU with CUDA 12 'onnxruntime-gpu<1.27' instead, newer ones want CUDA 13"
)
"""What to install where a model shall run inside Isaac Sim, and how."""


def cores(root: Path = Path("/")) -> int:
    """Cores this process may use: those it may run on, or fewer where a container has a quota of their time.

    Args:
        root: Root of the file system that holds the control group's files.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1  # noqa: TID251
    return min([allowed, *(math.ceil(quota) for quota in _core_quotas(root))])


def _core_quotas(root: Path) -> Iterator[float]:
    """Cores' worth of time a container's control group may use, version 2 and 1; none without a quota.

    Kernel documentation, admin-guide/cgroup-v2.rst (`cpu.max`) and scheduler/sched-bwc.rst.
    """
    for folder, *names in (
        ("sys/fs/cgroup", "cpu.max"),
        ("sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "cpu.cfs_period_us"),
    ):
        with contextlib.suppress(OSError, ValueError):  # "max", and a file that holds no two numbers
            quota, period = map(int, " ".join((root / folder / name).read_text("ascii") for name in names).split())
            if quota > 0 < period:
                yield quota / period


def ready_streams() -> None:
    """Make the standard streams fit to be written to, whatever this process was started with.

    One that is closed leads nowhere from here on; else a file opened later would take its number, and get what a
    library prints. What an encoding lacks is written as an escape.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  (for as long as we run)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def requirements(extra: str = "") -> list[str]:
    """What an extra of this package needs, or the package itself, as pip takes it: `numpy>=2.0`.

    That of the installation, or of the checkout we are in where nothing is installed; empty where we are in neither.
    """
    try:
        lines = [line.partition(";") for line in metadata.requires("regolith-lunar") or []]
        wanted = f'"{extra}"' if extra else ""
        return [line.strip() for line, _, condition in lines if (wanted in condition if wanted else not condition)]
    except metadata.PackageNotFoundError:
        checkout = Path(__file__).parents[4]
        try:
            project = tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))["project"]
        except OSError:
            return []
        return project["optional-dependencies"][extra] if extra else project["dependencies"]


def install_command(extra: str, python: str | Path = sys.executable) -> str:
    """Command line, for a shell, that installs what an extra of this package needs.

    It names the packages themselves, for this one is on no index.
    """
    needed = requirements(extra) or [f".[{extra}]"]  # in a checkout, wherever that is
    return join_command([python, "-m", "pip", "install", *needed])


def isaac_launcher(isaac: Path) -> Path | None:
    """The program that starts Isaac Sim's own Python; None where the folder has none."""
    path = isaac / ISAAC_PYTHON
    return path if path.is_file() else None


def environment_python(package: Path) -> Path | None:
    """Python of the virtual or Conda environment a package is installed in; None where it lies in none."""
    for home in package.absolute().parents:
        if (home / "pyvenv.cfg").is_file() or (home / "conda-meta").is_dir():
            places = (home / name for name in ("bin/python", "Scripts/python.exe", "python.exe"))
            return next((path for path in places if path.is_file()), None)
    return None


@contextlib.contextmanager
def stop_on_signal(then: Callable[[], object] = lambda: None) -> Iterator[threading.Event]:
    """Turn `STOP_SIGNALS` into an event, so that what is being written is finished; a second one ends at once.

    Args:
        then: Called with the first one.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        then()

    before = {number: signal.signal(number, ask) for number in STOP_SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
