"""Repair: what is broken is drawn again to the same bytes, and what cannot be restored is refused."""

import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest
from small_split import write_split
from verify_split import change_contract, change_record, imported

from regolith.lunar import cli
from regolith.lunar.dataset.contract import CONTRACT, COPY, Contract
from regolith.lunar.dataset.generate import generate
from regolith.lunar.dataset.layout import JOURNAL, read_journal
from regolith.lunar.dataset.outputs import file_name
from regolith.lunar.dataset.split_reader import open_split
from regolith.lunar.dataset.verify import repair, verify
from regolith.lunar.params import CheckError, InputError, load_preset, sole_folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """An undamaged split of three frames; tests that damage one damage a copy."""
    return write_split(tmp_path_factory.mktemp("whole") / "val")


@pytest.fixture
def split(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "val"))


@pytest.fixture(scope="module")
def generated(tmp_path_factory) -> Path:
    """A real split: six frames of two scenes."""
    base = load_preset("v1")
    switches = {"instance": True, "depth": True, "right": True, "disparity": True}
    dataset = base.dataset.model_copy(update={"frames_per_scene": 3, **switches})
    camera = base.camera.model_copy(update={"baseline_m": 0.3})
    out = tmp_path_factory.mktemp("generated")
    terrain = base.terrain.model_copy(update={"cell_m": 0.4})
    rocks = base.rocks.model_copy(update={"diameter_min_m": 0.3})
    params = base.model_copy(update={"camera": camera, "dataset": dataset, "terrain": terrain, "rocks": rocks})
    generate(params, out, split="val", frames=6, width=48, height=48, seed=3)
    return out / "val"


def files(split: Path) -> dict[str, bytes]:
    """Every frame's files, the journal and the contract."""
    keep = [*split.glob("*/*.*"), split / JOURNAL, split / CONTRACT]
    return {str(path.relative_to(split)): path.read_bytes() for path in sorted(keep)}


