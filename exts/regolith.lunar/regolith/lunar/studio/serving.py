"""viser behind the studio's guard.

viser has no hook for access checks, takes the next port where one is busy, and believes what pages send. All three are
settled where it hands itself to the websockets library, `websockets.asyncio.server.serve`, which is wrapped while a
server starts. `tests/studio/test_studio_access.py` notices a viser that no longer starts that way.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import io
import logging
import zipfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from regolith.lunar.studio.access import ALWAYS, Access

if TYPE_CHECKING:
    import viser
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

MAX_MESSAGE = 2 * 2**20
"""Largest message a page may send [bytes]: files come in parts of half a mebibyte."""
MAX_UPLOAD = 64 * 2**20
"""Largest file a page may send [bytes]."""
MAX_UPLOADS = 2 * MAX_UPLOAD
"""Most that may be on its way from all pages together [bytes]."""
LEAST_PART = 64 * 2**10
"""Size of the parts a file may at least be sent in [bytes]; pages send half a mebibyte."""
MAX_PAGES = 32
"""Most pages open at a time."""
PATIENCE_S = 90.0
"""How long a page may be silent, as one that a busy machine draws in software is, before it counts as gone [s]."""
UNDERSTOOD = frozenset(
    {
        "CommandTriggerMessage",
        "FileTransferPart",
        "FileTransferStartUpload",
        "GetRenderResponseMessage",
        "GuiButtonHoldMessage",
        "GuiFormDirtyMessage",
        "GuiFormSubmitMessage",
        "GuiUpdateMessage",
        "LocalStorageGetItemResponseMessage",
        "SceneNodeClickMessage",
        "SceneNodeDragMessage",
        "ScenePointerMessage",
        "TransformControlsDragEndMessage",
        "TransformControlsDragStartMessage",
        "TransformControlsUpdateMessage",
        "ViewerCameraMessage",
    }
)
"""Messages a page may send. Not among them: those that would have viser publish the studio on the internet."""

log = logging.getLogger(__name__)


def start_server(access: Access, label: str) -> viser.ViserServer:
    """Start a server on the guard's socket.

    Args:
        access: Decides about every request.
        label: Title of the page's panel.

    Returns:
        The running server, without a word on the terminal.
    """
    import viser

    _open_icons_once()
    with _guarded(access), contextlib.redirect_stdout(io.StringIO()):  # viser tells addresses we have told better
        server = viser.ViserServer(host=access.host, port=access.port, label=label, verbose=False)
    if server.get_port() != access.port:
        server.stop()
        raise RuntimeError("this viser starts its server in a way the studio does not know")
    return server


def stop_server(server: viser.ViserServer) -> None:
    """End a server; pages say that they lost it, and find the next one by themselves."""
    with contextlib.redirect_stdout(io.StringIO()):
        server.stop()


def resend(handle: Any) -> None:
    """Tell all pages a widget's value though it is not a new one; viser leaves that out when it is assigned."""
    from viser._messages import GuiUpdateMessage

    part = handle._impl
    if not part.removed and not part.is_button:
        part.gui_api._websock_interface.queue_message(GuiUpdateMessage(part.uuid, {"value": part.value}))


def _open_icons_once() -> None:
    """Have viser read the table of its archive of icons once: it does for every icon, 20 to 40 ms each."""
    from viser import _gui_api, _gui_handles, _icons

    archive = zipfile.ZipFile(_icons.ICONS_DIR / "tabler-icons.zip")

    @functools.cache
    def read(name: str) -> str:
        return archive.read(f"{name}.svg").decode()

    modules: tuple[Any, ...] = (_gui_api, _gui_handles)
    for module in modules:
        module.svg_from_icon = read


@contextlib.contextmanager
def _guarded(access: Access) -> Iterator[None]:
    """Have viser's server started with our socket, our guard before its own, our limits and our connections."""
    from websockets.asyncio import server as module

    original = module.serve

    def serve(handler: Callable[[ServerConnection], Any], host: str, port: int, **options: Any) -> Any:
        theirs = options.pop("process_request")
        pages = 0

        async def process(connection: ServerConnection, request: Request) -> Response | None:
            answer = await access.answer(connection, request)
            return theirs(connection, request) if answer is None else answer

        def finish(connection: ServerConnection, request: Request, response: Response) -> None:
            for name, value in ALWAYS.items():
                if name not in response.headers:
                    response.headers[name] = value

        async def handle(connection: ServerConnection) -> None:
            nonlocal pages
            asyncio.get_running_loop().set_exception_handler(_say_unhandled)
            if pages >= MAX_PAGES:
                await connection.close(1013, "too many pages are open")
                return
            pages += 1
            try:
                await handler(connection)
            except Exception as error:
                log.warning("a page was let go: %s: %s", type(error).__name__, error)
                await connection.close(1011, "the studio could not go on with this page")
            finally:
                pages -= 1
                uploads.drop(connection)

        uploads = Uploads()
        options |= {"max_size": MAX_MESSAGE, "create_connection": _page_connection(uploads), "logger": _quiet_logger()}
        options |= {"server_header": None, "process_response": finish}
        options |= {"ping_timeout": PATIENCE_S}
        return original(handle, sock=access.socket, process_request=process, **options)

    module.serve = serve
    try:
        yield
    finally:
        module.serve = original


