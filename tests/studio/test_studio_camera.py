"""The rover's camera: what rests on the page is what export writes, and only the newest wish counts."""

from __future__ import annotations

import dataclasses
import io
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from studio_stand import PATIENCE_S, until

from regolith.lunar.dataset.chunk import author_scene
from regolith.lunar.dataset.generate import generate
from regolith.lunar.dataset.layout import read_journal
from regolith.lunar.dataset.outputs import file_name
from regolith.lunar.params import InputError, Params, load_preset
from regolith.lunar.randomize import draw_frame
from regolith.lunar.render.base import Frame, StoppedError
from regolith.lunar.studio.camera import QUICK_PX, STEPS, RoverCamera, Shown, quick_size
from regolith.lunar.studio.picture import Looks, choose_picture, paint

SIZE = (96, 72)


def small(params: Params) -> Params:
    """A scene that is built in a fraction of a second."""
    changes = {"terrain": {"size_m": 40.0, "cell_m": 0.4}, "rocks": {"shape_count": 3}}
    return params.model_copy(
        update={group: getattr(params, group).model_copy(update=values) for group, values in changes.items()}
    )


PARAMS = small(load_preset("v1"))


class Film:
    """Every picture a camera shows."""

    def __init__(self) -> None:
        self.shots: list[Shown] = []
        self.failures: list[Exception] = []

    @property
    def whole(self) -> Shown | None:
        return self.shots[-1] if self.shots and self.shots[-1].whole else None


@pytest.fixture
def film() -> Film:
    return Film()


@pytest.fixture
def camera(film: Film) -> Iterator[RoverCamera]:
    made = RoverCamera(film.shots.append, failed=film.failures.append)
    yield made
    made.close()
    assert not film.failures


@pytest.fixture(scope="module")
def scene() -> Any:
    return author_scene(PARAMS, seed=3, split="train_dr", number=0)


def stage_of(scene: Any) -> Any:
    """A stage of its own: a renderer edits what it is given."""
    from regolith.lunar.stage.author import author_stage

    return author_stage(scene[0])


def frame_of(scene: Any, index: int) -> Any:
    return draw_frame(PARAMS, 3, "train_dr", index, scene[0])


def test_at_rest_it_is_what_export_writes(camera: RoverCamera, film: Film, scene: Any, tmp_path: Path) -> None:
    """Pixel for pixel: colours, classes and depth, also as they go over the wire, whatever was on show before."""
    params = PARAMS.model_copy(update={"dataset": PARAMS.dataset.model_copy(update={"depth": True})})
    generate(params, split="train_dr", frames=3, width=SIZE[0], height=SIZE[1], seed=3, workers=1, out=tmp_path)
    split = tmp_path / "train_dr"
    records = read_journal(split)
    camera.open(stage_of(scene), frame_of(scene, 0), params, *SIZE).result(PATIENCE_S)
    for index in (0, 2, 1):
        spec = frame_of(scene, index)
        assert spec.to_dict() == records[index].spec
        camera.apply(params, spec, *SIZE).result(PATIENCE_S)
        shown = until(lambda spec=spec: film.whole if film.whole and film.whole.spec == spec else None)
        files = {name: split / file_name(name, index) for name in ("rgb", "mask", "depth")}
        picture = np.asarray(Image.open(files["rgb"]))
        assert np.array_equal(shown.rgb, picture)
        assert shown.mask is not None and shown.depth is not None
        assert np.array_equal(shown.mask, np.asarray(Image.open(files["mask"])))
        assert np.array_equal(shown.depth, np.load(files["depth"]))
        sent = paint(choose_picture("picture", shown, None, Looks()))
        assert sent.format == "png"
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(sent.data))), picture)


