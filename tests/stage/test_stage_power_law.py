"""The truncated power law of sizes."""

from __future__ import annotations

import numpy as np
import pytest

from regolith.lunar.stage.power_law import PowerLaw
from regolith.lunar.stage.spec import rng

LAWS = [PowerLaw(1.2, 0.03, 4.0), PowerLaw(2.0, 0.4, 14.0), PowerLaw(3.1, 0.009, 0.03)]


@pytest.mark.parametrize("law", LAWS)
def test_share_and_size_are_inverse(law: PowerLaw) -> None:
    share = np.linspace(0.0, 1.0, 101)
    size = law.size(share)
    assert size[0] == pytest.approx(law.hi) and size[-1] == pytest.approx(law.lo)
    assert (np.diff(size) < 0.0).all()
    np.testing.assert_allclose(law.share(size), share, atol=1e-9)
    assert law.share(0.5 * law.lo) == pytest.approx(1.0) and law.share(2.0 * law.hi) == 0.0
    assert law.tail(law.lo) == pytest.approx(law.total)


@pytest.mark.parametrize("law", LAWS)
def test_drawn_sizes_follow_the_law(law: PowerLaw) -> None:
    """The share of 20 000 draws above any size is the law's, within 1.5 %; the mean square is that of even draws."""
    drawn = law.draw(rng(0, "sizes"), 20_000)
    assert law.lo <= drawn.min() and drawn.max() <= law.hi
    at = np.geomspace(law.lo, law.hi, 20)
    np.testing.assert_allclose((drawn[:, None] >= at).mean(axis=0), law.share(at), atol=0.015)
    even = law.size((np.arange(200_000) + 0.5) / 200_000)
    assert (even**2).mean() == pytest.approx(law.mean_square, rel=0.01)
