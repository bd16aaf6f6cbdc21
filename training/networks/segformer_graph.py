"""SegFormer as it is exported: the same function of the same weights, laid out for an inference runtime.

What differs from `training.networks.segformer`, each algebraically equal and together about 1.4 times as fast on a CPU:

- the decode head works on tokens [N, H, W, C], so the large upsamplings run along contiguous channels, and projection,
  fusion and batch normalisation of a stage are one matrix;
- a mix-FFN works on planes [N, C, H, W] from end to end, so it transposes its narrow ends and not its wide middle;
- the attention's scale is part of the query's weights; the key's bias adds the same to every score of a query, which
  softmax does not see, and the value's bias passes through softmax's weights of sum 1 into the output's bias;
- queries are answered in equal parts, one after the other: the scores of a large picture, its tokens times its keys,
  are most of what a run holds in memory.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from transformers.models.segformer.modeling_segformer import SegformerForSemanticSegmentation

MOST_PARTS = 8
"""Parts the queries of the first stages are answered in."""


class Affine(nn.Module):
    """x · W + b on the last axis, W [in, out]; no addition where there is no bias."""

    weight: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        """Take a weight in PyTorch's order [out, in], any precision."""
        super().__init__()
        self.register_buffer("weight", weight.detach().t().float().contiguous())
        self.register_buffer("bias", None if bias is None else bias.detach().float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [..., out] of [..., in]."""
        y = x @ self.weight
        return y if self.bias is None else y + self.bias


class Attention(nn.Module):
    """Self-attention with reduced keys and values."""

    def __init__(self, attention: nn.Module, parts: int) -> None:
        """Take the weights of an attention.

        Args:
            attention: As `transformers` has it.
            parts: Equal parts the queries are answered in; it divides their number.
        """
        super().__init__()
        self.parts = parts
        q, k, v, out = (cast(nn.Linear, getattr(attention, f"{name}_proj")) for name in "qkvo")
        self.heads: int = attention.num_attention_heads  # type: ignore[assignment]
        scale: float = attention.scaling  # type: ignore[assignment]
        self.query = Affine(q.weight * scale, q.bias * scale)
        self.key, self.value = Affine(k.weight), Affine(v.weight)
        self.out = Affine(out.weight, out.bias.double() + out.weight.double() @ v.bias.double())
        reduction = getattr(attention, "sequence_reduction", None)
        self.reduce = None if reduction is None else reduction.sequence_reduction
        self.norm = None if reduction is None else reduction.layer_norm

    def forward(self, x: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Return tokens [N, H·W, C] of tokens of the same shape."""
        n, length, channels = x.shape
        head = channels // self.heads
        source = x
        if self.reduce is not None and self.norm is not None:
            planes = x.transpose(1, 2).reshape(n, channels, height, width)
            source = self.norm(self.reduce(planes).flatten(2).transpose(1, 2))  # (N, H·W / R², C)
        q = self._split(self.query(x), head)  # (N · heads, H·W, C / heads)
        k, v = self._split(self.key(source), head).transpose(1, 2), self._split(self.value(source), head)
        parts = q.reshape(-1, self.parts, length // self.parts, head).unbind(1)
        mixed = torch.cat([torch.bmm(torch.softmax(torch.bmm(part, k), dim=-1), v) for part in parts], dim=1)
        mixed = mixed.reshape(n, self.heads, length, head)
        return self.out(mixed.permute(0, 2, 1, 3).reshape(n, length, channels))

    def _split(self, x: torch.Tensor, head: int) -> torch.Tensor:
        """Return each head's tokens [N · heads, L, C / heads] of tokens [N, L, C]."""
        n, length, _ = x.shape
        return x.reshape(n, length, self.heads, head).transpose(1, 2).reshape(n * self.heads, length, head)


class MixFfn(nn.Module):
    """Feed-forward layers with a depthwise convolution between them."""

    def __init__(self, mlp: nn.Module) -> None:
        super().__init__()
        first, last = cast(nn.Linear, mlp.fc1), cast(nn.Linear, mlp.fc2)
        self.depthwise = cast(nn.Conv2d, cast(nn.Module, mlp.dwconv).dwconv)
        self.wide, self.narrow = _pointwise(first), _pointwise(last)

    def forward(self, x: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Return tokens [N, H·W, C] of tokens of the same shape."""
        n, _, channels = x.shape
        y = x.transpose(1, 2).reshape(n, channels, height, width)
        y = self.narrow(F.gelu(self.depthwise(self.wide(y))))  # through (N, 4 C, H, W)
        return y.flatten(2).transpose(1, 2)


class PatchEmbedding(nn.Module):
    """A convolution that makes overlapping patches, padded before the picture alone.

    No patch reaches the padding after it where the stride divides the size, and without it a side is exported as
    `8 * h` instead of nested roundings, about which the exporter would reason for most of its time.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        """Take the weights of a convolution with an odd kernel, padded by half of it."""
        super().__init__()
        self.conv = copy.copy(conv)
        self.conv.padding = (0, 0)
        self.before = cast(tuple[int, int], conv.padding)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, C', H / stride, W / stride] of [N, C, H, W]."""
        top, left = self.before
        return self.conv(F.pad(x, (left, 0, top, 0)))


class Stage(nn.Module):
    """One encoder stage, planes in, tokens out."""

    def __init__(self, stage: nn.Module, index: int) -> None:
        super().__init__()
        embed = cast(nn.Module, stage.patch_embeddings)
        self.embed, self.embed_norm = PatchEmbedding(cast(nn.Conv2d, embed.proj)), cast(nn.LayerNorm, embed.layer_norm)
        blocks = list(cast(nn.ModuleList, stage.blocks))
        self.before = nn.ModuleList(cast(nn.Module, block.layernorm_before) for block in blocks)
        self.after = nn.ModuleList(cast(nn.Module, block.layernorm_after) for block in blocks)
        parts = min(MOST_PARTS, (8 >> index) ** 2)  # tokens of 32×32 px, the least picture, divide those of any other
        self.attention = nn.ModuleList(Attention(cast(nn.Module, block.attention), parts) for block in blocks)
        self.ffn = nn.ModuleList(MixFfn(cast(nn.Module, block.mlp)) for block in blocks)
        self.norm = cast(nn.LayerNorm, stage.layer_norm)

    def forward(self, x: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Return tokens [N, H·W, C] of planes [N, C', s·H, s·W]."""
        x = self.embed_norm(self.embed(x).flatten(2).transpose(1, 2))
        for before, attention, after, ffn in zip(self.before, self.attention, self.after, self.ffn, strict=True):
            x = x + attention(before(x), height, width)
            x = x + ffn(after(x), height, width)
        return self.norm(x)


class SegformerGraph(nn.Module):
    """`LunarSegformer` in evaluation mode: uint8 [N, H, W, 3] in, float32 [N, 3, H, W] out."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, net: SegformerForSemanticSegmentation, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Take the weights of a `LunarSegformer`; they are folded in double precision.

        Args:
            net: Its network.
            mean: Mean of the pixels it was trained on, per channel [0 … 255], shape [3, 1, 1].
            std: Their standard deviation, likewise.
        """
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.stages = nn.ModuleList(Stage(cast(nn.Module, stage), i) for i, stage in enumerate(net.segformer.stages))
        head = net.decode_head
        norm = cast(nn.BatchNorm2d, head.batch_norm)
        mean, variance = cast(torch.Tensor, norm.running_mean).double(), cast(torch.Tensor, norm.running_var).double()
        scale = norm.weight.double() / torch.sqrt(variance + norm.eps)
        bias = norm.bias.double() - scale * mean
        fuse = head.linear_fuse.weight[:, :, 0, 0].double().chunk(len(self.stages), dim=1)[::-1]  # deepest stage first
        weights = []
        for projection, w in zip(head.linear_projections, fuse, strict=True):
            linear = cast(nn.Linear, projection.proj)
            weights.append(scale[:, None] * (w @ linear.weight.double()))
            bias = bias + scale * (w @ linear.bias.double())
        self.project = nn.ModuleList(Affine(w, bias if i == 0 else None) for i, w in enumerate(weights))
        self.classify = Affine(head.classifier.weight[:, :, 0, 0], head.classifier.bias)
        self.eval().requires_grad_(False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits float32 [N, 3, H, W] of pictures uint8 [N, H, W, 3]."""
        n, height, width = image.shape[:3]
        x = (image.permute(0, 3, 1, 2).float() - self.mean) / self.std  # (N, 3, H, W)
        total: torch.Tensor | None = None
        for i, (stage, project) in enumerate(zip(self.stages, self.project, strict=True)):
            h, w = height // (4 << i), width // (4 << i)
            tokens = stage(x, h, w)
            x = tokens.transpose(1, 2).reshape(n, -1, h, w)
            y = project(tokens).reshape(n, h, w, -1)  # (N, h, w, 256)
            total = y if total is None else total + _upsample(y, (height // 4, width // 4))
        logits = self.classify(F.relu(cast(torch.Tensor, total)))  # (N, H / 4, W / 4, 3)
        return F.interpolate(logits.permute(0, 3, 1, 2), (height, width), mode="bilinear", align_corners=False)


def _pointwise(linear: nn.Linear) -> nn.Conv2d:
    """Return the 1×1 convolution that is a linear layer on planes."""
    conv = nn.Conv2d(linear.in_features, linear.out_features, 1)
    conv.weight, conv.bias = nn.Parameter(linear.weight.detach()[:, :, None, None]), nn.Parameter(linear.bias.detach())
    return conv


def _upsample(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resize [N, h, w, C] to [N, H, W, C], bilinear."""
    planes = F.interpolate(x.permute(0, 3, 1, 2), size, mode="bilinear", align_corners=False)
    return planes.permute(0, 2, 3, 1)
