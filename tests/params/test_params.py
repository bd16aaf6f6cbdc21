"""Parameters: presets, files, limits and the words of every error."""

import json
import math
import pickle

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from regolith.lunar.params import (
    CheckError,
    Domain,
    Group,
    InputError,
    Interval,
    Params,
    dump_params,
    field_extra,
    is_group,
    load_params,
    load_preset,
    preset_names,
    save_params,
    validate,
    validate_text,
)
from regolith.lunar.params.training import TrainParams
from regolith.lunar.randomize import APART


def leaves(model: type[Group], path: str = "") -> list[tuple[str, FieldInfo]]:
    """Every value field of a model by its dotted path."""
    found: list[tuple[str, FieldInfo]] = []
    for name, field in model.model_fields.items():
        if is_group(field.annotation):
            found += leaves(field.annotation, f"{path}{name}.")  # type: ignore[arg-type]
        else:
            found.append((path + name, field))
    return found


def test_presets_are_v1_to_v4() -> None:
    assert preset_names() == ("v1", "v2", "v3", "v4")
    assert all(load_preset(name).preset == name for name in preset_names())


@pytest.mark.parametrize(
    ("path", "field"), leaves(Params) + leaves(TrainParams), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_field_has_help_unit_limits_and_step(path: str, field: FieldInfo) -> None:
    extra = field_extra(field)
    assert field.description and field.description.endswith("."), path
    assert "unit" in extra
    if field.annotation in (float, int, Interval):
        assert None not in (extra["ge"], extra["le"], extra["step"]), path


@pytest.mark.parametrize("name", preset_names())
@pytest.mark.parametrize("ending", [".yaml", ".yml", ".json"])
def test_file_round_trip_is_exact(tmp_path, name: str, ending: str) -> None:
    params = load_preset(name)
    path = tmp_path / f"params{ending}"
    save_params(params, path)
    again = load_params(path)
    assert again == params
    assert dump_params(again) == dump_params(params)


unit = st.floats(0, 1, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(unit, min_size=22, max_size=22))
def test_round_trip_of_any_domain_is_exact(us: list[float]) -> None:
    """Any value a field allows survives JSON and YAML to the last bit."""
    data = {}
    for (name, field), (u, v) in zip(Domain.model_fields.items(), zip(us[::2], us[1::2], strict=True), strict=True):
        extra = field_extra(field)
        lo, hi = sorted(extra["ge"] + (extra["le"] - extra["ge"]) * w for w in (u, v))
        data[name] = [max(lo, extra["ge"]), min(hi, extra["le"])]
    domain = validate(Domain, data)
    plain = domain.model_dump(mode="json")
    assert validate(Domain, json.loads(json.dumps(plain))) == domain
    assert validate(Domain, yaml.safe_load(yaml.safe_dump(plain))) == domain


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), unit)
def test_interval_laws(a: float, b: float, u: float) -> None:
    lo, hi = min(a, b), max(a, b)
    interval = Interval(lo, hi)
    assert interval.contains(interval.at(u)) and interval.contains(interval.center)
    assert interval.at(0) == lo and math.isclose(interval.at(1), hi, rel_tol=1e-9, abs_tol=1e-9)
    assert interval.overlaps(Interval(hi, hi + 1)) and not interval.overlaps(Interval(hi + 1, hi + 2))
    if lo < hi:
        with pytest.raises(ValueError, match="inverted"):
            Interval(hi, lo)


