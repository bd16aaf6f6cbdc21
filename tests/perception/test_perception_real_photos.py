"""Photographs are fetched whole from servers that stall, break off, lie or are not there, and never half."""

from __future__ import annotations

import http.server
import io
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from power_cut import crash, rerun, seen

from regolith.lunar.cli import parse_verb
from regolith.lunar.params import CheckError, InputError
from regolith.lunar.perception import real_photos
from regolith.lunar.perception.photos import find_photos
from regolith.lunar.perception.real_photos import MANIFEST, Fetcher, Photograph, RealPhotos, read_manifest
from regolith.lunar.stage.spec import rng

PUBLISHED = [
    "jsc2008e040725",
    "as11-37-5505",
    "6901250",
    "jsc2011e118358",
    "as14-64-9118",
    "as14-64-9103",
    "as14-68-9453",
    "as14-64-9135",
    "as15-85-11451",
    "as15-85-11437",
    "as16-107-17573",
    "as16-116-18671",
    "as16-117-18728",
    "as17-137-20910",
    "as17-140-21438",
    "as17-140-21496",
    "as17-145-22183",
    "as17-137-20972",
    "PIA02976",
]


def encode_picture(seed: int, size: tuple[int, int] = (260, 300), kind: str = "JPEG") -> bytes:
    pixels = rng(seed, "photo").integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer := io.BytesIO(), kind)
    return buffer.getvalue()


PICTURE = encode_picture(1)
Answer = Callable[[http.server.BaseHTTPRequestHandler, int], None]


@pytest.fixture
def server() -> Iterator[SimpleNamespace]:
    """A server whose answer to the n-th request for a path is what a test put there; the last one repeats."""
    answers: dict[str, list[Answer]] = {}
    requests: dict[str, list[dict[str, str]]] = defaultdict(list)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen = requests[self.path]
            seen.append(dict(self.headers.items()))
            self.close_connection = True
            queue = answers.get(self.path, [status(404)])
            queue[min(len(seen), len(queue)) - 1](self, len(seen))

        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{httpd.server_port}", answers=answers, requests=requests)
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def send(data: bytes, *, kind: str = "image/jpeg", tag: str = '"a"', stop: int | None = None) -> Answer:
    """Answer as a file server does, ranges included; only up to byte `stop` of the file."""

    def answer(handler: http.server.BaseHTTPRequestHandler, _: int) -> None:
        start, asked = 0, handler.headers.get("Range")
        if asked and handler.headers.get("If-Range") == tag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("ETag", tag)
        handler.send_header("Content-Length", str(len(data) - start))
        handler.end_headers()
        handler.wfile.write(data[start:stop])
        handler.wfile.flush()

    return answer


