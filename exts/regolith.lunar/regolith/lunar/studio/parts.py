"""Small parts of the page: containers whose children flow in rows, marked pieces of HTML, buttons of actions."""

from __future__ import annotations

import html
from collections.abc import Callable, Coroutine, Hashable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from regolith.lunar.panel.actions import Action
from regolith.lunar.panel.presentation import action_words
from regolith.lunar.studio.serving import resend

if TYPE_CHECKING:
    from viser import GuiApi, GuiButtonHandle, GuiHtmlHandle, IconName

    from regolith.lunar.studio.loop import Loop

CONFIRM_S = 0.5
"""Time without a new value after which the one that counts is shown once more [s]."""
QUIET = "gray"
"""Color of a button that cannot be pressed now, or that is none of the main ones."""


def from_page(
    loop: Loop, function: Callable[[Any], object], *, key: Hashable = None
) -> Callable[[Any], Coroutine[Any, Any, None]]:
    """Callback of a widget that calls `function(value)` on the loop at what a page sends, never at our own changes.

    What was entered is shown to all pages once more at rest, typed text aside: a page may have been told of an earlier
    value after it entered a later one.

    Args:
        loop: The loop.
        function: Takes the widget's new value.
        key: A newer call takes the place of a queued one of the same key.
    """

    async def handle(event: Any) -> None:
        if event.client is not None:
            loop.call(function, event.target.value, key=key)
            if hasattr(event.target, "options") or isinstance(event.target.value, (int, float, tuple)):
                loop.later(CONFIRM_S, resend, event.target, key=("confirm", id(event.target)))

    return handle


def marked(gui: GuiApi, name: str, text: str = "", **options: Any) -> GuiHtmlHandle:
    """Add a piece of HTML of one of the classes `style.CSS` knows; the text is shown as it is.

    Args:
        gui: Of the server.
        name: Class, without its `rl-`; several are separated by spaces.
        text: What it says.
        options: Of viser's `add_html`.
    """
    return gui.add_html(markup(name, text), **options)


def markup(name: str, text: str = "") -> str:
    """HTML of a marked piece."""
    classes = " ".join(f"rl-{part}" for part in name.split())
    return f'<div class="{classes}">{html.escape(text)}</div>'


def add_image(gui: GuiApi, *, visible: bool = True) -> Any:
    """Add a black image: a picture comes later."""
    return gui.add_image(np.zeros((3, 4, 3), np.uint8), format="png", visible=visible)


def set_image(image: Any, kind: str, data: bytes) -> None:
    """Give an image widget a file as it is: `handle.image` would encode it once more, and on this thread."""
    image._format, image._data = kind, data


class ActionButton:
    """A button that shows an action's label, what it does and, greyed, why it cannot be done.

    It can be pressed all the same: the user is told the reason then, and what is missing is marked.
    """

    def __init__(
        self,
        gui: GuiApi,
        loop: Loop,
        action: Action,
        press: Callable[[Action], object],
        *,
        icon: str | None = None,
        color: str | None = None,
        label: bool = True,
    ) -> None:
        """Build it in the present container, and the words that appear while it is pointed at or focused.

        Args:
            gui: Of the server.
            loop: Calls `press`.
            action: What it does.
            press: Runs an action.
            icon: On the button.
            color: Of the button where it can be pressed; left out, the theme's.
            label: Whether it has a label, or its icon alone.
        """
        self._action, self._color, self._labelled = action, color, label
        self._button: GuiButtonHandle = gui.add_button(self._label(), icon=icon_of(icon), color=self._shade())
        self._words: GuiHtmlHandle = gui.add_html(self._tip())
        self._button.on_click(from_page(loop, lambda value: press(action)))

    def refresh(self) -> None:
        """Show the action's present state."""
        assign(self._words, "content", self._tip())
        assign(self._button, "label", self._label())
        assign(self._button, "color", self._shade())

    def _label(self) -> str:
        return self._action.label if self._labelled else ""

    def _shade(self) -> Any:
        return self._color if self._action.enabled else "dark"

    def _tip(self) -> str:
        key, text = html.escape(self._action.key), html.escape(action_words(self._action))
        return f'<div class="rl-tip" data-action="{key}" role="tooltip">{text}</div>'


def icon_of(name: str | None) -> IconName | None:
    """One of viser's icons by its name, `arrow-back-up`; None for none."""
    return cast("IconName | None", name)


def assign(handle: Any, name: str, value: Any) -> None:
    """Give a widget's property a value, and tell the pages only where it is another."""
    if getattr(handle, name) != value:
        setattr(handle, name, value)
