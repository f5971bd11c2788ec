"""The clients that log in: what each calls it, and how each pushes and pulls after that.

Passwords come from standard input. docker, crane and oras keep them in the same file of the suite's own home, and the
others look there, too: who has logged in must log out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from tests.live.bench import Bench
from tests.live.buildah import Buildah
from tests.live.containers_storage import ContainersStorage
from tests.live.content import expect, hash_file
from tests.live.docker import Docker
from tests.live.images import TAG, Image
from tests.live.podman import Podman
from tests.live.skopeo import Skopeo
from tests.live.tools import run

__all__ = ["LIGHT", "Client", "CraneClient", "DockerClient", "OrasClient", "SkopeoClient"]


class Client(ABC):
    """One program, against one server."""

    program: ClassVar[str]
    tells_wrong_password = True
    """Whether its login asks the server."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench = bench
        self.folder = folder

    def login(self, user: str, password: str) -> None:
        """Log in."""
        entered = self.folder / "entered"
        entered.write_text(password)
        options = ("--username", user, "--password-stdin", *self.access)
        run(*self.words("login"), *options, self.bench.endpoint.address, standard_input=entered)

    def logout(self) -> None:
        """Log out."""
        run(*self.words("logout"), self.bench.endpoint.address)

    def words(self, word: str) -> tuple[str, ...]:
        """The beginning of a command about logins."""
        return self.program, word

    @property
    def access(self) -> tuple[str, ...]:
        """The options that say whom to trust when logging in."""
        certificates = self.bench.endpoint.certificates
        return (f"--cert-dir={certificates.trusted}",) if certificates else ("--tls-verify=false",)

    @abstractmethod
    def push(self, image: Image, name: str) -> None:
        """Push an image; all its content arrives."""

    @abstractmethod
    def pull(self, image: Image, name: str) -> None:
        """Pull an image that is there by that name; it comes whole."""


class DockerClient(Client):
    """docker, with its engine."""

    program = "docker"
    access = ()

    def __init__(self, bench: Bench, folder: Path, docker: Docker) -> None:
        super().__init__(bench, folder)
        self._docker = docker

    def words(self, word: str) -> tuple[str, ...]:
        """docker talks to its engine, which does it."""
        return (*self._docker.command, word)

    def push(self, image: Image, name: str) -> None:
        """See the base class."""
        self._docker.push(image, name)

    def pull(self, image: Image, name: str) -> None:
        """See the base class."""
        self._docker.pull_as(self.bench.full_name(name), image)


class _StorageClient(Client):
    kind: ClassVar[Callable[[Bench, Path], ContainersStorage]]

    def __init__(self, bench: Bench, folder: Path) -> None:
        super().__init__(bench, folder)
        self._storage = type(self).kind(bench, folder)

    def push(self, image: Image, name: str) -> None:
        """See the base class."""
        self._storage.push(image, name)

    def pull(self, image: Image, name: str) -> None:
        """See the base class."""
        self._storage.pull_as(self.bench.full_name(name), image)


class PodmanClient(_StorageClient):
    """podman."""

    program = "podman"
    kind = Podman


class BuildahClient(_StorageClient):
    """buildah."""

    program = "buildah"
    kind = Buildah


class SkopeoClient(Client):
    """skopeo."""

    program = "skopeo"

    def push(self, image: Image, name: str, *options: str) -> None:
        """See the base class."""
        self.bench.forget_known_blobs()
        Skopeo(self.bench).copy_to(image.source, name, *options)
        self.bench.pushed(name).is_exactly(image.manifest, image.blobs, TAG)

    def pull(self, image: Image, name: str, *options: str) -> None:
        """See the base class."""
        with self.bench.folder("copied") as folder:
            Skopeo(self.bench).copy_from(name, folder, *options)
            expect("manifest", hash_file(folder / "manifest.json"), image.manifest.digest[7:])
            for blob in image.blobs:
                expect("blob", hash_file(folder / blob.digest[7:]), blob.digest[7:])


class CraneClient(Client):
    """crane, which writes down what it is told at a login, and asks nobody."""

    program = "crane"
    tells_wrong_password = False
    access = ()

    def words(self, word: str) -> tuple[str, ...]:
        """It trusts the CA in SSL_CERT_FILE."""
        return (*self._command, "auth", word)

    @property
    def _command(self) -> tuple[str, ...]:
        certificates = self.bench.endpoint.certificates
        return ("env", *([f"SSL_CERT_FILE={certificates.authority}"] if certificates else []), "crane")

    def push(self, image: Image, name: str) -> None:
        """See the base class."""
        run(*self._command, "push", str(image.layout.root), self.bench.full_name(name), timeout=60)
        self.bench.pushed(name).is_exactly(image.manifest, image.blobs, TAG)

    def pull(self, image: Image, name: str) -> None:
        """See the base class."""
        with self.bench.folder("pulled") as folder:
            run(*self._command, "pull", "--format=oci", self.bench.full_name(name), str(folder), timeout=60)
            _is_layout_of(image, folder)


class OrasClient(Client):
    """oras."""

    program = "oras"

    @property
    def access(self) -> tuple[str, ...]:
        """See the base class."""
        return (self._access(""),)

    def _access(self, side: str) -> str:
        certificates = self.bench.endpoint.certificates
        return f"--{side}ca-file={certificates.authority}" if certificates else f"--{side}plain-http"

    def push(self, image: Image, name: str) -> None:
        """See the base class."""
        source = f"{image.layout.root}:{TAG}"
        run("oras", "copy", "--from-oci-layout", source, self._access("to-"), self.bench.full_name(name))
        self.bench.pushed(name).is_exactly(image.manifest, image.blobs, TAG)

    def pull(self, image: Image, name: str) -> None:
        """See the base class."""
        with self.bench.folder("pulled") as folder:
            target = f"{folder}:{TAG}"
            run("oras", "copy", self._access("from-"), self.bench.full_name(name), "--to-oci-layout", target)
            _is_layout_of(image, folder)


LIGHT: list[type[Client]] = [PodmanClient, BuildahClient, SkopeoClient, CraneClient, OrasClient]
"""Those that need no engine."""


def _is_layout_of(image: Image, folder: Path) -> None:
    for blob in (image.manifest, *image.blobs):
        expect("blob", hash_file(folder / "blobs/sha256" / blob.digest[7:]), blob.digest[7:])
