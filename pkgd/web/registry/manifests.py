"""`/v2/<name>/manifests/<reference>` (distribution-spec, "Pulling manifests", "Pushing Manifests", "Deleting")."""

from __future__ import annotations

from functools import lru_cache

from pkgd.auth.model import Action, oci
from pkgd.errors import InvalidRequest, TooManyTags
from pkgd.formats.digest import Digest
from pkgd.formats.names import Tag, parse_reference
from pkgd.registry.manifests import Manifests, TagChange
from pkgd.registry.stored import StoredManifests
from pkgd.web.gate import declares
from pkgd.web.registry.endpoint import Call, Endpoint
from pkgd.web.registry.paths import Kind
from pkgd.web.respond import PIECE, header_block, not_modified, send_empty, send_stored, send_whole
from pkgd.web.target import parse_query

__all__ = ["ManifestEndpoints", "manifest_headers"]

# The specification asks for ten at least; a target of 8 KiB has room for some sixty.
MAX_TAGS = 50


class ManifestEndpoints:
    """Reading, pushing and deleting manifests and tags."""

    def __init__(self, stored: StoredManifests, manifests: Manifests, max_size: int) -> None:
        self._stored = stored
        self._manifests = manifests
        self._max_size = max_size

    def endpoints(self) -> list[Endpoint]:
        """The rows of the table."""
        return [
            Endpoint(Kind.MANIFEST, ("GET", "HEAD"), self.get, self.get_cached),
            Endpoint(Kind.MANIFEST, ("PUT",), self.put),
            Endpoint(Kind.MANIFEST, ("DELETE",), self.delete),
        ]

    @declares(Action.PULL)
    async def get(self, call: Call) -> None:
        """Serve a manifest as it was pushed, whatever the client accepts ("Pulling manifests").

        Nothing is converted: a converted manifest has another digest.
        """
        reference = parse_reference(call.path.argument)
        if isinstance(reference, Digest):
            # Whoever finds that it is here need not push it before an index that names it.
            self._manifests.touch(call.name, reference)
        found = await self._stored.get(call.name, reference)
        headers = manifest_headers(found.digest, found.media_type)
        if not_modified(call.request, f'"{found.digest}"'):
            send_empty(call.request, 304, headers)
        else:
            await send_stored(call.request, headers, found.data)

    def get_cached(self, call: Call) -> bool:
        """Do the same at once, if the manifest is small and in memory, and nothing is asked but to have it."""
        found = self._stored.cached(call.name, call.path.argument)
        if found is None or len(found.data) > PIECE or b"if-none-match" in call.request.head.headers:
            return False
        if ":" in call.path.argument:
            self._manifests.touch(call.name, found.digest)
        send_whole(call.request, manifest_headers(found.digest, found.media_type), found.data)
        return True

    @declares(Action.PUSH)
    async def put(self, call: Call) -> None:
        """Store a manifest under a digest, a tag, or several tags ("Pushing Manifests")."""
        request = call.request
        reference = parse_reference(call.path.argument)
        given = parse_query(request.uri.partition(b"?")[2]).all("tag")
        if len(given) > MAX_TAGS:
            raise TooManyTags(MAX_TAGS)
        tags = [Tag.parse(one) for one in given]
        if tags and not isinstance(reference, Digest):
            raise InvalidRequest("tag", "the parameter is for a manifest that is pushed by digest")
        data = await request.body.read_all(self._max_size)

        def permit(change: TagChange) -> None:
            if change.moves:
                call.grant.require(oci(call.name, Action.OVERWRITE))

        content_type = request.header(b"content-type") or ""
        pushed = await self._manifests.put(call.name, reference, data, content_type, tags, permit)
        named = tags if isinstance(reference, Digest) else [reference]
        action = "overwrite" if any(change.moves for change in pushed.changes) else "push"
        call.grant.record(action, f"oci:{call.name}", digest=str(pushed.digest), tags=list(dict.fromkeys(named)))
        headers = header_block(
            Location=f"/v2/{call.name}/manifests/{reference}", Docker_Content_Digest=str(pushed.digest)
        )
        if pushed.subject is not None:
            headers += header_block(OCI_Subject=str(pushed.subject))
        if pushed.warning is not None:
            headers += header_block(Warning=f'299 - "{pushed.warning}"')
        for tag in dict.fromkeys(tags):
            headers += header_block(OCI_Tag=tag)
        send_empty(request, 201, headers)

    @declares(Action.DELETE)
    async def delete(self, call: Call) -> None:
        """Remove a tag, or a manifest with every tag on it ("Deleting tags", "Deleting Manifests")."""
        reference = parse_reference(call.path.argument)
        await self._manifests.delete(call.name, reference)
        kind = "digest" if isinstance(reference, Digest) else "tag"
        call.grant.record("delete", f"oci:{call.name}", **{kind: str(reference)})
        send_empty(call.request, 202)


@lru_cache(4096)
def manifest_headers(digest: Digest, media_type: str) -> bytes:
    """The header block of a manifest, made once."""
    return header_block(
        Content_Type=_printable(media_type),
        Docker_Content_Digest=str(digest),
        ETag=f'"{digest}"',
        Content_Security_Policy="default-src 'none'; sandbox",
    )


def _printable(media_type: str) -> str:
    """A media type that fits into a header; an old tree may hold anything."""
    return media_type if media_type.isascii() and media_type.isprintable() else "application/octet-stream"
