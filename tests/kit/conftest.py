"""The real Kit kernel and the real omni.ui in this process (`make test-kit`, Python 3.12), or a reason to skip.

Doubles of what exists nowhere offline are extensions of their own in `doubles/`; they are strict (an unknown keyword is
a TypeError) and stay enabled across tests, so that what we leave in them is a leak a test sees.
"""

from __future__ import annotations

import atexit
import gc
import importlib.util
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
import real_ui

ROOT = Path(__file__).parents[2]
EXTS = ROOT / "exts"
OUT = ROOT / "out" / "kit"
"""Where screenshots go."""
TITLE = "Regolith Lunar"
CHATTER = ("captureScreenshot", "standalone::", "Vulkan", "HeadlessVulkan")
"""What omni.ui says of itself."""
WINDOWED = ("omni.kit.notification_manager", "omni.kit.viewport.utility", "omni.kit.window.filepicker")
"""What an app with windows has; the extension does without."""
LEAKY = (
    "kit", "panel.model", "panel.context", "panel.editor", "panel.observe", "panel.stage_work", "panel.live_work",
    "panel.inference", "panel.generate_work", "panel.run_work", "panel.train_work", "panel.frame_builder",
    "panel.artifact_work", "panel.row_work", "panel.camera_path", "jobs", "render.rtx",
    "render.replicator", "render.viewport", "perception.session", "dataset.app_run", "dataset.write",
    "rtx_check.report",
)  # fmt: skip
"""Modules of which nothing may be alive once the extension is disabled."""
ARGS = """
--allow-root --no-window --reset-user --enable omni.kit.async_engine
--/app/runWithoutRunloop=true --/app/fastShutdown=false --/app/installSignalHandlers=false
--/app/extensions/registryEnabled=false --/app/extensions/mkdirExtFolders=false
--/app/extensions/pythonFullLeakCheck=true --/app/extensions/fsWatcherEnabled=false
--/app/python/interceptSysStdOutput=false --/app/enableStdoutOutput=false
--/crashreporter/enabled=false --/structuredLog/enable=false
--/log/file= --/log/level=Warning --/log/outputStreamLevel=Fatal
""".split()  # noqa: SIM905


def kit_missing() -> str:
    """Say why the kernel cannot run here; empty when it can. Importing it to find out would ask for its licence."""
    spec = importlib.util.find_spec("omni")
    if spec is None or not any((Path(p) / "kit_app.py").is_file() for p in spec.submodule_search_locations or []):
        return "omniverse-kit is not installed (make test-kit installs it, Python 3.12)"
    if os.environ.get("OMNI_KIT_ACCEPT_EULA", "").lower() not in ("y", "yes", "1"):
        return "set OMNI_KIT_ACCEPT_EULA=YES if you accept the NVIDIA Omniverse License Agreement"
    return real_ui.missing()


class Kit:
    """The kernel with our extension and the doubles on its path; `logs` collects warnings and errors."""

    def __init__(self, root: Path, *, screen: bool = True) -> None:
        self.logs: list[tuple[int, str, str]] = []
        os.chdir(root)  # omni.ui leaves its window layout where it runs
        if screen:
            real_ui.start(root, self.logs)
        import omni.kit_app

        self._boot: Any = omni.kit_app.KitApp()
        folders = ["--ext-folder", str(EXTS), "--ext-folder", str(Path(__file__).parent / "doubles")]
        self._boot.startup(["--portable-root", str(root), *folders, *ARGS])
        import carb
        import omni.kit.app

        self.app = omni.kit.app.get_app()
        self.extensions = self.app.get_extension_manager()
        self._log = carb.logging.acquire_logging()
        self._logger = self._log.add_logger(
            lambda source, level, file, line, message: self.logs.append((level, source, message))
        )
        sys.excepthook = lambda kind, value, trace: self.logs.append(
            (1, "callback", "".join(traceback.format_exception(kind, value, trace)))
        )
        _make_leak_check_safe()
        atexit.register(self.close)
        self.screen = real_ui.Screen(self.run)
        self.pump(2)

    def pump(self, frames: int = 1) -> None:
        """Run the application's update loop."""
        for _ in range(frames):
            self.app.update()

    def until(self, condition: Callable[[], Any], seconds: float = 20.0) -> bool:
        """Run the update loop until a condition holds; by time, a bare update takes microseconds."""
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            self.app.update()
            time.sleep(0.001)
        return bool(condition())

    def run(self, coroutine: Coroutine, seconds: float = 20.0) -> Any:
        """Run a coroutine in the application's loop to its end."""
        from omni.kit.async_engine import run_coroutine

        task = run_coroutine(coroutine)
        if not self.until(task.done, seconds):
            task.cancel()
            raise TimeoutError("coroutine still pending")
        return task.result()

    def enable(self, name: str) -> str:
        """Enable an extension and return its id; a failed start-up does not raise in Kit, so it is looked up."""
        done = self.extensions.set_extension_enabled_immediate(name, True)
        found = self.extensions.get_enabled_extension_id(name)
        state = self.extensions.get_extension_dict(found).get_dict()["state"] if found else {"failed": True}
        assert done and not state["failed"], (name, self.logs)
        return found

    def disable(self, name: str) -> None:
        """Disable an extension."""
        assert self.extensions.set_extension_enabled_immediate(name, False)

    def close(self) -> int:
        """Shut the kernel down; leaving the interpreter without it is a segmentation fault."""
        if self._boot is None:
            return 0
        self._boot = None
        self._log.remove_logger(self._logger)
        return self.app.shutdown()


