"""Uploads and requests by people who mean no good: each is refused with a text, and nothing changes."""

from __future__ import annotations

import gzip
import io
import socket
import struct
import tarfile
from collections.abc import Iterator
from functools import partial

from tests.repositories.bench import Bench, Case
from tests.repositories.web import must

_CONTROL = (
    "Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: T <t@example.org>\n"
    "Description: hostile\n{more}"
)


def _tar(control: bytes, name: str = "./control") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        member = tarfile.TarInfo(name)
        member.size = len(control)
        tar.addfile(member, io.BytesIO(control))
    return out.getvalue()


def _ar(*members: tuple[str, bytes]) -> bytes:
    parts = [b"!<arch>\n"]
    for name, data in members:
        parts += [f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode(), data, b"\n" * (len(data) % 2)]
    return b"".join(parts)


def hand_made_deb(control: bytes | None = None, **fields: str) -> bytes:
    """A .deb by hand, for what dpkg-deb would not make."""
    if control is None:
        values = {"name": "hostile", "version": "1.0", "architecture": "all", "more": "", **fields}
        control = _CONTROL.format(**values).encode()
    return _around(gzip.compress(_tar(control)))


def _around(control_tar: bytes) -> bytes:
    data = gzip.compress(_tar(b"x", "./usr/x"))
    return _ar(("debian-binary", b"2.0\n"), ("control.tar.gz", control_tar), ("data.tar.gz", data))


