"""What is outside: one docker-registry that is called registry-1.docker.io and registry.k8s.io."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.cookbook.village import INTERNET, Village
from tests.live.content import expect
from tests.live.images import Image
from tests.live.server import DockerRegistry, Setup
from tests.live.tools import CommandFailed, Daemon, run, wait_for

_PING = ["curl", "-fsS", "-o", "/dev/null", "https://registry-1.docker.io/v2/"]


@dataclass
class Internet:
    """The registry, running."""

    registry: DockerRegistry

    def fetches(self) -> Counter[str]:
        """How many times each manifest and blob was fetched: path → times."""
        text = self.registry.log.read_text(errors="replace")
        return Counter(re.findall(r'"GET (/v2/\S+/(?:manifests|blobs)/[^\s?]+)\S* HTTP/[.0-9]+" 20', text))

    def questions(self, repository: str) -> list[str]:
        """Every request about a repository."""
        text = self.registry.log.read_text(errors="replace")
        return re.findall(rf'"(\S+ /v2/{repository}/\S+) HTTP', text)

    def publish(self, image: Image, *names: str) -> None:
        """Push an image there, under names such as `registry-1.docker.io/library/alpine:3`."""
        for name in names:
            run("skopeo", "copy", "--quiet", "--preserve-digests", image.source, f"docker://{name}")

    def gave_each_blob_once(self, image: Image, repository: str) -> None:
        """Each blob of an image was fetched exactly once."""
        found = self.fetches()
        times = {blob.digest: found[f"/v2/{repository}/blobs/{blob.digest}"] for blob in image.blobs}
        expect(f"how often each blob of {repository} was fetched", times, dict.fromkeys(times, 1))

    def die(self) -> None:
        """Nothing answers there any more."""
        self.registry.stop()


class _Registry(DockerRegistry):
    """It is known by names, and not by its address."""

    def start(self) -> None:
        self.folder.mkdir(parents=True)
        self._daemon = Daemon(self.setup.name, self.command(), self.log)

        def answers() -> bool:
            try:
                return run(*_PING) == ""
            except CommandFailed:  # not yet
                return False

        wait_for("the internet answering", answers)


@contextmanager
def internet(village: Village, name: str) -> Iterator[Internet]:
    """The internet for the block, its content made anew: `alpine` with two tags, and `pause`."""
    folder = village.scratch / f"internet-{name}"
    registry = _Registry(Setup("internet", INTERNET, 443, village.certificates, tree=folder / "tree"), folder)
    try:
        registry.start()
        found = Internet(registry)
        hub, k8s = "registry-1.docker.io", "registry.k8s.io"
        alpine, pause = village.images.small, village.images.another_small("pause")
        found.publish(alpine, f"{hub}/library/alpine:3", f"{hub}/library/alpine:latest")
        found.publish(pause, f"{k8s}/pause:3.9")
        yield found
    finally:
        registry.remove()
