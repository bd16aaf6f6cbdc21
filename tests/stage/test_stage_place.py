"""Real relief: height models the tests write, cut at a site, continued below their resolution."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from height_models import RADIUS_M, fractal, write_pds, write_tif
from scipy import ndimage

from regolith.lunar.dataset.run import begin
from regolith.lunar.params import CraterParams, InputError, Params, Site, change_params, load_preset
from regolith.lunar.physics.read import read_terrain
from regolith.lunar.stage import schema
from regolith.lunar.stage.author import author_stage
from regolith.lunar.stage.continued import continue_model
from regolith.lunar.stage.craters import crater_spectrum, draw_craters
from regolith.lunar.stage.height_model import stage_model
from regolith.lunar.stage.noise import radial_spectrum
from regolith.lunar.stage.place import geographic, rise
from regolith.lunar.stage.reading import read_ground
from regolith.lunar.stage.rocks import place_rocks
from regolith.lunar.stage.scene import Scene
from regolith.lunar.stage.spec import SceneSpec
from regolith.lunar.stage.terrain import Terrain, build_terrain, lay_craters

SITE = (10.0, -20.0)


def placed(dem: Path, site: tuple[float, float] = SITE, **changes: Any) -> Params:
    """Parameters of a stage on a height model, with a coarse grid."""
    small = {"terrain.cell_m": 0.5, "relief.near_radius_m": 1, "relief.mid_radius_m": 2, "relief.near_cell_m": 0.1}
    place = {"ground.dem": dem, "ground.site": f"{site[0]},{site[1]}"}
    return change_params(load_preset("v3"), small | place | {name.replace("__", "."): v for name, v in changes.items()})


def scene(density: float = 0.0, seed: int = 5) -> SceneSpec:
    return SceneSpec(seed=seed, crater_density=density, rock_abundance=0.004, rock_exponent=1.6, relief_strength=1.0)


def bump(side: int, pixel_m: float, east: float, north: float, *, height: float = 300.0, width: float = 500.0):
    """A Gaussian hill at a place of the projection's plane, as the rows of a file [m]."""
    at = (np.arange(side) - 0.5 * (side - 1)) * pixel_m
    return height * np.exp(-0.5 * ((at[None, :] - east) ** 2 + (-at[:, None] - north) ** 2) / width**2)


def test_x_is_east_and_y_north_and_heights_are_the_files(tmp_path: Path) -> None:
    z = (-1200.0 + bump(400, 20.0, 2000.0, 1000.0)).astype(np.float32)
    model = stage_model(placed(write_tif(tmp_path / "a.tif", z, 20.0, SITE)))
    x, y = np.array([2000.0, 0.0, 1000.0, 2000.0]), np.array([1000.0, 0.0, 2000.0, -1000.0])
    drop = (x**2 + y**2) / (2.0 * RADIUS_M)
    hill = 300.0 * np.exp(-0.5 * ((x - 2000.0) ** 2 + (y - 1000.0) ** 2) / 500.0**2)
    assert model.height(x, y) == pytest.approx(hill - drop, abs=0.5)
    assert model.origin_m == pytest.approx(-1200.0, abs=0.5) and model.pixel_m == pytest.approx(20.0, rel=1e-3)
    assert model.notes == ()


@pytest.mark.parametrize("lon", [-38.0, 322.0, 359.99, 0.01, -180.0])
def test_a_pds_label_is_read_wherever_its_columns_begin(tmp_path: Path, lon: float) -> None:
    def height(lat: np.ndarray, east: np.ndarray) -> np.ndarray:
        return 2000.0 * np.sin(np.radians(lat)) + 1500.0 * np.cos(np.radians(east)) - 700.0

    model = stage_model(placed(write_pds(tmp_path, height), (8.0, lon), terrain__far_radius_m=60000))
    assert model.origin_m == pytest.approx(height(np.array(8.0), np.array(lon)), abs=2.0)
    for east, north in ((50_000.0, 0.0), (-50_000.0, 0.0), (0.0, 50_000.0)):
        degrees = np.degrees(np.array([east / np.cos(np.radians(8.0)), north]) / RADIUS_M)
        there = float(height(8.0 + degrees[1], lon + degrees[0]))
        drop = 50_000.0**2 / (2.0 * RADIUS_M)
        assert model.height(np.array([east]), np.array([north]))[0] == pytest.approx(
            there - model.origin_m - drop, abs=5.0
        )


