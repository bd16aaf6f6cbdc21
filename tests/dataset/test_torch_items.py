"""Items of a split in PyTorch: every output it keeps, in the types that losses take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_split import OUTPUTS, write_split

import regolith.lunar as rl


def test_items_hold_every_output(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    split = write_split(tmp_path / "val", 1)
    item, frame = rl.open_torch_split(split)[0], rl.open_split(split)[0]
    assert set(item) == {"image", "index", *OUTPUTS[1:]}
    for name in ("mask", "instance", "shadow", "crater", "hazard"):
        assert item[name].dtype == torch.int64 and np.array_equal(item[name].numpy(), getattr(frame, name))
    for name in ("depth", "disparity", "slope"):
        assert item[name].dtype == torch.float32
        assert np.array_equal(item[name].numpy(), getattr(frame, name), equal_nan=True)
    assert frame.right is not None
    assert np.array_equal(item["right"].numpy().transpose(1, 2, 0), frame.right)
