"""The parts of the study of ratios that decide what its table says: windows, folds, rare rocks, figures."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import model_start  # noqa: E402
import study_ratio  # noqa: E402
import torch  # noqa: E402

from regolith.lunar.labels import IGNORE, ROCK  # noqa: E402
from regolith.lunar.perception.session import load_model  # noqa: E402
from regolith.lunar.quality.pictures import Picture  # noqa: E402
from training.checkpoint import read_checkpoint  # noqa: E402
from training.networks import load_network  # noqa: E402


def test_windows_reach_every_edge_of_a_photograph() -> None:
    width, height = study_ratio.PHOTO_PX, 333
    covered = np.zeros((height, width), bool)
    for left, top in study_ratio.windows(width, height):
        inside = covered[top : top + study_ratio.WINDOW[1], left : left + study_ratio.WINDOW[0]]
        assert inside.shape == study_ratio.WINDOW[::-1]
        inside[:] = True
    assert covered.all()


def test_each_terrain_is_tested_in_one_fold() -> None:
    tested = [terrain for terrains in study_ratio.FOLDS.values() for terrain in terrains]
    assert len(set(tested)) == len(tested)
    assert study_ratio.fold_of("polar_terrain02_C1.png") == study_ratio.fold_of("polar_terrain01_A.png")
    assert study_ratio.fold_of("polar_terrain11_A.png") == "11"


@pytest.fixture(scope="module")
def picture() -> Picture:
    """Eight rocks alike on grey ground, and one that is large and dark; a corner that is ignored."""
    rgb, classes = np.full((200, 256, 3), 100, np.uint8), np.zeros((200, 256), np.uint8)
    for k in range(8):
        place = np.s_[10:20, 20 + 25 * k : 30 + 25 * k]
        rgb[place], classes[place] = 180, ROCK
    rgb[60:100, 60:100], classes[60:100, 60:100] = 20, ROCK
    classes[:10, :10] = IGNORE
    return Picture("polar_terrain04_A.png", rgb, classes, "a")


def test_a_rock_unlike_the_others_is_rare(picture) -> None:
    flags, about = study_ratio.rare_rocks([picture])
    assert flags == {picture.name: [False] * 8 + [True]}
    assert about["rocks"] == 9 and about["rare"] == 1


def test_figures_tell_common_from_rare_and_alarms_from_misses(picture) -> None:
    said = picture.classes.copy()
    said[60:100] = 0  # the rare rock is missed
    said[10:20, 20:30] = 0  # and a common one
    said[150:160, 150:160] = ROCK  # an alarm
    said[180, 180] = ROCK  # a speck is none
    rows = {picture.name: study_ratio.compare(picture, said)}
    found = study_ratio.figures(rows, study_ratio.rare_rocks([picture])[0])
    assert found["common"] == found["common_found"] == pytest.approx(7 / 8) and found["tail"] == 0
    assert found["iou"] == pytest.approx(700 / (700 + 101 + 1700))
    assert found["false_share"] == pytest.approx(101 / (200 * 256 - 2400 - 100)) and found["false_rocks"] == 1


def test_a_line_of_the_table_has_spread_where_there_are_seeds() -> None:
    figures = {"iou": 0.5, "common": 0.4, "tail": 0.3, "false_share": 0.01, "false_rocks": 3.0}
    row = {"polar": figures, "folds": dict.fromkeys(study_ratio.FOLDS, 0.5)}
    row |= {"apollo": {"iou": 0.2}, "apollo_boulders": {"iou": 0.1}}
    assert study_ratio.say([row]).startswith("0.500 | 0.400 | 0.300 | 1.00 % | 3.0 | 0.200")
    assert study_ratio.say([row, row | {"polar": figures | {"iou": 0.7}}]).startswith("0.600 ± 0.141 | 0.400 ± 0.000")


def test_a_start_of_the_shipped_model_is_that_model_and_normalises_by_its_batches(tmp_path) -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (2, 64, 96, 3), np.uint8)
    written = model_start.write_start("default", tmp_path / "start.pt", list(pictures))
    network = load_network(read_checkpoint(written)).eval()
    shipped = load_model("default", threads=1).logits(pictures)
    for own_statistics in (False, True):
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.train(own_statistics)  # of these pictures, which the start was measured on
        with torch.no_grad():
            assert np.abs(network(torch.from_numpy(pictures)).numpy() - shipped).max() < 1e-3
