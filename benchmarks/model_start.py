"""A checkpoint to train on from, of an exported EfficientNet pyramid whose own checkpoint is gone.

An exported graph has its normalisations folded into convolutions. Each gets one again that changes nothing: mean and
variance are those of what comes out of the convolution for some pictures, gain and offset take them back. So a training
that goes on normalises by its batches as the one before did.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from regolith.lunar.labels import CLASSES
from regolith.lunar.perception.model_files import find_model, read_card
from regolith.lunar.perception.session import padded
from training.checkpoint import write_torch
from training.networks import build_network, describe_network
from training.networks.base import SegmentationNetwork, Start

ARCH = "efficientnet-lite0"


def network_of(model: Path, pictures: Sequence[np.ndarray]) -> SegmentationNetwork:
    """Build the network of an exported model, in evaluation mode.

    Args:
        model: The `.onnx` file.
        pictures: What its statistics are measured on, each uint8 [H, W, 3].
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(model).graph
    arrays = {item.name: torch.from_numpy(numpy_helper.to_array(item).copy()) for item in graph.initializer}
    stride = 2 if "head.lateral.0.weight" in arrays else 4
    network = build_network(ARCH, "random", logits_stride=stride)[0].eval()
    folded: list[tuple[nn.BatchNorm2d, torch.Tensor]] = []
    with torch.no_grad():
        name, convolution = "", nn.Conv2d(1, 1, 1)
        for path, module in network.named_modules():
            if isinstance(module, nn.Conv2d):
                name, convolution = path, module
                module.weight.copy_(arrays[f"{path}.weight"])
                if module.bias is not None:
                    module.bias.copy_(arrays[f"{path}.bias"])
            elif isinstance(module, nn.BatchNorm2d):
                assert convolution.bias is None, path
                folded.append((module, arrays[f"{name}.weight_bias"]))
        for norm, offset in folded:
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.zero_()
            norm.running_var.fill_(1 - norm.eps)
            norm.weight.fill_(1)
            norm.bias.copy_(offset)
        _measure(network, [norm for norm, _ in folded], pictures)
    return network


def _measure(network: SegmentationNetwork, norms: Sequence[nn.BatchNorm2d], pictures: Sequence[np.ndarray]) -> None:
    """Give normalisations the statistics of what they take in; what they put out stays the same."""
    sums = {norm: [0.0, torch.zeros(norm.num_features), torch.zeros(norm.num_features)] for norm in norms}

    def add(norm: nn.Module, taken: tuple[torch.Tensor]) -> None:
        values = taken[0].transpose(0, 1).flatten(1).double()
        total = sums[norm]  # type: ignore[index]
        sums[norm] = [total[0] + values.shape[1], total[1] + values.sum(1), total[2] + (values**2).sum(1)]  # type: ignore[index]

    hooks = [norm.register_forward_pre_hook(add) for norm in norms]
    for rgb in pictures:
        network(torch.from_numpy(np.ascontiguousarray(padded(rgb)))[None])
    for hook in hooks:
        hook.remove()
    for norm, (count, first, second) in sums.items():
        mean = first / count
        variance = (second / count - mean**2).clamp(min=1e-6)
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)


def write_start(model: str, out: Path, pictures: Sequence[np.ndarray]) -> Path:
    """Write a model, a shipped one by name, as a checkpoint that `train --init` takes; return it."""
    file = find_model(model)
    card, network = read_card(file), network_of(file, pictures)
    kept = {name: card[name] for name in ("recipe", "fingerprints", "epoch", "origin")}
    about = describe_network(ARCH, network, Start(**card["start"]))
    made = {"kind": f"regolith.lunar {ARCH}", "network": about, "model": network.state_dict(), "classes": dict(CLASSES)}
    write_torch(out, made | kept)
    return out
