"""The options of the recipe: crops, photometric changes, losses, averaged weights, parts of a batch, memory."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from toy_split import draw_frame, write_split

from regolith.lunar.labels import IGNORE, ROCK
from regolith.lunar.params import InputError, Interval
from regolith.lunar.params.training import TrainParams, load_train_params
from regolith.lunar.stage.spec import rng
from training.augment import IDENTITY, Augmentation, crop_box, cut, relight, without_small_rocks
from training.checkpoint import read_checkpoint
from training.data import MEMORY_SHARE, Frames
from training.losses import cross_entropy, dice, lovasz, segmentation_loss
from training.memory import MemoryNeed, choose_micro_batch, free_memory, measure_need
from training.networks.segformer import fresh_segformer, interpolation, upsampled_sum
from training.optimization import learning_rate, update_average
from training.train import train

CAMERA: dict[str, Any] = {
    "photo_share": 1.0, "photo_gamma": Interval(0.6, 1.7), "photo_contrast": Interval(0.6, 1.5),
    "photo_brightness": Interval(-0.1, 0.1), "photo_tint": Interval(0.05, 0.1), "photo_gray": 0.5,
    "photo_vignette": Interval(0.2, 0.6), "photo_blur_px": Interval(0.3, 1.5), "photo_noise": Interval(0.01, 0.05),
    "photo_jpeg": Interval(30, 90), "photo_light_ev": Interval(2, 4),
}  # fmt: skip
EVERYTHING: dict[str, Any] = CAMERA | {
    "crop_px": 32, "scale": Interval(1, 2), "rock_bias": 0.5, "rock_min_px": 2.0, "loss_dice": 0.5,
    "loss_lovasz": 0.5, "loss_focal": 1.0, "grad_clip": 1.0, "ema_decay": 0.9, "schedule": "poly", "micro_batch": 3,
}  # fmt: skip


def recipe(**changes: Any) -> TrainParams:
    return TrainParams(train_split=Path("a"), val_split=Path("b"), out=Path("c"), **changes)


# -- crops ---------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(24, 90), st.integers(24, 90), st.floats(0.2, 4), st.floats(1, 3))
def test_crop_stays_in_its_frame(seed: int, height: int, width: int, lo: float, ratio: float) -> None:
    mask = draw_frame(seed, 0, (height, width))[1]
    left, top, window = crop_box(mask, 32, Interval(lo, lo * ratio), 0.5, rng(seed, "crop"))
    assert 0 <= left <= width - window + 1e-9 and 0 <= top <= height - window + 1e-9
    assert window <= 32 / lo * (1 + 1e-9)
    assert window == min(height, width) or window >= 32 / (lo * ratio) * (1 - 1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(24, 90), st.integers(24, 90), st.floats(0.2, 4))
def test_padded_crop_keeps_pictures_and_classes_together(seed: int, height: int, width: int, scale: float) -> None:
    """With `crop_pad` a crop reaches over the shorter side only; outside the frame it is black and ignored."""
    mask = draw_frame(seed, 0, (height, width))[1]
    rgb = np.repeat(100 + 50 * mask[..., None], 3, axis=2)
    box = crop_box(mask, 32, Interval(scale, scale), 0.5, rng(seed, "crop"), pad=True)
    assert box[2] == pytest.approx(min(32 / scale, max(height, width)))
    picture, classes = cut(rgb, mask, box, 32)
    assert picture.shape == (32, 32, 3) and classes.shape == (32, 32)
    inside = min(box[2], height) * min(box[2], width) / box[2] ** 2
    assert (classes != IGNORE).mean() == pytest.approx(inside, abs=0.07)
    assert (picture[classes == IGNORE] < 100 + 50 * mask.max()).all()  # black, or blended at the frame's edge
    if scale == 1 and inside == 1:
        assert np.array_equal(picture[..., 0], 100 + 50 * classes)


def test_padded_crop_shows_the_whole_frame() -> None:
    rgb, mask = draw_frame(3, 0, (64, 96))
    box = crop_box(mask, 32, Interval(0.1, 0.1), 0.0, rng(1, "crop"), pad=True)
    assert box == (0.0, pytest.approx(box[1]), 96.0) and -32 <= box[1] <= 0
    _, classes = cut(rgb, mask, box, 32)
    assert np.isclose((classes == IGNORE).mean(), 1 / 3, atol=1 / 32)
    with pytest.raises(ValidationError, match="crop_pad"):
        recipe(crop_pad=True)


def test_biased_crop_holds_a_rock() -> None:
    mask = np.zeros((200, 300), np.uint8)
    mask[7, 291] = mask[150, 40] = ROCK
    plain = found = 0
    for k in range(40):
        for bias in (0.0, 1.0):
            box = crop_box(mask, 32, Interval(1, 1), bias, rng(0, "bias", k))
            has = (cut(np.zeros((200, 300, 3), np.uint8), mask, box, 32)[1] == ROCK).any()
            found, plain = found + (has and bias == 1), plain + (has and bias == 0)
    assert found == 40 and plain < 10


def test_crop_without_magnification_copies_pixels() -> None:
    rgb, mask = draw_frame(3, 0, (64, 96))
    left, top, window = crop_box(mask, 32, Interval(1, 1), 0.0, rng(1, "crop"))
    assert window == 32 and left == int(left) and top == int(top)
    picture, classes = cut(rgb, mask, (left, top, window), 32)
    y, x = int(top), int(left)
    assert np.array_equal(picture, rgb[y : y + 32, x : x + 32]) and np.array_equal(
        classes, mask[y : y + 32, x : x + 32]
    )


def test_magnified_classes_stay_on_their_pixels() -> None:
    """Where picture and mask say the same before the crop they say it after, but for the blend at edges."""
    rgb, mask = draw_frame(5, 0, (96, 96))
    rgb = np.repeat(np.array([80, 170, 2], np.uint8)[mask][..., None], 3, axis=2)
    for k in range(10):
        box = crop_box(mask, 64, Interval(0.8, 3), 0.0, rng(k, "crop"))
        picture, classes = cut(rgb, mask, box, 64)
        wrong = np.abs(picture[..., 0].astype(int) - np.array([80, 170, 2])[classes]) > 45
        assert wrong.mean() < 0.03


def test_small_rocks_are_ignored_and_nothing_else() -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[2, 2] = mask[10:14, 10:14] = ROCK
    got = without_small_rocks(mask, 2.0)
    assert got[2, 2] == IGNORE and (got[10:14, 10:14] == ROCK).all() and (got != mask).sum() == 1
    assert np.array_equal(without_small_rocks(np.zeros((4, 4), np.uint8), 2.0), np.zeros((4, 4)))


# -- photometric changes -------------------------------------------------------------------------------------------


def test_default_recipe_changes_no_pixel() -> None:
    rgb, mask = draw_frame(0, 0, (32, 32))
    augmentation = Augmentation(recipe())
    got = augmentation(rgb, mask, rng(0, "x"))
    assert not augmentation.photometric and got[0] is rgb and got[1] is mask


@pytest.mark.parametrize("name", [*IDENTITY, "photo_gray", "photo_light_ev"])
def test_each_photometric_change_changes_pixels_alone(name: str) -> None:
    rgb, mask = draw_frame(0, 0, (64, 64))
    rgb[..., 2] //= 2  # a colour to lose
    value = 1.0 if name == "photo_gray" else CAMERA[name]
    got, classes = Augmentation(recipe(photo_share=1.0, **{name: value}))(rgb, mask, rng(0, "x"))
    assert got.shape == rgb.shape and got.dtype == np.uint8
    assert (got != rgb).mean() > 0.05 and np.array_equal(classes, mask)


def test_photometric_changes_do_what_they_say() -> None:
    rgb = np.full((64, 64, 3), 120, np.uint8)
    rgb[:, 32:] = 60

    def change(**fields: Any) -> np.ndarray:
        return Augmentation(recipe(photo_share=1.0, **fields)).photograph(rgb, rng(0, "x")).astype(float)

    assert change(photo_gamma=Interval(2)).mean() < 60 < 120 < change(photo_gamma=Interval(0.5)).mean()
    assert change(photo_brightness=Interval(0.1)).mean() == pytest.approx(rgb.mean() + 25.5, abs=1)
    flat = change(photo_contrast=Interval(0.5))
    assert flat.mean() == pytest.approx(90, abs=1) and np.ptp(flat) == pytest.approx(30, abs=2)
    dark = change(photo_vignette=Interval(0.5))
    assert dark[0, 0, 0] == pytest.approx(60, abs=3) and dark[32, 31, 0] == pytest.approx(120, abs=2)
    assert change(photo_noise=Interval(0.04))[:, :32].std() == pytest.approx(0.04 * 255, rel=0.1)


def test_uneven_light_is_as_many_stops_apart_as_asked() -> None:
    flat = np.full((96, 128, 3), 40, np.uint8)
    for k in range(20):
        lit = relight(flat, 2.0, rng(0, "light", k)).astype(float)
        stops = 2.2 * np.log2(lit / 40)  # against the light before
        assert -1.1 < stops.min() < stops.max() < 1.1  # from one stop darker to one brighter, to a level's rounding
        assert np.ptp(stops) > 1.1
        assert np.abs(np.diff(stops[..., 0], axis=0)).max() < 0.9  # no hard edge: it would look like a rock's


def test_uneven_light_leaves_what_else_is_drawn() -> None:
    rgb, _ = draw_frame(0, 0, (64, 64))
    camera = {name: value for name, value in CAMERA.items() if name != "photo_light_ev"}
    without = Augmentation(recipe(**camera)).photograph(rgb, rng(0, "x"))
    faint = Augmentation(recipe(**camera, photo_light_ev=Interval(1e-6))).photograph(rgb, rng(0, "x"))
    lit = Augmentation(recipe(**camera, photo_light_ev=Interval(3))).photograph(rgb, rng(0, "x"))
    assert np.array_equal(without, faint) and not np.array_equal(without, lit)


def test_augmentation_depends_on_its_generator_alone() -> None:
    rgb, mask = draw_frame(0, 0, (64, 64))
    augmentation = Augmentation(recipe(**EVERYTHING))
    first, second, other = (augmentation(rgb, mask, rng(0, "x", k)) for k in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], other[0])


# -- losses --------------------------------------------------------------------------------------------------------


def test_lovasz_of_certain_answers_is_one_minus_iou() -> None:
    truth = torch.tensor([1.0, 1, 1, 0, 0, 0])
    predicted = torch.tensor([1.0, 1, 0, 1, 0, 0])
    assert lovasz(predicted, truth).item() == pytest.approx(1 - 2 / 4)
    assert dice(predicted, truth).item() == pytest.approx(1 - 5 / 7)
    assert lovasz(truth, truth).item() == dice(truth, truth).item() == 0
    assert lovasz(predicted, torch.zeros(6)).item() == 0


def test_focal_counts_what_is_right_less() -> None:
    logits = torch.tensor([[6.0, 0, 0], [0.2, 0, 0]]).T.reshape(1, 3, 1, 2)
    target, weight = torch.zeros((1, 1, 2), dtype=torch.int64), torch.ones(3)
    plain, focal = (cross_entropy(logits, target, weight, gamma) for gamma in (0.0, 2.0))
    p = torch.softmax(torch.tensor([0.2, 0, 0]), 0)[0]
    assert focal.item() == pytest.approx(((1 - p) ** 2 * -p.log()).item() / 2, rel=1e-3)
    assert focal < plain


def test_ignored_pixels_touch_no_loss() -> None:
    torch.manual_seed(0)
    logits, weight = torch.randn(2, 3, 8, 8), torch.tensor([0.5, 2.0, 0.5])
    target = torch.randint(0, 3, (2, 8, 8))
    target[:, :4] = IGNORE
    params = recipe(loss_dice=1.0, loss_lovasz=1.0, loss_focal=1.0)
    changed = logits.clone()
    changed[:, :, :4] = torch.randn(2, 3, 4, 8) * 5
    a, b = (segmentation_loss(x, target, weight, params) for x in (logits, changed))
    assert a.item() == pytest.approx(b.item(), abs=1e-6)


def test_parts_of_a_batch_add_up_to_its_cross_entropy() -> None:
    torch.manual_seed(0)
    logits, weight = torch.randn(5, 3, 8, 8), torch.tensor([0.2, 2.5, 0.3])
    target = torch.randint(0, 3, (5, 8, 8))
    target[0] = IGNORE
    whole = segmentation_loss(logits, target, weight, recipe())
    total = weight[target[target != IGNORE]].sum()
    parts = sum(
        segmentation_loss(logits[k], target[k], weight, recipe(), weight_sum=total, share=0.5).item()
        for k in (slice(0, 2), slice(2, 5))
    )
    assert parts == pytest.approx(whole.item(), rel=1e-5)


# -- network, schedule, average ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sizes", "to"), [([4, 2, 1], 8), ([5, 3], 10), ([7], 7)])
def test_matrix_products_enlarge_as_interpolate_does(sizes: list[int], to: int) -> None:
    torch.manual_seed(0)
    maps = [torch.randn(2, 3, s, s + 1) for s in sizes]
    expected = sum(torch.nn.functional.interpolate(m, (to, to + 3), mode="bilinear", align_corners=False) for m in maps)
    assert torch.allclose(upsampled_sum(maps, (to, to + 3)), torch.as_tensor(expected), atol=1e-5)
    assert torch.allclose(interpolation(sizes[0], to, maps[0]).sum(1), torch.ones(to))


def test_poly_schedule_falls_to_its_end() -> None:
    params = recipe(init="random", lr=1e-3, warmup_steps=10, schedule="poly", poly_power=1.0)
    rates = [learning_rate(step, 110, params) for step in range(110)]
    assert max(rates) == rates[10] == pytest.approx(1e-3) and rates[-1] == pytest.approx(1e-7)
    assert rates[60] == pytest.approx(1e-3 * (1 - 50 / 99), rel=1e-3)


def test_average_follows_the_weights_and_copies_counters() -> None:
    a, m = torch.nn.BatchNorm2d(2), torch.nn.BatchNorm2d(2)
    torch.nn.init.constant_(m.weight, 3.0)
    m(torch.randn(2, 2, 4, 4))
    update_average(a, m, 0.75)
    assert torch.allclose(a.weight, torch.full((2,), 1.5))
    assert a.num_batches_tracked == m.num_batches_tracked == 1


# -- runs ----------------------------------------------------------------------------------------------------------


def test_run_with_everything_resumes_to_the_same_end(toy: SimpleNamespace, tmp_path: Path) -> None:
    """Stopped inside the second epoch; other decoding threads change nothing."""
    seen = 0

    def count(event: dict) -> None:
        nonlocal seen
        seen += event["event"] == "progress"

    changes = EVERYTHING | {"epochs": 2}
    whole = train(toy.params(tmp_path / "a", **changes), lambda e: None)
    assert train(toy.params(tmp_path / "b", **changes), count, lambda: seen >= 4)["status"] == "interrupted"
    train(toy.params(tmp_path / "b", **changes, workers=3), lambda e: None)
    a, b = (read_checkpoint(tmp_path / name / "last.pt") for name in ("a", "b"))
    for key in ("model", "running"):
        assert all(torch.equal(a[key][k], b[key][k]) for k in a[key])
    assert any(not torch.equal(a["model"][k], a["running"][k]) for k in a["model"])
    assert whole["memory"]["micro_batch"] == 3 and math.isfinite(whole["best"]["train_loss"])


def test_run_takes_several_splits(toy: SimpleNamespace, tmp_path: Path) -> None:
    other = write_split(tmp_path / "other", 5, size=(48, 64), seed=4)
    both = Path(f"{toy.train},{other}")
    with pytest.raises(InputError, match=r"^train_split: .*--crop-px"):
        train(toy.params(tmp_path / "run", train_split=both), lambda e: None)
    changes = {"train_split": both, "val_split": Path(f"{toy.val},{other}"), "crop_px": 32, "epochs": 1}
    summary = train(toy.params(tmp_path / "run", **changes), lambda e: None)
    assert summary["splits"]["train_split"]["frames"] == 29
    assert summary["splits"]["train_split"]["sizes"] == [(32, 32), (64, 48)]
    assert summary["splits"]["val_split"]["frames"] == 11
    one = Frames([toy.train], field="train_split", workers=1).fingerprint
    assert summary["splits"]["train_split"]["fingerprint"] != one == Frames(toy.train, field="x", workers=1).fingerprint


def test_batches_hold_frames_of_one_size(toy: SimpleNamespace, tmp_path: Path) -> None:
    other = write_split(tmp_path / "other", 3, size=(48, 64), seed=4)
    frames = Frames([toy.val, other], field="val_split", workers=2)
    shapes = [rgb.shape[:3] for rgb, _ in frames.batches(np.arange(9), 4)]
    assert shapes == [(4, 32, 32), (2, 32, 32), (3, 48, 64)]


# -- memory --------------------------------------------------------------------------------------------------------


def test_free_memory_is_what_the_process_may_use(toy: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Splits stay on disk, and steps are refused, by the limit of the container and not by the machine's memory."""
    pixels = 24 * 4 * 32 * 32
    for free, kept in ((int(pixels / MEMORY_SHARE) - 100, False), (int(pixels / MEMORY_SHARE) + 100, True)):
        monkeypatch.setattr("training.data.available_bytes", lambda free=free: free)
        monkeypatch.setattr("training.memory.available_bytes", lambda free=free: free)
        frames = Frames(toy.train, field="train_split", workers=1)
        assert (frames._memory is not None) == kept
        assert free_memory(torch.device("cpu")) == free


