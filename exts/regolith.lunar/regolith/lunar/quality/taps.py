"""Tensors inside an ONNX file made outputs of it, without the `onnx` package.

A file is a `ModelProto`, and what is asked of it here is little: the names of what its nodes give, and one more output.
Of an embedded message that stands twice in a protobuf stream the parts are merged, lists one after the other
(protobuf.dev, encoding, "Last One Wins"), so an output is added by bytes at the end of the file; nothing before is
touched.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_GRAPH = 7
"""Field of `ModelProto` (onnx.proto3); the next ones are of `GraphProto`, `NodeProto` and `ValueInfoProto`."""
_NODE, _OUTPUT = 1, 12
_NODE_INPUT, _NODE_OUTPUT = 1, 2
_NAME = 1


@dataclasses.dataclass(frozen=True)
class Tensor:
    """What a node of a graph gives."""

    name: str
    consumers: int
    """Inputs of nodes that take it."""


def tensors(model: bytes) -> list[Tensor]:
    """Return what the nodes of a model give, in the order of the graph.

    Args:
        model: Bytes of an `.onnx` file.

    Raises:
        ValueError: They are no well-formed protobuf.
    """
    given: list[str] = []
    taken: dict[str, int] = {}
    for graph in _messages(memoryview(model), _GRAPH):
        for node in _messages(graph, _NODE):
            given += [str(name, "utf-8") for name in _messages(node, _NODE_OUTPUT) if len(name)]
            for name in _messages(node, _NODE_INPUT):
                text = str(name, "utf-8")
                taken[text] = taken.get(text, 0) + 1
    return [Tensor(name, taken.get(name, 0)) for name in given]


def with_outputs(model: bytes, names: Iterable[str]) -> bytes:
    """Return a model that also gives tensors of its graph; their types are left for the runtime to infer.

    Args:
        model: Bytes of an `.onnx` file.
        names: Names of what its nodes give; those that are outputs already are left out.

    Raises:
        ValueError: They are no well-formed protobuf.
    """
    own = {
        str(name, "utf-8")
        for graph in _messages(memoryview(model), _GRAPH)
        for output in _messages(graph, _OUTPUT)
        for name in _messages(output, _NAME)
    }
    graph = b"".join(_field(_OUTPUT, _field(_NAME, name.encode())) for name in names if name not in own)
    return model + _field(_GRAPH, graph) if graph else model


def _field(number: int, data: bytes) -> bytes:
    return _to_varint(number << 3 | _BYTES) + _to_varint(len(data)) + data


def _to_varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _messages(data: memoryview, number: int) -> Iterator[memoryview]:
    """Yield the fields of a number in a message, of those that have a length; the others are passed over."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        if kind == _VARINT:
            _, place = _varint(data, place)
            continue
        if kind == _BYTES:
            length, place = _varint(data, place)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if place + length > len(data):
            raise ValueError("cut off")
        if kind == _BYTES and key >> 3 == number:
            yield data[place : place + length]
        place += length


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, low ones first, and where the next field begins."""
    value = shift = 0
    while shift < 64:
        if place >= len(data):
            raise ValueError("cut off")
        value |= (data[place] & 127) << shift
        place += 1
        if data[place - 1] < 128:
            return value, place
        shift += 7
    raise ValueError("a number of more than 64 bits")
