"""Double of omni.usd: one context over a real pxr stage, its events under the real names by the real dispatcher."""

from __future__ import annotations

import asyncio
import enum
import sys
from collections.abc import Callable

import carb.eventdispatcher
from pxr import Tf, Usd, UsdGeom, UsdUtils

CLOSING: list[Callable[[], None]] = []
"""Called when a stage is about to close: what extensions inside Isaac Sim do then."""


class StageEventType(enum.Enum):
    """Events of a context; the value is the last part of the event's name."""

    SAVED = "saved"
    OPENING = "opening"
    OPENED = "opened"
    OPEN_FAILED = "open_failed"
    CLOSING = "closing"
    CLOSED = "closed"
    SELECTION_CHANGED = "selection_changed"
    ASSETS_LOADED = "assets_loaded"


class UsdContext:
    """The default context."""

    __slots__ = ("_loads", "_pending", "_stage", "_url", "refuses")

    def __init__(self) -> None:
        self.refuses = False
        """Whether no stage opens."""
        self._stage: Usd.Stage | None = None
        self._url = ""
        self._pending = False
        self._loads = 0

    def get_name(self) -> str:
        return ""

    def get_stage(self) -> Usd.Stage | None:
        return self._stage

    def get_stage_url(self) -> str:
        return self._url

    def get_stage_id(self) -> int:
        if self._stage is None:
            return -1
        return UsdUtils.StageCache.Get().GetId(self._stage).ToLongInt()

    def is_new_stage(self) -> bool:
        return self._stage is not None and self._url.startswith("anon:")

    def has_pending_edit(self) -> bool:
        return self._pending or (self._stage is not None and not self.is_new_stage() and self._dirty())

    def set_pending_edit(self, edit: bool) -> None:
        self._pending = edit

    def can_open_stage(self) -> bool:
        return True

    def get_stage_loading_status(self) -> tuple[str, int, int]:
        """Message, files loaded, files to load; a stage loads over the first updates after it is opened."""
        self._loads = max(self._loads - 1, 0)
        return "", 0, self._loads

    def stage_event_name(self, event: StageEventType, immediate: bool = False) -> str:
        return f"omni.usd::stage:{event.value}" + (":immediate" if immediate else "")

    def _dirty(self) -> bool:
        return any(layer.dirty for layer in self._stage.GetLayerStack(includeSessionLayers=False))

    def _tell(self, event: StageEventType) -> None:
        carb.eventdispatcher.get_eventdispatcher().dispatch_event(self.stage_event_name(event), payload={})

    def _drop(self) -> None:
        if self._stage is not None:
            if "omni.timeline" in sys.modules and sys.modules["omni.timeline"].get_timeline_interface()._busy():
                raise RuntimeError("here Isaac Sim 6.1 ends by a segmentation fault: the timeline was playing")
            self._tell(StageEventType.CLOSING)
            for hook in CLOSING:
                hook()
            UsdUtils.StageCache.Get().Erase(self._stage)
            self._stage, self._url, self._pending = None, "", False
            self._tell(StageEventType.CLOSED)

    def _take(self, stage: Usd.Stage, url: str) -> None:
        self._drop()
        self._tell(StageEventType.OPENING)
        self._stage, self._url = stage, url
        self._loads = 3
        UsdUtils.StageCache.Get().Insert(stage)
        self._tell(StageEventType.OPENED)
        self._tell(StageEventType.ASSETS_LOADED)

    def new_stage(self) -> bool:
        if self.refuses:
            return False
        stage = Usd.Stage.CreateInMemory()
        UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
        UsdGeom.SetStageMetersPerUnit(stage, 1.0)
        stage.SetDefaultPrim(stage.DefinePrim("/World", "Xform"))
        self._take(stage, stage.GetRootLayer().identifier)
        return True

    def close_stage(self) -> bool:
        self._drop()
        return True

    def open_stage(self, url: str) -> bool:
        try:
            stage = Usd.Stage.Open(url)
        except (Tf.ErrorException, RuntimeError):
            self._tell(StageEventType.OPEN_FAILED)
            return False
        self._take(stage, url)
        return True

    async def new_stage_async(self) -> tuple[bool, str]:
        await asyncio.sleep(0)
        done = self.new_stage()
        return done, "" if done else "the app is busy"

    async def open_stage_async(self, url: str) -> tuple[bool, str]:
        await asyncio.sleep(0)
        done = self.open_stage(url)
        return done, "" if done else f"cannot open {url}"

    async def close_stage_async(self) -> tuple[bool, str]:
        await asyncio.sleep(0)
        return self.close_stage(), ""


_context = UsdContext()


def get_context(name: str = "") -> UsdContext | None:
    return None if name else _context
