from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from toy_split import write_split

from regolith.lunar.params.training import TrainParams


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Train and validation split of 32 px frames, and the parameters of a run of a few seconds."""
    root: Path = tmp_path_factory.mktemp("toy")
    train = write_split(root / "train_dr", 24)
    val = write_split(root / "val", 6, seed=1)

    def params(out: Path, **changes: object) -> TrainParams:
        fields = {
            "train_split": train, "val_split": val, "out": out, "init": "random", "epochs": 3, "batch": 8,
            "warmup_steps": 2, "amp": "off", "threads": 1, "workers": 1,
        }  # fmt: skip
        return TrainParams.model_validate(fields | changes)

    def config(out: Path, **changes: object) -> Path:
        out.mkdir(parents=True, exist_ok=True)
        path = out / "config.json"
        path.write_text(json.dumps(params(out, **changes).model_dump(mode="json")))
        return path

    return SimpleNamespace(root=root, train=train, val=val, params=params, config=config)


@pytest.fixture(scope="session")
def trained(toy: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """An undisturbed run of three epochs, its events and summary."""
    from training.train import train

    out = tmp_path_factory.mktemp("run") / "run"
    events: list[dict] = []
    summary = train(toy.params(out), events.append)
    return SimpleNamespace(out=out, events=events, summary=summary)
