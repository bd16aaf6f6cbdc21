"""The command line: verbs, overrides, the words of errors and of help."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from regolith.lunar import cli
from regolith.lunar.dataset.generate import Generate
from regolith.lunar.params import Interval, field_extra, load_preset
from regolith.lunar.randomize.show import Randomize

OWN = ["--split", "val", "--frames", "2", "--out", "somewhere"]
GROUND = "--preset v1 --terrain.cell-m 0.5 --rocks.diameter-min-m 0.3"


def parse(*args: str) -> Generate:
    verb = cli.parse_verb(Generate, "generate", [*OWN, *args])
    assert isinstance(verb, Generate)
    return verb


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--rocks.abundance", "0.08"],
        ["--rocks.abundance=0.01,0.02", "--terrain.size-m", "60"],
        ["--terrain.size_m", "60", "--relief.enabled", "false"],
    ],
)
def test_overrides_change_only_what_they_name(args: list[str]) -> None:
    params = parse(*args).params
    changed = {a.split("=")[0].lstrip("-").replace("-", "_") for a in args if a.startswith("--")}
    default = load_preset("v3")
    for group in type(params).model_fields:
        value, was = getattr(params, group), getattr(default, group)
        if hasattr(type(value), "model_fields"):
            for name in type(value).model_fields:
                assert (getattr(value, name) == getattr(was, name)) != (f"{group}.{name}" in changed)


@pytest.mark.parametrize("verb", list(cli.VERBS))
def test_every_verb_takes_its_defaults(verb: str) -> None:
    """Nothing but what is required, and no default that is refused as if it had been typed."""
    module, name, _ = cli.VERBS[verb]
    model = getattr(importlib.import_module(module), name)
    required = [field for field, info in model.model_fields.items() if info.is_required()]
    values = {"split": "val", "frames": "2", "to": "coco", "budget": "1"}
    args: list[str] = []
    for field in required:
        flag = [] if field_extra(model.model_fields[field])["positional"] else ["--" + field.replace("_", "-")]
        args += [*flag, values.get(field, "x")]
    parsed = cli.parse_verb(model, verb, args)
    assert isinstance(parsed, model)


def test_one_number_is_an_interval_of_one_value() -> None:
    assert parse("--rocks.abundance", "0.08").params.rocks.abundance == Interval(0.08)


@pytest.mark.parametrize("preset", ["v1", "v2", "v3", "v4", "v5", "wide", "boulders"])
def test_preset_is_the_base(preset: str) -> None:
    assert parse("--preset", preset).params == load_preset(preset)


def test_parameter_file_is_the_base(tmp_path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("preset: mine\nrocks: {abundance: [0.1, 0.2]}\n")
    params = parse("--params", str(path), "--rocks.exponent", "2.5").params
    assert (
        params.preset == "mine"
        and params.rocks.abundance == Interval(0.1, 0.2)
        and params.rocks.exponent == Interval(2.5)
    )


LINES = [
    (["nonsense"], "regolith: verb: 'nonsense' is not allowed; allowed: one of those `regolith --help` lists"),
    (
        ["traverce"],
        "regolith: verb: 'traverce' is not allowed; allowed: one of those `regolith --help` lists, such as traverse",
    ),
    (["evaluate", "moon"], "regolith: verb: 'evaluate moon' is not allowed; allowed: evaluate synth, evaluate real"),
    (["verify"], "regolith: split: missing; allowed: path"),
    (["verify", "a", "b"], "regolith: arguments: 'b' is not allowed; allowed: no further argument here"),
    (["generate", *OWN, "--preset", "v9"], "regolith: preset: 'v9' is not allowed; "
     "allowed: boulders, v1, v2, v3, v4, v5, wide"),
    (["generate", *OWN, "--frames", "0"], "regolith: frames: '0' is not allowed; "
     "allowed: a whole number 1 … 1000000"),
    (["generate", *OWN, "--split", "dev"], "regolith: split: 'dev' is not allowed; "
     "allowed: train_dr, train_nodr, val, test_photoreal"),
    (["generate", *OWN, "--size", "9"], "regolith: size: '9' is not allowed; "
     "allowed: SIDE or WIDTHxHEIGHT in pixels, each 16 … 4096"),
    (["generate", *OWN, "--rocks.abundnce", "1"], "regolith: rocks.abundnce: '--rocks.abundnce' is not allowed; "
     "allowed: no such flag; did you mean --rocks.abundance?"),
    (["drift", "a", "--new", "b"], "regolith: new: '--new' is not allowed; "
     "allowed: no such flag; new is given by its place, without --new"),
    (["generate", *OWN, "--rocks.abundance", "0.5,0.1"], "regolith: rocks.abundance: '0.5,0.1' is not allowed; "
     "allowed: lo,hi with lo ≤ hi within 0 … 0.3"),
    (["generate", *OWN, "--terrain.size-m", "sixty"], "regolith: terrain.size_m: 'sixty' is not allowed; "
     "allowed: a number 40 … 120 m"),
    (["generate", *OWN, "--seed"], "regolith: seed: missing; allowed: a value after the flag; see --help"),
]  # fmt: skip


@pytest.mark.parametrize(("args", "line"), LINES, ids=[" ".join(args)[:40] for args, _ in LINES])
def test_bad_input_is_one_line_and_exit_code_2(capsys, args: list[str], line: str) -> None:
    assert cli.main(args) == 2
    out, err = capsys.readouterr()
    assert err.rstrip("\n") == line
    assert out == ""


@pytest.mark.parametrize("place", ["folder", "file/r.json", "/proc/r.json"])
def test_a_result_file_that_cannot_be_written_is_refused_before_the_work(tmp_path, capsys, monkeypatch, place) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.setattr(Randomize, "run", lambda self: pytest.fail("work was done"))
    path = str(tmp_path / place)
    assert cli.main(["randomize", "--json", path]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"regolith: json: '{path}' is not allowed")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder"]


def shell(command: str, folder: Path) -> tuple[str, str, int]:
    """Output, errors and the exit code of the first program of a pipe."""
    regolith = f"{sys.executable} -m regolith.lunar.cli"
    done = subprocess.run(
        ["bash", "-c", f"{command.format(regolith=regolith)}; exit ${{PIPESTATUS[0]}}"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout, done.stderr, done.returncode


@pytest.mark.parametrize("args", ["--help", "randomize --help", "evaluate --help", ""])
def test_help_into_a_pipe_that_closes_is_quiet(tmp_path, args: str) -> None:
    _, err, code = shell(f"{{regolith}} {args} | true", tmp_path)
    assert (err, code) == ("", 0)


def test_a_reader_who_leaves_does_not_stop_the_work(tmp_path) -> None:
    """The split is complete, however few of its events anybody read; a check's failure stays one."""
    args = f"generate {GROUND} --split val --frames 4 --size 16 --executor in-process --out . --json r.json --events"
    out, err, code = shell(f"{{regolith}} {args} | head -1", tmp_path)
    assert len(out.splitlines()) == 1 and (err, code) == ("", 0)
    assert json.loads((tmp_path / "r.json").read_text())["frames"] == 4
    assert shell("{regolith} verify val --json v.json | true", tmp_path)[1:] == ("", 0)
    (tmp_path / "val/rgb/rgb_00002.png").unlink()
    _, err, code = shell("{regolith} verify val --json v.json | true", tmp_path)
    assert code == 1 and err == "regolith: val: 1 problem\n"
    assert len(json.loads((tmp_path / "v.json").read_text())["problems"]) == 1


