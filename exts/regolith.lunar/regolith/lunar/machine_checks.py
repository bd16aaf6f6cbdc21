"""What of this tool works on this machine, each found by trying it, and what to install for the rest."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import psutil

from regolith.lunar.dataset.chunked_run import WORKER_BYTES
from regolith.lunar.files import take_lock, write_bytes
from regolith.lunar.jobs.memory import available_bytes
from regolith.lunar.machine import cores, requirements
from regolith.lunar.params import InputError, preset_names
from regolith.lunar.perception.model_files import shipped_models
from regolith.lunar.perception.session import Segmenter
from regolith.lunar.render.backend import LIBRARY_VARIABLE, OLDEST_LLVM, find_llvm
from regolith.lunar.render.rtx import ISAAC_SIM
from regolith.lunar.system import join_command

State = Literal["ok", "absent", "failed"]

EXTRAS = {
    "train": "training",
    "studio": "studio",
    "ray": "many machines",
    "export": "export formats",
    "physics": "physics",
    "moon": "real places and times",
    "film": "films",
}
"""Extras of the package, and what each is for."""
NEEDED = ("", "train")
"""Extras without which the main job (author, generate, train, evaluate) stops; the empty one is the package itself."""

SPEED_S = 120.0
"""How long the renderer may take to draw its pictures [s]."""
WRITTEN_BYTES = 32 << 20
"""Size of the file whose writing is timed [bytes]."""
WRITTEN_FILES = 8
"""Small files whose appearing is timed, as the writer of a dataset makes them appear."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that was tried."""

    name: str
    state: State
    """`absent`: not there, and the rest works without; `failed`: it does not work, or cannot be done without."""
    found: str
    """What there is, in a line."""
    advice: str = ""
    """What to do for more, in a line; empty where there is nothing to do."""
    needed: bool = False
    """Whether the main job stops without."""

    @property
    def stops(self) -> bool:
        """Whether the main job stops at it."""
        return self.needed and self.state != "ok"


