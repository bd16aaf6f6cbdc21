"""Choice of the back end."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from regolith.lunar.params import InputError
from regolith.lunar.render import backend

CHOOSE = "from regolith.lunar.render.backend import choose_backend; print(choose_backend({!r}))"


def test_llvm_is_found_and_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library found is put into the environment, so that children need not probe."""
    found = backend.find_llvm()
    assert found is not None, "run `make setup`: the tests need LLVM >= 17"
    assert os.environ[backend.LIBRARY_VARIABLE] == str(found)
    monkeypatch.setattr(backend, "_probe", lambda *_: pytest.fail("probed again"))
    backend.find_llvm.cache_clear()
    assert backend.find_llvm() == found


def test_old_libraries_of_the_system_are_not_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment's library comes first, then the virtual environment's by version."""
    folder = tmp_path / "lib" / "llvm"
    folder.mkdir(parents=True)
    for name in ("libLLVM-18.so", "libLLVM.so.20.1", "libLLVM-9.so"):
        (folder / name).touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv(backend.LIBRARY_VARIABLE, "/nowhere/libLLVM-17.so")
    names = [path.name for path in backend.library_candidates()]
    assert names[:3] == ["libLLVM-17.so", "libLLVM.so.20.1", "libLLVM-18.so"]


def test_explicit_back_end_that_does_not_work_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that names the field, the value and what is allowed."""
    monkeypatch.setattr(backend, "find_llvm", lambda: None)
    monkeypatch.setattr(backend, "cuda_works", lambda: False)
    for name in ("llvm", "cuda"):
        with pytest.raises(InputError, match=r"render\.backend") as error:
            backend.choose_backend(name)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="auto, llvm, scalar, cuda"):
        backend.choose_backend("vulkan")  # type: ignore[arg-type]


def test_auto_falls_back_with_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a library: scalar, and one line on stderr, once."""
    monkeypatch.setattr(backend, "find_llvm", lambda: None)
    monkeypatch.setattr(backend, "cuda_works", lambda: False)
    backend._warn_fallback.cache_clear()
    assert backend.choose_backend("auto") == backend.choose_backend("auto") == "scalar"
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "make setup" in lines[0]


def test_probe_survives_a_library_that_cannot_be_loaded(tmp_path: Path) -> None:
    """A process with a broken library in its environment still finds a working one."""
    broken = tmp_path / "libLLVM-17.so"
    broken.write_bytes(b"not a library")
    environment = {k: v for k, v in os.environ.items() if k != backend.PROBED_VARIABLE}
    environment |= {backend.LIBRARY_VARIABLE: str(broken), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", CHOOSE.format("llvm")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "llvm", done.stderr


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Names of the libraries probed, in an empty cache folder, where every probe passes."""
    probed: list[str] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(backend, "_probe", lambda _, library: probed.append(library.name) or True)
    return probed


def test_a_passed_probe_is_remembered_for_that_very_file(probes: list[str], tmp_path: Path) -> None:
    """The same file is not probed again; one of another size, time, CPU or Mitsuba is."""
    library = tmp_path / "libLLVM-19.so"
    library.write_bytes(b"one")
    assert backend.library_works(library)
    assert backend.library_works(library)
    assert len(probes) == 1
    os.utime(library, ns=(1, 1))
    assert backend.library_works(library)
    library.write_bytes(b"three")
    os.utime(library, ns=(1, 1))
    assert backend.library_works(library)
    assert len(probes) == 3


@pytest.mark.parametrize("part", ["_cpu", "metadata"])
def test_another_cpu_or_mitsuba_probes_again(
    probes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """What was true of other code on another machine says nothing here."""
    library = tmp_path / "libLLVM-19.so"
    library.write_bytes(b"one")
    assert backend.library_works(library)
    if part == "_cpu":
        monkeypatch.setattr(backend, "_cpu", lambda: "another")
    else:
        monkeypatch.setattr(backend.metadata, "version", lambda _: "99.0")
    assert backend.library_works(library)
    assert len(probes) == 2


def test_spoilt_and_unwritable_memories_are_ignored(
    probes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged file, or a cache that cannot be made, costs a probe and nothing else."""
    library = tmp_path / "libLLVM-19.so"
    library.write_bytes(b"one")
    assert backend.library_works(library)
    (memory,) = (tmp_path / "cache" / "regolith" / "llvm").iterdir()
    memory.write_bytes(memory.read_bytes()[:20])
    assert backend.library_works(library)
    assert backend.library_works(library)
    assert len(probes) == 2
    monkeypatch.setenv("XDG_CACHE_HOME", str(library))
    assert backend.library_works(library)
    assert backend.library_works(library)
    assert len(probes) == 4


def test_a_failed_probe_is_never_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that failed, perhaps for want of memory, is tried again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    library = tmp_path / "libLLVM-19.so"
    library.write_bytes(b"not a library")
    monkeypatch.setattr(backend, "_probe", lambda *_: False)
    assert not backend.library_works(library)
    monkeypatch.setattr(backend, "_probe", lambda *_: True)
    assert backend.library_works(library)


def test_what_a_child_would_say_is_known_ahead_or_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where a package is missing, nor where Dr.Jit took a library of its own choice here."""
    known = backend.describe_ahead("llvm")
    assert known is not None and known == backend.describe_backend("llvm") and known["backend"] == "llvm"
    monkeypatch.setitem(sys.modules, "drjit", sys)
    assert backend.describe_ahead("llvm") == known
    monkeypatch.delenv(backend.LIBRARY_VARIABLE)
    assert backend.describe_ahead("llvm") is None
    monkeypatch.delitem(sys.modules, "drjit")

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(backend.metadata, "version", missing)
    assert backend.describe_ahead("scalar") is None
