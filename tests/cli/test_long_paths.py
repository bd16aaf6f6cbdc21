"""Paths of 4,000 characters in every verb: one line of at most 300 that says which field, where it ends, what to do."""

import re
from pathlib import Path

import pytest

from regolith.lunar import cli

LINES = {
    "author --out {path}.usda": "out",
    "generate --split val --frames 1 --out {path}": "out",
    "generate --request {path}.json --out data": "request",
    "generate --split val --frames 1 --out data --gate {path}": "gate",
    "generate --split val --frames 1 --out data --gate photos --gate-like {path}": "gate_like",
    "randomize --frames 2 --plot {path}.png": "plot",
    "randomize --frames 2 --json {path}.json": "json",
    "randomize --params {path}.yaml": "params",
    "verify {path}": "split",
    "verify {path} --repair": "split",
    "card {path}": "split",
    "report {path}": "folder",
    "export {path} --to voc --out voc": "folder",
    "import --images photos --coco {path}.json --split a --out out": "coco",
    "import --images {path} --masks masks --classes regolith=0,rock=1 --split a --out out": "images",
    "train --train-split {path} --val-split val --init random --out out": "train_split",
    "train --train-split train --val-split val --init random --out {path}": "out",
    "blend {path}.pt b.pt --out blend.pt": "first",
    "blend a.pt b.pt --out {path}.pt": "out",
    "pack --splits {path} --out packs": "splits",
    "distill --splits {path} --out start": "splits",
    "export-model {path}.pt --out model.onnx": "checkpoint",
    "evaluate synth --split {path} --out synth": "split",
    "evaluate synth --model {path}.onnx --split val --out synth": "model",
    "evaluate real --images {path} --out real": "images",
    "score geometry {path} --real real --out score": "synth",
    "score geometry synth --real real --sensor {path}.json --out score": "sensor",
    "score geometry synth --real real --out {path}": "out",
    "calibrate sensor {path} --out sensor.json": "scans",
    "calibrate sensor scans --out {path}.json": "out",
    "calibrate dynamics {path}.csv --out rover.yaml": "runs",
    "calibrate dynamics runs --out {path}.yaml": "out",
    "calibrate camera {path} --out camera": "images",
    "calibrate camera photos --out {path}": "out",
    "calibrate camera photos --masks {path} --out camera": "masks",
    "score semantics {path} --real photos --out score": "synth",
    "score appearance {path} --real photos --out score": "synth",
    "score appearance val --real photos --out {path}": "out",
    "gate {path} --real photos --out gate": "synth",
    "gate val --real photos --out {path}": "out",
    "tail {path} --out tail": "split",
    "drift {path} val --out drift": "reference",
    "mix --synth {path} --real real --out mix.json": "synth",
    "mix --synth synth --real real --out {path}.json": "out",
    "select {path} --model default --by entropy --budget 1 --out queue": "pool",
    "select photos --model default --done {path} --budget 1 --out queue": "done",
    "traverse --stage {path}.usda --out drives": "stage",
    "traverse --out {path}": "out",
    "traverse --avoid policy --policy {path}.onnx --out drives": "policy",
    "flythrough --path {path}.yaml --out film": "path",
    "flythrough --drive {path}.npz --out film": "drive",
    "flythrough --waypoints 0,0;1,0 --out {path}": "out",
    "train-policy --out {path}": "out",
    "ablate --init random --out {path}": "out",
    "sweep dr-strength --init random --out {path}": "out",
    "sweep gap --init random --out {path}": "out",
    "sweep visual-vs-dynamics --init random --out {path}": "out",
    "studio --workspace {path}": "workspace",
    "real-photos --download {path}": "download",
    "real-photos --list --manifest {path}.json": "manifest",
    "doctor --json {path}.json": "json",
    "isaac-check --isaac {path} --out check": "isaac",
    "demo --out {path}": "out",
    "demo --real {path}": "real",
}
"""Command line to the field that is refused."""
SLOW = ("train", "distill")
"""Verbs that load torch before they look."""


def test_every_verb_is_here() -> None:
    assert {verb for verb in cli.VERBS for line in LINES if line.startswith(f"{verb} ")} == set(cli.VERBS)


@pytest.mark.parametrize(
    ("line", "kind"),
    [(line, "no folder") for line in LINES] + [(line, "long name") for line in LINES if not line.startswith(SLOW)],
)
def test_a_long_path_leaves_field_end_and_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, kind: str
) -> None:
    """Below something that is no folder, and of a name no file system takes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    middle = "file/" + "/".join(["n" * 199] * 19) if kind == "no folder" else "n" * 3800
    path = f"{tmp_path}/{middle}/the_folder/the_end"
    assert 3800 < len(path) < 4096 and cli.main(line.format(path=path).split()) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert len(said) <= 300
    found = re.fullmatch(
        r"regolith: (\w+): '/.*n…n.*/the_(?:folder|end)[./\w]*' is not allowed; allowed: ([^…]+)", said
    )
    assert found is not None and LINES[line].startswith(found[1]), said  # of several splits: the split
