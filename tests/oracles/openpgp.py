"""Keys and signatures, judged by gpgv, gpg, sqv and rpm; and what gpg makes, read by us.

Every kind of key, ours and GnuPG's, signs texts of every shape; every verifier has to accept it, and to refuse it once
a byte has changed.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from pkgd.blocking import InlineBlocking
from pkgd.errors import InvalidKey, SigningError
from pkgd.formats.openpgp import (
    ALGORITHMS,
    PrivateKey,
    armored,
    cleartext,
    dearmored,
    detached,
    generate_key,
    read_certificates,
    read_private_key,
    rpm_header_signature,
    signed_by,
    text_signed_by,
)
from pkgd.packages.gnupgsigner import GnupgSettings, GnupgSigner
from tests.oracles.gnupg_home import GnuPG
from tests.oracles.tally import Tally

__all__ = ["main"]

_T = TypeVar("_T")

_PASSPHRASE = "correct horse – battery"
_TEXTS = {
    "release": b"Origin: x\nSuite: stable\nSHA256:\n " + b"0" * 64 + b" 12 main/binary-amd64/Packages\n",
    "empty": b"",
    "one line end": b"\n",
    "empty lines": b"\n\na\n\n\n",
    "no final line end": b"a\nb",
    "dashes": b"- a\n-----BEGIN PGP SIGNATURE-----\n-\n--\n -\n",
    "white space": b"a \nb\t \n \n\t\nc\r\n  d\n",
    "From": b"From here\nfrom there\n",
    "not ASCII": "Grüße €\n".encode() + b"\xff\xfe\n",
    "long lines": b"x" * 9000 + b"\n" + b"y" * 12000 + b"\n",
    "long": b"".join(b" %064d %8d pool/main/p/%d\n" % (number, number, number) for number in range(3000)),
}


def main(arguments: Sequence[str]) -> int:
    """Run every comparison and return the exit status."""
    argparse.ArgumentParser(prog="openpgp").parse_args(arguments)
    tally, now = Tally(), int(time.time())
    with tempfile.TemporaryDirectory(prefix="openpgp-") as directory, GnuPG() as gnupg:
        judge = _Judge(directory, tally)
        keys = {**_own(now), **_of_gnupg(gnupg, now)}
        for name, key in keys.items():
            _signatures(judge, name, key, now)
            judge.rpm_imports(name, key.public_armor)
            _exports(judge, name, key, now)
        _rotation(judge, list(keys.values()), now)
        _back_end(judge, gnupg)
        _unusable(gnupg, tally, now)
    return tally.close()


def _own(now: int) -> dict[str, PrivateKey]:
    """A key of each algorithm."""
    made = {f"own {one}": generate_key(one, f"pkgd signing key – {one}", now - 60) for one in ALGORITHMS}
    return {name: read_private_key(key.export(None, b"", b"")) for name, key in made.items()}


def _of_gnupg(gnupg: GnuPG, now: int) -> dict[str, PrivateKey]:
    """Keys that gpg has made, imported."""
    found = {}
    for algorithm in ("rsa2048", "rsa3072", "rsa4096", "ed25519"):
        for passphrase in ("", _PASSPHRASE):
            name = f"gpg {algorithm}{' with passphrase' if passphrase else ''}"
            gnupg.generate(name, algorithm, passphrase)
            found[name] = read_private_key(gnupg.export(name, passphrase), passphrase or None, now)
    for algorithm, passphrase in (("ed25519", ""), ("rsa3072", _PASSPHRASE)):
        name = f"gpg {algorithm} subkey"
        fingerprint = gnupg.generate(name, algorithm, passphrase, "cert")
        gnupg.add_subkey(fingerprint, algorithm, passphrase)
        gnupg.add_subkey(fingerprint, algorithm, passphrase, "2y")
        found[name] = read_private_key(gnupg.export(name, passphrase), passphrase or None, now)
        data = gnupg.export(name, passphrase, subkeys=True)
        found[f"{name} alone"] = read_private_key(data, passphrase or None, now)
    return found


class _Judge:
    """The verifiers, each run on files in a directory."""

    def __init__(self, directory: str, tally: Tally) -> None:
        self._directory = directory
        self.tally = tally
        self._sqv = ["sqv"]
        if b"--policy-as-of" in subprocess.run(["sqv", "--help"], capture_output=True, check=True).stdout:
            # What is accepted now but not in a year makes apt warn.
            self._sqv += ["--policy-as-of", time.strftime("%Y-%m-%d", time.gmtime(time.time() + 365 * 86400))]

    def text(self, name: str, message: bytes, keys: bytes) -> None:
        """A clear-signed message is accepted, and refused once it has been changed."""
        keyring, signed = self._file("keys.gpg", keys), self._file("message", message)
        self._accept("gpgv text", name, ["gpgv", "--keyring", keyring, signed])
        position = message.index(b"-----BEGIN PGP SIGNATURE") - 1
        changed = self._file("changed", message[:position] + b"!" + message[position:])
        self._refuse("gpgv text, changed", name, ["gpgv", "--keyring", keyring, changed])

    def detached(self, name: str, data: bytes, signature: bytes, keys: bytes) -> None:
        """A detached signature is accepted, and refused for other data."""
        keyring, signed, content = (
            self._file("keys.gpg", keys),
            self._file("data.asc", signature),
            self._file("data", data),
        )
        changed = self._file("changed", data + b"!")
        self._accept("gpgv detached", name, ["gpgv", "--keyring", keyring, signed, content])
        self._refuse("gpgv detached, changed", name, ["gpgv", "--keyring", keyring, signed, changed])
        self._accept("sqv detached", name, [*self._sqv, "--keyring", keyring, signed, content])
        self._refuse("sqv detached, changed", name, [*self._sqv, "--keyring", keyring, signed, changed])

    def rpm_imports(self, name: str, keys: bytes, count: int = 1) -> None:
        """rpm takes every key in a file."""
        with tempfile.TemporaryDirectory(dir=self._directory) as database:
            rpm = ["rpm", "--dbpath", database]
            self._accept("rpm --import", name, [*rpm, "--import", self._file("keys.asc", keys)])
            listed = subprocess.run([*rpm, "-q", "gpg-pubkey"], capture_output=True, check=False).stdout.split()
            self.tally.add("rpm has the key", None if len(listed) == count else f"{name}: {listed}")

    def _accept(self, what: str, name: str, command: list[str]) -> None:
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        failure = f"{name}: {done.stderr.decode('utf-8', 'replace')}" if done.returncode else None
        self.tally.add(what, failure)

    def _refuse(self, what: str, name: str, command: list[str]) -> None:
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        self.tally.add(what, None if done.returncode else f"{name}: it was accepted")

    def _file(self, name: str, data: bytes) -> str:
        path = os.path.join(self._directory, name)
        with open(path, "wb") as file:
            file.write(data)
        return path


def _signatures(judge: _Judge, name: str, key: PrivateKey, now: int) -> None:
    """Every text, signed in every way."""
    public = dearmored(key.public_armor)
    for shape, text in _TEXTS.items():
        judge.text(f"{name}, {shape}", cleartext([key], text, now), public)
        judge.detached(f"{name}, {shape}", text, detached([key], text, now), public)
    header = secrets.token_bytes(4000)
    judge.detached(f"{name}, rpm header", header, armored(rpm_header_signature(key, header, now), "SIGNATURE"), public)


def _exports(judge: _Judge, name: str, key: PrivateKey, now: int) -> None:
    """gpg imports our export with and without a passphrase, and signs with it; and we verify what it has signed."""
    text = _TEXTS["dashes"] + _TEXTS["white space"]
    for passphrase in (None, _PASSPHRASE):
        title = f"{name}{', export with passphrase' if passphrase else ''}"
        data = key.export(passphrase, secrets.token_bytes(8), secrets.token_bytes(16))
        again = read_private_key(data, passphrase, now)
        judge.tally.add("read again", None if again.signer == key.signer else title)
        with GnuPG() as home:
            done = home.run("--pinentry-mode", "loopback", "--passphrase", "", "--import", data=data, check=False)
            judge.tally.add("gpg imports", None if not done.returncode else f"{title}: {done.stderr!r}")
            sign = ["--pinentry-mode", "loopback", "--passphrase", passphrase or "", "--digest-algo", "SHA256"]
            signature = home.run(*sign, "--detach-sign", data=text, check=False)
            found = signed_by(signature.stdout, text, [key.signer])
            judge.tally.add("gpg signs", None if found == key.signer else f"{title}: {signature.stderr!r}")
            message = home.run(*sign, "--clearsign", data=text, check=False).stdout
            judge.tally.add("gpg clear-signs", None if text_signed_by(message, [key.signer]) else title)


def _rotation(judge: _Judge, keys: Sequence[PrivateKey], now: int) -> None:
    """What two keys have signed is accepted by whoever knows one of them, and one file carries both."""
    text = _TEXTS["release"]
    for old, new in _pairs(keys):
        both = old.certificate.encode() + new.certificate.encode()
        message, signature = cleartext([old, new], text, now), detached([old, new], text, now)
        title = f"{old.user_id} and {new.user_id}"
        # gpgv fails for any signature whose key it doesn't know; apt asks it which were good.
        judge.text(title, message, both)
        judge.detached(title, text, signature, both)
        judge.rpm_imports(title, armored(both, "PUBLIC KEY BLOCK"), 2)
        for one in (old, new):
            with tempfile.TemporaryDirectory() as directory:
                judge.tally.add("gpgv knows one of two", _good(directory, message, one, title))
        judge.tally.add(
            "both are read", None if len(read_certificates(armored(both, "PUBLIC KEY BLOCK"))) == 2 else title
        )


def _pairs(keys: Sequence[PrivateKey]) -> Iterator[tuple[PrivateKey, PrivateKey]]:
    yield keys[0], keys[2]
    yield keys[2], keys[0]
    yield keys[1], keys[-1]


def _good(directory: str, message: bytes, key: PrivateKey, title: str) -> str | None:
    """Whether gpgv calls one signature good, as apt looks at it."""
    for name, data in (("keys", key.certificate.encode()), ("message", message)):
        with open(f"{directory}/{name}", "wb") as file:
            file.write(data)
    command = ["gpgv", "--status-fd", "1", "--keyring", f"{directory}/keys", f"{directory}/message"]
    status = subprocess.run(command, capture_output=True, check=False).stdout
    return None if status.count(b"GOODSIG") == 1 and status.count(b"BADSIG") == 0 else f"{title}: {status!r}"


def _back_end(judge: _Judge, gnupg: GnuPG) -> None:
    """Signing by GnuPG itself, by the key's agent; a key that is locked signs nothing."""
    for kind in ("ed25519", "rsa3072", "subkey"):
        name = f"back end {kind}"
        fingerprint = gnupg.generate(
            name, "ed25519" if kind == "subkey" else kind, "", "cert" if kind == "subkey" else "sign"
        )
        if kind == "subkey":
            gnupg.add_subkey(fingerprint, "ed25519")
        signer = _result(GnupgSigner.open(InlineBlocking(), GnupgSettings(fingerprint, home=gnupg.home)))
        public = dearmored(signer.public_keys())
        for shape, text in _TEXTS.items():
            judge.text(f"{name}, {shape}", _result(signer.clearsign(text)), public)
            judge.detached(f"{name}, {shape}", text, _result(signer.detach(text)), public)
    with GnuPG() as locked:
        locked.run("--pinentry-mode", "loopback", "--passphrase", _PASSPHRASE, "--import", data=_locked(gnupg))
        settings = GnupgSettings(gnupg.fingerprint("behind a passphrase"), home=locked.home)
        signer = _result(GnupgSigner.open(InlineBlocking(), settings))
        try:
            _result(signer.detach(b"data"))
        except SigningError:
            judge.tally.add("locked key", None)
        else:
            judge.tally.add("locked key", "it signed")


