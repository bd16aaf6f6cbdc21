"""Files nobody vouches for: what would hang, fill memory or run code is one short line instead."""

import mmap
import os
import socket
import time
from pathlib import Path

import hostile
import pytest
from hostile import examples, right_or_one_line
from hypothesis import given
from hypothesis import strategies as st

from regolith.lunar.params import InputError, load_params
from regolith.lunar.params.training import load_train_params
from regolith.lunar.perception.importing import read_class_map
from regolith.lunar.reading import DEPTH, FILE_BYTES, JSON_BYTES, NODES, VALUES, parse_json, parse_yaml, read_text

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)
)
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 2 * DEPTH))
HOSTILE = {
    "laughs": (".yaml", LAUGHS, "aliases stand for too much"),
    "chain": (".yaml", CHAIN, "nested more than"),
    "itself": (".yaml", "rocks: &a {exponent: *a}", "aliases stand for too much"),
    "deep": (".yaml", "[" * 100_000, "nested more than"),
    "deep names": (".yaml", "{a: " * 100 + "}" * 100, "nested more than"),
    "many": (".yaml", "- 1\n" * (NODES + 1), "more than 10000 values"),
    "digits": (".yaml", f"rocks: {{exponent: {'9' * 4300}}}", "a number of 4300 digits"),
    "hexadecimal": (".yaml", f"rocks: {{exponent: 0x{'f' * 9999}}}", "a number of 10001 digits"),
    "code": (".yaml", "rocks: !!python/object/apply:os.system [true]", "tags are not read"),
    "tag": (".yaml", "rocks: !!bool maybe", "tags are not read"),
    "names": (".yaml", "{[1, 2]: 3}", "a name that is no text"),
    "numbers as names": (".yaml", "1: 2", "a name that is no text"),
    "zero": (".yaml", "a\0: 1", "special characters"),
    "impossible date": (".yaml", "rocks: {exponent: 2026-13-45}", "'2026-13-45' is not allowed"),
    "deep json": (".json", "[" * 100_000, "nested more than"),
    "deep json names": (".json", '{"rocks":' * 50 + "1" + "}" * 50, "nested more than"),
    "digits of json": (".json", f'{{"rocks": {{"exponent": {"9" * 4300}}}}}', "a number of 4300 digits"),
    "redraws": (".json", f'{{"randomize": {{"redraws": {10**30}}}}}', "allowed: a whole number 0 … 256"),
    "infinite": (".json", '{"rocks": {"exponent": 1e999}}', "rocks.exponent: inf is not allowed"),
    "large": (".json", " " * FILE_BYTES + "{}", "larger than 1 MiB"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_one_short_line(tmp_path: Path, name: str) -> None:
    ending, text, said = HOSTILE[name]
    path = tmp_path / f"p{ending}"
    path.write_text(text)
    assert not right_or_one_line(lambda: load_params(path))
    with pytest.raises(InputError) as caught:
        load_params(path)
    assert said in str(caught.value)


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "link to a device", "folder"])
@pytest.mark.parametrize("ending", [".yaml", ".json"])
def test_only_regular_files_are_read(tmp_path: Path, kind: str, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe nobody writes to, and a device that never ends, are not waited for."""
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    path = Path(f"p{ending}")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
    elif kind == "device":
        try:
            os.mknod(path, 0o600 | 0o020000, os.makedev(1, 8))
        except PermissionError:
            pytest.skip("making a device takes root")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/random")
    for read in (load_params, load_train_params, lambda path: read_class_map(str(path))):
        with pytest.raises(InputError) as caught:
            read(path)
        assert len(str(caught.value)) <= 300 and "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["{}", "0", '""', "[[]]"])
def test_json_of_many_values_is_bounded(value: str) -> None:
    """As many as a file may hold, and as many as it could, were only its size limited."""
    most = VALUES // (f"{value},".count("{") + f"{value},".count("[") + 1) - 2
    assert right_or_one_line(lambda: parse_json("[" + f"{value}," * most + f"{value}]"), ValueError)
    many = "[" + f"{value}," * (JSON_BYTES // (len(value) + 1) - 2) + f"{value}]"
    assert not right_or_one_line(lambda: parse_json(many), ValueError)


def test_aliases_that_stand_for_little_are_read() -> None:
    assert parse_yaml("a: &a [1, 2]\nb: *a\nc: {<<: &d {x: 1}, y: 2}\n") == {
        "a": [1, 2], "b": [1, 2], "c": {"x": 1, "y": 2},
    }  # fmt: skip
    assert parse_yaml("2026-01-01") == "2026-01-01"  # as YAML 1.2 has it


@examples(60)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "ignore")))
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    for ending, parse in ((".yaml", parse_yaml), (".json", parse_json)):
        path = tmp_path / f"p{ending}"
        path.write_bytes(data)
        right_or_one_line(lambda path=path, parse=parse: parse(read_text(path)), ValueError)
        right_or_one_line(lambda path=path: load_params(path))


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="this system keeps the mark of memory")
def test_what_takes_too_long_or_too_much_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file that is read and of one that is refused; of memory also what is given back before the end."""

    def spin() -> None:
        end = time.process_time() + 0.1
        while time.process_time() < end:
            pass

    def hold() -> None:
        with mmap.mmap(-1, 64 << 20) as pages:  # fresh ones, whatever the heap holds
            pages.write(b"x" * len(pages))
        raise InputError("file", "this", "another")

    assert right_or_one_line(spin) and not right_or_one_line(hold)
    with monkeypatch.context() as patch, pytest.raises(AssertionError, match="of processor time"):
        patch.setattr(hostile, "CPU_S", 0.05)
        right_or_one_line(spin)
    with monkeypatch.context() as patch, pytest.raises(AssertionError, match="MiB"):
        patch.setattr(hostile, "HELD_BYTES", 32 << 20)
        right_or_one_line(hold)
