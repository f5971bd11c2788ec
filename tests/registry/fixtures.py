"""The OCI domain put together for tests, what is pushed to it, and the sending end of a request's body."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.blocking import Blocking, InlineBlocking
from pkgd.flow import BufferPool, Inflow
from pkgd.formats.digest import Digest
from pkgd.formats.globs import Globs
from pkgd.formats.names import Reference, RepositoryName, Tag
from pkgd.formats.oci import IMAGE, INDEX
from pkgd.registry.blobs import Blobs
from pkgd.registry.catalog import Catalog
from pkgd.registry.contents import ContentsReader
from pkgd.registry.immutable import ImmutableTags
from pkgd.registry.leases import Leases
from pkgd.registry.legacy import LegacyManifests
from pkgd.registry.manifests import Manifests, Pushed, TagChange
from pkgd.registry.referrers import Referrers
from pkgd.registry.stored import StoredManifests
from pkgd.registry.uploads import Uploads
from pkgd.sharing import KeyedLock
from pkgd.state import Database, Index
from pkgd.storage.fsops import FileSystem
from pkgd.storage.layout import SPOOL
from pkgd.storage.space import FreeSpace
from tests.fixtures import inline_database
from tests.storage.fixtures import Place

__all__ = [
    "APP",
    "OTHER",
    "Client",
    "Registry",
    "RegistryCase",
    "anything",
    "body",
    "broken_database",
    "descriptor",
    "image",
    "image_index",
    "tree",
]

T = TypeVar("T")
Call = Coroutine[Deferred[Any], Any, T]

APP = RepositoryName("team/app")
OTHER = RepositoryName("other")


class Client:
    """The sending end of a body: what the test sends is delivered as far as there is room."""

    def __init__(self, length: int | None = None, buffer: int = 1 << 16) -> None:
        self.body = Inflow(BufferPool(buffer, 2), self, length)
        self._unsent = b""
        self._end: Exception | bool = False

    def send(self, data: bytes) -> Client:
        """Send some bytes."""
        self._unsent += data
        self._deliver()
        return self

    def end(self) -> Client:
        """The body is complete, once everything has been delivered."""
        self._end = True
        self._deliver()
        return self

    def fail(self, error: Exception) -> Client:
        """The connection breaks, once everything has been delivered."""
        self._end = error
        self._deliver()
        return self

    def _deliver(self) -> None:
        while self._unsent and (room := self.body.room()) is not None:
            part = self._unsent[: len(room)]
            self._unsent = self._unsent[len(part) :]
            room[: len(part)] = part
            self.body.filled(len(part))
        if not self._unsent and self._end:
            end, self._end = self._end, False
            self.body.fail(end) if isinstance(end, Exception) else self.body.end()

    # -- what an Inflow asks of its source --

    def pause_body(self) -> None:
        """There is no room."""

    def resume_body(self) -> None:
        """There is room."""
        self._deliver()

    def body_wanted(self) -> None:
        """Somebody reads."""


def body(data: bytes = b"", chunked: bool = False) -> Inflow:
    """A body that has arrived whole, with a Content-Length or without."""
    return Client(None if chunked else len(data)).send(data).end().body


def anything(change: TagChange) -> None:
    """Permit every change of a tag."""


class Registry:
    """Everything of the domain on one tree, as the daemon makes it, but with no thread and no waiting."""

    def __init__(
        self,
        root: str,
        fs: FileSystem | None = None,
        blocking: Blocking | None = None,
        *,
        database: Database | None = None,
        sparse: Sequence[str] = (),
        immutable: Sequence[str] = (),
        min_free: int = 0,
        max_size: int = 0,
        max_open: int = 4096,
        run: int = 0,
    ) -> None:
        self.place = Place(root, fs, blocking)
        blocking = InlineBlocking() if blocking is None else blocking
        tree, spool, store = self.place.tree, self.place.spool, self.place.store
        self.clock = Clock()
        self.space = FreeSpace(tree, blocking, self.clock, min_free)
        self.run = run
        self.database = inline_database(f"{root}.{run}.sqlite") if database is None else database
        self.index = Index(self.database)
        self.locks = KeyedLock()
        self.leases = Leases(self.clock.seconds)
        self.blobs = Blobs(store, self.index, self.locks, self.leases)
        self.uploads = Uploads(spool, self.blobs, self.space, blocking, max_size, max_open)
        self.legacy = LegacyManifests(store, store, blocking)
        self.contents = ContentsReader(store, self.index, self.legacy, blocking)
        self.stored = StoredManifests(store, store, blocking, self.legacy)
        self.immutable = ImmutableTags(immutable, self.contents, self.stored, blocking)
        self.manifests = Manifests(
            *(store, self.index, self.blobs, self.stored, self.legacy, self.contents),
            *(self.space, self.place.spool.reserve, blocking, self.locks, Globs(sparse), self.immutable),
        )
        self.referrers = Referrers(self.stored, self.contents, self.index, self.locks)
        self.catalog = Catalog(store)

    def restarted(self, fs: FileSystem | None = None) -> Registry:
        """What the next process makes of the same tree, knowing nothing."""
        return Registry(self.place.tree.root, fs, run=self.run + 1)

    # -- what clients do --

    async def push_blob(self, name: RepositoryName, data: bytes) -> Digest:
        """Push a blob in one piece."""
        digest = Digest.of(data)
        session = await self.uploads.start(name)
        await self.uploads.commit(session, digest, body(data), None)
        return digest

    async def push(
        self, name: RepositoryName, reference: str, data: bytes, content_type: str = "", tags: Sequence[str] = ()
    ) -> Pushed:
        """Push a manifest, under a tag, or under a digest with tags."""
        target: Reference = Digest.parse(reference) if ":" in reference else Tag.parse(reference)
        return await self.manifests.put(name, target, data, content_type, [Tag(tag) for tag in tags], anything)

    async def pull(self, name: RepositoryName, reference: str) -> bytes:
        """The bytes of a manifest."""
        target: Reference = Digest.parse(reference) if ":" in reference else Tag.parse(reference)
        return (await self.stored.get(name, target)).data

    async def push_image(self, name: RepositoryName, tag: str, content: bytes) -> bytes:
        """Push an image with one layer of that content; returns its manifest."""
        config, layer = await self.push_blob(name, b"{}"), await self.push_blob(name, content)
        manifest = image(config, layer)
        await self.push(name, tag, manifest)
        return manifest


class RegistryCase(SynchronousTestCase):
    """A test case with a registry, and with words for calls that must or must not succeed."""

    def setUp(self) -> None:
        """An empty registry."""
        self.registry = Registry(self.mktemp())

    def begin(self, call: Call[T]) -> Deferred[T]:
        """Start a call that may have to wait."""
        return Deferred.fromCoroutine(call)

    def do(self, call: Call[T]) -> T:
        """The result of a call that has come to its end."""
        result: T = self.successResultOf(Deferred.fromCoroutine(call))
        return result

    def refusal(self, call: Call[Any], kind: type[Exception]) -> Any:
        """The error that a call has ended with."""
        return self.failureResultOf(Deferred.fromCoroutine(call), kind).value

    def path(self, key: str) -> str:
        """Where an object stands."""
        return self.registry.place.tree.path(key)

    def write(self, key: str, data: bytes) -> str:
        """Put a file into the tree by hand."""
        path = self.path(key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def read(self, key: str) -> bytes:
        """Read a file of the tree by hand."""
        with open(self.path(key), "rb") as file:
            return file.read()


def broken_database(*args: Any, **kwargs: Any) -> Deferred[Any]:
    """In place of a database's `runInteraction`: a database that does nothing that it is asked."""
    return fail(sqlite3.OperationalError("disk I/O error"))


