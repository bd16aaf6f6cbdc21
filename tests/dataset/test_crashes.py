"""Verbs that write, under a kill and a power cut at every flush: the old state or the new; a rerun completes."""

import functools
import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from power_cut import State, crash, read_state, rerun, restore, seen
from small_split import SIZE, arrays, write, write_split
from split_drawing import FRAMES, digest

from regolith.lunar import cli
from regolith.lunar.dataset import generate
from regolith.lunar.dataset.contract import CONTRACT, COPY
from regolith.lunar.dataset.layout import JOURNAL, parse_lines, scan_lines, write_journal
from regolith.lunar.dataset.outputs import file_name
from regolith.lunar.params import load_params, load_preset, save_params
from regolith.lunar.params.training import TrainParams
from regolith.lunar.perception.model_files import read_card
from regolith.lunar.physics.measured import Run, save_run
from regolith.lunar.studio.workspace import Workspace


def run(*words: object) -> None:
    assert cli.main([str(word) for word in words]) == 0


def test_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "disk"
    root.mkdir()
    save_params(load_preset("v1"), root / "params.yaml")
    before, after, states = crash(root, lambda: save_params(load_preset("v4"), root / "params.yaml"), monkeypatch)
    assert len(states) >= 4 and all(seen(state) in (before, after) for state in states)
    rerun(states, tmp_path, lambda again: load_params(again / "params.yaml"), most=9)


def test_what_a_studio_remembers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "disk"
    workspace = Workspace(root)
    workspace.remember("window", "old")
    before, after, states = crash(root, lambda: workspace.remember("window", "new"), monkeypatch)
    assert len(states) >= 3 and all(seen(state) in (before, after) for state in states)

    def again(place: Path) -> None:
        opened = Workspace(place)
        assert opened.remembered("window") in ("old", "new")
        opened.remember("window", "new")

    rerun(states, tmp_path, again, most=9)


def test_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "disk"
    split = write_split(root / "val", 2)
    (split / "card.html").write_text("old")
    before, after, states = crash(root, lambda: run("card", split), monkeypatch)
    assert len(states) >= 3 and all(seen(state) in (before, after) for state in states)
    rerun(states, tmp_path, lambda again: run("card", again / "val"), most=1)


RESULTS = {
    "randomize": "randomize --preset v1 --frames 2 --plot {out}/plot.png --json {out}/result.json",
    "evaluate synth": "evaluate synth --split {split} --out {out}/synth --worst 1",
    "evaluate real": "evaluate real --images {pictures} --masks {masks} --size 64 --tta none --out {out}/real",
    "calibrate sensor": "calibrate sensor {split} --most 64 --pairs 2 --out {out}/sensor.json",
    "calibrate dynamics": "calibrate dynamics {runs} --starts 1 --out {out}/rover.yaml --json {out}/result.json",
    "calibrate camera": "calibrate camera {pictures} --masks {masks} --preset v3 --out {out}/camera",
    "score geometry": "score geometry {split} --real {split} --sensor {sensor} --points 64 --out {out}/score",
    "gate": "gate {split} --real {split} --divergence norm --jsd-max 1 --threads 1 --classes regolith "
    "--require semantics --out {out}/gate",
    "tail": "tail {split} --out {out}/tail",
    "drift": "drift {album} {album} --threads 1 --out {out}/drift",
    "score semantics": "score semantics {split} --real {split} --threads 1 --out {out}/score",
    "score appearance": "score appearance {split} --real {split} --out {out}/score",
    "select": "select {split} --model default --by entropy --budget 1 --threads 1 --out {out}/queue",
    "mix": "mix --synth {split} --real {split} --out {out}/mix.json",
    "report": "report {results} --out {out}/page.html",
    "doctor": "doctor --json {out}/doctor.json",
    "pack": "pack --splits {split} --out {out}/packs",
    "traverse": "traverse --preset v1 --relief.enabled false --terrain.cell-m 0.5 --rocks.far-radius-m 0 "
    "--rocks.diameter-min-m 0.3 --avoid none --soil none --time-max-s 1 --out {out}/drives",
    "distill": "distill --splits {split} --steps 1 --batch 2 --crop-px 64 --threads 1 --out {out}/start",
}
"""Verb to a command line that writes results, which are complete where the last of them is there."""