def test_measured_need_grows_with_the_picture_and_changes_nothing() -> None:
    torch.manual_seed(0)
    model = fresh_segformer()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = torch.get_rng_state()
    small, large = (measure_need(model, (s, s), recipe(), torch.ones(3), amp=False) for s in (64, 128))
    assert 3 < large.frame_bytes / small.frame_bytes < 5
    assert small.fixed_bytes == large.fixed_bytes == 12 * sum(p.numel() for p in model.parameters())
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize(("free", "expected"), [(10**6, 8), (6000, 4), (2500, 2), (1300, 1)])
def test_batch_is_computed_in_parts_that_fit(free: int, expected: int) -> None:
    assert choose_micro_batch(MemoryNeed(100, 1000, free), recipe(batch=8)) == expected


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match=r"^micro_batch: 4 is not allowed; allowed: 1 … 2 frames: .* GB are free"):
        choose_micro_batch(MemoryNeed(100, 1000, 2500), recipe(micro_batch=4))
    with pytest.raises(InputError, match=r"^crop_px: 64 "):
        choose_micro_batch(MemoryNeed(100, 1000, 900), recipe(crop_px=64))
    with pytest.raises(InputError, match=r"^micro_batch: 4 "):
        choose_micro_batch(MemoryNeed(100, 1000, 2500), recipe(), fixed=4)


