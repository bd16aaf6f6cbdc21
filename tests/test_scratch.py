"""Temporary folders of processes that ended without a word go with the next one; nobody else's do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regolith.lunar import scratch
from regolith.lunar.files import lock_beside, place
from regolith.lunar.scratch import scratch_folder, sweep_scratch

HOLDER = """
import sys
from regolith.lunar.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "scene.usdc").write_bytes(b"0" * 100)
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder, of the test's own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


Hold = Callable[[], tuple[subprocess.Popen, Path]]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Start a process that uses a folder until it is killed."""
    started: list[subprocess.Popen] = []

    def start() -> tuple[subprocess.Popen, Path]:
        command = [sys.executable, "-c", HOLDER]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in started:
        process.kill()
        process.communicate()


def killed(hold: Hold) -> Path:
    process, folder = hold()
    process.kill()
    process.wait()
    assert (folder / "scene.usdc").is_file()
    return folder


def test_a_folder_goes_with_its_use(root: Path) -> None:
    with scratch_folder() as folder, scratch_folder() as other:
        assert folder.is_dir() and other.is_dir() and folder != other
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(root.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next_start(root: Path, hold: Hold) -> None:
    for _ in range(2):
        killed(hold)
    sweep_scratch()
    assert list(root.iterdir()) == []


def test_a_folder_in_use_stays(root: Path, hold: Hold) -> None:
    process, folder = hold()
    sweep_scratch()
    assert (folder / "scene.usdc").is_file()
    process.communicate()
    assert list(root.iterdir()) == []


def test_a_number_given_to_another_process_keeps_no_folder(root: Path, hold: Hold) -> None:
    folder = killed(hold)
    reused = folder.rename(root / re.sub(rf"-{place()}-\d+-", f"-{place()}-{os.getpid()}-", folder.name))
    lock_beside(folder).rename(lock_beside(reused))
    sweep_scratch()
    assert list(root.iterdir()) == []


def test_without_locks_the_number_tells(root: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch) -> None:
    left, (_, used) = killed(hold), hold()
    monkeypatch.setattr(scratch, "take_lock", lambda descriptor, folder: None)
    sweep_scratch()
    assert used.is_dir() and not left.exists()


def test_nobody_elses_folder_goes(root: Path, hold: Hold) -> None:
    name = killed(hold).name
    away = root / "away"
    away.mkdir()
    (away / "kept").touch()
    of_another_host = root / name.replace(place(), "00000000")
    of_another_program = root / "regolith-1-2"
    for folder in (of_another_host, of_another_program):
        folder.mkdir()
    link = root / f"{name}0"
    link.symlink_to(away)
    file = root / f"{name}1"
    file.touch()
    foreign = root / f"{name}2"
    foreign.mkdir()
    if os.getuid() == 0:
        os.chown(foreign, 12345, 12345)
    sweep_scratch()
    kept = {away, of_another_host, of_another_program, link, file} | ({foreign} if os.getuid() == 0 else set())
    assert set(root.iterdir()) == kept and (away / "kept").exists()


def test_a_folder_that_cannot_be_written_hinders_no_start(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(root / "gone"))
    sweep_scratch()
    with pytest.raises(OSError, match="gone"), scratch_folder():
        pass
