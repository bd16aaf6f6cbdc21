"""Photometry by place, by map at a site, and real cameras by name."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from regolith.lunar.cli import parse_verb
from regolith.lunar.dataset.author import Author
from regolith.lunar.params import (
    InputError,
    Interval,
    Params,
    PresetVerb,
    Site,
    change_params,
    dump_params,
    load_params,
    load_preset,
    preset_names,
    save_params,
    validate,
)
from regolith.lunar.params.cameras import CAMERAS
from regolith.lunar.params.places import OLD_HIGHLAND, PLACES, fresh_ratio

V3 = load_preset("v3")
BANDS = (0.188, 0.255, 0.158, 0.0, 1.0, 2.13, 0.062, 23.6566, 0.0)
"""w, b, c, B_C0, h_C, B_S0, h_S, θ̄ and φ at the Apollo 11 site (Sato et al. 2014, 566 nm)."""
NODATA = -3.4028226550889045e38


def typed(*args: str) -> Params:
    """Parameters of a command line."""
    verb = parse_verb(Author, "author", list(args))
    assert isinstance(verb, PresetVerb)
    return verb.params


def write_map(path: Path, crs: str, *, bands: int = 9) -> str:
    """Write a map of 10° pixels from 70° N to 70° S: Apollo 11's values everywhere but in three pixels."""
    rasterio = pytest.importorskip("rasterio", reason="rasterio is not installed (the extra moon)")
    from rasterio.transform import from_origin

    degree = 1.0 if "longlat" in crs else math.radians(1.0) * 1737400.0
    values = np.tile(np.array(BANDS[:bands], np.float32)[:, None, None], (1, 14, 36))
    values[0, 6, 35] = 0.3  # 0 … 10° N, 350 … 360° E
    if bands == 9:
        values[:, 11, 34] = NODATA  # 40 … 50° S, 340 … 350° E
        values[2, 11, 35] = 1.19938  # 40 … 50° S, 350 … 360° E
    with rasterio.open(
        path, "w", driver="GTiff", width=36, height=14, count=bands, dtype="float32", nodata=NODATA, crs=crs,
        transform=from_origin(0.0, 70.0 * degree, 10.0 * degree, 10.0 * degree),
    ) as raster:  # fmt: skip
        raster.write(values)
    return str(path)


