"""Workers that end with whoever started them, however that ends."""

from __future__ import annotations

import os
import stat
import sys
import threading

from regolith.lunar.system import end_with_parent


def end_with(launcher: int) -> None:
    """End this process as soon as its launcher is gone; what it was writing does not count.

    On Linux the kernel ends a child of the launcher, even one that hangs or is stopped. Elsewhere, and where a shell or
    a container stands between, a thread waits for the end of the pipe that a launcher holds open as the standard input
    of a tethered `Companion`.

    Args:
        launcher: Its process id.
    """
    if os.getppid() == launcher and end_with_parent(politely=False) and os.getppid() != launcher:
        os._exit(1)  # it went before the kernel knew
    if sys.stdin is not None and stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=_end_with_input, daemon=True).start()


def _end_with_input() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)