def check_machine(folder: Path) -> list[Check]:
    """Try everything on this machine; no network is touched.

    Args:
        folder: Folder whose disk is measured; a temporary folder in it appears and goes.
    """
    llvm = find_llvm()
    command = [sys.executable, "-P", "-m", "regolith.lunar.render.speed"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as drawing:
        try:
            driver = cuda_driver()
            checks = [
                check_packages(),
                *(check_packages(extra) for extra in EXTRAS),
                check_cores(),
                check_memory(),
                check_cuda(driver),
                check_inference(gpu=bool(driver)),
                check_models(),
                check_kit(),
                check_browser(),
                check_folder(folder),
            ]
            rest = check_renderer(drawing, llvm)
        finally:
            drawing.kill()
    return [*checks[:1], *rest, *checks[1:]]


def check_packages(extra: str = "") -> Check:
    """Whether the packages of an extra are installed in the versions it needs."""
    from packaging.requirements import Requirement

    name, needed = EXTRAS[extra] if extra else "packages", extra in NEEDED
    missing: list[str] = []
    versions: dict[str, str] = {}
    for line in requirements(extra):
        wanted = Requirement(line)
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[wanted.name] = metadata.version(wanted.name)
        if not wanted.specifier.contains(versions.get(wanted.name, ""), prereleases=True):
            missing.append(line)
    told = ", ".join(f"{package} {versions[package]}" for package in ("torch", "viser", "ray") if package in versions)
    if not missing:
        there = (
            f"Python {platform.python_version()}, {len(versions)} packages"
            if not extra
            else told or "its packages are installed"
        )
        return Check(name, "ok", there, needed=needed)
    found = ", ".join(
        f"{each} {versions[each]}" if each in versions else f"no {each}"
        for each in (Requirement(line).name for line in missing)
    )
    advice = join_command([sys.executable, "-m", "pip", "install", *missing])
    return Check(name, "failed" if needed else "absent", found, advice, needed)


def check_renderer(drawing: subprocess.Popen[str], llvm: Path | None) -> list[Check]:
    """What `render.speed` drew with, and how the scalar back end compares.

    Args:
        drawing: Its process.
        llvm: The library that works here.
    """
    advice = f"an LLVM from {OLDEST_LLVM} on (Debian: apt install libllvm19), or its path in {LIBRARY_VARIABLE}"
    absent = Check("LLVM", "absent", "none that works: the renderer is the scalar one, some 3 times slower", advice)
    try:
        out, err = drawing.communicate(timeout=SPEED_S)
        result: dict[str, Any] = json.loads(out)
    except (subprocess.TimeoutExpired, ValueError) as error:
        line = str(error) if isinstance(error, subprocess.TimeoutExpired) else (err.strip().splitlines() or ["?"])[-1]
        failed = Check("renderer", "failed", f"draws nothing: {line}", "the packages in their versions", needed=True)
        return [failed, Check("LLVM", "ok", str(llvm)) if llvm else absent]
    renderer, seconds = result["renderer"], result["seconds"]
    backend = renderer["backend"]
    found = f"Mitsuba {renderer['mitsuba']} on {backend}, {renderer['cpu']}"
    drawn = Check("renderer", "ok", found, needed=True)
    if llvm is None:
        return [drawn, absent]
    ratio = f"; scalar takes {seconds['scalar'] / seconds[backend]:.1f} times as long as {backend}"
    version = renderer["llvm"] and f"{renderer['llvm']}: "
    return [drawn, Check("LLVM", "ok", f"{version}{llvm}{ratio if backend != 'scalar' else ''}")]


def check_cores() -> Check:
    """Cores this process may use."""
    machine = os.cpu_count() or 1  # noqa: TID251  (the machine's, beside ours)
    return Check("cores", "ok", f"{cores()} of {machine}")


def check_memory() -> Check:
    """Memory this process may use, against what a worker of `generate` takes."""
    free, machine = available_bytes(), psutil.virtual_memory().total  # noqa: TID251  (the machine's, beside ours)
    found = f"{free / 1e9:.1f} GB free of {machine / 1e9:.1f} GB"
    if free >= WORKER_BYTES:
        return Check("memory", "ok", found, needed=True)
    return Check("memory", "failed", found, f"{WORKER_BYTES / 1e9:.1f} GB of free memory for a worker", needed=True)


def cuda_driver() -> str:
    """NVIDIA's driver and its devices, by the driver's own word; empty where there is none that works."""
    for library in ("libcuda.so.1", "nvcuda.dll"):
        with contextlib.suppress(OSError):
            driver = ctypes.CDLL(library)
            break
    else:
        return ""
    number, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    if driver.cuInit(0) or driver.cuDriverGetVersion(ctypes.byref(number)):
        return ""
    version = f"driver for CUDA {number.value // 1000}.{number.value % 1000 // 10}"
    names: list[str] = []
    if not driver.cuDeviceGetCount(ctypes.byref(number)):
        for index in range(number.value):
            if not driver.cuDeviceGetName(name, len(name), index):
                names.append(name.value.decode("utf-8", "replace"))
    return f"{version}: {', '.join(names)}" if names else ""


def check_cuda(driver: str) -> Check:
    """What `cuda_driver` found."""
    if driver:
        return Check("CUDA", "ok", driver)
    return Check("CUDA", "absent", "no device: CPUs do all the work", "for faster work an NVIDIA GPU with its driver")


def check_inference(*, gpu: bool) -> Check:
    """Whether the shipped model segments a picture.

    Args:
        gpu: Whether there is a CUDA device.
    """
    try:
        import numpy as np
        import onnxruntime

        providers = [name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()]
        found = f"onnxruntime {onnxruntime.__version__}: {', '.join(providers)}"
        segmenter = Segmenter("default")
        segmenter.predict(np.zeros((64, 64, 3), np.uint8), size=64)
    except Exception as error:  # whatever a broken installation raises is what there is to say
        line = " ".join(str(error).split()) or type(error).__name__
        return Check("inference", "failed", line, "onnxruntime, and a model that it loads", needed=True)
    advice = "for the GPU, onnxruntime-gpu in onnxruntime's place" if gpu and "CUDA" not in providers else ""
    return Check("inference", "ok", found, advice, needed=True)


def check_models() -> Check:
    """The shipped models and presets."""
    models, presets = list(shipped_models()), preset_names()
    found = f"models {', '.join(models) or 'none'}; presets {', '.join(presets) or 'none'}"
    if "default" in models and presets:
        return Check("shipped files", "ok", found)
    return Check("shipped files", "failed", found, "install this package again: its files are not all here")


def check_kit() -> Check:
    """Whether this interpreter is Kit's."""
    try:
        spec = importlib.util.find_spec("omni.kit.app")
    except ImportError:
        spec = None
    if spec is not None:
        return Check("Kit", "ok", "this is its interpreter")
    return Check("Kit", "absent", "not in this interpreter", "for RTX frames Isaac Sim; --isaac FOLDER looks at one")


def check_browser() -> Check:
    """A Chromium, which the tests of the studio open."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    cache = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache/ms-playwright")
    found = found or next(map(str, cache.glob("chromium-*")), None)
    if found:
        return Check("Chromium", "ok", found)
    return Check("Chromium", "absent", "none; the studio opens in any browser", "for its tests: apt install chromium")


def check_folder(folder: Path) -> Check:
    """Whether a folder takes files, how fast, and whether its locks keep a second process out."""
    name = "folder"
    try:
        free = shutil.disk_usage(folder).free
        with tempfile.TemporaryDirectory(prefix=".regolith_doctor_", dir=folder) as place:
            scratch = Path(place)
            started = time.perf_counter()
            write_bytes(scratch / "large", os.urandom(1 << 20) * (WRITTEN_BYTES >> 20))
            rate = WRITTEN_BYTES / (time.perf_counter() - started)
            started = time.perf_counter()
            for number in range(WRITTEN_FILES):
                write_bytes(scratch / str(number), b"\n")
            each = (time.perf_counter() - started) / WRITTEN_FILES
            locks = has_locks(scratch / "large")
    except OSError as error:
        return Check(
            name, "failed", f"{folder}: takes no files ({error.strerror})", "--folder of a disk that does", needed=True
        )
    found = f"{folder.resolve()}: {free / 1e9:.0f} GB free, writes {rate / 1e6:.0f} MB/s, {1000 * each:.1f} ms a file"
    if locks:
        return Check(name, "ok", f"{found}, locks", needed=True)
    return Check(name, "ok", f"{found}, no locks", "see that no two runs write to one split", needed=True)


def has_locks(path: Path) -> bool:
    """Whether a lock on a file keeps the next one out."""
    with path.open("rb+") as first, path.open("rb+") as second:
        take_lock(first.fileno(), path.parent)
        try:
            take_lock(second.fileno(), path.parent)
        except BlockingIOError:
            return True
    return False


def isaac_home(folder: Path) -> tuple[Path, str]:
    """The folder of an Isaac Sim that has its VERSION, and what that says.

    Args:
        folder: Of the binary release, or `isaacsim` (or what holds it) of the Python packages.

    Raises:
        InputError: No Isaac Sim is there.
    """
    for home in (folder, folder / "isaacsim"):
        with contextlib.suppress(OSError):
            text = (home / "VERSION").read_text("utf-8", "replace").strip()
            if re.match(r"\d+\.\d+\.\d+", text):
                return home, text
    raise InputError("isaac", str(folder), "a folder of Isaac Sim, with its VERSION")


def check_isaac(folder: Path) -> Check:
    """Whether an Isaac Sim is of a version the extension is written for.

    Args:
        folder: As `isaac_home` takes it.

    Raises:
        InputError: No Isaac Sim is there.
    """
    home, text = isaac_home(folder)
    major, minor, _ = text.split(".", 2)
    release = (int(major), int(minor))
    kit = kit_version(home)
    found = f"{text}, Kit {kit or 'not found'}"
    known = ", ".join(f"{major}.{minor}" for major, minor in ISAAC_SIM)
    if release not in ISAAC_SIM:
        return Check("Isaac Sim", "failed", found, f"a version the extension is written for: {known}", needed=True)
    expected = "{}.{}".format(*ISAAC_SIM[release])
    if kit and not kit.startswith(f"{expected}."):
        return Check("Isaac Sim", "failed", found, f"its own Kit, {expected}", needed=True)
    return Check("Isaac Sim", "ok", found, needed=True)


def kit_version(isaac: Path) -> str:
    """Version of Kit in an Isaac Sim, by the settings of its core; empty where they are not there."""
    with contextlib.suppress(OSError):
        text = (isaac / "kit/kernel/config/kit-core.json").read_text("utf-8", "replace")
        if found := re.search(r'"kit_version"\s*:\s*"([^"+]+)', text):
            return found[1]
    return ""
