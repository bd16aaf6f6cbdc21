"""A distilled encoder follows its teacher, is the same for the same seed, and starts a training."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from toy_split import write_split

from regolith.lunar.params import InputError
from regolith.lunar.stage.spec import rng
from training.distill import Distill, hint_loss
from training.train import train


def test_hint_loss_counts_channels_alike() -> None:
    torch.manual_seed(0)
    wanted = torch.randn(4, 3, 8, 8) * torch.tensor([0.1, 1, 100]).view(3, 1, 1) + 5
    standard = (wanted - wanted.mean((0, 2, 3), keepdim=True)) / wanted.std((0, 2, 3), keepdim=True)
    assert hint_loss(torch.zeros_like(wanted), wanted).item() == pytest.approx(1, abs=0.02)
    assert hint_loss(standard, wanted).item() < 1e-3


def test_distilled_encoder_starts_a_training(toy: SimpleNamespace, tmp_path: Path) -> None:
    split = write_split(tmp_path / "train_dr", 6, size=(96, 96))
    (tmp_path / "photographs").mkdir()
    picture = rng(0, "photo").integers(0, 256, (12, 16, 3), dtype=np.uint8).repeat(10, axis=0).repeat(10, axis=1)
    Image.fromarray(picture).save(tmp_path / "photographs" / "a.png")

    def distill(out: str) -> Distill:
        return Distill(
            splits=split, images=tmp_path / "photographs", out=tmp_path / out, steps=30, batch=2, crop_px=64, threads=1
        )

    result = distill("start").run()
    assert result["photographs"] == 1 and result["loss_last"] < 0.9 * result["loss_first"]
    distill("again").run()
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("start", "again"))
    assert a == b
    summary = train(toy.params(tmp_path / "run", init=str(tmp_path / "start"), epochs=1), lambda e: None)
    assert summary["network"]["start"]["licence"] == "apache-2.0"
    with pytest.raises(InputError, match=r"^out: .*not there yet"):
        distill("start").run()