@pytest.fixture(params=["+proj=eqc +R=1737400 +units=m", "+proj=longlat +R=1737400"], ids=["metres", "degrees"])
def hapke_map(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A map in each kind of coordinates."""
    return write_map(tmp_path / "map.tif", request.param)


@pytest.mark.parametrize(("place", "albedo"), [("mare", 0.144), ("highland", 0.27), ("fresh-ejecta", 0.295)])
def test_places_have_their_published_normal_albedo(place: str, albedo: float) -> None:
    """It follows from w, b, c and B0 alone."""
    assert PLACES[place].albedo == pytest.approx(albedo, rel=0.005)


def test_fresh_material_is_brighter_than_the_ground_it_lies_on() -> None:
    assert OLD_HIGHLAND.albedo == pytest.approx(0.234, rel=0.01)
    assert fresh_ratio() == pytest.approx(1.25, abs=0.01)


def test_a_place_stands_in_for_what_is_not_given() -> None:
    mare = change_params(V3, {"ground.place": "mare", "ground.hapke_b": 0.3})
    ground = mare.ground
    assert (ground.hapke_b, ground.hapke_c, ground.hapke_b0, ground.hapke_h) == (
        Interval(0.3), Interval(0.083), Interval(2.0), Interval(0.047),
    )  # fmt: skip
    assert mare.domain.albedo.center == pytest.approx(0.1446, abs=1e-4)
    assert mare.test_domain == V3.test_domain
    v1 = change_params(load_preset("v1"), {"ground.place": "mare"})
    assert v1.ground.photometry == "hapke"
    kept = change_params(mare, {"rocks.abundance": 0.02})
    assert kept.ground == mare.ground, "a place is read once"


def test_without_a_name_nothing_is_said_of_one() -> None:
    """Presets, contracts and stages keep their bytes."""
    for name in set(preset_names()) - {"v5"}:  # whose rocks are fresh and mature
        text = dump_params(load_preset(name))
        assert not any(word in text for word in ("place", "hapke_map", "site", "maturity", "earth", '"model"'))


def test_a_place_on_the_command_line_gives_way_to_flags_that_say_what_the_preset_says() -> None:
    params = typed("--ground.place", "mare", "--ground.hapke-b", "0.25")
    assert params.ground.hapke_b == V3.ground.hapke_b == Interval(0.25)
    assert params.ground.hapke_c == Interval(0.083)
    with pytest.raises(InputError, match=r"ground\.place: 'sea' is not allowed; allowed: none, mare, highland, fresh"):
        typed("--ground.place", "sea")


def test_a_file_may_name_a_place_and_a_camera(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("ground: {place: highland, hapke_h: [0.1, 0.1]}\ncamera: {model: yutu-pcam}\n")
    params = load_params(path)
    assert params.ground.hapke_h == Interval(0.1)
    assert params.ground.hapke_c == Interval(0.41)
    assert params.domain.fov_deg == Interval(19.7)
    save_params(params, path)
    assert load_params(path) == params


def test_a_map_is_read_at_a_site(hapke_map: str) -> None:
    params = change_params(V3, {"ground.hapke_map": hapke_map, "ground.site": Site(0.67, 23.47)})
    ground = params.ground
    found = (ground.hapke_b.lo, ground.hapke_c.lo, ground.hapke_b0.lo, ground.hapke_h.lo)
    assert found == pytest.approx((0.255, 0.158, 2.13, 0.062), abs=1e-6)
    assert params.domain.albedo.center == pytest.approx(0.114, abs=0.001)


def test_longitudes_go_either_way_round(hapke_map: str) -> None:
    east, west = (
        change_params(V3, {"ground.hapke_map": hapke_map, "ground.site": f"5,{lon}"}) for lon in (355.0, -5.0)
    )
    assert east.domain.albedo == west.domain.albedo
    assert east.domain.albedo.center > 0.16


def test_what_was_read_is_kept_without_the_map(hapke_map: str, tmp_path: Path) -> None:
    """A contract and a file hold the numbers: the map may be gone."""
    params = change_params(V3, {"ground.hapke_map": hapke_map, "ground.site": "0.67,23.47"})
    save_params(params, tmp_path / "p.yaml")
    Path(hapke_map).unlink()
    assert load_params(tmp_path / "p.yaml") == params
    assert validate(Params, json.loads(dump_params(params))) == params
    moved = change_params(params, {"domain.albedo": 0.2})
    assert moved.ground == params.ground


@pytest.mark.parametrize(
    ("site", "message"),
    [
        ("-45,345", r"ground\.site: '-45\.0,345\.0' is not allowed; allowed: a place where .* has data"),
        ("-45,-5", r"ground\.site: .* a place where the map's c, here 1\.19938, is in -1 … 1"),
        ("80,0", r"ground\.site: .* a place in ground\.hapke_map"),
        ("91,0", r"ground\.site: '91,0' is not allowed; allowed: LAT,LON in degrees, latitude -90 … 90"),
        ("0,361", r"ground\.site: '0,361' is not allowed"),
        ("north", r"ground\.site: 'north' is not allowed"),
    ],
)
def test_a_site_that_cannot_be_read_is_one_line(hapke_map: str, site: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        change_params(V3, {"ground.hapke_map": hapke_map, "ground.site": site})


def test_a_map_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    def refuse(message: str, path: str, **others: str) -> None:
        changes = {"ground.hapke_map": path, "ground.site": "0,0"} | {f"ground.{k}": v for k, v in others.items()}
        with pytest.raises(InputError, match=message):
            change_params(V3, changes)

    whole = write_map(tmp_path / "whole.tif", "+proj=longlat +R=1737400")
    refuse(r"a map of 9 bands .*; it has 3", write_map(tmp_path / "short.tif", "+proj=longlat +R=1737400", bands=3))
    refuse(r"ground\.hapke_map: .* a file that is there", str(tmp_path / "none.tif"))
    (tmp_path / "text.tif").write_text("no raster")
    refuse(r"ground\.hapke_map: .* a map that can be read", str(tmp_path / "text.tif"))
    refuse(
        r"ground\.hapke_map: .* of the Moon, radius 1737 km; that of its body is 6378 km",
        write_map(tmp_path / "earth.tif", "+proj=longlat +R=6378137"),
    )
    refuse(r"ground\.place: 'mare' is not allowed; allowed: none beside ground\.hapke_map", whole, place="mare")
    with pytest.raises(InputError, match=r"ground\.site: missing"):
        change_params(V3, {"ground.hapke_map": whole})


def test_a_missing_package_names_what_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(InputError, match=r"ground\.hapke_map: .*pip install .*(rasterio|\[moon\])"):
        change_params(V3, {"ground.hapke_map": str(tmp_path / "map.tif"), "ground.site": "0,0"})


@pytest.mark.parametrize("name", CAMERAS)
def test_a_real_camera_sets_what_is_not_given(name: str) -> None:
    for preset in preset_names():
        params = change_params(load_preset(preset), {"camera.model": name})
        for path, value in CAMERAS[name].settings.items():
            group, field = path.split(".")
            assert getattr(getattr(params, group), field) == value
    own = change_params(V3, {"camera.model": name, "sensor.lens_k1": -0.02})
    assert own.sensor.lens_k1 == Interval(-0.02)


def test_cameras_see_as_wide_as_published() -> None:
    apollo, pcam, polar = (
        change_params(V3, {"camera.model": name}) for name in ("apollo-hasselblad", "yutu-pcam", "polar-stereo")
    )
    assert apollo.domain.fov_deg.center == pytest.approx(47.7, abs=0.05)
    assert apollo.sensor.film == apollo.sensor.reseau == Interval(1)
    assert pcam.camera.aperture_mm / 50.0 == pytest.approx(2.0 * math.tan(math.radians(19.7 / 2)), rel=1e-3)
    assert pcam.sensor.full_well_e**0.5 == pytest.approx(10 ** (44 / 20), rel=0.01)
    assert math.exp(-2.0 * pcam.sensor.psf_px.center**2) == pytest.approx(0.33, abs=0.002)
    assert polar.domain.fov_deg.center == pytest.approx(50.2, abs=0.05)
    assert polar.camera.baseline_m == pytest.approx(0.3016)


def test_a_picture_has_the_cameras_shape_where_no_size_is_given() -> None:
    def size(*args: str) -> str:
        verb = parse_verb(Author, "author", list(args))
        assert isinstance(verb, Author)
        return str(verb.size)

    assert size() == "1024x640"
    assert size("--camera.model", "yutu-pcam") == "1024x752"
    assert size("--camera.model", "apollo-hasselblad") == "1024"
    assert size("--camera.model", "apollo-hasselblad", "--size", "1024x640") == "1024x640"
