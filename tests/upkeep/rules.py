"""Retention beside the daemon: rules arrive with SIGHUP, clients push meanwhile, and pkgd is killed in the midst of it.

Nothing that a rule keeps may be missing, whatever goes; what went is free in the end; and the state is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from pkgd.admin.client import ask
from pkgd.errors import CommandFailed
from pkgd.progress import Silent
from tests.crash.packages.server import HastyPackages
from tests.packages.fixtures import made_deb
from tests.packages.test_rpm import made_rpm
from tests.repositories.web import Web

__all__ = ["rules"]

_IMAGE = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_KEPT, _VERSIONS, _PUSHES = 3, 8, 30
_RULES = [
    {"resources": ["oci:team/**"], "tags": ["stable-*"]},
    {"resources": ["oci:team/**"], "newest": _KEPT, "untagged": "1s"},
    {"resources": ["apt:main/stable", "rpm:**"], "newest": _KEPT},
]


class _Server(HastyPackages):
    """Collects garbage all the time; retention is as `section` says."""

    section: dict[str, object] = {"interval": "0s"}

    def configuration(self) -> dict[str, object]:
        """Every second."""
        found: dict[str, Any] = dict(super().configuration())
        storage = {**found["storage"], "gc": {"interval": "1s"}}
        return {**found, "storage": storage, "repositories": {**found["repositories"], "retention": self.section}}

    def command(self) -> list[str]:
        """With as short a grace as can be, and no configuration may have."""
        return [sys.executable, "-m", "tests.upkeep.serve", "1", *super().command()[-2:]]

    def follow(self, section: dict[str, object]) -> None:
        """Have it read rules; returns when it has."""
        before, self.section = self._reloaded(), section
        self._write_configuration(self.configuration())
        os.kill(self.pid, signal.SIGHUP)
        _until(lambda: self._reloaded() != before, 10)

    def _reloaded(self) -> list[str]:
        lines = self.web.get("/metrics").decode().splitlines()
        return [line for line in lines if line.startswith("pkgd_config_last_reload_success_timestamp_seconds")]

    def ask(self) -> str:
        """Have it make a pass; what it has to complain of."""
        try:
            ask(str(self.state), "retention", {"apply": True}, Silent())
        except CommandFailed as error:
            return error.message
        return ""

    def retention(self, *words: str) -> dict[str, Any]:
        """What `pkgd retention` says, as JSON."""
        command = [sys.executable, "-m", "pkgd", "retention", *self.command()[-2:], "--json", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {"failed": done.stderr}
        return found

    def verify(self) -> str:
        """What `pkgd verify` has to complain of."""
        command = [sys.executable, "-m", "pkgd", "verify", *self.command()[-2:]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else done.stdout + done.stderr


def rules(directory: Path, port: int, seed: int) -> list[str]:
    """What has failed."""
    server = _Server(port, directory / "state", directory / "logs")
    server.start()
    images = _Images(server.web, random.Random(seed))
    failures = list[str]()
    try:
        images.fill()
        _fill_packages(server.web)
        failures += _expect("without rules", server.retention("--apply"), {})
        server.follow({"interval": "0s", "rules": _RULES})
        wanted = {
            "oci:team/app": {f"v{number}" for number in range(_VERSIONS - _KEPT)},
            "apt:main/stable": {f"hello {number} amd64" for number in range(_VERSIONS - _KEPT)},
            "rpm:main": {f"hello {number}-1 x86_64" for number in range(_VERSIONS - _KEPT)},
        }
        failures += _expect("dry run", server.retention(), wanted, but="manifest")
        failures += images.missing(range(_VERSIONS))
        failures += _expect("applied", server.retention("--apply"), wanted, but="manifest")
        failures += images.missing(range(_VERSIONS - _KEPT, _VERSIONS)) + _packages(server.web)
        failures += _race(server, images) + _killed(server, images)
        server.section = {"interval": "1s", "rules": _RULES}
        server.start()
        if not _until(lambda: images.are_gone(server.state), 30):
            failures.append("what no rule keeps is not free in the end")
        failures += images.missing(range(len(images.pushed) - _KEPT, len(images.pushed)))
    finally:
        server.stop()
    return failures + server.new_crash_notices()


def _expect(what: str, found: dict[str, Any], wanted: dict[str, set[str]], but: str = "") -> list[str]:
    """What of a report is not as it should be; `but` is a kind that may be there or not."""
    if "failed" in found:
        return [f"{what}: {found['failed']}"]
    goes = {one["resource"]: {it["name"] for it in one["goes"] if it["kind"] != but} for one in found["repositories"]}
    goes = {resource: names for resource, names in goes.items() if names}
    return [] if goes == wanted else [f"{what}: {goes} instead of {wanted}"]


def _fill_packages(web: Web) -> None:
    for number in range(_VERSIONS):
        for suite in ("stable", "testing"):
            web.call("PUT", f"/apt/main/{suite}/main/p.deb", made_deb(version=str(number))).must_be(201, 200)
        web.call("PUT", "/rpm/main/p.rpm", made_rpm(version=str(number))).must_be(201)


def _packages(web: Web) -> list[str]:
    """What of packages is not as it should be, after a pass; each suite has published once for all that went."""
    failures = []
    for query, count in (("apt:main&suite=stable", _KEPT), ("apt:main&suite=testing", _VERSIONS), ("rpm:main", _KEPT)):
        found = json.loads(web.get(f"/api/v1/packages?repository={query}"))["packages"]
        if len(found) != count:
            failures.append(f"{query}: {len(found)} packages instead of {count}")
        repository = query.partition("&")[0].replace(":", "/")
        failures += [f"{one['path']} is gone" for one in found if not web.answers(f"/{repository}/{one['path']}")]
    mirrorlist = web.get("/rpm/main/mirrorlist").decode()
    if f"@{_VERSIONS + 2}/" not in mirrorlist:
        failures.append(f"not one publish for all that went: {mirrorlist}")
    return failures


def _race(server: _Server, images: _Images) -> list[str]:
    """Passes while somebody pushes: what has just been pushed is among the newest, always."""
    complaints, over = list[str](), threading.Event()

    def passes() -> None:
        while not over.is_set():
            complaints.append(server.ask())

    thread = threading.Thread(target=passes)
    thread.start()
    failures = list[str]()
    for _ in range(_PUSHES):
        failures += images.missing([images.push_next()])
    over.set()
    thread.join()
    print(f"rules: {len(images.pushed)} images pushed, {len(complaints)} passes meanwhile")
    return [*failures, *filter(None, complaints)]


def _killed(server: _Server, images: _Images) -> list[str]:
    """A pass that is killed leaves a whole state, and the next one, where no daemon runs, ends what it has begun."""
    images.tag_often()
    for _ in range(_KEPT):
        images.push_next()
    many = images.count_on_disk(server.state)
    passing = threading.Thread(target=server.ask)
    passing.start()
    _until(lambda: images.count_on_disk(server.state) < many - 10, 10)
    server.kill()
    server.wait()
    passing.join()
    left, complaint = images.count_on_disk(server.state), server.verify()
    found = server.retention("--apply")
    print(f"rules: a pass that was killed has left {left} tags, the next {images.count_on_disk(server.state)}")
    return [*filter(None, [complaint, found.get("failed")])]


def _until(condition: Any, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


class _Images:
    """One repository: tags v0, v1 …, each an index of two images of its own; and some that stay by another rule."""

    def __init__(self, web: Web, rng: random.Random) -> None:
        self.pushed: list[list[bytes]] = []
        self._web = web
        self._rng = rng
        self._stable: list[list[bytes]] = []

    def fill(self) -> None:
        """The first of them."""
        self._stable = [self._push(f"stable-{number}") for number in range(3)]
        for _ in range(_VERSIONS):
            self.push_next()

    def push_next(self) -> int:
        """One more; returns its number."""
        self.pushed.append(self._push(f"v{len(self.pushed)}"))
        return len(self.pushed) - 1

    def tag_often(self) -> None:
        """Give the last of them 200 tags more."""
        index = self.pushed[-1][0]
        for number in range(4):
            tags = "&".join(f"tag=v.{number}.{one}" for one in range(50))
            self._put(f"{_digest(index)}?{tags}", index, _INDEX)

    def missing(self, numbers: Any) -> list[str]:
        """What of some of them cannot be pulled, and of those that always stay."""
        wanted = [(f"v{number}", self.pushed[number]) for number in numbers]
        wanted += [(f"stable-{number}", objects) for number, objects in enumerate(self._stable)]
        failures = []
        for tag, (index, *objects) in wanted:
            answer = self._web.call("GET", f"/v2/team/app/manifests/{tag}")
            if answer.body != index:
                failures.append(f"{tag}: {answer.status}")
            kinds = ("manifests", "manifests", "blobs", "blobs", "blobs")
            paths = [f"/v2/team/app/{kind}/{_digest(one)}" for kind, one in zip(kinds, objects, strict=True)]
            failures += [f"{tag}: {path} is gone" for path in paths if self._web.call("GET", path).status != 200]
        return failures

    def count_on_disk(self, state: Path) -> int:
        """How many tags there are, beside those that always stay."""
        return len(list((state / "oci/team/app/manifests/by-tag").glob("v*")))

    def are_gone(self, state: Path) -> bool:
        """Whether nothing is left but what rules keep: manifests, and with them their layers."""
        images = _KEPT + len(self._stable)
        manifests = len(list((state / "oci/team/app/manifests/by-digest").iterdir()))
        blobs = len(list((state / "oci/team/app/blobs").iterdir()))
        return (manifests, blobs) == (3 * images, 2 * images + 1)

    def _push(self, tag: str) -> list[bytes]:
        layers = [self._rng.randbytes(100) for _ in range(2)]
        for one in (b"{}", *layers):
            path = f"/v2/team/app/blobs/uploads/?digest={_digest(one)}"
            self._web.call("POST", path, one, {"Content-Type": "application/octet-stream"}).must_be(201)
        images = []
        for one in layers:
            config, layer = _descriptor("a/b", b"{}"), _descriptor("a/b", one)
            images.append(_document(mediaType=_IMAGE, config=config, layers=[layer]))
            self._put(_digest(images[-1]), images[-1], _IMAGE)
        index = _document(mediaType=_INDEX, manifests=[_descriptor(_IMAGE, one) for one in images])
        self._put(tag, index, _INDEX)
        return [index, *images, b"{}", *layers]

    def _put(self, reference: str, data: bytes, media_type: str) -> None:
        self._web.call("PUT", f"/v2/team/app/manifests/{reference}", data, {"Content-Type": media_type}).must_be(201)


def _document(**more: object) -> bytes:
    return json.dumps({"schemaVersion": 2, **more}).encode()


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(data), "size": len(data)}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
