"""Temporary folders that never outlive their process for long: what a killed one left goes with the next one's.

Isaac Sim ends its process without a word to its extensions, so no clean-up of ours is sure to run there. A folder names
the host and the process it belongs to, and a lock beside it is held for as long as it is used: that the number of a
process has been given to another changes nothing. Where the temporary folder's file system has no locks, the number
alone tells.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from regolith.lunar.files import holding, lock_beside, place, take_lock
from regolith.lunar.system import is_running


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a new temporary folder, which goes afterwards; those of processes that have ended go first.

    Raises:
        OSError: The temporary folder cannot be written.
    """
    root = Path(tempfile.gettempdir())
    folder = root / f"regolith-{place()}-{os.getpid()}-{secrets.token_hex(8)}"
    with holding(lock_beside(folder)):  # before the folder is there, so that none is ever seen without
        folder.mkdir(0o700)
        try:
            _sweep(folder)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep_scratch() -> None:
    """Delete the temporary folders of processes that have ended, where the temporary folder can be written."""
    with contextlib.suppress(OSError), scratch_folder():
        pass


def _sweep(own: Path) -> None:
    """Delete what processes of this user on this host have left beside a folder whose lock is held."""
    ours = re.compile(rf"regolith-{place()}-(\d+)-[0-9a-f]+")
    owner, locks = own.stat().st_uid, _is_held(lock_beside(own))
    for folder in own.parent.iterdir():
        match, lock = ours.fullmatch(folder.name), lock_beside(folder)
        if match is None or folder == own or (is_running(int(match[1])) and (not locks or _is_held(lock))):
            continue
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid == owner and not folder.is_symlink():
                shutil.rmtree(folder)
                lock.unlink(missing_ok=True)


def _is_held(lock: Path) -> bool:
    """Whether a process, be it this one, has a lock; one that cannot be opened may be held."""
    try:
        with lock.open("rb+") as file:
            take_lock(file.fileno(), lock.parent)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