@pytest.mark.parametrize("lat", [-75.0, -89.8])
def test_pixels_that_narrow_towards_a_pole_are_read_all_the_same(tmp_path: Path, lat: float) -> None:
    def height(lat: np.ndarray, east: np.ndarray) -> np.ndarray:
        return 3000.0 * np.cos(np.radians(lat)) * np.cos(np.radians(east)) + 0.0 * lat

    params = placed(write_pds(tmp_path, height), (lat, 30.0), terrain__far_radius_m=60000)
    model = stage_model(params)
    assert model.notes == ()
    turn = np.linspace(0.0, 2.0 * np.pi, 17)
    x, y = 55_000.0 * np.cos(turn), 55_000.0 * np.sin(turn)
    where = geographic(Site(lat, 30.0), np.column_stack([x, y, rise(x, y, 0.0, 0.0)]), 0.0)
    assert model.height(x, y) == pytest.approx(rise(x, y, height(*where), model.origin_m), abs=25.0)


def test_other_projections_of_the_moon_and_places_at_a_pole(tmp_path: Path) -> None:
    z = (500.0 + bump(300, 50.0, 0.0, 1500.0)).astype(np.float32)
    polar = f"+proj=stere +lat_0=-90 +lon_0=0 +R={RADIUS_M} +units=m"
    path = write_tif(tmp_path / "pole.tif", z, 50.0, SITE, proj=polar)
    model = stage_model(placed(path, (-90.0, 0.0)))
    assert model.height(np.zeros(1), np.array([1500.0]))[0] == pytest.approx(296.0, abs=0.5)  # north is longitude 0
    turned = stage_model(placed(path, (-90.0, 90.0)))
    assert turned.height(np.array([-1500.0]), np.zeros(1))[0] == pytest.approx(296.0, abs=0.5)
    equal = f"+proj=ortho +lat_0=10 +lon_0=-20 +R={RADIUS_M} +units=m"
    model = stage_model(placed(write_tif(tmp_path / "o.tif", z, 50.0, SITE, proj=equal)))
    assert model.height(np.zeros(1), np.array([1500.0]))[0] == pytest.approx(296.0, abs=0.5)


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"dtype": np.int16}, "ground.dem_scale", "whole numbers come without a scale"),
        ({"dtype": np.int16, "scale": 0.5}, "", ""),
        ({"dtype": np.int16, "scale": 500.0}, "ground.dem_scale", "that give heights of the Moon"),
        ({"factor": 1e-3}, "ground.dem_scale", "slopes there are"),
        ({"factor": 1e3}, "ground.dem_scale", "that give heights of the Moon"),
        ({"proj": "+proj=stere +lat_0=10 +lon_0=-20 +ellps=WGS84"}, "ground.dem", "that of its body is 6378 km"),
        ({"site": (10.0, -30.0)}, "ground.site", "whose corners are at"),
        ({"nodata": True}, "ground.site", "has data"),
        ({"missing": True}, "ground.dem", "a file that is there"),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path: Path, change: dict[str, Any], field: str, said: str) -> None:
    z = 100.0 * bump(300, 20.0, 500.0, 0.0, height=1.0) * change.get("factor", 1.0)
    if change.get("nodata"):
        z = np.where(np.hypot(*np.meshgrid(*[np.arange(300) - 150.0] * 2)) < 30.0, -9999.0, z)
    path = tmp_path / "a.tif"
    if not change.get("missing"):
        array = z.astype(change.get("dtype", np.float32))
        write_tif(path, array, 20.0, SITE, proj=change.get("proj", ""), nodata=-9999.0)
    params = placed(path, change.get("site", SITE), ground__dem_scale=change.get("scale"))
    if not field:
        assert stage_model(params).height(np.array([500.0]), np.zeros(1))[0] == pytest.approx(0.5 * (100 - 61), abs=1.0)
        return
    with pytest.raises(InputError) as error:
        stage_model(params)
    assert error.value.field == field and said in str(error.value)


@pytest.mark.parametrize("name", ["/vsicurl/https://example.org/a.tif", "https://example.org/a.tif", "a.vrt", "a.tif"])
def test_nothing_is_fetched_and_what_is_no_height_model_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.vrt").write_text(
        '<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand band="1"/></VRTDataset>'
    )
    (tmp_path / "a.tif").write_text("II*")
    with pytest.raises(
        InputError, match=r"ground.dem: .* allowed: a (file that is there|height model that can be read)"
    ):
        stage_model(placed(Path(name) if "/" in name else tmp_path / name))


