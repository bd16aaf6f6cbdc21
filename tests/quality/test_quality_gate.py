"""The gate: thresholds, which frames a class fails by, what is asked for instead, and the loop it closes."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grounds import write_places
from PIL import Image
from quality_sets import PARAMS, SAYS, photo_folder, write_drawn, write_set

from regolith.lunar import cli, open_split
from regolith.lunar.dataset.contract import Contract, digest
from regolith.lunar.dataset.formats.source import read_source
from regolith.lunar.dataset.layout import read_journal
from regolith.lunar.dataset.quarantine import QUARANTINE, Quarantine, write_quarantine
from regolith.lunar.dataset.request import read_request
from regolith.lunar.dataset.verify import verify
from regolith.lunar.labels import CLASSES
from regolith.lunar.params import InputError, Interval, change_params
from regolith.lunar.quality.compare import row
from regolith.lunar.quality.features import Features
from regolith.lunar.quality.gate import Gate, limits_of
from regolith.lunar.quality.gate_frames import Check, ClassVerdict, judge_class
from regolith.lunar.quality.gate_judge import Judged, _geometry, check_points, gate
from regolith.lunar.quality.gate_report import nearest_real
from regolith.lunar.quality.gate_request import Asked, ask_for_class, ask_for_relief, correlate, merged
from regolith.lunar.quality.semantics import compare_class, divergence_of
from training.data import Frames

HIGH_SUN_DEG = 19.0
"""Above it the frames of the drawn split have another grain: the range is 9 … 26°."""


def cells(number: int, shifts: dict[int, float], *, seed: int, each: int = 8) -> Features:
    """Features of as many pictures, of some moved away from the rest."""
    random = np.random.default_rng(seed)
    pictures = np.repeat(np.arange(number, dtype=np.int32), each)
    moved = np.array([shifts.get(int(p), 0.0) for p in pictures])
    values = random.normal(size=(len(pictures), 4)) + np.stack([moved, *np.zeros((3, len(moved)))], axis=1)
    return Features(values.astype(np.float32), np.zeros(len(pictures), np.uint8), pictures, pictures)


def judge(x: Features, y: Features, frames: int, limit: float = 0.15) -> ClassVerdict:
    return judge_class(x, y, compare_class(x, y, "rock", 0), "rock", frames=frames, limit=limit, which="neighbour")


# -- which frames -----------------------------------------------------------------------------------------------------


def test_frames_a_class_fails_by_are_set_aside_and_no_others() -> None:
    odd = {3: 8.0, 7: 8.0, 11: 8.0, 20: 8.0, 21: 8.0, 22: 8.0, 23: 8.0, 29: 8.0}
    x, y = cells(30, odd, seed=0), cells(30, {}, seed=1)
    verdict = judge(x, y, 31, 0.05)
    assert not verdict.check.passed and not verdict.whole and set(verdict.held.tolist()) <= set(odd)
    assert (
        len(verdict.held) >= 4 and verdict.without is not None and verdict.without <= 0.05 < (verdict.check.value or 0)
    )
    assert math.isnan(verdict.own[30]) and np.nanmax(np.delete(verdict.own, list(odd))) < 0.3 < verdict.own[3]


def test_a_class_that_is_unlike_in_most_frames_is_set_aside_as_a_whole() -> None:
    x, y = cells(30, dict.fromkeys(range(25), 8.0), seed=0), cells(30, {}, seed=1)
    verdict = judge(x, y, 30)
    assert verdict.whole and verdict.without is None and not verdict.held.size


def test_a_class_that_passes_sets_nothing_aside_and_one_side_alone_fails() -> None:
    x, y = cells(20, {4: 8.0}, seed=0), cells(20, {}, seed=1)
    assert judge(x, y, 20).check.passed and not judge(x, y, 20).held.size
    nothing = y.of_class(1)
    lacking = judge(nothing, y, 20)  # no frame shows it: none of them, and nothing in them, can be set aside
    assert lacking.blamed and not lacking.whole and lacking.check.value == 1
    unlabelled = judge(x, nothing, 20)  # what the real side lacks is no fault of these frames
    assert unlabelled.check.value == 1 and "no rock on the real side" in unlabelled.check.note
    assert not unlabelled.check.passed and not unlabelled.whole and not unlabelled.held.size
    assert judge(nothing, nothing, 20).check.verdict == "not scored"


@pytest.mark.parametrize("which", ["neighbour", "norm"])
@pytest.mark.parametrize("number", [12, 60], ids=["alike", "five times as many"])
def test_own_divergences_are_what_the_divergence_is_made_of(which: Any, number: int) -> None:
    x, y = cells(number, dict.fromkeys(range(0, number, 2), 2.0), seed=0), cells(12, {}, seed=1)
    divergence = divergence_of(x, y, which)
    value, (a, b) = divergence(np.ones(len(x)), np.ones(len(y))), divergence.terms()
    assert (len(a), len(b)) == (len(x), len(y)) and np.isfinite(a).all() and np.isfinite(b).all()
    exact = which == "norm" or number == 12
    assert (a.mean() + b.mean()) / 2 == pytest.approx(value, abs=1e-9 if exact else 0.05)
    each = a.reshape(number, -1).mean(axis=1)
    assert each[::2].mean() > each[1::2].mean() + 0.1


def test_an_interval_around_the_threshold_is_uncertain_and_the_value_decides() -> None:
    check = Check("semantics", "rock", 0.14, [0.10, 0.20], 0.15, True)
    assert check.uncertain and check.verdict == "passes, uncertain"
    assert dataclasses.replace(check, interval=[0.10, 0.14]).verdict == "passes"
    assert dataclasses.replace(check, value=0.16, passed=False).verdict == "fails, uncertain"
    assert Check.from_dict(check.to_dict()) == check


def test_the_nearest_real_picture_is_the_one_of_like_features() -> None:
    x, y = cells(3, {0: 9.0, 1: -9.0}, seed=0), cells(3, {1: 9.0, 2: -9.0}, seed=1)
    assert nearest_real(x, y) == {0: 1, 1: 2, 2: 0}


# -- what to draw -----------------------------------------------------------------------------------------------------


def test_correlations_of_nothing_raise_as_few_alarms_as_the_level_says() -> None:
    """100 trials of 10 variables without any: 5 expected at 5 %, with a standard deviation of 2.2."""
    alarms = 0
    for trial in range(100):
        random = np.random.default_rng(trial)
        alarms += correlate(random.normal(size=30), random.normal(size=(30, 10)), random)[1].min() < 0.05
    assert 1 <= alarms <= 12


def test_a_variable_that_matters_is_found_among_others() -> None:
    random = np.random.default_rng(0)
    values = random.random((40, 6))
    rho, p = correlate(values[:, 2] + 0.3 * random.random(40), values, random)
    assert rho[2] > 0.9 and p[2] == 0.001 and np.delete(p, 2).min() > 0.05
    assert correlate(np.ones(20), values[:20], random)[1].min() == 1


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split of which frames under a high sun have coarse grain."""
    folder = tmp_path_factory.mktemp("drawn") / "val"
    return write_drawn(folder, 30, lambda spec: 60 if spec["sun_elevation_deg"] > HIGH_SUN_DEG else 20)


