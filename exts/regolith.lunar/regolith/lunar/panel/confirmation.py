"""Asking before the open stage makes room for another, where the user has something to lose."""

from __future__ import annotations

from collections.abc import Callable

from regolith.lunar.panel.context import PanelContext
from regolith.lunar.panel.host import OpenStage, Question

KEEP = "Keep the open one"


class Confirmation:
    """What the user agreed to lose: a stage in the state in which it was asked about, and no other."""

    def __init__(self, context: PanelContext, title: str, yes: str) -> None:
        """Make it.

        Args:
            context: Of the panel.
            title: Title of its questions.
            yes: Answer that agrees.
        """
        self._context, self._title, self._yes = context, title, yes
        self._agreed: OpenStage | None = None
        self.asking = False
        """Whether a question is open."""

    def get(self, text: str, then: Callable[[], None], otherwise: Callable[[], None] = lambda: None) -> None:
        """Go on where nothing is lost, or once the user agrees; a second call while it asks does nothing.

        Args:
            text: Question that follows what there is to lose.
            then: Called once the stage may be replaced.
            otherwise: Called where the user keeps it.
        """
        if self.asking:
            return
        state = self._context.host.stage_state()
        if state is None or state == self._agreed or (state.ours and not state.unsaved):
            then()
            return
        self.asking = True

        def answered(answer: str) -> None:
            self.asking = False
            if answer == self._yes:
                self._agreed = state
                self.get(text, then, otherwise)  # another stage may be open by now
            else:
                otherwise()

        why = "has unsaved changes" if state.unsaved else "was not made here"
        question = Question(self._title, f"{state.name or 'The untitled stage'} {why}. {text}", (self._yes, KEEP))
        self._context.after(self._context.host.ask(question), answered)

    def forget(self) -> None:
        """Ask again next time."""
        self._agreed = None
