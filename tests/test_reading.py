"""Files nobody vouches for: what would hang, fill memory or run code is one short line instead."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regolith.lunar.params import InputError, load_params
from regolith.lunar.params.training import load_train_params
from regolith.lunar.perception.importing import read_class_map
from regolith.lunar.reading import DEPTH, FILE_BYTES, NODES, parse_json, parse_yaml, read_text

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
    with pytest.raises(InputError) as caught:
        load_params(path)
    line = str(caught.value).replace(str(tmp_path), "")
    assert said in line and len(line) <= 300 and line.isprintable()


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


def test_aliases_that_stand_for_little_are_read() -> None:
    assert parse_yaml("a: &a [1, 2]\nb: *a\nc: {<<: &d {x: 1}, y: 2}\n") == {
        "a": [1, 2], "b": [1, 2], "c": {"x": 1, "y": 2},
    }  # fmt: skip
    assert parse_yaml("2026-01-01") == "2026-01-01"  # as YAML 1.2 has it


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "ignore")))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "p.yaml"
    path.write_bytes(data)
    for parse in (parse_yaml, parse_json):
        try:
            parse(read_text(path))
        except ValueError as error:
            assert "\n" not in str(error)
    for ending in (".yaml", ".json"):
        try:
            load_params(path.rename(path.with_suffix(ending)))
        except InputError as error:
            assert "\n" not in str(error)
        path = path.with_suffix(ending)
