"""A feature-pyramid decoder over any encoder that gives feature maps of several strides.

Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017: 1×1 laterals, nearest upsampling, 3×3 smoothing;
for segmentation the finest map is classified, as in Kirillov et al., "Panoptic Feature Pyramid Networks", CVPR 2019.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from regolith.lunar.labels import NAMES
from training.networks.base import SegmentationNetwork
from training.networks.efficientnet import EfficientNetLite

WIDTH = 64
"""Channels of every level but one of stride 2, which has half of them."""
DROPOUT = 0.1
"""Share of channels zeroed before the classifier, as in SegFormer's head."""


class Encoder(Protocol):
    """What a pyramid stands on."""

    channels: tuple[int, ...]
    """Of each feature map, finest first."""
    strides: tuple[float, ...]
    """Picture pixels to a pixel of each map, finest first."""
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, x: torch.Tensor) -> Sequence[torch.Tensor]:
        """Return the feature maps [N, C_k, H / s_k, W / s_k] of normalised pictures [N, 3, H, W], finest first."""
        ...

    def config(self) -> dict[str, Any]:
        """What beside its name and weights a checkpoint needs to build the encoder again, of plain values."""
        ...


class FeaturePyramid(nn.Module):
    """Feature maps in, logits at the resolution of the finest one out."""

    def __init__(self, channels: Sequence[int], strides: Sequence[float]) -> None:
        super().__init__()
        widths = [WIDTH // 2 if stride < 4 else WIDTH for stride in strides]
        self.lateral = nn.ModuleList(nn.Conv2d(c, w, 1) for c, w in zip(channels, widths, strict=True))
        to = [widths[0], *widths[:-1]]  # each level is brought to the width of the next finer one
        self.smooth = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in zip(widths, to, strict=True)
        )
        self.classify = nn.Conv2d(widths[0], len(NAMES), 1)

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return logits [N, 3, h, w] of feature maps, finest first, of which the finest is [N, C, h, w]."""
        return self.classified(self.fuse(features))

    def fuse(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the pyramid's finest map [N, C', h, w]."""
        y = self.smooth[-1](self.lateral[-1](features[-1]))
        for k in reversed(range(len(features) - 1)):
            here = self.lateral[k](features[k])
            y = self.smooth[k](here + F.interpolate(y, size=here.shape[2:], mode="nearest"))
        return y

    def classified(self, y: torch.Tensor) -> torch.Tensor:
        """Return logits [N, 3, h, w] of the finest map, some of its channels dropped in training."""
        return self.classify(F.dropout2d(y, DROPOUT, self.training))


class PyramidNetwork(SegmentationNetwork):
    """An encoder under a feature pyramid."""

    def __init__(self, encoder: nn.Module, *, logits_stride: int) -> None:
        """Take an `Encoder`.

        Args:
            encoder: The encoder.
            logits_stride: Feature maps of a smaller stride are left out, so logits have this one; an encoder whose
                maps are all coarser gives logits of its finest.
        """
        shape = cast(Encoder, encoder)
        super().__init__(shape.mean, shape.std)
        self.encoder, self.logits_stride = encoder, logits_stride
        self.first = min(sum(stride < logits_stride for stride in shape.strides), len(shape.strides) - 1)
        self.head = FeaturePyramid(shape.channels[self.first :], shape.strides[self.first :])

    def config(self) -> dict[str, Any]:
        """What beside its name and weights a checkpoint needs to build the network again."""
        return {"logits_stride": self.logits_stride} | cast(Encoder, self.encoder).config()

    def encode(self, x: torch.Tensor) -> Sequence[torch.Tensor]:
        """Return the encoder's maps the pyramid stands on, finest first, of normalised pictures [N, 3, H, W]."""
        return self.encoder(x)[self.first :]

    def fuse(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the finest map of the pyramid [N, C, H / s, W / s]."""
        return self.head.fuse(features)

    def classify(self, fused: torch.Tensor) -> torch.Tensor:
        """Return logits [N, 3, H / s, W / s]."""
        return self.head.classified(fused)

    def inference_graph(self) -> nn.Module:
        """Return the same function with every batch normalisation of ours folded into its convolution."""
        network = copy.deepcopy(self).eval()
        fold_norms(network.head)
        if isinstance(network.encoder, EfficientNetLite):
            fold_norms(network.encoder)
        return network


def fold_norms(network: nn.Module) -> None:
    """Make batch normalisations, in evaluation mode, part of the convolutions registered just before them."""
    for module in network.modules():
        for (name, conv), (norm_name, norm) in itertools.pairwise(module.named_children()):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(conv, norm))
                setattr(module, norm_name, nn.Identity())
