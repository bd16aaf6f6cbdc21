"""Columns beside the journal: read as they were written, stale with other frames, filtered by like values of specs."""

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_split import grow, redraw, write_split

from regolith.lunar import cli, open_split
from regolith.lunar.dataset.columns import COLUMNS, ColumnTable, write_columns
from regolith.lunar.dataset.contract import digest
from regolith.lunar.dataset.formats.source import read_source
from regolith.lunar.dataset.layout import read_journal, write_journal
from regolith.lunar.dataset.survey import tidy
from regolith.lunar.dataset.verify import verify
from regolith.lunar.files import LOCK, holding
from regolith.lunar.params import InputError

GIVEN = {"rocks": ("rocks that count", [3, 0, 7]), "rock_iou": ("IoU of the rock class", [0.25, math.nan, 0.1 + 0.2])}
FILE = f"{COLUMNS}/tail.jsonl"


@pytest.fixture
def split(tmp_path: Path) -> Path:
    folder = write_split(tmp_path / "val", 4)
    before = contents(folder)
    table = ColumnTable.of("tail", "regolith tail", {"real": tmp_path / "real", "model": None}, [0, 1, 3], GIVEN)
    write_columns(folder, table, read_journal(folder).ordered())
    assert contents(folder) == before
    return folder


def contents(split: Path) -> dict[str, bytes]:
    files = [path for path in sorted(split.rglob("*")) if path.is_file() and path.parent.name != COLUMNS]
    return {str(path.relative_to(split)): path.read_bytes() for path in files}


def test_frames_say_what_was_found_of_them(split: Path) -> None:
    frames = open_split(split)
    assert frames.columns == {"tail.rocks": "rocks that count", "tail.rock_iou": "IoU of the rock class"}
    assert [frame.columns for frame in frames] == [
        {"tail.rocks": 3, "tail.rock_iou": 0.25},
        {"tail.rocks": 0},
        {},
        {"tail.rocks": 7, "tail.rock_iou": 0.1 + 0.2},
    ]
    assert np.array_equal(frames.column("tail.rocks"), [3, 0, math.nan, 7], equal_nan=True)
    assert np.array_equal(frames[1:].column("tail.rock_iou"), [math.nan, math.nan, 0.1 + 0.2], equal_nan=True)
    (table,) = read_source(split).tables
    assert table.name == "tail" and table.set_by == "regolith tail" and list(table.about) == ["real"]


def test_frames_are_filtered_by_them_as_by_their_values(split: Path) -> None:
    frames = open_split(split)
    assert [frame.index for frame in frames.filter(columns={"tail.rocks": (1, 7)})] == [0, 3]
    assert [frame.index for frame in frames.filter(columns={"tail.rocks": (0, 3), "tail.rock_iou": 0.25})] == [0]
    elevation = frames[3].spec["sun_elevation_deg"]
    found = frames.filter(lambda frame: frame.index > 0, columns={"tail.rocks": 7}, sun_elevation_deg=elevation)
    assert [frame.index for frame in found] == [3]
    with pytest.raises(InputError, match=r"column: .*tail\.size.*allowed: tail\.rocks, tail\.rock_iou"):
        frames.filter(columns={"tail.size": 1})
    (split / FILE).unlink()
    with pytest.raises(InputError, match="no verb wrote --columns here"):
        open_split(split).column("tail.rocks")


@pytest.mark.parametrize(
    "value", [math.nan, (0, math.nan), (0, math.inf), "low", ("0", "1"), (1, 2, 3), (), [1, 2], (2, 1)]
)
def test_what_is_no_range_is_refused_in_one_line(split: Path, value: Any) -> None:
    frames = open_split(split)
    words = "a finite number, or \\(lo, hi\\) with lo ≤ hi$"
    with pytest.raises(InputError, match=rf"^tail\.rocks: .*{words}"):
        frames.filter(columns={"tail.rocks": value})
    with pytest.raises(InputError, match=rf"^scene: .*{words}"):
        frames.filter(scene=value)
    of_numpy: Any = (np.float32(1), np.int64(7))
    assert [frame.index for frame in frames.filter(columns={"tail.rocks": of_numpy})] == [0, 3]


def test_verify_accepts_and_notes_them(split: Path) -> None:
    result = verify(split)
    assert result["problems"] == [] and result["notes"] == ["val: 2 columns of 3 frames by regolith tail"]
    assert next(row for row in result["checks"] if row["check"] == "columns")["checked"] == 1


def test_what_a_killed_writer_left_is_swept(split: Path) -> None:
    left = split / COLUMNS / ".tail.ab12-7.tmp.jsonl"
    left.write_bytes(b"torn")
    assert list(open_split(split).columns) and verify(split)["problems"] == []
    tidy(split, ("rgb",))
    assert not left.exists() and (split / FILE).exists()


