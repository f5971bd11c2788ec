"""A state that the release before has filled: the new one goes on with it, and the old one with that again."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from pkgd.formats import rpmtags as tags
from tests.crash.server import ROOT
from tests.debian import install
from tests.formats.rpms import rpm, string
from tests.modes.__main__ import Checks
from tests.modes.content import fill, leave_original, pulls
from tests.modes.server import Answer, basic
from tests.packages.fixtures import made_deb
from tests.upgrade.server import Release
from tests.web.content import BLOB, CONFIG, PLAIN, digest_of, image

__all__ = ["run"]

_TYPE = json.loads(PLAIN)["mediaType"]
# What every version says in its own words.
_ABOUT_ITSELF = ("/v2/_oci/ext/discover", "/apt/main/", "/rpm/main/")


def run(checks: Checks, port: int, scratch: Path, archive: Path) -> None:
    """Old, new, old, new; the archive has the old one's code."""
    code = scratch / "code"
    code.mkdir(parents=True)
    with tarfile.open(archive) as packed:
        packed.extractall(code)
    if shutil.which("gpgv") is None:
        install(["gpgv"])
    upgrade = _Upgrade(checks, Release(port, scratch / "state", scratch / "logs"), code)
    try:
        upgrade.run(scratch / "keyring.gpg")
    finally:
        if upgrade.server.is_running():
            upgrade.server.stop()


class _Upgrade:
    def __init__(self, checks: Checks, server: Release, old: Path) -> None:
        self._checks = checks
        self.server = server
        self._old = old
        self._key = ""
        self._pushed: list[str] = []

    def run(self, keyring: Path) -> None:
        """Each version serves what those before it have left, and adds to it."""
        filled = self._turn("old", self._old, {}, self._fill)
        keyring.write_bytes(dearmor(filled["/apt/main/key.asc"].body.decode()))
        self._signed("old", filled, keyring)
        state = filled
        for who, code, version in (("new", ROOT, "2.0"), ("old again", self._old, "3.0"), ("new again", ROOT, "4.0")):
            state = self._turn(who, code, state, partial(self._add, version))
            lost = [one for one, answer in filled.items() if _is_content(one) and state.get(one) != answer]
            self._checks.check(f"{who}: all of the beginning is there", not lost, lost)
            self._signed(who, state, keyring)
            if code == ROOT:
                done = self.server.run("verify", "--")
                self._checks.check(f"{who}: pkgd verify is content", done.returncode == 0, done.stdout + done.stderr)

    def _turn(self, who: str, code: Path, left: Mapping[str, Answer], add: Callable[[], None]) -> dict[str, Answer]:
        """Start a version, compare, add, stop it; everything that could be pulled from it then."""
        self.server.code = code
        self._checks.check(f"{who}: it runs its own code", self.server.where().is_relative_to(code), code)
        self.server.start()
        for target, answer in left.items():
            same = self.server.ask("GET", target)
            self._checks.check(f"{who}: {target}", same == answer, same)
        if self._key:
            self._key_opens(who)
        refused = self.server.ask("GET", "/v2/app/manifests/latest", basic(password="wrong"))
        self._checks.check(f"{who}: a wrong password is refused", refused.status == 401, refused)
        add()
        found = {one: self.server.ask("GET", one) for one in self._targets()}
        wrong = [target for target, answer in found.items() if answer.status != 200]
        self._checks.check(f"{who}: everything can be pulled", not wrong and len(found) > 70, wrong or len(found))
        self._checks.check(f"{who}: it stops", self.server.stop() == 0)
        notices = self.server.new_crash_notices()
        self._checks.check(f"{who}: no traceback in the log", not notices, notices)
        return found

    def _targets(self) -> Iterator[str]:
        """Whatever can be pulled, but what each version says of itself."""
        yield from (one for one in pulls(self.server, {}) if one not in _ABOUT_ITSELF)
        yield from self._pushed

    def _fill(self) -> None:
        leave_original(self.server.state)
        fill(self.server)
        done = self.server.run("key", "create", "--", "--robot", "ci", "--allow", "**=pull")
        self._key = done.stdout.strip()
        self._checks.check("old: it makes an API key", self._key.startswith("pkgd_"), done.stderr)

    def _key_opens(self, who: str) -> None:
        """The key that the old version has made opens what it names, and nothing else."""
        headers = basic("key", self._key)
        found = self.server.ask("GET", "/v2/app/manifests/latest", headers)
        self._checks.check(f"{who}: an API key of the old version", found.body == PLAIN, found)
        pushed = self.server.ask("PUT", "/v2/app/manifests/by-key", {**headers, "Content-Type": _TYPE}, PLAIN)
        self._checks.check(f"{who}: what the key is not for", pushed.status in (401, 403), pushed)

    def _add(self, version: str) -> None:
        """One more package of each kind, and one more image."""
        files = {f"/apt/main/stable/main/hello_{version}_amd64.deb": made_deb(version=version)}
        files["/rpm/main/hello.rpm"] = rpm({tags.VERSION: string(version)})
        for target, data in files.items():
            answer = self.server.ask("PUT", target, body=data)
            self._checks.check(f"upload of {target}", answer.status == 201, answer)
        name, manifest = "team/added", image(annotations={"added": version})
        for blob in (BLOB, CONFIG):
            self.server.ask("POST", f"/v2/{name}/blobs/uploads/?digest={digest_of(blob)}", body=blob)
        answer = self.server.ask("PUT", f"/v2/{name}/manifests/{version}", {"Content-Type": _TYPE}, manifest)
        self._checks.check(f"push of {name}:{version}", answer.status == 201, answer)
        self._pushed += [f"/v2/{name}/manifests/{one}" for one in (version, digest_of(manifest))]

    def _signed(self, who: str, served: Mapping[str, Answer], keyring: Path) -> None:
        """apt's and rpm's metadata are signed by the key that the old version has made, as gpgv sees it."""
        apt, yum = "/apt/main/dists/stable", "/rpm/main/repodata"
        for *signature, data in (
            [f"{apt}/InRelease"],
            [f"{apt}/Release.gpg", f"{apt}/Release"],
            [f"{yum}/repomd.xml.asc", f"{yum}/repomd.xml"],
        ):
            files = []
            for target in (*signature, data):
                files.append(keyring.with_name(target.replace("/", "-")))
                files[-1].write_bytes(served[target].body)
            done = subprocess.run(["gpgv", "--keyring", keyring, *files], capture_output=True, text=True, check=False)
            self._checks.check(f"{who}: the signature of {data}", done.returncode == 0, done.stderr)


def dearmor(text: str) -> bytes:
    """An armoured block's bytes (RFC 9580, 6.2); gpgv reads no other keyrings."""
    body = text.partition("\n\n")[2].partition("\n=")[0].partition("\n-----")[0]
    return base64.b64decode(body)


def _is_content(target: str) -> bool:
    """Whether what is there never changes: images by tag and digest, blobs, files of packages."""
    return any(part in target for part in ("/manifests/", "/blobs/", "/pool/", "/Packages/"))
