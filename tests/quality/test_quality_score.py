"""`regolith score geometry` and `regolith calibrate sensor`: known changes come out in their order."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grounds import scanner, write_places
from hostile import changed, examples, right_or_one_line
from hypothesis import given
from hypothesis import strategies as st
from quality_sets import SAYS

from regolith.lunar import cli
from regolith.lunar.dataset.formats.pointcloud import save_arrays
from regolith.lunar.dataset.formats.source import read_source
from regolith.lunar.dataset.generate import generate
from regolith.lunar.params import InputError, change_params, load_preset
from regolith.lunar.quality import compare, geometry
from regolith.lunar.quality.clouds import read_clouds
from regolith.lunar.quality.density import draw
from regolith.lunar.quality.gate_judge import _geometry
from regolith.lunar.quality.geometry import EXACT_MAX, Distances, distances
from regolith.lunar.quality.score_geometry import RESULT, ScoreGeometry, score_geometry
from regolith.lunar.quality.sensor import Sensor, calibrate_sensor, read_sensor, sizes

ROUGH = {"rough_m": 0.05, "rocks": 12}
"""Ground that plays the real one."""


def scored(real: Path, folder: Path, seeds: range = range(20, 24), **kwargs: Any) -> dict[str, float]:
    result = score_geometry(write_places(folder, seeds, **kwargs), real, patch_m=1.2)
    return {row["class"]: row["score"] for row in result["rows"]}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_places(tmp_path_factory.mktemp("real") / "places", range(4), **ROUGH)


def test_other_places_of_one_kind_score_high_and_changes_in_their_order(tmp_path: Path, real: Path) -> None:
    """Flat ground, which lies nearer to each rough patch than these to each other, is not taken for it."""
    found = {
        "same": scored(real, tmp_path / "same", **ROUGH),
        "rougher": scored(real, tmp_path / "rougher", rough_m=0.08, rocks=12),
        "roughest": scored(real, tmp_path / "roughest", rough_m=0.15, rocks=12),
        "flat": scored(real, tmp_path / "flat", rough_m=0.0, rocks=12),
        "bare": scored(real, tmp_path / "bare", rough_m=0.05),
        "boulders": scored(real, tmp_path / "boulders", rough_m=0.05, rocks=12, rock_m=2.0),
    }
    by_ground, whole = ({name: scores[row] for name, scores in found.items()} for row in ("regolith", "all"))
    for scores in (by_ground, whole):
        assert scores["same"] > 0.75
        assert scores["same"] > scores["rougher"] > scores["roughest"]
        assert scores["flat"] < 0.6 * scores["same"]
    assert found["flat"]["rock"] > 0.75 and by_ground["bare"] > 0.6, "each class tells of itself"
    assert found["boulders"]["rock"] < 0.5 and found["bare"]["rock"] == 0.0


def test_real_against_itself_is_one(real: Path) -> None:
    result = score_geometry(real, real, patch_m=1.2)
    assert [row["score"] for row in result["rows"]] == [1.0, 1.0, 1.0]
    assert result["compared"] == "patches" and result["clouds"] == {"synth": 4, "real": 4}


def test_the_order_of_points_and_the_run_do_not_matter(tmp_path: Path, real: Path) -> None:
    first = write_places(tmp_path / "first", range(20, 22), **ROUGH)
    second = tmp_path / "second"
    second.mkdir()
    for path in first.iterdir():
        arrays = dict(np.load(path))
        order = np.random.default_rng(0).permutation(len(arrays["points"]))
        save_arrays(second / path.name, {name: values[order] for name, values in arrays.items()})
    one, other = (score_geometry(each, real, patch_m=1.2) for each in (first, second))
    assert one["rows"] == other["rows"]
    assert one["rows"] != score_geometry(first, real, patch_m=1.2, seed=1)["rows"]


def test_without_labels_there_is_one_row(tmp_path: Path, real: Path) -> None:
    synth = write_places(tmp_path / "s", range(20, 22), unlabelled=True, **ROUGH)
    assert [row["class"] for row in score_geometry(synth, real, patch_m=1.2)["rows"]] == ["all"]


def test_patches_of_more_points_than_are_compared_exactly(
    tmp_path: Path, real: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each patch has another number of points, of which each sample has at most so many: none is sliced."""
    for module in (geometry, compare):
        monkeypatch.setattr(module, "EXACT_MAX", 40, raising=False)
    synth = write_places(tmp_path / "synth", range(20, 22), **ROUGH)
    result = score_geometry(synth, real, patch_m=1.2, points=1_000_000)
    assert [(row["points"], row["method"]) for row in result["rows"][:1]] == [(40, "exact")]


