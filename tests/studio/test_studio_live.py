"""Inference beside the renderer: newest picture only, photographs checked, one line for each that is none."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from PIL import Image
from studio_stand import PATIENCE_S, until

from regolith.lunar.labels import REGOLITH, ROCK, SKY
from regolith.lunar.panel.host import LiveSettings
from regolith.lunar.params import InputError, load_preset
from regolith.lunar.perception.session import Prediction, Segmenter
from regolith.lunar.perception.views import SIZE_PX, Views
from regolith.lunar.randomize import draw_values
from regolith.lunar.stage.spec import FrameSpec
from regolith.lunar.studio import live
from regolith.lunar.studio.camera import Shown
from regolith.lunar.studio.live import MOVING_PX, PHOTO_PX, Photo, Seen, StudioInference, photo_name
from regolith.lunar.studio.picture import (
    FAR_M,
    NEAR_M,
    Looks,
    caption,
    choose_picture,
    class_legend,
    draw_depth,
    overlay,
    paint,
    photo_caption,
)

PARAMS = load_preset("v1")
SPEC = FrameSpec("val", 4, 0, 1, 0.0, 0.0, 2.0, values=draw_values(PARAMS, 0, "val", 4))
SETTINGS = LiveSettings("default", 0.5, rock=True, outline=True, regolith=True, legend=True, rate_hz=60.0)


def shown(wish: int = 1, *, whole: bool = False, rgb: np.ndarray | None = None) -> Shown:
    """A picture as the camera hands it on."""
    rgb = np.zeros((30, 40, 3), np.uint8) if rgb is None else rgb
    label = np.zeros(rgb.shape[:2], np.uint8)
    depth = np.ones(rgb.shape[:2], np.float32)
    return Shown(wish, rgb, label, depth, SPEC, PARAMS, 80, 60, whole, 12.0)


class Threshold:
    """A model of a known answer, which a test can hold up: bright is sky, dark is rock."""

    provider = "CPUExecutionProvider"
    photo_px = 640
    photo_tta: Views = "flip"

    def __init__(self) -> None:
        self.card: dict[str, Any] = {"name": "threshold"}
        self.gate = threading.Event()
        self.gate.set()
        self.sizes: list[int | None] = []
        self.views: list[Views] = []
        self.released = 0
        self.problem: Exception | None = None

    def predict(self, rgb: np.ndarray, *, size: int | None = SIZE_PX, tta: Views = "none") -> Prediction:
        self.sizes.append(size)
        self.views.append(tta)
        assert self.gate.wait(PATIENCE_S)
        if self.problem is not None:
            raise self.problem
        gray = rgb.mean(axis=2)
        mask = np.where(gray > 170, SKY, np.where(gray < 85, ROCK, REGOLITH)).astype(np.uint8)
        return Prediction(mask, np.ones(mask.shape, np.float32))

    def release(self) -> None:
        self.released += 1


class Stand:
    """An inference with a model the test holds by the hand."""

    def __init__(self) -> None:
        self.model = Threshold()
        self.loaded: list[str] = []
        self.seen: list[Seen] = []
        self.live = StudioInference(self.seen.append, load=self.load)

    def load(self, name: str) -> Threshold:
        self.loaded.append(name)
        if name == "bad.onnx":
            raise InputError("model", name, "a model")
        return self.model


@pytest.fixture
def made() -> Iterator[Stand]:
    stand = Stand()
    yield stand
    stand.model.gate.set()
    stand.live.close()


def test_only_the_newest_picture_counts(made: Stand) -> None:
    made.live.set(SETTINGS).result(PATIENCE_S)
    made.model.gate.clear()
    made.live.see(shown(1))
    until(lambda: made.model.sizes)
    for wish in range(2, 30):
        made.live.see(shown(wish))
    made.model.gate.set()
    until(lambda: made.seen and made.seen[-1].shown.wish == 29)
    assert [seen.shown.wish for seen in made.seen] == [1, 29]


def test_nothing_is_segmented_while_it_is_off(made: Stand) -> None:
    made.live.see(shown(1))
    assert made.live.state is None
    made.live.set(SETTINGS).result(PATIENCE_S)
    until(lambda: made.seen)  # the picture that is on show when it starts
    made.live.set(None).result(PATIENCE_S)
    assert made.live.state is None
    made.live.see(shown(2))
    made.live.photo("p.png", png(np.zeros((40, 40, 3), np.uint8)), "default").result(PATIENCE_S)  # the thread came by
    assert [seen.shown.wish for seen in made.seen] == [1]


def test_coarse_while_it_moves_and_as_evaluated_at_rest(made: Stand) -> None:
    made.live.set(SETTINGS).result(PATIENCE_S)
    bright = np.full((30, 40, 3), 120, np.uint8)
    bright[:15, :20] = 10
    made.live.see(shown(1))
    until(lambda: len(made.seen) == 1)
    made.live.see(shown(1, whole=True, rgb=bright))
    until(lambda: len(made.seen) == 2)
    assert made.model.sizes == [MOVING_PX, SIZE_PX]
    state = made.live.state
    assert state is not None and state.model == "threshold" and state.provider == "CPU"
    assert state.rock_share == pytest.approx(0.25) and state.milliseconds > 0 and not state.problem


def test_a_model_that_cannot_be_used_is_told(made: Stand) -> None:
    bad = LiveSettings("bad.onnx", 0.5, True, True, True, True, 10.0)
    with pytest.raises(InputError, match=r"bad\.onnx"):
        made.live.set(bad).result(PATIENCE_S)
    made.live.set(SETTINGS).result(PATIENCE_S)
    made.model.problem = RuntimeError("out of memory")
    made.live.see(shown(1))
    until(lambda: made.live.state and "out of memory" in made.live.state.problem)
    made.model.problem = None
    made.live.see(shown(2))
    until(lambda: made.seen)
    assert made.live.state and not made.live.state.problem


def test_other_looks_load_no_model_again(made: Stand) -> None:
    made.live.set(SETTINGS).result(PATIENCE_S)
    for opacity in (0.1, 0.9):
        made.live.set(LiveSettings("default", opacity, True, True, True, True, 60.0)).result(PATIENCE_S)
    assert made.loaded == ["default"]
    made.live.see(shown(1))
    until(lambda: made.seen)
    made.live.set(LiveSettings("other.onnx", 0.5, True, True, True, True, 60.0)).result(PATIENCE_S)
    until(lambda: len(made.seen) == 2)  # the picture on show, by the other model
    assert made.loaded == ["default", "other.onnx"]


def test_the_end_waits_for_nothing_that_waits() -> None:
    made = Stand()
    made.live.set(SETTINGS).result(PATIENCE_S)
    made.model.gate.clear()
    made.live.see(shown(1))
    until(lambda: made.model.sizes)
    photo = made.live.photo("p.png", b"", "default")
    ender = threading.Thread(target=made.live.close)
    ender.start()
    until(photo.cancelled)
    made.model.gate.set()
    ender.join(PATIENCE_S)
    assert not ender.is_alive()
    assert made.live.photo("p.png", b"", "default").cancelled()


# photographs


def png(rgb: np.ndarray, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, form)
    return file.getvalue()


def test_a_photograph_is_segmented_in_its_own_pixels(made: Stand) -> None:
    rgb = np.full((900, 2000, 3), 120, np.uint8)
    rgb[:450, :500] = 10
    photo: Photo = made.live.photo("C:\\moon\\crater.png", png(rgb), "default").result(PATIENCE_S)
    assert (photo.name, photo.width, photo.height, photo.model) == ("crater.png", 2000, 900, "threshold")
    assert photo.counts == {"regolith": 1_575_000, "rock": 225_000, "sky": 0, "ignore": 0}
    assert photo.rgb.shape == (461, PHOTO_PX, 3) and photo.mask.shape == (461, PHOTO_PX)
    assert photo.mask[0, 0] == ROCK and photo.mask[-1, -1] == REGOLITH
    assert (made.model.sizes, made.model.views) == ([640], ["flip"])  # as its card says


def test_it_is_what_evaluation_sees() -> None:
    """The shipped model on a photograph gives the page the mask it gives `regolith evaluate real`."""
    rgb = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    live = StudioInference(lambda seen: None)
    try:
        photo = live.photo("noise.png", png(rgb), "default").result(PATIENCE_S)
    finally:
        live.close()
    model = Segmenter("default")
    assert np.array_equal(photo.mask, model.predict(rgb, size=model.photo_px, tta=model.photo_tta).mask)


def bomb(width: int, height: int) -> bytes:
    """A PNG that states a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")


