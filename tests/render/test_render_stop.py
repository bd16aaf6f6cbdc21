"""A picture can be given up while it is drawn, and asking whether to changes no pixel of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pxr import Usd
from render_stage import make_stage, set_sensor

from regolith.lunar.render.base import Quality, StoppedError
from regolith.lunar.render.mitsuba import MitsubaRenderer

OUTPUTS: frozenset[str] = frozenset({"depth", "instance", "normals"})
ARRAYS = ("rgb", "mask", "depth", "instance", "normals")


class Asked:
    """A `stop` that counts, and says yes at one of the questions."""

    def __init__(self, at: int = 0) -> None:
        self.count, self.at = 0, at

    def __call__(self) -> bool:
        self.count += 1
        return self.count == self.at


@pytest.mark.parametrize(("quality", "samples"), [("draft", 1), ("draft", 4), ("default", None), ("reference", 32)])
def test_pieces_make_the_same_picture(
    fused: MitsubaRenderer, monkeypatch: pytest.MonkeyPatch, quality: Quality, samples: int | None
) -> None:
    monkeypatch.setattr("regolith.lunar.render.fused.BAND", 1 << 14)
    stage = make_stage(model="hapke", bump=0.8)
    set_sensor(stage, fullWell=9000.0, readNoise=8.0)
    fused.load(stage)
    whole = fused.render(101, 67, quality=quality, samples=samples, outputs=OUTPUTS)
    asked = Asked()
    pieces = fused.render(101, 67, quality=quality, samples=samples, outputs=OUTPUTS, stop=asked)
    for name in ARRAYS:
        assert np.array_equal(getattr(whole, name), getattr(pieces, name)), name
    launches = -(-101 * 67 * max(samples or 8, 1) // (1 << 14))
    assert asked.count >= launches


def test_the_preview_in_pieces_is_the_same(
    renderer: MitsubaRenderer, stage: Usd.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regolith.lunar.render.fused.BAND", 1 << 12)
    renderer.load(stage)
    assert np.array_equal(renderer.preview(64, 48), renderer.preview(64, 48, stop=Asked()))


@pytest.mark.parametrize("draw", ["render", "preview"])
def test_a_yes_ends_it_whenever_it_comes(
    renderer: MitsubaRenderer, stage: Usd.Stage, monkeypatch: pytest.MonkeyPatch, draw: str
) -> None:
    monkeypatch.setattr("regolith.lunar.render.fused.BAND", 1 << 12)
    renderer.load(stage)

    def drawn(stop: Callable[[], bool]) -> np.ndarray:
        if draw == "preview":
            return renderer.preview(48, 36, samples=4, stop=stop)
        return renderer.render(48, 36, samples=4, stop=stop).rgb

    asked = Asked()
    whole = drawn(asked)
    assert asked.count >= 2
    for at in range(1, asked.count + 1):
        with pytest.raises(StoppedError):
            drawn(Asked(at))
    assert np.array_equal(drawn(Asked()), whole)  # what was given up left nothing behind
