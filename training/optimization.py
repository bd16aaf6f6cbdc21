"""What happens to weights between steps: the learning rate's course and the average over steps."""

from __future__ import annotations

import math

import torch

from regolith.lunar.params.training import TrainParams


def learning_rate(step: int, total: int, params: TrainParams) -> float:
    """Return the learning rate of a step: linear warm-up, then the schedule from lr to lr_min at the last step."""
    warmup = min(params.warmup, total // 2)
    if step < warmup:
        return params.lr_peak * (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(total - 1 - warmup, 1)
    if params.schedule == "poly":
        left = (1 - progress) ** params.poly_power
    else:
        left = 0.5 * (1 + math.cos(math.pi * progress))
    return params.lr_min + (params.lr_peak - params.lr_min) * left


@torch.no_grad()
def update_average(average: torch.nn.Module, model: torch.nn.Module, decay: float) -> None:
    """Move an averaged network towards a network: decay · average + (1 − decay) · network; counters are copied."""
    for a, m in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if a.is_floating_point():
            a.lerp_(m, 1 - decay)
        else:
            a.copy_(m)