def status(code: int, **headers: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def photograph(*urls: str, name: str = "as11-1") -> Photograph:
    page = "https://images.nasa.gov/details/as11-1"
    return Photograph(id=name, mission="Apollo 11", shows="x", page=page, urls=list(urls), credit="NASA", basis="x")


def fetcher(folder: Path, waits: list[float] | None = None, **options: float) -> Fetcher:
    sleep = (lambda _: None) if waits is None else waits.append
    return Fetcher(folder, sleep=sleep, **({"retries": 3, "timeout_s": 60.0} | options))  # type: ignore[arg-type]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_manifest_is_the_published_list() -> None:
    rows = read_manifest(MANIFEST)
    assert [row.id for row in rows[:19]] == PUBLISHED
    assert len(rows) == 21 and all(row.mission == "Surveyor 7" for row in rows[19:])
    for row in rows:
        assert "17 U.S.C. 105" in row.basis and row.page.startswith("https://")
        assert all(url.startswith("https://") for url in row.urls)
        assert row.urls[0].count(row.id) == 2 or row.mission == "Surveyor 7"


def test_whole_file_is_fetched_once(server: SimpleNamespace, tmp_path: Path) -> None:
    server.answers["/a.jpg"] = [send(PICTURE)]
    row = fetcher(tmp_path).fetch(photograph(f"{server.url}/a.jpg"))
    assert (row["status"], row["file"], row["width"], row["height"]) == ("fetched", "as11-1.jpg", 300, 260)
    assert (tmp_path / "as11-1.jpg").read_bytes() == PICTURE and names(tmp_path) == ["as11-1.jpg"]
    again = fetcher(tmp_path).fetch(photograph(f"{server.url}/a.jpg"))
    assert again["status"] == "present" and again["sha256"] == row["sha256"]
    assert len(server.requests["/a.jpg"]) == 1
    (tmp_path / "as11-1.jpg").write_bytes(PICTURE[:5000])
    assert fetcher(tmp_path).fetch(photograph(f"{server.url}/a.jpg"))["status"] == "fetched"
    assert (tmp_path / "as11-1.jpg").read_bytes() == PICTURE


def test_ending_is_that_of_the_content(server: SimpleNamespace, tmp_path: Path) -> None:
    server.answers["/a.jpg"] = [send(encode_picture(2, kind="PNG"), kind="application/octet-stream")]
    assert fetcher(tmp_path).fetch(photograph(f"{server.url}/a.jpg"))["file"] == "as11-1.png"


def test_broken_off_file_is_gone_on_with(server: SimpleNamespace, tmp_path: Path) -> None:
    third, half = len(PICTURE) // 3, len(PICTURE) // 2
    server.answers["/a.jpg"] = [send(PICTURE, stop=third), send(PICTURE, stop=half), send(PICTURE)]
    waits: list[float] = []
    row = fetcher(tmp_path, waits).fetch(photograph(f"{server.url}/a.jpg"))
    assert row["status"] == "fetched" and (tmp_path / "as11-1.jpg").read_bytes() == PICTURE
    ranges = [request.get("Range") for request in server.requests["/a.jpg"]]
    assert ranges == [None, f"bytes={third}-", f"bytes={half}-"]
    assert waits == [1.0, 2.0] and names(tmp_path) == ["as11-1.jpg"]


def test_a_part_never_gets_the_tag_of_another_file(
    server: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends between the two leaves nothing of the older file to go on with."""
    newer = encode_picture(3)
    server.answers["/a.jpg"] = [send(PICTURE, stop=7000), send(newer, tag='"b"')]
    asked = photograph(f"{server.url}/a.jpg")
    assert fetcher(tmp_path, retries=1).fetch(asked)["status"] == "failed"
    remember = real_photos._remember

    def end(*fields: Any) -> None:
        remember(*fields)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(real_photos, "_remember", end)
        fetcher(tmp_path).fetch(asked)
    assert fetcher(tmp_path).fetch(asked)["status"] == "fetched"
    assert (tmp_path / "as11-1.jpg").read_bytes() == newer


def test_a_crash_at_any_flush(server: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each photograph, and their list, is whole or not there; the same command again fetches what is missing."""
    rows = [photograph(f"{server.url}/{name}.jpg", name=name) for name in ("a", "b")]
    for number, row in enumerate(rows):
        server.answers[f"/{row.id}.jpg"] = [send(encode_picture(number))]
    (tmp_path / "list.json").write_text(json.dumps({"photographs": [row.model_dump() for row in rows]}))

    def fetch(folder: Path) -> dict[str, Any]:
        return RealPhotos(download=folder, manifest=tmp_path / "list.json").run()

    (tmp_path / "disk").mkdir()
    before, after, states = crash(tmp_path / "disk", lambda: fetch(tmp_path / "disk"), monkeypatch)
    assert len(states) > 8 and not before and set(after) == {"a.jpg", "b.jpg", "photographs.json"}
    for state in map(seen, states):
        assert all(data == after[name] for name, data in state.items() if not name.startswith("."))

    def again(place: Path) -> None:
        found = {row["id"]: row["status"] for row in fetch(place)["photographs"]}
        assert found["a"] == "present" and {name: (place / name).read_bytes() for name in ("a.jpg", "b.jpg")} == {
            name: after[name] for name in ("a.jpg", "b.jpg")
        }
        assert names(place) == sorted(after)

    rerun([state for state in states if "a.jpg" in state and state != after], tmp_path, again, most=9)


def test_a_later_run_goes_on(server: SimpleNamespace, tmp_path: Path) -> None:
    server.answers["/a.jpg"] = [send(PICTURE, stop=7000), send(PICTURE)]
    first = fetcher(tmp_path, retries=1).fetch(photograph(f"{server.url}/a.jpg"))
    assert first["status"] == "failed" and f"broke off after 7000 of {len(PICTURE)} bytes" in first["reason"]
    assert find_photos_or_none(tmp_path) == []
    assert fetcher(tmp_path, retries=1).fetch(photograph(f"{server.url}/a.jpg"))["status"] == "fetched"
    assert server.requests["/a.jpg"][1]["Range"] == "bytes=7000-"
    assert (tmp_path / "as11-1.jpg").read_bytes() == PICTURE


def find_photos_or_none(folder: Path) -> list[Path]:
    try:
        return find_photos(folder)
    except InputError:
        return []


def test_a_file_that_changed_is_not_mixed(server: SimpleNamespace, tmp_path: Path) -> None:
    other = encode_picture(3)
    server.answers["/a.jpg"] = [send(PICTURE, stop=9000), send(other, tag='"b"')]
    assert fetcher(tmp_path).fetch(photograph(f"{server.url}/a.jpg"))["status"] == "fetched"
    assert (tmp_path / "as11-1.jpg").read_bytes() == other


def test_without_a_tag_it_starts_over(server: SimpleNamespace, tmp_path: Path) -> None:
    """Nothing tells whether the file is still the same one, so its first half is not trusted."""
    server.answers["/a.jpg"] = [send(PICTURE, tag="", stop=9000), send(PICTURE, tag="")]
    assert fetcher(tmp_path).fetch(photograph(f"{server.url}/a.jpg"))["status"] == "fetched"
    assert "Range" not in server.requests["/a.jpg"][1]


def test_wrong_range_is_not_taken(server: SimpleNamespace, tmp_path: Path) -> None:
    def lie(handler: http.server.BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(206)
        for name, value in {"Content-Type": "image/jpeg", "Content-Range": "bytes 0-9/10"}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(PICTURE)))
        handler.end_headers()
        handler.wfile.write(PICTURE)

    server.answers["/a.jpg"] = [send(PICTURE, stop=9000), lie, send(PICTURE)]
    assert fetcher(tmp_path).fetch(photograph(f"{server.url}/a.jpg"))["status"] == "fetched"
    assert (tmp_path / "as11-1.jpg").read_bytes() == PICTURE


def test_silent_server_is_asked_again(server: SimpleNamespace, tmp_path: Path) -> None:
    """The first answer goes silent until the second has been asked for."""
    again, heard = threading.Event(), []

    def silent(handler: http.server.BaseHTTPRequestHandler, number: int) -> None:
        send(PICTURE, stop=4000)(handler, number)
        heard.append(again.wait(240.0))

    def second(handler: http.server.BaseHTTPRequestHandler, number: int) -> None:
        again.set()
        send(PICTURE)(handler, number)

    server.answers["/a.jpg"] = [silent, second]
    row = fetcher(tmp_path, timeout_s=2.0).fetch(photograph(f"{server.url}/a.jpg"))
    assert row["status"] == "fetched" and False not in heard
    assert server.requests["/a.jpg"][1]["Range"] == "bytes=4000-"


def test_dribbling_server_is_given_up(server: SimpleNamespace, tmp_path: Path) -> None:
    def dribble(handler: http.server.BaseHTTPRequestHandler, _: int) -> None:
        send(PICTURE, stop=0)(handler, 1)
        try:
            for place in range(0, 200, 10):
                handler.wfile.write(PICTURE[place : place + 10])
                handler.wfile.flush()
                time.sleep(0.05)
        except OSError:
            pass  # the client has gone, as it should

    server.answers["/a.jpg"] = [dribble]
    urls = (f"{server.url}/a.jpg", f"{server.url}/b.jpg")
    row = fetcher(tmp_path, limit_s=0.3).fetch(photograph(*urls))
    assert row["status"] == "failed" and "took longer than 0.3 s" in row["reason"]
    assert len(server.requests["/a.jpg"]) == 1 and not server.requests["/b.jpg"]


def test_missing_file_is_taken_from_the_next_address(server: SimpleNamespace, tmp_path: Path) -> None:
    server.answers["/b.jpg"] = [send(PICTURE)]
    waits: list[float] = []
    row = fetcher(tmp_path, waits).fetch(photograph(f"{server.url}/a.jpg", f"{server.url}/b.jpg"))
    assert row["status"] == "fetched" and row["url"].endswith("/b.jpg")
    assert len(server.requests["/a.jpg"]) == 1 and waits == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status(404), "answered 404"),
        (send(b"<html>not here</html>", kind="text/html"), "sent text/html, no image"),
        (send(b"<html>not here</html>"), "sent no usable photograph"),
        (send(encode_picture(4, (64, 64))), "sent no usable photograph (64×64 px)"),
        (send(PICTURE[:20000]), "sent no usable photograph (damaged)"),
        (send(encode_picture(4, kind="BMP"), kind="image/bmp"), "sent no usable photograph (BMP)"),
    ],
    ids=["404", "html", "html as jpeg", "placeholder", "cut file", "other format"],
)
def test_what_is_no_photograph_leaves_nothing(
    server: SimpleNamespace, tmp_path: Path, answer: Answer, reason: str
) -> None:
    server.answers["/a.jpg"] = [answer]
    row = fetcher(tmp_path).fetch(photograph(f"{server.url}/a.jpg"))
    assert row["status"] == "failed" and reason in row["reason"]
    assert names(tmp_path) == []


