"""The folder the studio works in: all that pages write, and all files they are served, lies inside it."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from urllib.parse import quote, unquote

from regolith.lunar.files import write_json
from regolith.lunar.params import InputError
from regolith.lunar.reading import read_json
from regolith.lunar.system import foreign_owner

FILES = "/files/"
"""What addresses of workspace files begin with."""
STATE = ".studio"
"""Folder in the workspace that is the studio's own: runs, what it remembers. Not served."""
STATE_BYTES = 2**20
"""Largest file of what it remembers [bytes]."""


class Workspace:
    """A folder, made where it is not there yet."""

    def __init__(self, root: Path, *, trust: bool = False) -> None:
        """Open it.

        Args:
            root: The folder.
            trust: Open it where it belongs to another user too.

        Raises:
            InputError: It is a file, cannot be written, belongs to another user, or what is the studio's own in it is a
                link.
        """
        _check_own(root, trust=trust)
        try:
            root.mkdir(parents=True, exist_ok=True)
            self.root = root.resolve(strict=True)
            self.own = self.root / STATE
            """Folder of the studio's own files."""
            self.runs = self.own / "runs"
            """Folder of the runs of companions."""
            self.runs.mkdir(parents=True, exist_ok=True)
            self._file = self.own / "state.json"
            self._state = self._read()
            write_json(self._file, self._state)
        except OSError as error:
            raise InputError("workspace", str(root), f"a folder that can be written ({error.strerror})") from None
        self.data = self.root
        """Folder of datasets and training runs unless the user says otherwise."""

    def inside(self, path: Path | str) -> Path:
        """Resolve a path, relative to the workspace, that has to lie in it.

        Args:
            path: Relative or absolute; it need not exist.

        Returns:
            The absolute path without `..` and links.

        Raises:
            InputError: It leaves the workspace, by `..`, by a link, or from the start.
        """
        allowed = f"a path inside the workspace {self.root}"
        try:
            found = (self.root / path).resolve()
        except (OSError, ValueError, RuntimeError):  # a loop of links, a NUL character, a name that is too long
            raise InputError("path", str(path), allowed) from None
        if not found.is_relative_to(self.root):
            raise InputError("path", str(path), allowed)
        return found

    def url(self, path: Path | str) -> str:
        """Address on this server under which a page opens a file of the workspace.

        Raises:
            InputError: It is not inside the workspace, or is the studio's own.
        """
        found = self.inside(path)
        if found.is_relative_to(self.own):
            raise InputError("path", str(path), "a path outside the studio's own folder")
        return FILES + quote(found.relative_to(self.root).as_posix())

    def served(self, address: str) -> Path | None:
        """The file behind an address; None where there is none to show.

        Args:
            address: Path of a request, percent-encoded, without its query.
        """
        if not address.startswith(FILES):
            return None
        name = unquote(address.removeprefix(FILES))
        if "\\" in name or "\0" in name or any(part in ("", ".", "..") for part in name.split("/")):
            return None
        try:
            found = self.inside(name)
            return None if found.is_relative_to(self.own) or not found.is_file() else found
        except (InputError, OSError):
            return None

    # -- what is remembered -------------------------------------------------------------------------------------------

    def remember(self, key: str, value: str) -> None:
        """Keep a text beyond this session.

        Raises:
            InputError: The workspace cannot be written.
        """
        state = {**self._state, key: value}
        try:
            write_json(self._file, state)
        except OSError as error:
            allowed = f"a folder that can be written ({error.strerror})"
            raise InputError("workspace", str(self.root), allowed) from None
        self._state = state

    def remembered(self, key: str) -> str:
        """Text kept under a key, empty for none."""
        return self._state.get(key, "")

    def _read(self) -> dict[str, str]:
        try:
            found = read_json(self._file, STATE_BYTES)
        except (FileNotFoundError, ValueError):
            return {}
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _check_own(root: Path, *, trust: bool) -> None:
    """Refuse a folder of somebody else's, and ways out of it, before anything in it is read or written."""
    try:
        root = root.resolve()
    except (OSError, RuntimeError):
        return  # opening it says why
    for path in (root, root / STATE, root / STATE / "runs", root / STATE / "state.json"):
        owner = "" if trust else foreign_owner(path)
        if owner:
            allowed = (
                "a folder of your own, for what lies in it is read and resumed (--trust-workspace opens it anyway)"
            )
            raise InputError("workspace", f"{path}, which belongs to {owner}", allowed)
        if path != root and path.is_symlink():
            raise InputError("workspace", str(path), "a folder or file of the workspace's own, no link")


def content_type(path: Path) -> str:
    """Content type a browser is told for a file; text is shown as such, what is not known is offered to be saved."""
    kind = mimetypes.guess_type(path.name)[0] or ""
    if path.suffix in (".yaml", ".yml", ".jsonl", ".md", ".log", ".usda") or kind in ("text/csv", "text/markdown"):
        kind = "text/plain"
    if kind.startswith("text/") or kind in ("application/json", "image/svg+xml"):
        return f"{kind}; charset=utf-8"
    return kind or "application/octet-stream"