def test_a_large_photograph_is_reduced_and_says_so(made: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOKED_AT_PX", 120 * 100)
    rgb = np.full((300, 400, 3), 120, np.uint8)
    photo: Photo = made.live.photo("large.png", png(rgb), "default").result(PATIENCE_S)
    assert (photo.width, photo.height, photo.notes) == (100, 75, ("its 400×300 px reduced to 100×75",))
    assert photo.notes[0] in photo_caption(photo) and made.model.released == 1


def test_photographs_that_wait_in_vain_are_let_go_of(made: Stand) -> None:
    """A cancelled one may be 64 MB."""
    made.model.gate.clear()
    first = made.live.photo("p.png", png(np.zeros((40, 40, 3), np.uint8)), "default")
    until(first.running)
    for _ in range(20):
        assert made.live.photo("q.png", b"content", "default").cancel()
    last = made.live.photo("r.png", png(np.zeros((40, 40, 3), np.uint8)), "default")
    assert len(made.live._jobs) == 1
    made.model.gate.set()
    assert last.result(PATIENCE_S).name == "r.png"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.txt", b"not a picture", "notes.txt: 'no picture'"),
        ("empty.jpg", b"", "empty.jpg"),
        ("cut.png", png(np.zeros((200, 200, 3), np.uint8))[:120], "cut.png: 'damaged'"),
        ("tiny.png", png(np.zeros((8, 8, 3), np.uint8)), "tiny.png: '8×8 px'"),
        ("bomb.png", bomb(30_000, 30_000), "bomb.png: 'too large' is not allowed; allowed: at most 100 megapixels"),
        (
            "large.png",
            bomb(10_001, 10_000),
            "large.png: '10001×10000 px' is not allowed; allowed: at most 100 megapixels",
        ),
        ("../../../etc/passwd", b"root", "passwd: 'no picture'"),
        ("x" * 400, b"", "x" * 60),
    ],
)
def test_what_is_no_photograph_gives_one_line(made: Stand, name: str, content: bytes, words: str) -> None:
    future: Future[Photo] = made.live.photo(name, content, "default")
    with pytest.raises(InputError) as error:
        future.result(PATIENCE_S)
    assert words in str(error.value) and "\n" not in str(error.value)
    assert "/tmp" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("moon.jpg", "moon.jpg"), ("a/b/moon.jpg", "moon.jpg"), ("..", "photograph"), ("", "photograph"),
        ("\0\n.png", "png"), ("con\x00.jpg", "con.jpg"), ("y" * 99 + ".jpeg", "y" * 60 + ".jpeg"),
    ],
)  # fmt: skip
def test_names_of_files_are_made_safe(name: str, safe: str) -> None:
    assert photo_name(name) == safe


