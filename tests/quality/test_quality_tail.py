"""The tail: rocks measured one by one, which strata are rare or hard, and the request for more of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from quality_sets import PARAMS, SAYS, one_view, write_drawn, write_set

from regolith.lunar import cli, open_split
from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.layout import append_records
from regolith.lunar.dataset.manifest import read_frames
from regolith.lunar.dataset.request import read_request
from regolith.lunar.dataset.strata import known_variables, variable
from regolith.lunar.dataset.survey import LOG
from regolith.lunar.dataset.write import write_frame
from regolith.lunar.labels import IGNORE, ROCK
from regolith.lunar.params import InputError, Interval, change_params
from regolith.lunar.quality.gate_request import Asked, varying
from regolith.lunar.quality.tail import _budget, find_tail
from regolith.lunar.quality.tail_report import say_budget
from regolith.lunar.quality.tail_rocks import measure_rocks
from regolith.lunar.randomize import draw_values, frame_seed
from regolith.lunar.stage.spec import FrameSpec

LOW_SUN_DEG = 14.0
"""Below it the frames of the drawn split show a dim rock more: the range is 9 … 26°."""


def test_rocks_are_measured_as_they_were_drawn() -> None:
    rgb, mask = np.full((64, 128, 3), 100, np.uint8), np.zeros((64, 128), np.uint8)
    depth = np.full((64, 128), 9.0, np.float32)
    for (top, left, side), light, far in (((8, 8, 12), 50, 3.0), ((40, 100, 6), 125, 7.0), ((0, 60, 2), 200, 1.0)):
        place = slice(top, top + side), slice(left, left + side)
        rgb[place], mask[place], depth[place] = light, ROCK, far
    mask[38:48, 96:100] = IGNORE  # no ground, whatever it looks like
    rgb[38:48, 96:100] = 255
    found = measure_rocks(rgb, mask, depth, 12.5)
    assert found["all"] == 3 and found["kept"].tolist() == [False, True, True], "two pixels across do not count"
    assert found["box"][1].tolist() == [8, 20, 8, 20]
    np.testing.assert_allclose(found["size"][1:], np.sqrt(4 / np.pi * np.array([144, 36])) / 128)
    np.testing.assert_allclose(found["contrast"][1:], [0.5, 0.25], rtol=1e-6)
    assert found["distance_m"][1:].tolist() == [3.0, 7.0] and found["sun_elevation_deg"].tolist() == [12.5] * 3
    unknown = measure_rocks(rgb, np.full_like(mask, ROCK), None, None)
    assert unknown["all"] == 1 and np.isnan(unknown["contrast"]).all() and np.isnan(unknown["distance_m"]).all()


def _write(folder: Path, frames: int, *, dim: dict[int, int], real: bool = False) -> Path:
    """Write a split whose frames each show five rocks of double the ground's light, and some that hardly differ."""
    for i in range(frames):
        values = draw_values(PARAMS, 0, "val", i)
        spec = FrameSpec("val", i, i, frame_seed(0, "val", i), 0.0, 0.0, 2.0, values)
        rgb, mask = np.full((96, 128, 3), 80, np.uint8), np.zeros((96, 128), np.uint8)
        for k in range(5 + dim.get(i, 0)):
            place = slice(10 + 30 * (k // 4), 20 + 30 * (k // 4)), slice(6 + 30 * (k % 4), 16 + 30 * (k % 4))
            rgb[place], mask[place] = (160 if k < 5 else 90), ROCK
        about = {"source": f"{i}.png"} if real else spec.to_dict()
        append_records(folder, [write_frame(folder, i, {"rgb": rgb, "mask": mask}, seed=spec.seed, spec=about)])
    made = Contract.of_import(split="val", frames=frames, width=128, height=96) if real else None
    drawn = Contract.of(PARAMS, split="val", frames=frames, seed=0, width=128, height=96, renderer={"name": "arrays"})
    (made or drawn).write(folder)
    return folder


def _suns(frames: int) -> np.ndarray:
    return np.array([draw_values(PARAMS, 0, "val", i)["sun_elevation_deg"] for i in range(frames)])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A split whose frames under a low sun show dim rocks, with the times of its log; and a real one, few dim."""
    folder = tmp_path_factory.mktemp("tail")
    low = np.flatnonzero(_suns(36) < LOW_SUN_DEG)
    synth = _write(folder / "synth" / "val", 36, dim=dict.fromkeys(low.tolist(), 2))
    chunk = {"event": "chunk", "frames": 36, "seconds": {"render": 60.0, "scene": 12.0, "encode": 500.0}}
    (synth / LOG).write_text(json.dumps(chunk) + "\n")
    real = _write(folder / "real" / "val", 12, dim={3: 2, 7: 1}, real=True)
    return synth, real


def test_what_is_rare_in_real_pictures_is_asked_for_where_it_comes_from(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The dim rocks are the tail, and it is the low sun that brings them: what the request narrows, and it alone."""
    synth, real = folders
    words = ["tail", synth, "--real", real, "--buckets", "2", "--wanted", "300", "--out", tmp_path, "--columns"]
    assert cli.main(list(map(str, words))) == 0
    result = json.loads((tmp_path / "tail.json").read_text())
    (row,) = [row for row in result["strata"] if row["tail"]]
    low = _suns(36) < LOW_SUN_DEG
    assert (row["real"]["rocks"], row["synth"]["rocks"]) == (3, 2 * low.sum())
    assert result["frames"] == {str(i): 2 for i in np.flatnonzero(low).tolist()}
    assert "sun_elevation_deg" not in row["stratum"], "no real frame says its sun"
    frames, place = open_split(synth), result["strata"].index(row)
    assert (
        frames.column("tail.tail_rocks").tolist()
        == frames.column(f"tail.stratum_{place}").tolist()
        == (2 * low).tolist()
    )
    strata = [name for name in frames.columns if name.startswith("tail.stratum_")]
    assert frames.column("tail.rocks").tolist() == np.sum([frames.column(name) for name in strata], axis=0).tolist()
    assert sum(frames.column("tail.rocks")) == sum(row["synth"]["rocks"] for row in result["strata"])
    assert frames.columns[f"tail.stratum_{place}"].startswith("rocks with size ")
    assert not (real / "columns").exists()
    parts = read_frames(synth)
    assert variable("tail.tail_rocks", parts).tolist() == (2 * low).tolist(), "frames are mixed by them too"
    assert "tail.rocks" in known_variables(parts)
    (asked,) = result["asked"]
    wanted = Interval.model_validate(asked["wanted"])
    assert asked["name"] == "domain.sun_elevation_deg" and wanted.hi < LOW_SUN_DEG
    assert "rocks of the tail: rank correlation -" in asked["why"]
    request = read_request(tmp_path / "request.json")
    assert request.made_by == "regolith tail" and request.params["domain.sun_elevation_deg"] == asked["wanted"]
    budget, missing = result["budget"], 300 - 2 * int(low.sum())
    assert budget["seconds_per_frame"] == 2.0 and budget["targeted"]["rocks_per_frame"] == 2.0
    assert budget["targeted"]["frames"] == -(-missing // 2) == request.frames < budget["untargeted"]["frames"]
    assert budget["targeted"]["hours"] == pytest.approx(request.frames * 2 / 3600)
    said = capsys.readouterr().out
    assert "300 wanted" in said and f"--request {tmp_path / 'request.json'}" in said
    page = (tmp_path / "tail.html").read_text("utf-8")
    assert "Real: 3 of 3" in page and f"Synthetic: 12 of {2 * low.sum()}" in page and page.count("<h2>Tail: ") == 1
    shown = [row[side]["rocks"] > 0 for row in result["strata"] for side in ("real", "synth")]
    assert page.count("data:image/") == sum(shown) > 2


def test_a_budget_counts_the_frames_whose_scenes_are_as_asked_for(tmp_path: Path) -> None:
    """A scene's values stand in no frame's spec: they are drawn again from the seed."""
    params = change_params(PARAMS, {"dataset.frames_per_scene": 2, "rocks.abundance": (0.01, 0.2)})
    reader = open_split(write_drawn(tmp_path / "val", 24, lambda spec: 20, params=params))
    contract = Contract.read(reader.folder)
    (abundance,) = (each.values for each in varying("rock", reader, contract) if each.name == "rocks.abundance")
    middle = float(np.median(abundance))
    rocks = np.where(abundance >= middle, 3, 0)
    asked = Asked("rocks.abundance", "0.01,0.2", f"{middle!r},0.2", "")
    budget = _budget(reader, contract, rocks, [asked], 1000)
    assert (
        budget["targeted"]["rocks_per_frame"] == 3.0 and budget["untargeted"]["rocks_per_frame"] == rocks.mean() < 3.0
    )


def test_nothing_is_asked_for_where_nothing_tells_what_would_help(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No frame shows a dim rock: more of these frames would not either."""
    bright = _write(tmp_path / "bright" / "val", 3, dim={})
    (tmp_path / "out").mkdir()
    (tmp_path / "out/request.json").write_text("of before")
    words = ["tail", bright, "--real", folders[1], "--buckets", "2", "--out", tmp_path / "out", "--frames", "9"]
    assert cli.main(list(map(str, words))) == 0
    said = capsys.readouterr().out
    assert "no number of frames like these" in said and "note: no request: no frame here" in said
    assert "--request" not in said and not (tmp_path / "out/request.json").exists()


def test_what_a_model_fits_worst_is_the_tail_by_error(folders: tuple[Path, Path], tmp_path: Path) -> None:
    synth, _ = folders
    model = one_view(tmp_path / "model")
    result = find_tail(synth, tmp_path / "out", by="error", model=model, buckets=2, wanted=1, threads=1)
    known = {row["iou"] for row in result["strata"] if row["iou"] is not None and row["real"]["rocks"] >= 5}
    assert len(known) > 2 and [row["iou"] for row in result["strata"] if row["tail"]] == [min(known)]
    assert result["budget"]["untargeted"]["frames"] == 0 and "no real frames were given" in " ".join(result["notes"])
    assert result["request"] is None and "as many as are wanted" in " ".join(result["notes"])


def test_what_cannot_be_looked_at_is_one_line(folders: tuple[Path, Path], tmp_path: Path) -> None:
    synth, real = folders
    with pytest.raises(InputError, match="model: missing; allowed: a model with --by error"):
        find_tail(synth, tmp_path, by="error")
    bare = write_set(tmp_path / "bare", 3, rock=False)
    with pytest.raises(InputError, match="split that shows rocks"):
        find_tail(bare, tmp_path)
    result = find_tail(real, tmp_path)
    assert SAYS["tail"](result) == say_budget(result["budget"])
    assert result["request"] is None and "imported" in " ".join(result["notes"])
    assert not (tmp_path / "request.json").exists() and "3 rocks of the tail" in say_budget(result["budget"])
