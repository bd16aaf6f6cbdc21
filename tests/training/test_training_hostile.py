"""Checkpoints with values changed, bytes torn or tensors of other shapes: read, or refused in one line."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hostile import VALUES, changed, examples, right_or_one_line, torn
from hypothesis import given
from hypothesis import strategies as st

from regolith.lunar.params import InputError
from training.checkpoint import read_checkpoint, write_torch
from training.networks import load_network
from training.train import train

WEIGHTS = {"model", "optimizer", "running", "rng", "rng_cuda"}
"""What of a checkpoint is tensors."""


@examples(30)
@given(st.data())
def test_values(trained: SimpleNamespace, tmp_path: Path, data: st.DataObject) -> None:
    state = torch.load(trained.out / "best.pt", weights_only=True)
    plain = {key: value for key, value in state.items() if key not in WEIGHTS}
    torch.save(data.draw(changed(plain)) | {"model": {}}, tmp_path / "best.pt")
    right_or_one_line(lambda: read_checkpoint(tmp_path / "best.pt"))


@examples(20)
@given(st.data())
def test_bytes(trained: SimpleNamespace, tmp_path: Path, data: st.DataObject) -> None:
    (tmp_path / "best.pt").write_bytes(data.draw(torn((trained.out / "best.pt").read_bytes())))
    right_or_one_line(lambda: read_checkpoint(tmp_path / "best.pt"))


@examples(8)
@given(st.data())
def test_weights(trained: SimpleNamespace, data: st.DataObject) -> None:
    state = read_checkpoint(trained.out / "best.pt")
    name = data.draw(st.sampled_from(sorted(state["model"])))
    how = data.draw(st.sampled_from(["gone", "shape", "value", "more"]))
    if how == "gone":
        del state["model"][name]
    elif how == "more":
        state["model"]["more"] = torch.zeros(1)
    else:
        state["model"][name] = torch.zeros(3, 5, 7) if how == "shape" else copy.deepcopy(data.draw(VALUES))
    assert not right_or_one_line(lambda: load_network(state))


@examples(10)
@given(st.data())
def test_values_a_run_goes_on_from(
    toy: SimpleNamespace, trained: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A run that goes on from such values ends, or is refused and leaves what it found."""
    state = torch.load(trained.out / "last.pt", weights_only=True)
    plain = {key: value for key, value in state.items() if key not in WEIGHTS}
    out = tmp_path_factory.mktemp("run")
    torch.save(state | data.draw(changed(plain)), out / "last.pt")
    before = (out / "last.pt").read_bytes()
    if not right_or_one_line(lambda: train(toy.params(out), lambda event: None)):
        assert (out / "last.pt").read_bytes() == before


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizer", {}),
        ("optimizer", {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"params": [0]}]}),
        ("rng", torch.zeros(3)),
        ("rng", None),
        ("history", [{"epoch": 1}]),
        ("history", 7),
        ("batch", 99),
        ("seconds", float("nan")),
    ],
)
def test_state_no_run_writes_is_refused(
    toy: SimpleNamespace, trained: SimpleNamespace, tmp_path: Path, key: str, value: Any
) -> None:
    out = tmp_path / "run"
    shutil.copytree(trained.out, out)
    state = torch.load(out / "last.pt", weights_only=True)
    write_torch(out / "last.pt", state | {key: value})
    with pytest.raises(InputError, match=r"^out: .*last\.pt' is not allowed; allowed: what a run writes"):
        train(toy.params(out), lambda event: None)
