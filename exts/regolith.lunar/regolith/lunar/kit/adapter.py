"""The panel's calls of `carb` and `omni` but `omni.ui`: what it knows of Kit, and of Isaac Sim 5.1 beside 6.x.

Rendering's calls (settings, events, render mode, opening stages, Replicator) are in `render.rtx`. Source of the facts:
NVIDIA's extensions in Isaac Sim 5.1 (Kit 107.3) and 6.2 (Kit 110.4). What an app without windows may lack (viewport,
notifications, file picker) is imported where it is used, and its absence is an answer.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import asyncio
import importlib.util
import sys
import webbrowser
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

import carb
import carb.settings
import carb.tokens
import omni.kit.app
import omni.kit.commands
import omni.kit.menu.utils
import omni.kit.undo
import omni.usd
from pxr import Usd

from regolith.lunar.system import join_command

EXTENSION = "regolith.lunar"
SETTINGS = f"/exts/{EXTENSION}"
REMEMBERED = f"/persistent/exts/{EXTENSION}"
LIGHT_MENU = "omni.kit.viewport.menubar.lighting"
"""Adds a light rig to any opened stage it finds no lights in, and may make RTX ignore the stage's lights."""
GPUS = "/renderer/multiGpu/currentGpuCount"
"""GPUs RTX draws with, as NVIDIA's own viewport manager and render settings read it (isaacsim.core.rendering_manager,
omni.rtx.settings.core)."""


NEEDED = {
    "pydantic": "pydantic", "pyyaml": "yaml", "scipy": "scipy", "pillow": "PIL", "psutil": "psutil", "jinja2": "jinja2"
}  # fmt: skip
"""Packages that Kit's Python may lack, and the module each is known by."""


# extensions and folders


def install_hint(error: ImportError) -> str:
    """Say what the running Python lacks, and the command that installs that alone."""
    missing = [package for package, module in NEEDED.items() if importlib.util.find_spec(module) is None]
    old = [package for package, module in NEEDED.items() if module == (error.name or "").split(".")[0]]
    if not missing and not old:
        return f"Regolith Lunar does not start: {error}"
    upgrade = [] if missing else ["--upgrade"]
    install = join_command([sys.executable, "-m", "pip", "install", *upgrade, *(missing or old)])
    return f"Regolith Lunar needs {', '.join(missing or old)} in Isaac Sim's Python ({error}): {install}"


def extension_folder(extension_id: str) -> Path:
    """Folder of an enabled extension."""
    return Path(omni.kit.app.get_app().get_extension_manager().get_extension_path(extension_id))


def has_extension(name: str) -> bool:
    """Whether an extension is enabled."""
    return omni.kit.app.get_app().get_extension_manager().is_extension_enabled(name)


def token(name: str) -> str:
    """What a token such as `data` or `app` stands for; empty where it is not known."""
    resolved = carb.tokens.get_tokens_interface().resolve("${" + name + "}")
    return "" if "${" in resolved else resolved


# settings


def setting(key: str) -> Any:
    """Value of one of the extension's settings, None where it is not set."""
    return carb.settings.get_settings().get(f"{SETTINGS}/{key}")


def remember(key: str, value: str) -> None:
    """Keep a text beyond this session."""
    carb.settings.get_settings().set(f"{REMEMBERED}/{key}", value)


def remembered(key: str) -> str:
    """Text kept under a key, empty for none."""
    return str(carb.settings.get_settings().get(f"{REMEMBERED}/{key}") or "")


# the loop


def start(coroutine: Coroutine) -> asyncio.Task:
    """Run a coroutine in Kit's event loop."""
    return asyncio.ensure_future(coroutine)


# stage


def stage() -> Usd.Stage | None:
    """The open stage; fetched at every use, for it may be replaced at any time."""
    return omni.usd.get_context().get_stage()


def stage_url() -> str:
    """Where the open stage lies, empty where none is open."""
    context = omni.usd.get_context()
    return context.get_stage_url() if context.get_stage() else ""


def stage_key() -> str:
    """What tells the open stage from every other of this session; empty where none is open."""
    context = omni.usd.get_context()
    return str(context.get_stage_id()) if context.get_stage() else ""


def has_unsaved_changes() -> bool:
    """Whether opening another stage would lose what a user did."""
    return bool(omni.usd.get_context().has_pending_edit())


def use_stage_lights() -> None:
    """Make the viewport show the stage's own lights, where the lighting menu is there to do otherwise."""
    if not has_extension(LIGHT_MENU):
        return
    try:
        with omni.kit.undo.disabled():  # no step of the user's
            omni.kit.commands.execute("SetLightingMenuModeCommand", lighting_mode="stage", usd_context_name="")
    except Exception as error:  # its name is not documented; the settings of `kit.host.LOOK` do the most of it
        carb.log_warn(f"[{EXTENSION}] the viewport's lighting menu stays as it is: {error}")


# menus


def add_menu_item(path: str, clicked: Callable[[], None]) -> Callable[[], None]:
    """Add an entry to the app's menus, beside what others put into the same one.

    Args:
        path: `Menu/Submenu/Entry`.
        clicked: Called when it is clicked.

    Returns:
        A function that takes it away.
    """
    item = omni.kit.menu.utils.MenuItemDescription(name=path, onclick_fn=lambda *_: clicked())
    menus = omni.kit.menu.utils.build_submenu_dict([item])
    for name, items in menus.items():
        omni.kit.menu.utils.add_menu_items(items, name)

    def remove() -> None:
        for name, items in menus.items():
            omni.kit.menu.utils.remove_menu_items(items, name)

    return remove


# viewport


def viewport_window() -> Any | None:
    """The active viewport window; None without one, or without viewports."""
    try:
        from omni.kit.viewport.utility import get_active_viewport_window
    except ImportError:
        return None
    return get_active_viewport_window()