BAD = [
    ({"rocks": {"abundance": [0.2, 0.1]}}, "rocks.abundance: [0.2, 0.1] is not allowed; "
     "allowed: lo,hi with lo ≤ hi within 0 … 0.3"),
    ({"rocks": {"abundance": [0.1, 0.9]}}, "rocks.abundance: [0.1, 0.9] is not allowed; "
     "allowed: lo,hi with lo ≤ hi within 0 … 0.3"),
    ({"rocks": {"abundance": [0.1, 0.2, 0.3]}}, "rocks.abundance: [0.1, 0.2, 0.3] is not allowed; "
     "allowed: lo,hi with lo ≤ hi within 0 … 0.3"),
    ({"terrain": {"size_m": 10}}, "terrain.size_m: 10 is not allowed; allowed: a number 40 … 120 m"),
    ({"terrain": {"size_m": "60"}}, "terrain.size_m: '60' is not allowed; allowed: a number 40 … 120 m"),
    ({"terrain": {"size_m": math.nan}}, "terrain.size_m: nan is not allowed; allowed: a number 40 … 120 m"),
    ({"rocks": {"shape_count": 2.5}}, "rocks.shape_count: 2.5 is not allowed; allowed: a whole number 1 … 64"),
    ({"rocks": {"shape": "cube"}}, "rocks.shape: 'cube' is not allowed; allowed: blob, basalt"),
    ({"relief": {"enabled": "no"}}, "relief.enabled: 'no' is not allowed; allowed: true or false"),
    ({"craters": {"diameter_min_m": 9.0, "diameter_max_m": 5.0}},
     "craters.diameter_min_m: 9.0 is not allowed; allowed: below diameter_max_m, 5 m"),
    ([1], "parameters: [1] is not allowed; allowed: a group of named fields"),
    ({"light": {"sun": 3}}, "light.sun: 3 is not allowed; "
     "allowed: no such field; fields here are sun_angle_deg, irradiance, sun_temperature_k, stars"),
    ({"terain": {}}, "terain: {} is not allowed; allowed: no such field; fields here are preset, terrain, craters, "
     "relief, rocks, ground, light, camera, sensor, domain, test_domain, randomize, render, dataset "
     "(did you mean terrain?)"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "line"), BAD, ids=[line.split(":")[0] for _, line in BAD])
def test_bad_input_is_one_line_with_field_value_and_allowed(data: dict, line: str) -> None:
    with pytest.raises(InputError) as caught:
        validate(Params, data)
    assert str(caught.value) == line
    assert "\n" not in str(caught.value)


def test_text_values_are_read_as_typed_on_a_command_line() -> None:
    params = validate_text(
        Params, {"rocks": {"abundance": "0.08"}, "relief": {"enabled": "false"}, "domain": {"fov_deg": "50,60"}}
    )
    assert params.rocks.abundance == Interval(0.08)
    assert params.relief.enabled is False
    assert params.domain.fov_deg == Interval(50, 60)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", "rocks: [", "well-formed YAML"),
        ("a.json", "{", "well-formed JSON"),
        ("a.txt", "", "a .yaml, .yml or .json file"),
        ("a.yaml", None, "a readable file"),
    ],
)
def test_unreadable_files_say_why(tmp_path, name: str, text: str | None, said: str) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match="params") as caught:
        load_params(path)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_defaults_lie_inside_their_own_limits() -> None:
    assert validate(Params, Params().model_dump(mode="json")) == Params() == load_preset("v3")


def test_partial_file_keeps_the_preset_it_names(tmp_path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("preset: v1\nrocks: {exponent: 2.0}\n")
    v1 = load_preset("v1")
    assert load_params(path) == v1.model_copy(update={"rocks": v1.rocks.model_copy(update={"exponent": Interval(2.0)})})
    path.write_text("- 1\n")
    with pytest.raises(InputError, match="named groups"):
        load_params(path)


def test_errors_survive_the_way_out_of_a_process() -> None:
    error = pickle.loads(pickle.dumps(InputError("a.b", 3, "less")))
    assert str(error) == "a.b: 3 is not allowed; allowed: less" and error.value == 3
    check = pickle.loads(pickle.dumps(CheckError("broken", {"n": 1})))
    assert str(check) == "broken" and check.result == {"n": 1}


def test_training_and_test_domains_do_not_overlap() -> None:
    """`test_photoreal` lies outside the training domain in every range that defines it."""
    for preset in preset_names():
        params = load_preset(preset)
        for name in APART:
            assert not getattr(params.domain, name).overlaps(getattr(params.test_domain, name)), (preset, name)
