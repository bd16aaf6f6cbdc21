"""Every verb that writes holds what it writes: a second run of it is refused before it does anything."""

import os
from pathlib import Path

import pytest
from small_split import write_split

from regolith.lunar import cli
from regolith.lunar.files import LOCK, holding, lock_beside

VALUES = "regolith=0,rock=1,sky=2,ignore=255"
WRITERS = {
    "card": ("card {split} --out {out}/page.html", "page.html"),
    "report": ("report {split} --out {out}/page.html", "page.html"),
    "randomize": ("randomize --frames 2 --plot {out}/plot.png", "plot.png"),
    "author": ("author --out {out}/stage.usda", "stage.usda"),
    "export-model": ("export-model {out}/best.pt --out {out}/model.onnx", "model.onnx"),
    "blend": ("blend a.pt b.pt --out {out}/blend.pt", "blend.pt"),
    "export": ("export {split} --to voc --out {out}/voc", "voc"),
    "pack": ("pack --splits {split} --out {out}/packs", "packs"),
    "distill": ("distill --splits {split} --out {out}/start", "start"),
    "evaluate synth": ("evaluate synth --split {split} --out {out}/synth", "synth/"),
    "evaluate real": ("evaluate real --images {split}/rgb --out {out}/real", "real/"),
    "score geometry": ("score geometry {split} --real {split} --out {out}/score", "score/"),
    "calibrate sensor": ("calibrate sensor {split} --out {out}/sensor.json", "sensor.json"),
    "calibrate dynamics": ("calibrate dynamics {split} --out {out}/rover.yaml", "rover.yaml"),
    "calibrate camera": ("calibrate camera {split}/rgb --out {out}/camera", "camera/"),
    "score semantics": ("score semantics {split} --real {split} --out {out}/score", "score/"),
    "score appearance": ("score appearance {split} --real {split} --out {out}/score", "score/"),
    "gate": ("gate {split} --real {split} --out {out}/gate", "gate/"),
    "tail": ("tail {split} --out {out}/tail", "tail/"),
    "drift": ("drift {split} {split} --out {out}/drift", "drift/"),
    "select": ("select {split} --model default --by entropy --budget 1 --out {out}/queue", "queue"),
    "mix": ("mix --synth {split} --real {split} --out {out}/mix.json", "mix.json"),
    "train": ("train --train-split {split} --val-split {split} --init random --out {out}/run", "run/"),
    "import": (
        f"import --images {{split}}/../rgb --masks {{split}}/mask --classes {VALUES} --split a --out {{out}}",
        "a",
    ),
    "verify": ("verify {out}/in/val --repair", "in/val/"),
    "generate": ("generate --split val --frames 1 --size 32 --out {out}/data", "data/val/"),
    "demo": ("demo --out {out}/demo", "demo/"),
    "ablate": ("ablate --init random --out {out}/study", "study/"),
    "sweep dr-strength": ("sweep dr-strength --init random --out {out}/study", "study/"),
    "sweep gap": ("sweep gap --init random --out {out}/study", "study/"),
    "sweep visual-vs-dynamics": ("sweep visual-vs-dynamics --init random --out {out}/study", "study/"),
    "traverse": ("traverse --out {out}/drives", "drives/"),
    "flythrough": ("flythrough --waypoints 0,0;1,0 --out {out}/film", "film/"),
    "train-policy": ("train-policy --out {out}/policy", "policy/"),
    "real-photos": ("real-photos --download {out}/photographs", "photographs/"),
}
"""Verb to its command line, and what of it another run holds; a folder that is filled in place ends in a slash."""


READERS = {"studio", "doctor", "isaac-check"}
"""Verbs that write nothing where nothing is asked for, or hold a workspace (`tests/studio`) or folder of their own."""


def test_every_verb_is_here() -> None:
    assert WRITERS.keys() | READERS == cli.VERBS.keys()


@pytest.mark.parametrize("verb", WRITERS)
def test_every_verb_that_writes_holds_what_it_writes(tmp_path: Path, capsys, verb: str) -> None:
    words, held = WRITERS[verb]
    place = tmp_path / held
    lock = place / LOCK if held.endswith("/") else lock_beside(place)
    lock.parent.mkdir(parents=True, exist_ok=True)
    split = write_split(tmp_path / "in/val", 1)
    if verb == "verify":
        (split / "rgb/rgb_00000.png").write_bytes(b"torn")
    if verb == "import":
        (split.parent / "rgb").mkdir()
        (split / "rgb/rgb_00000.png").rename(split.parent / "rgb/mask_00000.png")
    with holding(lock):
        assert cli.main(words.format(split=split, out=tmp_path).split()) == 2
        *_, line = capsys.readouterr().err.splitlines()  # before it may stand how far it was
        assert "no other run is writing to" in line and f"process {os.getpid()} on " in line
        assert str(place).rstrip("/") in line