def test_run_on_a_full_machine_is_refused_or_goes_in_parts(
    toy: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.memory.free_memory", lambda device: 10**6)
    with pytest.raises(InputError, match=r"one frame fits in memory"):
        train(toy.params(tmp_path / "none"), lambda e: None)
    assert not (tmp_path / "none" / "last.pt").exists()
    need = measure_need(fresh_segformer(), (32, 32), recipe(), torch.ones(3), amp=False)
    monkeypatch.setattr("training.memory.free_memory", lambda device: int(need.of(3) / 0.9))
    events: list[dict] = []
    summary = train(toy.params(tmp_path / "some", epochs=1), events.append)
    assert summary["memory"]["micro_batch"] == 2
    assert any("2 frames at once" in e.get("message", "") for e in events)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"crop_px": 40}, "crop_px"), ({"rock_bias": 0.5}, "rock_bias"), ({"scale": [1, 2]}, "scale"),
     ({"loss_cross_entropy": 0}, "loss_cross_entropy"), ({"ema_decay": 1}, "ema_decay")],
)  # fmt: skip
def test_recipe_errors_name_the_field(tmp_path: Path, changes: dict[str, Any], field: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"train_split": "a", "val_split": "b", "out": "c"} | changes))

    with pytest.raises(InputError, match=rf"^{field}: "):
        load_train_params(path)