def _locked(gnupg: GnuPG) -> bytes:
    gnupg.generate("behind a passphrase", "ed25519", _PASSPHRASE)
    return gnupg.export("behind a passphrase", _PASSPHRASE)


def _result(work: Coroutine[Any, Any, _T]) -> _T:
    """What a coroutine returns that waits for nothing."""
    found: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(found.append)
    if isinstance(found[0], Failure):
        found[0].raiseException()
    result: _T = found[0]
    return result


def _unusable(gnupg: GnuPG, tally: Tally, now: int) -> None:
    """Keys that clients would refuse are refused by us."""
    gnupg.generate("gone", "ed25519", "", "sign", "1y", "--faked-system-time", "20200101T000000!")
    gnupg.revoke(gnupg.generate("revoked", "ed25519"))
    gnupg.generate("weak", "rsa2048", "", "sign", "never", "--cert-digest-algo", "SHA1")
    gnupg.generate("certifies", "ed25519", "", "cert")
    gnupg.generate("small", "rsa1024")
    gnupg.generate("other curve", "nistp256")
    gnupg.generate("locked", "ed25519", _PASSPHRASE)
    with_old = gnupg.generate("old subkey", "ed25519", "", "cert", "never", "--faked-system-time", "20200101T000000!")
    gnupg.run(
        "--faked-system-time", "20200101T000000!", *_UNLOCKED, "--quick-add-key", with_old, "ed25519", "sign", "1y"
    )
    for name in ("gone", "revoked", "weak", "certifies", "small", "other curve", "old subkey"):
        tally.add("refused", _refused(gnupg.export(name), None, now, name))
    for passphrase in (None, "", "wrong"):
        tally.add(
            "refused", _refused(gnupg.export("locked", _PASSPHRASE), passphrase, now, f"passphrase {passphrase!r}")
        )
    for name in ("gone", "weak", "revoked"):
        try:
            usable = [key for one in read_certificates(gnupg.public(name)) for key in one.usable_keys(now)]
        except InvalidKey:
            usable = []
        tally.add("public key of no use", f"{name}: {usable}" if usable else None)


_UNLOCKED = ("--pinentry-mode", "loopback", "--passphrase", "")


def _refused(data: bytes, passphrase: str | None, now: int, name: str) -> str | None:
    try:
        read_private_key(data, passphrase, now)
    except InvalidKey:
        return None
    return f"{name}: it was accepted"
