"""Values: what is not allowed gets the command line's line, and never gets in the way of what is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regolith.lunar.cli import main
from regolith.lunar.panel.forms import build_sections
from regolith.lunar.panel.values import Values, enter, flatten, start_values
from regolith.lunar.params import Interval, Params, load_preset

SECTIONS = build_sections()
FIELDS = {field.path: field for section in SECTIONS for field in section.fields}
START = start_values(SECTIONS, load_preset("v3"), {})
CLI = {"generate": "generate", "training": "train", "evaluate": "evaluate synth", "photos": "evaluate real"}


def test_start_is_the_preset_and_says_what_is_missing() -> None:
    assert START.params == load_preset("v3")
    assert START.messages["generate.frames"] == "frames: missing; allowed: a whole number 1 … 1000000"
    assert not any(path in START.messages for path in flatten(START.params))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("craters.density", "5,9"), ("craters.density", (0.9, 0.1)), ("craters.density", "wide"),
        ("craters.exponent", 99.0), ("craters.exponent", "steep"), ("craters.exponent", float("nan")),
        ("rocks.shape_count", 0), ("rocks.shape_count", 2.5), ("rocks.shape", "cube"), ("relief.enabled", "maybe"),
        ("domain.fov_deg", (1.0, 200.0)), ("generate.frames", 0),
        ("generate.executor", "cloud"), ("training.lr", 7.0), ("training.epochs", 0), ("training.amp", "on"),
        ("photos.size", 8), ("generate.size", "8"), ("generate.size", "64x"), ("evaluate.worst", -1),
    ],
)  # fmt: skip
def test_message_is_the_command_lines(path: str, value: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The same value as a flag fails with the same line."""
    values = enter(START, {path: value})
    source, _, name = path.partition(".")
    verb = CLI.get(source, "generate")
    text = f"{value[0]!r},{value[1]!r}" if isinstance(value, tuple) else str(value)
    flags = {"split": "val", "frames": 3, "out": "/tmp/x", "train-split": "a", "val-split": "b", "images": "a"}
    needed = {"generate": ["split", "frames", "out"], "train": ["train-split", "val-split", "out"]}
    required = needed.get(verb, ["split"] if verb == "evaluate synth" else ["images"])
    flag = (name if source in CLI else path).replace("_", "-")
    given = [f"--{key}={flags[key]}" for key in required if key != flag]
    assert main([*verb.split(), *given, f"--{flag}={text}"]) == 2
    assert f"regolith: {values.messages[path]}\n" == capsys.readouterr().err
    assert values.entered[path] != START.good[path] or values.entered[path] is value
    assert values.good[path] == START.good[path]


def test_value_that_is_not_allowed_does_not_hold_up_others() -> None:
    bad = enter(START, {"craters.density": "5,9", "terrain.hurst": 9})
    values = enter(bad, {"rocks.fillet": 0.2, "craters.exponent": "2.5"})
    assert set(values.messages) - set(START.messages) == {"craters.density", "terrain.hurst"}
    assert (values.params.rocks.fillet, values.params.craters.exponent) == (0.2, 2.5)
    assert values.params.craters.density == START.params.craters.density
    assert values.entered["craters.density"] == "5,9"
    assert not set(enter(values, {"craters.density": (0.1, 0.2), "terrain.hurst": 0.5}).messages) - set(START.messages)


def test_rule_between_two_fields_waits_for_the_second() -> None:
    """Both fields get the line; the pair counts once it is whole."""
    half = enter(START, {"craters.diameter_max_m": 0.5, "craters.diameter_min_m": 0.2})
    half = enter(half, {"craters.diameter_min_m": 0.8})
    line = "craters.diameter_min_m: 0.8 is not allowed; allowed: below diameter_max_m, 0.5 m"
    assert half.messages["craters.diameter_min_m"] == line
    assert half.params.craters.diameter_min_m == 0.2
    whole = enter(half, {"craters.diameter_max_m": 2.0})
    assert (whole.params.craters.diameter_min_m, whole.params.craters.diameter_max_m) == (0.8, 2.0)
    assert set(whole.messages) == set(START.messages)
    other = enter(whole, {"craters.diameter_max_m": 0.6})
    assert "below diameter_max_m, 0.6 m" in other.messages["craters.diameter_max_m"]
    assert other.params.craters.diameter_max_m == 2.0 and other.entered["craters.diameter_max_m"] == 0.6


