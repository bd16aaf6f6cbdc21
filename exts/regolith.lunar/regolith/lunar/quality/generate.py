"""`regolith generate` as the command line has it: what to draw may come from a request, and may have to pass a gate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from regolith.lunar.dataset.generate import Generate
from regolith.lunar.dataset.request import read_request
from regolith.lunar.jobs.progress import show
from regolith.lunar.params import CheckError, InputError, Params, PictureSize, as_text, quantity
from regolith.lunar.params.fields import words_of
from regolith.lunar.quality.measures import Required


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
    gate_require: Required | None = quantity(
        None, "What has to pass, as `regolith gate --require` takes it: semantics, where one side has no points."
    )
    gate_like: Path | None = quantity(
        None,
        "How to judge, with --gate: gate.json of a gate to repeat, or a .yaml or .json file of gate's settings, like "
        "`jsd_max: 0.2,rock=0.3`; left out, gate's defaults.",
    )

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
        for name in ("gate_masks", "gate_clouds", "gate_require", "gate_like"):
            if self.gate is None and getattr(self, name) is not None:
                raise InputError(name, str(getattr(self, name)), "left out without a --gate")
        if self.gate is None:
            return super().run()
        from regolith.lunar.quality.clouds import read_clouds  # these take half a second
        from regolith.lunar.quality.features import Encoder
        from regolith.lunar.quality.gate import Gate
        from regolith.lunar.quality.gate_judge import REQUEST, check_points
        from regolith.lunar.quality.pictures import Pictures
        from regolith.lunar.quality.semantics import read_layer

        split, out = self.out / self.split, self.out / f"gate_{self.split}"
        gate = Gate.like(
            self.gate_like, "gate_like", synth=split, real=self.gate, masks=self.gate_masks,
            real_clouds=self.gate_clouds, quarantine=True, out=out,
        )  # fmt: skip
        if self.gate_require is not None:
            gate = gate.model_copy(update={"require": self.gate_require})
        Pictures(self.gate, field="gate", masks=self.gate_masks)  # refused before anything is drawn, as all of this is
        check_points(words_of(gate.require), self.params.dataset.depth, self.gate, self.gate_clouds, "gate_require")
        if self.gate_clouds is not None:
            read_clouds(self.gate_clouds, field="gate_clouds")
        Encoder(Path(gate.model), layer=read_layer(gate.layer), threads=1)
        result = super().run()
        with show(self.events, f"gate {self.split}", "pictures") as emit:
            judged = gate.judge(emit)
        result["gate"] = judged
        if judged["verdict"] == "reject":
            lines = [f"{split}: rejected: {'; '.join(judged['reasons'])}"]
            if judged["request"] is not None:
                asked = out / REQUEST
                lines.append(f"  `regolith generate --request {asked} --out ELSEWHERE` draws what is asked for instead")
            raise CheckError("\n".join(lines), result)
        return result

    def summary(self, result: dict[str, Any]) -> str:
        """Say where the split is, how much of it this run drew, and what the gate said."""
        lines = [super().summary(result)]
        if "gate" in result:
            from regolith.lunar.quality.gate import say_checks

            lines += say_checks(result["gate"])
        return "\n".join(lines)
