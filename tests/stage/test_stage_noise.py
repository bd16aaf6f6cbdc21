"""Self-affine tiles: their spectrum, period, smoothing and the roughness measures."""

import itertools

import numpy as np
import pytest

from regolith.lunar.stage.noise import (
    Tile,
    band_deviation,
    band_noise,
    hurst_exponent,
    rms_deviation,
    rms_slope_deg,
    smoothstep,
    spectral_tile,
)
from regolith.lunar.stage.spec import rng


@pytest.mark.parametrize("hurst", [0.4, 0.8])
def test_spectrum_falls_as_the_law(hurst: float) -> None:
    """The periodogram of a tile has log–log slope -(2H + 2) and the absolute density k^-(2H + 2)."""
    tile = spectral_tile(rng(1, "t"), 256, 0.1, hurst=hurst)
    power = np.abs(np.fft.fft2(tile.z.astype(float))) ** 2 * 0.1**2 / (256**2 * (2 * np.pi) ** 2)
    k = 2 * np.pi * np.hypot(*np.meshgrid(np.fft.fftfreq(256, 0.1), np.fft.fftfreq(256, 0.1)))
    edges = np.geomspace(2.0, 25.0, 9)
    bands = [(k > lo) & (k <= hi) for lo, hi in itertools.pairwise(edges)]
    ratio = [float(np.mean(power[band] / k[band] ** (-2 * hurst - 2))) for band in bands]
    assert np.allclose(ratio, 1.0, atol=0.25)
    assert abs(np.mean(ratio) - 1.0) < 0.05


def test_tile_keeps_to_its_band() -> None:
    """No power outside the wavelengths asked for."""
    tile = spectral_tile(rng(2, "t"), 128, 0.1, hurst=0.7, wavelength_min=0.5, wavelength_max=2.0)
    power = np.abs(np.fft.fft2(tile.z.astype(float))) ** 2
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(128, 0.1), np.fft.fftfreq(128, 0.1)))
    inside = (k > 1 / 2.0 * 0.999) & (k < 1 / 0.5 * 1.001)
    assert power[~inside].sum() < 1e-9 * power.sum()


def test_tile_repeats_and_reads_its_nodes() -> None:
    """Sampling agrees with the nodes and with itself a period away."""
    tile = spectral_tile(rng(3, "t"), 64, 0.25, hurst=0.7)
    rows, columns = np.array([0, 5, 70]), np.array([-3, 9])
    nodes = tile.at_nodes(rows, columns)
    x, y = np.meshgrid(columns * 0.25, rows * 0.25)
    assert np.allclose(tile.sample(x, y), nodes, atol=1e-6)
    assert np.allclose(tile.sample(x + 0.1, y), tile.sample(x + 0.1 - tile.period, y + tile.period), atol=1e-6)


def test_band_deviation_is_the_mean_over_tiles() -> None:
    """The expectation agrees with the average of many tiles."""
    squares = [
        rms_deviation(spectral_tile(rng(s, "t"), 64, 1.0, hurst=0.8, wavelength_min=8.0).z, 1.0, 2.0) ** 2
        for s in range(40)
    ]
    expected = band_deviation(64, 1.0, 2.0, hurst=0.8, wavelength_min=8.0)
    assert np.sqrt(np.mean(squares)) == pytest.approx(expected, rel=0.08)


def test_roughness_of_known_surfaces() -> None:
    """A plane has its own slope and H = 1; white noise has H = 0."""
    x, y = np.meshgrid(np.arange(80) * 0.1, np.arange(60) * 0.1)
    plane = 0.2 * x + 0.2 * y
    assert rms_slope_deg(plane, 0.1) == pytest.approx(np.degrees(np.arctan(0.2)), rel=1e-6)
    assert rms_deviation(plane, 0.1, 0.73) == pytest.approx(0.2 * 0.73, rel=1e-6)
    assert hurst_exponent(plane, 0.1, (0.2, 0.5, 1.0)) == pytest.approx(1.0)
    white = rng(4, "w").standard_normal((200, 200))
    assert abs(hurst_exponent(white, 0.1, (0.2, 0.5, 1.0))) < 0.02


def test_band_noise_has_unit_variance_around_its_wavelength() -> None:
    """The noise's power centres on its wavelength."""
    tile = band_noise(rng(5, "b"), 256, 0.02, 0.2)
    assert float(tile.z.std()) == pytest.approx(1.0, abs=1e-3)
    power = np.abs(np.fft.fft2(tile.z.astype(float))) ** 2
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(256, 0.02), np.fft.fftfreq(256, 0.02)))
    assert 4.0 < float((power * k).sum() / power.sum()) < 6.5


def test_same_stream_same_tile_and_smoothstep_ends() -> None:
    """Equal streams give equal bytes; smoothstep runs either way."""
    one, two = (spectral_tile(rng(6, "t"), 60, 0.1, hurst=0.5) for _ in range(2))
    assert isinstance(one, Tile)
    assert one.z.tobytes() == two.z.tobytes()
    assert smoothstep(0.0, 2.0, np.array([-1.0, 1.0, 3.0])).tolist() == [0.0, 0.5, 1.0]
    assert smoothstep(2.0, 0.0, np.array([-1.0, 1.0, 3.0])).tolist() == [1.0, 0.5, 0.0]