def _make_leak_check_safe() -> None:
    """Let the kernel's leak check look at the objects themselves, and not into every container of the process.

    Looking into them it crashes over tuples a worker thread is filling, and stumbles over Cython's metatypes, which
    have no module name. Every instance of ours is tracked by the collector, so none is missed.
    """
    from omni.ext._impl import leak_detection

    leak_detection._get_alive_objects = lambda: [
        o
        for o in gc.get_objects()
        if isinstance(type(o).__module__, str) and type(o).__name__ not in ("RegolithEdit", "ViewSet")
    ]  # Kit keeps commands that were done, and what they hold would be found; views of a picture are constants


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """The kernel, once a process."""
    if why := kit_missing():
        pytest.skip(why)
    kernel = Kit(tmp_path_factory.mktemp("kit"))
    for name in WINDOWED:
        kernel.enable(name)
    yield kernel
    assert kernel.close() == 0


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Folder where the extension keeps its datasets and stages."""
    return tmp_path / "data"


@pytest.fixture
def lunar(kit: Kit, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Kit]:
    """The kernel with `regolith.lunar` enabled; anything logged, leaked or left in a double fails the test."""
    import carb.settings

    settings = carb.settings.get_settings()
    for key in ("/exts/regolith.lunar", "/persistent/exts/regolith.lunar"):
        settings.destroy_item(key)
    settings.set("/exts/regolith.lunar/dataFolder", str(data))
    settings.set("/exts/regolith.lunar/runsFolder", str(tmp_path / "runs"))
    kit.logs.clear()
    kit.enable("regolith.lunar")
    kit.pump(2)
    kit.screen.frames(2)
    yield kit
    kit.disable("regolith.lunar")
    kit.screen.frames(2)
    _close_doubles()
    # a scene that was being built is finished, and dropped, by its thread
    assert kit.until(lambda: not [t for t in threading.enumerate() if t.name.startswith("regolith-")], 60)
    gc.collect()
    _check_leaks()
    _clear_undo()
    said = capfd.readouterr()
    with capfd.disabled():
        print("".join(line for line in said.out.splitlines(keepends=True) if not line.startswith(CHATTER)), end="")
    complaints = [line for line in (said.out + said.err).splitlines() if line.startswith("[omni.ui] [error]")]
    assert not complaints, complaints
    assert not kit.logs, "\n".join(text for _, _, text in kit.logs)


def _check_leaks() -> None:
    """Let the kernel's leak check look at all that holds state: by itself it only looks at the extension's own module.

    Constants of modules (parameter defaults, forms) live as long as these; a test of its own counts them.
    """
    from omni.ext._impl import leak_detection

    prefixes = tuple(f"regolith.lunar.{name}" for name in LEAKY)
    alive = {str(type(o).__module__) for o in leak_detection._get_alive_objects()}
    for name in {name for name in alive if name.startswith(prefixes)}:
        leak_detection.find_leaks_in_module(name)


def _clear_undo() -> None:
    """Undo what is left on Kit's stack, which does nothing any more, and empty it."""
    import omni.kit.undo

    while omni.kit.undo.undo():
        pass
    omni.kit.undo.clear_stack()


def _close_doubles() -> None:
    """Check that the extension took everything out of the doubles, and empty them."""
    import omni.kit.commands
    import omni.kit.menu.utils
    import omni.kit.viewport.utility as viewport
    import omni.kit.window.filepicker as filepicker
    import omni.replicator.core as rep
    import omni.ui as ui
    import omni.usd
    from omni.kit import notification_manager

    assert not omni.kit.menu.utils.menus
    assert not omni.kit.commands._registry
    assert not filepicker.shown and not filepicker.alive
    assert not rep.leftovers()
    assert not isinstance(ui.Workspace.get_window(TITLE), ui.Window)  # a handle without window stays
    viewport.close_viewport()
    omni.usd.get_context().close_stage()
    notification_manager.posted.clear()
