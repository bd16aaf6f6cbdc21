"""What `make test-isaac` leaves out, and why; a pytest plugin (`-p isaac_leg`, with `tests` on the path).

The leg runs the rooms that Kit's process imports on the packages Isaac Sim 5.1 has. It refuses to begin where a package
is of another release than `tests/kit/requirements-isaac.txt` pins, or where one is there that Isaac Sim lacks.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PINS = HERE / "kit" / "requirements-isaac.txt"

ABSENT = ("torch", "transformers", "imagehash", "ray", "datasets", "pycocotools", "webdataset", "viser")
"""Modules that may not be there: Isaac Sim lacks them, or has them only where they are not asked for."""

LEFT_OUT: dict[str, tuple[str, ...]] = {
    "the embedded renderer, which Isaac Sim has not": ("render/test_render_",),
    "packages of export formats, and programs that read them, which Isaac Sim has not": (
        "dataset/test_export_coco.py", "dataset/test_export_hf.py", "dataset/test_export_verb.py",
        "dataset/test_export_voc.py", "dataset/test_export_webdataset.py", "dataset/test_export_yolo.py",
        "dataset/test_import_coco.py",
        "dataset/test_file_systems.py::test_verbs_go_on_without_and_say_so_once",
        "perception/test_perception_apollo_masks.py",
    ),
    "POT and laspy, which Isaac Sim has not: there the gate says in a note that geometry was not scored": (
        "quality/test_quality_clouds.py", "quality/test_quality_geometry.py", "quality/test_quality_score.py",
        "quality/test_quality_gate.py::test_flat_ground_fails_by_its_geometry",
    ),
    "rasterio and skyfield, which Isaac Sim has not": (
        "stage/test_stage_place.py", "stage/test_stage_ephemeris.py", "randomize/test_randomize_time.py",
    ),
    "Ray, which Isaac Sim has not": ("dataset/test_generate_ray.py",),
    "processes of `regolith generate` and verbs of the command line, which never run in Kit's": (
        "dataset/test_generate.py", "dataset/test_generate_breaks.py", "dataset/test_crashes.py",
    ),
    "memory, which takes two minutes to measure and does not hang on releases": (
        "perception/test_perception_memory.py",
    ),
    "a training with torch, whose process has another Python than Isaac Sim's": (
        "panel/test_panel_training.py::test_real_training_moves_the_plots_and_stops",
        "dataset/test_output_locks.py::test_every_verb_that_writes_holds_what_it_writes[ablate",
        "dataset/test_output_locks.py::test_every_verb_that_writes_holds_what_it_writes[blend",
        "dataset/test_output_locks.py::test_every_verb_that_writes_holds_what_it_writes[distill",
        "dataset/test_output_locks.py::test_every_verb_that_writes_holds_what_it_writes[sweep",
        "dataset/test_output_locks.py::test_every_verb_that_writes_holds_what_it_writes[train",
    ),
    "MuJoCo and the embedded renderer, with which companions drive and calibrate": (
        "panel/test_panel_rover.py::test_a_drive_is_seen_and_told",
        "panel/test_panel_rover.py::test_measured_runs_become_ranges_by_a_click",
    ),
    "the check of an installation by pip, and Isaac Sim has the package on its path": (
        "panel/test_panel_artifacts.py::test_the_machine_is_checked",
    ),
    "the words for a TIFF that Pillow 11.3 does not open, and that is refused all the same": (
        "perception/test_perception_masks.py::test_whatever_would_be_a_guess_is_refused",
    ),
    "validators that the wheel of usd-core 25.5.1 does not carry": (
        "stage/test_stage_usd.py::test_usd_validators_report_nothing",
    ),
    "omniverse-asset-validator, which wants a newer numpy": (
        "stage/test_stage_usd.py::test_asset_validator_reports_nothing",
    ),
}  # fmt: skip
"""What tests need or are about to how their paths below `tests` begin."""


def pytest_configure(config: pytest.Config) -> None:
    """Refuse another environment than Isaac Sim's."""
    for line in PINS.read_text("utf-8").splitlines():
        name, _, pin = line.partition("==")
        if pin and (found := importlib.metadata.version(name)) != pin:
            raise pytest.UsageError(f"{name} {found} is installed, and Isaac Sim has {pin}")
    if there := [name for name in ABSENT if importlib.util.find_spec(name) is not None]:
        raise pytest.UsageError(f"{', '.join(there)}: installed, and Isaac Sim lacks it")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave whole files out before they are imported: they may import what is not there."""
    place = _place(collection_path)
    return True if collection_path.is_file() and _reason(place) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave single tests out."""
    out = [item for item in items if _reason(f"{_place(item.path)}::{item.name}")]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]


def pytest_report_header(config: pytest.Config) -> Sequence[str]:
    """Say what is left out."""
    return [f"left out: {' '.join(places)}: {reason}" for reason, places in LEFT_OUT.items()]


def _place(path: Path) -> str:
    return path.relative_to(HERE).as_posix() if path.is_relative_to(HERE) else ""


def _reason(place: str) -> str:
    return next((reason for reason, starts in LEFT_OUT.items() if place.startswith(starts)), "")