def verdict_of(drawn: Path, name: str, own: np.ndarray) -> ClassVerdict:
    return ClassVerdict(Check("semantics", name, 0.5, None, 0.15, False), own, np.empty(0, np.int64), None)


def test_ranges_are_those_of_the_best_third_and_nothing_is_invented(drawn: Path) -> None:
    frames, contract = list(open_split(drawn)), Contract.read(drawn)
    sun = np.array([frame.spec["sun_elevation_deg"] for frame in frames])
    (asked,) = ask_for_class(verdict_of(drawn, "rock", sun / 90), frames, contract, seed=0)
    lo, hi = np.quantile(np.sort(sun)[:10], (0.25, 0.75))
    wanted = Interval.model_validate(asked.wanted)
    assert asked.name == "domain.sun_elevation_deg" and asked.was == "9.0,26.0"
    assert (wanted.lo, wanted.hi) == (pytest.approx(lo, rel=1e-3), pytest.approx(hi, rel=1e-3))
    noise = np.random.default_rng(5).random(30)
    assert ask_for_class(verdict_of(drawn, "rock", noise), frames, contract, seed=0) == []
    few = np.where(np.arange(30) < 11, sun, np.nan)
    assert ask_for_class(verdict_of(drawn, "rock", few), frames, contract, seed=0) == []


