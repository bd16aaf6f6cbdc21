"""Who may talk to the studio: token, cookie, and the Host and Origin a browser names; files of the workspace.

A page of another site can make a browser send requests here, and any user and any program of this machine reach its
loopback address, so that address alone is not enough. What a request has to show:

- *Host* (only on loopback) is this machine by one of its own names: a foreign name that somebody points here (DNS
  rebinding) is refused. Elsewhere the token decides, whose cookie a browser never sends to a foreign name.
- *Token*, unless it is switched off, in the address of the first request; the answer puts a cookie in its place that
  scripts cannot read and that no other site's request carries, and every later request and websocket shows that.
- *Origin* of a websocket is this very server, and nothing else is asked for by a page of another site.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import hmac
import html
import http
import ipaddress
import re
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

from regolith.lunar.params import InputError
from regolith.lunar.studio.workspace import FILES, Workspace, content_type

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

MAX_FILE = 512 * 2**20
"""Largest file of the workspace a page can open [bytes]: an answer is held in memory whole."""
WRONG_TOKEN_S = 0.5
"""How long a wrong token is not answered [s]."""
TOKEN = re.compile(r"[A-Za-z0-9._~-]{12,128}")
NO_SCRIPT = (
    "default-src 'none'; img-src 'self' data:; media-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "font-src 'self' data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content security policy of workspace files: pictures and styles, never a script, however one got into a report."""
