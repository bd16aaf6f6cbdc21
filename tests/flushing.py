"""Children of a process whose flushes are recorded (`power_cut`): python flushing.py MODULE ARGUMENTS … runs a module.

Each flush of theirs, and of those that they start in turn, waits until the recorder has noted it.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

from regolith.lunar.jobs.companion import Companion

RECORDER = "REGOLITH_TEST_RECORDER"
"""Variable that holds the address of who records flushes."""


def recorded(arguments: Sequence[str | Path]) -> list[str | Path]:
    """Command line of a module of Python, run so that its flushes are recorded; another one as it is."""
    program, *rest = arguments
    if str(program) == sys.executable and rest[:1] == ["-m"]:
        return [program, __file__, *rest[1:]]
    return list(arguments)


def record_children(set_attribute: Any = setattr) -> None:
    """Let what this process starts from here on run recorded."""
    start = Companion.__init__

    def init(companion: Companion, arguments: Sequence[str | Path], **options: Any) -> None:
        start(companion, recorded(arguments), **options)

    set_attribute(Companion, "__init__", init)


def main() -> None:
    """Run a module as `python -m` would, with flushes that are recorded."""
    flush = os.fsync

    def fsync(number: int) -> None:
        place = str(Path(f"/proc/self/fd/{number}").readlink())
        with Client(os.environ[RECORDER], "AF_UNIX") as recorder:
            recorder.send(place)
            recorder.recv()  # what was there before is noted
            flush(number)
            recorder.send(place)
            recorder.recv()

    os.fsync = fsync
    record_children()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
