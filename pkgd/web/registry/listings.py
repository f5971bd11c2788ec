"""The base, the lists and the extensions of `/v2/` (distribution-spec, "Content Discovery", "Extensions")."""

from __future__ import annotations

from urllib.parse import quote

from pkgd.auth.model import Access, Action, oci
from pkgd.errors import UnknownName
from pkgd.formats.digest import Digest
from pkgd.formats.oci import INDEX
from pkgd.registry.catalog import Catalog
from pkgd.registry.contents import ContentsReader
from pkgd.registry.referrers import Referrers
from pkgd.web.gate import declares
from pkgd.web.registry.endpoint import Call, Endpoint
from pkgd.web.registry.paths import Kind
from pkgd.web.request import Request
from pkgd.web.respond import header_block, send_body, send_json
from pkgd.web.target import Query, parse_query

__all__ = ["ListingEndpoints", "page_size"]

# What one page may hold, whatever the client asks for (CVE-2023-2253).
MAX_PAGE = 1000
# How many repositories are looked at in one go: of those who see little, small pages would cost much.
MIN_WALK = 100


class ListingEndpoints:
    """Everything that lists."""

    def __init__(self, contents: ContentsReader, referrers: Referrers, catalog: Catalog) -> None:
        self._contents = contents
        self._referrers = referrers
        self._catalog = catalog

    def endpoints(self) -> list[Endpoint]:
        """The rows of the table."""
        return [
            Endpoint(Kind.BASE, ("GET", "HEAD"), self.base),
            Endpoint(Kind.CATALOG, ("GET", "HEAD"), self.catalog),
            Endpoint(Kind.DISCOVER, ("GET", "HEAD"), self.discover),
            Endpoint(Kind.TAGS, ("GET", "HEAD"), self.tags),
            Endpoint(Kind.REFERRERS, ("GET", "HEAD"), self.referrers),
        ]

    @declares(Access("registry", Action.ENTER))
    async def base(self, call: Call) -> None:
        """Say that this is a registry ("Determining Support")."""
        send_body(call.request, 200, b"application/json", b"{}", b"Docker-Distribution-API-Version: registry/2.0\r\n")

    @declares(Access("registry", Action.ENTER))
    async def discover(self, call: Call) -> None:
        """List the extensions: none (distribution-spec, extensions/_oci.md)."""
        send_json(call.request, 200, {"extensions": []})

    @declares(Access("registry", Action.LIST))
    async def catalog(self, call: Call) -> None:
        """List the repositories that the client may pull, a page at a time."""
        query = _query(call.request)
        count = page_size(query)
        names: list[str] = []
        after, more = query.one("last") or "", True
        while more and len(names) < count:
            page, more = await self._catalog.page(after, max(count - len(names), MIN_WALK))
            names += [one for one in page if call.grant.may_list(oci(one, Action.PULL))]
            after = page[-1] if page else after
        more, names = more or len(names) > count, names[:count]
        link = _link("/v2/_catalog", count, names[-1]) if more and names else b""
        send_json(call.request, 200, {"repositories": names}, link)

    @declares(Action.PULL)
    async def tags(self, call: Call) -> None:
        """List a repository's tags in byte order, a page at a time ("Listing Tags")."""
        query = _query(call.request)
        count = page_size(query)
        tags = await self._contents.tags(call.name)
        if not tags and not await self._catalog.exists(call.name):
            raise UnknownName(call.name)
        last = query.one("last")
        behind = tags if last is None else [tag for tag in tags if tag > last]
        page = behind[:count]
        more = bool(page) and len(behind) > len(page)
        link = _link(f"/v2/{call.name}/tags/list", count, page[-1]) if more else b""
        send_json(call.request, 200, {"name": str(call.name), "tags": page}, link)

    @declares(Action.PULL)
    async def referrers(self, call: Call) -> None:
        """List the manifests that name a subject, whether or not it exists ("Listing Referrers")."""
        subject = Digest.parse(call.path.argument)
        query = _query(call.request)
        kind = query.one("artifactType")
        page = await self._referrers.page(call.name, subject, kind, query.one("last") or "")
        headers = b"" if kind is None else b"OCI-Filters-Applied: artifactType\r\n"
        if page.next is not None:
            wanted = "" if kind is None else f"artifactType={quote(kind, safe='')}&"
            headers += header_block(Link=f'</v2/{call.name}/referrers/{subject}?{wanted}last={page.next}>; rel="next"')
        send_body(call.request, 200, INDEX.encode("ascii"), page.index, headers)


def _query(request: Request) -> Query:
    return parse_query(request.uri.partition(b"?")[2])


def page_size(query: Query) -> int:
    """How many entries the client wants at once, within reason.

    :raises InvalidRequest: if `n` is no number.
    """
    wanted = query.number("n")
    return MAX_PAGE if wanted is None else min(wanted, MAX_PAGE)


def _link(path: str, count: int, last: str) -> bytes:
    """The Link header to the next page (RFC 8288)."""
    return header_block(Link=f'<{path}?n={count}&last={quote(last, safe="")}>; rel="next"')
