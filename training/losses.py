"""Losses of the rock class and of all classes, over logits at pixel resolution."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from regolith.lunar.labels import IGNORE, ROCK
from regolith.lunar.params.training import TrainParams


def segmentation_loss(
    logits: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor,
    params: TrainParams,
    *,
    weight_sum: torch.Tensor | None = None,
    share: float = 1.0,
) -> torch.Tensor:
    """Return the weighted sum of the losses a run asks for.

    Args:
        logits: float32 [N, 3, H, W].
        target: Classes, int64 [N, H, W]; pixels of value `IGNORE` count nowhere.
        weight: Weights of the classes in the cross-entropy, float32 [3].
        params: Weights of the terms.
        weight_sum: Summed weights of the pixels of the whole batch, where this is a part of one; shape [].
        share: Share of the batch's frames that are in this part.
    """
    total = logits.new_zeros(())
    if params.loss_cross_entropy:
        total = total + params.loss_cross_entropy * cross_entropy(
            logits, target, weight, params.loss_focal, weight_sum=weight_sum
        )
    if params.loss_dice or params.loss_lovasz:
        probability, truth = rock_probability(logits, target)
        if params.loss_dice:
            total = total + share * params.loss_dice * dice(probability, truth)
        if params.loss_lovasz:
            total = total + share * params.loss_lovasz * lovasz(probability, truth)
    return total


def cross_entropy(
    logits: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor,
    focal: float = 0.0,
    *,
    weight_sum: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the class-weighted mean cross-entropy, each pixel counted by (1 − p)^focal of its true class.

    Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017. With `focal` 0 it is the plain cross-entropy.
    `weight_sum` takes the place of the summed weights of these pixels where they are part of a batch.
    """
    if not focal and weight_sum is None:
        return F.cross_entropy(logits, target, weight, ignore_index=IGNORE)
    surprise = F.cross_entropy(logits, target, ignore_index=IGNORE, reduction="none")  # −log p, 0 where ignored
    each = weight[target.clamp(max=len(weight) - 1)] * (target != IGNORE)
    counted = each * (1 - torch.exp(-surprise)) ** focal if focal else each
    return (counted * surprise).sum() / (each.sum() if weight_sum is None else weight_sum)


def rock_probability(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the probability of rock and whether it is rock, float32 [pixels], at the pixels that count."""
    valid = target != IGNORE
    return logits.softmax(1)[:, ROCK][valid], (target[valid] == ROCK).float()


def dice(probability: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return 1 − (2 Σ p t + 1) / (Σ p + Σ t + 1): Milletari et al., "V-Net", 3DV 2016, smoothed by one pixel."""
    return 1 - (2 * (probability * truth).sum() + 1) / (probability.sum() + truth.sum() + 1)


def lovasz(probability: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the Lovász extension of 1 − IoU of one class at the errors |t − p|; 0 where no pixel is of the class.

    Berman, Triki, Blaschko, "The Lovász-Softmax Loss", CVPR 2018, algorithm 1, over all pixels of the batch at once.
    """
    if not truth.any():
        return probability.sum() * 0
    errors, order = (truth - probability).abs().sort(descending=True)
    sorted_truth = truth[order]
    intersection = truth.sum() - sorted_truth.cumsum(0)
    union = truth.sum() + (1 - sorted_truth).cumsum(0)
    jaccard = 1 - intersection / union
    gradient = torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])
    return errors @ gradient


def class_weights(counts: np.ndarray, power: float) -> np.ndarray:
    """Return weights of sum 3, inverse to a power of each class's pixels; 0 for a class without any.

    Args:
        counts: Pixels of each class, shape [3].
        power: 1 for the published recipe, 0 for equal weights.
    """
    inverse = np.divide(1.0, counts, out=np.zeros(3), where=counts > 0) ** power
    inverse[counts == 0] = 0  # also where the power is 0
    return 3 * inverse / inverse.sum()
