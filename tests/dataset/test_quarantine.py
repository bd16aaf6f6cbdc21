"""What is quarantined: read as it was set, stale with other frames, refused by training and mixing unless told."""

import json
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_split import grow, redraw, write_split

from regolith.lunar import cli, open_split
from regolith.lunar.dataset.contract import digest
from regolith.lunar.dataset.formats.source import read_source
from regolith.lunar.dataset.layout import read_journal, write_journal
from regolith.lunar.dataset.manifest import read_frames
from regolith.lunar.dataset.quarantine import QUARANTINE, Quarantine, write_quarantine
from regolith.lunar.dataset.subset import link_subset
from regolith.lunar.dataset.verify import verify
from regolith.lunar.labels import IGNORE, ROCK
from regolith.lunar.params import InputError
from training.data import Frames

SET = Quarantine("regolith gate", "0" * 64, {1: ("regolith: own divergence 0.40",)}, {"rock": ("divergence 0.30",)})


def quarantine(split: Path, given: Quarantine = SET) -> Path:
    write_quarantine(split, given, read_journal(split).ordered())
    return split


def contents(split: Path) -> dict[str, bytes]:
    files = [path for path in sorted(split.rglob("*")) if path.is_file() and path.name != QUARANTINE]
    return {str(path.relative_to(split)): path.read_bytes() for path in files}


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return write_split(tmp_path / "val", 4)


@pytest.fixture
def split(plain: Path) -> Path:
    before = contents(plain)
    quarantine(plain)
    assert contents(plain) == before
    return plain


def test_frames_and_classes_say_why(split: Path) -> None:
    frames = open_split(split)
    assert read_source(split).quarantine == SET and frames.quarantined_classes == SET.classes
    assert [bool(frame.quarantined) for frame in frames] == [False, True, False, False]
    assert frames[1].quarantined == SET.frames[1]
    assert len(frames.filter(lambda frame: not frame.quarantined)) == 3


def test_verify_accepts_and_notes_it(split: Path) -> None:
    result = verify(split)
    assert result["problems"] == [] and result["notes"] == ["val: 1 frame and class rock quarantined by regolith gate"]


def test_one_that_holds_nothing_is_lifted(split: Path) -> None:
    quarantine(split, Quarantine("regolith gate", "", {}, {}))
    assert not (split / QUARANTINE).exists() and read_source(split).quarantine is None
    assert open_split(split).quarantined_classes == {}


def _edit(split: Path) -> None:
    data = json.loads((split / QUARANTINE).read_text())
    del data["frames"]["1"]
    (split / QUARANTINE).write_text(json.dumps(data))


def _of_no_frame(split: Path) -> None:
    data = json.loads((split / QUARANTINE).read_text())
    data["frames"]["9"] = []
    (split / QUARANTINE).write_text(json.dumps(data | {"digest": digest(data)}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (partial(redraw, index=3), "as they are now"),
        (grow, "as they are now"),
        (_edit, "as `regolith gate` wrote it"),
        (_of_no_frame, "of this split"),
    ],
)
def test_other_frames_make_it_stale(split: Path, change: Callable[[Path], None], said: str) -> None:
    change(split)
    assert [p["problem"] for p in verify(split)["problems"] if p["check"] == "quarantine" and said in p["problem"]]
    with pytest.raises(InputError, match=said):
        Frames(split, field="train_split", workers=1)
    assert len(Frames(split, field="train_split", workers=1, quarantined="use")) >= 4


def test_frames_drawn_again_to_the_same_bytes_change_nothing(split: Path) -> None:
    records = read_journal(split)
    write_journal(split, {index: records[index] for index in reversed(range(4))})
    assert read_source(split).quarantine == SET


def test_training_refuses_leaves_out_or_uses(split: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        Frames(split, field="train_split", workers=1)
    line = str(error.value)
    assert line.startswith("train_split: ") and "here are 1 frame, class rock: --quarantined leave-out, or use" in line
    used = Frames(split, field="train_split", workers=1, quarantined="use")
    rest = Frames(split, field="train_split", workers=1, quarantined="leave-out")
    assert len(used) == 4 and [rest.record(i)[1].index for i in range(3)] == [0, 2, 3]
    mask, full = rest.frame(1)[1], used.frame(2)[1]
    assert (full == ROCK).any() and np.array_equal(mask, np.where(full == ROCK, IGNORE, full))
    assert rest.counts[ROCK] == 0 < used.counts[ROCK]
    only_frame = quarantine(split, Quarantine("regolith gate", "", SET.frames, {}))
    without = Frames(only_frame, field="train_split", workers=1, quarantined="leave-out")
    assert len({without.fingerprint, rest.fingerprint, used.fingerprint}) == 3


def test_nothing_left_is_refused(split: Path) -> None:
    quarantine(split, Quarantine("regolith gate", "", dict.fromkeys(range(4), ("why",)), {}))
    with pytest.raises(InputError, match="some frame is not quarantined"):
        Frames(split, field="train_split", workers=1, quarantined="leave-out")
    quarantine(split, Quarantine("regolith gate", "", {}, dict.fromkeys(("regolith", "rock", "sky"), ("why",))))
    with pytest.raises(InputError, match="at least one labelled frame"):
        Frames(split, field="train_split", workers=1, quarantined="leave-out")


def test_mixing_does_the_same_and_the_manifest_says_which_classes_do_not_count(
    split: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, out = write_split(tmp_path / "other", 4, split="train_dr"), tmp_path / "mix.json"
    line = f"mix --synth {split} --real {other} --out {out}".split()
    assert cli.main(line) == 2
    assert capsys.readouterr().err.startswith("regolith: synth: ") and not out.exists()
    assert cli.main([*line, "--quarantined", "leave-out"]) == 0
    assert [part.ignored for part in read_frames(out)] == [("rock",), ()]
    frames = Frames(out, field="train_split", workers=1)  # what was left out is not refused again
    assert [frames.record(i)[1].index for i in range(3)] == [0, 2, 3] and not (frames.frame(0)[1] == ROCK).any()
    assert cli.main([*line, "--quarantined", "use"]) == 0
    with pytest.raises(InputError, match="not quarantined"):
        Frames(out, field="train_split", workers=1)


def test_packing_does_the_same_for_a_pack_has_no_marks(
    split: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"pack --splits {split} --out {tmp_path / 'packs'}".split()
    assert cli.main(line) == 2
    assert capsys.readouterr().err.startswith("regolith: splits: ") and not (tmp_path / "packs").exists()
    assert cli.main([*line, "--quarantined", "leave-out"]) == 0
    with tarfile.open(tmp_path / "packs/piece_00.tar") as tar:
        masks = {Path(name).stem: tar.extractfile(name) for name in tar.getnames() if name.endswith(".png")}
        assert list(masks) == ["00000", "00002", "00003"]
        assert all(not (np.asarray(Image.open(file)) == ROCK).any() for file in masks.values() if file is not None)


def test_a_linked_part_keeps_it(split: Path, tmp_path: Path) -> None:
    link_subset(split, tmp_path / "val_2", 2)
    assert read_source(tmp_path / "val_2").quarantine == SET
    link_subset(split, tmp_path / "val_1", 1)
    found = read_source(tmp_path / "val_1").quarantine
    assert found is not None and not found.frames and found.classes == SET.classes
