"""The folder an export or an import is written to: named by the user, made whole or not at all."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from regolith.lunar.dataset.formats.source import Source, Step
from regolith.lunar.files import appearing
from regolith.lunar.params import InputError
from regolith.lunar.params.outputs import refusing

Write = Callable[[Sequence[Source], Path, Step], Any]
"""A format: writes splits into an empty folder, calling the step once a frame is written; see `formats.voc.write`."""


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder whose content becomes that of `folder`, as `files.appearing` does.

    Raises:
        InputError: The folder, `--out`, is there and holds something, another run is writing it, it cannot be made or
            written, or there is no room for what is written to it.
        OSError: Any other error of what is done inside.
    """
    try:
        with refusing("out", folder), appearing(folder) as temporary:
            yield temporary
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        raise InputError("out", str(folder), "a folder that is not there yet, or empty") from None