def look_through(camera: str) -> None:
    """Show a camera in the active viewport, where there is one."""
    window = viewport_window()
    if window is not None:
        window.viewport_api.camera_path = camera


def viewport_camera() -> str:
    """Path of the camera that the active viewport shows; empty where there is none."""
    window = viewport_window()
    return "" if window is None else str(window.viewport_api.camera_path)


# undo


_undo_commands: list[tuple[type, dict[str, Callable[[int], None]]]] = []
"""Our command, and the functions its instances reach: Kit keeps those on its stack beyond our end."""


def register_undo(undo: Callable[[int], None], redo: Callable[[int], None]) -> Callable[[int], None]:
    """Register a command that stands for steps of a history kept elsewhere.

    Args:
        undo: Takes a step back by its number.
        redo: Does it again.

    Returns:
        A function that puts a step that was just done on Kit's undo stack.
    """
    reached = {"undo": undo, "redo": redo}

    class RegolithEdit(omni.kit.commands.Command):
        """One committed edit of the panel; the panel's own history does the work."""

        def __init__(self, step: int) -> None:
            self.step = step

        def do(self) -> None:
            if "redo" in reached:
                reached["redo"](self.step)

        def undo(self) -> None:
            if "undo" in reached:
                reached["undo"](self.step)

    omni.kit.commands.register(RegolithEdit)
    _undo_commands.append((RegolithEdit, reached))
    return lambda step: omni.kit.commands.execute("RegolithEdit", step=step)


def unregister_undo() -> None:
    """Take the command away again; what is on Kit's stack does nothing from now on."""
    while _undo_commands:
        command, reached = _undo_commands.pop()
        reached.clear()
        omni.kit.commands.unregister(command)


def next_undo() -> int | None:
    """Our step that Kit's undo takes back next; None where that is somebody else's, or nothing."""
    return _top(omni.kit.undo.get_undo_stack())


def next_redo() -> int | None:
    """Our step that Kit's redo does next; None where that is somebody else's, or nothing."""
    return _top(omni.kit.undo.get_redo_stack())


def _top(stack: Iterable[Any]) -> int | None:
    top: Any = next(iter(list(stack)[-1:]), None)
    command: Any = getattr(top, "command", None)
    return command.step if isinstance(command, tuple(kind for kind, _ in _undo_commands)) else None


def undo() -> None:
    """Take Kit's last step back."""
    omni.kit.undo.undo()


def redo() -> None:
    """Do Kit's last undone step again."""
    omni.kit.undo.redo()


# messages and dialogs


def notify(text: str, *, warning: bool = False) -> None:
    """Show a message that goes away by itself; without a window it goes to the log."""
    try:
        from omni.kit.notification_manager import NotificationStatus, post_notification
    except ImportError:
        carb.log_info(f"[{EXTENSION}] {text}")
        return
    status = NotificationStatus.WARNING if warning else NotificationStatus.INFO
    post_notification(text, hide_after_timeout=True, duration=8 if warning else 4, status=status)


def warn_of_gpus() -> None:
    """Say that RTX draws with several GPUs, where it does: masks then came empty at random (IsaacSim issue 507)."""
    count = carb.settings.get_settings().get(GPUS) or 1
    if count > 1:
        text = f"RTX draws with {count} GPUs, and some masks may come empty: "
        notify(text + "start Isaac Sim with --/renderer/multiGpu/enabled=false to draw with one", warning=True)


def pick_path(
    title: str,
    done: Callable[[Path | None], None],
    *,
    folder: bool,
    save: bool = False,
    start: Path | None = None,
    endings: tuple[str, ...] = (),
) -> Callable[[], None]:
    """Let the user choose a path.

    Args:
        title: Title of the dialog.
        done: Receives the path, or None where nothing was chosen; called once.
        folder: Whether a folder is wanted.
        save: Whether the file need not exist.
        start: Where the dialog opens.
        endings: Endings of the files to show, with their dots.

    Returns:
        A function that takes the dialog away.
    """
    from omni.kit.window.filepicker import FilePickerDialog

    dialog: Any = None

    def close(path: Path | None, *, inside: bool = True) -> None:
        nonlocal dialog
        if dialog is not None:
            gone, dialog = dialog, None
            gone.hide()
            if inside:  # omni.ui takes no widget away inside its own event
                asyncio.get_event_loop().call_soon(gone.destroy)
            else:
                gone.destroy()
            done(path)

    def apply(filename: str, dirname: str) -> None:
        path = Path(dirname or ".")
        close(path / filename if filename and (not folder or (path / filename).is_dir()) else path if folder else None)

    kinds = [f"{ending} (*{ending})" for ending in endings] or ["All files (*)"]
    label = "Choose folder" if folder else "Save" if save else "Choose"
    dialog = FilePickerDialog(
        title,
        allow_multi_selection=False,
        apply_button_label=label,
        click_apply_handler=apply,
        click_cancel_handler=lambda *_: close(None),
        item_filter_options=kinds,
        item_filter_fn=lambda item: _is_shown(item, endings, folder),
    )
    if start is not None and not folder and start.suffix:
        dialog.set_filename(start.name)
    dialog.show(str(start.parent if start and start.suffix else start) if start else None)
    return lambda: close(None, inside=False)


def _is_shown(item: Any, endings: tuple[str, ...], folder: bool) -> bool:
    """Whether the file picker lists an item: folders always, files by their endings."""
    if item is None or item.is_folder:
        return True
    return not folder and (not endings or str(item.path).endswith(endings))


def open_path(path: Path) -> None:
    """Open a folder or a file in the program the desktop has for it."""
    webbrowser.open(path.resolve().as_uri())
