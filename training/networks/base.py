"""What every network is to the rest: pixels in, logits out, and a start with a source and a licence."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn


@dataclass(frozen=True)
class Start:
    """What the weights of a network were before training."""

    weights: str
    """What they are, in a word or two."""
    source: str = ""
    """Where they come from: a package, a hub id or a file; empty where they were drawn."""
    licence: str = ""
    """Licence of the source as it names it; empty where there is none to keep."""

    def to_dict(self) -> dict[str, str]:
        """Return the fields, for a checkpoint or a card."""
        return asdict(self)


class SegmentationNetwork(nn.Module, abc.ABC):
    """uint8 pixels in, logits at pixel resolution out: normalisation and upsampling are part of the model."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: tuple[float, float, float], std: tuple[float, float, float]) -> None:
        """Take the per-channel statistics [0 … 255] of what the encoder was fed with."""
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits float32 [N, 3, H, W] of pictures uint8 [N, H, W, 3], H and W multiples of 32."""
        logits = self.classify(self.fuse(self.encode(self.normalised(image))))
        return self.at_pixels(logits, image.shape[1:3])

    def normalised(self, image: torch.Tensor) -> torch.Tensor:
        """Return pictures uint8 [N, H, W, 3] as the encoder takes them, float32 [N, 3, H, W]."""
        return (image.permute(0, 3, 1, 2).float() - self.mean) / self.std

    @abc.abstractmethod
    def encode(self, x: torch.Tensor) -> Sequence[torch.Tensor]:
        """Return feature maps [N, C_k, H / s_k, W / s_k], finest first, of normalised pictures [N, 3, H, W]."""

    @abc.abstractmethod
    def fuse(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return what is classified, [N, C, H / s, W / s], of the encoder's feature maps."""

    @abc.abstractmethod
    def classify(self, fused: torch.Tensor) -> torch.Tensor:
        """Return logits [N, 3, H / s, W / s]; all that a decoder draws by dropout, it draws here."""

    @staticmethod
    def at_pixels(logits: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        """Return logits float32 [N, 3, H, W] of [N, 3, H / s, W / s], enlarged to height and width."""
        return F.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)

    def config(self) -> dict[str, Any]:
        """What beside its name and weights a checkpoint needs to build the network again, of plain values."""
        return {}

    def inference_graph(self) -> nn.Module:
        """Return the same function of the same weights, laid out for an inference runtime."""
        return self
