"""The study of stages: all arms have the same steps, and the share of real frames that they claim."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import study_progressive  # noqa: E402
import study_ratio  # noqa: E402

from regolith.lunar.params.curriculum import PROGRESSIVE  # noqa: E402


def test_all_arms_have_the_same_steps() -> None:
    batch, frames = study_ratio.RECIPE["batch"], study_progressive.FRAMES
    assert frames % batch == 0
    epochs = [stage.epochs * study_progressive.EPOCHS for stage in PROGRESSIVE]
    assert epochs == pytest.approx([round(each) for each in epochs])
    steps = sum(round(each) for each in epochs) * frames // batch
    assert steps % study_progressive.PASSES == 0


def test_the_share_of_real_frames_is_that_of_the_table() -> None:
    """0.2 of the epochs have 30 % real frames, 0.2 have 80 %."""
    assert study_progressive.real_share() == pytest.approx(0.2 * 0.3 + 0.2 * 0.8)


def test_arms_of_a_strength_are_drawn_alike_but_for_strength_and_scenes() -> None:
    arms = [study_progressive.drawn_at(stage.strength) for stage in PROGRESSIVE]
    assert [arm.changes["randomize.strength"] for arm in arms] == [stage.strength for stage in PROGRESSIVE]
    assert len({arm.seed for arm in arms}) == len({arm.name for arm in arms}) == 4
    assert {arm.preset for arm in arms} == {"wide"}


def test_a_difference_is_shown_only_where_its_interval_leaves_out_0() -> None:
    def rows(*ious: float) -> list[dict]:
        return [{"polar": {"iou": iou}} for iou in ious]

    table = {"pooled": rows(0.30, 0.35, 0.32), "progressive": rows(0.40, 0.46, 0.41)}
    found = study_progressive.difference(table, "progressive", "pooled")
    assert found is not None and found["mean"] == pytest.approx(0.1) and found["lo"] > 0
    assert study_progressive.say_difference(found).endswith(": shown")
    wide = study_progressive.difference(table | {"progressive": rows(0.2, 0.6, 0.3)}, "progressive", "pooled")
    assert wide is not None and study_progressive.say_difference(wide).endswith("not shown, the interval holds 0")
    one = study_progressive.difference({name: each[:1] for name, each in table.items()}, "progressive", "pooled")
    assert one is not None and "no interval" in study_progressive.say_difference(one)
