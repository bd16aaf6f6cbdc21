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
    PictureSize,
    Site,
    UtcSpan,
    as_text,
    change_params,
    describe_allowed,
    dump_params,
    field_extra,
    is_group,
    load_params,
    load_preset,
    preset_names,
    quantity,
    save_params,
    validate,
    validate_text,
)
from regolith.lunar.params.training import TrainParams
from regolith.lunar.randomize import APART
from regolith.lunar.reading import parse_yaml


def leaves(model: type[Group], path: str = "") -> list[tuple[str, FieldInfo]]:
    """Every value field of a model by its dotted path."""
    found: list[tuple[str, FieldInfo]] = []
    for name, field in model.model_fields.items():
        if is_group(field.annotation):
            found += leaves(field.annotation, f"{path}{name}.")  # type: ignore[arg-type]
        else:
            found.append((path + name, field))
    return found


def test_presets_are_five_generations_and_two_for_training() -> None:
    assert preset_names() == ("boulders", "v1", "v2", "v3", "v4", "v5", "wide")
    assert all(load_preset(name).preset == name for name in preset_names())


def test_presets_build_on_another() -> None:
    """Preset wide names what differs from v4, boulders what differs from wide."""
    v4, wide, boulders = (load_preset(name) for name in ("v4", "wide", "boulders"))
    assert wide.sensor == v4.sensor and wide.domain != v4.domain and wide.rocks.fillet == v4.rocks.fillet
    assert boulders.sensor == v4.sensor and boulders.domain.albedo == wide.domain.albedo != v4.domain.albedo
    assert boulders.rocks.relief > wide.rocks.relief == 0.0


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
    ranges = [(name, field) for name, field in Domain.model_fields.items() if field.annotation is Interval]
    for (name, field), (u, v) in zip(ranges, zip(us[::2], us[1::2], strict=True), strict=True):
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
     "allowed: no such field; fields here are sun_angle_deg, irradiance, "
     "sun_temperature_k, stars, earthshine, earth_elevation_deg, earth_azimuth_deg"),
    ({"terain": {}}, "terain: {} is not allowed; allowed: no such field; fields here are preset, terrain, craters, "
     "relief, rocks, ground, light, camera, rover, dynamics, sensor, domain, test_domain, randomize, render, dataset "
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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("6e-3", 0.006), ("6E3", 6000.0), ("-1e+2", -100.0), ("+.5", 0.5), ("1.", 1.0), ("0.1", 0.1),
        (".inf", math.inf), ("12", 12), ("-7", -7), ("010", 10), ("0o10", 8), ("0x1F", 31), ("1_000", 1000),
        ("1:30", "1:30"), ("1e", "1e"), ("e3", "e3"), (".", "."), ("1.2.3", "1.2.3"), ("yes", True), ("null", None),
    ],
)  # fmt: skip
def test_numbers_of_yaml_are_those_people_write(text: str, value: object) -> None:
    """As YAML 1.2 has them: no dot is needed before an exponent, no octal and no sexagesimal numbers by chance."""
    found = parse_yaml(text)
    assert type(found) is type(value) and found == value


@given(st.floats(allow_nan=False))
def test_every_float_as_python_writes_it_is_that_float_in_yaml(value: float) -> None:
    text = repr(value).replace("inf", ".inf")
    assert parse_yaml(text) == value and parse_yaml(yaml.safe_dump([value])) == [value]


@pytest.mark.parametrize("name", ["a.yaml", "a.json"])
def test_files_as_windows_writes_them(tmp_path, name: str) -> None:
    """A byte order mark and other ends of lines are no part of the text."""
    path = tmp_path / name
    text = '{\r\n"preset": "v1",\r\n"relief": {"rms_height_m": 6e-3}\r\n}\r\n'
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load_params(path).relief.rms_height_m == 0.006


@pytest.mark.parametrize("name", ["a.yaml", "a.json"])
@pytest.mark.parametrize(
    "text", ['{"rocks": {}, "light": {}, "rocks": {}}', '{"rocks": {"exponent": 2, "exponent": 3}}']
)
def test_a_name_that_is_there_twice_is_refused(tmp_path, name: str, text: str) -> None:
    """Else the last would count, and what was meant by the first be lost without a word."""
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=r"(rocks|exponent) is there twice"):
        load_params(path)


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
    """`test_photoreal` of a scene generation lies outside its training domain in every range that defines it.

    wide and boulders train for photographs: they span the test domain too, and draw no `test_photoreal`.
    """
    for preset in sorted(set(preset_names()) - {"wide", "boulders"}):
        params = load_preset(preset)
        for name in APART:
            assert not getattr(params.domain, name).overlaps(getattr(params.test_domain, name)), (preset, name)


