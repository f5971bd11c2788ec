"""Checks the upload sessions that survived a kill, and the spool they live in."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.crash.inspector import Check, Inspector
from tests.crash.layout import SPOOL, spool_files
from tests.crash.ledger import Ending, UploadSession
from tests.crash.wire import Client

_RESUMED_PER_ROUND = 4
_KEPT_OPEN = 30
_RECORD = ".json"
_OCTETS = {"Content-Type": "application/octet-stream"}


@dataclass
class SessionCheck:
    """One look at all sessions after one restart.

    `sessions` keeps those that are still open, `strays` the files already reported.
    Half a session, a file without a record or the reverse, is a failure unless `orphans_allowed`: after a kill the
    server can sort them out at once, after a power cut it may leave them to the expiry of uploads.
    """

    inspector: Inspector
    sessions: dict[str, UploadSession]
    tree: Path | None
    repositories: Iterable[str]
    strays: set[tuple[str, ...]]
    orphans_allowed: bool = False
    resumed: int = 0
    cancelled: int = 0

    async def run(self, rng: random.Random) -> None:
        """Check the spool and every session, complete a few, and cancel some of the rest."""
        await self.inspector.run([self._status(session) for session in self.sessions.values()])
        await self.inspect_spool()
        started = [session for session in self.sessions.values() if session.acknowledged]
        chosen = rng.sample(started, min(_RESUMED_PER_ROUND, len(started)))
        await self.inspector.run([self._resume(session) for session in chosen])
        surplus = rng.sample(list(self.sessions.values()), max(0, len(self.sessions) - _KEPT_OPEN))
        await self.inspector.run([self._cancel(session) for session in surplus])

    async def inspect_spool(self) -> None:
        """Check that the spool holds nothing but sessions, each with the offset that its file shows."""
        if self.tree is not None:
            await self.inspector.run(self._spool_checks(self.tree))

    def _fail(self, session: UploadSession, what: str) -> None:
        self.inspector.failures.append(
            f"session {session.repository} {session.identifier}, {session.acknowledged} bytes acknowledged: {what}"
        )

    def _status(self, session: UploadSession) -> Check:
        async def check(client: Client) -> None:
            answer = await client.request("GET", session.location)
            if answer.status == 404 and session.ending is not None:
                await self._check_ended(client, session)
            elif answer.status != 204:
                self._fail(session, f"status is {answer}")
                del self.sessions[session.identifier]
            else:
                session.location = answer.headers.get("location", session.location)
                self._check_offset(session, _offset(answer.headers["range"]))

        return check

    async def _check_ended(self, client: Client, session: UploadSession) -> None:
        """The session's last request was in flight and took effect: the blob must be there if it was a commit."""
        del self.sessions[session.identifier]
        if session.ending is Ending.COMMIT:
            answer = await client.request("HEAD", f"/v2/{session.repository}/blobs/{session.content.digest}")
            if answer.status != 200:
                self._fail(session, "neither the session nor its blob is there")

    def _check_offset(self, session: UploadSession, offset: int) -> None:
        size = self._spooled(session)
        if offset < session.acknowledged or (size is not None and offset != size):
            self._fail(session, f"status says {offset}, the spool has {size}")
        session.acknowledged, session.ending = offset, None

    def _spooled(self, session: UploadSession) -> int | None:
        """The size of the session's spool file; 0 if there is none, None if the server's layout is unknown."""
        if self.tree is None:
            return None
        path = self.tree / SPOOL / "uploads" / session.identifier
        return path.stat().st_size if path.exists() else 0

    def _spool_checks(self, tree: Path) -> list[Check]:
        """A check for every file that is no known session's; what can't be a session's is a failure at once."""
        checks: list[Check] = []
        uploads = tree / SPOOL / "uploads"
        for parts in set(spool_files(tree)) - self.strays:
            match parts:
                case ["uploads", name] if name.removesuffix(_RECORD) in self.sessions:
                    pass
                case ["uploads", name] if name.endswith(_RECORD) and (uploads / name.removesuffix(_RECORD)).exists():
                    pass
                case ["uploads", name] if "." not in name:
                    checks.append(self._unknown_session(name, (uploads / name).stat().st_size))
                case ["uploads", name] if name.endswith(_RECORD) and self.orphans_allowed:
                    pass
                case _:
                    self.strays.add(parts)
                    self.inspector.failures.append(f"the spool still holds {'/'.join(parts)}")
        return checks

    def _unknown_session(self, identifier: str, size: int) -> Check:
        """A spool file whose session the client never learnt of must be a session all the same."""

        async def check(client: Client) -> None:
            for repository in self.repositories:
                location = f"/v2/{repository}/blobs/uploads/{identifier}"
                answer = await client.request("GET", location)
                if answer.status == 204:
                    if (offset := _offset(answer.headers["range"])) != size:
                        self.inspector.failures.append(
                            f"session {location}: status says {offset}, the spool has {size}"
                        )
                    await client.request("DELETE", location)
                    return
            if self.orphans_allowed:
                return
            self.strays.add(("uploads", identifier))
            self.inspector.failures.append(f"spool file {identifier} of {size} bytes belongs to no session")

        return check

    def _resume(self, session: UploadSession) -> Check:
        async def check(client: Client) -> None:
            rest = session.content.data()[session.acknowledged :]
            location = session.location
            if rest:
                span = f"{session.acknowledged}-{session.content.size - 1}"
                answer = await client.request("PATCH", location, rest, {**_OCTETS, "Content-Range": span})
                if answer.status != 202:
                    self._fail(session, f"PATCH of {span} answered {answer}")
                location = answer.headers.get("location", location)
            separator = "&" if "?" in location else "?"
            answer = await client.request("PUT", f"{location}{separator}digest={session.content.digest}", b"", _OCTETS)
            if answer.status != 201:
                self._fail(session, f"completing it answered {answer}")
            await self._check_completed(client, session)

        return check

    async def _check_completed(self, client: Client, session: UploadSession) -> None:
        answer = await client.request("GET", f"/v2/{session.repository}/blobs/{session.content.digest}")
        if answer.status != 200 or answer.body != session.content.data():
            self._fail(session, f"the completed blob answers {answer.status}, {len(answer.body)} bytes")
        del self.sessions[session.identifier]
        self.resumed += 1

    def _cancel(self, session: UploadSession) -> Check:
        async def check(client: Client) -> None:
            answer = await client.request("DELETE", session.location)
            if answer.status != 204 or self._spooled(session):
                self._fail(session, f"DELETE answered {answer}, the spool has {self._spooled(session)} bytes")
            del self.sessions[session.identifier]
            self.cancelled += 1

        return check


def _offset(field: str) -> int:
    """The offset that a Range field tells; `0-0` is taken for an empty session."""
    end = int(field.rpartition("-")[2])
    return end + 1 if end else 0
