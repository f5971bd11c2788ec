"""The Docker engine: dockerd and containerd of the suite's own, driven by the docker command line.

dockerd compresses every layer anew with gzip when it pushes, and 1 GiB of noise would take it a minute:
what it pushes has one layer of 200 MiB of zeros instead, and 1 GiB it pulls only.
It reads certificates from /etc/docker/certs.d, which in the suite's cell is no folder of the machine's.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live.bench import Bench, Case
from tests.live.containerd import running_containerd
from tests.live.content import expect, files_of_tar
from tests.live.images import TAG, Image
from tests.live.mirror_setup import installed
from tests.live.registry import Endpoint
from tests.live.tools import CommandFailed, Daemon, must_fail, run, running

PROGRAMS = ["dockerd", "docker", "containerd", "runc", "skopeo"]


def cases(bench: Bench) -> Iterator[Case]:
    """What docker can carry, there and back."""
    with running_docker(bench) as docker:
        light, many = bench.images.many_light_layers, bench.images.many_layers
        small, schema2 = bench.images.small, bench.images.schema2
        yield Case("push 20 layers, one of 200 MiB", lambda: docker.push(light, "docker/light"))
        yield Case("pull 40 layers, one of 1 GiB", lambda: docker.pull(many))
        yield Case("push to a five-part name (Docker schema 2)", lambda: docker.push(small, "docker/b/c/d/e"))
        yield Case("pull by tag from a five-part name", lambda: docker.pull(small))
        yield Case("pull by digest", lambda: docker.pull(small, small.manifest.digest))
        yield Case("push again elsewhere: mount", lambda: docker.push_mounted(small, "docker/mounted"))
        yield Case("pull Docker schema 2", lambda: docker.pull(schema2))
        yield Case("manifest push of an index", lambda: docker.push_index("docker/multi"))
        yield Case("pull from an index", docker.pull_from_index)


class Docker:
    """docker with its engine, against one server."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self._bench = bench
        self._folder = folder
        self._socket = f"unix://{folder}/docker.sock"

    def daemon(self, containerd_socket: Path) -> Daemon:
        """Start dockerd."""
        folder = self._folder
        roots = ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"]
        network = ["--bridge=none", "--iptables=false", "--ip6tables=false"]
        command = ["dockerd", "--host", self._socket, "--containerd", str(containerd_socket), *roots, *network]
        return Daemon("dockerd", command, folder / "dockerd.log")

    def serves(self) -> bool:
        """Whether dockerd answers now."""
        try:
            return bool(self.run("version", "--format", "{{.Server.Version}}"))
        except CommandFailed:
            return False

    def run(self, *arguments: str) -> str:
        """Run a docker command."""
        return run(*self.command, *arguments).strip()

    @property
    def command(self) -> tuple[str, ...]:
        """The beginning of every docker command."""
        return "docker", "--host", self._socket

    def distrust(self) -> None:
        """Before docker is given the CA's certificate it pulls nothing: what the cases verify is real."""
        must_fail("certificate", "docker", "--host", self._socket, "pull", self._bench.full_name("any"))

    def push(self, image: Image, name: str) -> None:
        """Load an image, push it, and compare its content, which docker packs anew."""
        target = self._bench.full_name(name)
        self._load(image, target)
        self.run("push", "--quiet", target)
        self.run("rmi", "--force", image.config.digest)
        self._bench.pushed(name).has_the_content_of(image, TAG)

    def push_mounted(self, image: Image, name: str) -> None:
        """Push an image whose blobs docker has just sent to another repository."""
        self._bench.push_is_mounted(name, lambda: self.push(image, name))

    def _load(self, image: Image, full_name: str) -> None:
        """Bring an image into docker without pulling it: a pulled one would be mounted instead of pushed."""
        archive = self._folder / "archive.tar"
        run("skopeo", "copy", "--quiet", image.source, f"docker-archive:{archive}:{full_name}")
        self.run("load", "--quiet", "--input", str(archive))
        archive.unlink()

    def pull(self, image: Image, reference: str = TAG) -> None:
        """Pull an image; its files are the original's."""
        self.pull_as(self._bench.full_name(self._bench.seed(image), reference), image)

    def pull_from_index(self) -> None:
        """Pull a tag that is an index: this machine's image comes."""
        multi = self._bench.images.multi_arch
        self.pull_as(self._bench.full_name(self._bench.seed(multi)), multi.images[0])

    def pull_as(self, full_name: str, image: Image) -> None:
        """Pull by a full name; what comes must be that image."""
        self.run("pull", "--quiet", full_name)
        inspected = json.loads(self.run("image", "inspect", full_name))[0]
        expect("image id", inspected["Id"], image.config.digest)
        expect("diff ids", inspected["RootFS"]["Layers"], image.diff_ids)
        container = self.run("create", "--network=none", full_name)
        expect("files", self._exported(container), image.files)
        self.run("rm", container)
        self.run("rmi", "--force", image.config.digest)

    def _exported(self, container: str) -> dict[str, str]:
        command = ["docker", "--host", self._socket, "export", container]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout
            return files_of_tar(process.stdout)

    def push_index(self, name: str) -> None:
        """Push an index that docker composes of images in the registry."""
        multi = self._bench.images.multi_arch
        seeded = self._bench.seed(multi)
        target = self._bench.full_name(name)
        members = [self._bench.full_name(seeded, image.manifest.digest) for image in multi.images]
        insecure = [] if self._bench.secure else ["--insecure"]
        self.run("manifest", "create", *insecure, target, *members)
        self.run("manifest", "push", "--purge", *insecure, target)
        self._bench.pushed(name).is_an_index_of(multi.images, TAG)


@contextmanager
def running_docker(bench: Bench) -> Iterator[Docker]:
    """dockerd on a containerd, for the block, both of the suite's own."""
    with bench.folder("docker") as folder, running_containerd(folder, cri=False) as containerd:
        docker = Docker(bench, folder)
        with running(docker.daemon(containerd.socket)) as daemon:
            daemon.wait_until(docker.serves, seconds=60)
            with _trusted(bench.endpoint, docker):
                yield docker


@contextmanager
def _trusted(endpoint: Endpoint, docker: Docker) -> Iterator[None]:
    """For the block, the CA is where dockerd looks for it at every pull and push; without it dockerd pulls nothing."""
    if endpoint.certificates is None:
        yield
        return
    docker.distrust()
    file = Path("/etc/docker/certs.d") / endpoint.address / "ca.crt"
    with installed(file, endpoint.certificates.authority.read_text()):
        yield
