"""Upload sessions: bytes that arrive in pieces and end as a blob (distribution-spec, "Pushing blobs").

    start -> append … append -> commit      or cancel, or expiry
             ^ each at the present offset; one writer at a time

A session (`upload`) is a file in the spool, with a record of whose it is: so it survives a restart. Its running
hash lives in memory; without it, the file is read once more at the commit. It belongs to the user who has begun it,
if one has: for others it is not there.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
from attrs import frozen
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import DigestMismatch, SessionBusy, Storage, UnknownUpload
from pkgd.flow import Inflow
from pkgd.formats.byterange import ByteRange
from pkgd.formats.digest import Digest
from pkgd.formats.names import RepositoryName, UploadId
from pkgd.registry.blobs import Blobs
from pkgd.registry.upload import UploadSession
from pkgd.storage.layout import directory
from pkgd.storage.space import FreeSpace
from pkgd.storage.spool import Spool

__all__ = ["Uploads"]

log = Logger()

# Sessions whose running hash is kept; the hash of one beyond that is computed anew at its commit.
MAX_OPEN = 4096
# Finished sessions that are remembered, so that a repeated PUT is answered like the first.
MAX_FINISHED = 4096


class _Record(msgspec.Struct):
    """What the spool keeps beside a session's bytes."""

    repository: str
    algorithm: str
    owner: str | None = None


@frozen
class _Finished:
    """What has become of a session."""

    repository: RepositoryName
    owner: str | None
    digest: Digest


