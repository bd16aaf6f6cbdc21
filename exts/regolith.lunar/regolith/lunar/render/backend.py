"""Which Mitsuba back end works on this machine.

Mitsuba 3.9 loads any LLVM from 8 on and then aborts the whole process at the first kernel when it is older than 17
(no x86 lowering of `llvm.maximum`). So each library is tried in a process of its own that compiles a kernel. That one
works is remembered in the user's cache folder, for that very file, Mitsuba and CPU; that one does not is never.
"""

from __future__ import annotations

import ctypes.util
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from regolith.lunar.files import write_bytes
from regolith.lunar.params import InputError

Backend = Literal["llvm", "scalar", "cuda"]

NAME = "mitsuba"
"""Name of the embedded renderer."""

LIBRARY_VARIABLE = "DRJIT_LIBLLVM_PATH"
"""Environment variable by which Dr.Jit is told its LLVM library."""

PROBED_VARIABLE = "REGOLITH_LLVM_PROBED"
"""Set to the library a parent process has probed, so that its children need not."""

VARIANTS: dict[Backend, str] = {"llvm": "llvm_ad_mono", "scalar": "scalar_rgb", "cuda": "cuda_ad_mono"}
"""Mitsuba variant of each back end."""

OLDEST_LLVM = 17

_PROBE = """
import mitsuba as mi
mi.set_variant({variant!r})
import drjit as dr
x = dr.maximum(mi.Float([1, 2, 3]), dr.opaque(mi.Float, 2))
dr.eval(x)
assert x.numpy().tolist() == [2, 2, 3]
print("works")
"""


def library_candidates() -> Iterator[Path]:
    """LLVM libraries worth probing, best first: the environment's, the virtual environment's, the system's newest."""
    tried: set[Path] = set()
    for path in _libraries():
        real = path.resolve() if path.exists() else path
        if real not in tried:
            tried.add(real)
            yield path


def _libraries() -> Iterator[Path]:
    if os.environ.get(LIBRARY_VARIABLE):
        yield Path(os.environ[LIBRARY_VARIABLE])
    yield from _by_version(Path(sys.prefix, "lib", "llvm").glob("libLLVM*.so*"))
    system: list[Path] = []
    for folder in ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/opt/llvm/lib"):
        root = Path(folder)
        for pattern in ("libLLVM*.so*", "*-linux-gnu/libLLVM*.so*", "llvm-*/lib/libLLVM*.so*", "libLLVM*.dylib"):
            system += root.glob(pattern)
    yield from _by_version(path for path in system if _version(path) >= OLDEST_LLVM)
    if named := ctypes.util.find_library("LLVM"):  # starts a compiler: only where nothing else was found
        yield Path(named)


def _version(path: Path) -> float:
    match = re.search(r"LLVM[-.a-z]*?(\d+)(?:\.(\d+))?", path.name)
    return float(f"{match[1]}.{match[2] or 0}") if match else 0.0


def _by_version(paths: object) -> list[Path]:
    return sorted(paths, key=lambda p: (-_version(p), len(p.name), p.name))  # type: ignore[call-overload]


def _probe(backend: Backend, library: Path | None) -> bool:
    environment = dict(os.environ)
    if library is not None:
        environment[LIBRARY_VARIABLE] = str(library)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _PROBE.format(variant=VARIANTS[backend])],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and "works" in done.stdout


