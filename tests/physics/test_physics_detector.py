"""A pilot that drives round what it sees: its map, and its way round a rock that only pictures tell it of."""

import json
from pathlib import Path

import numpy as np
import pytest

from regolith.lunar import cli
from regolith.lunar.labels import ROCK
from regolith.lunar.params import InputError
from regolith.lunar.physics.detector import RockMap, open_detector
from regolith.lunar.physics.plan import CELL_M
from regolith.lunar.physics.traverse import RESULT
from regolith.lunar.render import Frame

FLAT = [
    "--preset", "v1", "--terrain.cell-m", "0.4", "--terrain.rms-slope-deg", "0.5", "--relief.enabled", "false",
    "--craters.density", "0", "--rocks.abundance", "0.06", "--rocks.diameter-min-m", "0.4", "--soil", "none",
    "--split", "val", "--size", "96", "--seed", "3",
]  # fmt: skip


def test_a_cell_is_rock_where_half_of_what_fell_on_it_is() -> None:
    seen = RockMap(2.0)
    places = np.array([[1.0, 0.5], [1.0, 0.5], [1.02, 0.49], [-1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0], [9.0, 0.0]])
    seen.add(places, np.array([True, False, True, True, False, False, True]))
    rows, columns = np.nonzero(seen.taken)
    middle = len(seen.taken) // 2
    assert [((columns - middle) * CELL_M).tolist(), ((rows - middle) * CELL_M).tolist()] == [[1.0], [0.5]]
    seen.add(places[3:4], np.array([True]))
    assert seen.taken.sum() == 2


def test_what_sees_rock_is_named() -> None:
    frame = Frame(np.zeros((4, 4, 3), np.uint8), np.full((4, 4), ROCK, np.uint8))
    assert (open_detector("truth")(frame) == ROCK).all()
    assert (open_detector("default", threads=1)(Frame(np.zeros((64, 64, 3), np.uint8), frame.mask)) != ROCK).any()
    with pytest.raises(InputError, match="'nobody' is not allowed"):
        open_detector("nobody")


def test_who_sees_the_rocks_goes_round_them(tmp_path: Path) -> None:
    """What the labels tell a plan beforehand the pictures tell on the way: blind it touches a rock, seeing none."""
    words = ["traverse", *FLAT, "--avoid", "all", "--model", "truth", "--distance-m", "6", "--time-max-s", "120"]
    assert cli.main([*words, "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / RESULT).read_text("utf-8"))
    blind, told, seeing = result["runs"]
    assert [run["outcome"] for run in result["runs"]] == ["reached"] * 3
    assert [len(run["rocks"]) for run in (blind, told, seeing)] == [1, 0, 0]
    assert seeing["seen_px"]["tp"] > 1000 and (seeing["seen_px"]["fp"], seeing["seen_px"]["fn"]) == (0, 0)
    assert (result["model"], result["totals"]["model"]["rock_iou"]) == ("truth", 1.0)
    assert result["totals"]["labels"]["rock_iou"] is None
    assert [result["totals"][how]["success"]["count"] for how in ("none", "labels", "model")] == [0, 1, 1]
