"""The real Kit kernel in this process (`make test-kit`, Python 3.12); skipped elsewhere with a reason."""

from __future__ import annotations

import atexit
import gc
import importlib.util
import os
import pathlib
import sys
import traceback

import pytest

EXTS = pathlib.Path(__file__).parents[2] / "exts"
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
    if importlib.util.find_spec("omni") is None or importlib.util.find_spec("omni.kit_app") is None:
        return "omniverse-kit is not installed (make test-kit installs it, Python 3.12)"
    if os.environ.get("OMNI_KIT_ACCEPT_EULA", "").lower() not in ("y", "yes", "1"):
        return "set OMNI_KIT_ACCEPT_EULA=YES if you accept the NVIDIA Omniverse License Agreement"
    return ""


class Kit:
    """The kernel with our extension folder on its path; `logs` collects warnings and errors."""

    def __init__(self, root: pathlib.Path) -> None:
        self.logs: list[tuple[int, str, str]] = []
        import omni.kit_app  # type: ignore[import-not-found]

        self._boot = omni.kit_app.KitApp()
        self._boot.startup(["--portable-root", str(root), "--ext-folder", str(EXTS), *ARGS])
        import carb  # type: ignore[import-not-found]
        import omni.kit.app  # type: ignore[import-not-found]

        self.app = omni.kit.app.get_app()
        self.extensions = self.app.get_extension_manager()
        self._log = carb.logging.acquire_logging()
        self._logger = self._log.add_logger(
            lambda source, level, file, line, message: self.logs.append((level, source, message))
        )
        sys.excepthook = lambda kind, value, trace: self.logs.append(
            (1, "callback", "".join(traceback.format_exception(kind, value, trace)))
        )
        atexit.register(self.close)
        self.pump(2)

    def pump(self, frames: int = 1) -> None:
        """Run the application's update loop."""
        for _ in range(frames):
            self.app.update()

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


@pytest.fixture(scope="session")
def kit(tmp_path_factory):
    """The kernel, once a process."""
    if why := kit_missing():
        pytest.skip(why)
    kernel = Kit(tmp_path_factory.mktemp("kit"))
    yield kernel
    assert kernel.close() == 0


@pytest.fixture
def lunar(kit):
    """The kernel with `regolith.lunar` enabled; anything logged or leaked fails the test."""
    kit.logs.clear()
    kit.enable("regolith.lunar")
    kit.pump(2)
    yield kit
    kit.disable("regolith.lunar")
    kit.pump(2)
    gc.collect()
    assert not kit.logs, kit.logs
