"""The networks that can be trained: each an entry of one table, behind the same pixels in and logits out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from regolith.lunar.params import InputError
from regolith.lunar.params.training import DISTILLED, Architecture, TrainParams
from training.checkpoint import read_checkpoint
from training.networks.base import SegmentationNetwork, Start

FRESH = Start("random")
Config = dict[str, Any]
"""What a network is beside its name and its weights: the stride of its logits, a backbone's configuration."""


class Network(NamedTuple):
    """One entry: how the network is built, with fresh weights or from a start."""

    fresh: Callable[[Config], SegmentationNetwork]
    """Builds it with fresh weights from what a checkpoint keeps of it."""
    load: Callable[[str, Config], tuple[SegmentationNetwork, Start]]
    """Builds it from the weights that `init` names, under a fresh decoder."""


def _fresh_segformer(config: Config) -> SegmentationNetwork:
    from training.networks.segformer import fresh_segformer

    return fresh_segformer()


def _load_segformer(init: str, config: Config) -> tuple[SegmentationNetwork, Start]:
    from training.networks.segformer import load_segformer

    return load_segformer(init)


def _efficientnet(arch: Architecture) -> Network:
    def fresh(config: Config) -> SegmentationNetwork:
        from training.networks.efficientnet import EfficientNetLite
        from training.networks.pyramid import PyramidNetwork

        return PyramidNetwork(EfficientNetLite(arch), logits_stride=config["logits_stride"])

    def load(init: str, config: Config) -> tuple[SegmentationNetwork, Start]:
        from training.networks.efficientnet import load_imagenet

        if init != "imagenet":
            raise InputError("init", init, "imagenet, random, or best.pt of a run of this network")
        network = fresh(config)
        return network, load_imagenet(network.encoder, arch)  # type: ignore[arg-type]

    return Network(fresh, load)


def _fresh_backbone(config: Config) -> SegmentationNetwork:
    from training.networks.backbone import build_backbone
    from training.networks.pyramid import PyramidNetwork

    if "backbone" not in config:
        raise InputError("init", "random", "a backbone's hub id or folder: it says what the network is")
    return PyramidNetwork(build_backbone(config["backbone"]), logits_stride=config["logits_stride"])


def _load_backbone(init: str, config: Config) -> tuple[SegmentationNetwork, Start]:
    from training.networks.backbone import load_backbone
    from training.networks.pyramid import PyramidNetwork

    encoder, start = load_backbone(init)
    return PyramidNetwork(encoder, logits_stride=config["logits_stride"]), start


NETWORKS: dict[Architecture, Network] = {
    "segformer-b0": Network(_fresh_segformer, _load_segformer),
    "efficientnet-lite0": _efficientnet("efficientnet-lite0"),
    "efficientnet-lite2": _efficientnet("efficientnet-lite2"),
    "auto-backbone": Network(_fresh_backbone, _load_backbone),
}


def build_network(arch: Architecture, init: str, *, logits_stride: int) -> tuple[SegmentationNetwork, Start]:
    """Build a network to train, with fresh weights or from others; the decoder is fresh unless a run's is taken over.

    Args:
        arch: The network.
        init: `random`, best.pt or last.pt of a run of the same network, `imagenet` for an EfficientNet, or a hub id or
            a local folder for a SegFormer or a backbone.
        logits_stride: Picture pixels to a pixel of a pyramid's logits.

    Returns:
        The network, and what its weights were.

    Raises:
        InputError: The weights can be reached neither in the cache nor on the hub, or they are of another network.
    """
    config = {"logits_stride": logits_stride}
    if init == "random":
        return NETWORKS[arch].fresh(config), FRESH
    if init.endswith(".pt"):
        state = read_checkpoint(Path(init), field="init")
        if state["network"]["arch"] != arch:
            raise InputError("init", init, f"a run of {arch}, not of {state['network']['arch']}; or --arch")
        network = load_network(state, field="init", value=init)
        if network.config().get("logits_stride", logits_stride) != logits_stride:
            raise InputError("logits_stride", logits_stride, f"{network.config()['logits_stride']}, as {init} has it")
        return network, Start(**state["network"]["start"])
    return NETWORKS[arch].load(init, config)


def with_start(params: TrainParams) -> TrainParams:
    """Return a new run's parameters, with the start that ships where the default is in no reach."""
    if params.init is not None or params.arch != "segformer-b0":
        return params
    from training.networks.hub import in_reach

    return params if in_reach(params.start) else params.model_copy(update={"init": DISTILLED})


def load_network(
    state: dict[str, Any], *, field: str = "checkpoint", value: object = "its weights"
) -> SegmentationNetwork:
    """Rebuild the network of a run's checkpoint, in evaluation mode.

    Args:
        state: What `read_checkpoint` returns.
        field: Parameter that named the checkpoint, and
        value: what it was, for an error.

    Raises:
        InputError: The weights are not of the network it names.
    """
    try:
        network = NETWORKS[state["network"]["arch"]].fresh(state["network"]["config"])
        network.load_state_dict(state["model"])
    except (RuntimeError, AttributeError, TypeError, KeyError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:80]
        raise InputError(field, value, f"best.pt or last.pt of a training run ({reason})") from None
    return network.eval()


def describe_network(arch: Architecture, network: SegmentationNetwork, start: Start) -> dict[str, Any]:
    """Return what a checkpoint says of its network: enough to build it again, and what it started from."""
    return {"arch": arch, "config": network.config(), "start": start.to_dict()}


def parameter_count(network: torch.nn.Module) -> int:
    """Return the number of trained values."""
    return sum(p.numel() for p in network.parameters())
