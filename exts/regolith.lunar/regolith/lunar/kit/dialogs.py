"""A question with as many answers as it has."""

# pyright: reportMissingImports=false
from __future__ import annotations

from collections.abc import Callable

import omni.ui as ui

from regolith.lunar.kit import style
from regolith.lunar.kit.text import plain
from regolith.lunar.panel.host import Question

WIDTH = 430


class QuestionWindow:
    """A modal window; closing it gives the last answer."""

    def __init__(self, question: Question, answered: Callable[[str], None]) -> None:
        """Show it.

        Args:
            question: What to ask.
            answered: Receives one of the answers, once.
        """
        self._answered: Callable[[str], None] | None = answered
        self._last = question.answers[-1]
        flags = ui.WINDOW_FLAGS_MODAL | ui.WINDOW_FLAGS_NO_RESIZE | ui.WINDOW_FLAGS_NO_SCROLLBAR
        window = ui.Window(question.title, width=WIDTH, height=0, flags=flags, auto_resize=True)
        self._window: ui.Window | None = window
        with window.frame, ui.VStack(height=0, width=WIDTH, spacing=12, style=style.PANEL_STYLE):
            ui.Spacer(height=2)
            with ui.HStack(height=0):
                ui.Spacer(width=12)
                ui.Label(plain(question.text), word_wrap=True, width=WIDTH - 24, identifier="question:text")
            with ui.HStack(height=28, spacing=8):
                ui.Spacer()
                for index, answer in enumerate(question.answers):
                    ui.Button(
                        plain(answer),
                        name="first" if index == len(question.answers) - 1 else "",  # the one that changes nothing
                        width=0,
                        identifier=f"question:{answer}",
                        clicked_fn=lambda answer=answer: self._answer(answer),
                    )
                ui.Spacer(width=12)
            ui.Spacer(height=2)
        window.set_visibility_changed_fn(lambda shown: None if shown else self.close())

    @property
    def answered(self) -> bool:
        """Whether it is done with, and can be destroyed: not from inside its own events."""
        return self._answered is None

    def _answer(self, answer: str) -> None:
        told, self._answered = self._answered, None
        if told is not None and self._window is not None:
            self._window.visible = False
            told(answer)

    def close(self) -> None:
        """Hide it with the answer that changes nothing."""
        self._answer(self._last)

    def destroy(self) -> None:
        """Take the window away."""
        if self._window is not None:
            window, self._window, self._answered = self._window, None, None
            window.set_visibility_changed_fn(None)
            window.destroy()
