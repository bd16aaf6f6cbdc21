"""Tables of ids, as Replicator returns them, become our classes and rock numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regolith.lunar.labels import CLASSES, IGNORE, REGOLITH, ROCK, SKY
from regolith.lunar.render.annotations import classes, image, instances, label_of


@pytest.mark.parametrize(
    ("names", "label"),
    [
        ({"class": "rock"}, ROCK),
        ("regolith", REGOLITH),
        ({"class": "BACKGROUND"}, SKY),
        ("UNLABELLED", IGNORE),
        ({"class": "regolith,rock"}, ROCK),
        ({"class": "rock, regolith"}, ROCK),
        ({"class": "rover,regolith"}, REGOLITH),
        ({"class": "rover"}, IGNORE),
        ({"class": "bedrock"}, IGNORE),
        ({"kind": "rock"}, IGNORE),
        ({}, IGNORE),
    ],
)
def test_names_become_classes(names: Any, label: int) -> None:
    assert label_of(names) == label


@given(st.permutations(sorted(CLASSES)), st.integers(2, 50), st.booleans(), st.integers(0, 2**32 - 1))
def test_classes_do_not_depend_on_ids(order: list[str], first: int, text: bool, seed: int) -> None:
    """Whatever ids a capture gives the classes, in whatever order, as numbers or as text: the mask is the same."""
    names = np.random.default_rng(seed).choice(["BACKGROUND", "UNLABELLED", "regolith", "rock"], (6, 8))
    numbers = {"BACKGROUND": 0, "UNLABELLED": 1} | {name: first + place for place, name in enumerate(order)}
    ids = np.vectorize(numbers.__getitem__, otypes=[np.uint32])(names)
    table = {str(number) if text else number: {"class": name} for name, number in numbers.items()}
    wanted = np.vectorize({"BACKGROUND": SKY, "UNLABELLED": IGNORE, **CLASSES}.__getitem__)(names)
    assert (classes(ids, table) == wanted).all()


def test_ids_without_a_name_are_ignored() -> None:
    ids = np.array([[0, 1, 2, 3, 4, 2**32 - 1]], np.uint32)
    assert classes(ids, {"3": {"class": "rock"}}).tolist() == [[SKY, IGNORE, IGNORE, ROCK, IGNORE, IGNORE]]
    assert classes(np.zeros((2, 2), np.uint32), {}).tolist() == [[SKY, SKY], [SKY, SKY]]


def test_rock_numbers_come_from_prim_paths() -> None:
    table = {
        "0": "BACKGROUND",
        "2": "/World/Ground",
        "3": "/World/Rocks/rock_00000",
        "5": "/World/Rocks/rock_00041/Mesh",
        "6": "/World/Rocks/rockery_00007",
        "7": "/Other/World/Rocks/rock_00008",
    }
    ids = np.arange(9, dtype=np.uint32)[None]
    assert instances(ids, table).tolist() == [[0, 0, 0, 1, 0, 42, 0, 0, 0]]
    with pytest.raises(RuntimeError, match="65535"):
        instances(ids, {"2": "/World/Rocks/rock_65535"})


@pytest.mark.parametrize(
    ("shape", "channels", "wanted"),
    [((3, 4), 0, (3, 4)), ((12,), 0, (3, 4)), ((3, 4, 1), 0, (3, 4)), ((3, 4, 4), 3, (3, 4, 3)), ((48,), 3, (3, 4, 3))],
)
def test_buffers_of_any_shape_become_pictures(shape: tuple[int, ...], channels: int, wanted: tuple[int, ...]) -> None:
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    found = image(data, 4, 3, channels)
    stride = data.size // 12
    assert found.shape == wanted
    assert (found.reshape(12, -1)[:, 0] == np.arange(12) * stride).all()
    data[...] = -1.0
    assert (found >= 0.0).all()  # a copy, not a view of the buffer


@pytest.mark.parametrize(("shape", "channels"), [((5, 5), 0), ((3, 4), 3), ((0,), 0)])
def test_other_sizes_are_refused(shape: tuple[int, ...], channels: int) -> None:
    with pytest.raises(RuntimeError, match="4x3"):
        image(np.zeros(shape), 4, 3, channels)
