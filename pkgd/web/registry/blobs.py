"""`/v2/<name>/blobs/<digest>` (distribution-spec, "Pulling blobs", "Deleting Blobs")."""

from __future__ import annotations

from collections.abc import Callable

from pkgd.auth.model import Action
from pkgd.blocking import Blocking
from pkgd.formats.digest import Digest
from pkgd.registry.blobs import Blobs
from pkgd.registry.immutable import ImmutableTags
from pkgd.storage.layout import directories
from pkgd.web.gate import declares
from pkgd.web.registry.endpoint import Call, Endpoint
from pkgd.web.registry.paths import Kind
from pkgd.web.respond import send_empty, send_reader
from pkgd.web.unread import telling

__all__ = ["BlobEndpoints"]


class BlobEndpoints:
    """Reading and deleting blobs."""

    def __init__(
        self,
        blobs: Blobs,
        immutable: ImmutableTags,
        blocking: Blocking,
        suspect: Callable[[str, Digest], None] = lambda place, digest: None,
    ) -> None:
        """
        :param suspect: told of blobs that could not be read, and of their places.
        """
        self._blobs = blobs
        self._immutable = immutable
        self._blocking = blocking
        self._suspect = suspect

    def endpoints(self) -> list[Endpoint]:
        """The rows of the table."""
        return [
            Endpoint(Kind.BLOB, ("GET", "HEAD"), self.get),
            Endpoint(Kind.BLOB, ("DELETE",), self.delete),
        ]

    @declares(Action.PULL)
    async def get(self, call: Call) -> None:
        """Serve a blob, or the parts of it that the client asks for ("Pulling blobs")."""
        digest = Digest.parse(call.path.argument)
        with telling(lambda: self._tell(call, digest)):
            reader = await self._blobs.open(call.name, digest)
            await send_reader(call.request, self._blocking, reader, "application/octet-stream", str(digest))

    def _tell(self, call: Call, digest: Digest) -> None:
        for place in directories(call.name):
            self._suspect(place, digest)

    @declares(Action.DELETE)
    async def delete(self, call: Call) -> None:
        """Take a blob out of the repository ("Deleting Blobs")."""
        digest = Digest.parse(call.path.argument)
        await self._blobs.delete(call.name, digest, lambda: self._immutable.check(call.name, digest))
        call.grant.record("delete", f"oci:{call.name}", blob=str(digest))
        send_empty(call.request, 202)