# views


def test_each_view_shows_its_own() -> None:
    rgb = np.random.default_rng(1).integers(0, 255, (30, 40, 3), np.uint8)
    mask = np.zeros((30, 40), np.uint8)
    mask[5:15, 5:15] = ROCK
    picture = shown(rgb=rgb, whole=True)
    looks = Looks(opacity=0.5)

    def pixels(data: bytes) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    views = {
        view: paint(choose_picture(view, picture, Seen(picture, mask, 5.0), looks))
        for view in ("picture", "labels", "depth", "model")
    }
    assert np.array_equal(pixels(views["picture"].data), rgb)
    assert np.array_equal(pixels(views["model"].data), overlay(rgb, mask, looks))
    assert (pixels(views["labels"].data) == pixels(views["labels"].data)[0, 0]).all()  # all regolith
    assert np.array_equal(pixels(views["depth"].data), draw_depth(np.ones((30, 40), np.float32)))
    assert views["picture"].counts is None and views["model"].counts == {
        "regolith": 1100, "rock": 100, "sky": 0, "ignore": 0
    }  # fmt: skip
    assert paint(choose_picture("picture", shown(rgb=rgb), None, looks)).format == "jpeg"
    bare = paint(choose_picture("model", picture, None, looks))
    assert np.array_equal(pixels(bare.data), rgb)


def test_toggles_take_classes_away() -> None:
    rgb = np.full((40, 40, 3), 90, np.uint8)
    mask = np.zeros((40, 40), np.uint8)
    mask[10:30, 10:30] = ROCK
    assert np.array_equal(overlay(rgb, mask, Looks(rock=False, outline=False, regolith=False)), rgb)
    only_rock = overlay(rgb, mask, Looks(outline=False, regolith=False))
    assert (only_rock != rgb).any(axis=2).sum() == 400
    assert (overlay(rgb, mask, Looks(rock=False, regolith=False)) != rgb).any(axis=2).sum() < 100


def test_depth_colours_run_from_near_to_far() -> None:
    depth = np.array([[0.1, NEAR_M, 30.0, FAR_M, 1e5, np.inf]], np.float32)
    rgb = draw_depth(depth)[0]
    light = rgb.astype(float) @ [0.2126, 0.7152, 0.0722]
    assert np.array_equal(rgb[0], rgb[1]) and np.array_equal(rgb[3], rgb[4])
    assert light[1] > light[2] > light[3] > light[5] == 0


def test_the_words_below_the_picture() -> None:
    whole, moving = shown(whole=True), shown()
    at_rest = paint(choose_picture("picture", whole, None, Looks()))
    words = caption(at_rest, exact=True, live=None, legend=True)
    assert 'data-state="exact"' in words and "frame 4 of val · as exported · 40×30 px · 12 ms" in words
    assert 'data-state="aimed"' in caption(at_rest, exact=False, live=None, legend=True)
    coarse = paint(choose_picture("labels", moving, None, Looks()))
    words = caption(coarse, exact=True, live=None, legend=True)
    assert 'data-state="moving"' in words and '<b data-share="regolith">100.0 %</b>' in words
    legend = class_legend({"regolith": 3, "rock": 1, "sky": 0, "ignore": 0})
    assert legend.index("Rock") < legend.index("Regolith") < legend.index("Sky") and "25.0 %" in legend
