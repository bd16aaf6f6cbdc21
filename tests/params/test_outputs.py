"""Files and folders that verbs write: what is no regular file stays what it is, and one run writes at a time."""

import errno
import json
import os
import re
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regolith.lunar import cli
from regolith.lunar.files import LOCK, append_lines, lock_beside, replacing, temporary_beside, write_bytes
from regolith.lunar.params import InputError, load_params, load_preset, one_line, save_params, sole_file, sole_folder
from regolith.lunar.params.errors import LINE_MAX, UNFIT

DATA = b"new\n"


def test_links_stay_and_their_targets_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there/target").write_bytes(b"old")
    links = {"one": "there/target", "two": "one", "dangling": "there/made"}
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    for name in ("two", "dangling"):
        write_bytes(tmp_path / name, DATA)
        assert (tmp_path / name).read_bytes() == DATA
    assert all((tmp_path / name).is_symlink() for name in links)
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["made", "target"]
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop") as raised:
        write_bytes(tmp_path / "loop", DATA)
    assert raised.value.errno == errno.ELOOP and (tmp_path / "loop").is_symlink()


def test_mode_stays_and_a_second_name_keeps_the_old_content(tmp_path: Path) -> None:
    """As git replaces files: a hard link is another file from then on."""
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_bytes(b"old")
    path.chmod(0o640)
    other.hardlink_to(path)
    write_bytes(path, DATA)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert (path.read_bytes(), other.read_bytes()) == (DATA, b"old")


def test_pipes_sockets_and_devices_are_written_through(tmp_path: Path) -> None:
    fifo, null = tmp_path / "fifo", tmp_path / "null"
    os.mkfifo(fifo)
    null.symlink_to(os.devnull)
    assert stat.S_ISCHR(null.stat().st_mode), "or the test would itself do what it looks for"
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
    reader.start()
    write_bytes(fifo, DATA)
    reader.join()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        server.listen()
        write_bytes(tmp_path / "socket", DATA)
        peer, _ = server.accept()
        with peer:
            got.append(peer.recv(100))
    with replacing(null) as temporary:
        temporary.write_bytes(DATA)
    assert got == [DATA, DATA]
    assert stat.S_ISFIFO(fifo.stat().st_mode) and stat.S_ISSOCK((tmp_path / "socket").stat().st_mode)
    assert null.is_symlink() and stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    assert {path.name for path in tmp_path.iterdir()} == {"fifo", "null", "socket"}


def test_results_and_figures_go_to_standard_output_alone(tmp_path: Path) -> None:
    """Whatever its name; what else there is to say goes to standard error."""
    code = "import sys; from regolith.lunar import cli; sys.exit(max(cli.main(a.split()) for a in sys.argv[1:]))"
    runs = [f"randomize --frames 2 --json {name}" for name in ("-", "/dev/stdout", "/dev/fd/1")]
    done = subprocess.run([sys.executable, "-c", code, *runs], capture_output=True, cwd=tmp_path, check=True)
    decoder, text, found = json.JSONDecoder(), done.stdout.decode(), []
    while text:
        result, end = decoder.raw_decode(text)
        found.append(result["frames"])
        text = text[end:].lstrip()
    assert found == [2, 2, 2] and b"sun_elevation_deg" in done.stderr
    with (tmp_path / "file").open("wb") as file:
        runs = ["randomize --frames 2 --plot -"]
        subprocess.run([sys.executable, "-c", code, *runs], stdout=file, stderr=subprocess.DEVNULL, check=True)
    assert (tmp_path / "file").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--json", "{tmp}"], "json: '{tmp}' is not allowed; allowed: a file; this is a folder"),
        (["--plot", "{tmp}"], "plot: '{tmp}' is not allowed; allowed: a .png file"),
        (["--json", "-", "--plot", "-"], "json: '-' is not allowed; allowed: a file, where something else goes to"),
    ],
)
def test_what_cannot_be_written_is_one_line(tmp_path: Path, capsys, more: list[str], line: str) -> None:
    assert cli.main(["randomize", "--frames", "2", *(word.format(tmp=tmp_path) for word in more)]) == 2
    (err,) = capsys.readouterr().err.splitlines()
    assert line.format(tmp=tmp_path) in err or (line.split(":", maxsplit=1)[0] in err and "allowed: a file" in err)


def test_killed_writers_leave_nothing_that_the_next_run_does_not_clear(tmp_path: Path) -> None:
    """A run that still writes keeps its file, and so do files that look alike."""
    ours = temporary_beside(tmp_path / "result.json")
    code = "import os, signal, sys; from pathlib import Path; from regolith.lunar.files import replacing\n"
    code += "with replacing(Path(sys.argv[1])) as part:\n    part.write_bytes(b'half')\n"
    subprocess.run(
        [sys.executable, "-c", f"{code}    os.kill(os.getpid(), signal.SIGKILL)", tmp_path / "a.json"], check=False
    )
    (dead,) = tmp_path.iterdir()
    ours.write_bytes(b"half")
    others = {".mine.tmp.json", ".a.123.tmp.json", re.sub(r"\.[0-9a-f]{8}-", ".01234567-", dead.name)}
    for name in others:
        (tmp_path / name).touch()
    write_bytes(tmp_path / "b.json", DATA)
    assert {path.name for path in tmp_path.iterdir()} == {"b.json", ours.name, *others}


@pytest.mark.parametrize("place", ["folder", "file"])
def test_a_second_run_is_refused_naming_the_first(tmp_path: Path, place: str) -> None:
    hold: Any = sole_folder if place == "folder" else sole_file
    path = tmp_path / "deep" / place
    with hold("out", path):
        with pytest.raises(InputError) as raised, hold("out", path):
            pass
        assert str(raised.value).startswith(f"out: '{path}' is not allowed; allowed: a {place} no other run is writing")
        assert f"; process {os.getpid()} on " in str(raised.value)
    with hold("out", path):
        pass
    assert not [found for found in tmp_path.rglob("*") if found.name.endswith(LOCK)]


