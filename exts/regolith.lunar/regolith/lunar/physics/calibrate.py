"""`regolith calibrate dynamics`: measured motion of a rover makes ranges of `dynamics` narrow."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from regolith.lunar.files import AnyPath
from regolith.lunar.jobs.progress import show
from regolith.lunar.params import InputError, Params, PresetVerb, change_params, quantity, save_params, sole_file
from regolith.lunar.params.training import split_folders
from regolith.lunar.physics.identify import Fit, identify, narrowed_values
from regolith.lunar.physics.measured import load_run

ENDINGS = (".yaml", ".yml", ".json")


class CalibrateDynamics(PresetVerb):
    """Fit the rover's dynamics to measured runs, and write parameters whose ranges are what the runs leave open.

    What is not fitted is taken from the parameters: the middle of its range.
    """

    runs: Path = quantity(
        ..., "Measured runs: .csv or .npz files with commas between, or a folder of them.", positional=True
    )
    out: Path = quantity(..., "Parameter file to write (.yaml, .yml, .json), which --params takes.")
    fit: str = quantity(
        "", "Fields of `dynamics` to fit, with commas between; left out, what the experiments are there for."
    )
    delay_max: int = quantity(12, "Longest action delay tried, in control steps.", ge=0, le=50)
    starts: int = quantity(3, "Fits that begin at different values; the best counts.", ge=1, le=20)
    confidence: float = quantity(0.95, "Of the intervals.", ge=0.5, le=0.999, step=0.01)
    seed: int = quantity(0, "Seed of the starts.", ge=0)
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Read, fit, write and return what was found."""
        if self.out.suffix not in ENDINGS:
            raise InputError("out", str(self.out), f"a file {', '.join(ENDINGS)}")
        with sole_file("out", self.out) as file, show(self.events, "calibrate dynamics", "fits") as emit:
            paths = list(_files(self.runs))
            known = {
                name: getattr(self.params.dynamics, name).center for name in type(self.params.dynamics).model_fields
            }
            fit = identify(
                [load_run(path) for path in paths],
                names=[name.strip() for name in self.fit.split(",") if name.strip()],
                known=known,
                delay_max=self.delay_max,
                starts=self.starts,
                confidence=self.confidence,
                seed=self.seed,
                progress=lambda done, total: emit({"event": "progress", "done": done, "total": total}),
            )
            write_narrowed(self.params, fit, file)
        return {
            "runs": [str(path) for path in paths],
            "confidence": self.confidence,
            "parameters": {name: dataclasses.asdict(each) for name, each in fit.estimates.items()},
            "misfits": [dataclasses.asdict(each) for each in fit.misfits],
            "delays": {str(delay): cost for delay, cost in fit.delays.items()},
            "warnings": list(fit.warnings),
            "simulations": fit.simulations,
            "out": str(self.out),
        }

    def summary(self, result: dict[str, Any]) -> str:
        """Tabulate what was found, then what was not."""
        lines = [f"{100.0 * result['confidence']:g} % intervals from {len(result['runs'])} runs:"]
        for name, each in result["parameters"].items():
            told = f"{each['value']:8.4g}   {each['lo']:.4g} … {each['hi']:.4g}" if each["told"] else "not told"
            lines.append(f"  {name:<22}{told}")
        return "\n".join([*lines, *(f"note: {warning}" for warning in result["warnings"]), result["out"]])


def write_narrowed(params: Params, fit: Fit, path: AnyPath) -> None:
    """Write parameters with the ranges of all a fit tells in place of theirs; the others stay.

    Raises:
        InputError: A file of another ending than a parameter file's.
        OSError: It cannot be written.
    """
    save_params(change_params(params, narrowed_values(fit)), path)


def _files(runs: Path) -> Iterator[Path]:
    """Files of runs, those of a folder by name.

    Raises:
        InputError: A folder without any.
    """
    for part in split_folders(runs):
        found: Sequence[Path] = [part]
        if part.is_dir():
            found = sorted(path for path in part.iterdir() if path.suffix in (".csv", ".npz"))
            if not found:
                raise InputError("runs", str(part), "a folder with .csv or .npz files")
        yield from found
