"""skopeo: every kind of image, pushed as it is and pulled into a folder whose every byte is compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.live.bench import Bench, Case
from tests.live.content import expect, hash_file
from tests.live.images import TAG, Artifact, Image
from tests.live.layout import Descriptor
from tests.live.tools import must_fail, run

PROGRAMS = ["skopeo"]


def cases(bench: Bench) -> Iterator[Case]:
    """Every kind of image, there and back."""
    bench.forget_known_blobs()
    skopeo = Skopeo(bench)
    if bench.secure:
        yield Case("refuse an unknown CA", skopeo.distrust)
    many, small, schema2 = bench.images.many_layers, bench.images.small, bench.images.schema2
    yield Case("push 40 layers, one of 1 GiB", lambda: skopeo.push(many, "skopeo/many"))
    yield Case("pull 40 layers, one of 1 GiB", lambda: skopeo.pull(many))
    yield Case("push to a five-part name", lambda: skopeo.push(small, "skopeo/b/c/d/e"))
    yield Case("pull from a five-part name", lambda: skopeo.pull(small))
    yield Case("push again elsewhere: mount", lambda: skopeo.push_mounted(small, "skopeo/mounted"))
    yield Case("push an index with --all", skopeo.push_index)
    yield Case("pull an index with --all", skopeo.pull_index)
    yield Case("push an artifact with a subject", skopeo.push_artifact)
    yield Case("pull an artifact with a subject", lambda: skopeo.pull(bench.images.artifact))
    yield Case("push Docker schema 2", lambda: skopeo.push(schema2, "skopeo/schema2"))
    yield Case("pull Docker schema 2", lambda: skopeo.pull(schema2))
    yield Case("list-tags, then delete", skopeo.list_and_delete)


class Skopeo:
    """skopeo against one server."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def _access(self, side: str) -> str:
        """The option that says how to reach the registry on that side of a copy."""
        prefix = f"--{side}-" if side else "--"
        certificates = self._bench.endpoint.certificates
        return f"{prefix}cert-dir={certificates.trusted}" if certificates else f"{prefix}tls-verify=false"

    def copy_to(self, source: str, name: str, *options: str, tag: str = TAG) -> None:
        """Copy something local, as it is, to the registry."""
        target = "docker://" + self._bench.full_name(name, tag)
        run("skopeo", "copy", "--quiet", "--preserve-digests", *options, self._access("dest"), source, target)

    def copy_from(self, name: str, folder: Path, *options: str) -> None:
        """Copy something from the registry, as it is, to a folder in the `dir:` form."""
        source = "docker://" + self._bench.full_name(name)
        run("skopeo", "copy", "--quiet", "--preserve-digests", *options, self._access("src"), source, f"dir:{folder}")

    def distrust(self) -> None:
        """Without the CA's certificate nothing is pulled: what the other cases verify is real."""
        must_fail("certificate", "skopeo", "list-tags", f"docker://{self._bench.endpoint.address}/any")

    def push(self, image: Image, name: str) -> None:
        """Push an image; its manifest and blobs arrive unchanged."""
        self.copy_to(image.source, name)
        self._bench.pushed(name).is_exactly(image.manifest, image.blobs, TAG)

    def push_mounted(self, image: Image, name: str) -> None:
        """Push an image whose blobs skopeo has just sent to another repository."""
        self._bench.push_is_mounted(name, lambda: self.push(image, name))

    def pull(self, image: Image | Artifact) -> None:
        """Pull an image; manifest and blobs are the original's."""
        name = self._bench.seed(image)
        with self._bench.folder("skopeo-pulled") as folder:
            self.copy_from(name, folder)
            expect(f"{name}:{TAG}", hash_file(folder / "manifest.json"), image.manifest.digest[7:])
            _has_blobs(folder, list(image.blobs))

    def push_index(self) -> None:
        """Push an index and all its images."""
        multi = self._bench.images.multi_arch
        self.copy_to(multi.source, "skopeo/multi", "--all")
        self._bench.pushed("skopeo/multi").is_exact_index(multi, TAG)

    def pull_index(self) -> None:
        """Pull an index and all its images."""
        multi = self._bench.images.multi_arch
        name = self._bench.seed(multi)
        with self._bench.folder("skopeo-pulled") as folder:
            self.copy_from(name, folder, "--all")
            expect(f"{name}:{TAG}", hash_file(folder / "manifest.json"), multi.index.digest[7:])
            for image in multi.images:
                child = image.manifest.digest[7:]
                expect("child manifest", hash_file(folder / f"{child}.manifest.json"), child)
                _has_blobs(folder, image.blobs)

    def push_artifact(self) -> None:
        """Push an image, then an artifact about it: the registry lists it among the image's referrers."""
        artifact = self._bench.images.artifact
        self.copy_to(artifact.subject.source, "skopeo/artifact")
        self.copy_to(artifact.source, "skopeo/artifact", tag="parts")
        pushed = self._bench.pushed("skopeo/artifact")
        pushed.is_exactly(artifact.manifest, list(artifact.blobs), "parts")
        pushed.is_referrer(artifact)

    def list_and_delete(self) -> None:
        """Two tags are listed; deleting one image leaves the other's tag."""
        kept, gone = (self._bench.images.another_small(f"skopeo-{name}") for name in ("kept", "gone"))
        name = "skopeo/listed"
        self.copy_to(kept.source, name, tag="kept")
        self.copy_to(gone.source, name, tag="gone")
        self._bench.pushed(name).is_exactly(gone.manifest, gone.blobs, "gone")
        expect("tags", self._tags(name), ["gone", "kept"])
        run("skopeo", "delete", self._access(""), "docker://" + self._bench.full_name(name, "gone"))
        expect("tags", self._tags(name), ["kept"])

    def _tags(self, name: str) -> list[str]:
        listed = run("skopeo", "list-tags", self._access(""), f"docker://{self._bench.endpoint.address}/{name}")
        tags: list[str] = sorted(json.loads(listed)["Tags"])
        return tags


def _has_blobs(folder: Path, blobs: list[Descriptor]) -> None:
    for blob in blobs:
        expect("blob", hash_file(folder / blob.digest[7:]), blob.digest[7:])
