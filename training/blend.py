"""Blend the weights of runs with those of the run they started from.

regolith blend stage1/best.pt stage2/best.pt --share 0.6 --out blend.pt
regolith blend stage1/best.pt a/best.pt,b/best.pt,c/best.pt --share 0.9 --out blend.pt

What a fine-tuning learned on new frames and what it forgot of the world outside them lie along one line in weight
space: Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022 (WiSE-FT). Runs that went on from one start
by themselves err in ways of their own, and their mean less than each: Wortsman et al., "Model soups", ICML 2022. One
network comes out, as quick as any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regolith.lunar.files import file_digest, writes_through
from regolith.lunar.params import InputError, Verb, quantity, sole_file
from regolith.lunar.params.training import split_folders

if TYPE_CHECKING:
    import torch

    Weights = dict[str, torch.Tensor]


class Blend(Verb):
    """Blend the weights of runs of one network, the others begun from the first."""

    first: Path = quantity(..., "best.pt of the run the others were begun from.", positional=True)
    second: Path = quantity(
        ..., "best.pt of the run that went on; of several, with commas between them, the mean.", positional=True
    )
    share: float = quantity(0.5, "Share of the second's weights: 0 is the first alone, 1 the second.", ge=0, le=1)
    out: Path = quantity(..., "Checkpoint to write, as `--init` and `export-model` take it.")

    def run(self) -> dict[str, Any]:
        """Blend, write, and say what came of it.

        Raises:
            InputError: One is no checkpoint, they are of two networks, or `out` is no name of a checkpoint.
        """
        if self.out.suffix != ".pt" and not writes_through(self.out):
            raise InputError("out", str(self.out), "a file name ending in .pt")
        with sole_file("out", self.out):
            return self._blend()

    def _blend(self) -> dict[str, Any]:
        from training.checkpoint import read_checkpoint, write_torch

        paths = split_folders(self.second)
        first, runs = read_checkpoint(self.first, field="first"), [read_checkpoint(p, field="second") for p in paths]
        for path, run in zip(paths, runs, strict=True):
            if shapes(run) != shapes(first) or run["network"]["arch"] != first["network"]["arch"]:
                raise InputError("second", str(path), f"a run of the network of {self.first}")
        weights = blend(first["model"], [run["model"] for run in runs], self.share)
        made = [{name: run.get(name) for name in ("recipe", "fingerprints", "epoch", "origin")} for run in runs]
        blended = {
            "share": self.share, "first_sha256": file_digest(self.first), "second_sha256": [*map(file_digest, paths)]
        }  # fmt: skip
        kept = {name: runs[0][name] for name in ("kind", "network", "recipe", "fingerprints", "classes", "epoch")}
        write_torch(self.out, kept | {"model": weights, "origin": {"runs": made, "blend": blended}})
        return {"out": str(self.out), **blended}

    def summary(self, result: dict[str, Any]) -> str:
        """Name the file and the shares."""
        return f"{self.out}: {1 - self.share:.2f} of {self.first}, {self.share:.2f} of {self.second}"


def shapes(run: dict[str, Any]) -> dict[str, torch.Size]:
    """Return the shape of every weight of a checkpoint, by name."""
    return {name: value.shape for name, value in run["model"].items()}


def blend(first: Weights, others: Sequence[Weights], share: float) -> Weights:
    """Return (1 − share) · first + share · the mean of the others, by name.

    All have the same names and shapes; counters are those of the first of the others.
    """
    import torch

    blended = {}
    for name, value in first.items():
        mean = torch.stack([other[name] for other in others]).mean(0) if value.is_floating_point() else others[0][name]
        blended[name] = value.lerp(mean, share) if value.is_floating_point() else mean
    return blended
