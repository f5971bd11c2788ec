"""How clients are told of the mirror: the files of mirror_files/, with the address of the pkgd under test put in.

They stand there as a user would write them, for `https://pkgd.example.com`, and the documentation quotes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live.registry import Endpoint

_FILES = Path(__file__).parent / "mirror_files"
_NAME = "pkgd.example.com"
_INSECURE = "insecure = true\n"


def hosts_toml(endpoint: Endpoint) -> str:
    """What containerd reads for every registry that has no file of its own."""
    text = _file("hosts.toml", endpoint)
    if endpoint.certificates:
        text = text.replace('# ca = "/etc/ssl/certs/own-ca.crt"', f'ca = "{endpoint.certificates.authority}"')
    return text


@contextmanager
def daemon_json(endpoint: Endpoint) -> Iterator[None]:
    """For the block, what dockerd reads when it starts."""
    with installed(Path("/etc/docker/daemon.json"), _file("daemon.json", endpoint)):
        yield


@contextmanager
def registries_conf(endpoint: Endpoint) -> Iterator[None]:
    """For the block, what podman, skopeo and buildah read at every start, and the CA that they trust."""
    text, certificates = _file("registries.conf", endpoint), endpoint.certificates
    if certificates is None:
        text = text.replace("[[registry.mirror]]\n", f"[[registry.mirror]]\n{_INSECURE}")
        text += f'\n[[registry]]\nlocation = "{endpoint.address}"\n{_INSECURE}'
    authority = certificates.authority.read_text() if certificates else ""
    with (
        installed(Path("/etc/containers/registries.conf.d/50-pkgd.conf"), text),
        installed(Path("/etc/containers/certs.d") / endpoint.address / "ca.crt", authority),
    ):
        yield


def _file(name: str, endpoint: Endpoint) -> str:
    text = (_FILES / name).read_text()
    return text.replace(f"https://{_NAME}", endpoint.url).replace(_NAME, endpoint.address)


@contextmanager
def installed(path: Path, text: str) -> Iterator[None]:
    """For the block, a file where a program looks for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    try:
        yield
    finally:
        path.unlink()
