"""Spectra, edges, shadow and brightness against closed forms; the verb on two grains of the same ground."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from quality_sets import SAYS, one_view, photo_folder, write_set

from regolith.lunar import cli
from regolith.lunar.labels import IGNORE, REGOLITH, ROCK, SKY
from regolith.lunar.quality.appearance import (
    ANGLES,
    FREQUENCIES,
    LEVELS,
    PATCH,
    edge_directions,
    look_at,
    luminance,
    ring_power,
)

WHOLE = np.ones((1, PATCH, PATCH), bool)


def test_white_noise_has_its_variance_at_every_ring() -> None:
    random = np.random.default_rng(0)
    patches = 1 + 0.1 * random.normal(size=(3000, PATCH, PATCH))
    power = ring_power(patches, np.repeat(WHOLE, 3000, axis=0)).mean(axis=0)
    assert power[1:] == pytest.approx(0.01, rel=0.06)


def test_half_a_patch_of_white_noise_has_it_too() -> None:
    random = np.random.default_rng(1)
    inside = np.repeat(WHOLE, 3000, axis=0)
    inside[:, :, PATCH // 2 :] = False
    patches = np.where(inside, 1 + 0.1 * random.normal(size=inside.shape), 77.0)
    power = ring_power(patches, inside).mean(axis=0)
    assert power[2:] == pytest.approx(0.01, rel=0.06)
    assert power[1] == pytest.approx(0.009, rel=0.06)  # what the mean of half a patch takes with it


@pytest.mark.parametrize("ring", [3, 5, 8])
@pytest.mark.parametrize("across", [False, True])
def test_a_wave_is_found_at_its_frequency_whatever_the_exposure(ring: int, across: bool) -> None:
    wave = 1 + 0.2 * np.cos(2 * np.pi * FREQUENCIES[ring - 1] * np.arange(PATCH))
    patch = np.tile(wave, (PATCH, 1))
    power = ring_power((patch.T if across else patch)[None], WHOLE)[0]
    assert power.argmax() == ring - 1
    beyond = np.abs(np.arange(1, PATCH // 2 + 1) - ring) > 1
    assert power[beyond].max() < 0.02 * power.max()
    assert ring_power(0.5 * patch[None], WHOLE)[0] == pytest.approx(ring_power(patch[None], WHOLE)[0])


@pytest.mark.parametrize("degrees", [0, 30, 60, 90, 120, 150])
def test_edges_lie_where_they_were_drawn(degrees: int) -> None:
    y, x = np.mgrid[:64, :64].astype(float)
    angle = np.radians(degrees)
    stripes = np.sin((x * np.sin(angle) + y * np.cos(angle)) / 3)  # constant along (cos, −sin) of (x, y)
    shares = edge_directions(stripes, np.ones((64, 64), bool))
    assert shares.argmax() == degrees // (180 // ANGLES) and shares.max() > 0.9
    assert shares.sum() == pytest.approx(1)
    assert not edge_directions(np.ones((9, 9)), np.ones((9, 9), bool)).any()


def test_luminance_weighs_as_rec_709() -> None:
    rgb = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    assert luminance(rgb)[0] == pytest.approx([0.2126, 0.7152, 0.0722, 1])


def test_each_class_is_looked_at_by_its_own_pixels() -> None:
    classes = np.full((32, 32), REGOLITH, np.uint8)
    classes[:8], classes[8:12], classes[24:] = SKY, IGNORE, ROCK
    grey = np.choose(classes.clip(max=2), (160, 240, 0)).astype(np.uint8)
    grey[28:] = 24  # half of the rock in shadow
    grey[12:15] = 24  # a quarter of the ground
    found = look_at(np.repeat(grey[..., None], 3, axis=2), classes)
    assert set(found) == {REGOLITH, ROCK, SKY}
    assert (found[REGOLITH].shadow, found[ROCK].shadow, found[SKY].shadow) == (0.25, 0.5, 1.0)
    levels = np.zeros(LEVELS)
    levels[160 * LEVELS // 255], levels[24 * LEVELS // 255] = 0.75, 0.25
    assert found[REGOLITH].luminance == pytest.approx(levels)
    assert all(looks.spectrum is None for looks in found.values())  # no patch is mostly of one class
    assert look_at(np.zeros((8, 8, 3), np.uint8), np.full((8, 8), IGNORE, np.uint8)) == {}


def test_edges_between_classes_are_nobodys() -> None:
    classes = np.zeros((32, 32), np.uint8)
    classes[:, 16:] = ROCK
    rgb = np.repeat((classes * 200)[..., None], 3, axis=2)
    assert not any(looks.edges.any() for looks in look_at(rgb, classes).values())


def test_the_verb_says_at_which_frequency_the_ground_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """White grain of 20 levels against 40: 6 dB less at every frequency; masks, then the model's own classes."""
    split = write_set(tmp_path / "split", frames=6, grain=20)
    images, masks = photo_folder(tmp_path / "photos", 5, grain=40)
    line = f"score appearance {split} --real {images} --out {tmp_path / 'out'}"
    assert cli.main(f"{line} --masks {masks}".split()) == 0
    table = capsys.readouterr().out
    assert table.splitlines()[0].startswith("class") and str(tmp_path / "out" / "appearance.png") in table
    result = json.loads((tmp_path / "out" / "appearance.json").read_text())
    assert SAYS["score_appearance"](result).startswith("luminance JSD: regolith 0.")
    ground = result["classes"]["regolith"]
    assert ground["spectrum"]["db"][1:] == pytest.approx([-6] * 7, abs=1)
    assert all(low <= db <= high for db, (low, high) in zip(
        ground["spectrum"]["db"], ground["spectrum"]["interval_db"], strict=True))  # fmt: skip
    assert ground["luminance"]["jsd"]["value"] > 0.05 > result["classes"]["sky"]["luminance"]["jsd"]["value"]
    assert (result["synth"]["labels"], result["real"]["labels"], result["size"]) == ("split", "masks", 64)
    with Image.open(tmp_path / "out" / "appearance.png") as picture:
        assert picture.size[0] == 1500 and picture.info["Software"] == "regolith evaluate"
    assert cli.main(f"{line} --model {one_view(tmp_path)} --threads 1".split()) == 0
    assert "classes are what the model predicts" in capsys.readouterr().out


