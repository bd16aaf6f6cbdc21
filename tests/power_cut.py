"""A model of a disk under a crash: what a power cut, or a kill, leaves after each flush, of children too."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import os
import random
import stat
import threading
import weakref
from collections.abc import Callable, Sequence
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

import pytest
from flushing import RECORDER, record_children

from regolith.lunar.dataset.chunk import CHUNKS
from regolith.lunar.dataset.layout import JOURNAL, parse_lines, scan_lines

State = dict[str, bytes]
"""Path of each file relative to the root, and its content."""
Known = dict[tuple[int, int, int], bytes]
"""Number of a file, size and time of its last change, to its content."""


class PowerCut:
    """What was flushed is there after a power cut, names and contents apart, nothing else; after a kill all is.

    A file's contents survive from the last `fsync` of the file on, a folder's names from the last `fsync` of the folder
    on (POSIX promises no more; ext4's zero-length files after a crash are this); a new folder is there at once. Each
    flush makes new states. What lies below the root at the start is durable. Flushes count of this process, and of the
    `Companion`s that it and they start; their order is that in which they are noted here.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.lock = threading.Lock()
        self.contents: dict[int, bytes] = {}
        self.names: dict[int, dict[str, int]] = {}
        self.places: dict[int, Path] = {}
        self.states: list[State] = []
        """After a power cut."""
        self.kills: list[State] = []
        """After a kill."""
        self.known: Known = {}
        self._held: set[int] = set()
        self._open = contextlib.ExitStack()
        weakref.finalize(self, self._open.close)
        flush = os.fsync
        for folder, _, files in os.walk(root):
            self._fold(Path(folder))
            self.contents |= {Path(folder, name).stat().st_ino: Path(folder, name).read_bytes() for name in files}

        def fsync(number: int) -> None:
            with self.lock:
                self._note(self.kills, read_state(root, self.known))
                flush(number)
                self.flushed(Path(f"/proc/self/fd/{number}").readlink())

        monkeypatch.setattr(os, "fsync", fsync)
        listener = self._open.enter_context(Listener(family="AF_UNIX"))
        monkeypatch.setenv(RECORDER, str(listener.address))
        record_children(monkeypatch.setattr)
        self._open.callback(_wake, str(listener.address))
        threading.Thread(target=_serve, args=(listener, weakref.WeakMethod(self._follow)), daemon=True).start()

    def _follow(self, child: Connection) -> None:
        """Note one flush; a child that is killed in the midst has flushed nothing."""
        with contextlib.suppress(EOFError, ConnectionError), child:
            path = Path(child.recv())
            with self.lock:
                self._note(self.kills, read_state(self.root, self.known))
                child.send(None)
                child.recv()
                self.flushed(path)
            child.send(None)

    def _fold(self, folder: Path) -> None:
        files = [path for path in folder.iterdir() if path.is_file()]
        for path in files:
            self._hold(path)
        self.names[folder.stat().st_ino] = {path.name: path.stat().st_ino for path in files}
        self.places.setdefault(folder.stat().st_ino, folder)

    def _hold(self, path: Path) -> None:
        """Keep a file open: then its number, by which it is known here, is not given to another once it is removed."""
        number = path.stat().st_ino
        if number not in self._held:
            self._open.enter_context(path.open("rb"))
            self._held.add(number)

    def flushed(self, path: Path) -> None:
        """Note what a flush made durable."""
        if not path.is_relative_to(self.root):
            return
        if path.is_dir():
            self._fold(path)
            self.places = {
                inode: place for inode, place in self.places.items() if place.parent != path or place.exists()
            }
            for folder, _, _ in os.walk(path):  # what was renamed into it, or below that
                self.places[Path(folder).stat().st_ino] = Path(folder)
        else:
            self._hold(path)
            self.contents[path.stat().st_ino] = _content(path, self.known) or b""
            self.places.setdefault(path.parent.stat().st_ino, path.parent)
        state = {
            str((self.places[folder] / name).relative_to(self.root)): self.contents.get(inode, b"")
            for folder, names in self.names.items()
            if folder in self.places
            for name, inode in names.items()
        }
        self._note(self.states, state)

    @staticmethod
    def _note(states: list[State], state: State) -> None:
        if not states or state != states[-1]:
            states.append(state)


def _serve(listener: Listener, follow: weakref.WeakMethod[Callable[[Connection], None]]) -> None:
    """Note the flushes of children, several at once, as long as somebody asks for them."""
    while True:
        try:
            child = listener.accept()
        except OSError:  # it was closed meanwhile
            return
        found = follow()
        if found is None:
            return
        threading.Thread(target=found, args=(child,), daemon=True).start()


def _wake(address: str) -> None:
    with contextlib.suppress(OSError):
        Client(address, "AF_UNIX").close()


def read_state(root: Path, known: Known | None = None) -> State:
    """Return what lies below a folder, also while other processes write there.

    Args:
        root: The folder.
        known: Contents of earlier reads, which are not read again and held once.
    """
    found = {str(path.relative_to(root)): _content(path, known) for path in root.rglob("*")}
    return {name: data for name, data in found.items() if data is not None}


def _content(path: Path, known: Known | None) -> bytes | None:
    """Content of a file; None where there is none, or none any more."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return None
        key = (found.st_ino, found.st_size, found.st_mtime_ns)
        if known is None or key not in known:
            data = path.read_bytes()
            if known is None:
                return data
            known[key] = data
    except FileNotFoundError:
        return None
    return known[key]


def restore(state: State, root: Path) -> None:
    """Write a state into an empty folder."""
    root.mkdir(parents=True)
    for name, data in state.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


IGNORED = (".lock", ".tmp", f"{CHUNKS}/")
"""Parts of the names of what runs leave that were ended, which the next run clears."""


def seen(state: State) -> State:
    """What of a state a user sees."""
    return {name: data for name, data in state.items() if not any(part in name for part in IGNORED)}


def crash(root: Path, work: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> tuple[State, State, list[State]]:
    """Do some work below a root; returns the state before, after, and after every possible crash."""
    before = read_state(root)
    with monkeypatch.context() as patch:
        disk = PowerCut(root, patch)
        work()
    after = read_state(root)
    assert seen(disk.states[-1]) == seen(after), "something was never flushed"
    return before, after, [*disk.states, *disk.kills]


def rerun(states: Sequence[State], root: Path, work: Callable[[Path], object], *, most: int = 2) -> None:
    """Do the work again after some of the crashes."""
    for number, state in enumerate(random.Random(1).sample(list(states), min(most, len(states)))):
        restore(state, root / f"again{number}")
        work(root / f"again{number}")


@functools.cache
def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def assert_frames_and_models_are_whole(state: State) -> None:
    """Journals of a state name whole frames alone, and a model is there with its card."""
    for path in map(Path, state):
        if path.name == JOURNAL:
            records, damaged = scan_lines(parse_lines(io.BytesIO(state[str(path)])))
            files = {str(path.parent / name): sha for r in records.values() for name, sha in r.sha256.items()}
            assert not damaged and all(_digest(state[name]) == sha for name, sha in files.items()), path
        if path.suffix == ".onnx":
            card = json.loads(state[str(path.with_suffix(".json"))])
            assert _digest(state[str(path)]) in (card["sha256"], card.get("replaces", {}).get("sha256")), path
