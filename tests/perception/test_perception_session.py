"""Inference: any picture size, padding that never shows, tiles that agree with the whole, models that fit."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regolith.lunar.files import file_digest
from regolith.lunar.labels import CLASSES, REGOLITH, ROCK, SKY
from regolith.lunar.params import InputError
from regolith.lunar.perception.model_files import find_model, read_card, shipped_models
from regolith.lunar.perception.overlay import ROCK_COLOR, contact_sheet, draw_overlay
from regolith.lunar.perception.session import Segmenter, _tile_corners
from regolith.lunar.perception.views import VIEWS, Views
from regolith.lunar.stage.spec import rng


@pytest.fixture(scope="module")
def segmenter(model: Path) -> Segmenter:
    return Segmenter(model, threads=1)


def truth_of(rgb: np.ndarray) -> np.ndarray:
    level = rgb.astype(float).mean(axis=2)
    return np.select([level > 125.15, level < 40.15], [ROCK, SKY], REGOLITH).astype(np.uint8)


def noise(height: int, width: int) -> np.ndarray:
    return rng(0, "noise", height, width).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(32, 32), (33, 64), (1, 90), (100, 47), (64, 200)])
def test_own_size_gives_every_pixel_its_class(segmenter: Segmenter, shape: tuple[int, int]) -> None:
    rgb = noise(*shape)
    prediction = segmenter.predict(rgb, size=None)
    assert prediction.mask.dtype == np.uint8 and prediction.confidence.dtype == np.float32
    assert np.array_equal(prediction.mask, truth_of(rgb))
    assert (prediction.confidence > 1 / 3 - 1e-6).all() and (prediction.confidence <= 1).all()


@pytest.mark.parametrize("shape", [(150, 400), (401, 97), (31, 640), (20, 20)])
def test_resized_picture_keeps_its_geometry(segmenter: Segmenter, shape: tuple[int, int]) -> None:
    """Halves of a picture stay halves at any scale, to a pixel of the working size."""
    rgb = np.full((*shape, 3), 80, np.uint8)
    rgb[:, : shape[1] // 2] = 200
    prediction = segmenter.predict(rgb, size=128)
    assert prediction.mask.shape == shape
    border = max(2, int(np.ceil(max(shape) / 128)) * 2)
    assert (prediction.mask[:, : shape[1] // 2 - border] == ROCK).all()
    assert (prediction.mask[:, shape[1] // 2 + border :] == REGOLITH).all()


@pytest.mark.parametrize("shape", [(100, 333), (200, 64), (129, 130), (64, 64)])
def test_tiles_agree_with_the_whole(segmenter: Segmenter, shape: tuple[int, int]) -> None:
    rgb = noise(*shape)
    assert np.array_equal(segmenter.predict(rgb, size=64, tile=True).mask, truth_of(rgb))


@given(st.integers(1, 900), st.integers(1, 900), st.sampled_from([64, 96, 128]))
def test_tiles_cover_the_picture_and_overlap(height: int, width: int, side: int) -> None:
    covered = np.zeros((height, width), bool)
    corners = list(_tile_corners(height, width, side))
    for y, x in corners:
        assert 0 <= y <= max(height - side, 0) and 0 <= x <= max(width - side, 0)
        covered[y : y + side, x : x + side] = True
    assert covered.all()
    rows = sorted({y for y, _ in corners})
    assert all(b - a <= 0.75 * side + 1 for a, b in itertools.pairwise(rows))


def test_letterbox_is_a_black_square(segmenter: Segmenter) -> None:
    """A picture all rock, twice as wide as high, fills half the square; the bars are sky."""
    mask = segmenter.predict_letterboxed(np.full((50, 100, 3), 200, np.uint8), side=128)
    assert mask.shape == (128, 128)
    assert (mask[32:96] == ROCK).all() and (mask[:32] == SKY).all() and (mask[96:] == SKY).all()


def test_wrong_arrays_are_refused(segmenter: Segmenter) -> None:
    for bad in (np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)):
        with pytest.raises(ValueError, match=r"uint8 \[H, W, 3\]"):
            segmenter.predict(bad)


def test_models_that_do_not_fit_are_refused(
    write_model: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"^model: "):
        Segmenter(tmp_path / "none.onnx")
    other = write_model(tmp_path / "other.onnx", classes={"sky": 0, "rock": 1, "regolith": 2})
    with pytest.raises(InputError, match=r"^other\.json: classes: "):
        Segmenter(other)
    changed = write_model(tmp_path / "changed.onnx")
    changed.write_bytes(changed.read_bytes() + b"\0")
    with pytest.raises(InputError, match="sha256 differs"):
        Segmenter(changed)
    bare = write_model(tmp_path / "bare.onnx")
    bare.with_suffix(".json").unlink()
    with pytest.raises(InputError, match=r"card bare\.json"):
        Segmenter(bare)
    broken = tmp_path / "broken.onnx"
    write_model(broken, sha256="cd372fb85148700fa88095e3492d3f9f5beb43e555e5ff26d95f5a6adc36f8e6")
    broken.write_bytes(b"no graph")
    with pytest.raises(InputError, match=r"^model: "):
        Segmenter(broken)
    monkeypatch.setattr("regolith.lunar.perception.model_files.__file__", str(tmp_path / "a/b/c/d/e/f/session.py"))
    with pytest.raises(InputError, match="ships no model"):
        find_model("default")


def test_overlay_colors_by_class() -> None:
    rgb = np.full((60, 60, 3), 100, np.uint8)
    mask = np.full((60, 60), REGOLITH, np.uint8)
    mask[:20] = SKY
    mask[30:50, 30:50] = ROCK
    before = rgb.copy()
    out = draw_overlay(rgb, mask)
    assert np.array_equal(rgb, before)
    assert np.array_equal(out[:20], rgb[:20])
    assert tuple(out[30, 40]) == tuple(out[49, 49]) == ROCK_COLOR
    red, green, blue = (int(v) for v in out[40, 40])
    assert ROCK_COLOR[0] > red > 100 > max(green, blue)
    red, green, blue = (int(v) for v in out[25, 10])
    assert green > red and abs(green - 100) < 20
    with pytest.raises(ValueError, match="shape"):
        draw_overlay(rgb, mask[1:])


def test_contact_sheet_holds_every_picture() -> None:
    colors = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (0, 250, 250)]
    pictures = [(np.full((30 + 9 * i, 90, 3), c, np.uint8), "long caption " * 20) for i, c in enumerate(colors)]
    sheet = np.asarray(contact_sheet(pictures, cell=80))
    for color in colors:
        assert (sheet == color).all(axis=2).sum() > 1000
    assert np.asarray(contact_sheet(pictures[:1], columns=1, cell=40)).shape[1] == 56


@pytest.mark.parametrize("tta", [name for name in VIEWS if name != "none"])
@pytest.mark.parametrize("tile", [False, True])
def test_views_agree_on_a_picture_every_view_sees(segmenter: Segmenter, tta: Views, tile: bool) -> None:
    """Left half rock, right half ground: no view may mirror or shift the answer."""
    rgb = np.full((120, 200, 3), 80, np.uint8)
    rgb[:, :90] = 200
    prediction = segmenter.predict(rgb, size=96, tile=tile, tta=tta)
    assert prediction.mask.shape == (120, 200)
    assert (prediction.mask[:, :80] == ROCK).all() and (prediction.mask[:, 100:] == REGOLITH).all()
    assert (prediction.confidence <= 1 + 1e-6).all()


def test_flip_averages_probabilities_of_both_views(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that favours rock in the left half answers alike for a picture and its mirror image."""

    def leaning(images: np.ndarray) -> np.ndarray:
        logits = np.zeros((len(images), 3, *images.shape[1:3]), np.float32)
        logits[:, ROCK, :, : images.shape[2] // 2] = 3
        logits[:, REGOLITH] = images[..., 0] / 255
        return logits

    monkeypatch.setattr(segmenter, "logits", leaning)
    rgb = noise(64, 128)
    one, other = segmenter.predict(rgb, tta="flip", size=None), segmenter.predict(rgb[:, ::-1], tta="flip", size=None)
    assert np.array_equal(one.mask, other.mask[:, ::-1])
    assert np.allclose(one.confidence, other.confidence[:, ::-1], atol=1e-6)
    assert not np.array_equal(one.mask, segmenter.predict(rgb, size=None).mask)


def test_pyramid_weighs_the_logits_of_its_sizes(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A view that is sure outvotes others that are not."""
    rock = {32: 9.0, 64: -1.0, 128: -1.0, 192: -2.0}

    def by_width(images: np.ndarray) -> np.ndarray:
        logits = np.zeros((len(images), 3, *images.shape[1:3]), np.float32)
        logits[:, ROCK] = rock[images.shape[2]]
        return logits

    monkeypatch.setattr(segmenter, "logits", by_width)
    prediction = segmenter.predict(noise(128, 128), tta="pyramid", size=None)
    sizes = VIEWS["pyramid"].sizes
    mean = sum(weight * rock[round(128 * size)] for size, weight in sizes.items()) / sum(sizes.values())
    assert (prediction.mask == ROCK).all()
    assert np.allclose(prediction.confidence, np.exp(mean) / (2 + np.exp(mean)), atol=1e-5)


def test_shipped_models_go_by_name(
    write_model: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    for name in ("other", "default-fp16", "default"):
        write_model(models / f"{name}.onnx")
    source = tmp_path / "exts/regolith.lunar/regolith/lunar/perception/session.py"
    monkeypatch.setattr("regolith.lunar.perception.model_files.__file__", str(source))
    assert list(shipped_models()) == ["default", "default-fp16", "other"]
    assert Segmenter("default-fp16", threads=1).path == models / "default-fp16.onnx"
    write_model(models / "default-fp16.onnx", variant={"kind": "fp16", "of": "0" * 64})
    with pytest.raises(InputError, match=r"a variant of default\.onnx beside it; this one has other weights"):
        Segmenter("default-fp16")
    write_model(
        models / "default-fp16.onnx", variant={"kind": "fp16", "of": read_card(models / "default.onnx")["sha256"]}
    )
    assert Segmenter("default-fp16", threads=1).card["variant"]["kind"] == "fp16"
    with pytest.raises(InputError, match=r"^model: 'tiny'.*default, default-fp16, other, or an \.onnx file"):
        find_model("tiny")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("photo_px", "abc"),
        ("photo_px", None),
        ("photo_px", 0),
        ("photo_px", True),
        ("photo_tta", "all"),
        ("temperature", 0),
        ("temperature", "warm"),
        ("temperature", float("nan")),
    ],
)
def test_card_that_says_nonsense_is_refused(
    write_model: Callable[..., Path], tmp_path: Path, field: str, value: object
) -> None:
    with pytest.raises(InputError, match=rf"^one\.json: {field}: "):
        Segmenter(write_model(tmp_path / "one.onnx", **{field: value}))


def test_models_in_the_repository_are_what_their_cards_say() -> None:
    """A fresh clone segments; the default and its variants fit the sizes promised and come from the same weights."""
    shipped = shipped_models()
    assert "default" in shipped
    first = read_card(shipped["default"])
    assert shipped["default"].stat().st_size <= 16_000_000
    for name, path in shipped.items():
        card = read_card(path)
        assert card["file"] == path.name
        if name.startswith("default-"):
            assert card["variant"]["of"] == first["sha256"]
        if name.startswith("default"):
            mask = Segmenter(name, threads=1, cuda=False).predict(noise(40, 70), size=64).mask
            assert mask.shape == (40, 70) and mask.max() < 3


def test_nothing_leaves_the_machine(tmp_path: Path) -> None:
    """Inference in a fresh home leaves no file there and opens no socket of the network.

    ONNX Runtime's telemetry would leave a device's name and a data base, and look its server up seconds later; it holds
    its peace by itself where it takes the machine for one that builds (`CI`, …).
    """
    home, log = tmp_path / "home", tmp_path / "calls"
    home.mkdir()
    code = "import numpy as np; from regolith.lunar.perception.session import Segmenter\n"
    code += "print(Segmenter(threads=1).predict(np.zeros((32, 32, 3), np.uint8), size=32).mask.shape)"
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH") if name in os.environ}
    traced = ["strace", "-f", "-qq", "-e", "trace=socket,connect", "-o", str(log)] if shutil.which("strace") else []
    done = subprocess.run(
        [*traced, sys.executable, "-c", code],
        env=kept | {"HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "(32, 32)\n", done.stderr
    assert list(home.rglob("*")) == []
    assert not traced or "AF_INET" not in log.read_text()


@pytest.mark.parametrize("place", ["../weights.bin", "{folder}/weights.bin"])
def test_weights_outside_a_models_folder_are_not_read(tmp_path: Path, place: str) -> None:
    """ONNX may name another file for them; a model of somebody else's reads none of ours."""
    onnx = pytest.importorskip("onnx")
    (tmp_path / "weights.bin").write_bytes(bytes(16))
    weights = onnx.TensorProto(name="w", data_type=1, dims=[4], data_location=onnx.TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value=place.format(folder=tmp_path))
    ends = [onnx.helper.make_tensor_value_info(name, 1, [4]) for name in ("image", "logits")]
    add = onnx.helper.make_node("Add", ["image", "w"], ["logits"])
    graph = onnx.helper.make_graph([add], "hostile", ends[:1], ends[1:], [weights])
    path = tmp_path / "m" / "model.onnx"
    path.parent.mkdir()
    opset = [onnx.helper.make_opsetid("", 17)]
    path.write_bytes(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())
    card = {"classes": CLASSES, "sha256": file_digest(path)}
    path.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="a model onnxruntime loads"):
        Segmenter(path, threads=1)
