"""The extension on the real Kit kernel: it loads, reloads, does without windows, and leaves cleanly."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import types
from collections import Counter
from pathlib import Path

import pytest
from conftest import ROOT, TITLE, WINDOWED, Kit, kit_missing
from panel import Panel

EXTENSION = ROOT / "exts" / "regolith.lunar"


def manifest() -> dict:
    return tomllib.loads((EXTENSION / "config" / "extension.toml").read_text("utf-8"))


@pytest.mark.parametrize("key", ["readme", "changelog", "icon", "preview_image"])
def test_manifest_names_files_that_exist(key: str) -> None:
    assert (EXTENSION / manifest()["package"][key]).is_file()


def test_manifest_has_the_package_version() -> None:
    text = (EXTENSION / "regolith" / "lunar" / "__init__.py").read_text("utf-8")
    assert f'__version__ = "{manifest()["package"]["version"]}"' in text


def test_test_tables_are_like_nvidias_own() -> None:
    """A clean start is tested by itself; nothing but numpy's remark on its reload may be said; RTX as in the worker."""
    from regolith.lunar.dataset.isaac_worker import EXTRA_ARGS

    startup, rtx = manifest()["test"]
    assert startup["name"] == "startup" and "name" not in rtx
    for table in (startup, rtx):
        assert table["stdoutFailPatterns"] == {"exclude": ["*The NumPy module was reloaded*"]}
        assert "--/app/settings/fabricDefaultStageFrameHistoryCount=3" in table["args"]
    worker = {argument for argument in EXTRA_ARGS if argument.startswith(("--/rtx/", "--/omni/", "--/app/async"))}
    assert worker <= set(rtx["args"]) and "--/renderer/multiGpu/enabled=false" in rtx["args"]
    assert not [argument for argument in rtx["args"] if argument.startswith("--/persistent")]


def test_archives_of_packages_come_before_the_extension(lunar: Kit) -> None:
    """Kit's own is enabled with it; Isaac Sim's, which other apps have not, may be missing."""
    assert lunar.extensions.is_extension_enabled("omni.kit.pip_archive")
    assert manifest()["dependencies"]["omni.pip.compute"] == {"optional": True}


def test_namespace_package_has_no_init() -> None:
    assert not (EXTENSION / "regolith" / "__init__.py").exists()


def test_the_extension_class_is_short_and_the_only_one() -> None:
    import ast

    path = EXTENSION / "regolith" / "lunar" / "kit" / "extension.py"
    assert len(path.read_text("utf-8").splitlines()) < 60
    bases = [
        ast.unparse(b)
        for n in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(n, ast.ClassDef)
        for b in n.bases
    ]
    assert bases.count("omni.ext.IExt") == 1


@pytest.mark.parametrize("cycle", range(3))
def test_extension_enables_and_disables_cleanly(lunar: Kit, cycle: int) -> None:
    import omni.kit.menu.utils as menus

    import regolith.lunar as module

    assert Path(module.__file__).is_relative_to(EXTENSION)
    assert {item.name for item in menus.menus["Tools"]} == {TITLE}
    assert all(menus.find_item(f"Tools/{TITLE}/{name}") for name in ("Panel", "Check this machine"))


