"""A repository in a store of a test, a clock, a signer that signs nothing, and packages on their way into it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from pkgd.blocking import InlineBlocking
from pkgd.errors import SigningError
from pkgd.formats.filehashes import FileHashes
from pkgd.formats.openpgp import Certificate, rpm_header_signature
from pkgd.packages.layout import SPOOL
from pkgd.packages.records import Arrival, Served
from pkgd.storage.fsops import DurableTree, FileSystem
from pkgd.storage.interfaces import ObjectStore
from pkgd.storage.local import LocalStore
from pkgd.storage.memory import MemoryStore
from pkgd.storage.spool import Spool
from tests.formats.debs import CONTROL, data_tar, deb
from tests.formats.openpgp.keyfiles import key
from tests.storage.fixtures import QuietFileSystem

__all__ = ["NOW", "FakeSigner", "Ground", "NotedBlocking", "hashes_of", "made_deb", "result"]

P = ParamSpec("P")
T = TypeVar("T")

NOW = 1_790_000_000


def result(call: Coroutine[Deferred[Any], Any, Any]) -> Any:
    """What a call that never waits has ended with; raises its error."""
    ended: list[Any] = []
    Deferred.fromCoroutine(call).addBoth(ended.append)
    (found,) = ended
    if isinstance(found, Failure):
        found.raiseException()
    return found


def hashes_of(data: bytes) -> FileHashes:
    """What the upload path computes of a file."""
    digests = (hashlib.new(name, data).hexdigest() for name in ("md5", "sha1", "sha256", "sha512"))
    return FileHashes(len(data), *digests)


class FakeSigner:
    """Wraps what it is given, so that tests see what was signed; fails on demand."""

    def __init__(self) -> None:
        self.broken = False
        self.keys = b"KEYS"
        self.rpm_key = key("pkgd-ed25519")

    async def clearsign(self, text: bytes) -> bytes:
        """The text between marks."""
        self._check()
        return b"SIGNED\n" + text + b"END\n"

    async def detach(self, data: bytes) -> bytes:
        """The hash of what was signed."""
        self._check()
        return b"SIGNATURE " + hashlib.sha256(data).hexdigest().encode()

    def public_keys(self) -> bytes:
        """Something that stands for keys."""
        return self.keys

    async def sign_header(self, header: bytes) -> bytes:
        """A real signature: rpm's are looked at."""
        self._check()
        return rpm_header_signature(self.rpm_key, header, NOW)

    def certificates(self) -> list[Certificate]:
        """That of the key."""
        self._check()
        return [self.rpm_key.certificate]

    def _check(self) -> None:
        if self.broken:
            raise SigningError("out of ink")


class NotedBlocking(InlineBlocking):
    """Notes which computations it was given: they are not the reactor's."""

    def __init__(self) -> None:
        self.computed: list[str] = []

    def work(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """See `Blocking.work`."""
        self.computed.append(getattr(call, "__name__", ""))
        return super().work(call, *args, **kwargs)


class Ground:
    """Where repositories of a test stand: a spool in a directory, and a store there or in memory."""

    def __init__(self, root: str, in_memory: bool = True, fs: FileSystem | None = None) -> None:
        os.makedirs(root, exist_ok=True)
        self.blocking = NotedBlocking()
        self.tree = DurableTree(root, fs or QuietFileSystem())
        self.spool = Spool(self.tree, SPOOL)
        self.store: ObjectStore = MemoryStore() if in_memory else LocalStore(self.tree, self.blocking, self.spool)
        self.signer = FakeSigner()
        self.clock = Clock()
        self.clock.advance(NOW)

    def arrival(self, file_name: str, data: bytes) -> Arrival:
        """A file that has been uploaded."""
        staged = self.spool.create_fill("sha256")
        staged.append(memoryview(data))
        return Arrival(file_name, staged, hashes_of(data))

    def read(self, served: Served, piece: int = 1 << 16) -> bytes:
        """All of a file, as a client gets it; it is closed then."""
        parts, offset = [], 0
        while offset < served.reader.size:
            end = result(served.reader.available(offset))
            data = served.reader.read_at(offset, min(piece, end - offset))
            parts.append(data)
            offset += len(data)
        served.reader.close()
        return b"".join(parts)


def made_deb(
    name: str = "hello",
    version: str = "1.0",
    architecture: str = "amd64",
    *,
    paths: Sequence[str | bytes] = (),
    **fields: str,
) -> bytes:
    """A package of Debian, with these paths in it."""
    control = {**CONTROL, "Package": name, "Version": version, "Architecture": architecture, **fields}
    text = "".join(f"{field}: {value}\n" for field, value in control.items()).encode()
    return deb(text, data=data_tar(*(one.encode() if isinstance(one, str) else one for one in paths)))
