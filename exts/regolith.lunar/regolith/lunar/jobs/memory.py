"""Free memory, as far as this process may use it."""

from __future__ import annotations

import contextlib
import ctypes
import re
from pathlib import Path

import psutil

CONTROL_GROUPS = (
    ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Folder, files with limit and usage, and the name in `memory.stat` of page cache that is given back when asked for:
a container's memory under control groups version 2 and 1 (kernel documentation, admin-guide/cgroup-v2.rst)."""


def available_bytes(root: Path = Path("/")) -> int:
    """Memory that can be taken without swapping [bytes]: what the system has, or less where a container has a limit.

    Args:
        root: Root of the file system that holds the control group's files.
    """
    free = psutil.virtual_memory().available  # noqa: TID251  (the one place that asks)
    for folder, limit_name, usage_name, cache_name in CONTROL_GROUPS:
        try:
            limit, usage, stat = (
                (root / folder / n).read_text("ascii") for n in (limit_name, usage_name, "memory.stat")
            )
        except OSError:
            continue
        if limit.strip().isdecimal():
            cache = re.search(rf"^{cache_name} (\d+)$", stat, re.MULTILINE)
            held = int(usage) - (int(cache[1]) if cache else 0)
            free = min(free, max(int(limit) - held, 0))
    return free


def return_memory() -> None:
    """Give the system back what this process has freed: glibc keeps freed pieces between others for itself.

    Where the C library has no such call (macOS, musl, Windows) nothing is done.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # Windows takes no None
        ctypes.CDLL(None).malloc_trim(0)