def test_nothing_heavy_enters_kits_process(lunar: Kit) -> None:
    Panel(lunar)
    code = Path(__file__).with_name("heavy.py")
    done = subprocess.run(
        [sys.executable, str(code)], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stdout[-800:] + done.stderr[-800:]


def test_cycles_do_not_pile_up_objects(kit: Kit, tmp_path: Path) -> None:
    """Enabled and disabled again and again, no class of ours has more and more instances."""
    import carb.settings

    carb.settings.get_settings().set("/exts/regolith.lunar/dataFolder", str(tmp_path))
    carb.settings.get_settings().set("/exts/regolith.lunar/runsFolder", str(tmp_path / "runs"))
    counts: list[Counter] = []
    for _ in range(5):
        kit.enable("regolith.lunar")
        kit.pump(3)
        kit.screen.frames(3)
        kit.disable("regolith.lunar")
        kit.pump(3)
        kit.screen.frames(2)
        gc.collect()
        ours = (type(o) for o in gc.get_objects() if str(type(o).__module__).startswith("regolith."))
        counts.append(Counter(f"{kind.__module__}.{kind.__qualname__}" for kind in ours))
    assert counts[4] <= counts[2], counts[4] - counts[2]
    assert not kit.logs, kit.logs


def test_an_app_without_windows_loads_it_too(kit: Kit, tmp_path: Path) -> None:
    """Notifications, file picker and viewport are optional; without them the panel's work goes on."""
    import carb.settings
    import omni.usd

    for name in WINDOWED:
        kit.disable(name)
    try:
        kit.logs.clear()
        carb.settings.get_settings().set("/exts/regolith.lunar/dataFolder", str(tmp_path))
        kit.enable("regolith.lunar")
        from regolith.lunar.kit import adapter

        assert adapter.viewport_window() is None
        adapter.look_through("/World/Camera")
        adapter.notify("said to the log")
        panel = Panel(kit)
        panel.author()
        panel.press("save")
        panel.kit.pump(3)
        kit.disable("regolith.lunar")
        omni.usd.get_context().close_stage()
        assert not kit.logs, kit.logs
    finally:
        for name in WINDOWED:
            kit.enable(name)


def test_disabled_in_the_middle_of_everything(lunar: Kit) -> None:
    """A stage being built, a dialog open, a preview running: disabling ends them (the fixture looks for leaks)."""
    import omni.kit.viewport.utility as viewport

    panel = Panel(lunar)
    viewport.open_viewport()
    panel.press("save")
    panel.press("preview")
    panel.model.use_preset("v3")
    panel.press("author")
    panel.kit.pump(5)
    assert panel.model.works["stage"].state == "running"


def test_stages_come_and_go_while_previewing(lunar: Kit) -> None:
    import omni.kit.viewport.utility as viewport
    import omni.usd

    panel = Panel(lunar)
    viewport.open_viewport()
    panel.press("preview")
    context = omni.usd.get_context()
    for change in (context.new_stage, context.close_stage, context.new_stage, context.close_stage):
        change()
        panel.kit.pump(5)
    panel.author()
    panel.author()
    panel.kit.pump(10)
    assert panel.model.live is not None and not panel.model.live.problem


def test_parameters_load_inside_kit(lunar: Kit) -> None:
    from regolith.lunar.params import load_preset, preset_names

    assert [load_preset(name).preset for name in preset_names()] == ["boulders", "v1", "v2", "v3", "v4", "v5", "wide"]


def test_a_failing_start_leaves_nothing_behind(kit: Kit, tmp_path: Path) -> None:
    """Kit calls no `on_shutdown` after an `on_startup` that raised."""
    import carb.settings
    import omni.kit.menu.utils as menus

    carb.settings.get_settings().set("/exts/regolith.lunar/runsFolder", str(tmp_path))
    keep = menus.MenuHelperExtensionFull.menu_startup

    def fail(*arguments: object, **keywords: object) -> None:
        raise RuntimeError("no menu bar")

    menus.MenuHelperExtensionFull.menu_startup = fail
    try:
        kit.extensions.set_extension_enabled_immediate("regolith.lunar", True)
        assert any("no menu bar" in text for _, _, text in kit.logs)
        kit.extensions.set_extension_enabled_immediate("regolith.lunar", False)
    finally:
        menus.MenuHelperExtensionFull.menu_startup = keep
    import omni.kit.commands

    assert not omni.kit.commands._registry
    kit.logs.clear()


def test_a_package_that_is_missing_is_named(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    from omni.kit.notification_manager import posted

    kit.logs.clear()
    monkeypatch.setitem(sys.modules, "pydantic", None)
    kit.enable("regolith.lunar")
    assert f"{sys.executable} -m pip install pydantic" in posted[-1].text and "pillow" not in posted[-1].text
    kit.disable("regolith.lunar")
    posted.clear()
    assert not kit.logs, kit.logs


def test_a_package_of_a_version_that_lacks_something_is_named(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    import pydantic
    from omni.kit.notification_manager import posted

    kit.logs.clear()
    older = types.ModuleType("pydantic")
    older.__spec__ = pydantic.__spec__
    monkeypatch.setitem(sys.modules, "pydantic", older)
    kit.enable("regolith.lunar")
    assert "BaseModel" in posted[-1].text and f"{sys.executable} -m pip install --upgrade pydantic" in posted[-1].text
    kit.disable("regolith.lunar")
    posted.clear()
    assert not kit.logs, kit.logs


@pytest.mark.skipif(bool(kit_missing()), reason=kit_missing() or "-")
def test_hot_reload(tmp_path: Path) -> None:
    """In a process of its own with the file watcher on: a saved file reloads the extension with its new text."""
    copy = tmp_path / "exts" / "regolith.lunar"
    shutil.copytree(EXTENSION, copy, ignore=shutil.ignore_patterns("__pycache__", "models"))
    code = Path(__file__).with_name("reload.py")
    done = subprocess.run(
        [sys.executable, str(code), str(tmp_path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0 and "reloaded" in done.stdout, done.stdout[-1500:] + done.stderr[-1500:]


def test_what_an_app_that_quit_fast_left_goes_at_the_next_start(
    lunar: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Isaac Sim ends its process without calling `on_shutdown`."""
    root = tmp_path / "temporary"
    root.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(root))
    code = "import os\nfrom regolith.lunar.scratch import scratch_folder\nwith scratch_folder():\n    os._exit(0)\n"
    environment = {**os.environ, "TMPDIR": str(root), "PYTHONPATH": str(EXTENSION)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert list(root.glob("regolith-*"))
    lunar.disable("regolith.lunar")
    lunar.pump(2)
    lunar.enable("regolith.lunar")
    assert list(root.iterdir()) == []
