"""A split as PyTorch reads it: `regolith.lunar.open_torch_split(FOLDER)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from regolith.lunar.dataset.split_reader import SplitReader


class TorchSplit(Dataset[Any]):
    """The frames of a split as tensors; workers of a `DataLoader` each read their own files.

    Args:
        split: Frames to give.
        transform: What is done to each item; None for nothing.
    """

    def __init__(self, split: SplitReader, transform: Callable[[dict[str, Any]], Any] | None = None) -> None:
        self.split, self.transform = split, transform

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, position: int) -> Any:
        """Return {image, mask, index} and the outputs the split keeps (`regolith.lunar.open_torch_split`)."""
        frame = self.split[position]
        item: dict[str, Any] = {
            "image": _channels_first(frame.rgb),  # uint8 [3, H, W]
            "mask": torch.from_numpy(frame.mask.astype(np.int64)),  # [H, W]
            "index": frame.index,
        }
        depth, instance, normals = frame.depth, frame.instance, frame.normals
        if depth is not None:
            item["depth"] = torch.from_numpy(depth)  # float32 [H, W]
        if instance is not None:
            item["instance"] = torch.from_numpy(instance.astype(np.int64))  # [H, W]
        if normals is not None:
            item["normals"] = _channels_first(normals.astype(np.float32))  # [3, H, W]
        if (right := frame.right) is not None:
            item["right"] = _channels_first(right)  # uint8 [3, H, W]
        if (disparity := frame.disparity) is not None:
            item["disparity"] = torch.from_numpy(disparity)  # float32 [H, W]
        for name in ("shadow", "crater", "hazard"):
            if (values := getattr(frame, name)) is not None:
                item[name] = torch.from_numpy(values.astype(np.int64))  # [H, W]
        if (slope := frame.slope) is not None:
            item["slope"] = torch.from_numpy(slope)  # float32 [H, W]
        return item if self.transform is None else self.transform(item)


def _channels_first(array: np.ndarray) -> torch.Tensor:
    """Copy [H, W, C] to a tensor [C, H, W]."""
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))
