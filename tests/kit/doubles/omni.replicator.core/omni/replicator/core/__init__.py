"""Double of omni.replicator.core that draws: pixels by the embedded renderer, labels by OpenUSD's own semantics.

It takes a frame of the stage that is open in `omni.usd` when the orchestrator steps, and not before. What it returns is
as awkward as Replicator's: tables of ids that differ from frame to frame, buffers that are used again, nothing for the
first frames, then labels that are not there yet, graphs that go with their stage. Strict: unknown keywords, destroyed
products and steps outside a SimulationApp raise.
"""

from __future__ import annotations

from . import annotators, create, orchestrator
from ._annotators import ANNOTATORS as _ANNOTATORS
from ._annotators import Annotator as _Annotator
from ._annotators import draw_viewports, leftovers, quirks
from .orchestrator import OrchestratorError


class AnnotatorRegistry:
    """Annotators by name."""

    @classmethod
    def get_annotator(
        cls, name: str, init_params: dict | None = None, device: str = "cpu", do_array_copy: bool = True
    ) -> _Annotator:
        if name not in _ANNOTATORS:
            raise ValueError(f"no annotator {name!r}")
        unknown = set(init_params or {}) - _ANNOTATORS[name]
        if unknown:
            raise TypeError(f"{name}: unknown init_params {sorted(unknown)}")
        return _Annotator(name, dict(init_params or {}))


__all__ = [
    "AnnotatorRegistry", "OrchestratorError", "annotators", "create", "draw_viewports", "leftovers",
    "orchestrator", "quirks",
]  # fmt: skip