def _edit_row(split: Path) -> None:
    path = split / FILE
    path.write_text(path.read_text().replace("[0,3,0.25]", "[0,4,0.25]"))


def _edit_head(split: Path) -> None:
    _change_head(split, lambda head: head | {"set_by": "regolith gate"}, sign=False)


def _other_name(split: Path) -> None:
    _change_head(split, lambda head: head | {"columns": {"rocks": "", "Rock-IoU": ""}})


def _other_width(split: Path) -> None:
    _change_head(split, lambda head: head | {"columns": {"rocks": ""}})


def _tear(split: Path) -> None:
    path = split / FILE
    path.write_bytes(path.read_bytes()[:-20])


def _empty(split: Path) -> None:
    (split / FILE).write_bytes(b"")


def _change_head(split: Path, change: Callable[[dict], dict], *, sign: bool = True) -> None:
    path = split / FILE
    head, *rows = path.read_text().splitlines()
    changed = change(json.loads(head))
    changed = changed | {"digest": digest(changed)} if sign else changed
    path.write_text("\n".join([json.dumps(changed), *rows]) + "\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_edit_row, r"as `--columns` wrote it \(its rows\)"),
        (_edit_head, r"as `--columns` wrote it \(its first line\)"),
        (_other_name, "names or texts"),
        (_other_width, "row 0"),
        (_tear, "its rows"),
        (_empty, "as `--columns` wrote it"),
    ],
)
def test_other_bytes_are_refused_in_one_line(split: Path, change: Callable[[Path], None], said: str) -> None:
    change(split)
    with pytest.raises(InputError, match=said) as error:
        _ = open_split(split)[0].columns
    line = str(error.value)
    assert line.startswith("columns: ") and FILE in line and "\n" not in line
    problems = [problem for problem in verify(split)["problems"] if problem["check"] == "columns"]
    assert [(problem["where"], problem["problem"]) for problem in problems] == [(FILE, line)]
    assert len(open_split(split)) >= 4  # the frames are as they were


@pytest.mark.parametrize("change", [partial(redraw, index=2), grow])
def test_a_table_of_other_frames_is_left_out_noted_and_refused_by_name_alone(
    split: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Path], None]
) -> None:
    change(split)
    now = read_journal(split).ordered()
    fresh = ColumnTable.of("evaluate", "regolith evaluate synth", {}, [0, 1], {"rock_iou": ("IoU", [0.5, 0.75])})
    write_columns(split, fresh, now)
    frames = open_split(split)
    assert list(frames.columns) == ["evaluate.rock_iou"] and frames[1].columns == {"evaluate.rock_iou": 0.75}
    assert len(frames.filter(columns={"evaluate.rock_iou": (0.6, 1)})) == 1
    with pytest.raises(InputError, match=r"^columns: .*tail\.jsonl.*as they are now") as error:
        frames.column("tail.rocks")
    result = verify(split)
    assert result["problems"] == []
    assert f"val/{FILE}: is of other frames than now: --columns writes it again" in result["notes"]

    line = f"mix --synth {split} --real {split} --ratio 100:0 --out {tmp_path / 'mix.json'} --stratify".split()
    assert cli.main([*line, "rock_share"]) == 0 == cli.main([*line, "evaluate.rock_iou"])
    capsys.readouterr()
    assert cli.main([*line, "tail.rocks"]) == 2
    assert capsys.readouterr().err == f"regolith: {error.value}\n"
    (split / COLUMNS / "gate.jsonl").write_bytes(b"torn")
    assert cli.main([*line, "rock_share"]) == 0 == cli.main([*line, "evaluate.rock_iou"])


def test_frames_drawn_again_to_the_same_bytes_change_nothing(split: Path) -> None:
    records = read_journal(split)
    write_journal(split, {index: records[index] for index in reversed(range(4))})
    assert open_split(split)[0].columns["tail.rocks"] == 3


def test_a_table_that_is_written_again_takes_the_place_of_the_other(split: Path) -> None:
    table = ColumnTable.of("tail", "regolith tail", {}, [2], {"rocks": ("others", [1])})
    write_columns(split, table, read_journal(split).ordered())
    assert [frame.columns for frame in open_split(split)] == [{}, {}, {"tail.rocks": 1}, {}]


@pytest.mark.parametrize("verb", ["tail {split}", "gate {split} --real {split}", "evaluate synth --split {split}"])
def test_a_split_that_another_run_writes_to_takes_none(
    split: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    line = f"{verb} --columns --out {tmp_path / 'out'}".format(split=split)
    with holding(split / LOCK):
        assert cli.main(line.split()) == 2
    assert "a split no other run is writing to" in capsys.readouterr().err
    assert [path.name for path in (split / COLUMNS).iterdir()] == ["tail.jsonl"]
