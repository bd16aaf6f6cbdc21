"""A host that confines what is written, and withholds fields that name programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from panel_host import Bench, MemoryHost

from regolith.lunar.panel.forms import OUTPUTS, PROGRAMS, SOURCES, build_sections
from regolith.lunar.panel.model import PanelModel
from regolith.lunar.params import load_params


@pytest.fixture
def host(host: MemoryHost) -> MemoryHost:
    host.withheld = PROGRAMS
    host.confine = host.data_folder
    host.data_folder.mkdir()
    host.memory["python"] = "/somewhere/python"
    return host


@pytest.fixture
def linked(host: MemoryHost, tmp_path: Path) -> Path:
    """A link inside the folder to one outside it."""
    (tmp_path / "outside").mkdir()
    link = host.data_folder / "link"
    link.symlink_to(tmp_path / "outside")
    return link


def test_every_folder_a_companion_writes_is_confined() -> None:
    """Fields of that name are what verbs call the folder they write."""
    named = {f"{source.prefix}.{name}" for source in SOURCES for name in source.model.model_fields if name == "out"}
    assert named == OUTPUTS


@pytest.mark.parametrize("path", sorted(OUTPUTS))
@pytest.mark.parametrize(
    "place", ["/tmp", "../elsewhere", "sub/../../elsewhere", "link/set", "~", "~nobody-at-all/x/../../..", "a\0b"]
)
def test_output_outside_is_refused_at_its_field(bench: Bench, linked: Path, path: str, place: str) -> None:
    model, before = bench.model, bench.model.field(path).value
    assert before is not None and not model.field(path).message
    model.commit(path, place)
    message = model.field(path).message
    assert message.startswith("out: ") and message.endswith(f"allowed: a path inside {bench.host.data_folder}")
    assert model._desk.values.good[path] == before
    model.commit(path, "sub/../set")
    assert not model.field(path).message


def test_runs_folder_is_nobodys_output(bench: Bench) -> None:
    bench.host.runs_folder = bench.host.data_folder / ".own" / "runs"
    bench.model.commit("export.out", bench.host.runs_folder / "x")
    assert "runs" in bench.model.field("export.out").message and not bench.model.actions["export"].enabled


def test_a_link_made_later_is_refused_before_anything_is_written(bench: Bench, tmp_path: Path) -> None:
    model, out = bench.model, bench.host.data_folder / "later"
    model.commit("export.out", out)
    assert model.actions["export"].enabled
    (tmp_path / "outside").mkdir()
    out.symlink_to(tmp_path / "outside")
    model.actions["export"].run()
    assert model.works["export"].state == "failed" and "a path inside" in model.works["export"].text
    assert not list((tmp_path / "outside").iterdir()) and not bench.host.exports


def test_parameters_are_saved_inside_only(bench: Bench, linked: Path, tmp_path: Path) -> None:
    for place in (tmp_path / "p.yaml", linked / "p.yaml", bench.host.data_folder / ".." / "p.yaml"):
        assert not bench.model.save(place) and not place.exists()
        assert bench.host.notes[-1][0] == "error" and "a path inside" in bench.host.notes[-1][1]
    assert bench.model.save(bench.host.data_folder / "p.yaml")
    assert load_params(bench.host.data_folder / "p.yaml") == bench.model.params


def test_withheld_fields_are_not_there_and_keep_their_defaults(bench: Bench) -> None:
    model = bench.model
    offered = {field.path for section in model.sections for field in section.fields}
    everything = {field.path for section in build_sections() for field in section.fields}
    assert everything - offered == PROGRAMS and not model.search("python")
    for path in PROGRAMS:
        with pytest.raises(KeyError):
            model.commit(path, "/bin/sh")
        assert model._desk.values.good[path] is None
    assert "choose_python" not in model.actions


def test_a_file_does_not_set_what_is_withheld(host: MemoryHost, tmp_path: Path) -> None:
    PanelModel(MemoryHost(tmp_path)).save(tmp_path / "p.yaml")
    host.withheld = frozenset({"terrain.cell_m", "light.stars"})
    model = PanelModel(host, preset="v1")
    kept = model.params.terrain.cell_m
    assert load_params(tmp_path / "p.yaml").terrain.cell_m != kept
    assert model.load(tmp_path / "p.yaml") and not model.dirty
    assert model.params.terrain.cell_m == kept
    model.close()
