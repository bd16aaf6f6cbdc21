"""A mixture is a small file that a training takes as a split, and holds the splits it was made of to what they were."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from toy_split import write_split

from regolith.lunar import cli
from regolith.lunar.dataset.layout import read_journal, write_journal
from regolith.lunar.dataset.manifest import read_manifest
from regolith.lunar.params import InputError
from training.data import Frames
from training.train import train


def mix(toy: SimpleNamespace, out: Path, *words: str) -> Path:
    """Mix the toy's training split, as the synthetic side, with its validation split, as the real one."""
    assert cli.main(["mix", "--synth", str(toy.train), "--real", str(toy.val), "--out", str(out), *words]) == 0
    return out


def taken(path: Path) -> dict[str, list[int]]:
    """Name of each split of a manifest to its frames."""
    return {part.source.name: [record.index for record in part.records] for part in read_manifest(path)}


@pytest.mark.parametrize(
    ("words", "synth", "real"),
    [
        ([], 6, 6),
        (["--ratio", "75:25"], 18, 6),
        (["--ratio", "100:0"], 24, 0),
        (["--ratio", "0:1"], 0, 6),
        (["--frames", "20", "--ratio", "1:3"], 5, 15),
    ],
)
def test_sides_have_their_shares(toy: SimpleNamespace, tmp_path: Path, words: list[str], synth: int, real: int) -> None:
    found = taken(mix(toy, tmp_path / "mix.json", *words))
    assert (len(found.get("train_dr", [])), len(found.get("val", []))) == (synth, real)
    times = Counter(found.get("val", []))
    assert not real or max(times.values()) - min(times.get(k, 0) for k in range(6)) <= 1, "repeated evenly"


def test_strata_keep_their_shares(toy: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The toy's suns stand at four heights; two of three frames that are taken are of each as often as before."""
    path = mix(
        toy, tmp_path / "mix.json", "--ratio", "2:1", "--frames", "9", "--stratify", "sun_elevation", "--buckets", "4"
    )
    heights = Counter(read_journal(toy.train)[index].spec["sun_elevation_deg"] for index in taken(path)["train_dr"])
    assert sorted(heights.values()) in ([1, 1, 2, 2], [1, 1, 1, 3])
    assert "sun_elevation" in capsys.readouterr().out


def test_every_stratum_is_told_of(toy: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also of buckets whose ranges look alike in a few digits."""
    mix(toy, tmp_path / "mix.json", "--buckets", "100", "--json", str(tmp_path / "result.json"))
    strata = json.loads((tmp_path / "result.json").read_text("utf-8"))["strata"]
    for side, frames, taken in (("synth", 24, 6), ("real", 6, 6)):
        assert [sum(row[side][key] for row in strata) for key in ("of", "taken")] == [frames, taken]


def test_strata_without_a_frame_are_told(
    toy: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mix(toy, tmp_path / "mix.json", "--frames", "4", "--ratio", "50:50", "--stratify", "sun_elevation , ")
    assert "note: 2 synthetic frames for 3 strata: none of (" in capsys.readouterr().out


def test_a_large_mixture_is_read_back(toy: SimpleNamespace, tmp_path: Path) -> None:
    path = mix(toy, tmp_path / "mix.json", "--frames", "400000")
    assert path.stat().st_size > 1 << 20 and sum(len(part.records) for part in read_manifest(path)) == 400_000


def test_the_same_command_gives_the_same_bytes(toy: SimpleNamespace, tmp_path: Path) -> None:
    first = mix(toy, tmp_path / "a.json").read_bytes()
    assert first == mix(toy, tmp_path / "b.json").read_bytes()
    assert first != mix(toy, tmp_path / "c.json", "--seed", "1").read_bytes()


def test_a_training_takes_it_as_a_split(toy: SimpleNamespace, tmp_path: Path) -> None:
    path = mix(toy, tmp_path / "mix.json", "--frames", "20")
    frames = Frames(path, field="train_split", workers=1)
    assert len(frames) == 20 and frames.sizes == [(32, 32)]
    assert frames.fingerprint != Frames(toy.train, field="train_split", workers=1).fingerprint
    summary = train(toy.params(tmp_path / "run", train_split=path, epochs=1))
    assert summary["splits"]["train_split"]["frames"] == 20
    assert summary["splits"]["train_split"]["fingerprint"] == frames.fingerprint


def test_it_moves_with_its_splits_and_mixes_again(toy: SimpleNamespace, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for split in (toy.train, toy.val):
        shutil.copytree(split, home / split.name)
    there = SimpleNamespace(train=home / "train_dr", val=home / "val")
    path = mix(there, home / "mix.json")
    home.rename(tmp_path / "elsewhere")
    path = tmp_path / "elsewhere/mix.json"
    assert len(Frames(path, field="train_split", workers=1)) == 12
    again = tmp_path / "again.json"
    assert cli.main(["mix", "--synth", str(path), "--real", str(toy.val), "--ratio", "2:1", "--out", str(again)]) == 0
    assert [len(part.records) for part in read_manifest(again)] == [6, 6, 6]


def test_another_split_in_its_place_is_refused(toy: SimpleNamespace, tmp_path: Path) -> None:
    split = write_split(tmp_path / "real", 6, seed=3)
    path = mix(SimpleNamespace(train=toy.train, val=split), tmp_path / "mix.json")
    shutil.rmtree(split)
    write_split(split, 6, seed=4)
    with pytest.raises(InputError, match=r"^train_split: .*mix\.json.*those of real are others now"):
        Frames(path, field="train_split", workers=1)
    write_journal(split, {index: record for index, record in read_journal(split).items() if index < 3})
    with pytest.raises(InputError, match=r"^train_split: .*mix\.json.*real has no frame 3"):
        Frames(path, field="train_split", workers=1)


def test_every_changed_byte_of_a_manifest_is_found(toy: SimpleNamespace, tmp_path: Path) -> None:
    path = mix(toy, tmp_path / "mix.json")
    whole = path.read_bytes()
    for place in range(0, len(whole) - 1, 23):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(InputError):
            read_manifest(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"schema": 1}', b"\xff", b"[" * 100_000])
def test_other_files_are_refused(toy: SimpleNamespace, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mix.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"^train_split: .*manifest"):
        Frames(path, field="train_split", workers=1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ratio", "half"], "ratio: 'half' is not allowed; allowed: two whole numbers"),
        (["--ratio", "0:0"], "ratio: '0:0' is not allowed; allowed: two whole numbers"),
        (["--stratify", "wind"], "stratify: 'wind' is not allowed; allowed: regolith_share, rock_share"),
        (["--stratify", "rock_share,rock_share"], "stratify: 'rock_share,rock_share' is not allowed"),
        (["--frames", "1"], "frames: 1 is not allowed; allowed: enough for a frame of each side at 50:50"),
        (["--out", "mix.yaml"], "out: 'mix.yaml' is not allowed; allowed: a file name ending in .json"),
    ],
)
def test_wrong_values(toy, tmp_path: Path, capsys, words: list[str], message: str) -> None:
    line = ["mix", "--synth", str(toy.train), "--real", str(toy.val), "--out", str(tmp_path / "mix.json"), *words]
    assert cli.main(line) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_manifest_is_documented(toy: SimpleNamespace, tmp_path: Path) -> None:
    data = json.loads(mix(toy, tmp_path / "mix.json").read_text("utf-8"))
    assert data.keys() == {"schema", "about", "parts", "digest"}
    assert all(part.keys() == {"folder", "sha256", "frames", "ignored"} for part in data["parts"])
    assert str(toy.root.parent) not in json.dumps(data["about"])
