"""Blended weights lie between two runs, say what they were made of, and serve as any checkpoint."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from regolith.lunar.files import file_digest
from regolith.lunar.params import InputError
from training.blend import Blend
from training.checkpoint import read_checkpoint
from training.export import export_model
from training.train import train


def test_blend_of_a_run_and_its_start(toy64: SimpleNamespace, backbones: dict[str, Path], tmp_path: Path) -> None:
    """Of a network that exports in a moment."""
    small = {"arch": "auto-backbone", "epochs": 1, "lr": 1e-2, "warmup_steps": 0}
    start = tmp_path / "first" / "best.pt"
    train(toy64.params(start.parent, init=str(backbones["convnext"]), **small), lambda e: None)
    train(toy64.params(tmp_path / "next", init=str(start), **small), lambda e: None)
    second = tmp_path / "next" / "best.pt"
    result = Blend(first=start, second=second, share=0.25, out=tmp_path / "blend.pt").run()
    a, b, c = (read_checkpoint(path)["model"] for path in (start, second, tmp_path / "blend.pt"))
    assert any((a[name] - b[name]).abs().max() > 1e-3 for name in a if a[name].is_floating_point())
    for name in a:
        expected = 0.75 * a[name] + 0.25 * b[name] if a[name].is_floating_point() else b[name]
        assert torch.allclose(c[name], expected, atol=1e-6)
    card = export_model(tmp_path / "blend.pt", tmp_path / "blend.onnx")
    assert card["origin"]["blend"] == {key: result[key] for key in ("share", "first_sha256", "second_sha256")}
    assert result["first_sha256"] == file_digest(start) and result["second_sha256"] == [file_digest(second)]
    assert card["origin"]["runs"][0]["origin"]
    for share, same in ((0.0, a), (1.0, b)):
        Blend(first=start, second=second, share=share, out=tmp_path / "end.pt").run()
        end = read_checkpoint(tmp_path / "end.pt")["model"]
        assert all(torch.equal(end[name], same[name]) for name in same if same[name].is_floating_point())


def test_blend_of_several_is_with_their_mean(trained: SimpleNamespace, tmp_path: Path) -> None:
    start = trained.out / "best.pt"
    state = read_checkpoint(start)
    for k in (1, 2):
        moved = {name: value + k if value.is_floating_point() else value for name, value in state["model"].items()}
        torch.save(state | {"model": moved}, tmp_path / f"{k}.pt")
    several = Path(f"{tmp_path / '1.pt'},{tmp_path / '2.pt'}")
    result = Blend(first=start, second=several, share=0.5, out=tmp_path / "blend.pt").run()
    assert result["second_sha256"] == [file_digest(tmp_path / f"{k}.pt") for k in (1, 2)]
    for name, value in read_checkpoint(tmp_path / "blend.pt")["model"].items():
        old = state["model"][name]
        assert torch.allclose(value, old + 0.75, atol=1e-5) if old.is_floating_point() else torch.equal(value, old)


def test_other_networks_and_names_are_refused(trained: SimpleNamespace, tmp_path: Path) -> None:
    start = trained.out / "best.pt"
    state = read_checkpoint(start)
    del state["model"]["net.decode_head.classifier.bias"]
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"^second: .*a run of the network of"):
        Blend(first=start, second=tmp_path / "other.pt", out=tmp_path / "blend.pt").run()
    with pytest.raises(InputError, match=r"^out: .*ending in \.pt"):
        Blend(first=start, second=start, out=tmp_path / "blend").run()
    assert not (tmp_path / "blend.pt").exists()
