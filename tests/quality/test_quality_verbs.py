"""`score semantics` and `drift` on small sets: what they find, what they say, what they refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from quality_sets import SAYS, one_view, photo_folder, write_set

from regolith.lunar import cli
from regolith.lunar.params import CheckError
from regolith.lunar.perception.session import load_model
from regolith.lunar.quality.drift import Drift, compare_sets, even_out, mean_entropy, measure_drift
from regolith.lunar.quality.features import Features
from regolith.lunar.quality.semantics import score_semantics


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two splits of one kind, one of another grain, and photographs of the first kind with their masks."""
    folder = tmp_path_factory.mktemp("sets")
    images, masks = photo_folder(folder / "photos", 6)
    return {
        "split": write_set(folder / "split", 8),
        "same": write_set(folder / "same", 8, seed=1),
        "coarse": write_set(folder / "coarse", 8, seed=2, grain=60),
        "bare": write_set(folder / "bare", 8, seed=3, rock=False),
        "scenes": write_set(folder / "scenes", 8, seed=4, scenes=2),
        "images": images,
        "masks": masks,
    }


def test_one_kind_is_near_and_another_grain_far(sets: dict[str, Path]) -> None:
    near = score_semantics(sets["split"], sets["images"], masks=sets["masks"], threads=1)["classes"]
    far = score_semantics(sets["coarse"], sets["images"], masks=sets["masks"], threads=1)["classes"]
    for name in ("regolith", "rock"):
        assert near[name]["neighbour"]["value"] < 0.1 < 0.15 < far[name]["neighbour"]["value"]
        assert far[name]["mmd"]["p"] <= 0.005 and far[name]["mmd"]["value"] > near[name]["mmd"]["value"]
        low, high = far[name]["neighbour"]["interval"]
        assert 0 < low < high <= 1
        assert far[name]["frechet"]["value"] > near[name]["frechet"]["value"] >= 0
    assert near["rock"]["groups"] == [8, 6]


def test_the_result_is_the_same_for_one_seed_and_says_what_it_is(
    sets: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"score semantics {sets['split']} --real {sets['images']} --threads 1 --seed 3"
    results = []
    for name in ("a", "b"):
        assert cli.main(f"{line} --masks {sets['masks']} --out {tmp_path / name}".split()) == 0
        results.append((tmp_path / name / "semantics.json").read_bytes())
    assert results[0] == results[1]
    result = json.loads(results[0])
    assert set(result) == {"model", "size", "seed", "synth", "real", "classes", "regions", "notes"}
    assert re.fullmatch(r"divergence: regolith 0\.\d{3} .*, rock 0\..*, sky 0\..*", SAYS["score_semantics"](result))
    assert result["model"]["layer"] == "add_256" and result["real"]["labels"] == "masks" and result["notes"] == []
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["class", "cells", "JSD,", "norms", "JSD,", "neighbours", "Fréchet", "MMD²", "(p)"]
    assert [row.split()[0] for row in table[1:4]] == ["regolith", "rock", "sky"]
    assert [row.split("  ")[0] for row in table[4:6]] == ["regolith near rocks", "regolith elsewhere"]
    parts, whole = result["regions"].values(), result["classes"]["regolith"]
    assert [sum(side) for side in zip(*(part["cells"] for part in parts), strict=True)] == whole["cells"]
    assert all(min(part["cells"]) > 0 and part["mmd"]["p"] > 0.01 for part in parts)
    model = one_view(tmp_path / "model")
    assert cli.main(f"{line} --model {model} --out {tmp_path / 'pseudo'}".split()) == 0
    said = capsys.readouterr().out
    assert "note: the real pictures have no labels: their classes are what the model predicts" in said
    assert json.loads((tmp_path / "pseudo" / "semantics.json").read_text())["real"]["labels"] == "pseudo"


def test_a_class_missing_on_one_side_is_as_unlike_as_can_be(sets: dict[str, Path]) -> None:
    found = score_semantics(sets["bare"], sets["images"], masks=sets["masks"], threads=1)["classes"]["rock"]
    assert found["norm"]["value"] == found["neighbour"]["value"] == 1
    assert found["frechet"] is None and "synthetic side" in found["note"]
    both = score_semantics(sets["bare"], sets["bare"], classes=("rock",), threads=1)["classes"]
    assert list(both) == ["rock"] and both["rock"]["norm"] is None and "either" in both["rock"]["note"]


def test_few_scenes_give_a_p_value_and_no_interval(sets: dict[str, Path]) -> None:
    row = score_semantics(sets["scenes"], sets["split"], classes=("regolith",), threads=1)["classes"]["regolith"]
    assert row["mmd"]["p"] > 0 and all(row[key]["interval"] is None for key in ("norm", "neighbour", "frechet", "mmd"))
    assert "fewer than 5 scenes" in row["note"]


def test_one_scene_gives_no_interval(sets: dict[str, Path], tmp_path: Path) -> None:
    alone = write_set(tmp_path / "alone", 3, scenes=1)
    row = score_semantics(alone, sets["split"], threads=1)["classes"]["regolith"]
    assert row["norm"]["interval"] is None and row["neighbour"] is None and "one scene" in row["note"]


@pytest.mark.parametrize(
    ("flags", "field"),
    [
        ("--classes rocks", "classes"),
        ("--layer 5", "layer"),
        ("--layer nowhere", "layer"),
        pytest.param(f"--layer {'8' * 5000}", "layer", id="digits"),
        ("--model nothing", "model"),
        ("--masks nowhere", "masks"),
    ],
)
def test_bad_input_is_one_line(
    sets: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: str, field: str
) -> None:
    line = f"score semantics {sets['split']} --real {sets['images']} --threads 1 --out {tmp_path / 'out'} {flags}"
    assert cli.main(line.split()) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"regolith: {field}: ")


