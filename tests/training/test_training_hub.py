"""The hub is asked once for what is needed, through the proxies that are set, and believed only where it gives it."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from regolith.lunar.params import InputError
from training.networks import build_network, hub

INIT = "nvidia/mit-b0"
CONFIG = f"/{INIT}/resolve/main/config.json"
COMMIT = {"X-Repo-Commit": "0123abcd"}


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[SimpleNamespace]]:
    """Two servers that answer each path with a status and headers a test put there; the first is the hub."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    running = [_serve(), _serve()]
    monkeypatch.setattr(hub, "HUB", running[0].url)
    yield running
    for server in running:
        server.httpd.shutdown()
        server.thread.join()
        server.httpd.server_close()


def _serve() -> SimpleNamespace:
    answers: dict[str, tuple[int, dict[str, str]]] = {}
    asked: list[tuple[str, str | None]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append((self.path, self.headers.get("Authorization")))
            status, headers = answers.get(self.path, (404, {}))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def do_GET(self) -> None:  # what a redirected HEAD becomes before Python 3.13
            self.do_HEAD()

        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    url = f"http://127.0.0.1:{httpd.server_port}"
    return SimpleNamespace(url=url, answers=answers, asked=asked, httpd=httpd, thread=thread)


def test_hub_has_what_it_gives(servers: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch) -> None:
    here, elsewhere = servers
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    here.answers[CONFIG] = (200, COMMIT)
    assert hub.hub_has(INIT) and here.asked == [(CONFIG, "Bearer hf_secret")]
    here.answers[CONFIG] = (307, {"Location": "/cache/config.json"})
    here.answers["/cache/config.json"] = (200, COMMIT)
    assert hub.hub_has(INIT) and here.asked[-1] == ("/cache/config.json", "Bearer hf_secret")
    here.answers[CONFIG] = (302, {"Location": elsewhere.url + "/config.json"})
    elsewhere.answers["/config.json"] = (200, COMMIT)
    assert hub.hub_has(INIT) and elsewhere.asked == [("/config.json", None)]  # the token stays with the hub
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    here.asked.clear()
    assert not hub.hub_has(INIT) and not here.asked


@pytest.mark.parametrize("answer", [(403, COMMIT), (404, {}), (503, {}), (200, {"Content-Type": "text/html"})])
def test_hub_that_refuses_has_nothing(servers: list[SimpleNamespace], answer: tuple[int, dict[str, str]]) -> None:
    servers[0].answers[CONFIG] = answer
    assert not hub.hub_has(INIT) and len(servers[0].asked) == 1


def test_hub_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(hub, "HUB", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert not hub.hub_has(INIT, timeout_s=0.2)


def test_proxies_are_asked_and_may_be_dead(servers: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = servers[1]
    monkeypatch.setattr(hub, "HUB", "http://hub.invalid")
    monkeypatch.setenv("http_proxy", proxy.url)
    proxy.answers["http://hub.invalid" + CONFIG] = (200, COMMIT)
    assert hub.hub_has(INIT) and len(proxy.asked) == 1
    proxy.answers.clear()
    assert not hub.hub_has(INIT)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{_closed_port()}")
    assert not hub.hub_has(INIT)
    with pytest.raises(InputError, match=r"^init: 'nobody/has-this' is not allowed"):  # without its client's retries
        build_network("segformer-b0", "nobody/has-this", logits_stride=4)


def test_cache_counts_where_it_has_the_weights(
    servers: list[SimpleNamespace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repo = tmp_path / "models--nvidia--mit-b0"
    snapshot = repo / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("0123abcd")
    (snapshot / "config.json").write_text("{}")
    assert not hub.in_reach(INIT)
    (snapshot / "pytorch_model.bin").touch()
    servers[0].asked.clear()
    assert hub.in_reach(INIT) and not servers[0].asked


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
