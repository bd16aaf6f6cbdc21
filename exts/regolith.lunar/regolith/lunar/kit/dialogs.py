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
            ui.Label(plain(question.text), word_wrap=True, width=WIDTH - 20, identifier="question:text")
            with ui.HStack(height=28, spacing=8):
                ui.Spacer()
                for index, answer in enumerate(question.answers):
                    ui.Button(
                        plain(answer),
                        name="first" if index == 0 else "",
                        width=0,
                        identifier=f"question:{answer}",
                        clicked_fn=lambda answer=answer: self._answer(answer),
                    )
            ui.Spacer(height=2)
        window.set_visibility_changed_fn(lambda shown: None if shown else self.close())

    def _answer(self, answer: str) -> None:
        window, self._window = self._window, None
        told, self._answered = self._answered, None
        if window is not None:
            window.set_visibility_changed_fn(None)
            window.visible = False
            window.destroy()
        if told is not None:
            told(answer)

    def close(self) -> None:
        """Take it away with the answer that changes nothing."""
        self._answer(self._last)