def test_streams_that_are_closed_or_full_or_of_another_encoding(tmp_path) -> None:
    """No stream is needed for the work; no file takes the number of one; a full one is said, in a line."""
    args = f"{GROUND} --split val --frames 1 --size 16 --executor in-process --out ."
    assert shell(f"{{regolith}} generate {args} >&- 2>&- <&-", tmp_path) == ("", "", 0)
    assert shell("{regolith} verify val --json v.json >&-", tmp_path) == ("", "", 0)
    assert json.loads((tmp_path / "v.json").read_text())["problems"] == []
    _, err, code = shell("{regolith} verify val >/dev/full", tmp_path)
    assert code == 2 and "'standard output'" in err and "No space left on device" in err and len(err.splitlines()) == 1
    out, err, code = shell("PYTHONIOENCODING=ascii TERM=dumb {regolith} generate --help", tmp_path)
    assert (err, code) == ("", 0) and r"[a whole number 1 \u2026" in out and out.isascii()
    opened = (
        "import os; from regolith.lunar import cli; cli.main(['--version']); f = open('new', 'w'); os.write(1, b'x')"
    )
    assert shell(f'{sys.executable} -c "{opened}" >&- 2>&-', tmp_path) == ("", "", 0)
    assert (tmp_path / "new").read_text() == "", "what is printed went into a file"


def test_a_verb_that_cannot_go_on_without_its_reader_has_not_finished(monkeypatch) -> None:
    def gone(self):
        raise BrokenPipeError

    monkeypatch.setattr(Randomize, "run", gone)
    monkeypatch.setattr(cli, "silence", lambda: None)
    assert cli.main(["randomize"]) == 1


def test_overview_names_every_verb(capsys) -> None:
    assert cli.main([]) == 0
    out = capsys.readouterr().out
    assert all(verb in out for verb in cli.VERBS)


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """`--help` of every verb, in a terminal 100 columns wide: one process, for its start is most of the time."""
    code = """
from regolith.lunar import cli
for verb in cli.VERBS:
    assert cli.main([*verb.split(), "--help"]) == 0, verb
    print(end=chr(0), flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=False, env={"COLUMNS": "100", "NO_COLOR": "1", "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(zip(cli.VERBS, done.stdout.split("\0"), strict=False))


@pytest.mark.parametrize("verb", list(cli.VERBS))
def test_help_shows_every_parameter(verb: str, helps: dict[str, str], snapshot) -> None:
    """Byte for byte."""
    assert helps[verb] == snapshot