@pytest.mark.parametrize("hold", [sole_folder, sole_file])
def test_refused_input_leaves_no_empty_folder_behind(tmp_path: Path, hold: Any) -> None:
    (tmp_path / "there").mkdir()
    for path in ("there/new/deep/out", "there/out"):
        with pytest.raises(InputError, match="rocks"), hold("out", tmp_path / path):
            raise InputError("rocks", 1, "none")
    assert [found.name for found in tmp_path.rglob("*")] == ["there"]
    with pytest.raises(InputError, match="rocks"), hold("out", tmp_path / "new/deep/out"):
        (tmp_path / "new/found.json").touch()
        raise InputError("rocks", 1, "none")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["found.json"]


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("tail {tmp}/data", "split"),
        ("gate {tmp}/data --real {tmp}/data/train_dr", "synth"),
        ("score semantics {tmp}/data --real {tmp}/data/train_dr", "synth"),
        ("score appearance {tmp}/data --real {tmp}/data/train_dr", "synth"),
        ("evaluate synth --split {tmp}/data", "split"),
        ("evaluate real --images {tmp}/data", "images"),
        ("mix --synth {tmp}/data --real {tmp}/data", "synth"),
    ],
)
def test_verbs_that_refuse_their_input_leave_nothing(tmp_path: Path, capsys: Any, line: str, field: str) -> None:
    """A dataset where a split is wanted, named by its own parameter."""
    (tmp_path / "data/train_dr").mkdir(parents=True)
    (tmp_path / "data/train_dr/dataset.json").touch()
    out = tmp_path / ("new/out.json" if line.startswith("mix") else "new/out")
    assert cli.main([*line.format(tmp=tmp_path).split(), "--out", str(out)]) == 2
    (err,) = capsys.readouterr().err.splitlines()
    assert err.startswith(f"regolith: {field}: "), err
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_lock_goes_with_its_process(tmp_path: Path) -> None:
    code = "import os, signal, sys; from pathlib import Path; from regolith.lunar.params import sole_folder\n"
    code += "with sole_folder('out', Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
    assert (tmp_path / LOCK).exists()
    with sole_folder("out", tmp_path):
        pass
    assert not (tmp_path / LOCK).exists()


def test_the_lock_of_a_killed_run_goes_with_the_next_write_beside_it(tmp_path: Path) -> None:
    """One that is held stays, one of another host, whose locks may not be seen here, and what is no lock of ours."""
    code = "import os, signal, sys; from pathlib import Path; from regolith.lunar.params import sole_file\n"
    code += "with sole_file('out', Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", code, tmp_path / "model.onnx"], check=False)
    assert lock_beside(tmp_path / "model.onnx").exists()
    (tmp_path / ".theirs.lock").write_text("1234")
    (tmp_path / ".theirs2.lock").touch()
    (tmp_path / ".far.lock").write_text("process 4194000 on another.host, since 2026-01-01 00:00:00 +0000")
    with sole_file("out", tmp_path / "held"):
        write_bytes(tmp_path / "report.html", DATA)
        assert {path.name for path in tmp_path.iterdir()} == {
            "report.html", ".theirs.lock", ".theirs2.lock", ".far.lock", lock_beside(tmp_path / "held").name
        }  # fmt: skip
        with pytest.raises(InputError), sole_file("out", tmp_path / "held"):
            pass


@given(st.text(), st.recursive(st.none() | st.text() | st.integers() | st.floats(), st.lists), st.text())
def test_an_error_is_one_line(field: str, value: object, allowed: str) -> None:
    line = str(InputError(field, value, allowed))
    assert len(line) <= LINE_MAX and len(line.splitlines()) <= 1
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", line)


def test_long_values_are_cut_in_the_middle_and_deep_ones_never_walked() -> None:
    bomb: Any = ["x"] * 9
    for _ in range(40):  # 9^40 texts, were it written out
        bomb = [bomb] * 9
    for value in (bomb, 10**5000, {"a" * 10**6: bomb}, "/start" + "x" * 10**6 + "/end.png"):
        assert len(str(InputError("rocks", value, "a number"))) <= LINE_MAX
    assert re.fullmatch(
        r"out: '/start.*….*/end.png' is not allowed; allowed: a file", str(InputError("out", value, "a file"))
    )
    assert one_line("a\x1b[31m\n  b\u202ec") == "a\\x1b[31m b\\u202ec"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG])
def test_a_full_disk_names_the_path_and_what_to_do(tmp_path: Path, monkeypatch, capsys, number: int) -> None:
    """Of every writer: `ENOSPC` comes at the flush at the latest."""

    def full(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    assert cli.main(["randomize", "--frames", "2", "--json", str(tmp_path / "result.json")]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    assert str(tmp_path / "result.json") in line and os.strerror(number) in line and UNFIT[number] in line
    for write in (
        lambda: save_params(load_preset("v1"), tmp_path / "params.yaml"),
        lambda: append_lines(tmp_path / "lines", ["a"]),
    ):
        with pytest.raises(OSError, match=str(tmp_path)) as raised:
            write()
        assert raised.value.errno == number
    assert {path.name for path in tmp_path.iterdir()} <= {"lines"}


def test_parameters_are_saved_whole_or_not_at_all(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "params.yaml"
    save_params(load_preset("v1"), path)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        save_params(load_preset("v4"), path)
    monkeypatch.undo()
    assert load_params(path) == load_preset("v1") and [found.name for found in tmp_path.iterdir()] == ["params.yaml"]