def test_one_real_place_has_no_floor(tmp_path: Path, real: Path) -> None:
    alone = write_places(tmp_path / "alone", range(1), **ROUGH)
    with pytest.raises(InputError, match=r"real: .* of two or more places on both sides \(here [^;]*$"):
        score_geometry(real, alone, patch_m=1.2)
    with pytest.raises(InputError, match=r"real: .* of two or more places .*; or --sensor"):
        ScoreGeometry(synth=real, real=alone, patch_m=1.2, out=tmp_path / "out", events=True).run()
    with pytest.raises(InputError, match="6 or more filled patches"):
        score_geometry(real, real, patch_m=100.0)


def scans(
    folder: Path, seeds: range, *, beams: int = 16, power: float = 1.0, move: float = 0.0, rock: bool = False,
    stood: Sequence[float] | None = None,
) -> Path:  # fmt: skip
    """Scans of one place by one scanner; moved up by [m], maybe with a block of rock that the place has.

    In the frame of a stage where the scanner `stood` somewhere there [m], else about the scanner.
    """
    folder.mkdir(parents=True)
    for seed in seeds:
        points = scanner(seed, beams, power=power) + np.array([0, 0, move])
        classes = np.zeros(len(points), np.uint8)
        classes[(np.abs(points[:, :2] - 4) < 1.5).all(axis=1)] = 1
        points[classes == 1, 2] += 0.5 * rock
        arrays = {"points": points, "class": classes}
        if stood is not None:
            pose = np.eye(4)
            pose[:3, 3] = stood
            arrays = {"points_world": points + stood, "class": classes, "camera_to_world": pose}
        save_arrays(folder / f"scan_{seed:03d}.npz", arrays)
    return folder


@pytest.fixture(scope="module")
def sensor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sensor")
    scans(folder / "scans", range(4))
    calibrate_sensor(folder / "scans", folder / "sensor.json", name="scanner 16", most=512, pairs=4)
    return folder / "sensor.json"


def test_a_sensor_file_says_what_repeated_scans_differ_by(sensor: Path) -> None:
    read = read_sensor(sensor)
    assert read.sensor == "scanner 16" and read.scans == 4
    rows = [row for row in read.rows if row.class_ == "all"]
    assert [row.points for row in rows] == [64, 128, 256, 512] and {row.method for row in rows} == {"exact"}
    means = [row.emd.mean for row in rows]
    assert means == sorted(means, reverse=True)
    assert all(row.emd.p5 <= row.emd.p50 <= row.emd.p95 for row in rows)


def test_expected_between_the_measured_sizes(sensor: Path) -> None:
    read = read_sensor(sensor)
    low, high = (read.most_expected("all", count) for count in (64, 128))
    between = read.most_expected("all", 90)  # 64 · √2, half-way along the logarithm
    assert low and high and between
    assert between.emd == pytest.approx((low.emd + high.emd) / 2, rel=0.01)
    assert between.chamfer == pytest.approx((low.chamfer + high.chamfer) / 2, rel=0.01)
    assert [read.most_expected("all", count) for count in (63, 513)] == [None, None]
    assert read.most_expected("sky", 64) is None
    assert read.measured("all") == "64 … 512" and read.measured("sky") == "none"


def test_sizes_close_the_step_from_exact_to_sliced(tmp_path: Path) -> None:
    rows = [
        {"class": "all", "points": count, "method": method, "pairs": 2, **dict.fromkeys(Distances._fields, spread)}
        for count, method, level in ((9000, "exact", 1.0), (20000, "sliced", 0.5))
        for spread in [dict.fromkeys(("mean", "p5", "p50", "p95"), level) | {"std": 0.0}]
    ]
    read = Sensor.model_validate({"schema": 1, "sensor": "s", "scans": 2, "rows": rows})
    assert read.most_expected("all", 9500) is None and read.most_expected("all", 15_000) is None
    np.savez(tmp_path / "a.npz", points=np.random.default_rng(0).normal(size=(30_000, 3)))
    clouds = read_clouds(Path(f"{tmp_path / 'a.npz'},{tmp_path / 'a.npz'}"), field="x")
    assert sizes(clouds, None, 25_000)[-5:] == [8192, EXACT_MAX, EXACT_MAX + 1, 16384, 25_000]


