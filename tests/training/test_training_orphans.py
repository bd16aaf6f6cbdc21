"""Processes of a verb that is killed end with it, those they started in turn too; what a training had is saved."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil

from regolith.lunar.dataset.layout import read_journal

STUDY = ["ablate", "--presets", "v1", "--runs", "dr_400", "--seeds", "3", "--init", "random", "--workers", "1"]


def start(*words: object) -> subprocess.Popen[str]:
    """Start a verb that says how far it is."""
    command = [sys.executable, "-m", "regolith.lunar.cli", *map(str, words), "--events"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def commands(process: subprocess.Popen[str]) -> dict[psutil.Process, str]:
    """Command lines of all that a process started, and that they started."""
    found = {}
    for child in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it ended in between
            found[child] = " ".join(child.cmdline())
    return found


def end_together(process: subprocess.Popen[str], ready: Callable[[], bool]) -> None:
    """Kill a verb once it is ready to be; whatever it had started ends."""
    deadline = time.monotonic() + 240
    while not ready():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    started = list(commands(process))
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(started, timeout=240)
    assert started and not alive


def test_a_killed_study(tmp_path: Path) -> None:
    """Its steps, and the workers that draw for them, long before they are done."""
    process = start(*STUDY, "--out", tmp_path / "study")
    end_together(process, lambda: any("dataset.chunk" in words for words in commands(process).values()))
    assert len(read_journal(tmp_path / "study/data/v1/train_dr")) < 400


def test_a_killed_training(toy: SimpleNamespace, tmp_path: Path) -> None:
    """The run itself saves what it has, as when it is asked to stop."""
    splits = ["--train-split", toy.train, "--val-split", toy.val, "--init", "random", "--batch", "8", "--amp", "off"]
    process = start("train", *splits, "--epochs", "500", "--threads", "1", "--out", tmp_path / "run")
    end_together(process, (tmp_path / "run/metrics.jsonl").exists)
    assert json.loads((tmp_path / "run/summary.json").read_text("utf-8"))["status"] == "interrupted"
    assert (tmp_path / "run/last.pt").exists()