def test_without_rasterio_the_line_says_what_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(InputError, match=r"pip install .*(rasterio|\[moon\])"):
        stage_model(placed(tmp_path / "a.tif"))


def test_gaps_are_filled_from_around_and_told(tmp_path: Path) -> None:
    plane = np.broadcast_to(np.arange(300.0)[None, :] * 2.0, (300, 300)).astype(np.float32)  # 5.7° up eastwards
    z = plane.copy()
    z[140:150, 170:180] = -9999.0
    z[200:] = np.nan
    path = write_tif(tmp_path / "a.tif", z, 20.0, SITE, nodata=-9999.0)
    model = stage_model(placed(path, terrain__far_radius_m=2500))
    (note,) = model.notes
    assert "no data" in note and 25.0 < float(note.split("for ")[1].split("%")[0]) < 26.0  # south of 0.4 radii
    at = np.array([500.0]), np.array([100.0])
    assert model.height(*at)[0] == pytest.approx(50.0, abs=4.0)
    assert np.abs(model.height(np.zeros(9), np.linspace(-2500.0, -1200.0, 9))).max() < 60.0


@pytest.fixture(scope="module")
def level(tmp_path_factory: pytest.TempPathFactory) -> Terrain:
    """The stage of a model without any relief."""
    z = np.full((300, 300), -2000.0, np.float32)
    path = write_tif(tmp_path_factory.mktemp("dem") / "a.tif", z, 40.0, SITE)
    return build_terrain(placed(path, terrain__far_radius_m=5000, terrain__rms_slope_deg=0), scene())


def test_level_ground_drops_as_the_moon_does_and_ends_where_an_eye_sees_it_end(level: Terrain) -> None:
    x, y, z = level.far.points.astype(np.float64).T
    distance = np.hypot(x, y)
    assert np.abs(z + distance**2 / (2.0 * (RADIUS_M - 2000.0))).max() < 1e-3
    up = np.arctan2(z - 2.0, distance)
    assert distance[np.argmax(up)] == pytest.approx(np.sqrt(2.0 * RADIUS_M * 2.0), rel=0.02)  # 2.6 km


def test_the_horizon_is_the_models(tmp_path: Path) -> None:
    z = bump(400, 30.0, 0.0, 4000.0, height=800.0).astype(np.float32)
    params = placed(write_tif(tmp_path / "a.tif", z, 30.0, SITE), terrain__far_radius_m=5500, terrain__rms_slope_deg=1)
    ground = build_terrain(params, scene(0.3))
    x, y, height = ground.far.points.astype(np.float64).T
    hill = 800.0 * np.exp(-0.5 * (x**2 + (y - 4000.0) ** 2) / 500.0**2) - (x**2 + y**2) / (2.0 * RADIUS_M)
    assert np.abs(height - hill)[np.hypot(x, y) > 1000.0].max() < 30.0  # smoothed as cells of 70 m have it
    top = np.argmax(height)
    assert np.hypot(x[top], y[top] - 4000.0) < 100.0 and height[top] == pytest.approx(795.0, abs=20.0)
    border = ground.grid.z[0]
    assert ground.far.points[: len(border), 2] == pytest.approx(border)


@pytest.mark.parametrize(
    ("hurst", "deviation", "pixel", "density"), [(0.9, 0.9, 2.0, 0.3), (0.8, 0.8, 4.0, 0.5), (0.9, 0.9, 8.0, 0.5)]
)
def test_the_spectrum_goes_on_through_the_seam(
    tmp_path: Path, hurst: float, deviation: float, pixel: float, density: float
) -> None:
    """In bins of a quarter octave from well above the seam to well below it, and against what the model would be."""
    z = fractal(640, pixel, hurst=hurst, deviation_m=deviation)
    params = placed(
        write_tif(tmp_path / "a.tif", z, pixel, SITE), terrain__size_m=120, terrain__far_radius_m=500,
        terrain__rms_slope_deg=5,
    )  # fmt: skip
    seam = continue_model(params, scene(density)).seam
    assert seam.hurst == pytest.approx(hurst, abs=0.07) and seam.wavelength_m == pytest.approx(2.0 * pixel)
    ratios = []
    for seed in (5, 6, 7):
        ground = build_terrain(params, scene(density, seed))
        assert not len(ground.craters) or ground.craters["diameter"].max() <= pixel
        k, power = radial_spectrum(ground.grid.z[:-1, :-1].astype(np.float64), ground.grid.cell)
        fit = seam.density * (k * seam.wavelength_m / (2.0 * np.pi)) ** (-2.0 * seam.hurst - 2.0)
        waves = 2.0 * np.pi / k / seam.wavelength_m
        ratios.append((power / fit)[(waves > 0.6) & (waves < 2.5)])
    ratio = np.exp(np.mean(np.log(ratios), axis=0))
    assert np.all((ratio > 0.5) & (ratio < 2.0)), ratio
    assert np.abs(np.diff(np.log2(ratio))).max() < 0.8


