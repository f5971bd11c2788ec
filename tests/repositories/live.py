"""Publishes that go on while something else happens, and the judgement of what is then there."""

from __future__ import annotations

import hashlib
import http.client
import threading
from collections.abc import Iterable
from pathlib import Path

from tests.repositories.aptclient import Apt
from tests.repositories.rpmclients import Dnf
from tests.repositories.web import Web, must


class Uploads:
    """Uploads by several threads, until the files are used up or the server goes; what was acknowledged is kept."""

    def __init__(self, web: Web, work: Iterable[tuple[str, Path]], threads: int) -> None:
        """
        :param work: the path of a repository's uploads, and a file, for each upload.
        """
        self._web = web
        self._work = iter(work)
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        self.acknowledged: list[tuple[str, Path]] = []
        self.refused: list[str] = []

    def start(self) -> Uploads:
        """Begin."""
        for one in self._threads:
            one.start()
        return self

    def wait(self) -> None:
        """Wait for their end."""
        for one in self._threads:
            one.join()

    def _run(self) -> None:
        while True:
            with self._lock:
                row = next(self._work, None)
            if row is None:
                return
            path, file = row
            try:
                answer = self._web.put(f"{path}{file.name}", file)
            except (OSError, http.client.HTTPException):
                return  # the server has gone
            if answer.status in (200, 201):
                self.acknowledged.append(row)
            else:
                self.refused.append(f"{file.name}: {answer.status} {answer.text}")


def apt_is_whole(apt: Apt, web: Web, repository: str, suite: str, expected: Iterable[Path]) -> None:
    """apt sees a signed repository with every expected package, and each file listed is there with its hash."""
    apt.update()
    listed: dict[str, str] = {}
    for stanza in apt("apt-cache", "dumpavail").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[:1] != " ")
        if fields:
            listed[fields["Filename"].rpartition("/")[2]] = fields["SHA256"]
            body = web.get(f"/apt/{repository}/{fields['Filename']}")
            must(hashlib.sha256(body).hexdigest() == fields["SHA256"], f"{fields['Filename']} has its hash")
    for file in expected:
        must(file.name in listed, f"{file.name} was acknowledged, and is not in {suite}")
        must(listed[file.name] == hashlib.sha256(file.read_bytes()).hexdigest(), f"{file.name} is what was uploaded")


def dnf_is_whole(dnf: Dnf, web: Web, repository: str, expected: Iterable[Path]) -> None:
    """dnf sees a signed repository with every expected package, and each file listed is there."""
    dnf.update()
    locations = dnf("-q", "repoquery", "--qf", "%{location}\n").split()
    names = {one.rpartition("/")[2] for one in locations}
    for location in locations:
        must(web.call("HEAD", f"/rpm/{repository}/{location}").status == 200, f"{location} is there")
    for file in expected:
        must(file.name in names, f"{file.name} was acknowledged, and is not there")