def test_busy_server_is_waited_for(server: SimpleNamespace, tmp_path: Path) -> None:
    server.answers["/a.jpg"] = [status(503, Retry_After="7"), status(500), send(PICTURE)]
    waits: list[float] = []
    assert fetcher(tmp_path, waits).fetch(photograph(f"{server.url}/a.jpg"))["status"] == "fetched"
    assert waits == [7.0, 2.0]


def test_host_that_is_not_there_is_asked_once(tmp_path: Path) -> None:
    waits: list[float] = []
    one = fetcher(tmp_path, waits)
    for name in ("a", "b", "c"):
        row = one.fetch(photograph("http://127.0.0.1:9/a.jpg", "http://127.0.0.1:9/b.jpg", name=name))
        assert row["status"] == "failed" and "could not be reached" in row["reason"]
    assert len(waits) == 2


def write_manifest(path: Path, *photographs: Photograph) -> Path:
    path.write_text(json.dumps({"photographs": [photograph.model_dump() for photograph in photographs]}))
    return path


def test_verb_fetches_what_it_can_and_names_the_rest(
    server: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["/a.jpg"] = [send(PICTURE)]
    manifest = write_manifest(
        tmp_path / "list.json", photograph(f"{server.url}/a.jpg"), photograph(f"{server.url}/b.jpg", name="b")
    )
    verb = RealPhotos(download=tmp_path / "out", manifest=manifest, retries=1, events=True)
    with pytest.raises(CheckError, match=r"not fetched: 1 of 2 photographs\n  b: .*404.*see https://") as caught:
        verb.run()
    assert caught.value.result is not None
    assert verb.summary(caught.value.result) == f"1 fetched, 1 failed: {tmp_path / 'out'}"
    record = json.loads((tmp_path / "out" / "photographs.json").read_text())["photographs"]
    assert [(row["id"], row["file"]) for row in record] == [("as11-1", "as11-1.jpg")]
    assert [path.name for path in find_photos(tmp_path / "out")] == ["as11-1.jpg"]
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["done"] for event in events if event["event"] == "progress"] == [0, 1, 2]


