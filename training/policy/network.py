"""The network of a policy: convolutions that both cameras share, then layers on what these see and on readings."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from regolith.lunar.params import PictureSize
from regolith.lunar.physics.policy import ACTIONS, READINGS

WIDTHS = (16, 32, 48, 64)
"""Channels after each convolution, every one of stride 2."""
SEEN = 96
"""Features of one picture."""
HIDDEN = 192
GROUPS = 8


class PolicyNetwork(nn.Module):
    """Pictures and readings to scores of the actions.

    Pictures of the right camera are mirrored first: so the same convolutions see rocks beside the same wheel.
    """

    def __init__(self, size: PictureSize) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before, (height, width) = 1, (size.height, size.width)
        for number, channels in enumerate(WIDTHS):
            side = 5 if number == 0 else 3
            layers += [nn.Conv2d(before, channels, side, 2, side // 2), nn.GroupNorm(GROUPS, channels), nn.ReLU()]
            before, height, width = channels, -(-height // 2), -(-width // 2)
        self.eye = nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * height * width, SEEN), nn.ReLU())
        self.head = nn.Sequential(
            nn.Linear(4 * SEEN + len(READINGS), HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(),
            nn.Linear(HIDDEN, len(ACTIONS)),
        )  # fmt: skip

    def forward(self, pictures: torch.Tensor, readings: torch.Tensor) -> torch.Tensor:
        """Score the actions.

        Args:
            pictures: uint8, shape [N, 2, 2, H, W]: now and before, left and right camera.
            readings: float32, shape [N, 13].

        Returns:
            Logits, float32, shape [N, 11].
        """
        x = pictures.float() / 255.0
        mean = x.mean((3, 4), keepdim=True)
        x = (x - mean) / (((x - mean) ** 2).mean((3, 4), keepdim=True) + 1e-4).sqrt()  # whatever the exposure
        x = torch.stack([x[:, :, 0], x[:, :, 1].flip(3)], 2)
        height, width = pictures.shape[3], pictures.shape[4]
        seen = self.eye(x.reshape(-1, 1, height, width)).reshape(-1, 4 * SEEN)
        return self.head(torch.cat([seen, readings], 1))


def share_loss(logits: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of scores against shares of the actions, both [N, 11]; a scalar."""
    return -(shares * F.log_softmax(logits, 1)).sum(1).mean()