class Picture(Group):
    """A model with a size, and one that may be left out."""

    size: PictureSize = quantity(PictureSize(256), "Size of the picture.")
    crop: PictureSize | None = quantity(None, "Size to cut it to.")


@pytest.mark.parametrize(("text", "size"), [("256", (256, 256)), ("640x480", (640, 480)), ("16x4096", (16, 4096))])
def test_sizes_are_written_as_they_are_read(text: str, size: tuple[int, int]) -> None:
    read = validate_text(Picture, {"size": text}).size
    assert (read.width, read.height) == size and read == PictureSize(*size)
    assert as_text(read) == text and Picture(size=read).model_dump(mode="json") == {"size": text, "crop": None}


@pytest.mark.parametrize("name", ["size", "crop"])
@pytest.mark.parametrize("text", ["15", "5000", "640x", "x480", "640x480x3", "-256", "640 x 480", "1e3", "9" * 5000])
def test_what_is_no_size_is_refused_in_the_field_s_own_line(name: str, text: str) -> None:
    with pytest.raises(InputError) as error:
        validate_text(Picture, {name: text})
    assert error.value.field == name
    assert error.value.allowed == "SIDE or WIDTHxHEIGHT in pixels, each 16 … 4096"
    assert describe_allowed(Picture.model_fields[name]) == error.value.allowed


@pytest.mark.parametrize(
    ("text", "lat", "lon"), [("0,0", 0.0, 0.0), ("-89.5, 222", -89.5, 222.0), ("0.67408,23.47297", 0.67408, 23.47297)]
)
def test_sites_are_written_as_they_are_read(text: str, lat: float, lon: float) -> None:
    params = change_params(load_preset("v3"), {"ground.site": text})
    site = params.ground.site
    assert site == Site(lat, lon) and change_params(load_preset("v3"), {"ground.site": as_text(site)}) == params
    assert validate(Params, json.loads(dump_params(params))) == params
    assert change_params(params, {"ground.site": None}) == load_preset("v3")


@pytest.mark.parametrize("text", ["91,0", "0,361", "0,-181", "1", "1,2,3", "north", "nan,0", "inf,0"])
def test_what_is_no_site_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"ground.site: .* LAT,LON in degrees"):
        change_params(load_preset("v3"), {"ground.site": text})


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1969-07-21T03:15", "1969-07-21T03:15:00Z"),
        ("1969-07-21T05:15:00+02:00", "1969-07-21T03:15:00Z"),
        ("2026-12-01/2026-12-03T12:00Z", "2026-12-01T00:00:00Z/2026-12-03T12:00:00Z"),
    ],
)
def test_times_are_utc_and_written_as_they_are_read(tmp_path, text: str, written: str) -> None:
    params = change_params(load_preset("v3"), {"ground.site": "0,0", "domain.time": text})
    assert str(params.domain.time) == written
    (tmp_path / "p.yaml").write_text(
        f"preset: v3\nground: {{site: '0,0'}}\ndomain: {{time: {text.partition('/')[0]}}}\n"
    )
    assert load_params(tmp_path / "p.yaml").domain.time == UtcSpan.model_validate(text.partition("/")[0])
    save_params(params, tmp_path / "q.yaml")
    assert load_params(tmp_path / "q.yaml") == params


@pytest.mark.parametrize("text", ["noon", "1850-01-01", "2060-01-01", "2026-12-03/2026-12-01", "2026/2027/2028"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"domain.time: .* UTC as ISO 8601"):
        change_params(load_preset("v3"), {"ground.site": "0,0", "domain.time": text})


def test_a_place_is_asked_for_where_one_is_needed() -> None:
    with pytest.raises(InputError, match=r"domain.time: .* ground.site"):
        change_params(load_preset("v3"), {"domain.time": "2026-12-01"})
    with pytest.raises(InputError, match=r"ground.site: missing"):
        change_params(load_preset("v3"), {"ground.dem": "a.tif"})
    assert "site" not in dump_params(load_preset("v3")) and "time" not in dump_params(load_preset("v3"))
