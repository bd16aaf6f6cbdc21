"""What a run is computed on, and how to make that fast."""

from __future__ import annotations

import ctypes
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from regolith.lunar.machine import cores


def has_bf16(device: torch.device) -> bool:
    """Whether bf16 arithmetic is native, and so faster than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return "avx512_bf16" in cpu_facts().get("flags", "").split()


def keep_freed_memory() -> None:
    """Tell glibc to keep freed blocks: returning every activation to the kernel costs a third of a CPU step."""
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-4, 0)  # M_MMAP_MAX: large blocks from the heap too
        mallopt(-1, -1)  # M_TRIM_THRESHOLD: never shrink it


def cpu_facts() -> dict[str, str]:
    """Return the first block of /proc/cpuinfo, empty where there is none."""
    try:
        block = Path("/proc/cpuinfo").read_text("utf-8").split("\n\n")[0]
    except OSError:
        return {}
    return {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in block.splitlines())}


def describe_machine(device: torch.device, amp: bool) -> dict[str, Any]:
    """Say what the run was computed on."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "cpu": cpu_facts().get("model name") or platform.processor() or platform.machine(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "arithmetic": "bf16 autocast" if amp else "float32",
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def git_revision() -> str | None:
    """Return the commit of the code, marked where the tree differs from it; None outside a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
