"""Text of files nobody vouches for as plain data: of regular files, of bounded size, depth and numbers."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from typing import Any, BinaryIO

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

FILE_BYTES = 1 << 20
"""Largest file of parameters, and of a split's contract; ours have under 20 kB."""
JSON_BYTES = 64 << 20
"""Largest file of results, which have a line for each frame or photograph."""
TEXT_CHARS = 2 * FILE_BYTES
"""Most characters of YAML once every alias stands for what it names."""
DEPTH = 32
"""Most groups and lists inside each other."""
NODES = 10_000
"""Most values, names, groups and lists of YAML, of which a second reads some ten thousand; ours have some hundred."""
VALUES = 1_000_000
"""Most values, groups and lists of JSON, of which a second reads about a million; results have nine a frame."""
DIGITS = 100
"""Most characters of a number."""

_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_DATE, _TEXT, _MERGE = (f"tag:yaml.org,2002:{name}" for name in ("timestamp", "str", "merge"))


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; pipes, sockets and devices, which may never end, are not waited for.

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise OSError(code, os.strerror(code) if code == errno.EISDIR else "not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_bytes(path: Path, most: int = FILE_BYTES) -> bytes:
    """Read a regular file.

    Args:
        path: The file.
        most: Largest that is read [bytes].

    Raises:
        OSError: It cannot be read, is no regular file, or larger.
    """
    with open_regular(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        limit = f"{most / (1 << 20):g} MiB" if most >= 1 << 20 else f"{most} bytes"
        raise OSError(errno.EFBIG, f"larger than {limit}", str(path))
    return data


def read_text(path: Path, most: int = FILE_BYTES) -> str:
    """Read a regular file of UTF-8, with or without a byte order mark.

    Args:
        path: The file.
        most: Largest that is read [bytes].

    Raises:
        OSError: It cannot be read, is no regular file, or larger.
        ValueError: It is no UTF-8.
    """
    return read_bytes(path, most).decode("utf-8-sig")


def read_json(path: Path, most: int = JSON_BYTES) -> Any:
    """Read a file of JSON as plain data.

    Args:
        path: The file.
        most: Largest that is read [bytes].

    Raises:
        OSError: It cannot be read, is no regular file, or larger.
        ValueError: It is no UTF-8, or what `parse_json` refuses.
    """
    return parse_json(read_text(path, most))


def read_json_lines(path: Path) -> list[Any]:
    """Read a file of one JSON value a line as plain data.

    Raises:
        OSError: It cannot be read, is no regular file, or larger than `JSON_BYTES`.
        ValueError: It is no UTF-8, or a line is what `parse_json` refuses.
    """
    return [parse_json(line) for line in read_text(path, JSON_BYTES).splitlines()]


def parse_json(text: str) -> Any:
    """Read JSON as plain data.

    Raises:
        ValueError: It is not well-formed, gives a name twice, or has too many values or levels; says which in one line.
    """
    if text.count(",") + text.count("[") + text.count("{") > VALUES:
        raise ValueError(f"more than {VALUES} values")
    try:
        data = json.loads(text, object_pairs_hook=_unique, parse_int=_whole)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _check_depth(data)
    return data


def parse_yaml(text: str) -> Any:
    """Read YAML as plain data: the types of JSON.

    Raises:
        ValueError: It is not well-formed, gives a name twice, has tags, or is nested too deep; says which in one line.
    """
    try:
        data = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"
        raise ValueError(f"{error.problem}{where}") from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    _check_depth(data)
    return data


_TOO_DEEP = f"nested more than {DEPTH} deep"


def _check_depth(data: Any) -> None:
    level, depth = [data], 0
    while level:
        if depth > DEPTH:
            raise ValueError(_TOO_DEEP)
        values = (part.values() if isinstance(part, dict) else part for part in level if isinstance(part, dict | list))
        level, depth = [inner for part in values for inner in part], depth + 1


def _whole(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of JSON of its pairs; a name that is there twice raises `ValueError`."""
    data = dict(pairs)
    if len(data) < len(pairs):
        _check_unique([name for name, _ in pairs])
    return data


def _check_unique(names: list[Hashable]) -> None:
    counts = Counter(names)
    if len(counts) < len(names):
        raise ValueError(f"{counts.most_common(1)[0][0]} is there twice")


class _Loader(yaml.SafeLoader):
    """YAML with the scalars of its version 1.2, no name twice, no tags, and aliases that stand for little.

    `6e-3` is a number, `010` is ten, `1:30` and `2026-01-01` are text.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._nodes = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()
        self._nodes += 1
        refused = (
            "tags are not read" if getattr(event, "tag", None) is not None
            else _TOO_DEEP if self._depth > DEPTH
            else f"more than {NODES} values" if self._nodes > NODES
            else None
        )  # fmt: skip
        if refused is not None:
            raise ComposerError(None, None, refused, event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def compose_document(self) -> yaml.Node | None:
        node = super().compose_document()
        if node is not None and _written_out(node, {}) > TEXT_CHARS:
            raise ComposerError(None, None, "aliases stand for too much", node.start_mark)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        try:
            if not all(key.tag in (_TEXT, _MERGE) for key, _ in node.value):
                raise ValueError("a name that is no text")
            _check_unique([key.value for key, _ in node.value])
        except ValueError as error:
            raise ConstructorError(None, None, str(error), node.start_mark) from None
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = str(self.construct_scalar(node)).replace("_", "")
        try:
            return int(text, 0) if text[1:2] in ("o", "x") and len(text) <= DIGITS else _whole(text)
        except ValueError as error:
            raise ConstructorError(None, None, str(error), node.start_mark) from None


def _written_out(node: yaml.Node, known: dict[int, float]) -> float:
    """Characters of a node where every alias is what it names: infinite for one that holds itself."""
    if id(node) not in known:
        known[id(node)] = float("inf")
        if isinstance(node, yaml.ScalarNode):
            known[id(node)] = len(node.value) + 1
        else:
            parts = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
            known[id(node)] = 1 + sum(_written_out(part, known) for part in parts)
    return known[id(node)]


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag not in (_INT, _FLOAT, _DATE)]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_INT, re.compile(r"(?:[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)
_Loader.add_constructor(_INT, _Loader.construct_yaml_int)