class Uploads:
    """All sessions of hosted repositories."""

    def __init__(
        self,
        spool: Spool,
        blobs: Blobs,
        space: FreeSpace,
        blocking: Blocking,
        max_size: int = 0,
        max_open: int = MAX_OPEN,
    ) -> None:
        self._spool = spool
        self._blobs = blobs
        self._space = space
        self._blocking = blocking
        self.max_size = max_size
        self._max_open = max_open
        self._open: OrderedDict[UploadId, UploadSession] = OrderedDict()
        self._finished: OrderedDict[UploadId, _Finished] = OrderedDict()

    async def start(self, name: RepositoryName, algorithm: str = "sha256", owner: str | None = None) -> UploadSession:
        """Begin a session.

        :param algorithm: what the digest will probably be; another one costs a second reading.
        :param owner: the user, who alone may go on with it; None is nobody in particular.
        :raises Storage: if nothing can be written.
        """
        await self._space.require()
        upload_id = UploadId(secrets.token_hex(16))
        record = msgspec.json.encode(_Record(str(name), algorithm, owner))
        file = await self._blocking.disk(self._spool.create_upload, upload_id, record, algorithm)
        return self._remember(UploadSession(upload_id, name, file, self._space, self._blocking, owner))

    async def find(self, name: RepositoryName, upload_id: UploadId, user: str | None = None) -> UploadSession:
        """The repository's session of that id.

        :raises UnknownUpload: if there is none, or it belongs to another repository or user.
        """
        session = await self._load(upload_id)
        if session.repository != name or session.owner not in (None, user):
            raise UnknownUpload(upload_id)
        self._open.move_to_end(upload_id)
        return session

    def finished_as(self, name: RepositoryName, upload_id: UploadId, user: str | None = None) -> Digest | None:
        """The blob that a session has lately become, or None: if it hasn't, or would not be found."""
        found = self._finished.get(upload_id)
        is_found = found is not None and found.repository == name and found.owner in (None, user)
        return found.digest if found is not None and is_found else None

    async def append(self, session: UploadSession, body: Inflow, at: ByteRange | None) -> None:
        """Add a body to the session.

        :param at: where the client says that the body belongs, if it does.
        :raises OffsetMismatch: if that is not where the session stands; nothing is changed then.
        :raises InvalidSize: if the body is not as long as `at`; nothing is changed then.
        :raises SessionBusy: if another request is writing.
        :raises ClientGone: if the connection breaks; what arrived before is kept.
        """
        async with self._writing(session):
            await session.receive(body, at, self.max_size)
            await session.flush_ended()
            session.file.check()

    async def commit(self, session: UploadSession, digest: Digest, body: Inflow, at: ByteRange | None) -> None:
        """Add the last bytes, if any, and make the whole a blob of the repository, durably.

        :raises DigestMismatch: if the bytes have another digest; the session is gone then.
        """
        async with self._writing(session):
            await session.receive(body, at, self.max_size)
            await session.flush_ended()
            actual = await self._blocking.work(session.file.seal, digest.algorithm)
            if actual != digest:
                await self._remove(session)
                raise DigestMismatch(str(digest), str(actual))
            consumed = await self._blobs.add(session.repository, digest, session.file)
            log.debug(
                "stored {digest} in {repository}, linked: {linked}",
                digest=digest,
                repository=session.repository,
                linked=not consumed,
            )
            self._finished[session.id] = _Finished(session.repository, session.owner, digest)
            while len(self._finished) > MAX_FINISHED:
                self._finished.popitem(last=False)
            await self._remove(session)

    async def cancel(self, session: UploadSession) -> None:
        """End the session and drop its bytes.

        :raises SessionBusy: if a request is writing.
        """
        async with self._writing(session):
            await self._remove(session)

    async def expire(self, older_than: float, now: float) -> int:
        """Drop the sessions that nobody has written to for `older_than` seconds; returns how many.

        :param now: wall-clock time, which files are dated by.
        """
        found = await self._blocking.disk(self._spool.uploads)
        old = [UploadId(name) for name, written in found if now - written > older_than]
        return sum([await self._expire(one) for one in old])

    async def active(self) -> int:
        """How many sessions there are."""
        return len(await self._blocking.disk(self._spool.uploads))

    async def _expire(self, upload_id: UploadId) -> bool:
        """Drop a session that nobody is writing to. One that cannot be removed is left for the next time."""
        try:
            try:
                # As its one writer, so that nobody comes back to it while it is being removed.
                await self.cancel(await self._load(upload_id))
            except UnknownUpload:
                # Half of a session, which nobody can come back to.
                await self._blocking.disk(self._spool.remove_upload, upload_id)
        except SessionBusy:
            return False
        except Storage as error:
            log.error("the abandoned upload {id} cannot be removed: {reason}", id=upload_id, reason=error.operation)
            return False
        return True

    @asynccontextmanager
    async def _writing(self, session: UploadSession) -> AsyncIterator[None]:
        """Be the session's one writer, and close its file afterwards.

        A session whose file the disk has not kept, or that has none any more, is gone then.
        """
        if session.busy:
            raise SessionBusy(session.location, session.offset)
        if self._open.get(session.id) is not session:
            raise UnknownUpload(session.id)
        session.busy = True
        try:
            yield
        except UnknownUpload:
            self._open.pop(session.id, None)
            self._blobs.leases.end(session.id)
            raise
        finally:
            try:
                await session.flush_ended()
                await self._blocking.disk(session.file.release)
            finally:
                if session.file.lost:
                    with suppress(Storage):
                        await self._remove(session)
                session.busy = False

    # -- sessions in memory and in the spool --

    async def _load(self, upload_id: UploadId) -> UploadSession:
        """The session of that id, from memory or from the spool.

        :raises UnknownUpload: if there is none.
        """
        session = self._open.get(upload_id)
        if session is None:
            record, size = await self._blocking.disk(self._spool.read_upload, upload_id)
            session = self._open.get(upload_id) or self._restore(upload_id, record, size)
        return session

    def _restore(self, upload_id: UploadId, data: bytes, size: int) -> UploadSession:
        """A session of an earlier process."""
        try:
            record = msgspec.json.decode(data, type=_Record)
            file = self._spool.open_upload(upload_id, record.algorithm, size)
        except (msgspec.DecodeError, ValueError) as error:
            raise UnknownUpload(upload_id) from error
        name = RepositoryName(record.repository)
        return self._remember(UploadSession(upload_id, name, file, self._space, self._blocking, record.owner))

    def _remember(self, session: UploadSession) -> UploadSession:
        self._open[session.id] = session
        self._blobs.leases.begin(directory(session.repository), session.id)
        if len(self._open) > self._max_open:
            idle = [one for one in self._open.values() if not one.busy and one is not session]
            for one in idle[: len(self._open) - self._max_open]:
                del self._open[one.id]
        return session

    async def _remove(self, session: UploadSession) -> None:
        """Forget a session, once its file is gone: one that stays must not be taken for a new one."""
        await session.flush_ended()
        await self._blocking.disk(session.file.release)
        await self._blocking.disk(self._spool.remove_upload, session.id)
        self._open.pop(session.id, None)
        self._blobs.leases.end(session.id)
