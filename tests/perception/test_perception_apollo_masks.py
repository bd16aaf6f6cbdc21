"""The shipped masks of Apollo photographs: drawn as they were delivered, found by name or id, and scored in groups."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco

from regolith.lunar.labels import IGNORE, ROCK, SKY
from regolith.lunar.params import CheckError, InputError
from regolith.lunar.perception.apollo_masks import (
    BOULDERS,
    OTHERS,
    ApolloMask,
    apollo_masks,
    draw_masks,
    find_masks,
)
from regolith.lunar.perception.evaluate import EvaluateReal
from regolith.lunar.perception.runs import draw_runs, run_lengths

LEVELS = np.full(256, 80, np.uint8)
"""Brightness by class for the threshold model of conftest.py; what is ignored looks like ground."""
LEVELS[ROCK], LEVELS[SKY] = 200, 5


def named(name: str) -> ApolloMask:
    return next(mask for mask in apollo_masks() if mask.name == name)


def quarter(mask: ApolloMask) -> tuple[int, int]:
    return round(mask.size[0] / 4), round(mask.size[1] / 4)


def test_every_mask_is_drawn_to_the_pixel() -> None:
    """The digests are those of the masks the annotator delivered."""
    masks = apollo_masks()
    assert len(masks) == 17 and sum(mask.boulder for mask in masks) == 5
    for mask in masks:
        classes = mask.draw()
        assert classes.shape == mask.size[::-1]
        assert hashlib.sha256(classes.tobytes()).hexdigest() == mask.sha256, mask.name


@given(st.integers(1, 40), st.integers(1, 70), st.integers(0, 2**31), st.sampled_from([0.0, 0.02, 0.5, 1.0]))
def test_run_lengths_are_those_of_coco(height: int, width: int, seed: int, share: float) -> None:
    layer = np.random.default_rng(seed).random((height, width)) < share
    text = coco.encode(np.asfortranarray(layer.astype(np.uint8)))["counts"]
    assert isinstance(text, bytes)
    assert np.array_equal(draw_runs(run_lengths(text.decode("ascii")), (height, width)), layer)


def test_a_photograph_of_another_size_has_the_same_outlines() -> None:
    mask = named("apollo17_AS17-137-20909")
    full, half = mask.draw(), mask.draw((mask.size[0] // 2, mask.size[1] // 2))
    assert half.shape == (full.shape[0] // 2, full.shape[1] // 2)
    for value in (ROCK, SKY):
        a, b = full[::2, ::2] == value, half == value
        assert (a & b).sum() / (a | b).sum() > 0.99


def test_masks_are_found_by_name_and_by_nasa_id() -> None:
    assert [m.name for m in find_masks("APOLLO11_AS11-40-5851")] == ["apollo11_AS11-40-5851"]
    assert [m.name for m in find_masks("as11-40-5851~orig")] == ["apollo11_AS11-40-5851"]
    assert [m.crop[0] for m in find_masks("jsc2007e045381")] == [0, 2230]
    assert find_masks("apollo16_jsc2007e045381_cropb") == [] and find_masks("") == []


def test_a_whole_photograph_is_labelled_where_its_parts_are() -> None:
    masks = find_masks("jsc2007e045381")
    classes = draw_masks(masks, "jsc2007e045381", (466, 1584))  # half of 3168 × 932
    assert (classes[:70] == IGNORE).all() and (classes[:, 530:1110] == IGNORE).all()
    assert np.array_equal(classes[75:466, 0:525], masks[0].draw((525, 391)))
    assert np.array_equal(classes[75:466, 1115:1584], masks[1].draw((469, 391)))


@pytest.mark.parametrize("size", ["", "~small", "~ORIG"])
def test_a_part_under_a_name_of_size_is_drawn_as_that_part(size: str) -> None:
    mask = named("apollo17_jsc2004e20304_cropb")
    width, height = quarter(mask)
    masks = find_masks(mask.name + size)
    assert np.array_equal(draw_masks(masks, mask.name + size, (height, width)), mask.draw((width, height)))


@pytest.mark.parametrize(("name", "allowed"), [("apollo11_AS11-40-5851", "1024×1003"), ("AS11-40-5851", "2000×1960")])
def test_another_framing_is_refused_in_a_line(name: str, allowed: str) -> None:
    with pytest.raises(InputError) as caught:
        draw_masks(find_masks(name), name, (600, 640))
    line = str(caught.value)
    assert "640×600 px" in line and allowed in line and "\n" not in line


def grainy(levels: np.ndarray) -> np.ndarray:
    """A photograph of these levels, uint8 [H, W, 3]: flat areas would be labels."""
    grain = np.random.default_rng(0).integers(-3, 4, levels.shape)
    return np.repeat(np.clip(levels.astype(int) + grain, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_figures_are_pooled_in_groups_and_flood_leaves_boulders_out(model: Path, tmp_path: Path) -> None:
    """The model is right everywhere but in one frame, where it takes the ground for rock."""
    folder = tmp_path / "images"
    folder.mkdir()
    drawn = {}
    for name in ("apollo17_AS17-137-20909", "apollo17_AS17-137-20907", "apollo12_AS12-49-7221"):
        truth = drawn[name] = named(name).draw(quarter(named(name)))
        Image.fromarray(grainy(LEVELS[truth])).save(folder / f"{name}.png")
    flooded = named("apollo17_jsc2004e52775_cropa")
    truth = drawn[flooded.name] = flooded.draw(quarter(flooded))
    Image.fromarray(grainy(np.full(truth.shape, 200))).save(folder / f"{flooded.name}.png")
    Image.fromarray(grainy(np.full((64, 64), 80))).save(folder / "unlabelled.png")
    Image.fromarray(grainy(np.full((64, 128), 80))).save(folder / "AS17-137-20905.png")  # another framing
    verb = EvaluateReal(model=str(model), images=folder, masks=Path("apollo"), out=tmp_path / "out", size=256)
    with pytest.raises(CheckError, match=r"problems: 1 in 6 photographs\n.*AS17-137-20905.*128×64 px"):
        verb.run()
    result = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    rock = {name: int((truth == ROCK).sum()) for name, truth in drawn.items()}
    counted = int((drawn[flooded.name] != IGNORE).sum())
    boulders, others = result["groups"][BOULDERS], result["groups"][OTHERS]
    assert (boulders["labelled"], others["labelled"], result["labelled"]) == (2, 2, 4)
    assert boulders["rock"]["iou"] == 1 and boulders["rock"]["tp"] == sum(n for k, n in rock.items() if "-137-" in k)
    hits = rock["apollo12_AS12-49-7221"] + rock[flooded.name]
    assert others["rock"]["precision"] == pytest.approx(hits / (hits + counted - rock[flooded.name]))
    whole = next(row for row in boulders["by_size"] if row["from_px"] == 64)
    assert whole["rocks"] >= 2 and whole["found_iou"] == 1 and whole["false_iou"] == 0
    assert result["rock"]["tp"] == boulders["rock"]["tp"] + others["rock"]["tp"] and result["rock"]["recall"] == 1
    floods = {row["image"]: row["flood"] for row in result["per_image"]}
    rest = [floods[f"{name}.png"] for name in ("apollo12_AS12-49-7221", flooded.name, "unlabelled")]
    assert result["flood"]["mean"] == pytest.approx(sum(rest) / 3) and result["flood"]["worst"] == 1
    assert f"  2 {BOULDERS}: iou 1.0000, precision 1.0000, recall 1.0000" in verb.summary(result)


def test_photographs_none_of_which_is_labelled_are_refused(model: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 64, 3), 80, np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"^masks: 'apollo' is not allowed; allowed: photographs"):
        EvaluateReal(model=str(model), images=tmp_path, masks=Path("apollo"), out=tmp_path / "out").run()
