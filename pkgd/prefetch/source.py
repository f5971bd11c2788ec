"""One object after another from a pkgd: verified here, whatever the server says, and tried again within bounds.

Everything that can go wrong is a `NotFetched` whose text is one safe line: a server's words may hold anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import closing
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.parse import quote

from attrs import frozen

from pkgd.errors import InvalidManifest
from pkgd.formats.digest import Digest, hasher
from pkgd.formats.names import Origin, Reference
from pkgd.formats.oci import Descriptor, Manifest, parse_manifest
from pkgd.prefetch.images import Platform
from pkgd.prefetch.transport import Answer, Transport, Unreachable

__all__ = ["FetchedManifest", "NoServer", "NotFetched", "Source", "one_line"]

MANIFEST_SIZE = 4 << 20
PIECE = 1 << 20
# Seconds between one try and the next.
PAUSES = (1.0, 2.0, 4.0, 8.0)
# Who asks for a longer pause is not waited for.
LONGEST_PAUSE = 60.0

_ERROR_SIZE = 64 << 10
_LATER = frozenset([429, 502, 503, 504])
_ACCEPT = ", ".join(
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "*/*",
    ]
)

T = TypeVar("T")


class NotFetched(Exception):
    """An object cannot be had; the text says why."""


class NoServer(NotFetched):
    """No object can be had: there is no connection to the server."""


class _Later(Exception):
    """It may be had later."""

    def __init__(self, failure: NotFetched, pause: float | None = None) -> None:
        super().__init__()
        self.failure = failure
        self.pause = pause


@frozen
class FetchedManifest:
    """A verified manifest; `platforms` are those of its children, in their order; `warning` is the server's, or ""."""

    digest: Digest
    size: int
    content: Manifest
    platforms: tuple[Platform | None, ...]
    warning: str


class _Download:
    """How far a blob has come."""

    def __init__(self, blob: Descriptor) -> None:
        self.blob = blob
        self.restart()

    def restart(self) -> None:
        """Begin anew."""
        self.hash = hasher(self.blob.digest.algorithm)
        self.offset = 0