class Uploads:
    """Files on their way from pages. viser believes the size a page states; here each is cut at it."""

    def __init__(self) -> None:
        self._files: dict[tuple[Any, str], _Upload] = {}

    def problem(self, page: Any, fields: dict[str, Any]) -> str:
        """Follow a message of a file; what is wrong with it, empty for nothing.

        Args:
            page: Whose message it is.
            fields: Of a `FileTransferStartUpload` or `FileTransferPart`.
        """
        key = (page, fields["transfer_uuid"])
        if fields["type"] == "FileTransferStartUpload":
            size, parts = fields["size_bytes"], fields["part_count"]
            if not isinstance(size, int) or not 0 <= size <= MAX_UPLOAD:
                return "a file that is too large"
            if not isinstance(parts, int) or not 0 <= parts <= size // LEAST_PART + 1:
                return "a file in too many parts"
            self._files.pop(key, None)
            if size + sum(file.size for file in self._files.values()) > MAX_UPLOADS:
                return "too many files at a time"
            if parts:
                self._files[key] = _Upload(size, parts)
            return ""
        file = self._files.get(key)
        if file is None:
            return "a part of a file that was not announced"
        file.received += len(fields["content"])
        if file.received > file.size:
            return "more of a file than was announced"
        if fields["part_index"] in range(file.parts):
            file.there.add(fields["part_index"])
        if len(file.there) == file.parts:
            del self._files[key]
        return ""

    def drop(self, page: Any) -> None:
        """Forget the files of a page that is gone."""
        for key in [key for key in self._files if key[0] is page]:
            del self._files[key]


@dataclasses.dataclass
class _Upload:
    size: int
    """As it was announced [bytes]."""
    parts: int
    received: int = 0
    there: set[int] = dataclasses.field(default_factory=set)
    """Numbers of the parts that came."""


def _page_connection(uploads: Uploads) -> type[ServerConnection]:
    """Class of connections that hand on only messages of the kinds and shapes a page sends."""
    from websockets.asyncio.server import ServerConnection

    class PageConnection(ServerConnection):
        """One page's websocket."""

        async def recv(self, decode: bool | None = None) -> Any:
            """Return the next message; one that is none ends this connection, and no other."""
            raw = await super().recv(decode)
            problem = message_problem(raw, self, uploads)
            if not problem:
                return raw
            log.warning("a page was let go: %s", problem)
            await self.close(1008, "a message that a studio page does not send")
            return await super().recv(decode)  # raises that it is closed

    return PageConnection


def message_problem(raw: str | bytes, page: Any, uploads: Uploads) -> str:
    """What is wrong with a message of a page; empty for nothing."""
    import msgspec
    from viser._messages import Message

    if isinstance(raw, str):
        return "text where a message should be"
    try:
        fields = msgspec.msgpack.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "a message that cannot be read"
    kind = fields.get("type") if isinstance(fields, dict) else None
    if not isinstance(kind, str) or kind not in UNDERSTOOD:
        return "a message of a kind that pages do not send"
    if kind == "GuiUpdateMessage":
        updates = fields.get("updates")
        if not isinstance(updates, dict) or set(updates) != {"value"}:
            return "an update of something other than a value"
    try:
        Message.deserialize(raw)
        return uploads.problem(page, fields) if kind.startswith("FileTransfer") else ""
    except Exception as error:  # whatever viser makes of fields that are missing, too many or of other types
        return f"{kind}: {type(error).__name__}"


def _say_unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say in a line what viser could not do with a page's message, such as a word where a number should be."""
    error = context.get("exception")
    log.warning("a page's message had no effect: %s", repr(error) if error else context.get("message"))
    log.debug("its traceback", exc_info=error)


def _quiet_logger() -> logging.Logger:
    """Logger of the websockets library that leaves out what any stranger can cause."""
    logger = logging.getLogger(f"{__name__}.connections")
    logger.setLevel(logging.ERROR)
    if not logger.filters:
        logger.addFilter(lambda record: record.getMessage() != "opening handshake failed")
    return logger
