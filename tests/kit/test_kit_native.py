"""The tests meant for an RTX machine, run here over the doubles: whole, so that they can fail for real there."""

from __future__ import annotations

from pathlib import Path

import pytest
from check_stand import stand
from conftest import Kit

NAMES = ["test_window_and_menu", "test_check_this_machine"]


@pytest.mark.parametrize("name", NAMES)
def test_native(lunar: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    lunar.enable("omni.kit.test")
    from regolith.lunar.kit import tests

    with stand(lunar, tmp_path, monkeypatch):
        case = tests.RegolithRtxTest(name)

        async def run() -> None:
            await case.setUp()
            await getattr(case, name)()

        lunar.run(run(), 600)


def test_every_native_test_is_listed(lunar: Kit) -> None:
    lunar.enable("omni.kit.test")
    from regolith.lunar.kit import tests

    assert [n for n in vars(tests.RegolithRtxTest) if n.startswith("test_")] == NAMES
