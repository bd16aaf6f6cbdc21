"""The live preview: on, off, and kept up to date with the model's fields."""

from __future__ import annotations

import contextlib

from regolith.lunar.panel.context import CANCELLED, PanelContext, say
from regolith.lunar.panel.host import LiveSettings, LiveState, Task
from regolith.lunar.perception.model_files import shipped_models


class LiveWork:
    """Starts, changes and stops the host's preview."""

    def __init__(self, context: PanelContext) -> None:
        self._context = context
        self._task: Task | None = None
        self._settings: LiveSettings | None = None
        self.on = False
        """Whether a preview runs or starts."""
        self.state: LiveState | None = None
        """What it is doing."""

    def start(self) -> None:
        """Start a preview."""
        self.on = True
        self._send(self._wanted())

    def stop(self) -> None:
        """Stop it."""
        self.on = False
        self._send(None)

    def _wanted(self) -> LiveSettings:
        good = self._context.values.good
        names = ("opacity", "rock", "outline", "regolith", "legend", "rate_hz")
        path = good["model.path"]
        model = path if path in shipped_models() else str(self._context.absolute(path))
        return LiveSettings(model, **{name: good[f"model.{name}"] for name in names})

    def _send(self, settings: LiveSettings | None) -> None:
        self._settings = settings
        try:
            self._task = self._context.host.set_live(settings)
        except Exception as error:
            self._failed(error)

    def tick(self) -> None:
        """Look at the host's preview; hand it the fields where they have changed."""
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            try:
                task.result()
            except CANCELLED:
                self._stop_host()
                self._ended()
            except Exception as error:
                self._failed(error)
        if self.on and self._task is None:
            wanted = self._wanted()
            if wanted != self._settings:
                self._send(wanted)
        state = self._context.host.live_state() if self.on else None
        if self.on and state is None and self._task is None:
            self._ended()  # the host ended it: its viewport or stage is gone
        if state != self.state:
            self.state = state
            self._context.changed("live")

    def _failed(self, error: Exception) -> None:
        self._context.host.notify(say(error), "error")
        self._stop_host()
        self._ended()

    def _stop_host(self) -> None:
        """End what the host still shows: a button that says Start beside a preview that runs would be a lie."""
        with contextlib.suppress(Exception):  # the failure that led here has been told
            self._context.host.set_live(None)

    def _ended(self) -> None:
        self.on, self._task, self._settings = False, None, None
        if self.state is not None:
            self.state = None
        self._context.changed("live")

    def close(self) -> None:
        """Stop the preview."""
        if self.on:
            self.on = False
            self._context.host.set_live(None)
