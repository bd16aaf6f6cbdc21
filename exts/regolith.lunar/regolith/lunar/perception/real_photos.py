"""`regolith real-photos`: fetch the published set of lunar photographs from NASA, whole and checked.

What a stopped run left is gone on with; what is there and sound is not fetched again. The addresses are those of the
published list; they were tried against a local server that misbehaves, never yet against NASA's.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from regolith.lunar import __version__
from regolith.lunar.files import file_digest, replacing, write_json
from regolith.lunar.jobs.progress import show
from regolith.lunar.params import CheckError, InputError, Verb, quantity, sole_folder
from regolith.lunar.perception.photos import read_photo
from regolith.lunar.reading import read_json

MANIFEST = Path(__file__).with_name("real_photos.json")
RECORD = "photographs.json"
"""What was fetched, beside the photographs: id, file, address, digest, credit and basis of each."""
SIDE_MIN_PX = 256
"""Shortest side of a photograph that is one: what servers send for a missing picture is smaller."""
BYTES_MAX = 200_000_000
"""No photograph of the list has a tenth of this."""
CHUNK_BYTES = 1 << 16
ENDINGS = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "TIFF": ".tif", "WEBP": ".webp"}
BACKOFF_S = 1.0
"""Wait before the second attempt; it doubles with each further one."""
RETRY_AFTER_MAX_S = 60.0

Address = Annotated[str, Field(pattern=r"^https?://[^\s/]+/\S*$")]


class Photograph(BaseModel):
    """One row of a manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    """Name of its file and, for most, its NASA id."""
    mission: str
    shows: str
    page: Address
    """Page that describes it."""
    urls: Annotated[list[Address], Field(min_length=1)]
    """Addresses of the file, the first that is there is taken."""
    credit: str
    basis: str
    """Why it may be used."""


class _LastingError(Exception):
    """An answer another attempt would not change."""


