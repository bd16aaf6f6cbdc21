"""The exported file computes what PyTorch computes, and its card says what it is."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch

from regolith.lunar.labels import CLASSES
from regolith.lunar.params import CheckError, InputError
from regolith.lunar.stage.spec import rng
from training.checkpoint import read_checkpoint
from training.export import ExportModel, compare, export_model
from training.model import LunarSegformer, build_model, load_checkpoint


@pytest.fixture(scope="module")
def exported(trained: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    out = tmp_path_factory.mktemp("models") / "toy.onnx"
    card = ExportModel(checkpoint=trained.out / "best.pt", out=out, photo_px=640).run()
    model = load_checkpoint(read_checkpoint(trained.out / "best.pt")["model"])
    return SimpleNamespace(out=out, card=card, model=model)


@pytest.mark.parametrize("shape", [(1, 32, 32), (1, 64, 160), (5, 96, 64), (2, 224, 320)])
def test_onnx_equals_pytorch(exported: SimpleNamespace, shape: tuple[int, int, int]) -> None:
    session = onnxruntime.InferenceSession(str(exported.out), providers=["CPUExecutionProvider"])
    image = rng(1, "image", *shape).integers(0, 256, (*shape, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = exported.model(torch.from_numpy(image)).numpy()
    got = np.asarray(session.run(None, {"image": image})[0])
    assert got.shape == (shape[0], 3, *shape[1:]) and got.dtype == np.float32
    assert np.abs(got - expected).max() <= 1e-3
    assert (got.argmax(1) == expected.argmax(1)).mean() >= 0.999


def test_card_describes_the_file(exported: SimpleNamespace, trained: SimpleNamespace) -> None:
    card = json.loads(exported.out.with_suffix(".json").read_text())
    assert card == json.loads(json.dumps(exported.card))
    assert card["classes"] == CLASSES
    assert card["sha256"] == hashlib.sha256(exported.out.read_bytes()).hexdigest()
    assert card["fingerprints"]["train_split"] == trained.summary["splits"]["train_split"]["fingerprint"]
    assert card["training"]["best_epoch"] == trained.summary["best_epoch"]
    assert (card["photo_px"], card["photo_tta"]) == (640, "none")
    assert card["training"]["splits"]["train_split"]["path"].count("/") == 1  # says nothing of the machine
    assert sorted(p.name for p in exported.out.parent.iterdir()) == ["toy.json", "toy.onnx"]


def test_another_network_is_caught(exported: SimpleNamespace) -> None:
    torch.manual_seed(99)
    with pytest.raises(CheckError, match="differs from PyTorch"):
        compare(build_model("random").eval(), exported.out)


def test_wrong_files_are_refused(trained: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^out: "):
        export_model(trained.out / "best.pt", tmp_path / "model.pb")
    for content in (b"", b"garbage"):
        (tmp_path / "bad.pt").write_bytes(content)
        with pytest.raises(InputError, match=r"^checkpoint: "):
            export_model(tmp_path / "bad.pt", tmp_path / "model.onnx")
    with pytest.raises(InputError, match=r"^checkpoint: "):
        export_model(tmp_path / "none.pt", tmp_path / "model.onnx")


def test_decode_head_equals_the_published_one() -> None:
    """Moving the linear layers below the upsampling changes no value beyond rounding."""
    torch.manual_seed(0)
    model = build_model("random").eval()
    assert isinstance(model, LunarSegformer)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    image = torch.randint(0, 256, (2, 64, 96, 3), dtype=torch.uint8)
    with torch.no_grad():
        pixels = (image.permute(0, 3, 1, 2).float() - model.mean) / model.std
        logits = model.net(pixel_values=pixels).logits
        expected = torch.nn.functional.interpolate(logits, size=(64, 96), mode="bilinear", align_corners=False)
        assert torch.allclose(model(image), expected, atol=1e-4 * float(expected.abs().max()))


def test_fresh_encoder_starts_as_its_authors_start_it() -> None:
    torch.manual_seed(0)
    weights = dict(build_model("random").named_parameters())
    depthwise = weights["net.segformer.stages.3.blocks.0.mlp.dwconv.dwconv.weight"]
    merging = weights["net.segformer.stages.3.patch_embeddings.proj.weight"]
    assert depthwise.std().item() == pytest.approx((2 / 9) ** 0.5, rel=0.05)
    assert merging.std().item() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.05)
    assert weights["net.decode_head.classifier.weight"].std().item() < 0.03


def test_missing_encoder_names_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^init: .*--init random") as caught:
        build_model(str(tmp_path / "nowhere"))
    assert "\n" not in str(caught.value)


def test_local_encoder_is_loaded(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source = build_model("random")
    source.net.save_pretrained(tmp_path / "mit")
    torch.manual_seed(2)
    loaded = build_model(str(tmp_path / "mit"))
    a, b = source.net.segformer.state_dict(), loaded.net.segformer.state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)
