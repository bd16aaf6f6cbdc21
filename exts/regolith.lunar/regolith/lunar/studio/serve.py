"""`regolith studio`: the panel in a browser."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from regolith.lunar.machine import install_command
from regolith.lunar.params import InputError, PictureSize, Verb, load_preset, quantity
from regolith.lunar.studio.access import Access
from regolith.lunar.studio.assembly import Assembly
from regolith.lunar.studio.loop import Loop
from regolith.lunar.studio.workspace import Workspace
from regolith.lunar.system import END_SIGNALS

END_S = 1.0
"""How long the studio waits at its end for what its threads still compute [s]: nothing of that is kept."""
PATIENCE_S = 20.0
"""The address is told once the first picture is there, or after this time [s]."""
SIZE = PictureSize(480, 360)


class Studio(Verb):
    """Serve the panel as a web page on this machine: author, tune, look, preview, export, train."""

    host: str = quantity(
        "127.0.0.1", "Name or address to listen on. Anything but loopback lets other machines in, who need the token."
    )
    port: int = quantity(8080, "Port; 0 for a free one.", ge=0, le=65535)
    token: str | None = quantity(
        None, "What the address has to carry as ?token=…; left out, one is made up and printed in the address."
    )
    no_token: bool = quantity(
        False,
        "Ask for no token: then every user and program of this machine can do what the page can: read pictures and "
        "models that you can read, write into the workspace, start exports and trainings as you, stop them.",
    )
    workspace: Path = quantity(
        Path("workspace"), "Folder that all the page writes lies in. What its fields name to be read may lie elsewhere."
    )
    trust_workspace: bool = quantity(
        False,
        "Open a workspace that belongs to another user, who can change what lies in it while you work: nothing in it "
        "is executed, but what it names is read, resumed and stopped.",
    )
    preset: str = quantity("v3", "Preset to start from.")
    params_file: Path | None = quantity(None, "Parameter file (.yaml, .yml, .json) to load.", flag="params")
    size: PictureSize = quantity(SIZE, "Size of the rover's picture and of exported frames.")

    def run(self) -> dict[str, Any]:
        """Serve until it is interrupted (exit code 130) or told to end (SIGTERM, exit code 0)."""
        _check_installed()
        load_preset(self.preset)
        workspace = Workspace(self.workspace, trust=self.trust_workspace)
        access = Access(self.host, self.port, self.token, workspace, no_token=self.no_token)
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
        loop = Loop()
        ended: list[int] = []
        announced: list[str] = []

        def end(number: int, frame: object) -> None:
            ended.append(number)
            loop.stop()

        def announce() -> None:
            if not announced:
                announced.append(access.url)
                print(f"Regolith studio: {access.url}", flush=True)

        before = {number: signal.signal(number, end) for number in END_SIGNALS}
        try:
            with Assembly(
                loop, access, workspace, preset=self.preset, params=self.params_file, size=self.size, ready=announce
            ):
                loop.later(PATIENCE_S, announce, key="announce")
                loop.run()
                _end_soon(130 if signal.SIGINT in ended else 0)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if signal.SIGINT in ended:
            raise KeyboardInterrupt
        return {"url": access.site}


def _check_installed() -> None:
    import importlib.util

    if importlib.util.find_spec("viser") is None:
        raise InputError("studio", sys.executable, f"an interpreter with viser: {install_command('studio')}")


def _end_soon(code: int, exit_now: Callable[[int], object] = os._exit) -> None:
    """End the process even where a thread is still computing, such as a terrain that nobody will see."""

    def leave() -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        exit_now(code)

    timer = threading.Timer(END_S, leave)
    timer.daemon = True
    timer.start()