def test_repair_restores_the_same_bytes(generated, tmp_path) -> None:
    """A flipped bit, a lost file, a damaged line and a frame of other values: drawn again, and nothing else."""
    split = Path(shutil.copytree(generated, tmp_path / "val"))
    before = files(split)
    kept = (split / file_name("rgb", 5)).stat().st_mtime_ns
    change_record(split, 4, spec=read_journal(split)[4].spec | {"albedo": 0.9})
    (split / file_name("mask", 0)).unlink()
    (split / file_name("right", 2)).unlink()
    data = bytearray((split / file_name("rgb", 1)).read_bytes())
    data[len(data) // 2] ^= 1
    (split / file_name("rgb", 1)).write_bytes(data)
    journal = bytearray((split / JOURNAL).read_bytes())
    journal[journal.index(b'"index":3') + 8] ^= 1
    (split / JOURNAL).write_bytes(journal)
    assert len(verify(split)["problems"]) == 6
    result = repair(split)
    assert result["problems"] == [] and result["repaired"] == {"val": 5}
    assert files(split) == before
    assert (split / file_name("rgb", 5)).stat().st_mtime_ns == kept
    assert repair(split)["repaired"] == {}


def test_repair_refuses_what_it_cannot_restore(split, tmp_path) -> None:
    (split / file_name("rgb", 0)).unlink()
    journal = (split / JOURNAL).read_bytes()
    with sole_folder("out", split), pytest.raises(InputError, match="no other run"):
        repair(split)
    assert (split / JOURNAL).read_bytes() == journal
    aside = Path(shutil.copytree(split, tmp_path / "elsewhere"))
    with pytest.raises(InputError, match="a folder named val"):
        repair(aside)
    with pytest.raises(InputError, match="imported"):
        repair(imported(aside))
    for name in (CONTRACT, COPY):
        (split / name).write_text("{")
    with pytest.raises(CheckError, match=r"dataset\.json and its copy are damaged and cannot be repaired"):
        repair(split)
    assert (split / JOURNAL).read_bytes() == journal


@pytest.mark.parametrize("name", [CONTRACT, COPY])
@pytest.mark.parametrize("damage", ["lost", "cut", "flipped"])
def test_repair_restores_a_contract_from_the_other_copy(generated, tmp_path, name: str, damage: str) -> None:
    """Either copy is enough to read the split; verify says which is damaged, and repair draws nothing for it."""
    split = Path(shutil.copytree(generated, tmp_path / "val"))
    before = files(split)
    data = bytearray((split / name).read_bytes())
    data[len(data) // 3] ^= 4
    if damage == "lost":
        (split / name).unlink()
    else:
        (split / name).write_bytes(data if damage == "flipped" else data[: len(data) // 2])
    assert len(open_split(split)) == 6
    (problem,) = verify(split)["problems"]
    assert (problem["check"], problem["where"]) == ("contract", name)
    result = repair(split)
    assert result["problems"] == [] and result["repaired"] == {} and result["restored"] == [f"val/{name}"]
    assert files(split) == before and (split / COPY).read_bytes() == before[CONTRACT]


def test_a_split_of_an_earlier_version_gets_its_copy(split, capsys) -> None:
    """It has none: every verb reads it, verify says so and repair writes it, for imported splits too."""
    for older in (split, imported(Path(shutil.copytree(split, split.parent / "imported" / "val")))):
        (older / COPY).unlink()
        assert len(open_split(older)) == 3
        assert cli.main(["card", str(older)]) == 0
        assert cli.main(["verify", str(older)]) == 1
        assert f"{COPY}: missing, as in splits of earlier versions; --repair writes it" in capsys.readouterr().out
        assert cli.main(["verify", str(older), "--repair"]) == 0
        assert f"val/{COPY} restored" in capsys.readouterr().out
        assert cli.main(["verify", str(older)]) == 0


def test_a_copy_of_other_values_is_found(generated, tmp_path) -> None:
    """The contract counts where both are whole."""
    split = Path(shutil.copytree(generated, tmp_path / "val"))
    (split / COPY).write_bytes(dataclasses.replace(Contract.read(split), seed=4).to_bytes())
    (problem,) = verify(split)["problems"]
    assert (problem["check"], problem["where"]) == ("contract", COPY) and "that of dataset.json" in problem["problem"]
    assert repair(split)["problems"] == [] and Contract.read_file(split / COPY).seed == 3


def test_repair_of_a_disk_that_cannot_be_written_is_refused(generated, tmp_path, capsys) -> None:
    split = Path(shutil.copytree(generated, tmp_path / "val"))
    (split / file_name("mask", 0)).unlink()
    mount = ["mount", "--bind", str(split), str(split)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting takes root")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(split)], check=True)
        assert cli.main(["verify", str(split), "--repair"]) == 2
    finally:
        subprocess.run(["umount", str(split)], check=True)
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"regolith: out: '{split}' is not allowed") and "Read-only file system" in line


def test_repair_on_another_back_end_has_to_be_asked_for(generated, tmp_path) -> None:
    split = Path(shutil.copytree(generated, tmp_path / "val"))
    renderer = Contract.read(split).renderer
    change_contract(split, renderer=renderer | {"backend": "another"})
    (split / file_name("mask", 0)).unlink()
    with pytest.raises(InputError, match=r"renderer\.backend.*other-backend"):
        repair(split)
    assert cli.main(["verify", str(split), "--repair", "--other-backend"]) == 0


def test_duplicates_are_not_repaired(generated, tmp_path) -> None:
    split = Path(shutil.copytree(generated, tmp_path / "val"))
    records = read_journal(split)
    name, copied = file_name("rgb", 2), file_name("rgb", 0)
    shutil.copyfile(split / copied, split / name)
    sha256, size = records[0].sha256[copied], records[0].bytes[copied]
    change_record(split, 2, sha256=records[2].sha256 | {name: sha256}, bytes=records[2].bytes | {name: size})
    result = repair(split)
    assert [problem["check"] for problem in result["problems"]] == ["duplicates"] and result["repaired"] == {}
