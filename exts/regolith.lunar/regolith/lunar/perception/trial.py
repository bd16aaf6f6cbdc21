"""A model from anywhere is opened in a process of its own first, which may take so much memory and time and no more."""

from __future__ import annotations

import functools
from pathlib import Path

from regolith.lunar.jobs.confined import LimitError, run_confined
from regolith.lunar.params import InputError

TRIAL_BYTES = 1 << 30
"""Most memory that opening a model from anywhere may take, beside `TRIAL_SHARE` of its file [bytes]."""
TRIAL_SHARE = 4
"""Shipped models take at most three times their files: weights as stored, as computed with, and as laid out for it."""
TRIAL_CPU_S = 2.0
"""Most processor time opening it may take [s]; shipped ones take 0.15."""


@functools.cache
def try_once(path: Path, sha256: str) -> None:
    """Try a model, unless a file of this path and digest has passed already; see `try_model`."""
    try_model(path)


def try_model(path: Path) -> None:
    """Open a model in a process of its own first, for a graph takes what it asks for, as soon as it is loaded.

    Raises:
        InputError: It takes more than it may, ends the process, or there is no process to try it in.
    """
    size = path.stat().st_size
    try:
        run_confined(
            "regolith.lunar.perception.tried",
            [str(path)],
            most_bytes=TRIAL_BYTES + TRIAL_SHARE * size,
            most_cpu_s=TRIAL_CPU_S,
        )
        return
    except LimitError:
        allowed = f"a model that opens with {TRIAL_BYTES >> 30} GiB of memory and {TRIAL_CPU_S:g} s of processor time"
    except ChildProcessError as error:
        line, begun = error.args
        allowed = "a model onnxruntime loads (it crashes)" if begun else f"where a process can open it first ({line})"
    except OSError as error:
        allowed = f"where a process can open it first ({error.strerror})"
    raise InputError("model", str(path), allowed)
