"""What checkpoints do not know of a picture: passes with dropout left on, or several checkpoints as an ensemble.

Gal & Ghahramani, "Dropout as a Bayesian Approximation", ICML 2016; Lakshminarayanan et al., "Simple and Scalable
Predictive Uncertainty Estimation using Deep Ensembles", NeurIPS 2017.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from regolith.lunar.files import file_digest
from regolith.lunar.machine import cores
from regolith.lunar.params import InputError
from regolith.lunar.perception.session import padded
from regolith.lunar.quality.acquisition import Posterior
from regolith.lunar.quality.ensemble import Look
from training.checkpoint import read_checkpoint
from training.networks import load_network
from training.networks.base import SegmentationNetwork

BATCH_PX = 1 << 20
"""Pixels of the pictures that are computed at once: passes are batched, and those of a large picture in parts."""
_PROBE_PX = 64
_PROBE_PASSES = 8


class Checkpoints:
    """Networks of runs, as what draws passes over a picture."""

    def __init__(self, paths: Sequence[Path], *, passes: int, seed: int = 0, threads: int | None = None) -> None:
        """Load the checkpoints.

        Args:
            paths: best.pt of runs. Of one, passes are drawn with dropout and drop-path on; of several, each gives one.
            passes: Passes of a single checkpoint; 1 for its plain answer.
            seed: Of what dropout draws, with the picture: the same picture has the same passes, whatever came before.
            threads: CPU threads; left out, one per core.

        Raises:
            InputError: One is no checkpoint, or `passes` of a network that all come out equal are asked for.
        """
        torch.set_num_threads(threads or cores())
        self.paths, self.seed = list(paths), seed
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        states = [read_checkpoint(path, field="model") for path in paths]
        self.networks = [load_network(state, field="model", value=str(path)).to(self.device)
                         for path, state in zip(paths, states, strict=True)]  # fmt: skip
        self.passes = passes if len(paths) == 1 else len(paths)
        self._drawn = len(paths) == 1 and passes > 1
        self._encoder_draws = False
        if self._drawn:
            switch_dropout_on(self.networks[0])
            encoder, whole = _draws(self.networks[0], self.device)
            if not whole:
                allowed = "a network with dropout: the passes of this one are equal; or several, with commas between"
                raise InputError("model", str(paths[0]), f"{allowed}, or --passes 1 --by entropy")
            self._encoder_draws = encoder

    def look(self, rgb: np.ndarray) -> Look:
        """Return what the passes say of a picture, uint8 [H, W, 3], and its features."""
        height, width = rgb.shape[:2]
        image = torch.from_numpy(np.ascontiguousarray(padded(rgb)))[None].to(self.device)
        posterior, features = Posterior(), np.zeros(0)
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(picture_seed(self.seed, rgb))
            for number, (logits, coarsest) in enumerate(self._passes(image)):
                probabilities = torch.softmax(logits, 1)[:, :, :height, :width]
                posterior.add(probabilities.cpu().numpy())
                if number == 0:
                    features = coarsest.float().mean((0, 2, 3)).cpu().numpy()
        return Look(posterior, features)

    def _passes(self, image: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield logits [passes, 3, H, W] and the coarsest map of a picture [1, H, W, 3], batch by batch."""
        size = image.shape[1:3]
        if not self._drawn:
            for network in self.networks:
                maps = network.encode(network.normalised(image))
                yield network.at_pixels(network.classify(network.fuse(maps)), size), maps[-1]
            return
        network = self.networks[0]
        x = network.normalised(image)
        at_once = max(1, BATCH_PX // (size[0] * size[1]))
        for done in range(0, self.passes, at_once):
            count = min(at_once, self.passes - done)
            if done == 0 or self._encoder_draws:  # what no dropout changes is computed once
                maps = network.encode(x.expand(count if self._encoder_draws else 1, -1, -1, -1))
                fused = network.fuse(maps)
            several = fused if self._encoder_draws else fused.expand(count, -1, -1, -1)
            yield network.at_pixels(network.classify(several), size), maps[-1]

    def words(self) -> dict[str, Any]:
        """What they are, for a result: {files, passes, drawn}."""
        files = [{"file": path.name, "sha256": file_digest(path)} for path in self.paths]
        return {"files": files, "passes": self.passes, "drawn": "dropout" if self._drawn else "members"}


def switch_dropout_on(network: nn.Module) -> None:
    """Let every dropout and drop-path draw, while normalisations keep to the statistics of the training."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase):
            module.eval()


def _draws(network: SegmentationNetwork, device: torch.device) -> tuple[bool, bool]:
    """Whether the encoder, and whether the whole network, gives unlike passes over one picture of noise."""
    random = np.random.default_rng(0).integers(0, 256, (1, _PROBE_PX, _PROBE_PX, 3), np.uint8)
    image = torch.from_numpy(random).to(device).expand(_PROBE_PASSES, -1, -1, -1)
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fused = network.fuse(network.encode(network.normalised(image)))
        logits = network.classify(fused)
    return _differs(fused), _differs(logits)


def _differs(values: torch.Tensor) -> bool:
    """Whether rows differ by more than the rounding of equal sums."""
    spread = (values - values[:1]).abs().max()
    return bool(spread > 1e-4 * values.abs().max())


def picture_seed(seed: int, rgb: np.ndarray) -> int:
    """Return the seed of a picture's passes, of its pixels: what was looked at before does not matter."""
    digest = hashlib.sha256(f"{seed} {rgb.shape}".encode() + np.ascontiguousarray(rgb).tobytes()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