def test_pairs_of_one_place(tmp_path: Path, sensor: Path) -> None:
    """A repeated scan is as good as real, a denser one nearly; identical ones are 1, moved ones less."""
    base = scans(tmp_path / "base", range(10, 12))
    others = {
        "identical": base,
        "in its stage": scans(tmp_path / "staged", range(10, 12), stood=(30.0, -7.0, 2.5)),
        "repeated": scans(tmp_path / "repeated", range(20, 22)),
        "denser": scans(tmp_path / "denser", range(20, 22), beams=128, power=2.0),
        "raised": scans(tmp_path / "raised", range(20, 22), move=0.5),
        "higher": scans(tmp_path / "higher", range(20, 22), move=1.5),
    }
    found = {name: score_geometry(synth, base, sensor=sensor, points=400) for name, synth in others.items()}
    score = {name: result["score"] for name, result in found.items()}
    assert score["identical"] == score["in its stage"] == 1.0 and score["repeated"] > 0.85 and score["denser"] > 0.7
    assert score["repeated"] > score["raised"] > score["higher"]
    row = found["repeated"]["rows"][0]
    assert 0.05 < row["relief"]["real_m"] < row["spacing_m"] and "points lie" in row["note"]
    assert found["repeated"]["compared"] == "paired" and row["samples"] == 2 and row["points"] == 400
    assert row["chamfer"]["closeness"] == row["chamfer"]["score"] and row["spread"] is None
    same = found["identical"]["rows"][0]["emd"]
    assert 0 < same["distance_m"] < same["max_expected_distance_m"], "two samples are drawn, as of repeated scans"


def test_repeated_scans_are_within_the_largest_expected_distance_at_its_rate(tmp_path: Path) -> None:
    """Some 19 of 20 pairs by each distance, which is why it is a percentile: of the mean, about half are."""
    scans(tmp_path / "first", range(8))
    calibrate_sensor(tmp_path / "first", tmp_path / "sensor.json", most=64, pairs=56)
    largest = read_sensor(tmp_path / "sensor.json").most_expected("all", 64)
    drawn = [draw(scanner(seed, 16), 64, np.random.default_rng(seed)) for seed in range(100, 260)]
    found = np.array([distances(*pair) for pair in zip(drawn[::2], drawn[1::2], strict=True)])
    assert ((found <= largest).mean(axis=0) >= 0.85).all()


def test_scans_with_classes_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are mapped as `score geometry` maps REAL's."""
    for seed in range(2):
        points = scanner(seed, 16)
        save_arrays(tmp_path / f"scan_{seed}.npz", {"points": points, "class": np.where(points[:, 0] > 0, 64, 2)})
    line = f"calibrate sensor {tmp_path} --out {tmp_path / 'sensor.json'} --most 64 --pairs 2".split()
    assert cli.main(line) == 2
    assert "class 64 is none of classes" in capsys.readouterr().err
    assert cli.main([*line, "--classes", "regolith=2,rock=64"]) == 0
    assert [row.class_ for row in read_sensor(tmp_path / "sensor.json").rows] == ["all", "regolith", "rock"]


