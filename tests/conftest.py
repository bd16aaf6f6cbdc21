"""Fixtures of every room's tests, what they run under, and the order their files run in."""

import gc
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from regolith.lunar.files import take_lock
from regolith.lunar.render.backend import find_llvm

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # tests run side by side: threads of one wait, spinning, for the other's core

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

LONGEST = (
    "studio/test_studio_whole.py",
    "dataset/test_generate_breaks.py",
    "studio/test_studio_program.py",
    "docs/test_docs_commands.py",
    "training/test_training_run.py",
    "studio/test_studio_page.py",
    "studio/test_studio_picture.py",
    "examples/test_examples.py",
    "panel/test_panel_generate.py",
    "cli/test_demo.py",
    "dataset/test_crashes.py",
    "dataset/test_generate_ray.py",
    "dataset/test_generate.py",
    "physics/test_physics_pictures.py",
    "rtx_check/test_rtx_check.py",
    "training/test_training_variants.py",
    "training/test_training_policy.py",
    "quality/test_quality_score.py",
    "report/test_card.py",
    "training/test_ablate_run.py",
    "cli/test_wheel.py",
    "panel/test_panel_stage.py",
    "studio/test_studio_random.py",
    "render/test_replicator_generate.py",
    "studio/test_studio_scene_view.py",
    "rtx_check/test_isaac_check_verb.py",
    "docs/test_docs_extend.py",
    "perception/test_perception_trial.py",
    "dataset/test_export_verb.py",
    "training/test_training_curriculum.py",
    "randomize/test_randomize_show.py",
    "perception/test_perception_memory.py",
    "cli/test_cli.py",
    "physics/test_physics_identify.py",
    "dataset/test_verify.py",
    "test_windows.py",
    "docs/test_docs_site.py",
    "physics/test_physics_traverse.py",
    "quality/test_quality_clouds.py",
    "quality/test_quality_verbs.py",
    "training/test_training_orphans.py",
    "dataset/test_journal.py",
    "quality/test_quality_camera.py",
    "render/test_render_labels.py",
    "dataset/test_verify_repair.py",
    "training/test_training_networks.py",
)
"""Files that take longest, the longest first: one that began last would keep a single worker busy at the end."""


def pytest_configure(config: pytest.Config) -> None:
    """Keep our order: left alone, xdist hands out the files with most tests first.

    Nothing that is loaded while tests are collected is garbage: neither then nor later is it searched for any.
    """
    gc.disable()
    find_llvm()  # before a test imports Dr.Jit, which looks for its library then alone
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first."""
    here = Path(__file__).parent
    places = {here / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """Have garbage collected from now on, but for what is there already."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Function that fills a folder, of a name, once for all workers, and returns this worker's own copy."""
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "made_once"
    shared.mkdir(exist_ok=True)

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        whole = shared / name
        with (shared / f"{name}.lock").open("w") as lock:
            take_lock(lock.fileno(), shared, wait=True)
            if not whole.exists():
                part = shared / f"{name}.part"
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir()
                fill(part)
                part.rename(whole)
        return Path(shutil.copytree(whole, tmp_path_factory.mktemp(name) / name))

    return make


@pytest.fixture
def shadowing(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder we are in: its modules have the names of ours, of Python's and of numpy, and end who imports them."""
    folder = tmp_path_factory.mktemp("shadowing")
    for name in ("random", "queue", "numpy", "training/__init__", "regolith/__init__", "regolith/lunar/__init__"):
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("raise SystemExit(f'imported {__file__}')\n")
    monkeypatch.chdir(folder)
    return folder
