"""Small exports and trainings for the panel's companions, and an interpreter that only says what one says."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from panel_host import Bench

from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.layout import append_records, read_journal
from regolith.lunar.dataset.write import write_frame
from regolith.lunar.labels import REGOLITH, ROCK, SKY
from regolith.lunar.params import Params
from regolith.lunar.stage.spec import rng

SPEAKER = """
import json, signal, sys, time
if 'export-model' in sys.argv:
    from regolith.lunar.cli import parse_verb
    from training.export import ExportModel
    verb = parse_verb(ExportModel, 'export-model', sys.argv[sys.argv.index('export-model') + 1:])
    verb.out.write_text(str(verb.checkpoint))
    sys.exit(0)
stop = []
signal.signal(signal.SIGTERM, lambda *a: stop.append(1))
def emit(**event):
    print(json.dumps(event), flush=True)
config = json.load(open(sys.argv[sys.argv.index('--config') + 1]))
total = config['epochs']
print('a library says hello', file=sys.stderr, flush=True)
for epoch in range(1, total + 1):
    emit(event='progress', done=epoch, total=total, unit='steps', stage=f'epoch {epoch}/{total}')
    for name in ('train_loss', 'val_loss', 'rock_iou', 'miou', 'lr'):
        emit(event='metric', name=name, value=1 / epoch, step=epoch)
    time.sleep(0.01)
    if stop:
        emit(event='done', status='interrupted', result={})
        sys.exit(130)
emit(event='done', status='finished', result={'best_epoch': 2, 'best_rock_iou': 0.5, 'selected_on': 'val'})
"""


def write_split(folder: Path, frames: int, seed: int) -> Path:
    """Write a split of 32 px frames: a grey ground with bright squares under a black sky."""
    for name in ("rgb", "mask"):
        (folder / name).mkdir(parents=True)
    for index in range(frames):
        random = rng(seed, "squares", index)
        mask = np.full((32, 32), REGOLITH, np.uint8)
        mask[:8] = SKY
        x, y = random.integers(0, 24), random.integers(10, 24)
        mask[y : y + 7, x : x + 7] = ROCK
        grey = np.array([80, 170, 2])[mask] + random.normal(0, 8, mask.shape)
        rgb = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        append_records(folder, [write_frame(folder, index, {"rgb": rgb, "mask": mask}, seed=index, spec={})])
    contract = Contract.of(Params(), split="val", frames=frames, seed=seed, width=32, height=32, renderer={})
    contract.write(folder)
    return folder


def enter_generate(bench: Bench, frames: int, executor: str = "in-process") -> Path:
    """Enter an export of a few seconds; returns the split's folder."""
    for path, value in {
        "generate.split": "val", "generate.frames": frames, "generate.size": "48", "render.quality": "draft",
        "generate.out": bench.host.data_folder / "set", "dataset.frames_per_scene": 5,
        "generate.executor": executor, "terrain.cell_m": 0.5,
    }.items():  # fmt: skip
        bench.model.commit(path, value)
    return bench.host.data_folder / "set" / "val"


def enter_training(bench: Bench, toys: Path, epochs: int, python: Path | None = None) -> Path:
    """Enter a training on the toys; returns the run's folder."""
    for path, value in {
        "training.train_split": toys / "train_dr", "training.val_split": toys / "val", "training.epochs": epochs,
        "training.init": "random", "training.batch": 8, "training.amp": "off", "training.threads": 1,
        "training.warmup_steps": 2, "training.workers": 1, "training.out": bench.host.data_folder / "run",
        "companion.python": python or Path(sys.executable),
    }.items():  # fmt: skip
        bench.model.commit(path, value)
    return bench.host.data_folder / "run"


def hashes(split: Path) -> dict[int, dict[str, str]]:
    return {index: record.sha256 for index, record in read_journal(split).items()}
