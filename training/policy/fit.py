"""One round of learning, and the policy as an ONNX file."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from regolith.lunar.files import file_digest, replacing, write_json
from regolith.lunar.params import CheckError, PictureSize
from regolith.lunar.params.policy import PolicyParams
from regolith.lunar.physics.policy import READINGS, describe_policy
from regolith.lunar.stage.spec import rng
from training.augment import Augmentation
from training.checkpoint import write_torch
from training.export import OPSET, quiet
from training.machine import describe_machine, git_revision
from training.optimization import learning_rate
from training.policy.network import PolicyNetwork, share_loss
from training.policy.samples import Samples, recipe

TOLERANCE = 1e-3
"""Largest difference of the file's scores to PyTorch's."""


def fit(
    params: PolicyParams, round_: int, samples: Samples, start: Path | None, note: Callable[[str], None]
) -> tuple[PolicyNetwork, dict[str, Any]]:
    """Learn from all decisions so far.

    Args:
        params: What is asked for.
        round_: Number of the round.
        samples: The decisions.
        start: Weights of the round before; None for fresh ones.
        note: Receives a line an epoch.

    Returns:
        The network in evaluation mode, and what its card says of the training.
    """
    torch.manual_seed(int(rng(params.seed, "policy", "weights", round_).integers(2**62)))
    if params.threads:
        torch.set_num_threads(params.threads)
    network = PolicyNetwork(params.size)
    if start is not None:
        network.load_state_dict(torch.load(start, map_location="cpu", weights_only=True))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.to(device).train()
    how = recipe(params.lr, params.batch, params.photo_share)
    optimizer = torch.optim.AdamW(network.parameters(), params.lr, weight_decay=how.weight_decay)
    epochs, per_epoch = params.scaled(params.epochs), math.ceil(len(samples) / params.batch)
    losses: list[float] = []
    for epoch in range(epochs):
        keys = (params.seed, "policy", "batches", round_, epoch)
        order = rng(*keys).permutation(len(samples))
        sums = torch.zeros((), device=device)
        batches = samples.batches(order, params.batch, Augmentation(how), keys, params.threads or 2)
        for number, (pictures, readings, shares) in enumerate(batches):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(epoch * per_epoch + number, epochs * per_epoch, how)
            given = network(torch.from_numpy(pictures).to(device), torch.from_numpy(readings).to(device))
            loss = share_loss(given, torch.from_numpy(shares).to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), how.grad_clip)
            optimizer.step()
            sums += loss.detach() * len(pictures)
        losses.append(float(sums) / len(samples))
        note(f"round {round_}, epoch {epoch + 1} of {epochs}: loss {losses[-1]:.3f}")
    made = {"decisions": len(samples), "epochs": epochs, "losses": losses, "machine": describe_machine(device, False)}
    return network.eval().cpu(), made


def write_policy(network: PolicyNetwork, size: PictureSize, out: Path, card: dict[str, Any]) -> None:
    """Write weights, ONNX file and card, after the file was held against PyTorch.

    Args:
        network: In evaluation mode.
        size: Of a picture.
        out: File to write, ending in `.onnx`; NAME.pt and NAME.json beside it.
        card: What the card says beside what the policy takes and gives.

    Raises:
        CheckError: The file scores otherwise than PyTorch.
    """
    write_torch(out.with_suffix(".pt"), dict(network.state_dict()))
    with replacing(out) as scratch:
        write_graph(network, size, scratch)
        _compare(network, size, scratch)
        facts = describe_policy(size) | {"sha256": file_digest(scratch), "git": git_revision()}
        write_json(out.with_suffix(".json"), facts | card)


def _compare(network: PolicyNetwork, size: PictureSize, path: Path) -> None:
    import onnxruntime

    random = rng(0, "policy", "parity")
    pictures = random.integers(0, 256, (3, 2, 2, size.height, size.width), dtype=np.uint8)
    readings = random.uniform(-1.0, 1.0, (3, len(READINGS))).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(pictures), torch.from_numpy(readings)).numpy()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = np.asarray(session.run(["logits"], {"pictures": pictures, "readings": readings})[0])
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE:
        raise CheckError(f"exported policy differs from PyTorch: scores by {difference:.2g}")


def write_graph(network: PolicyNetwork, size: PictureSize, path: Path) -> None:
    """Trace the network, free in the number of decisions alone."""
    shown = torch.zeros(2, 2, 2, size.height, size.width, dtype=torch.uint8), torch.zeros(2, len(READINGS))
    with quiet():
        torch.onnx.export(
            network,
            shown,
            str(path),
            dynamo=False,
            input_names=["pictures", "readings"],
            output_names=["logits"],
            opset_version=OPSET,
            dynamic_axes={name: {0: "batch"} for name in ("pictures", "readings", "logits")},
        )
