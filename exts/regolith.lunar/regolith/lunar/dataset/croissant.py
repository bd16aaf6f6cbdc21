"""`croissant.json`: a split described in Croissant 1.0, the format that dataset search and loaders read.

The format is MLCommons' (https://docs.mlcommons.org/croissant/docs/croissant-spec.html): JSON-LD of which files there
are and which records they hold. Here it says nothing that `dataset.json` and the journal do not: it is written from
both whenever a split is complete, and decides nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from regolith.lunar.dataset.contract import CONTRACT, Contract
from regolith.lunar.dataset.layout import JOURNAL, FrameRecord
from regolith.lunar.dataset.outputs import OUTPUTS, Output
from regolith.lunar.files import file_digest, write_bytes

CROISSANT = "croissant.json"
CONFORMS_TO = "http://mlcommons.org/croissant/1.0"

_PROPERTIES = (
    "citeAs", "column", "conformsTo", "data", "dataType", "equivalentProperty", "examples", "extract", "field",
    "fileProperty", "fileObject", "fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key", "md5",
    "parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator",
    "source", "subField", "transform",
)  # fmt: skip
_TYPED = {"data": "@json", "examples": "@json", "dataType": "@vocab"}
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    **{name: {"@id": f"cr:{name}", "@type": _TYPED[name]} if name in _TYPED else f"cr:{name}" for name in _PROPERTIES},
    "conformsTo": "dct:conformsTo",
}
"""The context of the specification, appendix 1."""

ENCODINGS = {"png": "image/png", "npy": "application/octet-stream"}


def write_croissant(folder: Path, contract: Contract, example: FrameRecord, *, name: str | None = None) -> None:
    """Describe a complete split, unless that is done.

    Args:
        folder: Folder of the split.
        contract: Its contract.
        example: Any of its records: what a frame's spec holds.
        name: Of the dataset; None for the folder's.

    Raises:
        OSError: It cannot be written.
    """
    described = _describe(folder, contract, example) | {"name": name or folder.name}
    data = (json.dumps(described, indent=2) + "\n").encode()
    path = folder / CROISSANT
    if not path.is_file() or path.read_bytes() != data:
        write_bytes(path, data)


def _describe(folder: Path, contract: Contract, example: FrameRecord) -> dict[str, Any]:
    outputs = [OUTPUTS[name] for name in contract.outputs]
    origin = "imported pictures" if contract.imported else "pictures rendered of lunar terrain"
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "description": f"{contract.frames} {origin} of {contract.width} x {contract.height} px with a class for each "
        f"pixel: {', '.join(f'{value} {name}' for name, value in contract.classes.items())}, {contract.ignore} none.",
        "conformsTo": CONFORMS_TO,
        "version": f"1.0.0+{contract.digest[:12]}",
        "distribution": [
            _file(folder / CONTRACT, "application/json"),
            _file(folder / JOURNAL, "application/jsonlines"),
            *(
                {
                    "@type": "cr:FileSet",
                    "@id": f"{output.name}-files",
                    "encodingFormat": ENCODINGS[output.ending],
                    "includes": f"{output.name}/*.{output.ending}",
                }
                for output in outputs
            ),
        ],
        "recordSet": [
            _record_set("frames", "The journal: a line a frame.", _journal_fields(example)),
            *(
                _record_set(output.name, _shape(output), _file_fields(output.name))
                for output in outputs
                if output.ending == "png"  # what the format's own reader can decode
            ),
        ],
    }


def _file(path: Path, encoding: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "contentUrl": path.name,
        "encodingFormat": encoding,
        "sha256": file_digest(path),
    }


def _record_set(name: str, description: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": description,
        "key": {"@id": f"{name}/index"},
        "field": [field | {"@id": f"{name}/{field['name']}"} for field in fields],
    }


def _shape(output: Output) -> str:
    channels = "" if output.channels is None else f", {output.channels}"
    return f"File of each frame, {output.dtype.name} [height, width{channels}]."


def _journal_fields(record: FrameRecord) -> list[dict[str, Any]]:
    """Each value of a journal line that is a number or a word: what stands in a column, or on a path there."""
    values: list[tuple[str, str, str | None, object]] = [(name, name, None, 0) for name in ("index", "seed", "redraws")]
    values += [(f"counts_{name}", "counts", name, 0) for name in sorted(record.counts)]
    values += [(f"spec_{name}", "spec", name, value) for name, value in sorted(record.spec.items())]
    types = {bool: "sc:Boolean", int: "sc:Integer", float: "sc:Float", str: "sc:Text"}
    return [
        _field(
            name,
            types[type(value)],
            {"fileObject": {"@id": JOURNAL}, "extract": {"column": column}},
            None if path is None else {"jsonPath": path},
        )
        for name, column, path, value in values
        if type(value) in types
    ]


def _file_fields(output: str) -> list[dict[str, Any]]:
    """A file's number, its name, and what it decodes to."""
    name, content = (
        {"fileSet": {"@id": f"{output}-files"}, "extract": {"fileProperty": part}} for part in ("filename", "content")
    )
    return [
        _field("index", "sc:Integer", name, {"regex": r"\D*(\d+)\.\w+$"}),
        _field("filename", "sc:Text", name),
        _field("image", "sc:ImageObject", content),
    ]


def _field(name: str, kind: str, source: dict[str, Any], transform: dict[str, str] | None = None) -> dict[str, Any]:
    more = {} if transform is None else {"transform": transform}
    return {"@type": "cr:Field", "name": name, "dataType": kind, "source": source | more}
