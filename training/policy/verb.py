"""`regolith train-policy`: the verb."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from regolith.lunar.jobs.progress import show
from regolith.lunar.machine import install_command
from regolith.lunar.params import InputError, quantity, sole_folder
from regolith.lunar.params.policy import PolicyParams
from regolith.lunar.physics.traverse import TOLD


class TrainPolicy(PolicyParams):
    """Teach a small network to drive by pictures of the hazard cameras and proprioception; run again to resume."""

    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Do what is left of the training and say how often the policy succeeds.

        Raises:
            InputError: torch is not installed, or the folder holds another training.
        """
        from training.policy.run import train_policy

        if importlib.util.find_spec("torch") is None:
            python = Path(sys.executable).name
            raise InputError("train-policy", python, f"an interpreter with torch: {install_command('train')}")
        with sole_folder("out", self.out), show(self.events, "train-policy", "steps") as emit:
            return train_policy(self, emit)

    def summary(self, result: dict[str, Any]) -> str:
        """Give the success rate of each way of driving."""
        lines = [
            f"{TOLD[how]}: "  # type: ignore[index]
            "success {share:.0%} (95 %: {lo:.0%} … {hi:.0%}) of {runs} drives".format(**row["success"])
            for how, row in result["held_out"]["ways"].items()
        ]
        return "\n".join([*lines, str(self.out / "policy.onnx")])
