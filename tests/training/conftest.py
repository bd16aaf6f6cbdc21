from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from toy_split import write_split

from regolith.lunar.params.training import TrainParams

MadeOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def toy(made_once: MadeOnce) -> SimpleNamespace:
    """Train and validation split of 32 px frames, and the parameters of a run of a few seconds."""

    def fill(root: Path) -> None:
        write_split(root / "train_dr", 24)
        write_split(root / "val", 6, seed=1)

    root = made_once("toy", fill)
    train, val = root / "train_dr", root / "val"

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
def toy64(toy: SimpleNamespace, made_once: MadeOnce) -> SimpleNamespace:
    """Splits of 64 px frames, and the parameters of a run on them."""

    def fill(root: Path) -> None:
        write_split(root / "train_dr", 9, size=(64, 64))
        write_split(root / "val", 4, size=(64, 64), seed=1)

    root = made_once("toy64", fill)
    splits = {"train_split": root / "train_dr", "val_split": root / "val", "batch": 4}
    return SimpleNamespace(params=lambda out, **changes: toy.params(out, **splits | changes))


@pytest.fixture(scope="session")
def backbones(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders as the hub has them: one encoder with four strides, one that keeps its resolution, patches of 14 px."""
    import torch
    from transformers.models.convnextv2.configuration_convnextv2 import ConvNextV2Config
    from transformers.models.convnextv2.modeling_convnextv2 import ConvNextV2Model
    from transformers.models.dinov2.configuration_dinov2 import Dinov2Config
    from transformers.models.dinov2.modeling_dinov2 import Dinov2Model

    root = tmp_path_factory.mktemp("backbones")
    torch.manual_seed(0)
    convnext = ConvNextV2Model(ConvNextV2Config(hidden_sizes=[8, 12, 16, 24], depths=[1, 1, 1, 1]))
    dino = Dinov2Model(
        Dinov2Config(hidden_size=24, num_hidden_layers=4, num_attention_heads=2, image_size=56, patch_size=14)
    )
    for name, model, licence in (("convnext", convnext, "apache-2.0"), ("dino", dino, "mit")):
        model.save_pretrained(root / name)
        (root / name / "README.md").write_text(f"---\nlicense: {licence}\n---\n# A model\n")
    return {"convnext": root / "convnext", "dino": root / "dino"}


@pytest.fixture(scope="session")
def trained(toy: SimpleNamespace, made_once: MadeOnce) -> SimpleNamespace:
    """An undisturbed run of three epochs, its events and summary."""

    def fill(folder: Path) -> None:
        from training.train import train

        events: list[dict] = []
        summary = train(toy.params(folder / "run"), events.append)
        (folder / "said.json").write_text(json.dumps({"events": events, "summary": summary}))

    folder = made_once("trained", fill)
    return SimpleNamespace(out=folder / "run", **json.loads((folder / "said.json").read_text()))


@pytest.fixture(scope="session")
def exported(toy: SimpleNamespace, trained: SimpleNamespace, made_once: MadeOnce) -> SimpleNamespace:
    """The trained model as ONNX, its card, and the network itself; nobody may change the files."""

    def fill(folder: Path) -> None:
        from training.export import ExportModel

        verb = ExportModel(
            checkpoint=trained.out / "best.pt", out=folder / "models" / "toy.onnx", photo_px=640,
            temperature_split=toy.val, measure=toy.train,
        )  # fmt: skip
        card = verb.run()
        (folder / "said.json").write_text(json.dumps(card))
        assert f"temperature {card['temperature']:.3f}: expected calibration error on train_dr" in verb.summary(card)

    from training.checkpoint import read_checkpoint
    from training.networks import load_network

    folder = made_once("exported", fill)
    card, model = json.loads((folder / "said.json").read_text()), load_network(read_checkpoint(trained.out / "best.pt"))
    return SimpleNamespace(out=folder / "models" / "toy.onnx", card=card, model=model)
