"""The judgement of published repositories: signatures by gpgv, every hash, every file that anything names."""

from __future__ import annotations

import hashlib
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from tests.crash.packages.ledger import Thing
from tests.packages.readers import expanded, stanzas

Fetch = Callable[[str], bytes]
SUITES = ("stable", "testing")
_REPO = "{http://linux.duke.edu/metadata/repo}"
_COMMON = "{http://linux.duke.edu/metadata/common}"


class Fault(Exception):
    """What is published is not whole."""


def judge(fetch: Fetch, folder: Path) -> frozenset[Thing]:
    """Everything that is published; raises `Fault` if it isn't whole, or not signed by a key of key.asc.

    :param fetch: a file by its URL's path; raises if there is none.
    :param folder: for files; it is made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: set[Thing] = set()
    for suite in SUITES:
        found |= {(f"apt:{suite}", name) for name in _suite(fetch, folder, suite)}
    found |= {("rpm", name) for name in _rpm(fetch, folder)}
    return frozenset(found | {("key", one) for one in _keys(fetch("/apt/main/key.asc"), folder)})


def _suite(fetch: Fetch, folder: Path, suite: str) -> set[str]:
    base = f"/apt/main/dists/{suite}/"
    ring = _ring(fetch("/apt/main/key.asc"), folder)
    signed, release, signature = (fetch(base + name) for name in ("InRelease", "Release", "Release.gpg"))
    _verify(ring, folder, signed)
    _verify(ring, folder, signature, release)
    _must(signed.split(b"\n\n", 1)[1].split(b"\n-----BEGIN PGP", 1)[0] + b"\n" == release, "InRelease is not Release")
    (fields,) = stanzas(release)
    names = set()
    for line in fields["SHA256"].split("\n")[1:]:
        digest, size, path = line.split()
        data = fetch(base + path)
        _must((len(data), hashlib.sha256(data).hexdigest()) == (int(size), digest), f"{path} is another")
        for one in stanzas(expanded(path, data)):
            names.add(one["Package"])
            content = fetch(f"/apt/main/{one['Filename']}")
            _must(hashlib.sha256(content).hexdigest() == one["SHA256"], f"{one['Filename']} is another")
    return names


def _rpm(fetch: Fetch, folder: Path) -> set[str]:
    text = fetch("/rpm/main/repodata/repomd.xml")
    _verify(_ring(fetch("/rpm/main/key.asc"), folder), folder, fetch("/rpm/main/repodata/repomd.xml.asc"), text)
    names = set()
    for data in ET.fromstring(text).iter(f"{_REPO}data"):  # noqa: S314 – our own
        location = data.find(f"{_REPO}location").attrib["href"]
        content = fetch(f"/rpm/main/{location}")
        _must(data.find(f"{_REPO}checksum").text == hashlib.sha256(content).hexdigest(), f"{location} is another")
        if data.attrib["type"] != "primary":
            continue
        for one in ET.fromstring(expanded(location, content)):  # noqa: S314 – our own
            names.add(one.find(f"{_COMMON}name").text or "")
            path = one.find(f"{_COMMON}location").attrib["href"]
            digest = hashlib.sha256(fetch(f"/rpm/main/{path}")).hexdigest()
            _must(digest == one.find(f"{_COMMON}checksum").text, f"{path} is another")
    return names


def _ring(keys: bytes, folder: Path) -> Path:
    """A keyring as gpgv wants it."""
    ring = folder / "ring.gpg"
    ring.write_bytes(_run("gpg", "--homedir", str(folder), "--dearmor", given=keys))
    return ring


def _keys(keys: bytes, folder: Path) -> set[str]:
    said = _run("gpg", "--homedir", str(folder), "--with-colons", "--show-keys", given=keys).decode()
    lines = [line.split(":") for line in said.splitlines()]
    return {line[9].lower() for before, line in pairwise(lines) if before[0] == "pub"}


def _verify(ring: Path, folder: Path, signed: bytes, content: bytes | None = None) -> None:
    files = []
    for name, data in (("signed", signed), ("content", content)):
        if data is not None:
            (folder / name).write_bytes(data)
            files.append(str(folder / name))
    _run("gpgv", "--keyring", str(ring), *files)


def _run(*command: str, given: bytes = b"") -> bytes:
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    if done.returncode != 0:
        raise Fault(f"{' '.join(command[:1])}: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return done.stdout


def _must(condition: bool, what: str) -> None:
    if not condition:
        raise Fault(what)
