"""`regolith export`: whole or not at all, complete frames only, and refusals that name what is wrong."""

import errno
import fcntl
import importlib
import json
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from rocky_split import write_rocky

from regolith.lunar import cli
from regolith.lunar.dataset.contract import CONTRACT, COPY
from regolith.lunar.dataset.export import MODULES, export
from regolith.lunar.dataset.formats.source import by_role, read_sources
from regolith.lunar.dataset.formats.target import new_folder
from regolith.lunar.dataset.layout import JOURNAL, read_journal, write_journal
from regolith.lunar.dataset.outputs import file_name
from regolith.lunar.dataset.verify import verify
from regolith.lunar.params import InputError

INSTALLED = [name for name in MODULES if name != "rerun" or find_spec("rerun")]
"""Formats whose packages the environment has: Rerun's, of 0.7 GB, is an extra that `make setup` leaves out."""


@pytest.fixture
def root(tmp_path) -> Path:
    for name in ("train_dr", "val"):
        write_rocky(tmp_path / "in" / name, 2, seed=70)
    return tmp_path


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("to", INSTALLED)
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


@pytest.mark.parametrize("to", INSTALLED)
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
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("regolith: ")]
    assert line.startswith("regolith: out: 'out' is not allowed") and "File too large" in line
    assert names(root) == ["in"]


@pytest.mark.parametrize("to", INSTALLED)
def test_progress_counts_every_frame(root: Path, to: str) -> None:
    events = []
    result = export(root / "in", root / "out", to=to, emit=events.append)
    assert [event["done"] for event in events] == [0, 1, 2, 3, 4] and {event["total"] for event in events} == {4}
    assert result == {"out": str(root / "out"), "format": to, "splits": {"train_dr": 2, "val": 2}}


def test_a_split_that_lacks_frames_is_exported_only_if_asked(root: Path) -> None:
    """Files are there, but the journal does not have the frame: it is being written, or was broken off."""
    split = root / "in/val"
    records = read_journal(split)
    del records[1]
    write_journal(split, records)
    with pytest.raises(InputError, match=r"split: '.*/val, 1 of 2 frames' is not allowed.*finished.*--partial"):
        export(split, root / "out", to="coco")
    assert names(root) == ["in"]
    assert export(split, root / "out", to="coco", partial=True)["splits"] == {"val": 1}
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


@pytest.mark.parametrize("sign", [JOURNAL, "rgb", "mask"])
def test_what_is_left_of_a_split_is_no_folder_to_pass_over(root: Path, sign: str) -> None:
    for name in (CONTRACT, COPY):
        (root / "in/val" / name).unlink()
    for name in {JOURNAL, "rgb", "mask", "depth", "normals", "instance"} - {sign}:
        path = root / "in/val" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(InputError, match=r"split: '.*/val' is not allowed.*dataset\.json"):
        export(root / "in", root / "out", to="voc")
    result = verify(root / "in")
    assert result["splits"] == ["train_dr", "val"]
    assert {(problem["split"], problem["check"]) for problem in result["problems"]} >= {("val", "contract")}


@pytest.mark.parametrize("to", ["coco", "yolo-seg", "basicwriter"])
def test_changing_an_export_changes_no_frame(root: Path, to: str) -> None:
    before = files(root / "in")
    export(root / "in", root / "out", to=to)
    for path in (root / "out").rglob("*"):
        if path.is_file():
            path.write_bytes(b"mine")
    assert files(root / "in") == before


def test_a_link_to_an_empty_folder_is_filled(root: Path) -> None:
    (root / "disk").mkdir()
    (root / "out").symlink_to("disk")
    export(root / "in/val", root / "out", to="voc")
    assert (root / "out").is_symlink() and names(root / "disk") == ["VOCdevkit"]
    (root / "later").symlink_to("not/there")
    export(root / "in/val", root / "later", to="voc")
    assert files(root / "not/there") == files(root / "disk")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A mounted file system of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", folder], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting takes root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_mounted_folder_is_filled_whole_or_not_at_all(root: Path, disk: Path) -> None:
    """It cannot be renamed, and lies on another disk than its parent; after an export that does not fit it is empty."""
    write_rocky(root / "more/val", 6, seed=80)
    with pytest.raises(InputError, match=r"out: '.*/disk'.*No space left.*make room"):
        export(root / "more", disk, to="pointcloud")
    assert names(disk) == []
    export(root / "in/val", disk, to="voc")
    assert names(disk) == ["VOCdevkit"]
    with pytest.raises(InputError, match="not there yet, or empty"):
        export(root / "in/val", disk, to="voc")


