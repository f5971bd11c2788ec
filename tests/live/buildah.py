"""buildah: push and pull of what it can carry; it pushes layers uncompressed, which podman can't."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.live.bench import Bench, Case
from tests.live.containers_storage import ContainersStorage

PROGRAMS = ["buildah", "runc"]


class Buildah(ContainersStorage):
    """buildah against one server."""

    program = "buildah"

    def heavy_push(self) -> Case:
        """The push of an image of many and large layers."""
        light = self.bench.images.many_light_layers
        push = partial(self.push, light, "buildah/light", "--disable-compression")
        return Case("push 20 layers, one of 200 MiB, uncompressed", push)

    @contextmanager
    def mounted(self, identity: str) -> Iterator[Path]:
        """The files of a container of the image, for the block."""
        container = self.run("from", identity)
        yield Path(self.run("mount", container))
        self.run("rm", container)


def cases(bench: Bench) -> Iterator[Case]:
    """What buildah can carry, there and back."""
    bench.forget_known_blobs()
    with bench.folder("buildah") as folder:
        yield from Buildah(bench, folder).cases()