def _cpu() -> str:
    """Name and features of this CPU: what the compiled probe depends on besides files."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace").split("\n\n", 1)[0]
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    return "\n".join(line for line in text.splitlines() if line.startswith(("model name", "flags", "Features")))


def _remembered(library: Path) -> tuple[Path, bytes] | None:
    """File that stands for a probe of this library passed here, and its content; None for a library without a path."""
    try:
        found = library.resolve(strict=True)
        facts = {
            "library": str(found),
            "size": found.stat().st_size,
            "modified_ns": found.stat().st_mtime_ns,
            "mitsuba": metadata.version("mitsuba"),
            "drjit": metadata.version("drjit"),
            "cpu": _cpu(),
        }
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "regolith", "llvm")
    except (OSError, RuntimeError):  # no such file; no home folder
        return None
    content = json.dumps(facts, indent=2).encode()
    return folder / f"{hashlib.sha256(content).hexdigest()[:24]}.json", content


def library_works(library: Path) -> bool:
    """Whether an LLVM library compiles a kernel here: remembered on disk where it did before, else probed."""
    memory = _remembered(library)
    if memory is not None:
        try:
            if memory[0].read_bytes() == memory[1]:
                return True
        except OSError:
            pass
    if not _probe("llvm", library):
        return False
    if memory is not None:
        try:
            memory[0].parent.mkdir(parents=True, exist_ok=True)
            write_bytes(*memory)
        except OSError:  # a read-only home: probe again next time
            pass
    return True


@cache
def find_llvm() -> Path | None:
    """Find an LLVM library that compiles kernels here, looked for once a process; children inherit the answer.

    Sets `DRJIT_LIBLLVM_PATH` to it, so it must run before Dr.Jit is imported, which loads its library then; where it
    was imported before, only the library it chooses by itself counts.
    """
    known = os.environ.get(PROBED_VARIABLE)
    if known and known == os.environ.get(LIBRARY_VARIABLE):
        return Path(known)
    if "drjit" in sys.modules and not os.environ.get(LIBRARY_VARIABLE):  # it has loaded a library of its own choice
        return Path("libLLVM") if _probe("llvm", None) else None
    for library in library_candidates():
        if library_works(library):
            os.environ[LIBRARY_VARIABLE] = os.environ[PROBED_VARIABLE] = str(library)
            return library
    return None


@cache
def cuda_works() -> bool:
    """Whether the CUDA back end compiles and runs a kernel here; probed once a process."""
    return _has_cuda_driver() and _probe("cuda", None)


def _has_cuda_driver() -> bool:
    for name in ("libcuda.so.1", "nvcuda.dll"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return Path("/dev/nvidiactl").exists()


@cache
def _warn_fallback() -> None:
    print(
        f"regolith: no LLVM library of version {OLDEST_LLVM} or newer works here; rendering with the slower scalar "
        f"back end. `make setup` installs one, or set {LIBRARY_VARIABLE}.",
        file=sys.stderr,
    )


def choose_backend(choice: str = "auto") -> Backend:
    """Resolve `RenderParams.backend` (auto, llvm, scalar or cuda) to a back end that works here.

    `auto` takes CUDA where it works, else LLVM, else scalar, and then says so in one line on stderr.

    Raises:
        InputError: The back end asked for by name does not work here.
    """
    if choice == "scalar":
        return "scalar"
    if choice == "cuda":
        if not cuda_works():
            raise InputError("render.backend", "cuda", "auto, llvm or scalar: no CUDA device works here")
        return "cuda"
    if choice == "llvm":
        if find_llvm() is None:
            raise InputError(
                "render.backend", "llvm",
                f"auto or scalar: no LLVM library >= {OLDEST_LLVM} works here (`make setup` installs one; "
                "it is found only where Dr.Jit has not been imported yet)",
            )  # fmt: skip
        return "llvm"
    if choice != "auto":
        raise InputError("render.backend", choice, "auto, llvm, scalar, cuda")
    if cuda_works():
        return "cuda"
    if find_llvm() is not None:
        return "llvm"
    _warn_fallback()
    return "scalar"


def describe_backend(backend: Backend) -> dict[str, Any]:
    """Name, versions, back end and CPU class of the embedded renderer: what decides the bytes of a frame."""
    llvm = find_llvm() if backend == "llvm" else None
    packages = ("mitsuba", "drjit", "pyoidn", "numpy", "scipy", "pillow", "usd-core")
    return {
        "name": NAME,
        **{package: metadata.version(package) for package in packages},
        "llvm": _library_version(llvm) if llvm else "",
        "backend": backend,
        "cpu": cpu_class(),
    }


def describe_ahead(choice: str) -> dict[str, Any] | None:
    """What the embedded renderer says of itself in a child process, told without one.

    Args:
        choice: As for `choose_backend`.

    Returns:
        As `describe_backend`; None where Dr.Jit is loaded here with a library that children need not choose, or a
        package is missing, of which a child says what it is for.

    Raises:
        InputError: The back end asked for by name does not work here.
    """
    if "drjit" in sys.modules and not os.environ.get(LIBRARY_VARIABLE):
        return None
    try:
        return describe_backend(choose_backend(choice))
    except metadata.PackageNotFoundError:
        return None


def _library_version(path: Path) -> str:
    match = re.search(r"(\d+(?:\.\d+)*)", path.resolve().name.replace("libLLVM", ""))
    return match[1] if match else path.name


def cpu_class() -> str:
    """Vector instruction set of this CPU: avx512, avx2, sse4 or the machine's name; frames are equal within one."""
    try:
        flags = Path("/proc/cpuinfo").read_text("ascii", "ignore").split("flags", 1)[1].split("\n", 1)[0].split()
    except (OSError, IndexError):
        return platform.machine()
    for flag, name in (("avx512f", "avx512"), ("avx2", "avx2"), ("sse4_2", "sse4")):
        if flag in flags:
            return name
    return platform.machine()