def test_a_class_one_side_lacks_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split = write_set(tmp_path / "split", frames=2, rock=False)
    images, masks = photo_folder(tmp_path / "photos", 2)
    line = f"score appearance {split} --real {images} --masks {masks} --out {tmp_path / 'out'}"
    assert cli.main(line.split()) == 0
    assert "no rock on the synthetic side" in capsys.readouterr().out
    assert cli.main(f"score appearance {images} --real {split} --out {tmp_path / 'out'}".split()) == 2


def test_names_are_no_mathematics_and_few_scenes_give_no_interval(tmp_path: Path) -> None:
    """Two frames: a folder's name with two `$` that is no formula, and figures without intervals in table and plot."""
    split = write_set(tmp_path / "a $^$ b", frames=2)
    images, masks = photo_folder(tmp_path / "photos", 6)
    line = ["score", "appearance", str(split), "--real", str(images), "--masks", str(masks), "--out", str(tmp_path)]
    assert cli.main(line) == 0
    result = json.loads((tmp_path / "appearance.json").read_text())
    ground = result["classes"]["regolith"]
    assert ground["spectrum"]["interval_db"] is ground["shadow"]["difference"]["interval"] is None
    assert ground["luminance"]["jsd"]["interval"] is ground["edges"]["jsd"]["interval"] is None
    assert [note.split(":")[0] for note in result["notes"]] == ["regolith", "rock", "sky"]
