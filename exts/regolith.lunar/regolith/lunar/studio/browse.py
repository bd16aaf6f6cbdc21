"""A dialog that shows the workspace's folders: to choose a path in, or to open files from."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regolith.lunar.panel.host import Pick
from regolith.lunar.params import InputError
from regolith.lunar.studio.parts import QUIET, assign, from_page, icon_of, marked, markup
from regolith.lunar.studio.workspace import Workspace

if TYPE_CHECKING:
    from viser import ViserServer

    from regolith.lunar.studio.loop import Loop

MOST = 200
"""Most entries of a folder on show; the name of another can be typed."""
SHOWN = 40
"""Most characters that a message repeats of a name no system takes."""


class Browser:
    """One folder on show, until it is closed."""

    def __init__(
        self,
        server: ViserServer,
        loop: Loop,
        workspace: Workspace,
        what: Pick | Path,
        chosen: Callable[[Path | None], object],
    ) -> None:
        """Show it.

        Args:
            server: Of the pages.
            loop: Everything here happens on it.
            workspace: What is shown lies in it.
            what: What to choose; or a folder whose files are offered to be opened.
            chosen: Receives what was chosen, None for nothing.
        """
        self._gui, self._loop, self._workspace, self._chosen = server.gui, loop, workspace, chosen
        self._pick = what if isinstance(what, Pick) else None
        self._entries: list[Any] = []
        folder, name = self._start(self._pick.start if self._pick else self._inside(what))  # type: ignore[arg-type]
        self._modal = self._gui.add_modal(self._pick.title if self._pick else "Workspace")
        with self._modal:
            self._place = marked(self._gui, "place")
            self._list = self._gui.add_folder(None)
            self._problem = marked(self._gui, "message", visible=False)
            if self._pick is not None:
                words = {"file": "File", "folder": "Folder", "save": "File name"}[self._pick.kind]
                with self._gui.add_form(None) as form:  # so that Enter takes it
                    self._name = self._gui.add_text(words, name, hint="In the folder on show.")
                take = self._gui.add_button({"save": "Save"}.get(self._pick.kind, "Choose"))
                take.on_click(from_page(loop, lambda value: self._take()))

                async def entered(event: Any) -> None:
                    loop.call(self._take)

                form.on_submit(entered)
            leave = self._gui.add_button("Cancel" if self._pick else "Close", color=QUIET)
            leave.on_click(from_page(loop, lambda value: chosen(None)))
        self._show(folder)

    def _inside(self, path: Path) -> Path:
        """A path in full, in the part of the workspace that is the user's.

        Raises:
            InputError: It is not.
        """
        found = self._workspace.inside(path)
        if found.is_relative_to(self._workspace.own):
            allowed = f"a path outside {self._workspace.own}, which the studio keeps for itself"
            raise InputError("path", str(path), allowed)
        return found

    def _start(self, start: Path | None) -> tuple[Path, str]:
        """Folder to begin in and name to begin with."""
        root, name = self._workspace.root, ""
        try:
            place = self._inside(start) if start is not None else root
            if not place.is_dir():
                name, place = place.name, place.parent
            while not place.is_dir() and place != root:
                place = place.parent
        except (InputError, OSError):  # not the user's, or a name no system takes
            return root, ""
        return place, name

    def _show(self, folder: Path) -> None:
        """Show what a folder holds."""
        try:
            self._folder = self._inside(folder)
            folders, files = self._read()
        except (InputError, OSError) as error:
            self._say(error)
            return
        for entry in self._entries:
            entry.remove()
        self._say(None)
        where = self._folder.relative_to(self._workspace.root).as_posix()
        assign(self._place, "content", markup("place", f"workspace / {where}" if where != "." else "workspace"))
        self._entries = []
        with self._modal, self._list:
            if self._folder != self._workspace.root:
                self._entries.append(self._enter("..", self._folder.parent))
            self._entries += [self._enter(path.name, path) for path in folders[:MOST]]
            self._entries += [self._file(path) for path in files[: max(MOST - len(folders), 0)]]
            more = len(folders) + len(files) - MOST
            if more > 0:
                self._entries.append(marked(self._gui, "note", f"and {more:,} more"))
            elif not folders and not files:
                self._entries.append(marked(self._gui, "note", "Nothing here yet."))

    def _read(self) -> tuple[list[Path], list[Path]]:
        """Folders and files on show, in order."""
        endings = self._pick.endings if self._pick else ()
        found = sorted(self._folder.iterdir(), key=lambda path: path.name.casefold())
        found = [path for path in found if not path.name.startswith(".") and self._allowed(path)]
        files = [path for path in found if path.is_file() and (not endings or path.suffix.lower() in endings)]
        only_folders = self._pick is not None and self._pick.kind == "folder"
        return [path for path in found if path.is_dir()], [] if only_folders else files

    def _allowed(self, path: Path) -> bool:
        try:
            self._inside(path)
        except InputError:  # a link that leads out
            return False
        return True

    def _enter(self, name: str, folder: Path) -> Any:
        button = self._gui.add_button(name, icon=icon_of("folder-up" if name == ".." else "folder"), color=QUIET)
        button.on_click(from_page(self._loop, lambda value: self._show(folder)))
        return button

    def _file(self, path: Path) -> Any:
        if self._pick is None:
            url = html.escape(self._workspace.url(path))
            text = html.escape(path.name)
            return self._gui.add_html(f'<a class="rl-file" href="{url}" target="_blank" rel="noopener">{text}</a>')
        button = self._gui.add_button(path.name, icon=icon_of("file"), color=QUIET)
        button.on_click(from_page(self._loop, lambda value: assign(self._name, "value", path.name)))
        return button

    def _take(self) -> None:
        """Hand on what is named, where it can be that."""
        assert self._pick is not None
        kind, text = self._pick.kind, self._name.value.strip()
        try:
            path = self._inside(self._folder / text if text else self._folder)
            if kind == "folder" and path.exists() and not path.is_dir():
                raise InputError("folder", text, "a folder, or the name of one to make")
            if kind == "file" and not path.is_file():
                raise InputError("file", text or None, "a file that is there")
            if kind == "save":
                path = self._named(path, text, self._pick.endings)
        except InputError as error:
            self._say(error)
            return
        except OSError as error:
            short = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
            self._say(InputError("name", short, f"a name the system takes ({error.strerror})"))
            return
        self._chosen(path)

    @staticmethod
    def _named(path: Path, text: str, endings: tuple[str, ...]) -> Path:
        """The file to save, with one of the endings."""
        whole = path
        if endings and path.suffix.lower() not in endings:
            whole = path.with_name(path.name + endings[0])
        if not text or path.is_dir() or whole.is_dir():
            raise InputError("file", text or None, f"a file's name, such as moon{(endings or ('',))[0]}")
        return whole

    def _say(self, error: Exception | None) -> None:
        assign(self._problem, "content", markup("message", str(error) if error else ""))
        assign(self._problem, "visible", error is not None)

    def close(self) -> None:
        """Take the dialog away."""
        if not self._modal.closed:
            self._modal.close()
