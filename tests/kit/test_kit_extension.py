"""The extension on the real Kit kernel: it loads, its rooms import without torch or Mitsuba, and it leaves cleanly."""

import sys
import tomllib
from pathlib import Path

import pytest

EXTENSION = Path(__file__).parents[2] / "exts" / "regolith.lunar"


def manifest() -> dict:
    return tomllib.loads((EXTENSION / "config" / "extension.toml").read_text("utf-8"))


@pytest.mark.parametrize("key", ["readme", "changelog", "icon", "preview_image"])
def test_manifest_names_files_that_exist(key: str) -> None:
    assert (EXTENSION / manifest()["package"][key]).is_file()


def test_manifest_has_the_package_version() -> None:
    text = (EXTENSION / "regolith" / "lunar" / "__init__.py").read_text("utf-8")
    assert f'__version__ = "{manifest()["package"]["version"]}"' in text


def test_namespace_package_has_no_init() -> None:
    assert not (EXTENSION / "regolith" / "__init__.py").exists()


@pytest.mark.parametrize("cycle", range(3))
def test_extension_enables_and_disables_cleanly(lunar, cycle: int) -> None:
    import regolith.lunar as module

    assert Path(module.__file__).is_relative_to(EXTENSION)


def test_parameters_load_inside_kit(lunar) -> None:
    from regolith.lunar.params import load_preset, preset_names

    assert [load_preset(name).preset for name in preset_names()] == ["v1", "v2", "v3", "v4"]


def test_stage_is_authored_inside_kit(lunar) -> None:
    """The stage needs pxr, numpy and scipy alone: none of the heavy packages enters Kit's process."""
    from regolith.lunar.params import load_preset
    from regolith.lunar.randomize import draw_scene
    from regolith.lunar.stage.author import author_stage, build_scene

    params = load_preset("v1")
    stage = author_stage(build_scene(params, draw_scene(params, 0, "train_dr", 0)))
    assert stage.GetDefaultPrim().GetPath() == "/World"
    assert not {"torch", "mitsuba", "onnxruntime", "viser", "transformers"} & set(sys.modules)
