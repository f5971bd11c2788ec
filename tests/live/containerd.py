"""A containerd of the suite's own: for ctr, for CRI, and below dockerd."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live.content import expect, hash_output
from tests.live.layout import Descriptor
from tests.live.registry import Endpoint
from tests.live.tools import Daemon, last_lines, running

_CONFIG = """version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = {disabled}
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "{hosts}"
"""

_CRI = "io.containerd.grpc.v1.cri"

_HOST = """server = "{url}"
[host."{url}"]
  capabilities = ["pull", "resolve", "push"]
"""


class Containerd:
    """Where a running containerd is to be found."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "containerd.sock"
        self.hosts = folder / "certs.d"
        self.log = folder / "containerd.log"

    def configure(self, *, cri: bool) -> list[str]:
        """Write the configuration and return the command that runs containerd."""
        disabled = [] if cri else [_CRI]
        settings = _CONFIG.format(folder=self.folder, socket=self.socket, hosts=self.hosts, disabled=disabled)
        file = self.folder / "containerd.toml"
        file.write_text(settings)
        return ["containerd", "--config", str(file)]

    def introduce(self, endpoint: Endpoint) -> None:
        """Write the hosts.toml by which containerd knows how to speak to the registry, and whom to trust."""
        entry = _HOST.format(url=endpoint.url)
        if endpoint.certificates:
            entry += f'  ca = "{endpoint.certificates.authority}"\n'
        host = self.hosts / endpoint.address
        host.mkdir(parents=True, exist_ok=True)
        (host / "hosts.toml").write_text(entry)

    def holds(self, namespace: str, blobs: list[Descriptor]) -> None:
        """Read blobs back from containerd and compare them."""
        for blob in blobs:
            command = ("ctr", "--address", str(self.socket), "--namespace", namespace, "content", "get", blob.digest)
            expect("content in containerd", f"sha256:{hash_output(*command)}", blob.digest)

    def last_lines(self) -> str:
        """The end of containerd's log."""
        return last_lines(self.log)


@contextmanager
def running_containerd(folder: Path, *, cri: bool) -> Iterator[Containerd]:
    """A containerd for the block, its files in `folder`."""
    folder.mkdir(exist_ok=True)
    containerd = Containerd(folder)
    with running(Daemon("containerd", containerd.configure(cri=cri), containerd.log)) as daemon:
        daemon.wait_until(lambda: "containerd successfully booted" in containerd.log.read_text())
        yield containerd