def test_drift_is_an_exit_code(sets: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert cli.main(f"drift {sets['split']} {sets['same']} --threads 1 --out {out}".split()) == 0
    result = json.loads((out / "drift.json").read_text())
    assert result["alert"] is False and min(result[name]["p"] for name in ("features", "entropy")) > 0.025
    assert capsys.readouterr().out.splitlines()[1].startswith("features")
    assert cli.main(f"drift {sets['split']} {sets['coarse']} --threads 1 --out {out}".split()) == 1
    result = json.loads((out / "drift.json").read_text())
    assert result["alert"] is True and result["features"]["p"] <= 0.025
    said = capsys.readouterr()
    assert said.err.splitlines()[-1].startswith("regolith: drift in features") and "mean entropy" in said.out
    assert result["features"]["neighbour"]["value"] > 0.2
    page = (out / "drift.html").read_text()
    assert "Drift: drift" in page and "New, entropy_bit from" in page and page.count("<figure") >= 3


def test_photographs_drift_too(sets: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(CheckError) as error:
        Drift(reference=sets["coarse"], new=sets["images"], size=64, threads=1, out=tmp_path).run()
    assert error.value.result is not None and error.value.result["new"]["labels"] == "pseudo"


def test_what_cannot_alarm_is_refused(
    sets: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two scenes against eight no p-value falls below 1/45; of four against four none below 2/70."""
    line = f"drift {sets['scenes']} {sets['split']} --threads 1 --out {tmp_path / 'out'}"
    assert cli.main(f"{line} --level 0.04".split()) == 2
    assert "2 and 8 scenes or photographs" in capsys.readouterr().err
    found = measure_drift(sets["scenes"], sets["split"], threads=1)
    assert found["smallest_p"] == pytest.approx(1 / 45)
    assert found["features"]["mmd"]["interval"] is None and "no interval" in found["notes"][0]
    four = write_set(tmp_path / "four", 4)
    assert cli.main(f"drift {four} {four} --threads 1 --out {tmp_path / 'out'}".split()) == 2
    assert "no less than 0.058 with 4 and 4" in capsys.readouterr().err
    assert cli.main(f"drift {four} {four} --level 0.058 --threads 1 --out {tmp_path / 'out'}".split()) == 0


def test_false_alarms_of_both_tests_are_no_more_than_the_level() -> None:
    """200 trials of sets of one kind: 10 expected at 5 %, with a standard deviation of 3.1."""
    random = np.random.default_rng(0)
    alarms = 0
    for trial in range(200):
        features, entropies = [], []
        for count in (8, 7):
            number = np.repeat(np.arange(count, dtype=np.int32), 5)
            base = random.normal(size=(count, 4))
            rows = (base[number] + random.normal(size=(len(number), 4))).astype(np.float32)
            features.append(Features(rows, np.zeros(len(number), np.uint8), number, number))
            whole = np.arange(count, dtype=np.int32)
            level = (base[:, :1] + random.normal(size=(count, 1))).astype(np.float32)
            entropies.append(Features(level, np.zeros(count, np.uint8), whole, whole))
        p = [compare_sets(*pair, seed=trial, rounds=1)["p"] for pair in (features, entropies)]
        alarms += min(p) <= 0.05 / 2
    assert 2 <= alarms <= 19


def test_groups_of_unlike_size_raise_no_more_false_alarms() -> None:
    """200 trials of scenes of eight pictures against single photographs: the mean of eight varies less than one."""
    random = np.random.default_rng(1)
    alarms = 0
    for trial in range(200):
        sides = []
        for scenes, frames, cells in ((30, 8, 2), (8, 1, 5)):
            group, picture = (np.repeat(np.arange(n), scenes * frames * cells // n) for n in (scenes, scenes * frames))
            rows = sum(random.normal(size=(number.max() + 1, 6))[number] for number in (group, picture))
            values = (rows + random.normal(size=(len(group), 6))).astype(np.float32)
            sides.append(Features(values, np.zeros(len(group), np.uint8), picture, group))
        alarms += compare_sets(*sides, seed=trial, rounds=1)["p"] <= 0.05
    assert 2 <= alarms <= 19


def test_equally_many_pictures_of_each_group_and_cells_of_each_picture_are_drawn() -> None:
    """Scenes of two and three pictures against scenes of four, a picture of two cells among them."""
    pictures = np.repeat(np.arange(5), [7, 4, 5, 6, 2]), np.repeat(np.arange(8), 6)
    groups = np.array([0, 0, 1, 1, 1])[pictures[0]], np.arange(8)[pictures[1]] // 4
    x, y = (
        Features(np.arange(len(p), dtype=np.float32)[:, None], np.zeros(len(p), np.uint8), p, g)
        for p, g in zip(pictures, groups, strict=True)
    )
    cells: set[int] = set()
    for seed in range(20):
        for part, whole in zip(even_out(x, y, seed), (x, y), strict=True):
            rows = part.values[:, 0].astype(int)
            assert len(set(rows)) == len(rows) and np.array_equal(part.pictures, whole.pictures[rows])
            assert {len(set(part.pictures[part.groups == g])) for g in range(2)} == {2}
            (each,) = set(np.unique(part.pictures, return_counts=True)[1].tolist())
            cells.add(each)
    assert cells == {2, 4}  # the fewest of the pictures that were drawn


def test_entropy_of_known_probabilities(tmp_path: Path) -> None:
    segmenter = load_model("default", threads=1, cuda=False)
    rgb = np.full((40, 70, 3), 96, np.uint8)
    found = mean_entropy(segmenter, rgb)
    assert 0 < found < np.log2(3)

    class Known:
        temperature = 1.0

        def logits(self, images: np.ndarray) -> np.ndarray:
            assert images.shape == (1, 64, 96, 3)
            found = np.zeros((1, 3, 64, 96), np.float32)
            found[0, 2] = -1e9
            found[0, 0, :20] = 1e9  # half the picture is certain, half is even between two classes
            return found

    assert mean_entropy(Known(), rgb) == pytest.approx(0.5)  # type: ignore[arg-type]
