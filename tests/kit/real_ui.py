"""NVIDIA's own omni.ui (package `ovui`) inside the Kit kernel's process, made strict.

The real constructors ignore an unknown keyword silently and the real library swallows what a callback raises. Here an
unknown keyword is a TypeError, by tables read from the headers the wheel ships, and a callback's exception is recorded.
`start` must run before `omni.kit_app` is imported and before any window exists.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

SIZE = (1280, 860)
CUDA = (
    "cuInit", "cuDeviceGet", "cuCtxCreate_v2", "cuCtxDestroy_v2", "cuMemcpyDtoH_v2", "cuImportExternalMemory",
    "cuExternalMemoryGetMappedBuffer", "cuDestroyExternalMemory",
)  # fmt: skip
"""Entries of the CUDA driver the library links; without a driver they only have to exist and to fail."""
CUDA_ERROR_NO_DEVICE = 100

Log = list[tuple[int, str, str]]


def missing() -> str:
    """Say why omni.ui cannot draw here, empty when it can; imports nothing of it."""
    spec = importlib.util.find_spec("omni")
    places = list(spec.submodule_search_locations or []) if spec else []
    if not any((Path(p) / "ui" / "standalone").is_dir() for p in places):
        return "ovui is not installed (make test-kit installs it, Python 3.12)"
    for name, package in (("libvulkan.so.1", "libvulkan1"), ("libvulkan_lvp.so", "mesa-vulkan-drivers")):
        if not _loads(name):
            return f"omni.ui draws by software Vulkan: {name} is missing (Debian/Ubuntu: apt install {package})"
    if not _loads("libcuda.so.1") and not (shutil.which("cc") or shutil.which("gcc")):
        return "omni.ui links libcuda.so.1: without an NVIDIA driver a C compiler is needed to build an empty one"
    return ""


def _loads(name: str) -> bool:
    """Whether the dynamic loader finds a library, asked in a process of its own."""
    code = f"import ctypes; ctypes.CDLL({name!r})"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def preload_cuda(folder: Path) -> None:
    """Load the CUDA driver, or one built here that answers every call with "no device"."""
    try:
        ctypes.CDLL("libcuda.so.1", mode=ctypes.RTLD_GLOBAL)
    except OSError:
        source, library = folder / "no_cuda.c", folder / "libcuda.so.1"
        source.write_text("\n".join(f"int {name}(void) {{ return {CUDA_ERROR_NO_DEVICE}; }}" for name in CUDA))
        compiler = shutil.which("cc") or shutil.which("gcc") or "cc"
        command = [compiler, "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", str(library), str(source)]
        subprocess.run(command, check=True)
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


def header_keywords(folder: Path) -> Callable[[str], set[str]]:
    """Return a function from a class name to the keywords its constructor takes, read from the `Bind*.h` macros."""
    macro: dict[str, str] = {}
    pattern = re.compile(r"(?m)^#define[ \t]+OMNIUI_PYBIND_INIT_(\w+)([ \t][^\n]*)?$")
    for header in sorted(folder.glob("Bind*.h")):
        for match in pattern.finditer(header.read_text(errors="replace").replace("\\\n", " ")):
            macro.setdefault(match[1], match[2] or "")

    @functools.cache
    def expand(name: str) -> set[str]:
        found: set[str] = set()
        for kind, argument in re.findall(r"OMNIUI_PYBIND_INIT_(\w+)(?:\(\s*(\w+))?", macro.get(name, "")):
            if kind in ("CAST", "CALL", "CALLBACK", "EXT_CALL"):
                found.add(argument)
            elif kind == "STYLES":
                found.add("style")
            else:
                found |= expand(kind)
        return found

    return expand


def make_strict(ui: Any, keywords: Callable[[str], set[str]], errors: Log) -> set[str]:
    """Make constructors refuse unknown keywords and record what callbacks raise; returns the classes guarded."""

    def guard(function: Callable) -> Callable:
        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except Exception:
                errors.append((1, "omni.ui callback", traceback.format_exc()))
                raise

        return call

    guarded = set()
    for name, cls in list(vars(ui).items()):
        allowed = keywords(name) if isinstance(cls, type) else set()
        if not allowed:
            continue
        guarded.add(name)
        _guard_constructor(cls, name, allowed | {"model", "dockPreference"}, guard)
        for setter in [m for m in vars(cls) if re.fullmatch(r"(set|add|subscribe)_\w+_fn", m)]:
            _guard_setter(cls, setter, guard)
    for cls in (ui.AbstractValueModel, ui.AbstractItemModel):
        for setter in [m for m in vars(cls) if re.fullmatch(r"(add|subscribe)_\w+_fn", m)]:
            _guard_setter(cls, setter, guard)
    return guarded


def _guard_constructor(cls: type, name: str, allowed: set[str], guard: Callable) -> None:
    original = cls.__init__

    def init(self: Any, *arguments: Any, **keywords: Any) -> None:
        if unknown := set(keywords) - allowed:
            raise TypeError(f"omni.ui.{name}: unknown keyword {sorted(unknown)}")
        arguments = tuple(guard(a) if callable(a) and not isinstance(a, type) else a for a in arguments)
        callbacks = {k: guard(v) if k.endswith("_fn") and callable(v) else v for k, v in keywords.items()}
        original(self, *arguments, **callbacks)

    cls.__init__ = init


def _guard_setter(cls: type, name: str, guard: Callable) -> None:
    original = getattr(cls, name)
    setattr(cls, name, lambda self, function: original(self, guard(function) if callable(function) else function))


def start(folder: Path, errors: Log) -> None:
    """Open omni.ui headless on software Vulkan and make room for the kernel's half of the `omni` package.

    Args:
        folder: Scratch folder.
        errors: Receives (level, source, text) of what callbacks raise.
    """
    os.environ.update(OMNIUI_HEADLESS="1", OMNIUI_BACKEND="vulkan", OMNIUI_LAVAPIPE="1")
    preload_cuda(folder)
    import omni
    import omni.ui as ui

    ui.init("kit tests", *SIZE)
    package = Path(omni.__file__).parent
    make_strict(ui, header_keywords(package / "ui" / "sdk" / "include" / "omni" / "ui" / "bind"), errors)
    omni.__path__.append(str(package / "kernel" / "py" / "omni"))


class Screen:
    """Eyes and hands on what omni.ui draws; `run` drives a coroutine to its end."""

    def __init__(self, run: Callable[[Coroutine], Any]) -> None:
        self._run = run

    def frames(self, count: int = 3) -> None:
        """Draw frames."""
        from omni.ui import testing

        self._run(testing.wait_frames(count))

    def walk(self, widget: Any) -> Iterator[Any]:
        """Yield a widget and everything below it."""
        import omni.ui as ui

        yield widget
        for child in ui.Inspector.get_children(widget):
            yield from self.walk(child)

    def find(self, title: str, identifier: str) -> Any:
        """The widget of an identifier in a window.

        Raises:
            LookupError: There is none.
        """
        import omni.ui as ui

        window = ui.Workspace.get_window(title)
        for widget in self.walk(window.frame) if window else ():
            if widget.identifier == identifier:
                return widget
        raise LookupError(f"{identifier} in window {title!r}")

    def texts(self, title: str) -> list[str]:
        """Texts of all visible labels and buttons of a window."""
        import omni.ui as ui

        window = ui.Workspace.get_window(title)
        kinds = (ui.Label, ui.Button)
        return [w.text for w in self.walk(window.frame) if isinstance(w, kinds) and w.visible]

    def show(self, widget: Any) -> None:
        """Scroll a widget into view."""
        self.frames(2)
        widget.scroll_here_y(0.5)
        self.frames(3)

    def center(self, widget: Any) -> tuple[float, float]:
        """Middle of a widget [px]."""
        return (
            widget.screen_position_x + 0.5 * widget.computed_width,
            widget.screen_position_y + 0.5 * widget.computed_height,
        )

    def click(self, widget: Any) -> None:
        """Scroll to a widget and press the left button on its middle."""
        from omni.ui import testing

        self.show(widget)
        self._run(testing.mouse_click(*self.center(widget)))

    def hover(self, widget: Any) -> None:
        """Hold the pointer over a widget."""
        from omni.ui import testing

        self.show(widget)
        self._run(testing.mouse_move(*self.center(widget)))
        self.frames(5)

    def drag(self, widget: Any, start: float, stop: float, *, steps: int = 10) -> None:
        """Drag inside a widget, from and to as shares of its width."""
        from omni.ui import testing

        self.show(widget)
        x, y, width = widget.screen_position_x, self.center(widget)[1], widget.computed_width
        self._run(testing.mouse_drag(x + start * width, y, x + stop * width, y, steps=steps))

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        from omni.ui import testing

        self._run(testing.type_text(text))

    def key(self, code: int) -> None:
        """Press and release a key by its ImGui code."""
        from omni.ui import testing

        self._run(testing.press_key(code))

    def capture(self, path: Path) -> None:
        """Save what is on the screen as a PNG."""
        from omni.ui import testing

        self._run(testing.mouse_move(SIZE[0] - 2, SIZE[1] - 2))  # no tooltip over what is looked at
        self.frames(3)
        path.parent.mkdir(parents=True, exist_ok=True)
        testing.capture_screenshot(str(path))
