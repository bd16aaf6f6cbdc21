"""`regolith export`: whole or not at all, complete frames only, and refusals that name what is wrong."""

import fcntl
import importlib
import json
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rocky_split import write_rocky

from regolith.lunar import cli
from regolith.lunar.dataset.export import MODULES, export
from regolith.lunar.dataset.formats.source import by_role, read_sources, role
from regolith.lunar.dataset.formats.target import appearing
from regolith.lunar.dataset.layout import file_name, read_journal
from regolith.lunar.dataset.write import write_journal
from regolith.lunar.params import InputError


@pytest.fixture
def root(tmp_path) -> Path:
    for name in ("train_dr", "val"):
        write_rocky(tmp_path / "in" / name, 2, seed=70)
    return tmp_path


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("to", MODULES)
def test_a_failure_leaves_nothing(root: Path, to: str) -> None:
    """The last frame's mask is not what was written; whatever had been exported by then is gone."""
    broken = root / "in/val" / file_name("mask", 1)
    data = bytearray(broken.read_bytes())
    data[-20] ^= 1
    broken.write_bytes(data)
    before = files(root / "in")
    with pytest.raises(InputError, match=r"mask_00001\.png.*changed"):
        export(root / "in", root / "new/out", to=to)
    assert names(root) == ["in"]
    assert files(root / "in") == before


@pytest.mark.parametrize("to", MODULES)
def test_a_full_disk_leaves_nothing(root: Path, to: str) -> None:
    """Files of more than 2 kB cannot be written: as on a full disk, the write fails half way."""
    code = (
        f"from regolith.lunar import cli; raise SystemExit(cli.main(['export', 'in', '--to', '{to}', '--out', 'out']))"
    )

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, preexec_fn=limit, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "File too large" in done.stderr and "Traceback" not in done.stderr
    assert names(root) == ["in"]


@pytest.mark.parametrize("to", MODULES)
def test_progress_counts_every_frame(root: Path, to: str) -> None:
    events = []
    result = export(root / "in", root / "out", to=to, emit=events.append)
    assert [event["done"] for event in events] == [0, 1, 2, 3, 4] and {event["total"] for event in events} == {4}
    assert result == {"out": str(root / "out"), "format": to, "splits": {"train_dr": 2, "val": 2}}


def test_only_complete_frames_are_exported(root: Path) -> None:
    """Files are there, but the journal does not have the frame: it is being written, or was broken off."""
    split = root / "in/val"
    records = read_journal(split)
    del records[1]
    write_journal(split, records)
    assert export(split, root / "out", to="coco")["splits"] == {"val": 1}
    assert len(json.loads((root / "out/annotations/instances_val.json").read_text())["images"]) == 1


def test_what_is_there_stays(root: Path) -> None:
    (root / "out").mkdir()
    export(root / "in/val", root / "out", to="voc")  # empty: fine
    before = files(root / "out")
    with pytest.raises(InputError, match=r"out:.*not there yet, or empty"):
        export(root / "in/val", root / "out", to="voc")
    assert files(root / "out") == before
    (root / "file").touch()
    with pytest.raises(InputError, match="out:"):
        export(root / "in/val", root / "file", to="voc")


def test_pictures_are_links_where_they_can_be(root: Path) -> None:
    export(root / "in/val", root / "out", to="coco")
    assert (root / "out/val/rgb_00000.png").samefile(root / "in/val/rgb/rgb_00000.png")


def test_linked_frames_are_exported_as_files(root: Path) -> None:
    """A subset made of symbolic links, as `train_dr_750` may be: no export points back at it."""
    split, subset = root / "in/val", root / "subset"
    shutil.copytree(split, subset)
    for path in subset.glob("*/*"):
        path.unlink()
        path.symlink_to(Path("../../in/val") / path.relative_to(subset))
    export(subset, root / "out", to="coco")
    picture = root / "out/subset/rgb_00000.png"
    assert not picture.is_symlink() and picture.read_bytes() == (split / "rgb/rgb_00000.png").read_bytes()


def test_a_killed_run_is_cleared_and_two_at_once_are_told(tmp_path: Path) -> None:
    leftover = tmp_path / ".out.tmp"
    (leftover / "deep").mkdir(parents=True)
    (leftover / "deep/half").touch()
    with appearing(tmp_path / "out") as folder:
        assert not list(folder.iterdir())
        (folder / "whole").touch()
        with pytest.raises(InputError, match="no other run"), appearing(tmp_path / "out"):
            pass
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["whole"]


def test_a_folder_renamed_under_a_second_run_is_not_its_own(tmp_path: Path, monkeypatch) -> None:
    """The second run opens the temporary folder, and the first ends before the second has the lock."""

    def rename_first(*_: int) -> None:
        (tmp_path / ".out.tmp").rename(tmp_path / "out")

    monkeypatch.setattr(fcntl, "flock", rename_first)
    with pytest.raises(InputError, match="no other run"), appearing(tmp_path / "out"):
        pass
    assert names(tmp_path) == ["out"]


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), appearing(tmp_path / "a/b/out") as folder:
        (folder / "file").touch()
        raise KeyboardInterrupt
    assert names(tmp_path) == []


LINES = [
    (["in/val", "--to", "coco2"], "to: 'coco2' is not allowed; allowed: " + ", ".join(MODULES)),
    (["nowhere", "--to", "coco"], "folder: 'nowhere' is not allowed; allowed: a split (a folder with a dataset.json), "
     "or a dataset holding some"),
    (["in", "--to", "webdataset", "--shard", "0"], "shard: '0' is not allowed; allowed: a whole number 1 … 1000000"),
]  # fmt: skip


@pytest.mark.parametrize(("args", "line"), LINES)
def test_bad_input_is_one_line(root: Path, capsys, monkeypatch, args: list[str], line: str) -> None:
    monkeypatch.chdir(root)
    assert cli.main(["export", *args, "--out", "out"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"regolith: {line}"
    assert names(root) == ["in"]


def test_a_missing_package_is_named(root: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(InputError, match=r"pycocotools is not.*pip install regolith-lunar\[export\]"):
        export(root / "in", root / "out", to="coco")
    assert names(root) == ["in"]


def test_roles_prefer_the_main_training_split(tmp_path: Path) -> None:
    for name in ("train_nodr", "train_dr", "train_a", "val", "test_photoreal", "polar"):
        write_rocky(tmp_path / name, 1, seed=1, extras=())
    found = by_role(read_sources(tmp_path))
    assert {key: source.name for key, source in found.items()} == {
        "train": "train_dr", "val": "val", "test": "test_photoreal", "polar": "polar",
    }  # fmt: skip
    assert role("polar") == "polar"


def test_verbs_lead_to_their_own_classes() -> None:
    """`export` is the beginning of `export-model`; neither shadows the other."""
    assert cli._split_verb(["export", "x"]) == ("export", ["x"])
    assert cli._split_verb(["export-model", "x"]) == ("export-model", ["x"])
    for verb in ("export", "import"):
        module, name, _ = cli.VERBS[verb]
        assert getattr(importlib.import_module(module), name)
