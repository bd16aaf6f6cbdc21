"""Cores and memory: what this process may use of the machine, not what the machine has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from regolith.lunar import cli
from regolith.lunar.jobs.memory import available_bytes
from regolith.lunar.machine import cores

GB = 1_000_000_000


def groups(root: Path, **files: str) -> Path:
    """Root of a file system with a control group's files; `__` in a name is a slash, `0` a dot."""
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("0", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("quota", "most"),
    [
        ({"cpu0max": "50000 100000\n"}, 1),
        ({"cpu0max": "150000 100000\n"}, 2),
        ({"cpu0max": "max 100000\n"}, None),
        ({"cpu0max": "?\n"}, None),
        ({"cpu__cpu0cfs_quota_us": "100000\n", "cpu__cpu0cfs_period_us": "100000\n"}, 1),
        ({"cpu__cpu0cfs_quota_us": "-1\n", "cpu__cpu0cfs_period_us": "100000\n"}, None),
        ({"cpu__cpu0cfs_quota_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_quota_of_a_container_bounds_the_cores(tmp_path: Path, quota: dict[str, str], most: int | None) -> None:
    allowed = len(os.sched_getaffinity(0))
    assert cores(groups(tmp_path, **quota)) == min(allowed, most or allowed)


def test_affinity_bounds_the_cores() -> None:
    one = min(os.sched_getaffinity(0))
    code = "from regolith.lunar.machine import cores; print(cores())"
    command = [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {{{one}}}); {code}"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1\n"


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({"memory0max": "3000000000", "memory0current": "2500000000",
          "memory0stat": "anon 5\ninactive_file 400000000\nactive_file 7\n"}, 0.9 * GB),
        ({"memory0max": "1000000000", "memory0current": "2000000000", "memory0stat": ""}, 0),
        ({"memory__memory0limit_in_bytes": "2000000000", "memory__memory0usage_in_bytes": "1900000000",
          "memory__memory0stat": "inactive_file 1\ntotal_inactive_file 300000000\n"}, 0.4 * GB),
    ],
)  # fmt: skip
def test_limit_of_a_container_bounds_the_memory(tmp_path: Path, files: dict[str, str], free: float) -> None:
    """Its page cache is given back when asked for, and counts as free."""
    assert available_bytes(groups(tmp_path, **files)) == int(free)


def test_no_limit_leaves_the_machine(tmp_path: Path) -> None:
    files = {"memory0max": "max\n", "memory0current": "5", "memory0stat": ""}
    assert available_bytes(groups(tmp_path, **files)) > GB


def test_help_says_the_same_on_every_machine(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """No default is a number of this machine's cores."""
    shown = []
    for count in (1, 64):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        monkeypatch.setattr(os, "sched_getaffinity", lambda process, count=count: set(range(count)))
        monkeypatch.delitem(sys.modules, "regolith.lunar.demo", raising=False)  # defaults are made at import
        assert cli.main(["demo", "--help"]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] and "one per core" in shown[0]
