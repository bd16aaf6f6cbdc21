"""A host that confines what is written, and withholds fields that name programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from panel_host import Bench, MemoryHost

from regolith.lunar.panel.forms import OUTPUTS, PROGRAMS, SOURCES, build_sections
from regolith.lunar.panel.generate_work import GenerateWork
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


@pytest.mark.parametrize(
    "place", ["/tmp", "../elsewhere", "sub/../../elsewhere", "link/set", "~", "~nobody-at-all/x/../../..", "a\0b"]
)
def test_output_outside_is_refused_at_its_field(bench: Bench, linked: Path, place: str) -> None:
    model = bench.model
    for path in sorted(OUTPUTS):
        before = model.field(path).value
        assert before is not None and not model.field(path).message, path
        model.commit(path, place)
        message = model.field(path).message
        assert message.startswith("out: ") and message.endswith(f"allowed: a path inside {bench.host.data_folder}")
        assert model._context.values.good[path] == before
        model.commit(path, "sub/../set")
        assert not model.field(path).message


def test_runs_folder_is_nobodys_output(bench: Bench) -> None:
    bench.host.runs_folder = bench.host.data_folder / ".own" / "runs"
    bench.model.commit("generate.out", bench.host.runs_folder / "x")
    assert "keeps for itself" in bench.model.field("generate.out").message
    assert not bench.model.actions["generate"].enabled


def test_folders_of_the_hosts_own_are_nobodys_output(bench: Bench) -> None:
    own = bench.host.data_folder / ".own"
    own.mkdir()
    (own / "state.yaml").write_text("kept")
    (bench.host.data_folder / "way").symlink_to(own)
    bench.host.protected = (own,)
    for place in (own, own / "x", ".own/x", "way/x"):
        bench.model.commit("generate.out", place)
        assert bench.model.field("generate.out").message.endswith(f"outside {own}, which the program keeps for itself")
    assert not bench.model.save(own / "state.yaml") and (own / "state.yaml").read_text() == "kept"
    bench.model.commit("generate.out", ".owner")
    assert not bench.model.field("generate.out").message


LONG = ["n" * 256, "missing/" + "ö" * 128 + "/x", "p/" * 2500]


@pytest.mark.parametrize("confined", [True, False])
@pytest.mark.parametrize("place", LONG)
def test_paths_no_system_takes_are_refused_at_their_field(bench: Bench, place: str, confined: bool) -> None:
    model = bench.model
    if not confined:
        bench.host.confine = None
    for path in OUTPUTS:
        model.commit(path, place)
        assert model.field(path).message.endswith("each name in it of at most 255")
    model.tick()
    assert not model.save(bench.host.data_folder / f"{place}.yaml")
    assert "of at most 255" in bench.host.notes[-1][1] and "Errno" not in bench.host.notes[-1][1]


def test_an_action_without_a_state_leaves_the_others_theirs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> str:
        raise OSError("no such thing")

    model = bench.model
    failing, undo = model.actions["report"], model.actions["undo"]
    monkeypatch.setattr(failing, "_ask", fail)
    model.commit("light.stars", 33)
    assert undo.enabled and failing.reason == "OSError: no such thing" and len(caplog.records) == 1
    model.commit("light.stars", 34)
    assert len(caplog.records) == 1
    monkeypatch.undo()
    model.commit("light.stars", 35)
    assert failing.reason == "nothing is exported yet"


def test_a_page_nobody_can_look_for_is_not_there(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    pages, far = bench.model._artifacts.pages, Path("n" * 300)
    monkeypatch.setattr(GenerateWork, "split", far)
    monkeypatch.setattr(pages, "_evaluation", lambda: far)
    monkeypatch.setattr(pages, "_entered_training", lambda: far)
    assert pages.problem("report") == "nothing is exported yet"
    assert pages.problem("evaluation_report") == "nothing is evaluated yet"
    assert pages.problem("training_report") == "nothing is trained yet"


def test_a_link_made_later_is_refused_before_anything_is_written(bench: Bench, tmp_path: Path) -> None:
    model, out = bench.model, bench.host.data_folder / "later"
    model.commit("generate.out", out)
    assert model.actions["generate"].enabled
    (tmp_path / "outside").mkdir()
    out.symlink_to(tmp_path / "outside")
    model.actions["generate"].run()
    assert model.works["generate"].state == "failed" and "a path inside" in model.works["generate"].text
    assert not list((tmp_path / "outside").iterdir()) and not bench.host.generated


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
        assert model._context.values.good[path] is None
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
