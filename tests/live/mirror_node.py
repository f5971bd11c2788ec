"""A node whose containerd knows one thing: the `_default/hosts.toml` that sends every registry through the mirror."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.live.bench import Bench
from tests.live.containerd import Containerd, running_containerd
from tests.live.content import expect
from tests.live.cri import CallRefused, ImageService
from tests.live.images import TAG, Image
from tests.live.mirror_setup import hosts_toml
from tests.live.mirror_stock import Stocked
from tests.live.tools import CommandFailed, run

PROGRAMS = ["containerd", "ctr", "runc"]

Pull = Callable[[Stocked, str], None]
"""Pulls an image by a tag or digest, compares what comes, and removes it, so that the next pull fetches it again."""

_NAMESPACE = "suite"
_CRI_NAMESPACE = "k8s.io"


class Node:
    """One containerd, and its two clients."""

    def __init__(self, containerd: Containerd) -> None:
        self._containerd = containerd
        self.hosts = containerd.hosts

    def pull_with_ctr(self, stocked: Stocked, reference: str = TAG, user: str | None = None) -> None:
        """Pull all its platforms by ctr, as `user:password` if that is given."""
        name = _name(stocked, reference)
        ctr = ("ctr", "--address", str(self._containerd.socket), "--namespace", _NAMESPACE)
        options = ["--all-platforms"] if len(stocked.images) > 1 else []
        options += ["--user", user] if user else []
        try:
            run(*ctr, "images", "pull", f"--hosts-dir={self._containerd.hosts}", *options, name)
        except CommandFailed as error:
            raise CommandFailed(ctr, str(error), self._containerd.last_lines()) from None
        for image in stocked.images:
            self._holds(_NAMESPACE, image)
        run(*ctr, "images", "rm", "--sync", name)

    def pull_with_cri(self, stocked: Stocked, reference: str = TAG) -> None:
        """Pull it as Kubernetes does: for this machine's platform, by the runtime interface."""
        name, image = _name(stocked, reference), stocked.for_this_machine
        service = ImageService(self._containerd.socket)
        try:
            identity = service.pull(name)
        except CallRefused as error:
            raise CallRefused(f"{error} {name}\n{self._containerd.last_lines()}") from None
        expect("image id", identity, image.config.digest)
        self._holds(_CRI_NAMESPACE, image)
        service.remove(name)

    def _holds(self, namespace: str, image: Image) -> None:
        self._containerd.holds(namespace, [image.manifest, *image.blobs])


def _name(stocked: Stocked, reference: str) -> str:
    return f"{stocked.full_name}{'@' if reference.startswith('sha256:') else ':'}{reference}"


@contextmanager
def running_node(mirror: Bench, name: str = "node") -> Iterator[Node]:
    """A node for the block, its files in a folder of that name."""
    with mirror.folder(name) as folder, running_containerd(folder, cri=True) as containerd:
        default = containerd.hosts / "_default"
        default.mkdir(parents=True)
        (default / "hosts.toml").write_text(hosts_toml(mirror.endpoint))
        yield Node(containerd)
