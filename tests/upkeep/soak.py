"""Clients push, mount, pull and delete while garbage is collected every second; now and again pkgd is killed.

Nothing that an accepted manifest names may be missing. In the end everything is deleted, and so is all garbage.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.crash.server import HastyPkgd

__all__ = ["SoakPkgd", "soak"]

_TYPE = "application/vnd.oci.image.manifest.v1+json"
_CLIENTS = 6
_GRACE = 3.0
_KEPT = 15


class SoakPkgd(HastyPkgd):
    """Collects garbage all the time, with as short a grace as clients of these tests can live with."""

    def configuration(self) -> dict[str, object]:
        """Every second."""
        found = super().configuration()
        return {**found, "storage": {**found["storage"], "gc": {"interval": "1s"}}}  # type: ignore[dict-item]

    def command(self) -> list[str]:
        """By a door of its own: a configuration may not have such a grace."""
        return [sys.executable, "-m", "tests.upkeep.serve", str(_GRACE), *super().command()[-2:]]


def soak(directory: Path, port: int, operations: int, kills: int, seed: int) -> list[str]:
    """What has failed.

    :param kills: how often pkgd is killed meanwhile.
    """
    server = SoakPkgd(port, directory / "state", directory / "logs")
    server.start()
    clients = [_Client(port, number, seed, operations // _CLIENTS) for number in range(_CLIENTS)]
    threads = [threading.Thread(target=one.run) for one in clients]
    for one in threads:
        one.start()
    done = 0
    while any(one.is_alive() for one in threads):
        time.sleep(0.05)
        share = sum(one.operations for one in clients) / operations
        if done < kills and share > (done + 1) / (kills + 1):
            done += 1
            server.kill()
            server.wait()
            server.start()
    failures = [text for one in clients for text in one.failures]
    for one in clients:
        one.delete_all()
    if not _until(lambda: _blobs(server.state) == 0, 12 * _GRACE):
        failures.append(f"{_blobs(server.state)} blobs are left that nothing names")
    server.stop()
    figures = {key: sum(one.figures[key] for one in clients) for key in clients[0].figures}
    print(f"soak: {figures}, {done} kills, {len(failures)} failures")
    if done < kills:
        failures.append(f"pkgd was killed {done} times, not {kills}")
    return failures + server.new_crash_notices()


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def _blobs(state: Path) -> int:
    return sum(1 for one in (state / "oci" / "team").glob("*/blobs/*") if one.is_file())


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class _Client:
    """One repository's user; `kept` are the manifests that were accepted, each with what it needs."""

    def __init__(self, port: int, number: int, seed: int, most: int) -> None:
        self.failures: list[str] = []
        self.figures = dict.fromkeys(["pushes", "mounts", "skipped", "pulls", "deletes", "refused late"], 0)
        self._port = port
        self._name = f"team/r{number}"
        self._rng = random.Random(f"{seed}-{number}")
        self._most = most
        self._kept: dict[str, list[bytes]] = {}

    @property
    def operations(self) -> int:
        """How much has been done."""
        return sum(self.figures.values())

    def run(self) -> None:
        """Until it has done enough."""
        try:
            while self.operations < self._most:
                self._push()
                self._pull(self._kept)
                if len(self._kept) > _KEPT:
                    self._delete(self._rng.choice(list(self._kept)))
            for one in list(self._kept):
                self._pull({one: self._kept[one]})
        except Exception as error:
            self.failures.append(f"{self._name}: {error!r}")

    def delete_all(self) -> None:
        """Leave nothing."""
        for one in list(self._kept):
            self._delete(one)

    def _push(self) -> None:
        began, rng = time.monotonic(), self._rng
        layers = [f"layer {rng.randrange(300)}".encode() for _ in range(2)]
        for data in (b"{}", *layers):
            if self._call("HEAD", f"blobs/{_digest(data)}")[0] == 200:
                self.figures["skipped"] += 1
            else:
                self._call("POST", f"blobs/uploads/?digest={_digest(data)}", data, "application/octet-stream")
        if rng.random() < 0.3:
            layers += self._mount(f"layer {rng.randrange(300)}".encode())
        named = [{"mediaType": "a/b", "digest": _digest(one), "size": len(one)} for one in (b"{}", *layers)]
        document = {"schemaVersion": 2, "mediaType": _TYPE, "config": named[0], "layers": named[1:]}
        manifest = json.dumps({**document, "annotations": {"nonce": str(rng.random())}}).encode()
        status, answer = self._call("PUT", f"manifests/t{rng.randrange(20)}", manifest, _TYPE)
        if status == 201:
            self.figures["pushes"] += 1
            self._kept[_digest(manifest)] = layers
        elif time.monotonic() - began > _GRACE - 0.5:
            self.figures["refused late"] += 1  # it took longer than the grace
        else:
            self.failures.append(f"{self._name}: a push was refused: {status} {answer[:200]!r}")

    def _mount(self, data: bytes) -> list[bytes]:
        source = f"team/r{self._rng.randrange(_CLIENTS)}"
        status, answer = self._call("POST", f"blobs/uploads/?mount={_digest(data)}&from={source}", b"")
        if status == 202:  # an upload was begun instead: nothing of the repository is garbage while it is open
            self._call("DELETE", f"blobs/uploads/{answer.decode().rpartition('/')[2]}")
        if status != 201:
            return []
        self.figures["mounts"] += 1
        return [data]

    def _pull(self, images: dict[str, list[bytes]]) -> None:
        if not images:
            return
        one = self._rng.choice(list(images))
        for data in (b"{}", *images[one]):
            status, found = self._call("GET", f"blobs/{_digest(data)}")
            self.figures["pulls"] += 1
            if status != 200 or found != data:
                self.failures.append(f"{self._name}: {data!r} is lost: {status}")

    def _delete(self, digest: str) -> None:
        del self._kept[digest]
        self._call("DELETE", f"manifests/{digest}")
        self.figures["deletes"] += 1

    def _call(self, method: str, path: str, body: bytes | None = None, media_type: str = "") -> tuple[int, bytes]:
        """One exchange; again, as long as the server is not there. Of an upload that was begun, its location."""
        end = time.monotonic() + 30
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
            try:
                headers = {"Content-Type": media_type} if media_type else {}
                connection.request(method, f"/v2/{self._name}/{path}", body, headers)
                response = connection.getresponse()
                status, data = response.status, response.read()
                if status == 202 and method == "POST":
                    data = (response.getheader("Location") or "").encode()
                if status != 503:
                    return status, data
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            if time.monotonic() > end:
                return 0, b"no answer"
            time.sleep(0.1)
