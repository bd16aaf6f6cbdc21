"""What waits for a run on Windows: `python -I waiter.py STATUS PROGRAM ARGUMENTS …`, as a shell does elsewhere.

It writes the program's exit status to the file STATUS. CTRL_BREAK, which asks the program to stop, reaches only the
processes of one console: so it is sent from here, once there is a file `stop` beside STATUS.
"""

# typeshed has only the names of the system that the check runs on
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

LOOK_S = 0.1
"""Time between two looks at the program and at `stop` [s]."""


def main() -> int:
    """Run the program named on the command line to its end."""
    status, *command = sys.argv[1:]
    stop, part = Path(status).with_name("stop"), Path(f"{status}.part")
    program = subprocess.Popen(command, creationflags=subprocess.CREATE_NEW_PROCESS_GROUP)
    asked = False
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            part.write_text(f"{program.wait(LOOK_S)}\n", "ascii")
            part.replace(status)
            return 0
        if not asked and stop.exists():
            asked = True
            with contextlib.suppress(OSError):  # it has ended meanwhile
                os.kill(program.pid, signal.CTRL_BREAK_EVENT)


if __name__ == "__main__":
    sys.exit(main())
