"""podman: push and pull of what it can carry; 1 GiB is pushed as zstd, quick where nothing compresses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.live.bench import Bench, Case
from tests.live.containers_storage import ContainersStorage

PROGRAMS = ["podman", "runc"]


class Podman(ContainersStorage):
    """podman against one server."""

    program = "podman"

    def heavy_push(self) -> Case:
        """The push of an image of many and large layers."""
        many = self.bench.images.many_layers
        push = partial(self.push, many, "podman/many", "--compression-format=zstd")
        return Case("push 40 layers, one of 1 GiB, as zstd", push)

    @contextmanager
    def mounted(self, identity: str) -> Iterator[Path]:
        """The image's files in a folder, for the block."""
        yield Path(self.run("image", "mount", identity))
        self.run("image", "unmount", identity)


def cases(bench: Bench) -> Iterator[Case]:
    """What podman can carry, there and back."""
    bench.forget_known_blobs()
    with bench.folder("podman") as folder:
        yield from Podman(bench, folder).cases()
