"""The page on a bare server: real panel, host and dialogs, without renderer, 3D view and inference."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Locator, Page
from studio_stand import Stand

from regolith.lunar.panel.model import PanelModel
from regolith.lunar.studio.dialogs import Dialogs
from regolith.lunar.studio.host import StudioHost
from regolith.lunar.studio.page import Page as StudioPage


class Still:
    """Camera, 3D view and inference that show nothing."""

    state = None

    def open(self, *stage: Any) -> Future[Any]:
        return self.set()

    def apply(self, *frame: Any) -> Future[Any]:
        return self.set()

    def show(self, *stage: Any) -> None:
        pass

    def move(self, *spec: Any) -> None:
        pass

    def set(self, *settings: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(None)
        return done


class PageStand:
    """Panel and page of one module of tests, on preset v1."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.url = stand.url
        self.root: Path = stand.workspace.root
        stand.on(self._make)

    def _make(self) -> None:
        stand = self.stand
        still: Any = Still()
        self.dialogs = Dialogs(stand.server, stand.loop, stand.workspace)
        self.host = StudioHost(stand.workspace, camera=still, scene=still, live=still, dialogs=self.dialogs)
        self.model = PanelModel(self.host, preset="v1")

        def picture() -> None:
            stand.server.gui.add_image(np.zeros((90, 120, 3), np.uint8))

        self.page = StudioPage(stand.server, stand.loop, self.model, self.host, picture)
        stand.loop.ticks.append(self.model.tick)

    def on(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.stand.on(function, *args)

    def value(self, path: str) -> Any:
        return self.on(lambda: self.model.field(path).value)

    def again(self) -> None:
        """Take everything back and show what a new page shows."""

        def reset() -> None:
            for section in self.model.sections:
                self.model.reset_section(section.key)
            self.model.use_preset("v1")

        self.on(reset)

    def close(self) -> None:
        self.on(self.page.close)
        self.on(self.stand.loop.ticks.remove, self.model.tick)
        self.on(self.model.close)


def box(page: Page, label: str, index: int = 0) -> Locator:
    """Box of a field's first widget, by its label with the unit."""
    labelled = page.locator("div[style^='padding-inline']", has=page.locator(f"label:text-is('{label}')"))
    return labelled.nth(index)


def entry(page: Page, label: str, index: int = 0) -> Locator:
    """The last input of a field's first widget: what can be typed in."""
    return box(page, label, index).locator("input:not([type=hidden])").last


def ends(page: Page, label: str, index: int = 0) -> Locator:
    """Both numbers of an interval."""
    return box(page, label, index).locator("xpath=following-sibling::div[1]").locator("input")


def reset(page: Page, label: str, index: int = 0) -> Locator:
    """The button that gives a field its default."""
    following = box(page, label, index).locator("xpath=following-sibling::div[position() <= 3]")
    return following.locator("button", has=page.locator(".icon-tabler-arrow-back-up")).first


def button(page: Page, name: str) -> Locator:
    """A button by its whole label."""
    return page.get_by_role("button", name=name, exact=True)


def leave(page: Page) -> None:
    """Take the keyboard out of every input: keys of commands are not meant for those."""
    page.evaluate("document.activeElement.blur()")
