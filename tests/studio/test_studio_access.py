"""Who gets in, what they can read, and what a page that misbehaves can do."""

import http.client
import os
import socket
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import viser
from studio_stand import PATIENCE_S, Stand, cookie, until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from regolith.lunar import cli
from regolith.lunar.params import InputError
from regolith.lunar.studio import serving
from regolith.lunar.studio.access import NO_SCRIPT, Access
from regolith.lunar.studio.serving import start_server, stop_server
from regolith.lunar.studio.workspace import Workspace

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory) -> Iterator[Access]:
    """A server that wants a token."""
    access = Access("127.0.0.1", 0, TOKEN, Workspace(tmp_path_factory.mktemp("guarded")))
    server = start_server(access, "Guarded")
    yield access
    stop_server(server)


def get(access: Access, path: str, *, host: str | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one request, sent byte for byte."""
    connection = http.client.HTTPConnection("127.0.0.1", access.port, timeout=PATIENCE_S)
    connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
    if host != "":
        connection.putheader("Host", host or f"127.0.0.1:{access.port}")
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def known(stand: Stand, path: str, **headers: Any) -> tuple[int, dict[str, str], bytes]:
    """The same of a browser that has been to the printed address."""
    return get(stand.access, path, Cookie=cookie(stand.url), **headers)


def page_socket(access: Access, origin: str | None = "", **headers: str) -> ClientConnection:
    """A websocket as a studio page opens it, without its cookie."""
    own = f"http://127.0.0.1:{access.port}"
    return connect(
        own.replace("http", "ws"), origin=None if origin is None else origin or own,  # type: ignore[arg-type]
        subprotocols=[Subprotocol(f"viser-v{viser.__version__}")], additional_headers=headers, proxy=None,
        max_size=None,
    )  # fmt: skip


def known_socket(stand: Stand, origin: str | None = "") -> ClientConnection:
    """A websocket as a studio page opens it."""
    return page_socket(stand.access, origin, Cookie=cookie(stand.url))


def message(kind: str, **fields: Any) -> bytes:
    return msgspec.msgpack.encode({"type": kind, **fields})


CAMERA = {
    "wxyz": [1.0, 0.0, 0.0, 0.0], "position": [0.0, 0.0, 1.0], "fov": 1.0, "near": 0.1, "far": 100.0,
    "image_height": 10, "image_width": 10, "look_at": [0.0, 0.0, 0.0], "up_direction": [0.0, 0.0, 1.0],
}  # fmt: skip


# -- token -------------------------------------------------------------------------------------------------------------


def test_token_becomes_a_cookie_that_opens_page_files_and_socket(guarded: Access) -> None:
    (guarded._workspace.root / "note.txt").write_text("hello")
    status, headers, body = get(guarded, f"/?token={TOKEN}")
    assert status == 200 and TOKEN.encode() not in body and headers["referrer-policy"] == "no-referrer"
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Strict"} and TOKEN not in cookie
    assert str(guarded.port) in cookie.partition("=")[0]  # two studios on a machine do not log each other out
    assert get(guarded, "/", Cookie=cookie)[0] == 200
    assert get(guarded, "/files/note.txt", Cookie=f"other=1; {cookie}")[2] == b"hello"
    assert get(guarded, "/favicon.ico", Cookie=cookie)[::2] == (204, b"")
    with page_socket(guarded, Cookie=cookie) as page:
        page.send(message("ViewerCameraMessage", **CAMERA))
        assert page.recv(PATIENCE_S)


@pytest.mark.parametrize("path", ["/", "/files/note.txt", "/?token=", "/?token=a-token-of-some-lengtH", "/assets/x.js"])
def test_without_the_token_there_is_nothing(guarded: Access, path: str) -> None:
    (guarded._workspace.root / "note.txt").write_text("hello")
    status, headers, body = get(guarded, path)
    assert status == 401 and "set-cookie" not in headers and len(body) < 100
    assert get(guarded, path, Cookie=f"regolith_studio_{guarded.port}={'0' * 64}")[0] == 401


def test_no_socket_without_the_cookie(guarded: Access) -> None:
    for headers in ({}, {"Cookie": f"regolith_studio_{guarded.port}={TOKEN}"}):
        with pytest.raises(InvalidStatus, match="401"):
            page_socket(guarded, **headers)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_token_is_made_up_at_every_start(tmp_path: Path, host: str) -> None:
    access = Access(host, 0, None, Workspace(tmp_path))
    try:
        assert access.loopback == (host != "0.0.0.0")
        assert len(access.token) >= 32 and access.url.endswith(f"?token={access.token}")
        again = Access(host, 0, None, Workspace(tmp_path))
        again.socket.close()
        assert again.token != access.token
    finally:
        access.socket.close()


@pytest.mark.parametrize(("host", "token"), [("0.0.0.0", None), ("127.0.0.1", TOKEN)])
def test_no_token_is_for_this_machine_alone(tmp_path: Path, host: str, token: str | None) -> None:
    with pytest.raises(InputError, match="only this machine reaches"):
        Access(host, 0, token, Workspace(tmp_path), no_token=True)


def test_without_a_token_the_page_is_there_for_all_of_this_machine(tmp_path: Path) -> None:
    access = Access("127.0.0.1", 0, None, Workspace(tmp_path), no_token=True)
    server = start_server(access, "Open")
    try:
        assert access.url == access.site and get(access, "/")[0] == 200
        assert get(access, "/", host="evil.example")[0] == 421
        with page_socket(access) as page:
            page.send(message("ViewerCameraMessage", **CAMERA))
            assert page.recv(PATIENCE_S)
        with pytest.raises(InvalidStatus, match="403"):
            page_socket(access, "http://evil.example")
    finally:
        stop_server(server)


@pytest.mark.parametrize(
    ("path", "following"),
    [("/?token={}", "/"), ("/?a=1&token={}&b=%22%3E", "/?a=1&amp;b=%22%3E"), ("/x'\"<y?token={}", "/x%27%22%3Cy"),
     ("/files/a%20b.txt?token={}", "/files/a%20b.txt")],
)  # fmt: skip
def test_the_token_leaves_the_address(guarded: Access, path: str, following: str) -> None:
    """So no history, no Referer and no screenshot of the page holds it; the rest of the address stays."""
    for cookies in ({}, {"Cookie": cookie(guarded.url)}):
        status, headers, body = get(guarded, path.format(TOKEN), **cookies)
        assert status == 200 and headers["cache-control"] == "no-store" and headers["referrer-policy"] == "no-referrer"
        assert f'content="0;url={following}"' in body.decode() and TOKEN not in body.decode()


@pytest.mark.parametrize("token", ["", "short", "a token with spaces", "x" * 129, "ümläut-ümläut-ümläut"])
def test_a_token_that_is_easy_to_guess_or_breaks_an_address_is_refused(tmp_path: Path, token: str) -> None:
    with pytest.raises(InputError, match="12 to 128") as error:
        Access("127.0.0.1", 0, token, Workspace(tmp_path))
    assert not token or token not in str(error.value)


# -- host and origin ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "169.254.169.254", ""])
def test_a_foreign_name_for_this_machine_is_refused(stand: Stand, host: str) -> None:
    assert known(stand, "/", host=host)[0] in (400, 421)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9999", "LOCALHOST:1", "[::1]:80"])
def test_own_names_pass_at_any_port_as_through_a_tunnel(stand: Stand, host: str) -> None:
    assert known(stand, "/", host=host)[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1", "http://localhost:{port}", None])
def test_a_socket_is_only_for_the_studios_own_page(stand: Stand, origin: str | None) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        known_socket(stand, origin and origin.format(port=stand.access.port))


def test_pages_of_other_sites_get_nothing_but_the_way_to_the_page(stand: Stand) -> None:
    (stand.workspace.root / "note.txt").write_text("hello")
    for site in ("cross-site", "same-site"):
        assert known(stand, "/files/note.txt", Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors")[0] == 403
        assert known(stand, "/files/note.txt", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate")[0] == 403
        assert known(stand, "/", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate")[0] == 200
    assert known(stand, "/files/note.txt", Sec_Fetch_Site="same-origin")[0] == 200


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(stand: Stand, tmp_path: Path) -> Path:
    """A workspace with a report, a secret outside it, and ways between them."""
    root = stand.workspace.root
    (tmp_path / "secret.txt").write_text("secret")
    report = root / "a run" / "card.html"
    report.parent.mkdir(exist_ok=True)
    report.write_text("<script>alert(1)</script>")
    for name, target in (("link", tmp_path / "secret.txt"), ("folder", tmp_path), ("loop", root / "loop")):
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(target)
    return root


ESCAPES = [
    "../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "a%20run/../../secret.txt", "..%5csecret.txt",
    "%252e%252e/secret.txt", "//etc/passwd", "%2fetc%2fpasswd", "link", "folder/secret.txt", "loop", "a%00b", "",
    ".studio/state.json", "a%20run", "a%20run/", "./a%20run/card.html", "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("name", ESCAPES, ids=lambda name: name[:30])
def test_files_outside_or_of_the_studio_itself_are_not_there(stand: Stand, tree: Path, name: str) -> None:
    assert known(stand, f"/files/{name}")[0] in (404, 400)


@pytest.mark.parametrize("path", ["/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "http://x/"])
def test_the_pages_own_files_are_no_way_out_either(stand: Stand, path: str) -> None:
    assert known(stand, path)[0] in (400, 404)


def test_a_report_is_shown_but_cannot_run_scripts(stand: Stand, tree: Path) -> None:
    path = urllib.parse.urlsplit(stand.workspace.url(tree / "a run" / "card.html")).path
    status, headers, body = known(stand, path)
    assert status == 200 and body.startswith(b"<script>") and headers["content-type"] == "text/html; charset=utf-8"
    assert headers["content-security-policy"] == NO_SCRIPT and "script-src" not in NO_SCRIPT
    assert "default-src 'none'" in NO_SCRIPT and headers["x-content-type-options"] == "nosniff"


def test_the_browser_keeps_scripts_of_a_report_from_running(stand: Stand, tabs) -> None:
    (stand.workspace.root / "script.html").write_text(
        "<title>quiet</title><p>report</p><script>document.title = 'ran'</script>"
        "<img src=x onerror=document.title='ran'>"
    )
    page = tabs.open(stand.url.replace("?", "files/script.html?"), wait=False)
    page.get_by_text("report").wait_for()
    assert page.title() == "quiet"
    assert len(tabs.problems) >= 2 and all("Content Security Policy" in p or "404" in p for p in tabs.problems)
    tabs.problems.clear()


@pytest.mark.parametrize("path", ["../x", "/etc/x", "link/x", "a/../../x", "a\0b", "folder/x", "loop/x"])
def test_a_path_to_write_stays_inside(stand: Stand, tree: Path, path: str) -> None:
    with pytest.raises(InputError, match="inside the workspace"):
        stand.workspace.inside(path)


def test_paths_inside_are_resolved(stand: Stand, tree: Path) -> None:
    assert stand.workspace.inside("new/folder") == tree / "new" / "folder"
    assert stand.workspace.inside(tree / "a run" / ".." / "x") == tree / "x"


# -- a workspace of somebody else's ------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("name", [".", ".studio", ".studio/runs", ".studio/state.json"])
def test_a_workspace_of_another_user_is_said_first(tmp_path: Path, capsys, monkeypatch, name: str) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    root = Workspace(tmp_path / "w").root
    os.chown(root / name, 54321, -1)
    before = sorted(root.rglob("*"))
    assert cli.main(["studio", "--workspace", str(root), "--port", "0"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"regolith: workspace: '{(root / name).resolve()}, which belongs to user 54321'")
    assert "--trust-workspace" in line and sorted(root.rglob("*")) == before
    assert Workspace(root, trust=True).root == root


@pytest.mark.parametrize("name", [".studio", ".studio/runs", ".studio/state.json"])
def test_ways_out_of_a_workspace_are_refused(tmp_path: Path, name: str) -> None:
    """A link where the studio writes would have it write elsewhere."""
    root = Workspace(tmp_path / "w").root
    (root / name).rename(tmp_path / "elsewhere")
    (root / name).symlink_to(tmp_path / "elsewhere")
    for trust in (False, True):
        with pytest.raises(InputError, match="no link"):
            Workspace(root, trust=trust)


# -- messages ----------------------------------------------------------------------------------------------------------

UPDATE = {"uuid": "u", "updates": {"value": 1}}
BROKEN = {
    "text": "hello",
    "no message": b"\xff\xff\xff",
    "empty": b"",
    "a number": msgspec.msgpack.encode(3),
    "deep": b"\x91" * 100_000,
    "no kind": msgspec.msgpack.encode({"uuid": "u"}),
    "kind of another type": msgspec.msgpack.encode({"type": ["x"]}),
    "unknown kind": message("NoSuchMessage"),
    "one the server sends": message("ResetGuiMessage"),
    "publish": message("ShareUrlRequest"),
    "fields missing": message("GuiUpdateMessage"),
    "fields too many": message("GuiUpdateMessage", **UPDATE, more=1),
    "updates of another type": message("GuiUpdateMessage", uuid="u", updates=[1]),
    "another property": message("GuiUpdateMessage", uuid="u", updates={"update_cb": []}),
    "camera of words": message("ViewerCameraMessage", **{**CAMERA, "fov": "wide"}),
    "huge file": message("FileTransferStartUpload", source_component_uuid="u", transfer_uuid="t", filename="f",
                         mime_type="image/png", part_count=1, size_bytes=2**40),
    "too long": b"\0" * (serving.MAX_MESSAGE + 1),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_message_ends_its_own_connection_only(stand: Stand, caplog, name: str) -> None:
    with known_socket(stand) as good, known_socket(stand) as bad:
        bad.send(BROKEN[name])
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                bad.recv(PATIENCE_S)
        assert closed.value.rcvd is not None and closed.value.rcvd.code in (1008, 1009)
        good.send(message("ViewerCameraMessage", **CAMERA))
        until(stand.server.get_clients)
        good.ping().wait(PATIENCE_S)
    assert not [record for record in caplog.records if record.exc_info]
    until(lambda: not stand.server._websock_server._client_state_from_id)


@pytest.mark.parametrize("case", ["beyond its size", "not announced", "many parts", "many files", "part of a word"])
def test_an_upload_is_cut_at_its_real_size(stand: Stand, case: str) -> None:
    """What is kept of a file is at most what was announced, and of all files at most `MAX_UPLOADS`."""
    button = stand.on(lambda: stand.server.gui.add_upload_button("Upload"))
    came: list[int] = []
    button.on_upload(lambda event: came.append(len(event.target.value.content)))
    ids = {"source_component_uuid": button._impl.uuid, "transfer_uuid": "t"}
    start = {"filename": "f", "mime_type": "image/png", "part_count": 8, "size_bytes": 8 * 2**19} | ids
    kept = stand.server.gui._current_file_upload_states
    with known_socket(stand) as page, pytest.raises(ConnectionClosed) as closed:
        page.send(message("ViewerCameraMessage", **CAMERA))
        if case == "beyond its size":
            page.send(message("FileTransferStartUpload", **start | {"part_count": 1, "size_bytes": 10}))
            page.send(message("FileTransferPart", part_index=0, content=b"x" * 2**19, **ids))
        elif case == "not announced":
            page.send(message("FileTransferPart", part_index=0, content=b"x" * 2**19, **ids))
        elif case == "many parts":
            page.send(message("FileTransferStartUpload", **start | {"part_count": 2**19}))
        elif case == "many files":
            for number in range(3):
                large = {"size_bytes": serving.MAX_UPLOAD, "transfer_uuid": str(number)}
                page.send(message("FileTransferStartUpload", **start | large))
        else:
            page.send(message("FileTransferStartUpload", **start))
            page.send(message("FileTransferPart", part_index="first", content=b"x", **ids))
            page.send(message("FileTransferPart", part_index=0, content=3, **ids))
        while True:
            page.recv(PATIENCE_S)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008 and not came
    until(lambda: not kept)
    with known_socket(stand) as page:  # and the next one is none the worse
        page.send(message("ViewerCameraMessage", **CAMERA))
        page.send(message("FileTransferStartUpload", **start))
        for index in range(8):
            page.send(message("FileTransferPart", part_index=index, content=b"x" * 2**19, **ids))
        until(lambda: came)
    assert came == [8 * 2**19] and not kept


def test_a_value_that_does_not_fit_its_widget_changes_nothing(stand: Stand, caplog) -> None:
    number = stand.on(lambda: stand.server.gui.add_number("Number", 1.5))
    with known_socket(stand) as page:
        page.send(message("ViewerCameraMessage", **CAMERA))
        page.send(message("GuiUpdateMessage", uuid=number._impl.uuid, updates={"value": "many"}))
        until(lambda: any("had no effect" in record.getMessage() for record in caplog.records))
        page.send(message("GuiUpdateMessage", uuid=number._impl.uuid, updates={"value": 2}))
        until(lambda: number.value == 2.0)
    assert not [record for record in caplog.records if record.exc_info]


def test_pages_that_vanish_leave_nothing(stand: Stand) -> None:
    for _ in range(8):
        page = known_socket(stand)
        page.socket.shutdown(socket.SHUT_RDWR)
    until(lambda: not stand.server._websock_server._client_state_from_id)


def test_too_many_pages_are_turned_away(stand: Stand, monkeypatch) -> None:
    monkeypatch.setattr(serving, "MAX_PAGES", 2)
    pages = [known_socket(stand) for _ in range(3)]
    with pytest.raises(ConnectionClosed, match="too many pages"):
        pages[2].recv(PATIENCE_S)
    for page in pages:
        page.close()
    until(lambda: not stand.server._websock_server._client_state_from_id)


@pytest.mark.parametrize("garbage", [b"\0" * 100, b"GET / HTTP/9\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n", b"GET", b""])
def test_garbage_on_the_port_is_nothing_to_speak_of(stand: Stand, caplog, garbage: bytes) -> None:
    with socket.create_connection(("127.0.0.1", stand.access.port)) as line:
        line.sendall(garbage)
        line.shutdown(socket.SHUT_WR)
        line.settimeout(PATIENCE_S)
        while line.recv(4096):
            pass
    assert known(stand, "/")[0] == 200
    assert not caplog.records


# -- start -------------------------------------------------------------------------------------------------------------


def test_viser_still_starts_the_way_the_guard_needs(stand: Stand) -> None:
    """A new viser that hands itself to the websockets library otherwise would run without the guard."""
    assert stand.server.get_port() == stand.access.port
    server = stand.server._websock_server
    handlers = {kind.__name__ for kind in server._incoming_handlers}
    assert handlers - {"ShareUrlRequest", "ShareUrlDisconnect"} <= serving.UNDERSTOOD
    from viser import _messages

    assert all(hasattr(_messages, name) for name in serving.UNDERSTOOD)


REFUSED = [
    (["--port", "{taken}"], "port: {taken}", "a free port; another program listens on this one (--port)"),
    (["--host", "no.such.host.invalid"], "host: 'no.such.host.invalid'", "a name or address of this machine"),
    (["--host", "192.0.2.1"], "host: '192.0.2.1'", "a name or address of this machine"),
    (["--token", "abc"], "token: '…'", "12 to 128 letters, digits or ._~-"),
    (["--preset", "v9"], "preset: 'v9'", "boulders, v1, v2, v3, v4, v5, wide"),
    (["--size", "9"], "size: '9'", "SIDE or WIDTHxHEIGHT in pixels, each 16 … 4096"),
    (["--workspace", "/proc/no"], "workspace: '/proc/no'", "a folder that can be written (No such file or directory)"),
]


@pytest.mark.parametrize(("options", "what", "allowed"), REFUSED, ids=[case[1].split(":")[0] for case in REFUSED])
def test_what_cannot_be_served_is_one_line(tmp_path, monkeypatch, capsys, options, what: str, allowed: str) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as busy:
        taken = str(busy.getsockname()[1])
        assert cli.main(["studio", *(option.format(taken=taken) for option in options)]) == 2
    line = f"regolith: {what.format(taken=taken)} is not allowed; allowed: {allowed}"
    assert capsys.readouterr().err.rstrip("\n") == line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may listen on any port")
def test_a_port_of_the_system_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="1024 or above"):
        Access("127.0.0.1", 80, None, Workspace(tmp_path))