@pytest.mark.parametrize("verb", RESULTS)
def test_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """Each file is whole or not there; the same command again makes all of them."""
    root = tmp_path / "disk"
    root.mkdir()
    split = write_split(tmp_path / "val", 2)
    for kind in ("pictures", "masks"):
        (tmp_path / kind).mkdir()
        Image.fromarray(arrays(0)["rgb" if kind == "pictures" else "mask"]).save(tmp_path / kind / "a.png")
    if verb == "drift":
        (tmp_path / "album").mkdir()
        for index in range(6):
            Image.fromarray(arrays(index)["rgb"]).save(tmp_path / f"album/{index}.png")
    if verb == "gate":  # which needs cells of a class
        write_journal(split, {index: write(split, index, mask=np.zeros((SIZE, SIZE), np.uint8)) for index in range(2)})
    if verb == "score geometry":
        run("calibrate", "sensor", split, "--most", "64", "--pairs", "2", "--out", tmp_path / "sensor.json")
    if verb == "report":
        run("evaluate", "synth", "--split", split, "--out", tmp_path / "results", "--worst", "0")
    if verb == "calibrate dynamics":  # of a wheel that rolls freely
        at = np.arange(0.0, 1.0, 0.05)
        wheel = Run("rolling", "rolling", {"slope": 0.2}, at, {"distance": 0.09 * at**2})
        (tmp_path / "runs").mkdir()
        save_run(wheel, tmp_path / "runs/rolling.csv")
    places = {kind: tmp_path / kind for kind in ("pictures", "masks", "results", "album", "runs")}
    places["sensor"] = tmp_path / "sensor.json"

    def work(out: Path) -> None:
        run(*(word.format(split=split, out=out, **places) for word in RESULTS[verb].split()))

    before, after, states = crash(root, lambda: work(root), monkeypatch)
    assert len(states) >= 3 and not before and after
    names = set(after)
    for state in map(seen, states):
        for name, data in state.items():  # a journal grows by lines
            assert after[name].startswith(data) if name.endswith(".jsonl") else data == after[name], name

    def again(place: Path) -> None:
        if verb not in ("pack", "distill") or not any(
            (place / name).exists() for name in names
        ):  # they fill new folders
            work(place)
        assert {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()} >= names

    rerun([state for state in states if seen(state) != after], tmp_path, again, most=1)


