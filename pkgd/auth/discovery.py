"""Where an issuer publishes its keys (OpenID Connect Discovery 1.0, 4; RFC 7517): asked over HTTP, read strictly.

No redirect is followed, so who answers is who was asked. Everything is small, and soon there or not at all.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

from pkgd.auth.jwk import parse_jwks
from pkgd.auth.jwks import Published
from pkgd.auth.strictjson import parse_object
from pkgd.errors import TooLarge, UnexpectedStatus, UpstreamCorrupt, UpstreamTimeout
from pkgd.outbound.client import Client

__all__ = ["Issuers"]

MAX_DOCUMENT = 256 * 1024
SECONDS = 5.0
_WELL_KNOWN = "/.well-known/openid-configuration"
_BARE_KEYS = "/.well-known/jwks.json"
# With these, there is no such document; with others, such as 500, nobody knows.
_ABSENT = frozenset([301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 406, 410, 415])

_MAX_AGE = re.compile(r"(?:^|,)\s*max-age=\"?([0-9]{1,9})\"?\s*(?:,|$)", re.IGNORECASE)
_NOT_KEPT = re.compile(r"(?:^|,)\s*no-(?:store|cache)\s*(?:,|=|$)", re.IGNORECASE)


@frozen
class _Document:
    status: int
    kind: str
    data: bytes
    max_age: float | None


class Issuers:
    """Asks for documents and keys.

    :param plain: whether plain HTTP may be spoken beyond this machine.
    """

    def __init__(self, client: Client, clock: IReactorTime, plain: bool = False) -> None:
        self._client = client
        self._clock = clock
        self._plain = plain

    async def keys_at(self, url: str) -> Published:
        """The keys at a URL.

        :raises Upstream: if there are none, or nobody answers.
        """
        document = await self._get(url)
        if document.status != 200:
            raise UnexpectedStatus(_host(url), f"answers {document.status} where its keys should be")
        try:
            return Published(parse_jwks(document.data), document.max_age)
        except ValueError as error:
            raise UpstreamCorrupt(_host(url), f"sends no keys: {error}") from None

    async def keys_of(self, issuer: str) -> Published:
        """The keys of an issuer, from where its discovery document says (OpenID Connect Discovery, 4.3).

        :raises Upstream: as `keys_at`, and if the document is another issuer's.
        """
        return await self.keys_at(self.place(await self.document_of(issuer), "jwks_uri", issuer))

    async def document_of(self, issuer: str) -> dict[str, Any]:
        """The discovery document of an issuer.

        :raises Upstream: if there is none, nobody answers, or it is another issuer's.
        """
        document = await self._get(issuer.rstrip("/") + _WELL_KNOWN)
        if document.status != 200:
            raise UnexpectedStatus(_host(issuer), f"answers {document.status} where its discovery document should be")
        found = _parse(document, issuer)
        if found.get("issuer") != issuer:
            raise UpstreamCorrupt(_host(issuer), "has the discovery document of another issuer")
        return found

    async def keys_beside(self, url: str) -> Published:
        """The keys that the origin of a URL publishes, at one of the two usual places; `Published(None)` if at neither.

        :raises Upstream: if that cannot be told, or what is published cannot be used.
        """
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        document = await self._get(origin + _WELL_KNOWN)
        if _is_there(document):
            return await self.keys_at(self.place(_parse(document, origin), "jwks_uri", origin))
        self._check_absent(document, origin)
        document = await self._get(origin + _BARE_KEYS)
        if _is_there(document):
            try:
                return Published(parse_jwks(document.data), document.max_age)
            except ValueError as error:
                raise UpstreamCorrupt(_host(origin), f"sends no keys: {error}") from None
        self._check_absent(document, origin)
        return Published(None)

    def _check_absent(self, document: _Document, origin: str) -> None:
        if document.status not in _ABSENT and document.status != 200:
            raise UnexpectedStatus(_host(origin), f"answers {document.status} where its keys may be")

    def place(self, document: dict[str, Any], name: str, base: str) -> str:
        """A URL that a document names: over TLS, or where the document itself came from without.

        :raises UpstreamCorrupt: if it names none that may be asked.
        """
        place = document.get(name)
        if not isinstance(place, str) or not place.isascii() or not place.isprintable() or " " in place:
            raise UpstreamCorrupt(_host(base), f"has a discovery document without {name}")
        try:
            parts, ours = urlsplit(place), urlsplit(base)
            allowed = parts.scheme == "https" or (
                parts.scheme == "http" and (self._plain or (ours.scheme, ours.netloc) == ("http", parts.netloc))
            )
        except ValueError:
            allowed = False
        if not allowed:
            raise UpstreamCorrupt(_host(base), f"has a discovery document that names {name} without TLS")
        return place

    async def _get(self, url: str) -> _Document:
        """A whole document.

        :raises Upstream: if it is not there in time, or too large.
        """
        reading = Deferred.fromCoroutine(self._read(url))
        try:
            return await reading.addTimeout(SECONDS, self._clock)
        except TimeoutError:
            raise UpstreamTimeout(_host(url), "does not answer in time") from None

    async def _read(self, url: str) -> _Document:
        answer = await self._client.request("GET", url, {"Accept": "application/json, application/jwk-set+json"})
        try:
            kind = (answer.header("content-type") or "").partition(";")[0].strip().lower()
            data = await answer.body.read_all(MAX_DOCUMENT) if answer.status == 200 else b""
            return _Document(answer.status, kind, data, _max_age(answer.headers("cache-control")))
        except TooLarge:
            raise UpstreamCorrupt(
                _host(url), f"sends more than the {MAX_DOCUMENT >> 10} KiB that are allowed"
            ) from None
        finally:
            answer.close()


def _is_there(document: _Document) -> bool:
    """Whether it is one: many servers answer whatever is asked with the page of an application."""
    return document.status == 200 and document.kind not in ("text/html", "application/xhtml+xml")


def _parse(document: _Document, base: str) -> dict[str, Any]:
    try:
        return parse_object(document.data)
    except ValueError as error:
        raise UpstreamCorrupt(_host(base), f"sends no discovery document: {error}") from None


def _max_age(headers: list[str]) -> float | None:
    """What Cache-Control says (RFC 9111, 5.2.2), in seconds."""
    text = ",".join(headers)
    found = _MAX_AGE.search(text)
    if _NOT_KEPT.search(text):
        return 0.0
    return None if found is None else float(found[1])


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
