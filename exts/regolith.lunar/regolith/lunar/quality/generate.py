"""`regolith generate` as the command line has it: what to draw may come from a request, and may have to pass a gate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from regolith.lunar.dataset.generate import Generate
from regolith.lunar.dataset.request import read_request
from regolith.lunar.jobs.progress import show
from regolith.lunar.params import CheckError, InputError, Params, PictureSize, as_text, quantity


class GenerateGated(Generate):
    """Generate labelled frames of a split; run again to resume."""

    request: Path | None = quantity(
        None,
        "Request to fulfil, as `regolith gate` writes it: preset, parameters, split, frames, size and seed are its, "
        "where no flag says otherwise.",
    )
    gate: Path | None = quantity(
        None,
        "Real pictures to hold the complete split against, as `regolith gate --quarantine`; exit code 1 on reject.",
    )
    gate_masks: Path | None = quantity(None, "Their masks, as `regolith gate --masks` takes them.")
    gate_clouds: Path | None = quantity(None, "Real clouds, as `regolith gate --real-clouds` takes them.")

    start_flags: ClassVar[tuple[str, ...]] = (*Generate.start_flags, "request")

    @classmethod
    def start(cls, given: Mapping[str, str]) -> tuple[Params, dict[str, str]]:
        """Start from the request where there is one; `--preset` and `--params` take the place of its preset."""
        if "request" not in given:
            return super().start(given)
        request = read_request(given["request"])
        base = super().start(given)[0] if given.keys() & {"preset", "params"} else None
        size = as_text(PictureSize(*request.size))
        texts = {"split": request.split, "frames": str(request.frames), "size": size, "seed": str(request.seed)}
        return request.parameters(base), texts

    def run(self) -> dict[str, Any]:
        """Generate, then hold the split against real pictures where asked; raises `CheckError` on reject."""
        for name in ("gate_masks", "gate_clouds"):
            if self.gate is None and getattr(self, name) is not None:
                raise InputError(name, str(getattr(self, name)), "left out without a --gate")
        if self.gate is None:
            return super().run()
        from regolith.lunar.quality.gate_judge import REQUEST, gate  # which take half a second
        from regolith.lunar.quality.pictures import Pictures

        Pictures(self.gate, field="gate", masks=self.gate_masks)  # refused before anything is drawn
        result = super().run()
        split, out = Path(result["split"]), self.out / f"gate_{self.split}"
        with show(self.events, f"gate {self.split}", "pictures") as emit:
            judged = gate(
                split,
                self.gate,
                out=out,
                masks=self.gate_masks,
                real_clouds=self.gate_clouds,
                quarantine=True,
                emit=emit,
            )
        result["gate"] = judged
        if judged["verdict"] == "reject":
            reasons = "; ".join(judged["reasons"])
            again = f"`regolith generate --request {out / REQUEST} --out ELSEWHERE` draws what is asked for instead"
            raise CheckError(f"{split}: rejected: {reasons}\n  {again}", result)
        return result

    def summary(self, result: dict[str, Any]) -> str:
        """Say where the split is, how much of it this run drew, and what the gate said."""
        lines = [super().summary(result)]
        if "gate" in result:
            from regolith.lunar.quality.gate import say_checks

            lines += say_checks(result["gate"])
        return "\n".join(lines)
