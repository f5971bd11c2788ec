"""Uploads of several files to an apt repository: sources, closed by their .dsc, and those of dput, by a .changes."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from typing import Any

from pkgd.blocking import Blocking
from pkgd.errors import FailedStorage, Invalid, InvalidPackage, TooLarge
from pkgd.flow import Inflow
from pkgd.formats.debnames import check_file_name
from pkgd.formats.dsc import MAX_SIZE, Changes, ChangesFile, read_changes, read_dsc
from pkgd.packages.apt import AptRepository, Upload
from pkgd.packages.records import Added, Arrival
from pkgd.storage.spool import Spool
from pkgd.web.packages.endpoint import known_component, known_suite
from pkgd.web.packages.pending import Pending
from pkgd.web.packages.receiving import Receiver

__all__ = ["BINARIES", "Sets"]

BINARIES = (".deb", ".udeb", ".ddeb")
# What a .dsc may name: tarballs, old diffs, detached signatures.
_PART = re.compile(r".+\.(?:tar\.(?:gz|xz|bz2|zst|lzma)|diff\.gz|asc)")


class Sets:
    """Puts files that arrive one by one together, and into a repository."""

    def __init__(self, receiver: Receiver, pending: Pending, spool: Spool, blocking: Blocking) -> None:
        self._receiver = receiver
        self._pending = pending
        self._spool = spool
        self._blocking = blocking

    async def hold(self, group: Hashable, body: Inflow, file_name: str) -> None:
        """Keep a file until its set is closed.

        :raises InvalidPackage: if no set has files of such a name.
        """
        check_file_name(file_name)
        await self._pending.hold(group, await self._receiver.receive(body, file_name))

    async def hold_part(self, group: Hashable, body: Inflow, file_name: str) -> None:
        """Keep a file of a source.

        :raises InvalidPackage: if no source has files of such a name.
        """
        if not _PART.fullmatch(file_name):
            raise InvalidPackage(file_name, "neither a package (.deb, .udeb, .ddeb, .dsc) nor a file of a source")
        await self.hold(group, body, file_name)

    async def close_source(
        self, repository: AptRepository, suites: Sequence[str], component: str, group: Hashable, dsc: Arrival
    ) -> Added:
        """Publish a source with the files of it that have arrived before."""
        names = [one.name for one in (await self._blocking.work(read_dsc, await self._read(dsc))).files]
        files = self._pending.take(group, names)
        try:
            (added,) = await repository.add_together(suites, [Upload(component, dsc, files)])
        except Invalid:
            # Nothing was taken. When what was wrong has been sent anew, they need not be.
            for arrival in files.values():
                await self._pending.hold(group, arrival)
            raise
        except BaseException:
            await self._discard(files.values())
            raise
        await self._discard(files.values())
        return added

    async def close(
        self, repository: AptRepository, suites: Sequence[str], group: Hashable, body: Inflow
    ) -> Sequence[Added]:
        """Publish what a .changes lists, of what has arrived before: all of it, or nothing.

        Whatever becomes of it, the files are not kept any longer: dput sends all of them again.

        :param suites: where; if there are none, the .changes says it.
        :raises InvalidPackage: if a file has not arrived, is another one, or is none that may be published.
        """
        changes = await self._blocking.work(read_changes, await body.read_all(MAX_SIZE))
        settings = [known_suite(repository, one) for one in suites or changes.distributions]
        self._check(changes, group)
        components = {one.name: known_component(repository, settings[0], _component(one)) for one in changes.files}
        files = self._pending.take(group, components)
        try:
            uploads = [
                Upload(components[name], arrival, files if name.endswith(".dsc") else None)
                for name, arrival in files.items()
                if name.endswith((*BINARIES, ".dsc"))
            ]
            if not uploads:
                raise InvalidPackage("Files", "the .changes lists neither a package nor a .dsc")
            return await repository.add_together([one.codename for one in settings], uploads)
        finally:
            await self._discard(files.values())

    def _check(self, changes: Changes, group: Hashable) -> None:
        held = self._pending.names(group)
        for one in changes.files:
            arrival = held.get(one.name)
            if arrival is None:
                raise InvalidPackage(one.name, "the .changes lists it, and it has not been uploaded")
            if (arrival.hashes.size, arrival.hashes.sha256) != (one.size, one.sha256):
                raise InvalidPackage(one.name, "what has been uploaded is not what the .changes lists")

    async def _read(self, arrival: Arrival) -> bytes:
        size = arrival.hashes.size
        if size > MAX_SIZE:
            raise TooLarge(MAX_SIZE)
        reader = await self._blocking.disk(self._spool.read_fill, arrival.staged, size)
        try:
            data = await self._blocking.disk(reader.read_at, 0, size)
        finally:
            reader.close()
        if len(data) != size:
            raise FailedStorage("read: the file is shorter than it was")
        return data

    async def _discard(self, arrivals: Any) -> None:
        for arrival in list(arrivals):
            await self._receiver.discard(arrival)


def _component(file: ChangesFile) -> str:
    """The component that a file's section names, as `contrib/libs` does; "" for none."""
    component, slash, _ = file.section.partition("/")
    return component if slash else ""
