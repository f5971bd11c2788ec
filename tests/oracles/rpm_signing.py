"""Digests and signatures of packages, compared with what rpmkeys says of them."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from pkgd.errors import InvalidPackage
from pkgd.formats.rpm import PayloadHasher, read_rpm, rewrite, verify_digests
from tests.formats.rpms import reader
from tests.oracles.rpm_corpus import written
from tests.oracles.rpm_metadata import compare_metadata
from tests.oracles.tally import Tally

__all__ = ["compare_digests", "compare_signing"]


def _verifies(data: bytes) -> bool:
    """Whether a package's digests are right, by what streamed by and by a second reading alike."""
    hasher = PayloadHasher()
    for start in range(0, len(data), 4099):
        hasher.update(data[start : start + 4099])
    answers = []
    for hashes in (hasher.hashes(), None):
        try:
            verify_digests(reader(data), read_rpm(reader(data), len(data)), hashes)
            answers.append(True)
        except InvalidPackage as error:
            # What repodata cannot carry has nothing to do with digests.
            answers.append("no repository can list" in str(error))
    if answers[0] != answers[1]:
        raise AssertionError(f"streamed {answers[0]}, read {answers[1]}")
    return answers[0]


def compare_digests(path: Path) -> str | None:
    done = subprocess.run(["rpmkeys", "-K", "--nosignature", str(path)], capture_output=True, text=True)
    ours, theirs = _verifies(path.read_bytes()), done.returncode == 0
    return None if ours == theirs else f"{path.name}: ours {ours}, rpmkeys: {done.stdout.strip()}"


def compare_signing(tally: Tally, place: Path, paths: Sequence[Path], key: str) -> None:
    """Sign with gpg, put the signature in, and let rpmkeys verify it against nothing but that key."""
    home, database = place / "gpg", place / "rpmdb"
    home.mkdir(parents=True, mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    subprocess.run([*gpg, "--quick-gen-key", "pkgd <pkgd@example.org>", key, "sign", "never"], check=True)
    public = subprocess.run([*gpg, "--armor", "--export"], check=True, capture_output=True).stdout
    key_file = written(place / "key.asc", public)
    rpmkeys = ["rpmkeys", "--dbpath", str(database)]
    subprocess.run([*rpmkeys, "--import", str(key_file)], check=True)
    for path in paths:
        data = path.read_bytes()
        try:
            package = read_rpm(reader(data), len(data))
        except InvalidPackage:
            continue
        # rpm is not content with a signature of the header where nothing says what the payload is.
        if not package.digests.payload or not _verifies(data):
            continue
        header = data[package.header_start : package.header_end]
        packet = subprocess.run([*gpg, "--detach-sign"], check=True, input=header, capture_output=True).stdout
        beginning, rest = rewrite(reader(data), len(data), packet)
        signed = written(place / "signed.rpm", beginning + data[rest:])
        done = subprocess.run([*rpmkeys, "-Kv", str(signed)], capture_output=True, text=True)
        good = done.returncode == 0 and "Header V4" in done.stdout and "NOKEY" not in done.stdout
        tally.add(f"signing with {key}", None if good else f"{path.name}: {done.stdout}")
        tally.add(f"signing with {key}", compare_metadata(signed))
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"])
