"""Weights from the Hugging Face hub, its cache or a local folder, and what their licence is."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from huggingface_hub import hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.constants import ENDPOINT as HUB
from huggingface_hub.constants import HF_HUB_OFFLINE, HUGGINGFACE_HEADER_X_REPO_COMMIT
from huggingface_hub.utils import build_hf_headers
from transformers.utils import SAFE_WEIGHTS_NAME, WEIGHTS_NAME
from transformers.utils import logging as transformers_logging

from regolith.lunar.params import InputError
from regolith.lunar.perception.model_files import model_folders

T = TypeVar("T")

LICENCES = {"nvidia/mit-b0": "NVIDIA Source Code License for SegFormer (non-commercial)"}
"""Licences the hub names by no identifier."""


def from_hub(load: Callable[..., T], init: str, where: str) -> T:
    """Load from the cache or a local folder, and else from the hub where it has it.

    Args:
        load: Takes `local_files_only` where the hub is not to be asked.
        init: Hub id or folder, and
        where: what it may be, for an error.

    Raises:
        InputError: It is in no reach, or does not fit.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        try:
            return load(local_files_only=True)
        except OSError:
            if Path(init).exists() or not hub_has(init):
                raise
            return load()
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError("init", init, f"{where} ({reason[0]})") from None


def shipped_start(arch: str) -> Path:
    """Return the folder of an encoder to start from that comes with this installation.

    Raises:
        InputError: This installation has none.
    """
    for folder in model_folders():
        if (start := folder / "starts" / arch / "model.safetensors").is_file():
            return start.parent
    raise InputError("init", "distilled", "another start: this installation ships none for this network; or random")


def in_reach(init: str) -> bool:
    """Whether a hub id is in the cache, weights and all, or the hub has it."""

    def cached(name: str) -> bool:
        return isinstance(try_to_load_from_cache(init, name), str)

    return (cached("config.json") and (cached(SAFE_WEIGHTS_NAME) or cached(WEIGHTS_NAME))) or hub_has(init)


def hub_has(init: str, timeout_s: float = 5.0) -> bool:
    """Whether the Hugging Face hub gives the configuration of an id, asked once and through the proxies that are set.

    Its own client tries for a minute and a half before it says no.
    """
    if HF_HUB_OFFLINE:
        return False
    given: list[bool] = []
    asking = threading.Thread(target=lambda: given.append(_gives_config(init, timeout_s)), daemon=True)
    asking.start()
    asking.join(timeout_s)  # the system looks names up, and tries one address after another, for as long as it likes
    return given == [True]


def _gives_config(init: str, timeout_s: float) -> bool:
    try:
        request = Request(hf_hub_url(init, "config.json", endpoint=HUB), headers=build_hf_headers(), method="HEAD")
        with build_opener(_Redirects).open(request, timeout=timeout_s) as response:
            # without this header it is another page, that of a portal for example
            return response.status == 200 and HUGGINGFACE_HEADER_X_REPO_COMMIT in response.headers
    except (OSError, ValueError, HTTPException):
        return False


class _Redirects(HTTPRedirectHandler):
    """Follows redirects; the user's token stays with the hub."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        """Return the request to make next."""
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request and urlsplit(newurl)[:2] != urlsplit(req.full_url)[:2]:
            request.remove_header("Authorization")
        return request


def licence_of(init: str) -> str:
    """Return the licence that the README of a hub id or folder names in its head; `unknown` where none is told."""
    if init in LICENCES:
        return LICENCES[init]
    folder = Path(init)
    try:
        if folder.is_dir():
            text = (folder / "README.md").read_text("utf-8")
        else:
            cached: Any = try_to_load_from_cache(init, "README.md")
            path = cached if isinstance(cached, str) else hf_hub_download(init, "README.md")
            text = Path(path).read_text("utf-8")
    except (OSError, ValueError, json.JSONDecodeError):
        return "unknown"
    found = re.search(r"^license:\s*(\S+)", text, re.MULTILINE)
    return found[1] if found else "unknown"
