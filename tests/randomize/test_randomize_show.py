"""`regolith randomize`: what it says is what is drawn, and what lies outside is found."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from regolith.lunar import cli
from regolith.lunar.params import CheckError, Interval, as_text, change_params, intervals, load_preset
from regolith.lunar.randomize import (
    SPLITS,
    draw_scene,
    draw_values,
    frame_intervals,
    narrowed,
    scene_intervals,
    show,
)
from regolith.lunar.randomize.draw import SCENE_VALUES
from regolith.lunar.randomize.plot import plot_draws
from regolith.lunar.randomize.show import Randomize, draw_split, measure_discrepancy, tabulate
from regolith.lunar.stage.author import build_scene

V3 = load_preset("v3")
RED = (255, 59, 78)
SMALL = {
    "terrain.size_m": 40.0, "terrain.cell_m": 0.4, "terrain.far_radius_m": 200.0, "relief.enabled": False,
    "rocks.abundance": Interval(0.005, 0.01), "rocks.far_radius_m": 0.0, "rocks.shape_count": 3,
}  # fmt: skip
"""Scenes that are built in a moment."""
FLAGS = [word for name, value in SMALL.items() for word in (f"--{name.replace('_', '-')}", as_text(value))]
"""The same as flags."""
OF = {"burial": "rocks", "freshness": "craters"}
"""What a value is drawn for, item by item."""


@pytest.fixture
def saved(monkeypatch) -> list[Figure]:
    """Figures that were written, in order."""
    figures: list[Figure] = []
    write = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (figures.append(self), write(self, *a, **k))[1])
    return figures


def reds(path) -> int:
    """Pixels near the colour of what lies outside its range."""
    rgb = np.asarray(Image.open(path).convert("RGB"), np.int16)
    return int((np.abs(rgb - RED).max(axis=2) < 12).sum())


@pytest.mark.parametrize("split", SPLITS)
def test_result_is_what_draw_values_and_draw_scene_give(tmp_path, capsys, split: str) -> None:
    file = tmp_path / "new" / "r.json"
    args = ["randomize", "--split", split, "--frames", "45", "--seed", "3", "--values", "--json", str(file)]
    assert cli.main(args) == 0
    result = json.loads(file.read_text())
    assert (result["split"], result["frames"], result["seed"]) == (split, 45, 3)
    rows = [draw_values(V3, 3, split, index) for index in range(45)]
    scenes = [draw_scene(V3, 3, split, number).to_dict() for number in range(3)]  # 20 frames a scene
    found = result["parameters"]
    for ranges, drawn in ((frame_intervals(V3, split), rows), (scene_intervals(V3, split), scenes)):
        for name, interval in ranges.items():
            parameter, values = found[name], [row[name] for row in drawn]
            assert parameter["values"] == values and parameter["count"] == len(values), name
            assert parameter["asked"] == [interval.lo, interval.hi]
            assert parameter["drawn"] == {"min": min(values), "mean": float(np.mean(values)), "max": max(values)}
    assert {name for name, parameter in found.items() if parameter["drawn"] is None} == {
        "freshness", "burial", "dust", "angularity", "maturity",
    }  # fmt: skip
    domain = "test_domain" if split == "test_photoreal" else "domain"
    assert found["albedo"]["group"] == domain and found["height_m"]["unit"] == "m"
    assert "values" not in Randomize(frames=2).with_params(V3).run()["parameters"]["albedo"]
    assert capsys.readouterr().out


def test_a_figure_shows_what_the_rocks_and_craters_of_two_scenes_have(tmp_path, capsys, saved) -> None:
    """They are those of the scenes the generator builds, and no parameter that varies is left out."""
    file = tmp_path / "r.json"
    args = ["randomize", "--split", "val", "--frames", "45", "--seed", "3", "--values", "--json", str(file)]
    assert cli.main([*args, *FLAGS, "--plot", str(tmp_path / "p.png")]) == 0
    result = json.loads(file.read_text())
    assert result["scenes_built"] == 2 and "here those of 2 scenes" in capsys.readouterr().out
    params = change_params(V3, SMALL)
    scenes = [build_scene(narrowed(params, "val"), draw_scene(params, 3, "val", number)) for number in range(2)]
    expected = {
        "burial": np.concatenate([scene.rocks.burial for scene in scenes]),
        "freshness": np.concatenate([scene.terrain.craters["freshness"] for scene in scenes]),
    }
    titles = {axes.get_title(loc="left"): axes for axes in saved[0].axes}
    for name, values in expected.items():
        assert len(values) > 100 and result["parameters"][name]["values"] == values.tolist()
        assert titles[name].get_title(loc="right") == f"{len(values):,} {OF[name]} of 2 scenes"
    varying = {
        name for name, parameter in result["parameters"].items() if parameter["asked"][0] < parameter["asked"][1]
    }
    assert varying <= set(titles)
    assert any("discrepancy²" in text.get_text() for text in saved[0].texts)


def test_everything_drawn_per_item_is_found_in_a_scene() -> None:
    """The values of each such parameter are those its scene was built with, inside the range asked for."""
    rocks = V3.rocks.model_copy(update={"abundance": Interval(0.004, 0.004), "far_radius_m": 0.0, "shape_count": 3})
    draws = draw_split(V3.model_copy(update={"rocks": rocks}), 0, "val", 1, built=1)
    items = {draw.name: draw for draw in draws if draw.per == "item"}
    assert set(items) == set(intervals(V3, "item"))
    assert all(len(draw.values) and not len(draw.stray) for draw in items.values())
    assert len(items["angularity"].values) == 3


def test_what_no_scene_keeps_is_named_without_values(tmp_path, saved) -> None:
    """A parameter drawn per item whose values a scene does not keep is no error, in table and figure."""
    scene = dict.fromkeys(SCENE_VALUES, 0.0)
    draws = tabulate(V3, "val", [draw_values(V3, 0, "val", 0)], [scene], [{"burial": np.full(9, 0.3)}])
    found = {draw.name: len(draw.values) for draw in draws if draw.per == "item"}
    assert found == {name: 9 if name == "burial" else 0 for name in intervals(V3, "item")}
    result = Randomize(frames=1).with_params(V3).run()
    plot_draws(draws, result | {"scenes_built": 1}, tmp_path / "p.png")
    titles = {axes.get_title(loc="left") for axes in saved[0].axes}
    assert "burial" in titles and "freshness" not in titles
    assert any("freshness" in text.get_text() for text in saved[0].texts)


def test_summary_fits_a_terminal_and_cuts_no_name(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["randomize", "--frames", "30", "--randomize.sampling", "sobol"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    words = {line.split()[0] for line in lines if line.split()}
    assert {draws.name for draws in draw_split(V3, 0, "train_dr", 1)} <= words
    assert not any(word.endswith("…") and len(word) > 1 for line in lines for word in line.split())


def test_discrepancy_is_measured_against_independent_draws() -> None:
    sobol = V3.model_copy(update={"randomize": V3.randomize.model_copy(update={"sampling": "sobol"})})
    even, chance = (measure_discrepancy(draw_split(params, 0, "train_dr", 300)) for params in (sobol, V3))
    assert even and chance and even["dimensions"] == 11 and even["frames"] == 300
    assert even["drawn"] < 0.6 * even["independent"] and even["pairs"]["drawn"] < 0.1 * even["pairs"]["independent"]
    assert chance["drawn"] == pytest.approx(chance["independent"], rel=0.35)
    assert chance["pairs"]["drawn"] == pytest.approx(chance["pairs"]["independent"], rel=0.5)


def test_a_value_outside_its_range_is_named_and_the_result_is_kept(tmp_path, capsys, monkeypatch) -> None:
    def strayed(params, seed, split, index):
        values = draw_values(params, seed, split, index)
        return {**values, "albedo": 0.2, "gamma": 1.5} if index == 4 else values

    clean, dirty, file = tmp_path / "clean.png", tmp_path / "dirty.png", tmp_path / "r.json"
    assert cli.main(["randomize", "--frames", "20", *FLAGS, "--plot", str(clean)]) == 0
    monkeypatch.setattr(show, "draw_values", strayed)
    assert cli.main(["randomize", "--frames", "20", *FLAGS, "--plot", str(dirty), "--json", str(file)]) == 1
    err = capsys.readouterr().err
    assert "albedo 0.2 outside 0.09,0.17 (1 of 20)" in err and "gamma 1.5 outside 1,1" in err and "fov" not in err
    assert json.loads(file.read_text())["parameters"]["albedo"]["drawn"]["max"] == 0.2
    assert reds(clean) == 0 and reds(dirty) > 10
    with pytest.raises(CheckError):
        Randomize(frames=5).with_params(V3).run()


@pytest.mark.parametrize(
    "args",
    [
        ["--frames", "1"],
        ["--randomize.strength", "0"],
        ["--split", "train_nodr", "--frames", "30"],
        ["--split", "test_photoreal", "--preset", "v1", "--frames", "30"],
        ["--sensor.gain-db", "0,12", "--sensor.psf-px", "0,2", "--light.irradiance", "2,4", "--frames", "30"],
    ],
    ids=["one frame", "nothing varies", "nodr", "test", "more"],
)
def test_figure_of_any_draws_is_a_picture(tmp_path, args: list[str]) -> None:
    file = tmp_path / "new" / "p.png"
    assert cli.main(["randomize", *FLAGS, *args, "--plot", str(file)]) == 0
    with Image.open(file) as picture:
        rgb = np.asarray(picture.convert("RGB"))
    assert rgb.shape[1] == 1680 and rgb.shape[0] >= 200
    assert len(np.unique(rgb @ np.array([1 << 16, 1 << 8, 1]))) > 50
    assert reds(file) == 0
    assert [path.name for path in file.parent.iterdir()] == ["p.png"]


def test_histograms_count_every_frame(saved, tmp_path) -> None:
    """The heights of a panel's bars are the numbers of frames; the line is their mean."""
    draws = draw_split(V3, 0, "train_dr", 60)
    result = Randomize(frames=60).with_params(V3).run()
    plot_draws(draws, result, tmp_path / "p.png")
    panels = {axes.get_title(loc="left"): axes for axes in saved[0].axes if axes.name != "polar"}
    assert set(panels) == {draw.name for draw in draws if draw.varies and len(draw.values)}
    for draw in draws:
        if draw.name in panels:
            heights = [bar.get_height() for bar in panels[draw.name].patches if isinstance(bar, Rectangle)]
            assert sum(heights) == len(draw.values)
            assert panels[draw.name].get_xlabel() == f"[{draw.unit or 1}]"
            assert np.asarray(panels[draw.name].lines[0].get_ydata())[0] == pytest.approx(np.mean(heights))
    rose = next(axes for axes in saved[0].axes if axes.name == "polar")
    sun = {draw.name: draw.values for draw in draws}
    offsets = [np.asarray(dots.get_offsets()) for dots in rose.collections]
    dots = next(places for places in offsets if len(places) == 60)
    assert np.allclose(dots, np.column_stack([np.radians(sun["sun_azimuth_deg"]), 90 - sun["sun_elevation_deg"]]))


