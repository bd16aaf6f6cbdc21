"""Forms: every parameter is in the panel once, in its section, with the words and limits of its definition."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from regolith.lunar.dataset.generate import Generate
from regolith.lunar.panel.film import DECIDED, ELSEWHERE
from regolith.lunar.panel.forms import SECTIONS, SOURCES, Field, FormSource, Section, build_sections
from regolith.lunar.panel.values import flatten
from regolith.lunar.params import Group, Interval, Params, PresetVerb, quantity
from regolith.lunar.params.curriculum import PREFIX, CurriculumParams
from regolith.lunar.params.training import TrainParams

FIELDS: dict[str, tuple[Section, Field]] = {
    field.path: (section, field) for section in build_sections() for field in section.fields
}


def test_sections_come_in_the_panels_order() -> None:
    titles = [section.title for section in build_sections()]
    assert titles == list(SECTIONS.values())
    wanted = ["Stage", "Rocks", "Craters", "Light", "Camera", "Sensor", "Dataset", "Model", "Training"]
    assert [title for title in titles if title in wanted] == wanted


def test_every_parameter_is_there_once() -> None:
    paths = [field.path for section in build_sections() for field in section.fields]
    assert len(paths) == len(set(paths))
    assert set(flatten(Params())) - {"preset"} <= set(paths)
    plumbing = set(PresetVerb.model_fields) | {"events"}
    assert {f"training.{name}" for name in TrainParams.model_fields if name not in plumbing} <= set(paths)
    assert {f"generate.{name}" for name in Generate.model_fields if name not in plumbing} <= set(paths)


@pytest.mark.parametrize(
    ("path", "section"),
    [
        ("domain.sun_elevation_deg", "light"), ("domain.albedo", "stage"), ("domain.fov_deg", "camera"),
        ("domain.rock_albedo_ratio", "rocks"), ("domain.exposure_ev", "sensor"), ("test_domain.albedo", "test_domain"),
        ("randomize.craters", "craters"), ("randomize.ground", "stage"), ("randomize.strength", "dataset"),
        ("terrain.size_m", "stage"), ("relief.bump", "stage"), ("shot.frame", "stage"), ("generate.frames", "dataset"),
        ("model.opacity", "model"), ("companion.python", "training"), ("training.epochs", "training"),
    ],
)  # fmt: skip
def test_section_of_a_field(path: str, section: str) -> None:
    assert FIELDS[path][0].key == section


@pytest.mark.parametrize(
    ("path", "kind", "label", "unit"),
    [
        ("domain.sun_elevation_deg", "interval", "Sun elevation", "deg"), ("training.epochs", "int", "Epochs", ""),
        ("training.lr", "float", "Learning rate", ""), ("relief.enabled", "bool", "Enabled", ""),
        ("rocks.shape", "choice", "Shape", ""), ("generate.out", "path", "Out", ""),
        ("generate.size", "text", "Size", ""),
        ("craters.diameter_min_m", "float", "Smallest diameter", "m"), ("domain.fov_deg", "interval", "FOV", "deg"),
        ("sensor.lens_k1", "interval", "Lens k1", ""), ("training.test_split", "path", "Test split", ""),
    ],
)  # fmt: skip
def test_kind_label_and_unit(path: str, kind: str, label: str, unit: str) -> None:
    field = FIELDS[path][1]
    assert (field.kind, field.label, field.unit) == (kind, label, unit)


def test_numbers_have_limits_and_step_and_tooltips_say_them() -> None:
    for _, field in FIELDS.values():
        assert [line[-1] for line in field.tooltip.splitlines()] == [".", "]"], field.path
        if field.kind in ("int", "float", "interval") and field.le is not None:
            assert field.step, field.path
            assert f"{field.le:.9g}" in field.tooltip, field.path
        if field.unit:
            assert field.tooltip.endswith(f"{field.unit}]"), field.path
        if field.kind == "choice":
            assert len(field.choices) > 1, field.path
    sun = FIELDS["domain.sun_elevation_deg"][1]
    assert sun.tooltip == "Sun above the horizon.\n[lo,hi with lo ≤ hi within 0 … 90 deg]"


def test_fields_of_a_heading_follow_each_other() -> None:
    for section in build_sections():
        groups = [field.group for field in section.fields]
        assert [g for i, g in enumerate(groups) if i == 0 or groups[i - 1] != g] == list(dict.fromkeys(groups))


def test_paths_say_what_they_are_chosen_from() -> None:
    assert FIELDS["model.path"][1].picks == FIELDS["companion.python"][1].picks == "file"
    assert FIELDS["generate.out"][1].picks == FIELDS["photos.images"][1].picks == "folder"
    assert FIELDS["training.init"][1].picks == ""


def test_new_parameter_appears_by_itself() -> None:
    class Dust(Group):
        """A group nobody has heard of."""

        cling: Interval = quantity(Interval(0, 1), "Dust on the lens.", unit="g", ge=0, le=2, step=0.1)
        mode: Literal["dry", "wet"] = quantity("dry", "Kind of dust.")
        place: Path | None = quantity(None, "Folder of dust.")
        origin: Literal["mare", "highland"] | None = quantity(None, "Ground it is of; left out, any.")

    class Bigger(Params):
        dust: Dust = Dust()

    (section,) = [s for s in build_sections([FormSource("", Bigger, "")]) if any("dust." in f.path for f in s.fields)]
    cling, mode, place, origin = (field for field in section.fields if field.path.startswith("dust."))
    assert section.key == "dataset" and cling.group == "Dust"
    assert (cling.kind, cling.unit, cling.ge, cling.le, cling.step) == ("interval", "g", 0, 2, 0.1)
    assert (mode.kind, mode.choices, mode.default) == ("choice", ("dry", "wet"), "dry")
    assert (place.kind, place.optional, place.default) == ("path", True, None)
    assert (origin.kind, origin.choices, origin.default) == ("text", (), None) and "[mare, highland]" in origin.tooltip


def test_sources_hide_only_what_the_panel_sets_itself() -> None:
    hidden = {source.prefix: source.hidden & set(source.model.model_fields) for source in SOURCES}
    table = {name for name in CurriculumParams.model_fields if name.startswith(PREFIX)}
    plumbing = set(PresetVerb.model_fields) | {"events"} | table
    plumbing |= DECIDED | ELSEWHERE
    only = {"engine"}  # there is one to choose from
    assert all(names <= plumbing | {"model", "preset", "threads"} | only for names in hidden.values())
