"""What the server is filled with, and everything that can be pulled from it then."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from tests.formats.rpms import rpm
from tests.modes.server import ModalPkgd
from tests.packages.fixtures import made_deb
from tests.web.content import BLOB, CONFIG, IMAGE, PLAIN, descriptor, digest_of, image, index

__all__ = ["fill", "leave_original", "pulls"]

REPOSITORIES = ("app", "team/app", "team/deep/er/app", "docker.io/library/alpine")
_REFERRER = image(subject=descriptor(IMAGE, PLAIN), annotations={"of": "plain"})
_INDEX = index(PLAIN, image(annotations={"an": "other"}))
_MANIFESTS = {"latest": PLAIN, "v1": PLAIN, "multi": _INDEX, "note": _REFERRER}
_OLD = image(annotations={"an": "old one"})


def leave_original(state: Path) -> None:
    """A repository as the original server has left it."""
    folder = state / "oci" / "old" / "app"
    (folder / "manifests").mkdir(parents=True)
    (folder / "blobs").mkdir()
    (folder / "manifests" / "v0.json").write_bytes(_OLD)
    for blob in (BLOB, CONFIG):
        (folder / "blobs" / digest_of(blob).partition(":")[2]).write_bytes(blob)


def fill(server: ModalPkgd) -> None:
    """Push and upload."""

    def ask(method: str, target: str, body: bytes, kind: str = "application/octet-stream") -> None:
        answer = server.ask(method, target, {"Content-Type": kind}, body)
        assert answer.status == 201, (method, target, answer)

    for name in REPOSITORIES:
        for blob in (BLOB, CONFIG):
            ask("POST", f"/v2/{name}/blobs/uploads/?digest={digest_of(blob)}", blob)
        for tag, data in _MANIFESTS.items():
            ask("PUT", f"/v2/{name}/manifests/{tag}", data, json.loads(data)["mediaType"])
    for version in ("1.0", "1.1"):
        ask("PUT", f"/apt/main/stable/main/hello_{version}_amd64.deb", made_deb(version=version))
    ask("PUT", "/rpm/main/hello-1.0-1.noarch.rpm", rpm())


def pulls(server: ModalPkgd, headers: dict[str, str]) -> Iterator[str]:
    """The target of everything that may be read, as clients find it: indices lead on to packages.

    :param headers: with which the indices are read.
    """
    yield from ("/v2/", "/v2/_catalog", "/v2/_oci/ext/discover", "/api/v1/packages")
    for name in REPOSITORIES:
        for tag, data in _MANIFESTS.items():
            yield f"/v2/{name}/manifests/{tag}"
            yield f"/v2/{name}/manifests/{digest_of(data)}"
        for blob in (BLOB, CONFIG):
            yield f"/v2/{name}/blobs/{digest_of(blob)}"
        yield f"/v2/{name}/tags/list"
        yield f"/v2/{name}/referrers/{digest_of(PLAIN)}"
    for rest in ("manifests/v0", f"manifests/{digest_of(_OLD)}", f"blobs/{digest_of(BLOB)}", "tags/list"):
        yield f"/v2/old/app/{rest}"
    yield from _apt(server, headers)
    yield from _rpm(server, headers)


def _apt(server: ModalPkgd, headers: dict[str, str]) -> Iterator[str]:
    yield from ("/apt/main/", "/apt/main/key.asc", "/apt/main/stable.sources")
    release = server.ask("GET", "/apt/main/dists/stable/Release", headers).body.decode()
    yield from (f"/apt/main/dists/stable/{one}" for one in ("Release", "InRelease", "Release.gpg"))
    for path in sorted(set(re.findall(r"(?m)^ [0-9a-f]{64} +\d+ (\S+)$", release))):
        yield f"/apt/main/dists/stable/{path}"
    packages = server.ask("GET", "/apt/main/dists/stable/main/binary-amd64/Packages", headers).body.decode()
    yield from (f"/apt/main/{path}" for path in re.findall(r"(?m)^Filename: (\S+)$", packages))


def _rpm(server: ModalPkgd, headers: dict[str, str]) -> Iterator[str]:
    yield from (f"/rpm/main/{one}" for one in ("", "key.asc", "pkgd.repo", "mirrorlist"))
    repomd = server.ask("GET", "/rpm/main/repodata/repomd.xml", headers).body.decode()
    yield from (f"/rpm/main/repodata/{one}" for one in ("repomd.xml", "repomd.xml.asc", "repomd.xml.key"))
    yield from (f"/rpm/main/{path}" for path in re.findall(r'location href="([^"]+)"', repomd))
    listed = json.loads(server.ask("GET", "/api/v1/packages?repository=rpm:main", headers).body)["packages"]
    yield from (f"/rpm/main/{one['path']}" for one in listed)
