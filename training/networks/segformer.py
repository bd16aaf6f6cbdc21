"""SegFormer-B0 with pixels in, logits out: normalisation and upsampling are part of the model.

Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers", NeurIPS 2021.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from transformers.models.segformer.configuration_segformer import SegformerConfig
from transformers.models.segformer.modeling_segformer import SegformerForSemanticSegmentation

from regolith.lunar.labels import CLASSES
from regolith.lunar.params import InputError
from regolith.lunar.params.training import DISTILLED, portable_start
from training.networks.base import SegmentationNetwork, Start
from training.networks.hub import from_hub, licence_of, shipped_start
from training.networks.segformer_graph import SegformerGraph

IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Per-channel statistics [0 … 255] the pretrained encoder was fed with (torchvision, ImageNet-1k)."""

LABELS = {index: name for name, index in CLASSES.items()}
NAMES_OF_CLASSES: dict[str, Any] = {"id2label": LABELS, "label2id": dict(CLASSES)}


class LunarSegformer(SegmentationNetwork):
    """`SegformerForSemanticSegmentation` behind uint8 pixels, with an algebraically equal but cheaper decode head."""

    def __init__(self, net: SegformerForSemanticSegmentation) -> None:
        super().__init__(IMAGENET_MEAN, IMAGENET_STD)
        self.net = net

    def encode(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the encoder's maps [N, C_k, H / s_k, W / s_k], s_k = 4, 8, 16, 32, of pictures [N, 3, H, W]."""
        features = []
        for stage in self.net.segformer.stages:
            x = stage(x)
            features.append(x)
        return features

    def inference_graph(self) -> nn.Module:
        """Return the same function of the same weights, laid out for an inference runtime."""
        return SegformerGraph(self.net, self.mean, self.std)

    def fuse(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return [N, 256, H / 4, W / 4] by the paper's head, its first linear layers moved below the upsampling.

        Projection, upsampling, concatenation and fusion are all linear, and a 1×1 convolution commutes with bilinear
        upsampling. So each stage gets one 1×1 convolution W_fuse,k · W_proj,k at its own resolution, and the upsampled
        results are added: the same function of the same parameters at about a thirtieth of the multiplications.
        """
        head = self.net.decode_head
        fuse = head.linear_fuse.weight[:, :, 0, 0].chunk(len(features), dim=1)[::-1]  # the concatenation is reversed
        stages = []
        for x, projection, w in zip(features, head.linear_projections, fuse, strict=True):
            linear = cast(nn.Linear, projection.proj)
            weight = (w @ linear.weight)[:, :, None, None]  # (256, C_k, 1, 1)
            stages.append(F.conv2d(x, weight, w @ linear.bias))  # (N, 256, H / s_k, W / s_k)
        out = stages[0] + upsampled_sum(stages[1:], stages[0].shape[2:])
        return F.relu(head.batch_norm(out))  # (N, 256, H / 4, W / 4)

    def classify(self, fused: torch.Tensor) -> torch.Tensor:
        """Return logits [N, 3, H / 4, W / 4].

        Dropout zeroes whole channels as in the authors' code (mmseg `Dropout2d`), not single values.
        """
        head = self.net.decode_head
        return head.classifier(F.dropout2d(fused, head.dropout.p, self.training))


def upsampled_sum(maps: list[torch.Tensor], size: Sequence[int]) -> torch.Tensor:
    """Return the sum of maps, each enlarged bilinearly to one size: Σ_k A_k · map_k · B_kᵀ as two matrix products.

    Pixel centres as in `interpolate(mode="bilinear", align_corners=False)`, and the same values to rounding; on a CPU
    core it takes an eighth of the time of those and their gradients, and bf16 stays bf16.

    Args:
        maps: Each [N, C, h_k, w_k].
        size: Height and width of the sum.

    Returns:
        [N, C, H, W].
    """
    wide = [m @ interpolation(m.shape[3], size[1], m).T for m in maps]  # (N, C, h_k, W)
    rows = torch.cat([interpolation(m.shape[2], size[0], m) for m in maps], dim=1)  # (H, Σ h_k)
    return rows @ torch.cat(wide, dim=2)


def interpolation(size: int, to: int, like: torch.Tensor) -> torch.Tensor:
    """Return the matrix [to, size] that enlarges a line of `size` values linearly, of the type and device of `like`."""
    into = torch.arange(to, device=like.device, dtype=torch.float32)
    position = ((into + 0.5) * (size / to) - 0.5).clamp(0, size - 1)  # of the new centres among the old
    distance = position[:, None] - torch.arange(size, device=like.device, dtype=torch.float32)
    return (1 - distance.abs()).clamp(min=0).to(like.dtype)


def fresh_segformer() -> LunarSegformer:
    """Return the network with weights drawn as its authors draw them."""
    net = SegformerForSemanticSegmentation(SegformerConfig(**NAMES_OF_CLASSES))
    widen_convolutions(net.segformer)
    return LunarSegformer(net)


def load_segformer(init: str) -> tuple[LunarSegformer, Start]:
    """Load an encoder from the hub, its cache or a local folder, or the one that ships, under a fresh decode head.

    Raises:
        InputError: It cannot be reached, or is none of this network.
    """
    where = "a SegFormer encoder on the hub or in a folder, a best.pt, --init distilled or --init random"
    source = str(shipped_start("segformer-b0")) if init == DISTILLED else init
    load = partial(
        SegformerForSemanticSegmentation.from_pretrained, source,
        dtype=torch.float32, ignore_mismatched_sizes=True, output_loading_info=True, **NAMES_OF_CLASSES,
    )  # fmt: skip
    net, report = cast(tuple[Any, Any], from_hub(load, init, where))
    missing = [key for key in report["missing_keys"] if key.startswith("segformer.")]
    if missing or (report["mismatched_keys"] and any("segformer." in str(k) for k in report["mismatched_keys"])):
        raise InputError("init", init, f"{where} (it lacks encoder weights)")
    name = portable_start(init)
    return LunarSegformer(net), Start(name, "regolith distill" if init == DISTILLED else name, licence_of(source))


@torch.no_grad()
def widen_convolutions(encoder: nn.Module) -> None:
    """Draw an encoder's convolutions as its authors do: normal, variance 2 / fan-out, He et al. (2015).

    `transformers` draws all of them with a deviation of 0.02. For the depthwise 3×3 of a Mix-FFN that is 1/24 of
    √(2/9), so that what an encoder sees of a pixel's surroundings starts next to nothing and training lingers; weights
    that are loaded do not show it. (mmsegmentation `MixVisionTransformer.init_weights`.)
    """
    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d):
            fan_out = math.prod(layer.kernel_size) * layer.out_channels // layer.groups
            nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / fan_out))
