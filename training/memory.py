"""The memory guard: what a step needs, measured on one frame, against what is free, before the first step is made.

On machines whose GPU shares the system's memory an allocation too large takes the whole machine down, so a run that
cannot fit is refused, and one that fits in parts is computed in parts.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Any

import torch

from regolith.lunar.jobs.memory import available_bytes
from regolith.lunar.params import InputError
from regolith.lunar.params.training import TrainParams
from training.losses import segmentation_loss
from training.networks.base import SegmentationNetwork

WORKSPACE = 1.8
"""Memory of a step over what its forward pass keeps: gradients on the way back and copies inside operators. Measured on
a CPU at 128 to 512 px, in float32 and bf16: 0.9 to 1.7."""
FREE_SHARE = 0.9
"""Share of the free memory a run may take."""
PROBE_FRAMES = 2
"""Frames of the measurement: a batch normalisation needs more than one value a channel."""
GB = 1e9


@dataclass(frozen=True)
class MemoryNeed:
    """What a run needs beside its frames, and what there is."""

    fixed_bytes: int
    """Gradients and the optimizer's moments."""
    frame_bytes: int
    """Of every frame computed at once."""
    free_bytes: int

    def of(self, frames: int) -> int:
        """Bytes needed with so many frames at once."""
        return self.fixed_bytes + frames * self.frame_bytes

    @property
    def most_frames(self) -> int:
        """Most frames at once that fit; 0 where none does."""
        return max(0, int((FREE_SHARE * self.free_bytes - self.fixed_bytes) // self.frame_bytes))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, for a summary."""
        return asdict(self)


def measure_need(
    model: SegmentationNetwork, shape: tuple[int, int], params: TrainParams, weight: torch.Tensor, *, amp: bool
) -> MemoryNeed:
    """Measure what the forward pass keeps of one frame for its gradients; model and random state stay as they are.

    Args:
        model: The network, on its device.
        shape: Height and width of a training frame [px].
        params: The losses.
        weight: Weights of the classes, float32 [3].
        amp: Whether bf16 is used.
    """
    device = weight.device
    probe = copy.deepcopy(model).train()
    own = {p.untyped_storage().data_ptr() for p in probe.parameters()}
    kept: dict[int, torch.Tensor] = {}  # the tensors themselves, so that no address is used twice

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        with torch.autocast(device.type, torch.bfloat16, enabled=amp):
            logits = probe(torch.zeros((PROBE_FRAMES, *shape, 3), dtype=torch.uint8, device=device))
        target = torch.ones((PROBE_FRAMES, *shape), dtype=torch.int64, device=device)
        loss = segmentation_loss(logits, target, weight, params)
    frame = sum(tensor.untyped_storage().nbytes() for tensor in kept.values()) / PROBE_FRAMES
    del loss
    fixed = 3 * sum(p.numel() * p.element_size() for p in model.parameters())
    return MemoryNeed(fixed, int(WORKSPACE * frame), free_memory(device))


def free_memory(device: torch.device) -> int:
    """Return the bytes that can still be allocated there; where CPU and GPU share memory, the smaller of both views."""
    system = available_bytes()
    if device.type != "cuda":
        return system
    free = torch.cuda.mem_get_info(device)[0]
    return min(free, system) if torch.cuda.get_device_properties(device).is_integrated else free


def choose_micro_batch(need: MemoryNeed, params: TrainParams, *, fixed: int | None = None) -> int:
    """Return the frames to compute at once: what was asked for, or the batch, halved until it fits.

    Args:
        need: Of this run.
        params: The run.
        fixed: What a run that is resumed has used so far; it stays, or its end would depend on the interruption.

    Raises:
        InputError: What was asked for, or a single frame, does not fit.
    """
    wanted = fixed or params.micro_batch or params.batch
    size = min(wanted, params.batch)
    if fixed is None and params.micro_batch is None:
        while size > max(need.most_frames, 1):
            size = (size + 1) // 2
    if size <= need.most_frames:
        return size
    gb = f"{size} at once need {need.of(size) / GB:.1f} GB beside the frames, {need.free_bytes / GB:.1f} GB are free"
    if need.most_frames:
        raise InputError("micro_batch", size, f"1 … {need.most_frames} frames: {gb}")
    raise InputError("crop_px", params.crop_px, f"a size of which one frame fits in memory: {gb}")
