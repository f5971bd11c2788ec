"""What podman and buildah have in common: a storage of layers, and commands of nearly the same words.

Images come into the storage from a layout on disk, so that a push has nothing to mount from the registry.
Layers lie unpacked there and are packed anew on push: what arrives is compared by its unpacked content.
What was pulled is mounted, and every file of it compared.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from tests.live.bench import Bench, Case
from tests.live.content import expect, files_below
from tests.live.images import TAG, Image
from tests.live.tools import must_fail, run


class ContainersStorage(ABC):
    """One of the two programs, with a storage of its own, against one server."""

    program: str

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench = bench
        self._storage = ("--root", f"{folder}/root", "--runroot", f"{folder}/run", "--storage-driver", "overlay")
        certificates = bench.endpoint.certificates
        self._access = f"--cert-dir={certificates.trusted}" if certificates else "--tls-verify=false"

    def cases(self) -> Iterator[Case]:
        """Every kind of image that the program can carry, pushes first."""
        images, name = self.bench.images, self.program
        many, small, schema2 = images.many_layers, images.small, images.schema2
        if self.bench.secure:
            yield Case("refuse an unknown CA", self.distrust)
        yield self.heavy_push()
        yield Case("pull 40 layers, one of 1 GiB", lambda: self.pull(many))
        yield Case("push to a five-part name", lambda: self.push(small, f"{name}/b/c/d/e"))
        yield Case("pull by tag from a five-part name", lambda: self.pull(small))
        yield Case("pull by digest", lambda: self.pull(small, small.manifest.digest))
        yield Case("push again elsewhere: mount", lambda: self.push_mounted(small, f"{name}/mounted"))
        yield Case("manifest push --all of an index", lambda: self.push_index(f"{name}/multi"))
        yield Case("pull from an index", self.pull_from_index)
        yield Case("push Docker schema 2", lambda: self.push(schema2, f"{name}/schema2", "--format=v2s2"))
        yield Case("pull Docker schema 2", lambda: self.pull(schema2))

    def run(self, *arguments: str) -> str:
        """Run the program on its storage and return its last line of output."""
        lines = run(self.program, *self._storage, *arguments).strip().splitlines()
        return lines[-1] if lines else ""

    def push(self, image: Image, name: str, *options: str) -> None:
        """Push an image from the storage; all its content arrives."""
        identity = self.run("pull", "--quiet", image.source)
        target = "docker://" + self.bench.full_name(name)
        self.run("push", "--quiet", self._access, *options, identity, target)
        self._remove(identity)
        self.bench.pushed(name).has_the_content_of(image, TAG)

    def push_mounted(self, image: Image, name: str) -> None:
        """Push an image whose blobs the program has just sent to another repository."""
        self.bench.push_is_mounted(name, lambda: self.push(image, name))

    def pull(self, image: Image, reference: str = TAG) -> None:
        """Pull an image; its files are the original's."""
        self.pull_as(self.bench.full_name(self.bench.seed(image), reference), image)

    def pull_from_index(self) -> None:
        """Pull a tag that is an index: this machine's image comes."""
        multi = self.bench.images.multi_arch
        self.pull_as(self.bench.full_name(self.bench.seed(multi)), multi.images[0])

    def pull_as(self, full_name: str, image: Image) -> None:
        """Pull by a full name; what comes must be that image."""
        identity = self.run("pull", "--quiet", self._access, full_name)
        expect("image id", identity, image.config.digest.removeprefix("sha256:"))
        with self.mounted(identity) as folder:
            expect("files", files_below(folder), image.files)
        self._remove(identity)

    def push_index(self, name: str) -> None:
        """Push an index that the program composes of the images of another."""
        multi = self.bench.images.multi_arch
        self.run("manifest", "create", "composed")
        self.run("manifest", "add", "--all", "composed", multi.source)
        target = "docker://" + self.bench.full_name(name)
        self.run("manifest", "push", "--all", self._access, "composed", target)
        self.run("manifest", "rm", "composed")
        self.bench.pushed(name).is_an_index_of(multi.images, TAG)

    def _remove(self, identity: str) -> None:
        self.run("rmi", "--force", identity)

    def distrust(self) -> None:
        """Without the CA's certificate nothing is pulled: what the other cases verify is real."""
        must_fail("certificate", self.program, *self._storage, "pull", self.bench.full_name("any"))

    @abstractmethod
    def heavy_push(self) -> Case:
        """The push of an image of many and large layers."""

    @abstractmethod
    def mounted(self, identity: str) -> AbstractContextManager[Path]:
        """The image's files in a folder, for the block."""