def test_it_is_coarse_first_and_whole_at_rest(camera: RoverCamera, film: Film, scene: Any) -> None:
    camera.open(stage_of(scene), frame_of(scene, 0), PARAMS, 700, 500)
    until(lambda: film.whole)
    coarse, final = film.shots[:-1], film.shots[-1]
    assert [shown.rgb.shape[:2] for shown in coarse] == [quick_size(700, 500)[::-1]] * len(STEPS)
    assert final.rgb.shape == (500, 700, 3)
    assert coarse[0].mask is None and final.mask is not None and final.depth is not None
    noise = [float(np.abs(np.diff(shown.rgb[..., 0].astype(int), axis=1)).mean()) for shown in coarse]
    assert noise[1] < noise[0]  # more samples, less noise


@pytest.mark.parametrize("size", [(480, 360), (512, 512), (1920, 1080), (100, 3000), (64, 64), (8192, 1)])
def test_the_coarse_picture_keeps_the_shape(size: tuple[int, int]) -> None:
    width, height = quick_size(*size)
    assert width * height <= QUICK_PX and width <= size[0] and height <= size[1]
    if size[0] * size[1] <= QUICK_PX:
        assert (width, height) == size
    assert width / height == pytest.approx(size[0] / size[1], rel=0.05)


def test_labels_come_with_every_picture_where_a_view_wants_them(
    camera: RoverCamera, film: Film, scene: Any
) -> None:  # fmt: skip
    camera.open(stage_of(scene), frame_of(scene, 0), PARAMS, *SIZE)
    until(lambda: film.whole)
    camera.mask(True)
    camera.moving(True)
    count = len(film.shots)
    camera.apply(PARAMS, frame_of(scene, 1), *SIZE)
    until(lambda: len(film.shots) == count + len(STEPS))
    for shown in film.shots[count:]:
        assert shown.mask is not None and shown.depth is not None
        assert shown.mask.shape == shown.rgb.shape[:2]
        assert np.array_equal(np.isinf(shown.depth), shown.mask == 2)
    camera.moving(False)
    classes = film.shots[count].mask
    assert classes is not None
    assert np.array_equal(until(lambda: film.whole).mask, classes)  # same size here