def test_select_on_and_test_split_go_together_in_either_order() -> None:
    for order in (("test_split", "select_on"), ("select_on", "test_split")):
        values = START
        for name in order:
            values = enter(values, {f"training.{name}": {"test_split": "~/t", "select_on": "test"}[name]})
        messages = {path for path in values.messages if path.startswith("training.")}
        assert messages == {path for path in START.messages if path.startswith("training.")}
        assert values.good["training.test_split"] == Path("~/t").expanduser()


def test_blank_leaves_out_what_may_be_left_out() -> None:
    values = enter(START, {"training.lr": "1e-4"})
    assert values.good["training.lr"] == 1e-4
    values = enter(values, {"training.lr": " ", "training.test_split": ""})
    assert values.good["training.lr"] is None and values.good["training.test_split"] is None
    blank = enter(values, {"craters.exponent": ""})
    assert "missing" in blank.messages["craters.exponent"] and blank.params == START.params


def test_every_widget_type_is_understood() -> None:
    changes: dict[str, Any] = {
        "domain.sun_elevation_deg": Interval(5, 6), "domain.albedo": [0.1, 0.2], "domain.roughness": "0.5,0.75",
        "rocks.shape_count": 7, "terrain.hurst": 0.1 + 0.2, "relief.enabled": False, "generate.out": Path("/a b"),
        "rocks.shape": "blob", "generate.frames": "12",
    }  # fmt: skip
    good = enter(START, changes).good
    assert good["domain.sun_elevation_deg"] == Interval(5, 6) and good["domain.albedo"] == Interval(0.1, 0.2)
    assert good["domain.roughness"] == Interval(0.5, 0.75) and good["terrain.hurst"] == 0.1 + 0.2
    assert (good["rocks.shape_count"], good["relief.enabled"], good["rocks.shape"]) == (7, False, "blob")
    assert (good["generate.out"], good["generate.frames"]) == (Path("/a b"), 12)


def test_unknown_path_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError, match="moon"):
        enter(START, {"moon.size": 1})


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.tuples(st.floats(), st.floats()),
    st.lists(st.floats(), max_size=3), st.binary(max_size=4), st.just(Path("\0")), st.just("~nobody-here/x"),
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(sorted(FIELDS)), anything), max_size=6))
def test_nothing_that_is_entered_raises(edits: list[tuple[str, Any]]) -> None:
    """And what counts is always a set of valid models that says the same in every place."""
    values = START
    for path, value in edits:
        values = enter(values, {path: value})
        assert isinstance(values.params, Params)
        assert flatten(values.params) == {path: values.good[path] for path in flatten(values.params)}
        for path_, message in values.messages.items():
            assert "\n" not in message and message, path_
    _check_settled(values)


def _check_settled(values: Values) -> None:
    """Entering what counts clears every message but of what is missing."""
    again = enter(values, dict(values.good))
    assert all("missing" in message for message in again.messages.values())
    assert again.good == values.good


def test_a_place_and_a_camera_bring_their_values_along() -> None:
    """What is entered with them or later stays, and files and presets are taken as they are."""
    mare = enter(START, {"ground.place": "mare", "ground.hapke_b": "0.3"})
    assert mare.params.ground.hapke_c == Interval(0.083)
    assert mare.params.ground.hapke_b == mare.entered["ground.hapke_b"] == Interval(0.3)
    assert mare.params.domain.albedo.center == pytest.approx(0.1446, abs=1e-4)
    own = enter(mare, {"ground.hapke_c": "0.2", "camera.model": "yutu-pcam"})
    assert own.params.ground.hapke_c == Interval(0.2)
    assert own.params.domain.fov_deg == Interval(19.7)
    loaded = enter(START, flatten(own.params))
    assert loaded.params == own.params
    assert enter(START, {"ground.place": "sea"}).params == START.params


def test_a_map_that_cannot_be_read_holds_up_nothing_else(tmp_path: Path) -> None:
    """Its field keeps the message until it can; neither map nor site counts."""
    missing = enter(START, {"ground.hapke_map": str(tmp_path / "none.tif"), "ground.site": "0,0"})
    assert "a file that is there" in missing.messages["ground.hapke_map"] or "rasterio" in str(missing.messages)
    values = enter(missing, {"rocks.fillet": 0.2})
    assert values.messages["ground.hapke_map"] == missing.messages["ground.hapke_map"]
    assert values.params.rocks.fillet == 0.2
    assert values.params.ground.hapke_map == ""