def test_what_is_drawn_per_scene_is_held_against_scenes(tmp_path: Path) -> None:
    from regolith.lunar.randomize import draw_scene

    params = change_params(PARAMS, {"dataset.frames_per_scene": 2, "craters.density": (0.3, 0.8)})
    split = write_drawn(tmp_path / "val", 32, lambda spec: 20, params=params)
    frames = list(open_split(split))
    density = np.array([draw_scene(params, 0, "val", frame.spec["scene"]).crater_density for frame in frames])
    (asked,) = ask_for_class(verdict_of(split, "regolith", -density), frames, Contract.read(split), seed=0)
    wanted = Interval.model_validate(asked.wanted)
    assert asked.name == "craters.density" and "over 16 scenes" in asked.why and wanted.lo > 0.55


def relief(ratio: float, interval: list[float]) -> list[dict[str, Any]]:
    return [row("all"), row("regolith", relief={"synth_m": 0.01 * ratio, "real_m": 0.01, "ratio": ratio,
                                                "interval": interval})]  # fmt: skip


def test_slopes_follow_from_the_height_of_ground_where_that_is_told() -> None:
    (asked,) = ask_for_relief(PARAMS, relief(0.5, [0.4, 0.6]))
    assert (asked.name, float(asked.wanted)) == ("terrain.rms_slope_deg", 2 * PARAMS.terrain.rms_slope_deg)
    assert ask_for_relief(PARAMS, relief(0.5, [0.4, 1.1])) == []
    (most,) = ask_for_relief(PARAMS, relief(0.01, [0.005, 0.02]))
    assert float(most.wanted) == 20.0


def test_classes_that_ask_for_one_parameter_get_what_they_have_in_common() -> None:
    a, b, c = (Asked("x", "0,9", text, "") for text in ("1.0,4.0", "3.0,6.0", "5.0,6.0"))
    assert merged([a, b])[0][0].wanted == "3.0,4.0"
    found, lines = merged([a, c])
    assert found == [] and "nothing in common, 1,4 and 5,6" in lines[0]


# -- the verb ---------------------------------------------------------------------------------------------------------


def test_limits_are_of_all_classes_or_of_some() -> None:
    assert limits_of("0.2", ("rock", "sky")) == {"rock": 0.2, "sky": 0.2}
    assert limits_of("rock=0.3,0.1", ("rock", "sky")) == {"rock": 0.3, "sky": 0.1}
    assert limits_of("rock=0.3", ("rock", "sky")) == {"rock": 0.3, "sky": 0.15}


@pytest.mark.parametrize(
    "flags",
    ["--jsd-max 2", "--jsd-max rocks=0.1", "--jsd-max rock=", "--require looks", "--geometry-min 1.5",
     "--divergence best", "--classes rocks", "--jsd-max 0.2,rock=0.3 --classes regolith",
     "--out {drawn} --columns"],
)  # fmt: skip
def test_bad_flags_are_one_line(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: str) -> None:
    images, _ = photo_folder(tmp_path, 1)
    line = f"gate {drawn} --real {images} --out {tmp_path / 'gate'} {flags.format(drawn=drawn)}"
    assert cli.main(line.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"regolith: {flags.split(maxsplit=1)[0][2:].replace('-', '_')}: ")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return photo_folder(tmp_path_factory.mktemp("photos"), 12)


