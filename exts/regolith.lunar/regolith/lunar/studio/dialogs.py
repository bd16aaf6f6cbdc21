"""What the page asks and tells: questions, paths of the workspace, messages, files to open."""

from __future__ import annotations

import html
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regolith.lunar.panel.host import Level, Pick, Question, Task
from regolith.lunar.panel.tasks import Answer
from regolith.lunar.params import InputError
from regolith.lunar.studio.browse import Browser
from regolith.lunar.studio.parts import QUIET, from_page, marked
from regolith.lunar.studio.workspace import Workspace

if TYPE_CHECKING:
    from viser import ViserServer

    from regolith.lunar.studio.loop import Loop

SHOWN_S: dict[Level, float] = {"info": 6.0, "warning": 10.0, "error": 20.0}
"""How long a message stays [s]."""
COLORS: dict[Level, Any] = {"info": "lime", "warning": "orange", "error": "red"}
AGAIN_S = 3.0
"""Time in which the same message is not shown a second time [s]."""


class Dialogs:
    """All pages show the same dialogs: one that is answered on one page is gone from the others."""

    def __init__(
        self, server: ViserServer, loop: Loop, workspace: Workspace, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Make them, with nothing on show.

        Args:
            server: Of the pages.
            loop: Everything here happens on it.
            workspace: What can be picked and opened lies in it.
            clock: Monotonic time [s].
        """
        self._server, self._loop, self._workspace, self._clock = server, loop, workspace, clock
        self._told: dict[str, float] = {}
        self._open: list[Callable[[], object]] = []
        """How to leave each dialog that is open, the newest last."""
        self._escape: Any = None

    # Escape: there is a command for it only while there is a dialog

    def _opened(self, leave: Callable[[], object]) -> None:
        self._open.append(leave)
        if self._escape is None:
            self._escape = self._server.gui.add_command("Close the dialog", hotkey="escape")

            async def trigger(event: Any) -> None:
                self._loop.call(self._leave)

            self._escape.on_trigger(trigger)

    def _closed(self, leave: Callable[[], object]) -> None:
        if leave in self._open:
            self._open.remove(leave)
        if not self._open and self._escape is not None:
            self._escape.remove()
            self._escape = None

    def _leave(self) -> None:
        """Leave the newest dialog without changing anything."""
        if self._open:
            self._open[-1]()

    # questions

    def ask(self, question: Question) -> Task:
        """Ask the user; the result is one of the answers."""
        answer = Answer()
        modal = self._server.gui.add_modal(question.title)

        def settle(text: str) -> None:
            if not answer.done():
                modal.close()
                self._closed(leave)
                answer.settle(text)

        def leave() -> None:
            settle(question.answers[-1])  # the one that changes nothing

        with modal:
            marked(self._server.gui, "question", question.text)
            for index, text in enumerate(question.answers):
                safe = index == len(question.answers) - 1
                button = self._server.gui.add_button(text, color=QUIET if safe else None)
                button.on_click(from_page(self._loop, lambda value, text=text: settle(text)))
        answer.on_cancel = leave
        self._opened(leave)
        return answer

    # paths

    def pick_path(self, pick: Pick) -> Task:
        """Let the user choose a path inside the workspace; the result is a `Path`, or None."""
        answer = Answer()

        def chosen(path: Path | None) -> None:
            if not answer.done():
                browser.close()
                self._closed(leave)
                answer.settle(path)

        def leave() -> None:
            chosen(None)

        browser = Browser(self._server, self._loop, self._workspace, pick, chosen)
        answer.on_cancel = leave
        self._opened(leave)
        return answer

    def open_path(self, path: Path) -> None:
        """Offer a file in a tab of its own, or show what a folder holds."""
        try:
            if self._workspace.inside(path).is_dir():
                self._browse(path)
            else:
                self._offer(path, self._workspace.url(path))
        except InputError as error:
            self.notify(str(error), "error")

    def _browse(self, folder: Path) -> None:
        """Show what a folder holds."""

        def leave(path: Path | None = None) -> None:
            browser.close()
            self._closed(leave)

        browser = Browser(self._server, self._loop, self._workspace, folder, leave)
        self._opened(leave)

    def _offer(self, path: Path, url: str) -> None:
        """A page cannot open a tab by itself: the user has to follow a link."""
        modal = self._server.gui.add_modal(path.name)
        with modal:
            self._server.gui.add_html(
                f'<a class="rl-open" href="{html.escape(url)}" target="_blank" rel="noopener">Open {path.suffix[1:]}'
                f" in a new tab</a>"
            )
            button = self._server.gui.add_button("Close", color=QUIET)

        def leave() -> None:
            if not modal.closed:
                modal.close()
            self._closed(leave)

        button.on_click(from_page(self._loop, lambda value: leave()))
        self._opened(leave)

    # messages

    def notify(self, text: str, level: Level = "info") -> None:
        """Show a message that goes away by itself on every page that is open."""
        now = self._clock()
        self._told = {text: when for text, when in self._told.items() if now - when < AGAIN_S}
        if text in self._told:
            return
        self._told[text] = now
        title, body = titled(text)
        for client in self._server.get_clients().values():
            client.add_notification(title, body, auto_close_seconds=SHOWN_S[level], color=COLORS[level])


def titled(text: str) -> tuple[str, str]:
    """A message's first words as its title, and the rest."""
    title, colon, body = text.partition(": ")
    return (title, body) if colon and len(title) <= 40 else ("Studio", text)