def test_verify_repair(undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames are drawn in this process, where their flushes are seen; none but the broken one is ever lost."""
    monkeypatch.setattr(generate, "generate", functools.partial(generate.generate, executor="in-process"))
    root, torn = tmp_path / "disk", file_name("rgb", 1)
    split = Path(shutil.copytree(undisturbed, root / "val"))
    (split / torn).write_bytes(b"torn")
    (split / CONTRACT).unlink()
    before, after, states = crash(root, lambda: run("verify", split, "--repair"), monkeypatch)
    expected = {f"val/{name}": (undisturbed / name).read_bytes() for name in (CONTRACT, COPY, JOURNAL, torn)}
    assert len(states) > 10 and {name: after[name] for name in expected} == expected
    for state in map(seen, states):
        contracts = [state[name] for name in (f"val/{CONTRACT}", f"val/{COPY}") if name in state]
        assert contracts and all(data == before[f"val/{COPY}"] for data in contracts)
        records, damaged = scan_lines(parse_lines(io.BytesIO(state[f"val/{JOURNAL}"])))
        assert not damaged and records.keys() >= set(range(FRAMES)) - {1}
        files = {f"val/{name}" for record in records.values() for name in record.sha256}
        assert all(state[name] in (before[name], after[name]) for name in files)

    def again(place: Path) -> None:
        run("verify", place / "val", "--repair")
        assert digest(place / "val") == digest(undisturbed)

    dropped = [s for s in states if s[f"val/{torn}"] == b"torn" and s[f"val/{JOURNAL}"] != before[f"val/{JOURNAL}"]]
    rerun(dropped, tmp_path, again, most=1)


def test_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "disk"
    root.mkdir()
    split = write_split(tmp_path / "val", 2)
    before, after, states = crash(root, lambda: run("export", split, "--to", "voc", "--out", root / "voc"), monkeypatch)
    assert len(states) > 5 and not before and all(seen(state) in ({}, after) for state in states)

    def again(place: Path) -> None:
        if not (place / "voc").exists():
            run("export", split, "--to", "voc", "--out", place / "voc")
        assert {name: (place / name).read_bytes() for name in after} == after
        assert [path.name for path in place.iterdir()] == ["voc"]

    rerun([state for state in states if state.keys() - seen(state).keys()], tmp_path, again)


def test_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "disk"
    root.mkdir()
    for kind in ("rgb", "mask"):
        (tmp_path / kind).mkdir()
        for index in range(2):
            Image.fromarray(arrays(index)[kind]).save(tmp_path / kind / f"{index}.png")
    classes = "regolith=0,rock=1,sky=2,ignore=255"
    words = ["import", "--images", tmp_path / "rgb", "--masks", tmp_path / "mask", "--classes", classes, "--split", "a"]
    before, after, states = crash(root, lambda: run(*words, "--out", root), monkeypatch)
    assert len(states) > 5 and not before and all(seen(state) in ({}, after) for state in states)

    def again(place: Path) -> None:
        if not (place / "a").exists():
            run(*words, "--out", place)
        run("verify", place / "a")

    rerun(states, tmp_path, again)


def test_author(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage is the old one or the new one with all it names, and so is each picture; what only the old had goes."""
    root = tmp_path / "disk"
    root.mkdir()
    coarse = "--terrain.cell-m 0.4 --rocks.diameter-min-m 0.3"
    words = ["author", "--preset", "v1", *coarse.split(), "--size", "32", "--seed"]
    run(*words, "0", "--out", root / "stage.usda")
    work = lambda: run(*words, "1", "--out", root / "stage.usda")  # noqa: E731
    before, after, states = crash(root, work, monkeypatch)
    assert len(states) > 5 and len(after) == 4 and before.keys() != after.keys()
    for state in map(seen, states):
        whole = before if state["stage.usda"] == before["stage.usda"] else after
        assert all(state[name] == data for name, data in whole.items() if "stage." in name and name != "stage.png")
        assert not [name for name, data in state.items() if data not in (before.get(name), after.get(name))]

    def again(place: Path) -> None:
        run(*words, "1", "--out", place / "stage.usda")
        assert read_state(place) == after

    rerun([state for state in states if len(seen(state)) > len(after)], tmp_path, again, most=1)


def test_train_and_export_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run resumes after any crash to the result of an undisturbed one; a model has its card, or is the one before."""
    pytest.importorskip("torch")
    from training.checkpoint import read_checkpoint, write_torch
    from training.export import export_model
    from training.train import train

    split = write_split(tmp_path / "train_dr", 4)

    def params(out: Path) -> TrainParams:
        fields = {"train_split": split, "val_split": split, "out": out, "arch": "efficientnet-lite0", "init": "random",
                  "crop_px": 64, "scale": (2.0, 2.0), "epochs": 1, "batch": 4, "amp": "off", "threads": 1,
                  "workers": 1}  # fmt: skip
        return TrainParams.model_validate(fields)

    root = tmp_path / "disk"
    root.mkdir()
    silent = lambda event: None  # noqa: E731
    _, after, states = crash(root, lambda: train(params(root), silent), monkeypatch)
    assert set(after) == {"best.pt", "last.pt", "metrics.jsonl", "summary.json"} and len(states) > 6
    for state in map(seen, states):
        assert all(data == after[name] for name, data in state.items() if name != "last.pt")
    for number, data in enumerate({state["last.pt"] for state in states if "last.pt" in state}):
        (tmp_path / f"last{number}.pt").write_bytes(data)
        read_checkpoint(tmp_path / f"last{number}.pt")
    expected = read_checkpoint(root / "best.pt")["model"]

    def again(place: Path) -> None:
        assert train(params(place), silent)["status"] == "finished"
        found = read_checkpoint(place / "best.pt")["model"]
        assert all(np.array_equal(found[name], value) for name, value in expected.items())

    unfinished = [state for state in states if "best.pt" in state and "summary.json" not in state]
    rerun(unfinished, tmp_path, again, most=1)

    models = tmp_path / "models"
    models.mkdir()
    best = root / "best.pt"
    _, after, states = crash(models, lambda: run("blend", best, best, "--out", models / "blend.pt"), monkeypatch)
    assert len(states) >= 2 and all(seen(state) in ({}, after) for state in states)
    shutil.rmtree(models)
    models.mkdir()
    _, after, states = crash(models, lambda: export_model(best, models / "a.onnx"), monkeypatch)
    models_of(states, {card_digest(after)}, tmp_path / "first")

    state = read_checkpoint(best)
    state["model"] = {name: value * 0.5 if value.is_floating_point() else value for name, value in expected.items()}
    write_torch(root / "half.pt", state)
    before, after, states = crash(models, lambda: export_model(root / "half.pt", models / "a.onnx"), monkeypatch)
    assert models_of(states, {card_digest(before), card_digest(after)}, tmp_path / "second") == len(states)
    assert "replaces" not in read_card(models / "a.onnx")


def card_digest(state: State) -> str:
    """Digest of the model that a state's card describes."""
    return json.loads(state["a.json"])["sha256"]


def models_of(states: Sequence[State], known: set[str], root: Path) -> int:
    """How many of the states hold a model with its card: one of those known; the others hold no model."""
    whole = 0
    for number, state in enumerate(map(seen, states)):
        if "a.onnx" not in state:
            continue
        restore(state, root / str(number))
        assert read_card(root / str(number) / "a.onnx")["sha256"] in known
        whole += 1
    return whole
