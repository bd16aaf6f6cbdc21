"""The command line: verbs, overrides, the words of errors and of help."""

import importlib
import subprocess
import sys

import pytest

from regolith.lunar import cli
from regolith.lunar.dataset.generate import Generate, parse_size
from regolith.lunar.params import InputError, Interval, field_extra, load_preset

OWN = ["--split", "val", "--frames", "2", "--out", "somewhere"]


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
    values = {"split": "val", "frames": "2", "to": "coco"}
    args: list[str] = []
    for field in required:
        flag = [] if field_extra(model.model_fields[field])["positional"] else ["--" + field.replace("_", "-")]
        args += [*flag, values.get(field, "x")]
    parsed = cli.parse_verb(model, verb, args)
    assert isinstance(parsed, model)


def test_one_number_is_an_interval_of_one_value() -> None:
    assert parse("--rocks.abundance", "0.08").params.rocks.abundance == Interval(0.08)


@pytest.mark.parametrize("preset", ["v1", "v2", "v3", "v4"])
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
    (["nonsense"], "regolith: verb: 'nonsense' is not allowed; allowed: " + ", ".join(cli.VERBS)),
    (["evaluate", "moon"], "regolith: verb: 'evaluate moon' is not allowed; allowed: evaluate synth, evaluate real"),
    (["verify"], "regolith: split: missing; allowed: path"),
    (["verify", "a", "b"], "regolith: arguments: 'b' is not allowed; allowed: no further argument here"),
    (["generate", *OWN, "--preset", "v9"], "regolith: preset: 'v9' is not allowed; allowed: v1, v2, v3, v4"),
    (["generate", *OWN, "--frames", "0"], "regolith: frames: '0' is not allowed; "
     "allowed: a whole number 1 … 1000000"),
    (["generate", *OWN, "--split", "dev"], "regolith: split: 'dev' is not allowed; "
     "allowed: train_dr, train_nodr, val, test_photoreal"),
    (["generate", *OWN, "--size", "9"], "regolith: size: '9' is not allowed; "
     "allowed: SIDE or WIDTHxHEIGHT in pixels, each 16 … 4096"),
    (["generate", *OWN, "--rocks.abundnce", "1"], "regolith: rocks.abundnce: '--rocks.abundnce' is not allowed; "
     "allowed: no such flag; did you mean --rocks.abundance?"),
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


def test_overview_names_every_verb(capsys) -> None:
    assert cli.main([]) == 0
    out = capsys.readouterr().out
    assert all(verb in out for verb in cli.VERBS)


@pytest.mark.parametrize("verb", list(cli.VERBS))
def test_help_shows_every_parameter(verb: str, snapshot) -> None:
    """`--help` of each verb, byte for byte, in a terminal 100 columns wide."""
    done = subprocess.run(
        [sys.executable, "-m", "regolith.lunar.cli", *verb.split(), "--help"],
        capture_output=True, text=True, check=False, env={"COLUMNS": "100", "NO_COLOR": "1", "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == snapshot


@pytest.mark.parametrize(("text", "size"), [("256", (256, 256)), ("640x480", (640, 480)), ("16x4096", (16, 4096))])
def test_sizes(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "15", "5000", "640x", "x480", "640x480x3", "-256", "640 x 480", "1e3"])
def test_bad_sizes(text: str) -> None:
    with pytest.raises(InputError, match="WIDTHxHEIGHT"):
        parse_size(text)