def tree(root: str) -> dict[str, bytes]:
    """Every object below a root, key and bytes; without the spool."""
    found = {}
    for directory, _, files in os.walk(root):
        for file in files:
            path = os.path.join(directory, file)
            key = os.path.relpath(path, root)
            if not key.startswith(f"{SPOOL}/"):
                with open(path, "rb") as stream:
                    found[key] = stream.read()
    return found


def descriptor(data: bytes | Digest, media_type: str = "application/octet-stream", **more: Any) -> dict[str, Any]:
    """What a manifest says of an object."""
    digest = data if isinstance(data, Digest) else Digest.of(data)
    size = 1 if isinstance(data, Digest) else len(data)
    return {"mediaType": media_type, "digest": str(digest), "size": size, **more}


def image(config: Digest, *layers: Digest, **more: Any) -> bytes:
    """An OCI image manifest; `more` are further fields of it, or None to leave one out."""
    document = {
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": descriptor(config, "application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor(one, "application/vnd.oci.image.layer.v1.tar") for one in layers],
        **more,
    }
    return json.dumps({key: value for key, value in document.items() if value is not None}).encode()


def image_index(*children: bytes | Digest, **more: Any) -> bytes:
    """An OCI image index; `more` as in `image`."""
    document = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [descriptor(one, IMAGE) for one in children],
        **more,
    }
    return json.dumps({key: value for key, value in document.items() if value is not None}).encode()
