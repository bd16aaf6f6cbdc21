"""Weights from the Hugging Face hub, its cache or a local folder, and what their licence is."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.constants import ENDPOINT as HUB
from huggingface_hub.constants import HF_HUB_OFFLINE
from transformers.utils import logging as transformers_logging

from regolith.lunar.params import InputError
from regolith.lunar.perception.session import model_folders

T = TypeVar("T")

LICENCES = {"nvidia/mit-b0": "NVIDIA Source Code License for SegFormer (non-commercial)"}
"""Licences the hub names by no identifier."""


def from_hub(load: Callable[..., T], init: str, where: str) -> T:
    """Load from the cache or a local folder, and else from the hub where it answers.

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
            if Path(init).exists() or not hub_reachable():
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
    """Whether a hub id is in the cache, or the hub answers."""
    return isinstance(try_to_load_from_cache(init, "config.json"), str) or hub_reachable()


def hub_reachable(timeout_s: float = 5.0) -> bool:
    """Whether the Hugging Face hub answers, asked once: its own client retries for half a minute before it says no."""
    if HF_HUB_OFFLINE:
        return False
    endpoint = urlsplit(HUB)
    if getproxies():
        return True  # only the client knows the way
    try:
        address = (endpoint.hostname or "", endpoint.port or 443)
        with socket.create_connection(address, timeout_s):
            return True
    except OSError:
        return False


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