class _PassingError(Exception):
    """A failure another attempt may mend, after `wait_s` where the server named a time."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class _UnreachableError(_PassingError):
    """No connection to the host at all."""


class RealPhotos(Verb):
    """List or fetch the 21 published photographs of the lunar surface, all public domain."""

    list_only: bool = quantity(False, "List the photographs with their pages and basis; fetches nothing.", flag="list")
    download: Path | None = quantity(None, "Folder to fetch them to; run again to go on.")
    manifest: Path | None = quantity(
        None, "List of photographs to use instead of the published one, in the form of perception/real_photos.json."
    )
    retries: int = quantity(4, "Attempts at each address.", ge=1, le=20)
    timeout_s: float = quantity(30.0, "Longest silence of a server.", unit="s", ge=0.1, le=600)
    limit_s: float = quantity(900.0, "Longest time for one photograph.", unit="s", ge=1, le=86400)
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """List or fetch.

        Raises:
            InputError: Neither or both are asked for, or the manifest cannot be used.
            CheckError: Some photograph could not be fetched; the others are there.
        """
        if self.list_only == (self.download is not None):
            raise InputError("download", None if self.download is None else str(self.download), "--list or --download")
        photographs = read_manifest(self.manifest or MANIFEST)
        if self.download is None:
            return {"photographs": [photograph.model_dump() for photograph in photographs]}
        with sole_folder("download", self.download):
            return self._fetch(self.download, photographs)

    def _fetch(self, folder: Path, photographs: list[Photograph]) -> dict[str, Any]:
        fetcher = Fetcher(folder, retries=self.retries, timeout_s=self.timeout_s, limit_s=self.limit_s)
        rows: list[dict[str, Any]] = []
        with show(self.events, "real-photos", "photographs") as emit:
            for done, photograph in enumerate(photographs):
                emit({"event": "progress", "done": done, "total": len(photographs)})
                rows.append(fetcher.fetch(photograph))
            emit({"event": "progress", "done": len(rows), "total": len(rows)})
        result = {"folder": str(folder), "photographs": rows}
        write_json(folder / RECORD, {"photographs": [row for row in rows if "file" in row]})
        failed = [row for row in rows if row["status"] == "failed"]
        if failed:
            listing = "\n".join(f"  {row['id']}: {row['reason']}; see {row['page']}" for row in failed)
            raise CheckError(f"not fetched: {len(failed)} of {len(rows)} photographs\n{listing}", result)
        return result

    def summary(self, result: dict[str, Any]) -> str:
        """List the photographs, or say how many are there."""
        rows = result["photographs"]
        if self.download is None:
            return "\n".join(f"{r['id']:<18} {r['mission']:<11} {r['page']}\n    {r['shows']}. {r['basis']}; "
                             f"credit {r['credit']}" for r in rows)  # fmt: skip
        counts = {status: sum(row["status"] == status for row in rows) for status in ("fetched", "present", "failed")}
        return ", ".join(f"{count} {status}" for status, count in counts.items() if count) + f": {self.download}"


def read_manifest(path: Path) -> list[Photograph]:
    """Read a list of photographs.

    Raises:
        InputError: The file is missing, not JSON, or a row does not fit.
    """
    try:
        rows = read_json(path)["photographs"]
        photographs = [Photograph.model_validate(row) for row in rows]
    except OSError as error:
        raise InputError("manifest", str(path), f"a readable file ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"manifest: {place}", first["input"], first["msg"]) from None
    except (ValueError, KeyError, TypeError):
        raise InputError("manifest", str(path), "JSON with a list `photographs`") from None
    ids = [photograph.id.lower() for photograph in photographs]
    twice = next((name for name in ids if ids.count(name) > 1), None)
    if twice is not None or not ids:
        raise InputError("manifest", twice or "no photograph", "photographs, each with an id of its own")
    return photographs


class Fetcher:
    """Fetches photographs into a folder."""

    def __init__(
        self,
        folder: Path,
        *,
        retries: int = 4,
        timeout_s: float = 30.0,
        limit_s: float = 900.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Set limits.

        Args:
            folder: Folder that is there and can be written.
            retries: Attempts at each address.
            timeout_s: Longest silence of a server [s].
            limit_s: Longest time for one photograph [s].
            sleep: Waits between attempts.
        """
        self.folder, self.retries, self.timeout_s, self.limit_s = folder, retries, timeout_s, limit_s
        self._sleep = sleep
        self._dead: set[str] = set()  # hosts no connection could be made to: asked once, not 21 times

    def fetch(self, photograph: Photograph) -> dict[str, Any]:
        """Fetch one photograph; whatever happens is in the row that is returned.

        Returns:
            `id`, `page`, `credit`, `basis`, `status` (`fetched`, `present` or `failed`); then `file`, `sha256`,
            `width`, `height` and `url`, or `reason`.
        """
        row: dict[str, Any] = photograph.model_dump(include={"id", "page", "credit", "basis"})
        for ending in dict.fromkeys(ENDINGS.values()):
            path = self.folder / f"{photograph.id}{ending}"
            if path.is_file():
                try:
                    found = _describe(path)
                    del found["format"]
                    self._forget_parts(photograph.id)
                    return row | {"status": "present", **found}
                except InputError:
                    path.unlink()  # cut off by something else: fetched again
        reasons: list[str] = []
        deadline = time.monotonic() + self.limit_s
        for url in photograph.urls:
            try:
                return row | {"status": "fetched", "url": url, **self._fetch_url(photograph.id, url, deadline)}
            except (_LastingError, _PassingError) as error:
                reasons.append(f"{urlsplit(url).netloc} {error}")
            if time.monotonic() > deadline:
                break
        return row | {"status": "failed", "reason": "; ".join(dict.fromkeys(reasons))}

    def _fetch_url(self, name: str, url: str, deadline: float) -> dict[str, Any]:
        host = urlsplit(url).netloc
        if host in self._dead:
            raise _UnreachableError("could not be reached")
        part = self.folder / f".{name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part"
        for attempt in range(self.retries):
            try:
                self._receive(url, part, deadline)
                return self._accept(name, part)
            except _PassingError as error:
                wait = error.wait_s if error.wait_s is not None else BACKOFF_S * 2**attempt
                if attempt + 1 == self.retries or time.monotonic() + wait > deadline:
                    if isinstance(error, _UnreachableError):
                        self._dead.add(host)
                    raise
                self._sleep(wait)
            except _LastingError:
                _forget(part)
                raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _receive(self, url: str, part: Path, deadline: float) -> None:
        """Bring a part up to the whole file, from where it ends if the server still has the same file."""
        have, tag = _held(part)
        headers = {"User-Agent": f"regolith.lunar/{__version__}", "Accept": "image/*"}
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": tag}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=self.timeout_s) as answer:
                self._store(answer, part, have, deadline)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:  # the part is longer than the file: it is of another one
                _forget(part)
                raise _PassingError("answered that the part is too long") from None
            if error.code in (408, 425, 429) or error.code >= 500:
                raise _PassingError(f"answered {error.code}", _retry_after(error)) from None
            raise _LastingError(f"answered {error.code} {error.reason}") from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise _PassingError(f"was silent for {self.timeout_s:g} s") from None
            raise _UnreachableError(f"could not be reached ({error.reason})") from None
        except TimeoutError:
            raise _PassingError(f"was silent for {self.timeout_s:g} s") from None
        except (http.client.HTTPException, ConnectionError, ssl.SSLError) as error:
            raise _PassingError(f"broke off ({type(error).__name__})") from None

    def _store(self, answer: http.client.HTTPResponse, part: Path, have: int, deadline: float) -> None:
        """Write an answer's body to the part, and check that all of it came."""
        kind = answer.headers.get_content_type()
        if not kind.startswith("image/") and kind != "application/octet-stream":
            raise _LastingError(f"sent {kind}, no image")
        start = 0
        if answer.status == 206:
            match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
            if match is None or int(match[1]) != have:
                _forget(part)
                raise _PassingError("sent another range than asked for")
            start = have
        length = answer.headers.get("Content-Length")
        expected = None if length is None or not length.isdigit() else start + int(length)
        if expected is not None and expected > BYTES_MAX:
            raise _LastingError(f"sends {expected} bytes, more than {BYTES_MAX}")
        if not start:
            _forget(part)  # what is there of another file never gets the tag of this one
        _remember(part, answer.headers.get("ETag"), answer.headers.get("Last-Modified"))
        size = start
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            for chunk in _chunks(answer):
                size += len(chunk)
                if size > BYTES_MAX:
                    raise _LastingError(f"sends more than {BYTES_MAX} bytes")
                file.write(chunk)
                if time.monotonic() > deadline:
                    raise _PassingError(f"took longer than {self.limit_s:g} s")
        if expected is not None and size < expected:
            raise _PassingError(f"broke off after {size} of {expected} bytes")

    def _accept(self, name: str, part: Path) -> dict[str, Any]:
        """Check a whole file and give it its name."""
        try:
            fields = _describe(part)
        except InputError as error:
            _forget(part)
            raise _PassingError(f"sent no usable photograph ({error.value})") from None
        path = self.folder / f"{name}{ENDINGS[fields.pop('format')]}"
        with replacing(path) as temporary:
            part.rename(temporary)
        self._forget_parts(name)
        return fields | {"file": path.name}

    def _forget_parts(self, name: str) -> None:
        """Delete what was fetched on the way to a photograph that is whole, from whichever address."""
        for left in self.folder.iterdir():
            if re.fullmatch(rf"\.{re.escape(name)}\.[0-9a-f]{{8}}\.(part|tag)", left.name):
                left.unlink()


