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
from pydantic import ValidationError

from regolith.lunar.labels import CLASSES
from regolith.lunar.params import CheckError, InputError
from regolith.lunar.perception.evaluate import EvaluateSynth
from regolith.lunar.stage.spec import rng
from training.export import ExportModel, compare, export_model
from training.networks.segformer import fresh_segformer, load_segformer


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
    assert card["checkpoint_sha256"] == hashlib.sha256((trained.out / "best.pt").read_bytes()).hexdigest()
    assert card["fingerprints"]["train_split"] == trained.summary["splits"]["train_split"]["fingerprint"]
    assert card["training"]["best_epoch"] == trained.summary["best_epoch"]
    assert (card["photo_px"], card["photo_tta"]) == (640, "none")
    assert card["training"]["splits"]["train_split"]["path"].count("/") == 1  # says nothing of the machine
    assert sorted(p.name for p in exported.out.parent.iterdir()) == ["toy.json", "toy.onnx"]


def test_temperature_is_fitted_on_one_split_and_measured_on_another(
    toy: SimpleNamespace, exported: SimpleNamespace, tmp_path: Path
) -> None:
    card = exported.card
    fitted, measured = card["calibration"]["fitted_on"], card["calibration"]["measured_on"]
    assert (fitted["split"], fitted["frames"], fitted["pixels"]) == ("val", 6, 6 * 32 * 32)
    assert fitted["log_loss_after"] < fitted["log_loss_before"] and card["temperature"] != 1
    assert (measured["split"], measured["frames"]) == ("train_dr", 24)
    result = EvaluateSynth(model=str(exported.out), split=toy.train, out=tmp_path / "after", worst=0).run()
    assert result["calibration"]["temperature"] == card["temperature"]
    for key in ("ece", "ece_rock"):
        assert result["calibration"][key] == pytest.approx(measured[f"{key}_after"], abs=1e-5)
    plain = tmp_path / "plain.onnx"
    plain.write_bytes(exported.out.read_bytes())
    plain.with_suffix(".json").write_text(json.dumps({k: v for k, v in card.items() if k != "temperature"}))
    before = EvaluateSynth(model=str(plain), split=toy.train, out=tmp_path / "before", worst=0).run()
    assert before["calibration"]["ece"] == pytest.approx(measured["ece_before"], abs=1e-5)
    assert before["confusion"] == result["confusion"]


def test_temperature_is_not_measured_on_what_it_was_fitted_on(toy: SimpleNamespace, tmp_path: Path) -> None:
    for measure in (None, toy.val):
        with pytest.raises(ValidationError, match="another split than the temperature is fitted on"):
            ExportModel(checkpoint=tmp_path / "best.pt", temperature_split=toy.val, measure=measure)


def test_another_network_is_caught(exported: SimpleNamespace) -> None:
    torch.manual_seed(99)
    with pytest.raises(CheckError, match="differs from PyTorch"):
        compare(fresh_segformer().eval(), exported.out)


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
    model = fresh_segformer().eval()
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
    weights = dict(fresh_segformer().named_parameters())
    depthwise = weights["net.segformer.stages.3.blocks.0.mlp.dwconv.dwconv.weight"]
    merging = weights["net.segformer.stages.3.patch_embeddings.proj.weight"]
    assert depthwise.std().item() == pytest.approx((2 / 9) ** 0.5, rel=0.05)
    assert merging.std().item() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.05)
    assert weights["net.decode_head.classifier.weight"].std().item() < 0.03


def test_missing_encoder_names_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^init: .*--init random") as caught:
        load_segformer(str(tmp_path / "nowhere"))
    assert "\n" not in str(caught.value)


def test_local_encoder_is_loaded(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source = fresh_segformer()
    source.net.save_pretrained(tmp_path / "mit")
    torch.manual_seed(2)
    loaded, start = load_segformer(str(tmp_path / "mit"))
    assert start.licence == "unknown"
    a, b = source.net.segformer.state_dict(), loaded.net.segformer.state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)