class Source:
    """A running pkgd, asked for what upstreams have. May be used by several threads.

    :param pause: waits for so many seconds.
    """

    def __init__(self, transport: Transport, pause: Callable[[float], object]) -> None:
        self._transport = transport
        self._pause = pause
        # Upstreams that did not come back: the rest of the list is not to wait for each of their images.
        self._failing: set[str] = set()

    def ping(self) -> None:
        """Make sure that a registry answers.

        :raises NotFetched: if not.
        """
        try:
            self._ask("/v2/", {}).close()
        except _Later as later:
            raise later.failure from None

    def manifest(self, origin: Origin, reference: Reference) -> FetchedManifest:
        """Fetch a manifest, and read what it refers to.

        :raises NotFetched: if it cannot be had as it should be.
        """
        path = _path(origin, "manifests", reference)
        return self._persist(origin.host, lambda: self._manifest(path, reference))

    def _manifest(self, path: str, reference: Reference) -> FetchedManifest:
        with closing(self._ask(path, {"Accept": _ACCEPT})) as answer:
            data = _read_manifest(answer)
            stated = answer.header("Docker-Content-Digest")
            content_type, warning = answer.header("Content-Type"), one_line(answer.header("Warning"))
        algorithm = reference.algorithm if isinstance(reference, Digest) else "sha256"
        digest = Digest.of(data, algorithm)
        expected = reference if isinstance(reference, Digest) else stated or digest
        if str(digest) != str(expected):
            raise NotFetched(f"it has the digest {digest}, and not {one_line(str(expected))}")
        try:
            content = parse_manifest(data, content_type)
        except InvalidManifest as error:
            raise NotFetched(one_line(error.message)) from error
        return FetchedManifest(digest, len(data), content, _platforms(data, content), warning)

    def blob(self, origin: Origin, blob: Descriptor, received: Callable[[int], object]) -> int:
        """Read a blob and forget it; a cut one is resumed. Returns its size.

        :param received: called with the number of bytes of every piece; of less than none to begin anew.
        :raises NotFetched: if it cannot be had as it should be.
        """
        path = _path(origin, "blobs", blob.digest)
        download = _Download(blob)
        self._persist(origin.host, lambda: self._download(path, download, received))
        if download.hash.hexdigest() != blob.digest.encoded:
            raise NotFetched(f"it has the digest {blob.digest.algorithm}:{download.hash.hexdigest()}")
        return download.offset

    def _download(self, path: str, download: _Download, received: Callable[[int], object]) -> None:
        """Read from where it was cut to the end."""
        size, start = download.blob.size, download.offset
        with closing(self._ask(path, {"Range": f"bytes={start}-"} if start else {})) as answer:
            if start and answer.status == 200:
                received(-start)
                download.restart()
            elif start and not answer.header("Content-Range").startswith(f"bytes {start}-"):
                raise NotFetched("the answer to a Range request begins elsewhere")
            while piece := _read(answer, min(PIECE, size - download.offset + 1)):
                download.hash.update(piece)
                download.offset += len(piece)
                if download.offset > size:
                    raise NotFetched(f"it is longer than the {size} bytes it should have")
                received(len(piece))
        if download.offset < size:
            raise _Later(NotFetched(f"it was cut off at {download.offset} of {size} bytes"))

    def _ask(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Ask for something that is there."""
        try:
            answer = self._transport("GET", path, headers)
        except Unreachable as error:
            raise _Later(NoServer(_reason(error))) from error
        except (OSError, HTTPException) as error:
            raise _Later(NotFetched(f"no answer: {_reason(error)}")) from error
        if answer.status == 200 or (answer.status == 206 and "Range" in headers):
            return answer
        with closing(answer):
            failure = NotFetched(_refusal(answer))
            if answer.status in _LATER:
                raise _Later(failure, _retry_after(answer))
            raise failure

    def _persist(self, host: str, attempt: Callable[[], T]) -> T:
        """Try until it works, or the tries are used up; once, of an upstream for which they have been."""
        for usual in () if host in self._failing else PAUSES:
            try:
                return attempt()
            except _Later as later:
                pause = usual if later.pause is None else later.pause
                if pause > LONGEST_PAUSE:
                    raise later.failure from later
            self._pause(pause)
        try:
            result = attempt()
        except _Later as later:
            self._failing.add(host)
            raise later.failure from later
        self._failing.discard(host)
        return result


def _path(origin: Origin, kind: str, reference: Reference) -> str:
    return f"/v2/{origin.name}/{kind}/{reference}?ns={quote(origin.host, safe=':')}"


def _read(answer: Answer, size: int) -> bytes:
    """Read a piece; nothing at a break that the transport notices, so that what has arrived counts."""
    try:
        return answer.read(size)
    except (OSError, HTTPException):
        return b""


def _read_manifest(answer: Answer) -> bytes:
    pieces, size = [], 0
    while piece := _read(answer, PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > MANIFEST_SIZE:
            raise NotFetched(f"it is larger than {MANIFEST_SIZE} bytes")
    length = answer.header("Content-Length")
    if length and length != str(size):
        raise _Later(NotFetched(f"it was cut off at {size} of {one_line(length)} bytes"))
    return b"".join(pieces)


def _platforms(data: bytes, manifest: Manifest) -> tuple[Platform | None, ...]:
    """The platform of every child of an index that has been parsed, and so is one."""
    if not manifest.children:
        return ()
    children: list[dict[str, Any]] = json.loads(data)["manifests"]
    return tuple(Platform.stated(child.get("platform")) for child in children)


def _retry_after(answer: Answer) -> float | None:
    """The pause that is asked for, in seconds; a date is no pause that pkgd asks for."""
    text = answer.header("Retry-After")
    return float(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def _refusal(answer: Answer) -> str:
    """The status, and what the body says in the distribution-spec's form."""
    try:
        error = json.loads(_read(answer, _ERROR_SIZE))["errors"][0]
        said = f" {error['code']}: {error['message']}"
    except (ValueError, LookupError, TypeError, RecursionError):
        place = answer.header("Location")
        said = f" to {place}" if place else ""
    return one_line(f"the server answers {answer.status}{said}")


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return one_line(str(text))


def one_line(text: str) -> str:
    """One line that no terminal takes for a command."""
    shown = "".join(one if one.isprintable() else "?" for one in text)
    return shown if len(shown) <= 300 else f"{shown[:300]}…"