PAGE = (
    "default-src 'self' 'unsafe-inline' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "object-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""The same of the page: all in one file, as viser's client is, and nothing from or to anywhere but this server."""
ALWAYS = {
    "Content-Security-Policy": PAGE,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
"""Headers of every answer."""


class Access:
    """The guard of one server, and its socket."""

    def __init__(
        self, host: str, port: int, token: str | None, workspace: Workspace, *, no_token: bool = False
    ) -> None:
        """Take the port.

        Args:
            host: Name or address to listen on.
            port: Port; 0 for a free one.
            token: What the first request has to carry; None makes one up.
            workspace: Its files are served.
            no_token: Let everyone in who reaches the server, which may be this machine alone.

        Raises:
            InputError: The port is taken, the host is not this machine's, the token is too easy to guess, or other
                machines would be let in without one.
        """
        self._workspace = workspace
        self.socket = _listen(host, port)
        address = self.socket.getsockname()
        self.loopback = ipaddress.ip_address(address[0]).is_loopback
        """Whether only this machine reaches the server."""
        self.host, self.port = host, int(address[1])
        if token is not None and not TOKEN.fullmatch(token):
            self.socket.close()
            raise InputError("token", "…", "12 to 128 letters, digits or ._~-")
        if no_token and (token is not None or not self.loopback):
            self.socket.close()
            raise InputError("no-token", True, "an address that only this machine reaches, and no --token beside it")
        self.token = "" if no_token else token or secrets.token_urlsafe(24)
        """What the first address has to carry; empty for nothing."""
        name = socket.gethostname() if ipaddress.ip_address(address[0]).is_unspecified else host
        self.site = f"http://{f'[{name}]' if ':' in name else name}:{self.port}/"
        """Address of the page."""
        self.url = self.site + (f"?token={self.token}" if self.token else "")
        """The same with the token: what a user opens."""
        self._cookie = hmac.new(self.token.encode(), b"regolith studio", hashlib.sha256).hexdigest()
        self._cookie_name = f"regolith_studio_{self.port}"  # browsers share cookies between the ports of a host

    # -- requests -----------------------------------------------------------------------------------------------------

    async def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer a request; None leaves it to the page's own server.

        Args:
            connection: Where it came from.
            request: Its address and headers, also of one that asks for a websocket.
        """
        try:
            host, site, mode = (_single(request, name) for name in ("Host", "Sec-Fetch-Site", "Sec-Fetch-Mode"))
            upgrade, origin = _single(request, "Upgrade").lower(), _single(request, "Origin")
            address, query = _target(request.path)
        except ValueError:
            return _refuse(http.HTTPStatus.BAD_REQUEST, "This request cannot be read.")
        if not host or (self.loopback and _hostname(host) not in self._names()):
            return _refuse(http.HTTPStatus.MISDIRECTED_REQUEST, "The studio does not go by this name.")
        if upgrade and (upgrade != "websocket" or not _same_origin(origin, host)):
            return _refuse(http.HTTPStatus.FORBIDDEN, "Only the studio's own page may connect.")
        if site in ("cross-site", "same-site") and (mode != "navigate" or address.startswith(FILES)):
            return _refuse(http.HTTPStatus.FORBIDDEN, "Only the studio's own page may ask for this.")
        if self.token and not self._has_cookie(request):
            given = parse_qs(query).get("token", [""])[-1]
            if not given or upgrade:
                return _refuse(http.HTTPStatus.UNAUTHORIZED, "Open the whole address the studio printed: ?token=…")
            if not hmac.compare_digest(given.encode(), self.token.encode()):
                await asyncio.sleep(WRONG_TOKEN_S)
                return _refuse(http.HTTPStatus.UNAUTHORIZED, "This token is not the one the studio printed.")
            return self._welcome(address, query)
        if not upgrade and self.token and "token" in parse_qs(query):
            return self._welcome(address, query)  # known already; the token leaves the address all the same
        if not upgrade and address == "/favicon.ico":  # browsers ask for it beside every file they show
            return _response(http.HTTPStatus.NO_CONTENT, b"", "image/x-icon", {"Cache-Control": "max-age=86400"})
        if not upgrade and address.startswith(FILES):
            return await asyncio.to_thread(self._file, address)
        return None

    def _names(self) -> set[str]:
        return {"localhost", "127.0.0.1", "::1", self.host.lower()}

    def _has_cookie(self, request: Request) -> bool:
        for header in request.headers.get_all("Cookie"):
            for pair in header.split(";"):
                name, _, value = pair.strip().partition("=")
                if name == self._cookie_name and hmac.compare_digest(value.encode(), self._cookie.encode()):
                    return True
        return False

    def _welcome(self, address: str, query: str) -> Response:
        """Put the cookie in the token's place, and go on to the same address without it.

        The page goes on by itself: a redirect would still be the request of whoever linked here, with which browsers do
        not send a cookie of this kind.
        """
        others = urlencode([pair for pair in parse_qsl(query) if pair[0] != "token"])
        following = html.escape(quote(address, safe="/%") + (f"?{others}" if others else ""))
        body = (
            '<!doctype html><link rel="icon" href="data:,"><title>Regolith studio</title>'
            f'<meta http-equiv="refresh" content="0;url={following}">'
        )
        cookie = f"{self._cookie_name}={self._cookie}; Path=/; HttpOnly; SameSite=Strict"
        return _response(
            http.HTTPStatus.OK, body.encode(), "text/html; charset=utf-8",
            {"Set-Cookie": cookie, "Cache-Control": "no-store", "Content-Security-Policy": NO_SCRIPT},
        )  # fmt: skip

    def _file(self, address: str) -> Response:
        path = self._workspace.served(address)
        try:
            if path is None or path.stat().st_size > MAX_FILE:
                return _refuse(http.HTTPStatus.NOT_FOUND, "The workspace has no such file.")
            body = path.read_bytes()
        except OSError:
            return _refuse(http.HTTPStatus.NOT_FOUND, "The workspace has no such file.")
        headers = {"Content-Security-Policy": NO_SCRIPT, "Cache-Control": "no-cache"}
        return _response(http.HTTPStatus.OK, body, content_type(Path(path.name)), headers)


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, address = sorted(found, key=lambda entry: entry[0] != socket.AF_INET)[0]
    except (OSError, UnicodeError):
        raise InputError("host", host, "a name or address of this machine") from None
    try:
        return socket.create_server(address, family=family, backlog=64)
    except PermissionError:
        raise InputError("port", port, "a port this user may listen on, 1024 or above") from None
    except OSError as error:
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            raise InputError("host", host, "a name or address of this machine") from None
        raise InputError("port", port, "a free port; another program listens on this one (--port)") from None


def _single(request: Request, name: str) -> str:
    """A header that may come once; empty where it is missing.

    Raises:
        ValueError: It comes more than once.
    """
    found = request.headers.get_all(name)
    if len(found) > 1:
        raise ValueError(name)
    return found[0].strip() if found else ""


def _target(path: str) -> tuple[str, str]:
    """Split a request's target into path and query.

    Raises:
        ValueError: It is not a plain path.
    """
    if not path.startswith("/") or path.startswith("//"):
        raise ValueError(path)
    address, _, query = path.partition("?")
    return address, query


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower().rstrip(".")
    except ValueError:
        return ""


def _same_origin(origin: str, host: str) -> bool:
    """Whether a page's origin is the server its request names; the scheme is that of whoever terminates TLS."""
    scheme, _, rest = origin.lower().partition("://")
    return scheme in ("http", "https") and bool(rest) and rest == host.lower()


def _refuse(status: http.HTTPStatus, text: str) -> Response:
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": NO_SCRIPT}
    return _response(status, f"{text}\n".encode(), "text/plain; charset=utf-8", headers)


def _response(status: http.HTTPStatus, body: bytes, kind: str, headers: dict[str, str]) -> Response:
    from websockets import Headers
    from websockets.http11 import Response

    fixed = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"}
    return Response(status.value, status.phrase, Headers({**fixed, **headers}), body)