@pytest.mark.parametrize("name", ["p.jpg", "p", "", "file/p.png"])
def test_a_bad_place_for_the_figure_is_refused_before_the_work(tmp_path, capsys, monkeypatch, name: str) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(show, "draw_split", lambda *_, **__: pytest.fail("work was done"))
    assert cli.main(["randomize", "--plot", str(tmp_path / name)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("regolith: plot: ") and len(err.splitlines()) == 1


def test_input_that_cannot_be_drawn_is_refused(capsys) -> None:
    assert cli.main(["randomize", "--split", "dev"]) == 2
    assert cli.main(["randomize", "--frames", "0"]) == 2
    assert cli.main(["randomize", "--split", "test_photoreal", "--test-domain.albedo", "0.1,0.3"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1].strip() for line in lines] == ["split", "frames", "test_domain.albedo"]


def test_dynamics_are_shown_where_they_are_not_neutral() -> None:
    """As many traverses as frames; a split whose rover moves as it is drawn is shown without them."""
    dynamics = V3.dynamics.model_copy(update={"friction_scale": Interval(0.6, 1.2)})
    shown = {draw.name: draw for draw in draw_split(V3.model_copy(update={"dynamics": dynamics}), 0, "val", 6)}
    assert {name for name, draw in shown.items() if draw.per == "traverse"} == set(intervals(V3, "traverse"))
    friction = shown["friction_scale"]
    assert len(set(friction.values)) == 6 and not len(friction.stray) and friction.asked == Interval(0.6, 1.2)
    assert not [draw for draw in draw_split(V3, 0, "val", 6) if draw.per == "traverse"]
