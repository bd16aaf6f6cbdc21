"""Digests of what a step reads and leaves: files, photographs, and the code that scores."""

from __future__ import annotations

import hashlib
import os
import re
from functools import cache
from pathlib import Path

from regolith.lunar import perception
from regolith.lunar.dataset.contract import digest
from regolith.lunar.files import file_digest
from regolith.lunar.params import InputError
from regolith.lunar.perception.folders import pictures_of


def digest_if_there(path: Path) -> str | None:
    """SHA-256 of a file, None where it is not there."""
    try:
        return file_digest(path)
    except FileNotFoundError:
        return None


@cache
def pictures_digest(folder: Path) -> str:
    """SHA-256 over names and bytes of the pictures of a folder.

    Raises:
        InputError: The folder, or a picture, cannot be read.
    """
    found = hashlib.sha256()
    for path in pictures_of(folder, "images")[0]:
        try:
            found.update(os.fsencode(path.name) + f"\0{file_digest(path)}\n".encode())
        except OSError as error:
            raise InputError("images", str(path), f"a picture that can be read ({error.strerror})") from None
    return found.hexdigest()


@cache
def source_digest() -> str:
    """SHA-256 over the modules that score, those of the room they import among them: one study, one way to score."""
    (folder,) = perception.__path__
    texts: dict[str, str] = {}
    left = ["evaluate"]
    while left:
        name = left.pop()
        if name not in texts:
            texts[name] = (Path(folder) / f"{name}.py").read_text("utf-8")
            left += re.findall(r"^from regolith\.lunar\.perception\.(\w+) import", texts[name], re.MULTILINE)
    return digest(texts)