def test_a_name_no_reader_takes_is_refused_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"calibrate sensor {tmp_path / 'none'} --out {tmp_path / 'sensor.json'} --name".split()
    assert cli.main([*line, "s" * 201]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("regolith: name: ") and said.endswith("at most 200 characters")
    scans(tmp_path / "scans", range(2))
    calibrate_sensor(tmp_path / "scans", tmp_path / "sensor.json", name="s" * 200, most=64, pairs=2)
    assert len(read_sensor(tmp_path / "sensor.json").sensor) == 200


def test_a_sensor_of_other_sizes_or_scans_that_do_not_pair(tmp_path: Path, sensor: Path) -> None:
    base = scans(tmp_path / "base", range(2))
    with pytest.raises(InputError, match=r"points: 600 is not allowed; allowed: 64 … 512, where scanner 16"):
        score_geometry(base, base, sensor=sensor, points=600)
    with pytest.raises(InputError, match="real: '1 clouds' is not allowed; allowed: 2, one for each of SYNTH"):
        score_geometry(base, base / "scan_000.npz", sensor=sensor, points=100)
    up = tmp_path / "up.npz"
    np.savez(up, points=-scanner(0, 16))
    with pytest.raises(InputError, match="64 points at the same elevations"):
        score_geometry(up, base / "scan_000.npz", sensor=sensor, points=100)


def test_scans_that_do_not_suffice(tmp_path: Path) -> None:
    np.savez(tmp_path / "few.npz", points=np.zeros((60, 3)))
    for path, why in ((f"{tmp_path}/few.npz", "at least two scans"), (f"{tmp_path}/few.npz," * 2, "64 points or more")):
        with pytest.raises(InputError, match=why):
            calibrate_sensor(path, tmp_path / "sensor.json")
    assert not (tmp_path / "sensor.json").exists()


def test_hostile_sensor_files(tmp_path: Path, sensor: Path) -> None:
    data = json.loads(sensor.read_text())
    path = tmp_path / "sensor.json"

    @examples(60)
    @given(st.data())
    def look(chosen: st.DataObject) -> None:
        path.write_text(json.dumps(chosen.draw(changed(data))))
        right_or_one_line(lambda: read_sensor(path).most_expected("all", 100))

    look()
    for text in ("", "{", "[]", "null"):
        path.write_text(text)
        assert not right_or_one_line(lambda: read_sensor(path))
    assert not right_or_one_line(lambda: read_sensor(tmp_path))


def test_verbs_write_what_they_return(tmp_path: Path, real: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    line = ["score", "geometry", str(real), "--real", str(real), "--patch-m", "1.2", "--out", str(out)]
    assert cli.main([*line, "--json", str(tmp_path / "r.json")]) == 0
    said = capsys.readouterr().out
    assert "regolith  1.000" in said and str(out / RESULT) in said and "patches of 1.2 m" in said
    result = json.loads((out / RESULT).read_text())
    assert result == json.loads((tmp_path / "r.json").read_text())
    assert SAYS["score_geometry"](result) == "score 1.000"
    assert cli.main([*line, "--sensor", str(tmp_path / "none.json")]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "No such file" in said
    scans(tmp_path / "scans", range(2))
    target = tmp_path / "sensor.json"
    assert cli.main(f"calibrate sensor {tmp_path / 'scans'} --out {target} --most 128 --pairs 2".split()) == 0
    assert "128 points: Chamfer" in capsys.readouterr().out
    assert json.loads(target.read_text())["rows"][0]["points"] == 64


@pytest.mark.parametrize("version", ["none", "0.9.6"])
def test_without_pot_a_line_says_what_to_install(
    tmp_path: Path, sensor: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """Said before any cloud is looked for; POT 0.9.6 lacks what 0.9.7 has."""
    if version == "none":
        for name in ("ot", "ot.lp"):
            monkeypatch.setitem(sys.modules, name, None)
    else:
        monkeypatch.delattr("ot.lp.emd2_lazy")
    gone = tmp_path / "gone"
    for ask in (
        lambda: score_geometry(gone, gone),
        lambda: score_geometry(gone, gone, sensor=sensor),
        lambda: calibrate_sensor(gone, tmp_path / "sensor.json"),
    ):
        with pytest.raises(InputError, match=r"POT 0\.9\.7 or later: .* -m pip install .*POT"):
            ask()
    with pytest.raises(InputError, match=r"synth: .*gone"):  # sliced alone may do without
        score_geometry(gone, gone, sensor=sensor, points=EXACT_MAX + 1)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Depth frames of the real renderer: rough ground twice, flat ground once."""
    plain = {
        "relief.enabled": "false", "terrain.cell_m": 0.2, "rocks.far_radius_m": 0, "rocks.subdivision": 3,
        "rocks.diameter_min_m": 0.3, "dataset.depth": "true", "dataset.frames_per_scene": 1, "domain.pitch_deg": -30,
    }  # fmt: skip
    rough = change_params(load_preset("v1"), plain | {"terrain.rms_slope_deg": 10})
    flat = change_params(load_preset("v1"), plain | {"terrain.rms_slope_deg": 1})
    root = tmp_path_factory.mktemp("frames")
    for name, params, seed in (("real", rough, 1), ("other seed", rough, 2), ("flat", flat, 3)):
        generate(params, root / name, split="val", frames=4, width=96, height=96, seed=seed, executor="in-process")
    return {name: root / name / "val" for name in ("real", "other seed", "flat")}


def test_frames_of_other_seeds_score_higher_than_of_another_ground(
    frames: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    other, flat = (score_geometry(frames[name], frames["real"], patch_m=1.0) for name in ("other seed", "flat"))
    assert other["score"] > 0.75 and flat["score"] < 0.6
    split = read_source(frames["flat"])
    too_large, check = _geometry(split, frames["real"], None, 0.75, 500.0, 0, lambda event: None)
    assert too_large is None and "filled patches" in check.note
    monkeypatch.setitem(sys.modules, "ot.lp", None)
    with pytest.raises(InputError, match=r"POT 0\.9\.7"):  # which is no want of points
        _geometry(split, frames["real"], None, 0.75, 1.0, 0, lambda event: None)
