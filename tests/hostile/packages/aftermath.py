"""What the repositories must be after the uploads: as they were, but for what was taken, which clients must see."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.hostile.packages.judge import Taken
from tests.live.tools import run
from tests.packages.readers import stanzas
from tests.repositories.aptclient import Apt
from tests.repositories.rpmclients import Dnf
from tests.repositories.web import Web, must

__all__ = ["Aftermath"]

# Only refused to: not a byte may differ.
_UNTOUCHED = ("/apt/main/dists/stable/InRelease", "/rpm/main/repodata/repomd.xml", "/rpm/main/repodata/repomd.xml.asc")
_PACKAGES = [
    f"/apt/tampered/dists/stable/main/{name}/Packages" for name in ("binary-all", "binary-amd64", "binary-arm64")
]
_SOURCES = "/apt/tampered/dists/stable/main/source/Sources"
_ENDINGS = ((".deb", "dpkg-deb", "-I"), (".rpm", "rpm", "-qp", "--nosignature"))


class Aftermath:
    """Knows how it was before."""

    def __init__(self, web: Web, folder: Path) -> None:
        self._web = web
        self._folder = folder
        folder.mkdir(parents=True)
        self._before = {path: web.get(path) for path in (*_UNTOUCHED, *_PACKAGES, _SOURCES)}

    def trials(self, taken: Mapping[str, Sequence[Taken]]) -> Iterator[tuple[str, Callable[[], None]]]:
        """What must be so, and the trials, in their order."""
        packages = [one for some in taken.values() for one in some if one.location]
        debs = [one for one in packages if one.location.endswith("deb")]
        rpms = [one for one in packages if one.location.endswith(".rpm")]
        yield "repositories that were only refused to have not changed by a byte", self._untouched
        yield f"{len(debs)} that were taken are in Packages, as they were sent", lambda: self._listed(debs)
        yield f"{len(rpms)} that were taken are in the rpm repository, as they were sent", lambda: self._served(rpms)
        yield "dpkg-deb and rpm take them, too", lambda: self._judged([*debs, *rpms])
        yield "apt reads the repository", lambda: self._apt(debs)
        yield "dnf reads the repository", lambda: self._dnf(rpms)
        yield "when they are deleted, Packages and Sources are what they were", lambda: self._deleted(packages)

    def _untouched(self) -> None:
        for path in _UNTOUCHED:
            must(self._web.get(path) == self._before[path], f"{path} is what it was")

    def _served(self, taken: Sequence[Taken]) -> None:
        for one in taken:
            must(self._web.get(one.location) == one.upload.body, f"{one.location} is what was sent")

    def _listed(self, taken: Sequence[Taken]) -> None:
        self._served(taken)
        found = {f"/apt/tampered/{one['Filename']}": one for path in _PACKAGES for one in stanzas(self._web.get(path))}
        locations = {one.location for one in taken}
        joined = {one["Filename"] for one in self._joined()}
        stray = found.keys() - locations
        must(not stray, f"nothing else is listed: {sorted(stray)[:3]}")
        for one in taken:
            listed = found.get(one.location) or (one.location.removeprefix("/apt/tampered/") in joined and {})
            must(listed is not False, f"{one.location} is listed")
            if listed:
                digest = hashlib.sha256(one.upload.body).hexdigest()
                must(
                    (listed["SHA256"], listed["Size"]) == (digest, str(len(one.upload.body))), f"{one.location}: right"
                )

    def _joined(self) -> Iterator[dict[str, str]]:
        """The stanzas of architectures that came with packages, and of packages for the installer."""
        for line in self._web.get("/apt/tampered/dists/stable/Release").decode().splitlines():
            path = line.split()[-1] if line.startswith(" ") else ""
            if path.endswith("/Packages"):
                yield from stanzas(self._web.get(f"/apt/tampered/dists/stable/{path}"))

    def _judged(self, taken: Sequence[Taken]) -> None:
        wrong = []
        for number, one in enumerate(taken):
            ending, *command = next(row for row in _ENDINGS if one.location.endswith(row[0]))
            file = self._folder / f"{number}{ending}"
            file.write_bytes(one.upload.body)
            try:
                run(*command, str(file))
            except Exception as error:  # a refusal, to be counted
                wrong.append(f"{one.upload.category}: {one.upload.name}: {error}"[-300:])
            file.unlink()
        must(not wrong, f"{len(wrong)} are refused: {wrong[:3]}")

    def _apt(self, taken: Sequence[Taken]) -> None:
        apt = Apt(self._folder / "apt")
        apt.add_source(self._web.get("/apt/tampered/stable.sources"))
        apt.update()
        listed = {one["Package"] for one in stanzas(self._web.get(_PACKAGES[1]))}
        seen = set(apt.versions())
        must(listed == seen, f"apt sees all of {len(taken)}, but for {sorted(listed ^ seen)[:5]}")

    def _dnf(self, taken: Sequence[Taken]) -> None:
        folder = self._folder / "dnf"
        folder.mkdir()
        dnf = Dnf(folder, self._web.get("/rpm/tampered/pkgd.repo"))
        dnf.update()
        listed = self._web.json("/api/v1/packages?repository=rpm:tampered&n=1000")["packages"]
        must(len(listed) == len(taken), f"{len(listed)} are listed, {len(taken)} were taken")

    def _deleted(self, taken: Sequence[Taken]) -> None:
        # The same bytes may have been sent twice.
        for location in dict.fromkeys(one.location for one in taken):
            self._web.call("DELETE", location).must_be(204)
        for path in (*_PACKAGES, _SOURCES):
            must(self._web.get(path) == self._before[path], f"{path} is what it was")
