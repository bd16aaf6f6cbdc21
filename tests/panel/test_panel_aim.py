"""Free look: values held over what was drawn, the camera on the ground, and the exact frame again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from panel_host import Bench, Held
from pxr import Sdf, Usd

from regolith.lunar.panel.frame_builder import Built
from regolith.lunar.params import InputError
from regolith.lunar.randomize import aim_frame, draw_frame
from regolith.lunar.stage.edit import apply_frame


@pytest.fixture
def shown(bench: Bench) -> Bench:
    """A panel with a coarse stage on show."""
    for path, value in {"terrain.cell_m": 0.5, "rocks.abundance": (0.004, 0.004), "relief.enabled": False}.items():
        bench.model.commit(path, value)
    bench.author()
    bench.changes.clear()
    return bench


def text(stage: Usd.Stage | None) -> str:
    """All that a stage in memory says."""
    assert stage is not None
    layer = Sdf.Layer.CreateAnonymous(".usda")
    layer.TransferContent(stage.GetRootLayer())
    return layer.ExportToString()


def built(bench: Bench) -> Built:
    """What the stage on show was made of."""
    made = bench.model._stage._shown
    assert made is not None
    return made


def boulder(bench: Bench) -> np.ndarray:
    """Place of the largest rock [m]."""
    rocks = built(bench).scene.rocks
    return rocks.position[int(np.argmax(rocks.radius))]


def test_held_values_are_shown_at_once_and_nothing_is_built(shown: Bench) -> None:
    model, exact, drawn = shown.model, text(shown.host.stage), shown.model.spec
    assert drawn is not None and model.exact and model.actions["exact"].reason == "it is the exact frame"
    depth = model.undo_depth
    model.aim({"sun_elevation_deg": 61.0})
    model.aim({"sun_azimuth_deg": 370.0, "fov_deg": 90})
    assert dict(model.aimed) == {"sun_elevation_deg": 61.0, "sun_azimuth_deg": 10.0, "fov_deg": 90.0}
    spec = shown.host.applied[-1]
    assert spec == model.spec and spec.values == drawn.values | dict(model.aimed)
    assert spec.camera_z_m == drawn.camera_z_m and spec.seed == drawn.seed
    assert text(shown.host.stage) != exact and len(shown.host.authored) == 1 and not model.exact
    assert {change.kind for change in shown.changes} >= {"shot", "actions"}
    assert model.works["stage"].text.endswith("aimed by hand") and model.undo_depth == depth
    shown.run("exact")
    assert model.exact and model.spec == drawn and text(shown.host.stage) == exact


def test_frame_without_anything_held_is_the_drawn_one_itself(shown: Bench) -> None:
    made = built(shown)
    assert aim_frame(made.spec, made.scene, {}) is made.spec
    assert draw_frame(made.shot.params, 0, "train_dr", 0, made.scene) == made.spec
    held = {"camera_x_m": made.spec.camera_x_m, "height_m": made.spec["height_m"], "fov_deg": made.spec["fov_deg"]}
    assert aim_frame(made.spec, made.scene, held) == made.spec
    shown.model.aim(held)
    assert shown.model.exact and shown.model.spec == made.spec


def test_camera_stands_on_the_ground_as_a_drawn_one_does(shown: Bench) -> None:
    """Every drawn place, reached by hand from another frame's, gives that frame's lens to the bit."""
    made = built(shown)
    for index in (3, 7, 11):
        other = draw_frame(made.shot.params, 0, "train_dr", index, made.scene)
        held = {"camera_x_m": other.camera_x_m, "camera_y_m": other.camera_y_m, "height_m": other["height_m"]}
        shown.model.aim(held)
        spec = shown.model.spec
        assert spec is not None
        assert (spec.camera_x_m, spec.camera_y_m, spec.camera_z_m) == (
            other.camera_x_m, other.camera_y_m, other.camera_z_m,
        )  # fmt: skip
    shown.model.release_aim("camera_x_m", "camera_y_m")
    assert set(shown.model.aimed) == {"height_m"} and shown.model.spec is not None
    assert shown.model.spec.camera_z_m == pytest.approx(
        made.spec.camera_z_m + other["height_m"] - made.spec["height_m"], abs=1e-9
    )


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"sun_elevation_deg": 91.0}, "sun_elevation_deg"),
        ({"pitch_deg": -120.0}, "pitch_deg"),
        ({"fov_deg": math.nan}, "fov_deg"),
        ({"height_m": True}, "height_m"),
        ({"camera_x_m": 20.0}, "camera_x_m"),
        ({"camera_y_m": -1e9}, "camera_y_m"),
        ({"camera_x_m": 1e308, "camera_y_m": -1e308}, "camera_x_m"),
        ({"camera_z_m": 3.0}, "camera_z_m"),
        ({"altitude": 3.0}, "altitude"),
        ({"heading_deg": 10.0, "albedo": 4.0}, "albedo"),
    ],
)
def test_value_that_cannot_be_is_refused_and_nothing_changes(
    shown: Bench, values: dict[str, float], field: str
) -> None:
    shown.model.aim({"roll_deg": 2.0})
    before, applied = shown.model.spec, len(shown.host.applied)
    with pytest.raises(InputError, match=rf"^{field}: .*; allowed: ."):
        shown.model.aim(values)
    assert dict(shown.model.aimed) == {"roll_deg": 2.0} and shown.model.spec == before
    assert len(shown.host.applied) == applied


def test_camera_is_kept_out_of_rocks_but_may_look_at_one(shown: Bench) -> None:
    x, y, top = (float(part) for part in boulder(shown))
    with pytest.raises(InputError, match="from ground and rocks"):
        shown.model.aim({"camera_x_m": x, "camera_y_m": y, "height_m": 0.2})
    assert shown.model.exact
    shown.model.aim({"camera_x_m": x, "camera_y_m": y, "height_m": 15.0, "pitch_deg": -89.0})
    spec = shown.model.spec
    assert spec is not None and spec.camera_z_m > top and (spec.camera_x_m, spec.camera_y_m) == (x, y)


def test_nothing_can_be_aimed_before_a_stage_is_there(bench: Bench) -> None:
    with pytest.raises(InputError, match="author a stage first"):
        bench.model.aim({"fov_deg": 60.0})
    assert bench.model.spec is None and bench.model.actions["exact"].reason == "author a stage first"


@pytest.mark.parametrize(
    ("path", "value"), [("shot.frame", 1), ("shot.frame", 21), ("shot.split", "val"), ("generate.seed", 9)]
)
def test_another_frame_lets_go_of_what_is_held(shown: Bench, path: str, value: object) -> None:
    shown.model.aim({"sun_elevation_deg": 61.0, "camera_x_m": 1.0})
    shown.model.commit(path, value)
    shown.rest("stage")
    assert shown.model.exact and shown.model.spec == built(shown).spec
    made = built(shown)
    expected = draw_frame(made.shot.params, made.shot.seed, made.shot.split, made.shot.frame, made.scene)
    assert shown.model.spec == expected


def test_edit_of_a_range_lets_go_of_its_value_alone(shown: Bench) -> None:
    """Otherwise its slider would do nothing."""
    shown.model.aim({"sun_elevation_deg": 61.0, "sun_azimuth_deg": 10.0, "camera_x_m": 1.0})
    shown.model.set("domain.sun_elevation_deg", (33.0, 33.0))
    shown.until(lambda: shown.model.spec is not None and shown.model.spec["sun_elevation_deg"] == 33.0)
    assert dict(shown.model.aimed) == {"sun_azimuth_deg": 10.0, "camera_x_m": 1.0}
    assert shown.model.spec is not None and shown.model.spec["sun_azimuth_deg"] == 10.0
    shown.model.undo()
    shown.rest("stage")
    assert shown.model.spec is not None and shown.model.spec.camera_x_m == 1.0


def test_held_values_stay_on_new_ground_and_so_does_a_place_it_allows(shown: Bench) -> None:
    shown.model.aim({"sun_elevation_deg": 61.0, "camera_x_m": 19.0, "camera_y_m": 0.0, "height_m": 12.0})
    shown.model.commit("terrain.size_m", 44.0)
    shown.rest("stage")
    made = built(shown)
    assert len(shown.host.authored) == 2 and set(shown.model.aimed) >= {"camera_x_m", "height_m"}
    assert shown.host.authored[-1] == shown.model.spec == aim_frame(made.spec, made.scene, shown.model.aimed)
    stage, spec = shown.host.stage, shown.model.spec
    assert stage is not None and spec is not None
    before = text(stage)
    apply_frame(stage, made.shot.params, spec, made.shot.width, made.shot.height)
    assert text(stage) == before  # the host was given the stage with all of it applied


def test_place_that_new_ground_does_not_allow_is_let_go_with_words(shown: Bench) -> None:
    shown.model.commit("terrain.size_m", 60.0)
    shown.rest("stage")
    shown.model.aim({"camera_x_m": 28.0, "height_m": 12.0, "fov_deg": 90.0})
    shown.model.commit("terrain.size_m", 40.0)
    shown.rest("stage")
    assert dict(shown.model.aimed) == {"fov_deg": 90.0}
    level, words = shown.host.notes[-1]
    assert level == "warning" and words.startswith("The camera is where it was drawn again: camera_x_m: 28.0")
    assert shown.model.spec is not None and shown.model.spec.camera_x_m == built(shown).spec.camera_x_m


def test_newest_aim_is_shown_once_the_host_has_time(shown: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    task, apply = Held(), shown.host.apply_frame
    monkeypatch.setattr(shown.host, "apply_frame", lambda *args: (apply(*args), task)[1])
    for elevation in (11.0, 22.0, 33.0):
        shown.model.aim({"sun_elevation_deg": elevation})
    assert [spec["sun_elevation_deg"] for spec in shown.host.applied] == [11.0]
    task.finish()
    shown.until(lambda: len(shown.host.applied) > 1)
    for _ in range(5):
        shown.model.tick()
    assert [spec["sun_elevation_deg"] for spec in shown.host.applied] == [11.0, 33.0]


def test_what_is_held_is_not_exported(shown: Bench) -> None:
    before = shown.model.params
    shown.model.aim({"sun_elevation_deg": 61.0})
    shown.model.commit("generate.split", "val")
    shown.run("generate")
    assert shown.host.generated[-1].params == before


def test_closed_stage_has_no_frame(shown: Bench) -> None:
    shown.model.aim({"sun_elevation_deg": 61.0})
    shown.changes.clear()
    shown.model.stage_closed()
    assert shown.model.spec is None and shown.model.exact and "shot" in {change.kind for change in shown.changes}


def test_failing_host_leaves_the_frame_that_was_shown(shown: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    before = shown.model.spec

    def fail(*args: object) -> None:
        raise InputError("stage", "gone", "an open one")

    monkeypatch.setattr(shown.host, "apply_frame", fail)
    shown.model.aim({"sun_elevation_deg": 61.0})
    assert shown.model.spec == before and shown.host.notes[-1][0] == "error"


def test_every_aim_is_shown_at_once(shown: Bench) -> None:
    """An aim edits the open stage before it returns: no worker, no tick."""
    for step in range(8):
        shown.model.aim({"sun_azimuth_deg": float(step), "camera_x_m": 0.01 * step, "height_m": 3.0})
        assert len(shown.host.applied) == step + 1 and shown.host.applied[-1]["sun_azimuth_deg"] == float(step)
    assert not shown.model._stage._frame_builder.busy