def test_list_names_pages_and_basis() -> None:
    verb = parse_verb(RealPhotos, "real-photos", ["--list"])
    assert isinstance(verb, RealPhotos)
    text = verb.summary(verb.run())
    assert text.count("public domain") == 21 and "https://images.nasa.gov/details/as17-137-20910" in text
    for arguments in ({}, {"list_only": True, "download": Path("x")}):
        with pytest.raises(InputError, match=r"^download: "):
            RealPhotos(**arguments).run()


def test_wrong_manifests_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    with pytest.raises(InputError, match=r"^manifest: .*readable"):
        read_manifest(path)
    for text in ("{", "[]", "{}", '{"photographs": 3}', '{"photographs": []}'):
        path.write_text(text)
        with pytest.raises(InputError, match=r"^manifest: "):
            read_manifest(path)
    row = photograph("http://a/b").model_dump()
    for wrong in ({"id": "../up"}, {"urls": ["file:///etc/passwd"]}, {"urls": []}, {"extra": 1}):
        path.write_text(json.dumps({"photographs": [row | wrong]}))
        with pytest.raises(InputError, match=r"^manifest: (id|urls|extra)"):
            read_manifest(path)
    write_manifest(path, photograph("http://a/b"), photograph("http://a/c"))
    with pytest.raises(InputError, match="an id of its own"):
        read_manifest(path)