def test_reject_marks_and_asks_and_accept_lifts(
    drawn: Path, photos: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "gate"
    line = f"gate {drawn} --real {photos[0]} --masks {photos[1]} --threads 1 --classes regolith --out {out}".split()
    line += ["--require", "semantics"]
    before = {path: path.read_bytes() for path in drawn.rglob("*") if path.is_file()}
    assert cli.main([*line, "--jsd-max", "0.03", "--quarantine", "--columns"]) == 1
    said = capsys.readouterr()
    assert said.err.splitlines()[-1].startswith(f"regolith: {drawn}: rejected: semantics regolith: divergence ")
    assert "accepted" not in said.out
    assert all(path.read_bytes() == data for path, data in before.items())
    result = json.loads((out / "gate.json").read_text())
    assert result["verdict"] == "reject" and result["digest"] == digest(result)
    assert SAYS["gate"](result).startswith("rejected: semantics regolith: divergence ")
    assert any("geometry was not scored" in note and "no depth" in note for note in result["notes"])

    frames = open_split(drawn)
    high = {frame.index for frame in frames if frame.spec["sun_elevation_deg"] > HIGH_SUN_DEG}
    held = {frame.index for frame in frames if frame.quarantined}
    assert held and held <= high and set(result["quarantine"]["frames"]) == set(map(str, held))
    quarantine = read_source(drawn).quarantine
    assert quarantine is not None and quarantine.gate == result["digest"]
    assert verify(drawn)["problems"] == []
    own = {row["frame"]: row["own"]["regolith"] for row in result["frames"]}
    assert [frame.columns for frame in frames] == [
        {"gate.own_regolith": own[frame.index], "gate.set_aside": frame.index in held} for frame in frames
    ]
    assert {frame.index for frame in frames.filter(columns={"gate.set_aside": 1})} == held
    assert read_source(drawn).tables[0].about["gate"] == result["digest"]
    with pytest.raises(InputError, match="not quarantined"):
        Frames(drawn, field="train_split", workers=1)

    request = read_request(out / "request.json")
    sun = request.parameters().domain.sun_elevation_deg
    assert 9 <= sun.lo < sun.hi < HIGH_SUN_DEG and request.seed == 1 and request.size == (64, 64)
    assert request.params["dataset.frames_per_scene"] == "1" and "rank correlation" in request.why
    assert request.frames == (len(held) if not quarantine.classes else 30)
    page = (out / "gate.html").read_text()
    assert page.count("<figure") == 6 + 3 + 1 and "Synthetic, sun_elevation_deg below" in page
    assert (
        "Gate: rejected" in page
        and "Rejected: semantics regolith: divergence " in page
        and "domain.sun_elevation_deg" in page
    )

    table = (drawn / "columns" / "gate.jsonl").read_bytes()
    assert cli.main([*line, "--jsd-max", "1", "--quarantine"]) == 0
    assert (drawn / "columns" / "gate.jsonl").read_bytes() == table, "nobody asked for others"
    assert not (drawn / QUARANTINE).exists() and not (out / "request.json").exists()
    assert SAYS["gate"](json.loads((out / "gate.json").read_text())) == "accepted by semantics alone"
    assert "Gate: accepted by semantics alone" in (out / "gate.html").read_text()
    said = capsys.readouterr().out
    assert f"{drawn}: accepted by semantics alone" in said.splitlines()
    assert (
        "passes" in said and "note: accepted by semantics alone: geometry was not scored: the split has no dep" in said
    )


def test_results_that_cannot_be_written_leave_split_and_folder_as_they_were(
    photos: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = write_set(tmp_path / "split", 4, grain=60)
    before = {path: path.read_bytes() for path in split.rglob("*") if path.is_file()}
    out = tmp_path / "gate"
    (out / "gate.html").mkdir(parents=True)
    line = f"gate {split} --real {photos[0]} --masks {photos[1]} --threads 1 --classes regolith --jsd-max 0.01"
    line += " --require semantics"
    assert cli.main([*line.split(), "--quarantine", "--columns", "--out", str(out)]) == 2
    (said,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("regolith: "))
    assert said.startswith("regolith: out: ") and "gate.html" in said
    assert {path: path.read_bytes() for path in split.rglob("*") if path.is_file()} == before
    assert [path.name for path in out.iterdir()] == ["gate.html"]


def test_a_reject_without_anything_to_set_aside_leaves_the_quarantine(
    photos: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The photographs' masks have no sky: a reject, and no fault of the frames."""
    split = write_set(tmp_path / "split", 4)
    source = read_source(split)
    write_quarantine(split, Quarantine("regolith gate", "0" * 64, {}, {"rock": ("unlike",)}), source.records)
    before = (split / QUARANTINE).read_bytes()
    masks = tmp_path / "masks"
    masks.mkdir()
    for path in photos[1].iterdir():
        mask = np.asarray(Image.open(path))
        Image.fromarray(np.where(mask == CLASSES["sky"], 255, mask).astype(np.uint8)).save(masks / path.name)
    line = f"gate {split} --real {photos[0]} --masks {masks} --threads 1 --classes sky --require semantics"
    assert cli.main([*line.split(), "--quarantine", "--out", str(tmp_path / "gate")]) == 1
    assert (split / QUARANTINE).read_bytes() == before
    result = json.loads((tmp_path / "gate/gate.json").read_text())
    assert "nothing is set aside; a quarantine of before stays" in result["notes"], result["reasons"]


def test_flat_ground_fails_by_its_geometry_and_its_slope_follows_from_its_heights(tmp_path: Path) -> None:
    """Ground a third as high as the real one: its classes are set aside, and about three times the slope is asked."""
    source = read_source(write_set(tmp_path / "split", 2))
    flat = dataclasses.replace(source, folder=write_places(tmp_path / "flat", range(2), rough_m=0.1))
    real = write_places(tmp_path / "real", range(10, 12), rough_m=0.3)
    found, check = _geometry(flat, tmp_path, real, 0.75, 4.0, 0, lambda event: None)
    assert found is not None and check.value is not None and check.value < 0.75 and not check.passed
    assert check.interval is not None and check.interval[0] < check.value < check.interval[1]
    judged = Judged(source, None, {}, [], found, check, ())  # type: ignore[arg-type]
    assert judged.geometry_classes == ("regolith",) and judged.reasons[0].startswith("geometry all: score ")
    (asked,) = ask_for_relief(PARAMS, found["rows"])
    assert float(asked.wanted) == pytest.approx(3 * PARAMS.terrain.rms_slope_deg, rel=0.2)
    with pytest.raises(InputError):  # asked for by name, clouds that cannot be scored are bad input
        _geometry(flat, tmp_path, write_places(tmp_path / "one", range(1), rough_m=0.3), 0.75, 4.0, 0, lambda e: None)


def test_both_have_to_pass_unless_told_otherwise(tmp_path: Path, photos: tuple[Path, Path]) -> None:
    """Photographs have no points: refused before anything is scored, as is a split without depth."""
    without, out = write_set(tmp_path / "split", 2), tmp_path / "gate"
    line = f"gate {without} --real {photos[0]} --masks {photos[1]} --out {out}"
    places = write_places(tmp_path / "places", range(2), rough_m=0.1)
    refused = "require: 'geometry,semantics' is not allowed; allowed: semantics, which .*, for "
    for clouds in (None, places):
        with pytest.raises(InputError, match=refused + "the split has no depth"):
            gate(without, photos[0], masks=photos[1], out=out, real_clouds=clouds)
    with pytest.raises(InputError, match=refused + "there are no real clouds"):
        check_points(("geometry", "semantics"), True, photos[0], None)
    check_points(("geometry", "semantics"), True, photos[0], places)
    assert cli.main(line.split()) == 2 and not out.exists()


def test_what_is_required_and_not_scored_is_a_reject(tmp_path: Path) -> None:
    split = write_set(tmp_path / "split", 2)
    source = read_source(split)
    found, check = _geometry(source, tmp_path, None, 0.75, 2.0, 0, lambda event: None)
    assert found is None and check.value is None and "no depth" in check.note
    verdict = ClassVerdict(Check("semantics", "rock", 0.1, None, 0.15, True), np.zeros(2), np.empty(0, np.int64), None)
    judged = Judged(source, None, {}, [verdict], None, check, ("semantics",))  # type: ignore[arg-type]
    assert judged.reasons == []
    (reason,) = dataclasses.replace(judged, require=("geometry", "semantics")).reasons
    assert reason.startswith("geometry all has to pass (--require) and was not scored: the split has no depth")
    lost = dataclasses.replace(verdict.check, name="rover", value=None, note="no rover on either side")
    neither = dataclasses.replace(verdict, check=lost, absent=True)
    one_scene = dataclasses.replace(verdict, check=dataclasses.replace(lost, note="in one scene"))
    assert dataclasses.replace(judged, verdicts=[neither, verdict]).reasons == [], "what neither side has is no fault"
    for verdicts, note in (([neither], "no rover on either side"), ([one_scene, verdict], "in one scene")):
        (reason,) = dataclasses.replace(judged, verdicts=verdicts).reasons
        assert reason == f"semantics rover has to pass (--require) and was not scored: {note}"


def test_generate_closes_the_loop(
    photos: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A split drawn here is none of these photographs' kind: it is rejected, and its request can be fulfilled."""
    line = "generate --preset v1 --split val --frames 2 --size 64 --executor in-process --terrain.cell-m 0.4"
    line += f" --dataset.frames-per-scene 1 --rocks.diameter-min-m 0.3 --out {tmp_path / 'data'} --gate {photos[0]}"
    (tmp_path / "like.yaml").write_text("jsd_max: 0.3,regolith=0.01\nclasses: rock, regolith\nseed: 3\n")
    line += f" --gate-masks {photos[1]} --gate-like {tmp_path / 'like.yaml'}"
    assert cli.main(line.split()) == 2, "photographs have no points"
    assert capsys.readouterr().err.startswith("regolith: gate_require: ") and not (tmp_path / "data").exists()
    line += " --gate-require semantics"
    assert cli.main([*line.replace("like.yaml", "none.yaml").split()]) == 2
    assert capsys.readouterr().err.startswith("regolith: gate_like: ") and not (tmp_path / "data").exists()
    assert cli.main(line.split()) == 1
    judged = json.loads((tmp_path / "data/gate_val/gate.json").read_text())
    assert judged["thresholds"]["jsd_max"] == {"rock": 0.3, "regolith": 0.01} and judged["settings"]["seed"] == 3
    again = Gate.like(tmp_path / "data/gate_val/gate.json", "gate_like")
    assert again.jsd_max == "rock=0.3,regolith=0.01" and (again.divergence, again.seed) == ("neighbour", 3)
    request = tmp_path / "data/gate_val/request.json"
    said = capsys.readouterr()
    assert f"regolith generate --request {request}"[:100] in said.err and "2 frames, 2 drawn now" in said.out
    assert len(read_journal(tmp_path / "data/val")) == 2 and (tmp_path / "data/val" / QUARANTINE).exists()
    contract = Contract.read(tmp_path / "data/val")
    asked = read_request(request)
    assert asked.parameters() == contract.params and (asked.frames, asked.seed) == (2, 1)
    assert "cannot tell which parameter matters" in asked.why
