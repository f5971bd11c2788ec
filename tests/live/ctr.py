"""containerd's ctr: images go in from an archive and out unchanged; what is pulled is read back blob by blob."""

from __future__ import annotations

from collections.abc import Iterator

from tests.live.bench import Bench, Case
from tests.live.containerd import Containerd, running_containerd
from tests.live.images import TAG, Artifact, Image, MultiArch
from tests.live.tools import must_fail, run

PROGRAMS = ["containerd", "ctr", "runc", "tar"]

_NAMESPACE = "suite"


def cases(bench: Bench) -> Iterator[Case]:
    """Every kind of image, there and back."""
    with bench.folder("ctr") as folder, running_containerd(folder, cri=False) as containerd:
        ctr = Ctr(bench, containerd)
        many, small, schema2 = bench.images.many_layers, bench.images.small, bench.images.schema2
        if bench.secure:
            yield Case("refuse an unknown CA", ctr.distrust)
        multi, artifact = bench.images.multi_arch, bench.images.artifact
        yield Case("push 40 layers, one of 1 GiB", lambda: ctr.push_image(many, "ctr/many"))
        yield Case("pull 40 layers, one of 1 GiB", lambda: ctr.pull(many))
        yield Case("push to a five-part name", lambda: ctr.push_image(small, "ctr/b/c/d/e"))
        yield Case("pull by tag from a five-part name", lambda: ctr.pull(small))
        yield Case("pull by digest", lambda: ctr.pull(small, small.manifest.digest))
        yield Case("push an index", lambda: ctr.push_index(multi, "ctr/multi"))
        yield Case("pull an index for all platforms", lambda: ctr.pull_index(multi))
        yield Case("push an artifact with a subject", lambda: ctr.push_artifact(artifact, "ctr/artifact"))
        yield Case("fetch an artifact with a subject", lambda: ctr.fetch(artifact))
        yield Case("push Docker schema 2", lambda: ctr.push_image(schema2, "ctr/schema2"))
        yield Case("pull Docker schema 2", lambda: ctr.pull(schema2))


class Ctr:
    """ctr with its containerd, against one server."""

    def __init__(self, bench: Bench, containerd: Containerd) -> None:
        self._bench = bench
        self._containerd = containerd
        containerd.introduce(bench.endpoint)

    def _ctr(self, *arguments: str) -> None:
        run("ctr", *self._target, *arguments)

    @property
    def _target(self) -> tuple[str, ...]:
        return ("--address", str(self._containerd.socket), "--namespace", _NAMESPACE)

    @property
    def _hosts(self) -> str:
        return f"--hosts-dir={self._containerd.hosts}"

    def distrust(self) -> None:
        """Without the CA's certificate nothing is pulled: what the other cases verify is real."""
        must_fail("certificate", "ctr", *self._target, "images", "pull", self._bench.full_name("any"))

    def _push(self, image: Image | MultiArch | Artifact, name: str) -> None:
        """Bring an image into containerd and push it to the registry."""
        archive = self._containerd.folder / "archive.tar"
        run("tar", "-C", str(image.layout.root), "-cf", str(archive), "oci-layout", "index.json", "blobs")
        base = f"--base-name={self._bench.endpoint.address}/{name}"
        self._ctr("images", "import", "--all-platforms", "--no-unpack", base, str(archive))
        archive.unlink()
        full_name = self._bench.full_name(name)
        self._ctr("images", "push", self._hosts, full_name)
        self._remove(full_name)

    def push_image(self, image: Image, name: str) -> None:
        """Push an image; it arrives unchanged."""
        self._push(image, name)
        self._bench.pushed(name).is_exactly(image.manifest, image.blobs, TAG)

    def push_index(self, multi: MultiArch, name: str) -> None:
        """Push an index and all its images; they arrive unchanged."""
        self._push(multi, name)
        self._bench.pushed(name).is_exact_index(multi, TAG)

    def push_artifact(self, artifact: Artifact, name: str) -> None:
        """Push an artifact whose subject is not there yet, then the subject: the artifact is among its referrers."""
        self._push(artifact, name)
        self._bench.pushed(name).is_exactly(artifact.manifest, list(artifact.blobs), TAG)
        self._push(artifact.subject, name)
        self._bench.pushed(name).is_referrer(artifact)

    def pull(self, image: Image, reference: str = TAG) -> None:
        """Pull and unpack an image; containerd then holds all its blobs."""
        self.pull_as(self._bench.full_name(self._bench.seed(image), reference), image)

    def pull_index(self, multi: MultiArch) -> None:
        """Pull an index and all its images."""
        full_name = self._bench.full_name(self._bench.seed(multi))
        self.pull_as(full_name, *multi.images, platforms="--all-platforms")

    def pull_as(self, full_name: str, *images: Image, platforms: str = "") -> None:
        """Pull by a full name; what comes must be those images."""
        self._ctr("images", "pull", self._hosts, *filter(None, [platforms]), full_name)
        for image in images:
            self._containerd.holds(_NAMESPACE, [image.manifest, *image.blobs])
        self._remove(full_name)

    def fetch(self, artifact: Artifact) -> None:
        """Fetch something that can't be unpacked, being no image."""
        full_name = self._bench.full_name(self._bench.seed(artifact))
        self._ctr("content", "fetch", "--all-platforms", self._hosts, full_name)
        self._containerd.holds(_NAMESPACE, [artifact.manifest, *artifact.blobs])
        self._remove(full_name)

    def _remove(self, full_name: str) -> None:
        """Delete an image and its content, so that the next pull starts from nothing."""
        self._ctr("images", "rm", "--sync", full_name)
