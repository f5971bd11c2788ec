"""`/v2/<name>/blobs/uploads/…` (distribution-spec, "Pushing blobs", "Mounting a blob from another repository")."""

from __future__ import annotations

from contextlib import suppress

from pkgd.auth.model import Action, oci
from pkgd.errors import InvalidName, InvalidUpload, PkgdError, UnknownUpload
from pkgd.formats.byterange import ByteRange, parse_chunk_range
from pkgd.formats.digest import Digest, hasher
from pkgd.formats.names import RepositoryName, UploadId
from pkgd.registry.blobs import Blobs
from pkgd.registry.upload import UploadSession
from pkgd.registry.uploads import Uploads
from pkgd.web.gate import declares
from pkgd.web.registry.endpoint import Call, Endpoint
from pkgd.web.registry.paths import Kind
from pkgd.web.request import Request
from pkgd.web.respond import header_block, send_empty
from pkgd.web.target import Query, parse_query

__all__ = ["UploadEndpoints"]

# What a POST that only begins a session may carry; ggcr and others send a few bytes of JSON.
MAX_IGNORED = 64 * 1024


class UploadEndpoints:
    """Pushing blobs."""

    def __init__(self, uploads: Uploads, blobs: Blobs) -> None:
        self._uploads = uploads
        self._blobs = blobs

    def endpoints(self) -> list[Endpoint]:
        """The rows of the table."""
        return [
            Endpoint(Kind.UPLOADS, ("POST",), self.start),
            Endpoint(Kind.UPLOAD, ("GET",), self.status),
            Endpoint(Kind.UPLOAD, ("PATCH",), self.append),
            Endpoint(Kind.UPLOAD, ("PUT",), self.complete),
            Endpoint(Kind.UPLOAD, ("DELETE",), self.cancel),
        ]

    @declares(Action.PUSH)
    async def start(self, call: Call) -> None:
        """Begin a session; or take a whole blob; or mount one ("POST then PUT", "Single POST", "Mounting").

        A mount that cannot be had, for whatever reason, is a session.
        """
        query = _query(call.request)
        digest, mount = query.one("digest"), query.one("mount")
        if digest is not None and mount is None:
            await self._take_whole(call, Digest.parse(digest))
            return
        if mount is not None and await self._mount(call, Digest.parse(mount), query.one("from")):
            _send_created(call, Digest.parse(mount))
            return
        await call.request.body.read_all(MAX_IGNORED)
        session = await self._uploads.start(call.name, _algorithm(query), call.grant.principal.owner)
        _send_progress(call.request, 202, session)

    async def _take_whole(self, call: Call, digest: Digest) -> None:
        session = await self._uploads.start(call.name, digest.algorithm, call.grant.principal.owner)
        try:
            await self._uploads.commit(session, digest, call.request.body, None)
        except PkgdError:
            # The client was never told the session's location.
            await self._discard(session)
            raise
        _send_created(call, digest)

    async def _discard(self, session: UploadSession) -> None:
        with suppress(UnknownUpload):  # a wrong digest has ended it already
            await self._uploads.cancel(session)

    async def _mount(self, call: Call, digest: Digest, source: str | None) -> bool:
        """Link the blob from `source`, or, where none is named, from any repository the client may pull."""
        if source is not None:
            try:
                candidates = [RepositoryName.parse(source)]
            except InvalidName:
                return False
        else:
            candidates = await self._blobs.holders(digest)
        for one in candidates:
            if call.grant.may(oci(one, Action.PULL)) and await self._blobs.mount(call.name, digest, one):
                return True
        return False

    @declares(Action.PUSH)
    async def status(self, call: Call) -> None:
        """Say how much of a session has arrived ("Pushing a blob in chunks")."""
        session = await self._find(call)
        _send_progress(call.request, 204, session)

    @declares(Action.PUSH)
    async def append(self, call: Call) -> None:
        """Add a chunk, or a stream of unknown length, to a session ("Pushing a blob in chunks")."""
        place = _place(call.request)
        session = await self._find(call)
        await self._uploads.append(session, call.request.body, place)
        _send_progress(call.request, 202, session)

    @declares(Action.PUSH)
    async def complete(self, call: Call) -> None:
        """End a session, with its last bytes or none ("POST then PUT")."""
        given = _query(call.request).one("digest")
        if given is None:
            raise InvalidUpload("", "the digest parameter is missing")
        digest = Digest.parse(given)
        upload_id = UploadId.parse(call.path.argument)
        if self._uploads.finished_as(call.name, upload_id, call.grant.principal.owner) == digest:
            # The answer to the first PUT was lost on its way; this is the same one again.
            _send_created(call, digest)
            return
        place = _place(call.request)
        session = await self._find(call)
        await self._uploads.commit(session, digest, call.request.body, place)
        _send_created(call, digest)

    @declares(Action.PUSH)
    async def cancel(self, call: Call) -> None:
        """End a session and forget it ("Canceling a blob upload")."""
        await self._uploads.cancel(await self._find(call))
        send_empty(call.request, 204)

    async def _find(self, call: Call) -> UploadSession:
        return await self._uploads.find(call.name, UploadId.parse(call.path.argument), call.grant.principal.owner)


def _query(request: Request) -> Query:
    return parse_query(request.uri.partition(b"?")[2])


def _algorithm(query: Query) -> str:
    """The `digest-algorithm` that the client announces.

    :raises InvalidDigest: if it is none that is supported.
    """
    given = query.one("digest-algorithm")
    if given is None:
        return "sha256"
    hasher(given)
    return given


def _place(request: Request) -> ByteRange | None:
    header = request.header(b"content-range")
    return None if header is None else parse_chunk_range(header)


def _send_progress(request: Request, status: int, session: UploadSession) -> None:
    # docker needs an end that is not below the start, so nothing yet is 0-0 too.
    last = max(session.offset - 1, 0)
    send_empty(
        request,
        status,
        header_block(Location=session.location, Range=f"0-{last}", Docker_Upload_UUID=session.id),
    )


def _send_created(call: Call, digest: Digest) -> None:
    location = f"/v2/{call.name}/blobs/{digest}"
    send_empty(call.request, 201, header_block(Location=location, Docker_Content_Digest=str(digest)))
