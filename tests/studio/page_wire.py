"""A page without a browser: speaks viser's protocol, knows every widget, and can turn them quickly."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import viser
import zstandard
from studio_stand import PATIENCE_S, cookie
from websockets.sync.client import connect
from websockets.typing import Subprotocol

PART_BYTES = 512 * 1024
CAMERA = {
    "wxyz": [1.0, 0.0, 0.0, 0.0], "position": [0.0, 0.0, 1.0], "fov": 1.0, "near": 0.1, "far": 100.0,
    "image_height": 10, "image_width": 10, "look_at": [0.0, 0.0, 0.0], "up_direction": [0.0, 0.0, 1.0],
}  # fmt: skip


class WirePage:
    """A connected page; `widgets` is what it would show after the first messages."""

    def __init__(self, url: str) -> None:
        site = url.partition("?")[0].rstrip("/")
        self._line = connect(
            site.replace("http", "ws", 1), origin=site, subprotocols=[Subprotocol(f"viser-v{viser.__version__}")],  # type: ignore[arg-type]
            additional_headers={"Cookie": cookie(url)}, proxy=None, max_size=None, max_queue=None,
        )  # fmt: skip
        self.widgets: dict[str, dict[str, Any]] = {}
        """Uuid to type, value and properties."""
        self.send("ViewerCameraMessage", **CAMERA)
        while not self._read():
            pass

    def _read(self, timeout: float | None = PATIENCE_S) -> bool:
        """Take in one batch of messages; whether the replay of what is on show has ended with it."""
        data = self._line.recv(timeout)
        assert isinstance(data, bytes)
        size = int.from_bytes(data[8:16], "little")
        batch = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(data[16 : 16 + size]))
        for message in batch["messages"]:
            kind = message["type"]
            if kind == "GuiUpdateMessage" and message["uuid"] in self.widgets:
                self.widgets[message["uuid"]] |= message["updates"]
            elif kind.startswith("Gui") and "Remove" in kind:
                self.widgets.pop(message["uuid"], None)
            elif kind.startswith("Gui") and "props" in message:
                self.widgets[message["uuid"]] = {"type": kind, "value": message.get("value"), **message["props"]}
                self.widgets[message["uuid"]]["container"] = message.get("container_uuid")
        return any(message["type"] == "ReplayDoneMessage" for message in batch["messages"])

    def hidden(self, uuid: str) -> bool:
        """Whether a widget lies in a panel that is not on show."""
        container = self.widgets[uuid]["container"]
        panels = (widget for widget in self.widgets.values() if widget["type"] == "GuiPanelMessage")
        return any(container in panel["_tab_container_ids"] and not panel["visible"] for panel in panels)

    def catch_up(self) -> None:
        """Take in what has come since."""
        try:
            while True:
                self._read(0.05)
        except TimeoutError:
            return

    def send(self, kind: str, **fields: Any) -> None:
        """Send a message as a page does."""
        self._line.send(msgspec.msgpack.encode({"type": kind, **fields}))

    def turn(self, uuid: str, value: Any) -> None:
        """Enter a value into a widget."""
        self.widgets[uuid]["value"] = value
        self.send("GuiUpdateMessage", uuid=uuid, updates={"value": value})

    def upload(self, name: str, content: bytes) -> None:
        """Give a file to the only widget that takes one, in parts as a page does."""
        (uuid,) = (uuid for uuid, widget in self.widgets.items() if widget["type"] == "GuiUploadButtonMessage")
        parts = [content[at : at + PART_BYTES] for at in range(0, len(content), PART_BYTES)]
        ids = {"source_component_uuid": uuid, "transfer_uuid": f"{name} {time.monotonic_ns()}"}
        self.send(
            "FileTransferStartUpload", filename=name, mime_type="image/png", part_count=len(parts),
            size_bytes=len(content), **ids,
        )  # fmt: skip
        for index, part in enumerate(parts):
            self.send("FileTransferPart", part_index=index, content=part, **ids)

    def close(self) -> None:
        self._line.close()
