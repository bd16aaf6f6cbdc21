"""Readers that live in an environment of their own: torchvision, which fits another torch, and what pins versions.

`scripts/setup.sh` installs them without their dependencies into `.venv/readers`; a subprocess looks there last.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

READERS = Path(sys.prefix) / "readers"


def run_reader(code: str, *args: Path, home: Path) -> None:
    """Run code with the readers on its path; it finds its arguments in `sys.argv`.

    Args:
        code: Python source.
        args: Arguments.
        home: Folder for the settings Ultralytics keeps.
    """
    environment = os.environ | {"PYTHONPATH": str(READERS), "YOLO_CONFIG_DIR": str(home), "YOLO_OFFLINE": "true"}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
