"""Double of omni.kit.menu.utils: the window helpers of Isaac Sim's tools; hiding a window destroys it a frame later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import omni.kit.app
import omni.ui as ui


class MenuItemDescription:
    """One entry of a menu, or a submenu."""

    __slots__ = ("name", "onclick_fn", "sub_menu", "ticked", "ticked_fn")

    def __init__(
        self,
        name: str = "",
        *,
        ticked: bool = False,
        ticked_fn: Callable | None = None,
        onclick_fn: Callable | None = None,
        sub_menu: list[MenuItemDescription] | None = None,
    ) -> None:
        self.sub_menu = sub_menu
        self.name, self.ticked, self.ticked_fn, self.onclick_fn = name, ticked, ticked_fn, onclick_fn


menus: dict[str, list[MenuItemDescription]] = {}


def build_submenu_dict(items: list[MenuItemDescription]) -> dict[str, list[MenuItemDescription]]:
    """Menus of entries whose names are paths: the first part is the menu, those between are submenus."""
    built: dict[str, list[MenuItemDescription]] = {}
    for item in items:
        menu, *between, item.name = item.name.split("/")
        inner = item
        for name in reversed(between):
            inner = MenuItemDescription(name=name, sub_menu=[inner])
        built.setdefault(menu, []).append(inner)
    return built


def find_item(path: str) -> MenuItemDescription:
    """An entry by its path: submenus of one name are one submenu."""
    menu, *names = path.split("/")
    items = menus[menu]
    for name in names:
        found = [item for item in items if item.name == name]
        items = [inner for item in found for inner in item.sub_menu or ()]
    (item,) = found
    return item


def add_menu_items(menu: list[MenuItemDescription], name: str) -> list[MenuItemDescription]:
    menus.setdefault(name, []).extend(menu)
    return menu


def remove_menu_items(menu: list[MenuItemDescription], name: str) -> None:
    for item in menu:
        menus[name].remove(item)
    if not menus[name]:
        del menus[name]


def refresh_menu_items(name: str) -> None:
    find_item(name)


class MenuHelperWindow(ui.Window):
    """A window that tells its extension when it is shown or hidden; the one visibility slot is taken."""

    def __init__(self, title: str, **keywords: object) -> None:
        super().__init__(title, **keywords)
        self._listener: Callable[[bool], None] | None = None
        self.set_visibility_changed_fn(self._visibility_changed_fn)

    def set_visibility_changed_listener(self, listener: Callable[[bool], None] | None) -> None:
        self._listener = listener

    def _visibility_changed_fn(self, visible: bool) -> None:
        if self._listener:
            self._listener(visible)

    def destroy(self) -> None:
        self._listener = None
        self.set_visibility_changed_fn(None)
        super().destroy()


class MenuHelperExtensionFull:
    """Menu entry and window of an extension."""

    def menu_startup(
        self,
        create_window_fn: Callable[[], MenuHelperWindow],
        window_name: str,
        menu_desc: str,
        menu_group: str,
        window_attr_name: str | None = None,
        verbose: bool = False,
    ) -> int:
        self._helper_create, self._helper_title, self._helper_path = (
            create_window_fn, window_name, f"{menu_group}/{menu_desc}"
        )  # fmt: skip
        self._helper_window: MenuHelperWindow | None = None
        self._helper_task: asyncio.Task | None = None
        ui.Workspace.set_show_window_fn(window_name, lambda shown: self.show_window(None, shown, 0))
        item = MenuItemDescription(
            f"{menu_group}/{menu_desc}",
            ticked=True,
            ticked_fn=lambda: self._helper_window is not None,
            onclick_fn=lambda *_: self.show_window(None, self._helper_window is None, 0),
        )
        self._helper_menus = build_submenu_dict([item])
        for menu, items in self._helper_menus.items():
            add_menu_items(items, menu)
        return 0

    def show_window(self, menu: object, value: bool, index: int) -> None:
        if value:
            if self._helper_window is None:
                self._helper_window = self._helper_create()
                self._helper_window.set_visibility_changed_listener(self._helper_visibility)
            self._helper_window.visible = True
        elif self._helper_window is not None:
            self._helper_window.visible = False

    def _helper_visibility(self, visible: bool) -> None:
        refresh_menu_items(self._helper_path)
        if not visible and self._helper_task is None:
            self._helper_task = asyncio.ensure_future(self._helper_destroy())

    async def _helper_destroy(self) -> None:
        await omni.kit.app.get_app().next_update_async()
        self._helper_task = None
        if self._helper_window is not None:
            self._helper_window.destroy()
            self._helper_window = None

    def menu_shutdown(self, index: int = -1) -> bool:
        if self._helper_task is not None:
            self._helper_task.cancel()
            self._helper_task = None
        if self._helper_window is not None:
            self._helper_window.destroy()
            self._helper_window = None
        ui.Workspace.set_show_window_fn(self._helper_title, None)
        for menu, items in self._helper_menus.items():
            remove_menu_items(items, menu)
        self._helper_menus = {}
        self._helper_create = None
        return True
