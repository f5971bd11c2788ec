"""What a case gets: the server under test, the images, a scratch folder, and the short ways to use them together."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from tests.live.cell import unmount_below
from tests.live.certificates import Certificates
from tests.live.images import TAG, Artifact, Image, Images, MultiArch
from tests.live.layout import Descriptor, Layout
from tests.live.pushed import Pushed
from tests.live.registry import Endpoint, Registry
from tests.live.server import LogTail, Server, Setup


class Case(NamedTuple):
    """One line of the report: what is tried, and the trial, which raises if it fails."""

    name: str
    trial: Callable[[], None]
    server: Server | None = None
    """The server that the case is about, where it is another than the bench's."""


@dataclass
class Bench:
    """One server under test, and the endpoint by which clients reach it: its own, or that of a proxy before it."""

    server: Server
    endpoint: Endpoint
    images: Images
    certificates: Certificates
    scratch: Path
    credentials: str | None = None
    """`user:password` of who may do everything, where that is needed."""
    _seeded: set[str] = field(default_factory=set)

    @property
    def secure(self) -> bool:
        """Whether clients speak TLS."""
        return self.endpoint.certificates is not None

    @property
    def registry(self) -> Registry:
        """The server's content, for judging it."""
        return Registry(self.endpoint, self.credentials)

    def full_name(self, name: str, reference: str = TAG) -> str:
        """The name by which clients push and pull: with host, and a tag or digest."""
        separator = "@" if reference.startswith("sha256:") else ":"
        return f"{self.endpoint.address}/{name}{separator}{reference}"

    def pushed(self, name: str) -> Pushed:
        """A judge of what was pushed to that repository."""
        return Pushed(self.registry, name, self.scratch)

    def push_is_mounted(self, name: str, push: Callable[[], None]) -> None:
        """A push of what the registry has elsewhere must mount at least one blob instead of sending it."""
        log = LogTail(self.server.log)
        push()
        log.wait_for("a mount", rf'"POST /v2/{name}/blobs/uploads/\?\S*mount=\S* HTTP/[.0-9]+" 201')

    def seed(self, image: Image | MultiArch | Artifact, below: str = "seed/b/c/d") -> str:
        """Put an image into the registry without any client, for clients to pull; return its repository's name.

        The name has five parts, so that every pull is one of such a name, if it isn't to be `below` another.
        """
        layout = image.layout
        name = f"{below}/{layout.root.name}"
        if name not in self._seeded:
            self._put(name, layout, image)
            self._seeded.add(name)
        return name

    def _put(self, name: str, layout: Layout, image: Image | MultiArch | Artifact) -> None:
        if isinstance(image, MultiArch):
            for child in image.images:
                self._put_manifest(name, layout, child.manifest, child.blobs, child.manifest.digest)
            self._put_manifest(name, layout, image.index, [], TAG)
        else:
            self._put_manifest(name, layout, image.manifest, list(image.blobs), TAG)

    def _put_manifest(
        self, name: str, layout: Layout, manifest: Descriptor, blobs: list[Descriptor], reference: str
    ) -> None:
        for blob in blobs:
            self.registry.upload_blob(name, blob.digest, layout.path(blob.digest))
        self.registry.put_manifest(name, reference, manifest, layout.read(manifest.digest))

    @contextmanager
    def folder(self, name: str) -> Iterator[Path]:
        """A new folder for the block."""
        path = self.scratch / name
        path.mkdir()
        try:
            yield path
        finally:
            unmount_below(path)
            shutil.rmtree(path)

    def forget_known_blobs(self) -> None:
        """Remove the cache by which skopeo, podman and buildah mount a blob from elsewhere instead of sending it."""
        shutil.rmtree("/var/lib/containers/cache", ignore_errors=True)

    def reaching(self, server: Server, endpoint: Endpoint, credentials: str | None = None) -> Bench:
        """The same bench, for another server or another way to it."""
        return replace(self, server=server, endpoint=endpoint, credentials=credentials, _seeded=set())

    @contextmanager
    def serving(self, setup: Setup) -> Iterator[Server]:
        """Another server of the same kind for the block; an unclean end of it is an error."""
        server = type(self.server)(setup, self.scratch / setup.name)
        try:
            server.start()
            yield server
            server.stop()
        finally:
            server.remove()
