"""A plain HTTP client of the registry under test: seeding images and reading back what clients pushed.

Everything that arrives is hashed here, so that a server can't vouch for its own bytes.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.live.certificates import Certificates
from tests.live.content import expect
from tests.live.layout import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Descriptor, Json

_DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
_ACCEPT = ", ".join([OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, _DOCKER_INDEX])
_PIECE = 1 << 20


@dataclass(frozen=True)
class Endpoint:
    """Where a registry listens, and by which CA it is known."""

    host: str
    port: int
    certificates: Certificates | None

    @property
    def address(self) -> str:
        """host:port, the beginning of every image's full name."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The registry's root."""
        return f"{'https' if self.certificates else 'http'}://{self.address}"


@dataclass(frozen=True)
class Pulled:
    """A manifest as the server gave it, with the digest that its bytes have."""

    digest: str
    media_type: str
    body: bytes

    @property
    def json(self) -> Json:
        """The manifest, parsed."""
        parsed: Json = json.loads(self.body)
        return parsed


def basic(credentials: str) -> str:
    """The value of the header `Authorization` for `user:password`."""
    return "Basic " + b64encode(credentials.encode()).decode()


class Registry:
    """The registry at one endpoint."""

    def __init__(self, endpoint: Endpoint, credentials: str | None = None) -> None:
        """
        :param credentials: `user:password`, where they are needed.
        """
        self._endpoint = endpoint
        self._authorization = {"Authorization": basic(credentials)} if credentials else {}

    @contextmanager
    def _ask(
        self, method: str, path: str, status: int, body: IO[bytes] | bytes | None = None, **headers: str
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self._connection()
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()} | self._authorization
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            if response.status != status:
                expect(f"answer to {method} {path} ({response.read(300)!r})", response.status, status)
            yield response
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port, certificates = self._endpoint.host, self._endpoint.port, self._endpoint.certificates
        if certificates is None:
            return http.client.HTTPConnection(host, port, timeout=60, blocksize=_PIECE)
        trust = ssl.create_default_context(cafile=str(certificates.authority))
        return http.client.HTTPSConnection(host, port, timeout=60, context=trust, blocksize=_PIECE)

    def answers(self, path: str) -> bool:
        """Whether a GET of the path gives 200 now."""
        try:
            with self._ask("GET", path, 200):
                return True
        except Exception:  # refused, reset or another status: not yet
            return False

    def upload_blob(self, name: str, digest: str, file: Path) -> None:
        """Push one blob: POST, then PUT of all its bytes."""
        with self._ask("POST", f"/v2/{name}/blobs/uploads/", 202) as response:
            location = response.getheader("Location", "")
        location = location.removeprefix(self._endpoint.url)
        location += ("&" if "?" in location else "?") + f"digest={digest}"
        size = str(file.stat().st_size)
        with (
            file.open("rb") as body,
            self._ask("PUT", location, 201, body, Content_Length=size, Content_Type="application/octet-stream"),
        ):
            pass

    def put_manifest(self, name: str, reference: str, manifest: Descriptor, body: bytes) -> None:
        """Push one manifest under a tag or its digest."""
        path = f"/v2/{name}/manifests/{reference}"
        with self._ask("PUT", path, 201, body, Content_Type=manifest.media_type):
            pass

    def manifest(self, name: str, reference: str) -> Pulled:
        """The manifest of that tag or digest."""
        path = f"/v2/{name}/manifests/{reference}"
        with self._ask("GET", path, 200, Accept=_ACCEPT) as response:
            body = response.read()
            digest = "sha256:" + hashlib.sha256(body).hexdigest()
            expect(f"Docker-Content-Digest of {path}", response.getheader("Docker-Content-Digest"), digest)
            return Pulled(digest, response.getheader("Content-Type", ""), body)

    def blob_digest(self, name: str, digest: str, copy: Path = Path("/dev/null")) -> str:
        """Read a blob to its end into `copy` and return the digest of what came."""
        hashed = hashlib.sha256()
        with self._ask("GET", f"/v2/{name}/blobs/{digest}", 200) as response, copy.open("wb") as out:
            while piece := response.read(_PIECE):
                hashed.update(piece)
                out.write(piece)
        return "sha256:" + hashed.hexdigest()

    def referrers(self, name: str, digest: str) -> list[Json]:
        """What GET /v2/<name>/referrers/<digest> lists."""
        path = f"/v2/{name}/referrers/{digest}"
        with self._ask("GET", path, 200) as response:
            expect(f"Content-Type of {path}", response.getheader("Content-Type"), OCI_INDEX)
            listed: list[Json] = json.loads(response.read())["manifests"]
        return listed
