"""SegFormer-B0 with pixels in, logits out: normalisation and upsampling are part of the model.

Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers", NeurIPS 2021.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch
import torch.nn.functional as F  # noqa: N812
from huggingface_hub.constants import ENDPOINT as HUB
from torch import nn
from transformers import SegformerConfig, SegformerForSemanticSegmentation
from transformers.utils import logging as transformers_logging

from regolith.lunar.labels import CLASSES
from regolith.lunar.params import InputError
from training.checkpoint import read_checkpoint

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Per-channel statistics the pretrained encoder was fed with (torchvision, ImageNet-1k)."""

LABELS = {index: name for name, index in CLASSES.items()}


class LunarSegformer(nn.Module):
    """`SegformerForSemanticSegmentation` behind uint8 pixels, with an algebraically equal but cheaper decode head."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, net: SegformerForSemanticSegmentation) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1) * 255, persistent=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits float32 [N, 3, H, W] of pictures uint8 [N, H, W, 3]."""
        x = (image.permute(0, 3, 1, 2).float() - self.mean) / self.std  # (N, 3, H, W)
        features = []
        for stage in self.net.segformer.stages:
            x = stage(x)  # (N, C_k, H / s_k, W / s_k), s_k = 4, 8, 16, 32
            features.append(x)
        logits = self._decode(features)  # (N, 3, H / 4, W / 4)
        return F.interpolate(logits.float(), size=image.shape[1:3], mode="bilinear", align_corners=False)

    def _decode(self, features: list[torch.Tensor]) -> torch.Tensor:
        """Decode head of the paper, the linear layers before the first non-linearity moved below the upsampling.

        Projection, upsampling, concatenation and fusion are all linear, and a 1×1 convolution commutes with bilinear
        upsampling. So each stage gets one 1×1 convolution W_fuse,k · W_proj,k at its own resolution, and the upsampled
        results are added: the same function of the same parameters at about a thirtieth of the multiplications.
        Dropout zeroes whole channels as in the authors' code (mmseg `Dropout2d`), not single values.
        """
        head = self.net.decode_head
        fuse = head.linear_fuse.weight[:, :, 0, 0].chunk(len(features), dim=1)[::-1]  # the concatenation is reversed
        stages = []
        for x, projection, w in zip(features, head.linear_projections, fuse, strict=True):
            linear = cast(nn.Linear, projection.proj)
            weight = (w @ linear.weight)[:, :, None, None]  # (256, C_k, 1, 1)
            stages.append(F.conv2d(x, weight, w @ linear.bias))  # (N, 256, H / s_k, W / s_k)
        out = stages[0] + upsampled_sum(stages[1:], stages[0].shape[2:])
        y = F.relu(head.batch_norm(out))  # (N, 256, H / 4, W / 4)
        return head.classifier(F.dropout2d(y, head.dropout.p, self.training))


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


def build_model(init: str) -> LunarSegformer:
    """Build the network, with fresh weights or from others; the decode head is fresh unless a run's is taken over.

    Args:
        init: `random`, a Hugging Face hub id, a local folder in the same format, or a checkpoint of a run.

    Raises:
        InputError: The weights can be reached neither in the cache nor on the hub, or they are of another network.
    """
    names = {"id2label": LABELS, "label2id": dict(CLASSES)}
    if init == "random":
        net = SegformerForSemanticSegmentation(SegformerConfig(**names))
        widen_convolutions(net.segformer)
        return LunarSegformer(net)
    if init.endswith(".pt"):
        return load_checkpoint(read_checkpoint(Path(init), field="init")["model"], field="init", value=init)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    where = "a SegFormer encoder in the cache, on the hub or in a local folder; a run's best.pt; or --init random"
    load = partial(
        SegformerForSemanticSegmentation.from_pretrained,
        init, ignore_mismatched_sizes=True, output_loading_info=True, **names,
    )  # fmt: skip
    try:
        try:
            net, report = cast(tuple[Any, Any], load(local_files_only=True))
        except OSError:
            if Path(init).exists() or not hub_reachable():
                raise
            net, report = cast(tuple[Any, Any], load())
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError("init", init, f"{where} ({reason[0]})") from None
    missing = [key for key in report["missing_keys"] if key.startswith("segformer.")]
    if missing or (report["mismatched_keys"] and any("segformer." in str(k) for k in report["mismatched_keys"])):
        raise InputError("init", init, f"{where} (it lacks encoder weights)")
    return LunarSegformer(net)


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


def hub_reachable(timeout_s: float = 5.0) -> bool:
    """Whether the Hugging Face hub answers, asked once: its own client retries for half a minute before it says no."""
    endpoint = urlsplit(HUB)
    if getproxies():
        return True  # only the client knows the way
    try:
        address = (endpoint.hostname or "", endpoint.port or 443)
        with socket.create_connection(address, timeout_s):
            return True
    except OSError:
        return False


def load_checkpoint(
    state: dict[str, torch.Tensor], *, field: str = "checkpoint", value: object = "its weights"
) -> LunarSegformer:
    """Rebuild the network of a run's checkpoint, in evaluation mode.

    Args:
        state: Weights by name.
        field: Parameter that named the checkpoint, and
        value: what it was, for an error.

    Raises:
        InputError: The weights are not of this network.
    """
    model = build_model("random")
    try:
        model.load_state_dict(state)
    except (RuntimeError, AttributeError, TypeError) as error:
        reason = str(error).splitlines()[0][:80]
        raise InputError(field, value, f"best.pt or last.pt of a training run ({reason})") from None
    return model.eval()