def test_a_folder_is_emptied_again_where_the_last_step_fails(tmp_path: Path, monkeypatch) -> None:
    """Of three entries the second cannot be moved to its place."""
    (tmp_path / "out").mkdir()
    replace = Path.replace

    def fail(path: Path, target: Path) -> Path:
        if path.name == "b" and path.parent.name == ".out.tmp":
            raise OSError(errno.ENOSPC, "full")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(InputError, match="full"), new_folder(tmp_path / "out") as folder:
        for name in "abc":
            (folder / name).touch()
    assert names(tmp_path / "out") == []


def test_bad_input_is_refused_before_a_bar_is_shown(root: Path, capsys) -> None:
    (root / "file").touch()
    for target in ("in", "file", "file/out"):
        assert cli.main(["export", str(root / "in"), "--to", "voc", "--out", str(root / target)]) == 2
        assert capsys.readouterr().err.startswith("regolith: out: ")


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
    with new_folder(tmp_path / "out") as folder:
        assert not list(folder.iterdir())
        (folder / "whole").touch()
        with pytest.raises(InputError, match="no other run"), new_folder(tmp_path / "out"):
            pass
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["whole"]


def test_the_same_inside_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "out/.out.tmp/half").mkdir(parents=True)
    with new_folder(tmp_path / "out") as folder:
        assert not list(folder.iterdir())
        (folder / "whole").touch()
        with pytest.raises(InputError, match="no other run"), new_folder(tmp_path / "out"):
            pass
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["whole"]


def test_a_folder_made_while_the_lock_was_waited_for_is_not_its_own(tmp_path: Path, monkeypatch) -> None:
    """The second run opens the lock's file, and the first ends before the second has it."""
    monkeypatch.setattr(fcntl, "flock", lambda *_: (tmp_path / "out").mkdir())
    with pytest.raises(InputError, match="not there yet, or empty"), new_folder(tmp_path / "out"):
        pass
    assert names(tmp_path) == ["out"]


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "a/b/out") as folder:
        (folder / "file").touch()
        raise KeyboardInterrupt
    assert names(tmp_path) == []


LINES = [
    (["in/val", "--to", "coco2"], "to: 'coco2' is not allowed; allowed: " + ", ".join(MODULES)),
    (["nowhere", "--to", "coco"], "folder: 'nowhere' is not allowed; allowed: a folder with a dataset.json, "
     "as `regolith generate` writes, or a folder of these"),
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
    with pytest.raises(InputError, match=r"pycocotools is not; .*python\S* -m pip install .*'pycocotools>=2"):
        export(root / "in", root / "out", to="coco")
    assert names(root) == ["in"]


def test_roles_prefer_the_main_training_split(tmp_path: Path) -> None:
    for name in ("train_nodr", "train_dr", "train_a", "valley", "val_2", "test_photoreal", "testing", "polar"):
        write_rocky(tmp_path / name, 1, seed=1, extras=())
    (tmp_path / "polar").rename(tmp_path / "val_b")  # what a split is, its contract says
    found = by_role(read_sources(tmp_path))
    assert {key: source.name for key, source in found.items()} == {
        "train": "train_dr", "val": "val_2", "test": "test_photoreal",
        "train_a": "train_a", "valley": "valley", "testing": "testing", "val_b": "val_b",
    }  # fmt: skip


def test_verbs_lead_to_their_own_classes() -> None:
    """`export` is the beginning of `export-model`; neither shadows the other."""
    assert cli._split_verb(["export", "x"]) == ("export", ["x"])
    assert cli._split_verb(["export-model", "x"]) == ("export-model", ["x"])
    for verb in ("export", "import"):
        module, name, _ = cli.VERBS[verb]
        assert getattr(importlib.import_module(module), name)
