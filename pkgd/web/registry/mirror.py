"""`/v2/` of upstream registries: reading through the mirror (distribution-spec, "Registry Proxying")."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import quote

from attrs import frozen

from pkgd.auth.model import Access, mirrored
from pkgd.blocking import Blocking
from pkgd.errors import LoopDetected, UnknownBlob, Unsupported
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, parse_reference
from pkgd.formats.oci import INDEX
from pkgd.mirror.blobs import MirroredBlobs
from pkgd.mirror.cache import MirrorCache
from pkgd.mirror.fallback import Fallback
from pkgd.mirror.manifests import MirroredManifest, MirroredManifests
from pkgd.mirror.origins import HOSTED, Choice, OriginRules, choose
from pkgd.mirror.referrers import MirroredReferrers
from pkgd.mirror.tags import MirroredTags
from pkgd.registry.catalog import Catalog
from pkgd.storage.layout import directory
from pkgd.web.gate import Grant
from pkgd.web.registry.listings import page_size
from pkgd.web.registry.manifests import manifest_headers
from pkgd.web.registry.paths import Kind, V2Path
from pkgd.web.request import Request
from pkgd.web.respond import (
    PIECE,
    header_block,
    not_modified,
    send_blob_head,
    send_body,
    send_empty,
    send_head,
    send_json,
    send_reader,
    send_stored,
    send_whole,
)
from pkgd.web.target import parse_query
from pkgd.web.unread import telling

__all__ = ["READING", "MirrorEndpoints", "Mirrored", "Mirrors"]

READING = frozenset([b"GET", b"HEAD"])

T = TypeVar("T")

# How many mirrors a request may have come through (RFC 9110, 7.6.3 has no limit; a chain needs three).
MAX_HOPS = 5
_STALE = b'Warning: 299 - "stale: the upstream registry could not be asked"\r\n'
_BLOB = "application/octet-stream"
# Choices that are remembered, and how long a target and a header may be for that.
_CHOICES = 4096
_REMEMBERED = 512
_HAS_NS = re.compile(rb"(?:^|&)(?:n|%6[eE])(?:s|%73)=")
# How much of a request's `Via` is read and passed on: its end, where the last mirrors stand.
_VIA = 1024


@frozen
class Mirrors:
    """What reads upstream repositories, a part for each kind of thing."""

    cache: MirrorCache
    manifests: MirroredManifests
    blobs: MirroredBlobs
    referrers: MirroredReferrers
    tags: MirroredTags


@frozen
class Mirrored:
    """A request for content of upstreams: what its path names, and the candidates, in order."""

    request: Request
    path: V2Path
    origins: tuple[Origin, ...]
    named: bool
    """Whether the request names its upstream: the one candidate."""
    grant: Callable[[Access], Awaitable[Grant]]
    """Lets the client read one of them, or raises `Denied`."""


class MirrorEndpoints:
    """Chooses where a request is answered from, and answers those that are for upstreams."""

    def __init__(
        self,
        mirrors: Mirrors,
        rules: OriginRules,
        catalog: Catalog,
        blocking: Blocking,
        own_id: str,
        suspect: Callable[[str, Digest], None] = lambda place, digest: None,
    ) -> None:
        """
        :param catalog: knows which repositories are hosted.
        :param own_id: what this mirror calls itself in `Via`.
        :param suspect: told of blobs that could not be read, and of their places.
        """
        self._mirrors = mirrors
        self._catalog = catalog
        self._rules = rules
        self._blocking = blocking
        self._own_id = own_id
        self._suspect = suspect
        self._fallback = Fallback(mirrors.cache)
        self._choices: dict[tuple[bytes, bytes | None], Choice] = {}
        self._handlers: dict[Kind, Callable[[Mirrored], Awaitable[None]]] = {
            Kind.MANIFEST: self._manifest,
            Kind.BLOB: self._blob,
            Kind.TAGS: self._tags,
            Kind.REFERRERS: self._referrers,
        }

    # -- where from --

    def choose(self, request: Request, path: V2Path) -> Choice:
        """Decide where the repository is that a request means. Lately made decisions are remembered.

        :raises UnknownName: for an upstream that may not be mirrored.
        """
        if path.name is None:
            return HOSTED
        header = request.head.headers.get(b"x-registry-host")
        key = (request.uri, header)
        found = self._choices.get(key)
        if found is None:
            query = request.uri.partition(b"?")[2]
            # Only then: what is wrong with a query that nobody reads is nobody's business.
            namespaces = parse_query(query).all("ns") if _HAS_NS.search(query) else []
            found = choose(path.name, namespaces, None if header is None else header.decode("latin-1"), self._rules)
            if len(request.uri) + len(header or b"") <= _REMEMBERED:
                if len(self._choices) >= _CHOICES:
                    self._choices.clear()
                self._choices[key] = found
        return found

    async def means_hosted(self, request: Request, path: V2Path, choice: Choice) -> bool:
        """Whether the request is for the hosted repository of the name.

        :raises Unsupported: for a write to an upstream's repository.
        """
        if not choice.origins:
            return True
        assert path.name is not None, "only a repository has origins"
        if request.method in READING and path.kind in self._handlers:
            return choice.hosted and await self._catalog.exists(path.name)
        if not choice.names_upstream:
            return True
        if choice.hosted and (not self._rules.enabled or await self._catalog.exists(path.name)):
            return True
        raise Unsupported(f"{choice.origins[0]} is an upstream's repository, which can only be read")

    # -- reading --

    def at_once(self, request: Request, path: V2Path, origin: Origin, admit: Callable[[Access], Grant | None]) -> bool:
        """Answer at once with a manifest that is in memory and needs no asking; False if there is none."""
        if path.kind is not Kind.MANIFEST or b"if-none-match" in request.head.headers:
            return False
        private = self._mirrors.cache.private_at_once(origin)
        if private is None or admit(mirrored(str(origin), private, path.name)) is None:
            return False
        found = self._mirrors.manifests.at_once(origin, path.argument, PIECE)
        if found is None or found.data is None:
            return False
        send_whole(request, _manifest_headers(origin, found), found.data)
        return True

    async def read(self, call: Mirrored) -> None:
        """Answer from the upstreams.

        :raises LoopDetected: if the request has come through here before.
        """
        self._check_loop(call.request)
        await self._handlers[call.path.kind](call)

    def _check_loop(self, request: Request) -> None:
        via = _via(request)
        if self._own_id in via or via.count("pkgd-") >= MAX_HOPS:
            raise LoopDetected(via)

    async def _resolve(
        self, call: Mirrored, ask: Callable[[Origin], Awaitable[T]], decides: bool = True
    ) -> tuple[Origin, T]:
        """The answer of the one origin that counts.

        :param decides: whether an answer proves that the repository is there, as an empty list does not.
        """

        async def admitted(origin: Origin) -> tuple[Origin, T]:
            await call.grant(mirrored(str(origin), await self._mirrors.cache.is_private(origin), call.path.name))
            return origin, await ask(origin)

        if call.named:
            return await admitted(call.origins[0])
        return await self._fallback.resolve(call.origins, admitted, decides)

    async def _manifest(self, call: Mirrored) -> None:
        request, reference = call.request, parse_reference(call.path.argument)
        head_only = request.method == b"HEAD"

        async def ask(origin: Origin) -> MirroredManifest:
            return await self._mirrors.manifests.get(origin, reference, _via(request), head_only)

        origin, found = await self._resolve(call, ask)
        headers = _manifest_headers(origin, found)
        if not_modified(request, f'"{found.head.digest}"'):
            send_empty(request, 304, headers)
        elif found.data is None:
            send_head(request, headers, found.head.size)
        else:
            await send_stored(request, headers, found.data)

    async def _blob(self, call: Mirrored) -> None:
        request, digest = call.request, Digest.parse(call.path.argument)
        if request.method == b"HEAD":
            if not call.named and not await self._fallback.knows(call.origins):
                # So every push to a new repository begins: no reason to ask the world for the name.
                raise UnknownBlob(str(digest))
            origin, size = await self._resolve(call, lambda one: self._mirrors.blobs.size(one, digest, _via(request)))
            send_blob_head(request, _BLOB, str(digest), size, _namespace(origin))
            return
        origin, reader = await self._resolve(call, lambda one: self._mirrors.blobs.open(one, digest, _via(request)))
        with telling(lambda: self._suspect(directory(origin), digest)):
            await send_reader(request, self._blocking, reader, _BLOB, str(digest), _namespace(origin))

    async def _tags(self, call: Mirrored) -> None:
        request = call.request
        query = parse_query(request.uri.partition(b"?")[2])
        count, last = page_size(query), query.one("last")
        origin, page = await self._resolve(
            call, lambda one: self._mirrors.tags.page(one, count, last, _via(request)), decides=False
        )
        headers = _namespace(origin) + (_STALE if page.stale else b"")
        if page.more and page.tags:
            headers += self._link(call, f"tags/list?n={count}&last={quote(page.tags[-1], safe='')}")
        send_json(request, 200, {"name": str(call.path.name), "tags": page.tags}, headers)

    async def _referrers(self, call: Mirrored) -> None:
        request, subject = call.request, Digest.parse(call.path.argument)
        query = parse_query(request.uri.partition(b"?")[2])
        kind, after = query.one("artifactType"), query.one("last") or ""
        origin, (page, stale) = await self._resolve(
            call, lambda one: self._mirrors.referrers.page(one, subject, kind, after, _via(request)), decides=False
        )
        headers = _namespace(origin) + (_STALE if stale else b"")
        if kind is not None:
            headers += b"OCI-Filters-Applied: artifactType\r\n"
        if page.next is not None:
            wanted = "" if kind is None else f"artifactType={quote(kind, safe='')}&"
            headers += self._link(call, f"referrers/{subject}?{wanted}last={page.next}")
        send_body(request, 200, INDEX.encode("ascii"), page.index, headers)

    def _link(self, call: Mirrored, target: str) -> bytes:
        """The Link header to the next page, which names the upstream as this request did."""
        named = parse_query(call.request.uri.partition(b"?")[2]).one("ns")
        suffix = f"&ns={quote(named, safe='')}" if named is not None else ""
        return header_block(Link=f'</v2/{call.path.name}/{target}{suffix}>; rel="next"')


def _via(request: Request) -> str:
    """Through which mirrors the request has come (RFC 9110, 7.6.3)."""
    return (request.header(b"via") or "").strip()[-_VIA:]


def _namespace(origin: Origin) -> bytes:
    return header_block(OCI_Namespace=origin.host)


def _manifest_headers(origin: Origin, found: MirroredManifest) -> bytes:
    headers = manifest_headers(found.head.digest, found.head.media_type) + _namespace(origin)
    return headers + _STALE if found.stale else headers
