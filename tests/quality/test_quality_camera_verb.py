"""`regolith calibrate camera`: what it writes is what presets load, and what it cannot use it says in a line."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from quality_sets import SAYS

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from camera_scenes import exposures, photograph, scene

from regolith.lunar import cli
from regolith.lunar.params import Interval, change_params, load_params, load_preset
from regolith.lunar.quality.calibrate_camera import (
    FULL_SCALE,
    PARAMS,
    READ_NOISE,
    READ_SHARE,
    RESULT,
    calibrate_camera,
    narrowed,
)
from regolith.lunar.quality.camera.found import Found, unknown
from regolith.lunar.quality.camera.photographs import Photograph
from regolith.lunar.render.sensor import Sensor

CAMERA = Sensor(full_well_e=6000.0, read_noise_e=12.0, psf_px=0.8, vignetting=1.0, hot_pixels=100.0, noise_seed=7)
SIZE = {"width": 256, "height": 192}


def save(photo: Photograph, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.round(photo.saved * 255).astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("camera") / "photographs"
    for number in range(6):
        sensor = dataclasses.replace(CAMERA, noise_seed=number, exposure_ev=0.2 * (number - 3))
        save(photograph(scene(number, **SIZE), sensor), folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def result(photographs: Path) -> dict[str, Any]:
    return calibrate_camera(photographs, photographs.parent / "out", preset="v3", fov_deg=60.0)


def test_the_camera_comes_back_as_ranges_that_a_preset_loads(photographs: Path, result: dict[str, Any]) -> None:
    out = photographs.parent / "out"
    assert json.loads((out / RESULT).read_text()) == result and result["photographs"] == 6
    params, preset = load_params(out / PARAMS), load_preset("v3")
    sensor = params.sensor
    assert sensor.psf_px.contains(0.8) and sensor.psf_px.hi - sensor.psf_px.lo < 0.2
    assert sensor.vignetting.contains(1.0) and sensor.read_noise_e.contains(12.0)
    least = sensor.full_well_e * 10.0 ** (-sensor.gain_db.hi / 20.0)
    assert sensor.gain_db.lo == 0.0 and least <= 6000.0 <= sensor.full_well_e < 1.5 * least
    exposure = params.domain.exposure_ev
    assert sensor.saturation == Interval(0.0) and 0.5 < exposure.hi - exposure.lo < 3.0
    written = {name for name, row in result["found"].items() if row["written"] is not None}
    changed = {"sensor.full_well_e"} | written - {FULL_SCALE}
    groups = [name.split(".") for name in changed | {"sensor.gain_db"}]
    kept = {f"{group}.{field}": getattr(getattr(preset, group), field) for group, field in groups}
    assert change_params(params, kept) == preset, "nothing else differs from the preset"
    assert SAYS["calibrate_camera"](result).endswith("by 6 photographs")


def test_what_is_not_told_is_said_and_left(result: dict[str, Any]) -> None:
    for name in ("sensor.gamma", "sensor.film", "sensor.jpeg_quality", "sensor.lens_k1", "domain.sun_elevation_deg"):
        row = result["found"][name]
        assert row["status"] == "unknown" and row["written"] is None and len(row["note"]) > 10


def test_the_same_photographs_give_the_same_files(photographs: Path, result: dict[str, Any]) -> None:
    calibrate_camera(photographs, photographs.parent / "again", preset="v3", fov_deg=60.0)
    for name in (RESULT, PARAMS):
        assert (photographs.parent / "again" / name).read_bytes() == (photographs.parent / "out" / name).read_bytes()


def test_repeats_brackets_masks_and_parts_of_frames(tmp_path: Path) -> None:
    light = scene(3, **SIZE)
    for name, steps in (("repeats", [0.0] * 3), ("brackets", [-2.0, -1.0, 0.0, 1.0])):
        for number, photo in enumerate(exposures(light, dataclasses.replace(CAMERA, gamma=0.9, film=0.6), steps)):
            save(photo, tmp_path / name / f"{number}.png")
    classes = np.zeros((SIZE["height"], SIZE["width"]), np.uint8)
    classes[: SIZE["height"] // 6] = 2
    (tmp_path / "masks").mkdir()
    Image.fromarray(classes).save(tmp_path / "masks" / "0.png")
    line = (
        f"calibrate camera {tmp_path}/repeats --masks {tmp_path}/masks --repeats {tmp_path}/repeats "
        f"--brackets {tmp_path}/brackets --bracket-ev=-2,-1,0,1 --cropped --out {tmp_path}/out"
    )
    assert cli.main(line.split()) == 0
    found = json.loads((tmp_path / "out" / RESULT).read_text())
    assert [row["image"] for row in found["sun"]] == ["0.png"]
    rows = found["found"]
    assert rows["sensor.vignetting"]["status"] == rows["sensor.reseau"]["status"] == "unknown"
    sensor = load_params(tmp_path / "out" / PARAMS).sensor
    assert sensor.gamma.contains(0.9) and sensor.film.contains(0.6) and sensor.gamma.hi - sensor.gamma.lo < 0.3
    assert rows[FULL_SCALE]["estimate"] == pytest.approx(6000.0, rel=0.2)


def test_pictures_without_a_scene_tell_nothing_and_break_nothing(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name, grey in (("black", 0), ("white", 255), ("grey", 90)):
        level = np.full((48, 64), grey) + random.integers(0, 2, (48, 64)) * (grey == 90)
        save(Photograph(name, (level / 255).astype(np.float32), 255.0, grey=True), tmp_path / "in" / f"{name}.png")
    found = calibrate_camera(tmp_path / "in", tmp_path / "out")["found"]
    told = {name for name, row in found.items() if row["written"] is not None}
    assert told <= {"sensor.saturation"} and load_params(tmp_path / "out" / PARAMS).preset == "v4"


def test_a_bound_takes_from_a_range_and_never_widens_it() -> None:
    params = load_preset("v4")  # psf_px 0 … 0.9, hot_pixels 0 … 60
    noise = {name: unknown("why") for name in (FULL_SCALE, READ_NOISE, READ_SHARE)}

    def bound(high: float) -> Found:
        return Found("bound", "", None, (-np.inf, high), 9)

    written = narrowed(params, noise | {"sensor.psf_px": bound(0.5), "sensor.hot_pixels": bound(900.0)})
    assert written == {"sensor.psf_px": Interval(0.0, 0.5)}
    past = Found("identified", "", 2.0, (-1.0, 99.0), 9)
    assert narrowed(params, noise | {"sensor.psf_px": past})["sensor.psf_px"] == Interval(0.0, 8.0)


def test_a_share_of_read_noise_is_carried_to_the_presets_full_scale() -> None:
    """Where its gain is drawn from a range, one value of read noise is no one share."""
    least = Found("bound", "", None, (2000.0, np.inf), 9)
    found = {FULL_SCALE: least, READ_NOISE: least, READ_SHARE: Found("identified", "", 0.03, (0.029, 0.031), 9)}
    params = load_preset("v3")
    assert narrowed(params, found) == {READ_NOISE: Interval(348.0, 372.0)}
    gained = change_params(params, {"sensor.gain_db": 20.0 * np.log10(2.0)})
    assert narrowed(gained, found) == {READ_NOISE: Interval(174.0, 186.0)}
    for untold in (load_preset("v4"), change_params(params, {"sensor.full_well_e": 0.0})):
        assert narrowed(untold, found) == {}
    bound = found | {READ_SHARE: Found("bound", "", 0.001, (-np.inf, 0.002), 9)}
    assert narrowed(params, bound) == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("{tmp}/none --out {tmp}/out", "images: "),
        ("{photos} --masks {tmp}/none --out {tmp}/out", "masks: "),
        ("{photos} --preset v9 --out {tmp}/out", "preset: "),
        ("{photos} --brackets {photos} --out {tmp}/out", "bracket_ev: missing"),
        ("{photos} --bracket-ev 1,2 --out {tmp}/out", "bracket_ev: "),
        ("{photos} --brackets {photos} --bracket-ev 1,x --out {tmp}/out", "bracket_ev: "),
        ("{photos} --brackets {photos} --bracket-ev 1,2 --out {tmp}/out", "bracket_ev: "),
        ("{photos} --brackets {photos} --bracket-ev 1,1,1,1,1,1 --out {tmp}/out", "bracket_ev: "),
        ("{photos} --repeats {photos}/0.png --out {tmp}/out", "repeats: "),
        ("{photos} --fov-deg 400 --out {tmp}/out", "fov_deg: "),
        ("{torn} --out {tmp}/out", "torn.png: "),
        ("{small} --out {tmp}/out", "small.tif: "),
    ],
)
def test_what_cannot_be_used_is_one_line(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    torn = tmp_path / "torn"
    torn.mkdir()
    (torn / "torn.png").write_bytes((photographs / "0.png").read_bytes()[:2000])
    (tmp_path / "small").mkdir()
    speckle = np.random.default_rng(0).integers(0, 65535, (20, 20), np.uint16)
    tifffile.imwrite(tmp_path / "small" / "small.tif", speckle)
    line = words.format(tmp=tmp_path, photos=photographs, torn=torn, small=tmp_path / "small")
    assert cli.main(["calibrate", "camera", *line.split()]) == 2
    *_, told = capsys.readouterr().err.splitlines()
    assert said in told and len(told) <= 300
    assert not (tmp_path / "out" / PARAMS).exists() and not (tmp_path / "out" / RESULT).exists()