def test_a_file_finer_than_what_was_measured_is_found_out(tmp_path: Path) -> None:
    coarse = fractal(160, 8.0, hurst=0.9, deviation_m=1.0)
    z = np.asarray(ndimage.zoom(coarse.astype(np.float64), 4, order=3, mode="nearest"), np.float32)
    seam = continue_model(placed(write_tif(tmp_path / "a.tif", z, 2.0, SITE)), scene()).seam
    assert 10.0 < seam.wavelength_m <= 20.0


def test_craters_alone_have_the_spectrum_that_is_said_of_them() -> None:
    law = CraterParams.model_validate({"diameter_min_m": 2.0, "diameter_max_m": 8.0, "freshness": "0.3,1"})
    random = np.random.default_rng(0)
    found = []
    for _ in range(6):
        craters = draw_craters(law, 0.15, 100.0, random)
        k, power = radial_spectrum(lay_craters(np.zeros((401, 401)), 0.5, craters)[:-1, :-1], 0.5)
        found.append(power)
    for wave in (6.0, 10.0):
        at = np.argmin(np.abs(2.0 * np.pi / k - wave))
        assert np.mean(found, axis=0)[at] == pytest.approx(crater_spectrum(float(k[at]), law, 0.15, 8.0), rel=0.35)


def test_a_model_smoother_than_what_is_below_it_is_told_of(tmp_path: Path) -> None:
    z = fractal(300, 5.0, hurst=0.9, deviation_m=0.01)
    (note,) = continue_model(
        placed(write_tif(tmp_path / "a.tif", z, 5.0, SITE), terrain__far_radius_m=600), scene(0.5)
    ).notes
    assert "smoother" in note and "terrain.rms_slope_deg" in note


def test_the_stage_is_like_any_other_and_physics_reads_the_same_ground(tmp_path: Path) -> None:
    z = fractal(300, 5.0, hurst=0.9, deviation_m=0.6)
    params = placed(write_tif(tmp_path / "a.tif", z, 5.0, SITE), rocks__shape_count=4, terrain__far_radius_m=400)
    terrain = build_terrain(params, scene(0.4))
    built = Scene(params, scene(0.4), terrain, place_rocks(params, scene(0.4), terrain))
    stage = author_stage(built)
    ground, x = read_ground(stage), np.linspace(-60.0, 60.0, 50)
    assert np.allclose(read_terrain(stage).height(x, x[::-1]), terrain.height(x, x[::-1]), atol=1e-6)
    assert np.array_equal(ground.grid.z, terrain.grid.z) and np.array_equal(ground.far.points, terrain.far.points)
    assert len(stage.GetPrimAtPath(schema.ROCKS).GetChildren()) == len(built.rocks) > 0
    assert "+X east, +Y north at 10.0°, -20.0°" in stage.GetRootLayer().documentation


def test_a_contract_holds_a_split_to_what_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    z = fractal(200, 5.0, hurst=0.9, deviation_m=0.6)
    write_tif(tmp_path / "a.tif", z, 5.0, SITE)
    monkeypatch.chdir(tmp_path)
    ask = {"split": "val", "frames": 2, "width": 64, "height": 64, "seed": 0}
    params = placed(Path("a.tif"), terrain__far_radius_m=400)
    _, contract = begin(params, tmp_path, **ask)
    again = contract.params.ground
    assert again.dem == tmp_path / "a.tif" and again.dem_sha256 is not None
    assert begin(contract.params, tmp_path, **ask)[1] == contract == begin(params, tmp_path, **ask)[1]
    z[100, 100] += 1.0
    write_tif(tmp_path / "a.tif", z, 5.0, SITE)
    with pytest.raises(InputError, match="the height model that was read before"):
        build_terrain(contract.params, scene())
    assert begin(params, tmp_path, **ask)[1].parameters["ground"]["dem_sha256"] != again.dem_sha256
