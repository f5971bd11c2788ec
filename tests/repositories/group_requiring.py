"""`sign_packages: require`, with packages that rpmsign has signed with keys of GnuPG's, and rpmkeys as the judge."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pkgd.formats import rpmtags as tags
from pkgd.formats.rpm import read_rpm
from tests.formats.rpms import binary, reader
from tests.formats.rpms import rpm as made_rpm
from tests.live.tools import CommandFailed, run
from tests.repositories.bench import Bench, Case
from tests.repositories.server import WithKeyFiles
from tests.repositories.web import must, must_have

_STRANGER = "stranger"


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    group = _Group(bench)
    for algorithm in WithKeyFiles.ALGORITHMS:
        yield Case(
            f"{algorithm}: signed by rpmsign, it is taken and installed with gpgcheck=1",
            partial(group.taken, algorithm),
        )
        yield Case(f"{algorithm}: signed by rpmsign as of old, header and payload", partial(group.of_old, algorithm))
        yield Case(f"{algorithm}: a changed header with fitting digests is refused", partial(group.changed, algorithm))
        yield Case(f"{algorithm}: a stranger's signature in our name is refused", partial(group.forged, algorithm))
    yield Case("a signature by a stranger beside ours is refused", group.both)


class _Group:
    def __init__(self, bench: Bench) -> None:
        server = bench.server
        assert isinstance(server, WithKeyFiles)
        self._bench = bench
        self._server = server
        self._web = bench.web
        self._files = iter(bench.workshop.rpms("signed", 20))

    def _signed(self, key: str, file: Path | None = None, *options: str) -> Path:
        """A new package, or this one, signed."""
        file = next(self._files) if file is None else file
        gpg = shutil.which("gpg") or "gpg"
        macros = {"_gpg_name": f"{key}@example.org", "_gpg_path": str(self._server.home), "__gpg": gpg}
        defined = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
        run("rpmsign", *defined, *options, "--addsign", str(file))
        return file

    def _put(self, repository: str, file: Path) -> tuple[int, str]:
        answer = self._web.put(f"/rpm/require-{repository}/{file.name}", file)
        return answer.status, answer.text

    def _judged(self, repository: str, file: Path) -> str:
        """What rpmkeys says that has imported the repository's keys; empty if it is content."""
        folder = self._bench.folder("judge")
        (folder / "key.asc").write_bytes(self._web.get(f"/rpm/require-{repository}/key.asc"))
        run("rpmkeys", "--root", str(folder), "--import", str(folder / "key.asc"))
        shutil.copy(file, folder)
        try:
            said = run("rpmkeys", "--root", str(folder), "-Kv", str(folder / file.name))
        except CommandFailed as error:
            return str(error)
        must_have(said, "ignature, key ID")
        return ""

    def _must_be_refused(self, repository: str, file: Path, reason: str) -> None:
        status, text = self._put(repository, file)
        must(status == 400 and reason in text, f"refused, for {reason!r}: {status} {text}")
        must(self._judged(repository, file), "rpmkeys refuses it, too")

    def taken(self, algorithm: str) -> None:
        file = self._signed(algorithm)
        must(not self._judged(algorithm, file), f"rpmkeys is content: {self._judged(algorithm, file)}")
        must(self._put(algorithm, file)[0] == 201, f"it is taken: {self._put(algorithm, file)}")
        must_have(self._web.get(f"/rpm/require-{algorithm}/pkgd.repo").decode(), "\ngpgcheck=1")
        dnf = self._bench.dnf(f"require-{algorithm}")
        name = file.name.rsplit("-", 2)[0]
        dnf("install", name)
        must(f"{name}-1.0" in dnf.installed(), f"it is installed: {dnf.installed()}")

    def of_old(self, algorithm: str) -> None:
        file = self._signed(algorithm, None, "--rpmv3")
        data = file.read_bytes()
        found = read_rpm(reader(data), len(data)).signatures
        must(any(one.covers_payload for one in found), "it has such a signature")
        must(not self._judged(algorithm, file), f"rpmkeys is content: {self._judged(algorithm, file)}")
        must(self._put(algorithm, file)[0] == 201, f"it is taken: {self._put(algorithm, file)}")

    def changed(self, algorithm: str) -> None:
        file = self._signed(algorithm)
        data = file.read_bytes()
        package = read_rpm(reader(data), len(data))
        before = data[package.header_start : package.header_end]
        after = before.replace(b"\0One\0", b"\0Two\0")
        must(after != before, "there is something to change")
        front, payload = data[: package.header_start], data[package.header_end :]
        for name in ("sha1", "sha256"):
            front = front.replace(*(hashlib.new(name, one).hexdigest().encode() for one in (before, after)))
        front = front.replace(*(hashlib.md5(one + payload).digest() for one in (before, after)))  # noqa: S324
        file.write_bytes(front + after + payload)
        self._must_be_refused(algorithm, file, "not of these bytes")

    def forged(self, algorithm: str) -> None:
        file = self._signed(_STRANGER)
        data = file.read_bytes()
        self._must_be_refused(algorithm, file, "not by a key of this repository")
        theirs, ours = (bytes.fromhex(self._server.fingerprint(one)) for one in (_STRANGER, algorithm))
        data = data.replace(theirs, ours).replace(theirs[-8:], ours[-8:])
        file.write_bytes(data)
        self._must_be_refused(algorithm, file, "its signature")

    def both(self) -> None:
        # rpmsign keeps one only; rpm looks into both places.
        folder = self._bench.folder("both")
        packets = []
        for number, name in enumerate(("rsa3072", "ed25519")):
            (folder / f"{number}.rpm").write_bytes(made_rpm())
            data = self._signed(name, folder / f"{number}.rpm").read_bytes()
            packets.append(binary(read_rpm(reader(data), len(data)).signatures[0].packet))
        file = folder / "hello-1.0-1.noarch.rpm"
        file.write_bytes(made_rpm(signatures={tags.SIG_RSA: packets[0], tags.SIG_DSA: packets[1]}))
        self._must_be_refused("rsa3072", file, "not by a key of this repository")
