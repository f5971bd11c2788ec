"""Clients that push images, move tags and delete, until they are told to stop."""

from __future__ import annotations

import hashlib
import http.client
import random
import threading

from tests.backup.fixtures import image
from tests.repositories.web import Answer, Web

_CLIENTS = 3
_TAGS = 4
# Between one push and the next of a client, in seconds: what is pushed stays, and is in every backup from then on.
_PAUSE = 0.3
_TYPE = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}


class Images:
    """Clients of one run; tags are fought for, so that each is moved and deleted all the time."""

    def __init__(self, web: Web, seed: str) -> None:
        self.pushes = 0
        self.deletes = 0
        self.failures: list[str] = []
        self._web = web
        self._seed = seed
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(_CLIENTS)]

    def start(self) -> None:
        """Begin."""
        for one in self._threads:
            one.start()

    def stop(self) -> None:
        """Let every client end its request."""
        self._ended.set()
        for one in self._threads:
            one.join()

    def push(self, repository: str, tag: str, layer: bytes) -> str:
        """Push an image; the digest of its manifest."""
        for blob in (b"{}", layer):
            digest = hashlib.sha256(blob).hexdigest()
            self._expect(
                201,
                self._web.call("POST", f"/v2/{repository}/blobs/uploads/?digest=sha256:{digest}", blob),
            )
        manifest = image(layer)
        self._expect(201, self._web.call("PUT", f"/v2/{repository}/manifests/{tag}", manifest, _TYPE))
        self.pushes += 1
        return f"sha256:{hashlib.sha256(manifest).hexdigest()}"

    def _client(self, number: int) -> None:
        rng = random.Random(f"{self._seed}/{number}")
        # What a client deletes by digest nobody else has pushed.
        while not self._ended.wait(_PAUSE):
            repository, tag = f"team/app{rng.randrange(3)}", f"t{rng.randrange(_TAGS)}"
            try:
                digest = self.push(repository, tag, rng.randbytes(rng.choice([100, 10_000, 100_000])))
                choice = rng.random()
                if choice < 0.3:
                    self._delete(f"/v2/{repository}/manifests/{digest}")
                elif choice < 0.5:
                    self._delete(f"/v2/{repository}/manifests/{tag}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"the connection was lost: {error!r}")
                return

    def _delete(self, path: str) -> None:
        answer = self._web.call("DELETE", path)
        self.deletes += 1
        if answer.status not in (202, 404):
            self.failures.append(f"{path}: {answer.status} {answer.text[:200]}")

    def _expect(self, status: int, answer: Answer) -> None:
        if answer.status != status:
            self.failures.append(f"{answer.status} {answer.text[:200]}")
