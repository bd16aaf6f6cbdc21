"""Requests: a file that names frames to draw, held to the parameters' own models, and `generate --request`."""

import dataclasses
import json
from pathlib import Path

import pytest
from split_drawing import ARGS, PARAMS

from regolith.lunar import cli
from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.request import Request, read_request, stated, write_request
from regolith.lunar.params import InputError, Interval, change_params, load_preset
from regolith.lunar.quality.generate import GenerateGated

PRESET, TEXTS = stated(PARAMS)
REQUEST = Request(
    made_by="regolith gate", why="regolith looks unlike", preset=PRESET,
    params=TEXTS | {"domain.sun_elevation_deg": "10.0,20.0"}, split="val", frames=2, size=(64, 48), seed=5,
)  # fmt: skip


def parse(*args: str) -> GenerateGated:
    verb = cli.parse_verb(GenerateGated, "generate", ["--out", "somewhere", *args])
    assert isinstance(verb, GenerateGated)
    return verb


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_request(tmp_path / "request.json", REQUEST)
    return tmp_path / "request.json"


def test_it_is_read_as_it_was_written(file: Path) -> None:
    assert read_request(file) == REQUEST
    assert REQUEST.parameters() == change_params(PARAMS, {"domain.sun_elevation_deg": (10, 20)})


@pytest.mark.parametrize("preset", ["v1", "v4", "boulders"])
def test_parameters_are_stated_by_what_differs_from_their_preset(preset: str) -> None:
    assert stated(load_preset(preset)) == (preset, {})
    changed = change_params(load_preset(preset), {"rocks.abundance": 0.02, "relief.enabled": False})
    known, texts = stated(changed)
    assert {"rocks.abundance", "relief.enabled"} >= texts.keys() and texts["rocks.abundance"] == "0.02,0.02"
    assert change_params(load_preset(known), texts) == changed


def test_flags_beside_a_request_override_it_even_by_a_default_value(file: Path) -> None:
    verb = parse("--request", str(file))
    assert (verb.split, verb.frames, str(verb.size), verb.seed) == ("val", 2, "64x48", 5)
    assert verb.params == REQUEST.parameters()
    verb = parse(f"--request={file}", "--seed", "0", "--size", "256", "--split", "train_dr", "--rocks.abundance", "0.1")
    assert (verb.split, verb.frames, str(verb.size), verb.seed) == ("train_dr", 2, "256", 0)
    assert verb.params.rocks.abundance == Interval(0.1) and verb.params.domain.sun_elevation_deg == Interval(10, 20)
    assert parse("--request", str(file), "--preset", "v4").params == REQUEST.parameters(load_preset("v4"))


def test_without_one_split_and_frames_are_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["generate", "--out", "somewhere"]) == 2
    assert capsys.readouterr().err.startswith("regolith: split: missing")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"preset": "v9"}, "preset: 'v9'"),
        ({"params": {"rocks.abundanc": "0.1"}}, "params.rocks.abundanc: "),
        ({"params": {"rocks.abundance": "9"}}, "params.rocks.abundance: '9'"),
        ({"params": {"rocks.abundance": 0.1}}, "params: "),
        ({"params": {"preset": "v1"}}, "params.preset: "),
        ({"params": {"sensor.lens_k1": "-0.3", "domain.fov_deg": "140"}}, "sensor.lens_k1: "),
        ({"split": "train"}, "split: 'train'"),
        ({"frames": 0}, "frames: 0"),
        ({"frames": True}, "frames: True"),
        ({"size": (8, 64)}, "width: 8"),
        ({"size": (64,)}, "size: "),
        ({"seed": -1}, "seed: -1"),
        ({"why": None}, "why: missing"),
    ],
)
def test_what_generate_would_refuse_cannot_be_asked_for(changes: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as error:
        dataclasses.replace(REQUEST, **changes)
    assert str(error.value).startswith(said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.update(seed=6), "a request as it was written"),
        (lambda data: data.update(schema=2), "a request as it was written"),
        (lambda data: data.clear(), "a request as it was written"),
    ],
)
def test_a_changed_file_is_refused(file: Path, capsys: pytest.CaptureFixture[str], change, said: str) -> None:
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))
    assert cli.main(["generate", "--request", str(file), "--out", "somewhere"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("regolith: request: ") and said in line


def test_a_missing_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["generate", "--request", str(tmp_path / "none.json"), "--out", "somewhere"]) == 2
    assert "a request that can be read (No such file" in capsys.readouterr().err


def test_it_is_fulfilled_and_resumed(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["generate", "--request", str(file), "--executor", "in-process", "--out", str(tmp_path / "data")]
    assert cli.main(line) == 0
    contract = Contract.read(tmp_path / "data/val")
    assert (contract.frames, contract.width, contract.height, contract.seed) == (2, ARGS["width"], ARGS["height"], 5)
    assert contract.params == REQUEST.parameters()
    capsys.readouterr()
    assert cli.main(line) == 0 and "2 frames, 0 drawn now" in capsys.readouterr().out