def _debs() -> dict[str, bytes]:
    """What is no package, by what is wrong with it."""
    good = hand_made_deb()
    return {
        "nothing": b"",
        "text": b"this is no package",
        "a half": good[: len(good) // 2],
        "an ar without members": b"!<arch>\n",
        "a member of a negative size": good.replace(b"4         `\n", b"-4        `\n", 1),
        "a member beyond the end": good.replace(b"4         `\n", b"4999999999`\n", 1),
        "no control.tar": _ar(("debian-binary", b"2.0\n"), ("data.tar.gz", b"x")),
        "format 3.0": good.replace(b"2.0\n", b"3.0\n", 1),
        "broken gzip": _around(b"\x1f\x8b\x08\x00broken"),
        "a bomb": _around(gzip.compress(bytes(200 << 20), 9)),
        "no control file": _around(gzip.compress(_tar(b"x", "./else"))),
        "a name that climbs": hand_made_deb(name="../../etc"),
        "a name in upper case": hand_made_deb(name="Hostile"),
        "a version with a slash": hand_made_deb(version="1/../2"),
        "a version with a line break in it": hand_made_deb(version="1.0\n x\nFilename: pool/evil"),
        "an architecture that climbs": hand_made_deb(architecture="../x"),
        "its own Filename and SHA256": hand_made_deb(more="Filename: pool/evil\nFilename: pool/worse\n"),
        "no version": hand_made_deb(b"Package: hostile\nArchitecture: all\n"),
        "two stanzas": hand_made_deb(more="\nPackage: second\nVersion: 1\nArchitecture: all\n"),
        "a field twice": hand_made_deb(more="Version: 2.0\n"),
        "NUL bytes": hand_made_deb(more="X-Nul: a\0b\n"),
        "bytes that are no UTF-8": hand_made_deb(b"Package: \xff\xfe\nVersion: 1\nArchitecture: all\n"),
    }


def _rpms() -> dict[str, bytes]:
    lead = bytes.fromhex("edabeedb0300") + struct.pack(">hh66shh16s", 0, 1, b"hostile-1-1", 1, 5, b"")
    magic = bytes.fromhex("8eade80100000000")
    return {
        "nothing": b"",
        "text": b"this is no package",
        "a lead alone": lead,
        "a header with 4 G entries": lead + magic + struct.pack(">II", 0xFFFFFFFF, 16) + bytes(64),
        "a header of 4 GB": lead + magic + struct.pack(">II", 1, 0xFFFFFFF0) + bytes(64),
        "entries that point outside": lead
        + magic
        + struct.pack(">II", 1, 16)
        + struct.pack(">IIiI", 62, 7, 0x7FFFFFF0, 16)
        + bytes(64),
        "a lead of another age": b"\xed\xab\xee\xdb\x09" + lead[5:] + bytes(200),
    }


_PATHS = [
    "/apt/main/pool/../../../../etc/passwd",
    "/apt/main/pool/%2e%2e/%2e%2e/keys/default.asc",
    "/apt/main/dists/stable/..%2f..%2fcurrent",
    "/apt/main/dists/stable/%00",
    "/apt/main/suites/stable/current",
    "/rpm/main/repodata/../../keys/default.asc",
    "/rpm/main/current",
    "/keys/default.asc",
    "/apt/main/@99999999999999999999/dists/stable/InRelease",
    "/apt/main/@-1/dists/stable/InRelease",
]


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    group = _Group(bench)
    for what, body in _debs().items():
        yield Case(f"a deb: {what}", partial(group.refused, "/apt/main/stable/main/hostile_1.0_all.deb", body))
    for what, body in _rpms().items():
        yield Case(f"an rpm: {what}", partial(group.refused, "/rpm/main/hostile-1-1.noarch.rpm", body))
    yield Case("an rpm whose payload has been changed", group.changed_rpm)
    for path in _PATHS:
        yield Case(f"GET {path}", partial(group.not_there, path))
    yield Case("names of files that climb, or are too long", group.names)
    yield Case("a client that leaves in the middle of its upload", group.leaves)
    yield Case("a .dsc and a .changes that are none", group.sets)
    yield Case("copies that cannot be", group.copies)
    yield Case("afterwards apt and dnf see an empty, whole repository, and an empty spool", group.nothing_changed)


class _Group:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._web = bench.web

    def refused(self, path: str, body: bytes, method: str = "PUT") -> None:
        answer = self._web.call(method, path, body)
        must(400 <= answer.status < 500, f"{answer.status}: {answer.text[:300]}")
        must(
            answer.text.strip() and len(answer.text) < 2000 and "Traceback" not in answer.text, f"a text: {answer.text}"
        )

    def not_there(self, path: str) -> None:
        answer = self._web.call("GET", path)
        must(answer.status in (400, 404), f"{answer.status}: {answer.text[:300]}")
        must(b"PRIVATE" not in answer.body and b"root:" not in answer.body, "nothing secret")

    def changed_rpm(self) -> None:
        (file,) = self._bench.workshop.rpms("changed", 1)
        body = bytearray(file.read_bytes())
        body[-20] ^= 1
        self.refused(f"/rpm/main/{file.name}", bytes(body))

    def names(self) -> None:
        good = hand_made_deb()
        for name in (
            "..%2f..%2fx.deb",
            "%2e%2e.deb%2f",
            "x" * 300 + ".tar.xz",
            "%00.tar.xz",
            "a%0ab.tar.xz",
            ".tar.xz",
        ):
            self.refused(f"/apt/main/stable/main/{name}", b"x" if name.endswith("xz") else good[:50])

    def leaves(self) -> None:
        with socket.create_connection((self._bench.server.setup.host, self._bench.server.setup.port)) as connection:
            head = "PUT /apt/main/stable/main/gone_1_all.deb HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n"
            connection.sendall(head.encode() + hand_made_deb()[:300])

    def sets(self) -> None:
        self.refused("/apt/main/stable/main/x_1.dsc", b"nothing")
        self.refused(
            "/apt/main/stable/main/x_1.dsc", b"Format: 3.0 (native)\nSource: ../x\nVersion: 1\nFiles:\n x ../y 3\n"
        )
        self.refused("/apt/main/incoming/stable/x.changes", b"nothing")
        self.refused("/apt/main/incoming/stable/x.changes", b"Distribution: stable\nFiles:\n 0 0 - - ../../x\n")

    def copies(self) -> None:
        for body in (
            b"",
            b"[]",
            b"{}",
            b'{"source": "stable", "target": "../x", "name": "y"}',
            b"{" * 50_000,
            bytes(100_000),
        ):
            self.refused("/api/v1/apt/main/copy", body, "POST")

    def nothing_changed(self) -> None:
        apt, dnf = self._bench.apt("main"), self._bench.dnf("main")
        apt.update()
        must(not apt.versions(), f"nothing: {apt.versions()}")
        dnf.update()
        must(not dnf.names(), f"nothing: {dnf.names()}")
        spool = self._bench.server.folder / "state/spool"
        files = [one for one in spool.rglob("*") if one.is_file() and not one.name.endswith("reserve")]
        left = [one for one in files if one.stat().st_size]
        must(not left, f"nothing in the spool: {left}")
