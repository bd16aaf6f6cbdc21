"""A camera from its photographs: known settings come back from pictures that the project's own sensor made."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from camera_scenes import exposures, photograph, scene, texture

from regolith.lunar.params import load_preset
from regolith.lunar.quality.camera import edges, jpeg, plate, spots, vignetting
from regolith.lunar.quality.camera.blocks import Levels, flat_levels, measure_blocks, repeated_levels
from regolith.lunar.quality.camera.found import Found, hull, unknown
from regolith.lunar.quality.camera.noise import find_noise, moments
from regolith.lunar.quality.camera.photographs import read_photograph
from regolith.lunar.quality.camera.response import Curve, curves_of
from regolith.lunar.quality.camera.tone import find_tone
from regolith.lunar.render.film import encode, film_response, pass_jpeg
from regolith.lunar.render.sensor import Sensor, add_noise

STRAIGHT = Curve()
CAMERA = Sensor(full_well_e=6000.0, read_noise_e=12.0, psf_px=0.8, noise_seed=1)


def ramp(width: int = 384, height: int = 256) -> np.ndarray:
    """Even light from black almost to white, float32 [height, width]."""
    return np.tile((0.004 + 0.85 * np.linspace(0.0, 1.0, width) ** 2).astype(np.float32), (height, 1))


def holds(found: Found, truth: float) -> bool:
    return found.interval is not None and found.interval[0] <= truth <= found.interval[1]


@pytest.mark.parametrize("curve", [Curve(), Curve("srgb", 0.8, 1.0), Curve("linear", 1.15, 0.4)])
def test_a_curve_is_the_renderers_and_its_inverse(curve: Curve) -> None:
    linear = np.linspace(0.0, 0.95, 1001)
    bent = film_response(linear.astype(np.float32), film=curve.film)
    saved = encode(bent, encoding=curve.encoding, gamma=curve.gamma)
    assert np.abs(np.round(255.0 * curve.encode(linear)) - saved).max() <= 1.0
    assert (np.round(255.0 * curve.encode(linear)) == saved).mean() > 0.99
    assert np.allclose(curve.decode(curve.encode(linear)), linear, atol=1e-5)


def test_a_presets_curves_are_its_middle_and_corners() -> None:
    wide, plain = curves_of(load_preset("v4")), curves_of(load_preset("v3"))
    assert plain == [Curve()]
    assert wide[0] == Curve("srgb", 0.975, 0.5) and {c.film for c in wide[1:]} == {0.0, 1.0} and len(wide) == 5


@pytest.mark.parametrize(("level", "curve"), [(0.004, Curve()), (0.3, Curve("srgb", 1.1, 0.6)), (0.9, Curve())])
def test_moments_are_those_of_the_sensors_noise(level: float, curve: Curve) -> None:
    """Black, white and rounding included."""
    noisy = add_noise(np.full(400_000, level, np.float32), full_well_e=3000.0, read_noise_e=10.0, seed=3)
    saved = np.round(255.0 * curve.encode(noisy)) / 255.0
    deviation = np.sqrt(level / 3000.0 + (10.0 / 3000.0) ** 2)
    mean, variance = moments(np.array([level]), np.array([deviation]), curve, 255.0)
    assert mean[0] == pytest.approx(saved.mean(), abs=1e-4) and variance[0] == pytest.approx(saved.var(), rel=0.02)


@pytest.mark.parametrize("curve", [Curve(), Curve("srgb", 0.9, 0.8)])
def test_noise_is_recovered_from_even_pictures_and_from_repeated_ones(curve: Curve) -> None:
    """Within 5 % and 1.5 electrons of read noise."""
    sensor = dataclasses.replace(CAMERA, gamma=curve.gamma, film=curve.film)
    stack = exposures(ramp(), sensor, [0.0] * 3)
    for levels in (flat_levels([measure_blocks(photo) for photo in stack]), repeated_levels(stack)):
        found = find_noise(levels, curve)
        assert found.full_scale_e.status == found.read_noise_e.status == "identified"
        assert found.full_scale_e.estimate == pytest.approx(6000.0, rel=0.05)
        assert found.read_noise_e.estimate == pytest.approx(12.0, abs=1.5)
        assert found.full_scale_e.interval is not None and np.ptp(found.full_scale_e.interval) < 1500.0


def test_texture_that_no_lens_blurred_is_a_bound_and_repeated_exposures_see_through_it() -> None:
    random = np.random.default_rng(0)
    light = (ramp() * np.exp(0.25 * texture((256, 384), random, slope=1.5))).astype(np.float32)
    stack = exposures(light, dataclasses.replace(CAMERA, psf_px=0.0), [0.0] * 4)
    found = find_noise(flat_levels([measure_blocks(photo) for photo in stack]), STRAIGHT)
    assert found.full_scale_e.status == "bound" and "not white" in found.full_scale_e.note
    assert found.full_scale_e.interval is not None and found.full_scale_e.interval[0] < 6000.0
    assert found.read_noise_e.status == found.read_share.status == "unknown"
    seen = find_noise(repeated_levels(stack), STRAIGHT).full_scale_e
    assert seen.status == "identified" and seen.estimate == pytest.approx(6000.0, rel=0.12)


@pytest.mark.parametrize("full", [12_000.0, 100_000.0])
def test_read_noise_that_hides_shot_noise_is_told_as_a_share_of_full_scale(full: float) -> None:
    """Faint texture, which looks like noise, grows with brightness as shot noise does and is many times more."""
    random = np.random.default_rng(0)
    light = (ramp() * np.exp(0.012 * random.standard_normal((256, 384)))).astype(np.float32)
    camera = dataclasses.replace(CAMERA, psf_px=0.0, full_well_e=full, read_noise_e=0.03 * full)
    stack = exposures(light, camera, [0.0] * 4)
    found = find_noise(flat_levels([measure_blocks(photo) for photo in stack]), STRAIGHT)
    assert found.full_scale_e.status == found.read_noise_e.status == "bound"
    assert holds(found.full_scale_e, full) and holds(found.read_noise_e, 0.03 * full)
    assert found.read_share.status == "identified" and holds(found.read_share, 0.03)
    assert found.read_share.interval is not None and np.ptp(found.read_share.interval) < 0.008
    seen = find_noise(repeated_levels(stack), STRAIGHT)
    assert holds(seen.read_share, 0.03) and holds(seen.full_scale_e, full) and holds(seen.read_noise_e, 0.03 * full)


def test_read_noise_over_full_scale_is_told_beside_both() -> None:
    stack = exposures(ramp(), CAMERA, [0.0] * 3)
    for levels in (flat_levels([measure_blocks(photo) for photo in stack]), repeated_levels(stack)):
        found = find_noise(levels, STRAIGHT).read_share
        assert found.status == "identified" and holds(found, 12.0 / 6000.0)
    dark = exposures(ramp(), dataclasses.replace(CAMERA, read_noise_e=0.0), [0.0] * 3)
    found = find_noise(repeated_levels(dark), STRAIGHT).read_share
    assert found.status == "bound" and holds(found, 0.0)


def test_noise_below_rounding_is_not_told() -> None:
    clean = photograph(ramp(), dataclasses.replace(CAMERA, full_well_e=0.0))
    assert find_noise(flat_levels([measure_blocks(clean)]), STRAIGHT).full_scale_e.status == "unknown"


def test_noise_that_jpeg_took_is_not_told() -> None:
    steps = jpeg.libjpeg_tables()[89]
    assert measure_blocks(dataclasses.replace(photograph(ramp(), CAMERA), steps=steps)) is None
    found = find_noise(flat_levels([None, None]), STRAIGHT)
    assert found.full_scale_e.status == "unknown" and "JPEG" in found.full_scale_e.note


def test_sixteen_bits_tell_noise_that_eight_round_away(tmp_path: Path) -> None:
    noisy = add_noise(ramp(), full_well_e=200_000.0, read_noise_e=6.0, seed=0)
    tifffile.imwrite(tmp_path / "deep.tif", np.round(np.clip(noisy, 0, 1) * 65535).astype(np.uint16))
    Image.fromarray(np.round(np.clip(noisy, 0, 1) * 255).astype(np.uint8)).save(tmp_path / "plain.png")
    linear = Curve("linear")
    deep, plain = (read_photograph(tmp_path / name, []) for name in ("deep.tif", "plain.png"))
    assert (deep.white, plain.white) == (65535.0, 255.0)
    found = [find_noise(flat_levels([measure_blocks(photo)]), linear).full_scale_e for photo in (deep, plain)]
    assert found[0].estimate == pytest.approx(200_000.0, rel=0.05) and found[1].status == "unknown"


def test_colour_is_measured_in_green(tmp_path: Path) -> None:
    rgb = np.zeros((64, 64, 3), np.uint8) + np.array([10, 120, 250], np.uint8)
    rgb[:32] += 1
    Image.fromarray(rgb).save(tmp_path / "colour.png")
    photo = read_photograph(tmp_path / "colour.png", [])
    assert not photo.grey and np.allclose(photo.saved[0], 121 / 255) and photo.linear(STRAIGHT).shape == (64, 64)


@pytest.mark.parametrize("angle_deg", [5.0, 45.0, 100.0, 200.0])
def test_a_pixels_share_of_an_edge_is_exact(angle_deg: float) -> None:
    angle, fine = np.radians(angle_deg), (np.arange(400) + 0.5) / 400 - 0.5
    for place in (-0.5, 0.0, 0.3):
        inside = fine * np.cos(angle) + fine[:, None] * np.sin(angle) + place > 0.0
        assert edges.covered(np.array(place), angle) == pytest.approx(inside.mean(), abs=2e-3)


@pytest.mark.parametrize("psf_px", [0.5, 1.2])
def test_blur_is_recovered_from_edges(psf_px: float) -> None:
    photo = photograph(scene(4), dataclasses.replace(CAMERA, psf_px=psf_px, full_well_e=12000.0))
    found = edges.find_blur(edges.choose(edges.find_edges(photo, STRAIGHT)), STRAIGHT)
    assert found.status == "identified" and found.estimate == pytest.approx(psf_px, abs=0.08)


def test_edges_of_unlike_widths_are_a_bound() -> None:
    """As of penumbra: each shadow has its own."""
    random = np.random.default_rng(2)
    blurs = random.uniform(0.9, 2.2, 16)
    windows = [
        edges.edge_picture(random.uniform(-0.5, 0.5), random.uniform(0.3, 1.2), square) * 0.4 + 0.05
        for square in blurs**2
    ]
    made = [edges._measure(STRAIGHT.encode(window), STRAIGHT, 0.75) for window in windows]
    found = edges.find_blur(edges.choose(edge for edge in made if edge is not None), STRAIGHT)
    assert found.status == "bound" and found.interval is not None and 0.9 < found.interval[1] < 2.5


def test_edges_whose_black_was_cut_off_do_not_count() -> None:
    picture = edges.edge_picture(0.1, 0.7, 0.8)
    assert edges._measure(STRAIGHT.encode(0.4 * picture + 0.05), STRAIGHT, 0.7) is not None
    assert edges._measure(STRAIGHT.encode(np.maximum(0.5 * picture - 0.1, 0.0)), STRAIGHT, 0.7) is None


def test_vignetting_is_recovered_and_blind_to_what_rows_have_in_common() -> None:
    powers = []
    for number in range(6):
        photo = photograph(scene(number), dataclasses.replace(CAMERA, vignetting=1.0, noise_seed=number))
        powers.append(vignetting.fall_off(photo, photo.linear(STRAIGHT), 60.0))
    found = vignetting.find_vignetting(powers, 60.0)
    assert holds(found, 1.0) and found.estimate == pytest.approx(1.0, abs=0.4)
    even = photograph(np.full((256, 384), 0.3, np.float32), Sensor(vignetting=0.7))
    rows = np.linspace(0.6, 1.4, 256)[:, None]
    linear = even.linear(STRAIGHT)
    plain, striped = (vignetting.fall_off(even, light, 60.0) for light in (linear, linear * rows))
    assert plain == pytest.approx(0.7, abs=0.02) and striped == pytest.approx(plain, abs=0.02)
    assert vignetting.find_vignetting(powers[:4], 60.0).status == "unknown"


def test_hot_pixels_are_counted_and_glints_are_not() -> None:
    told = Found("identified", "", 0.8, (0.78, 0.82), 9)
    photo = photograph(
        np.full((400, 500), 0.2, np.float32), dataclasses.replace(CAMERA, hot_pixels=400.0, noise_seed=3)
    )
    found = spots.find_hot_pixels([spots.count_hot(photo.linear(STRAIGHT))], told)
    assert found.status == "identified" and holds(found, 400.0)
    glinting = np.full((400, 500), 0.2, np.float32)
    glinting[20::40, 20::40] = 2.0
    counted, _ = spots.count_hot(photograph(glinting, CAMERA).linear(STRAIGHT))
    assert counted <= 2
    assert spots.find_hot_pixels([(40, 200_000)], unknown("no edges")).status == "bound"
    assert spots.find_hot_pixels([(0, 5_000)], told).status == "unknown"


@pytest.mark.parametrize("reseau", [0.0, 0.8])
def test_the_crosses_of_a_plate_are_seen(reseau: float) -> None:
    rows = []
    for number in (2, 3, 4):
        photo = photograph(scene(number), dataclasses.replace(CAMERA, reseau=reseau, noise_seed=number))
        rows.append(plate.opacity(photo.linear(STRAIGHT)))
    found = plate.find_reseau(rows)
    assert found.estimate == pytest.approx(reseau, abs=0.1)
    assert ("are there" in found.note) == (reseau > 0.0)


def test_jpeg_quality_is_that_of_the_file(tmp_path: Path) -> None:
    photo, tables = photograph(scene(0), CAMERA), []
    for quality in (35, 80, 97):
        picture = np.round(photo.saved * 255).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / "a.jpg", quality=quality)
        assert np.array_equal(np.asarray(Image.open(tmp_path / "a.jpg")), pass_jpeg(picture, quality=quality))
        tables.append(read_photograph(tmp_path / "a.jpg", []).steps)
        assert tables[-1] is not None and jpeg.jpeg_quality(tables[-1]) == (quality, True)
    assert jpeg.find_jpeg(tables).interval == (35.0, 97.0)
    assert jpeg.find_jpeg([*tables, None]).interval == (35.0, 100.0)
    other = jpeg.find_jpeg([tables[1] + 1.0])  # type: ignore[operator]
    assert "another encoder" in other.note and jpeg.find_jpeg([None]).status == "unknown"


@pytest.mark.parametrize(("gamma", "film"), [(1.0, 0.0), (0.85, 0.9)])
def test_gamma_and_film_are_recovered_from_steps_of_exposure(gamma: float, film: float) -> None:
    steps = [-2.0, -1.0, 0.0, 1.0]
    stack = exposures(scene(3), dataclasses.replace(CAMERA, gamma=gamma, film=film), steps)
    found = find_tone(stack, steps, "srgb")
    assert found.gamma.estimate == pytest.approx(gamma, abs=0.03) and found.film.estimate == pytest.approx(
        film, abs=0.06
    )


def test_several_assumptions_are_joined_to_the_widest() -> None:
    one, two = Found("identified", "a", 1.0, (0.9, 1.1), 5), Found("bound", "b", 2.0, (1.5, np.inf), 5)
    joined = hull([one, two])
    assert (joined.status, joined.estimate, joined.interval) == ("bound", 1.0, (0.9, np.inf))
    assert joined.words()["interval"] == [0.9, None]
    assert hull([one, unknown("why")]).note == "why"


def test_a_levels_fit_says_how_well_it_tells() -> None:
    """Of one brightness shot noise and read noise are not told apart."""
    levels = Levels(np.array([0.5]), np.array([1e-4]), np.array([1e5]), np.array([1e-4]), 255.0)
    assert find_noise(levels, STRAIGHT).full_scale_e.status == "unknown"