class Slow:
    """A renderer whose pictures take as long as a test wants, and name what they are of."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.started: list[str] = []
        self.given_up = 0
        self.problem: Exception | None = None
        self.hold = ""
        """Picture that is held up until it is given up, or this changes."""
        self.delay_s = 0.0

    def load(self, stage: Any) -> Any:
        return stage

    def _draw(self, what: str, stop: Any) -> np.ndarray:
        self.started.append(what)
        time.sleep(self.delay_s)
        while self.hold == what or not self.gate.wait(0.002):
            if stop():
                self.given_up += 1
                raise StoppedError
            time.sleep(0.001)
        if self.problem is not None:
            raise self.problem
        return np.zeros((4, 4, 3), np.uint8)

    def preview(self, width: int, height: int, *, samples: int = 1, stop: Any = None) -> np.ndarray:
        return self._draw(f"preview {samples}", stop)

    def render(self, width: int, height: int, *, stop: Any = None, **options: Any) -> Frame:
        rgb = self._draw(str(options["quality"]), stop)
        return Frame(rgb, np.zeros((4, 4), np.uint8), {"depth": np.ones((4, 4), np.float32)})

    def close(self) -> None:
        pass


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def double(film: Film, slow: Slow) -> Iterator[RoverCamera]:
    """A camera with a renderer the test holds by the hand; its stage is a real one."""
    made = RoverCamera(film.shots.append, failed=film.failures.append, open_renderer=lambda backend: slow)
    yield made
    slow.gate.set()
    made.close()


def test_a_newer_wish_ends_what_refines_an_older(double: RoverCamera, film: Film, slow: Slow, scene: Any) -> None:
    double.open(stage_of(scene), frame_of(scene, 0), PARAMS, *SIZE).result(PATIENCE_S)
    until(lambda: film.whole)
    for started in ("preview 4", "default"):  # what refines the coarse picture
        slow.hold, before = started, slow.given_up
        double.apply(PARAMS, frame_of(scene, 1), *SIZE).result(PATIENCE_S)
        until(lambda started=started: slow.started[-1] == started)
        wishes = [double.apply(PARAMS, frame_of(scene, index), *SIZE) for index in range(2, 12)]
        until(lambda before=before: slow.given_up > before)
        slow.hold = ""
        for wish in wishes:
            wish.result(PATIENCE_S)  # also those whose place a newer one took
        until(lambda: film.whole and film.whole.spec.index == 11)
    assert not any(shown.whole and shown.spec.index not in (0, 11) for shown in film.shots)
    assert [shown.wish for shown in film.shots] == sorted(shown.wish for shown in film.shots)


def test_there_are_pictures_even_where_wishes_come_faster(
    double: RoverCamera, film: Film, slow: Slow, scene: Any
) -> None:  # fmt: skip
    double.open(stage_of(scene), frame_of(scene, 0), PARAMS, *SIZE).result(PATIENCE_S)
    until(lambda: film.whole)
    slow.delay_s = 0.03
    count, numbers = len(film.shots), itertools.count()

    def pictures() -> bool:
        """Wish for another; there are some by now, and wishes were left out between them."""
        double.apply(PARAMS, frame_of(scene, next(numbers) % 5), *SIZE)
        wishes = [shown.wish for shown in film.shots[count:]]
        return len(wishes) >= 5 and max(b - a for a, b in itertools.pairwise(wishes)) > 1

    until(pictures)


def test_the_whole_picture_waits_for_rest(double: RoverCamera, film: Film, slow: Slow, scene: Any) -> None:
    double.moving(True)
    double.open(stage_of(scene), frame_of(scene, 0), PARAMS, *SIZE).result(PATIENCE_S)
    until(lambda: len(film.shots) == len(STEPS))
    with pytest.raises(AssertionError, match="in time"):
        until(lambda: film.whole, 0.4)
    double.moving(False)
    until(lambda: film.whole)
    slow.gate.clear()
    double.apply(PARAMS, frame_of(scene, 1), *SIZE)
    slow.gate.set()
    until(lambda: film.whole and film.whole.spec.index == 1)
    slow.gate.clear()
    double.apply(PARAMS, frame_of(scene, 2), *SIZE)
    until(lambda: slow.started[-1] == "preview 1")
    double.close()  # what is being drawn at the end is given up too
    assert slow.given_up


def test_what_cannot_be_drawn_is_told_once_and_not_for_ever(
    double: RoverCamera, film: Film, slow: Slow, scene: Any
) -> None:  # fmt: skip
    refused: Future[None] = double.apply(PARAMS, frame_of(scene, 0), *SIZE)
    with pytest.raises(InputError, match=r"stage: .*could be opened"):
        refused.result(PATIENCE_S)
    slow.problem = InputError("size", 1, "another")
    double.open(stage_of(scene), frame_of(scene, 0), PARAMS, *SIZE).result(PATIENCE_S)
    until(lambda: film.failures)
    slow.problem = None
    double.apply(PARAMS, frame_of(scene, 1), *SIZE).result(PATIENCE_S)
    until(lambda: film.whole)
    assert [str(error) for error in film.failures] == [str(InputError("size", 1, "another"))]


def test_a_stage_that_cannot_be_read_is_refused(camera: RoverCamera, scene: Any) -> None:
    from pxr import Usd

    with pytest.raises(InputError):
        camera.open(Usd.Stage.CreateInMemory(), frame_of(scene, 0), PARAMS, *SIZE).result(PATIENCE_S)
    with pytest.raises(InputError):
        camera.apply(PARAMS, frame_of(scene, 0), *SIZE).result(PATIENCE_S)


def test_values_held_by_hand_are_drawn_too(camera: RoverCamera, film: Film, scene: Any) -> None:
    spec = frame_of(scene, 0)
    camera.open(stage_of(scene), spec, PARAMS, *SIZE)
    first = until(lambda: film.whole)
    turned = dataclasses.replace(spec, values=spec.values | {"sun_azimuth_deg": spec["sun_azimuth_deg"] + 90.0})
    camera.apply(PARAMS, turned, *SIZE).result(PATIENCE_S)
    second = until(lambda: film.whole if film.whole and film.whole.spec == turned else None)
    assert np.array_equal(first.mask, second.mask)
    assert not np.array_equal(first.rgb, second.rgb)
