"""The folder an export or an import is written to: named by the user, made whole or not at all."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from regolith.lunar.dataset.run import room
from regolith.lunar.files import appearing
from regolith.lunar.params import InputError

REFUSED = {
    errno.ENOTEMPTY: "a folder that is not there yet, or empty",
    errno.EAGAIN: "a folder no other run is writing to",
}
"""Error to what it asks of the folder."""


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder whose content becomes that of `folder`, as `files.appearing` does.

    Raises:
        InputError: The folder, `--out`, is there and holds something, another run is writing it, it cannot be made or
            written, or there is no room for what is written to it.
        OSError: Any other error of what is done inside.
    """
    try:
        with room(folder), appearing(folder) as temporary:
            yield temporary
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        raise InputError("out", str(folder), REFUSED[error.errno]) from None
