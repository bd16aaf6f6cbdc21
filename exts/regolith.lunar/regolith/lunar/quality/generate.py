"""`regolith generate` as the command line has it: what to draw may come from a request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from regolith.lunar.dataset.generate import Generate
from regolith.lunar.dataset.request import read_request
from regolith.lunar.params import Params, PictureSize, as_text, quantity


class GenerateRequested(Generate):
    """Generate labelled frames of a split; run again to resume."""

    request: Path | None = quantity(
        None,
        "Request to fulfil, as `regolith gate` writes it: preset, parameters, split, frames, size and seed are its, "
        "where no flag says otherwise.",
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