def _describe(path: Path) -> dict[str, Any]:
    """Return file, digest, size and format of a photograph whose every pixel can be read.

    Raises:
        InputError: It is no photograph, damaged, of another format, or smaller than one would be.
    """
    rgb = read_photo(path)
    height, width = rgb.shape[:2]
    if min(height, width) < SIDE_MIN_PX:
        raise InputError(path.name, f"{width}×{height} px", f"at least {SIDE_MIN_PX} px on each side")
    with Image.open(path) as image:
        kind = image.format or "unknown"
    if kind not in ENDINGS:
        raise InputError(path.name, kind, ", ".join(ENDINGS))
    digest = file_digest(path)
    return {"file": path.name, "sha256": digest, "width": width, "height": height, "format": kind}


def _chunks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    while chunk := answer.read1(CHUNK_BYTES):
        yield chunk


def _tag_path(part: Path) -> Path:
    return part.with_suffix(".tag")


def _held(part: Path) -> tuple[int, str]:
    """Return how much of a file is there and what tells that file from a later one; nothing where that is unknown."""
    try:
        tag = _tag_path(part).read_text("utf-8")
        return (part.stat().st_size, tag) if tag else (0, "")
    except OSError:
        return 0, ""


def _remember(part: Path, etag: str | None, modified: str | None) -> None:
    strong = etag if etag and not etag.startswith("W/") else None  # If-Range takes no weak tag (RFC 9110, 13.1.5)
    _tag_path(part).write_text(strong or modified or "", "utf-8")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _tag_path(part).unlink(missing_ok=True)


def _retry_after(error: urllib.error.HTTPError) -> float | None:
    """Return the wait a server asks for [s]; None where it names none, or a date."""
    value = (error.headers or {}).get("Retry-After") or ""
    return min(float(value), RETRY_AFTER_MAX_S) if value.isdigit() else None
