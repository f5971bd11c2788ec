"""Signing by GnuPG, with scripts in its place; `tests.oracles.openpgp` has the real one."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.blocking import InlineBlocking
from pkgd.errors import SigningError
from pkgd.formats.openpgp import cleartext, detached, read_certificates, signed_by
from pkgd.packages.gnupgsigner import GnupgSettings, GnupgSigner
from tests.formats.openpgp.keyfiles import NOW, key
from tests.formats.openpgp.made import SIGN, Maker, lifetime

T = TypeVar("T")

# Says its version, and for the rest does what a test says; its arguments are written down.
_SCRIPT = """#!/bin/sh
printf '%s\\n' "$@" "PATH=$PATH LC_ALL=$LC_ALL" >> {log}
case " $* " in
*" --list-config "*) echo cfg:version:2.2.40 ;;
*" --export "*) cat {public} ;;
*) {action} ;;
esac
"""


class GnupgCase(SynchronousTestCase):
    """A program that has the key `pkgd-ed25519`."""

    def setUp(self) -> None:
        """Where things are."""
        self.root = Path(self.mktemp()).absolute()
        self.root.mkdir()
        self.key = key("pkgd-ed25519")

    def write(self, name: str, data: bytes) -> str:
        """A file for the script."""
        path = self.root / name
        path.write_bytes(data)
        return shlex.quote(str(path))

    def settings(self, action: str, public: bytes | None = None, timeout: float = 60.0) -> GnupgSettings:
        """The settings of a program that does this when it is to sign."""
        exported = self.write("public", self.key.certificate.encode() if public is None else public)
        text = _SCRIPT.format(log=shlex.quote(str(self.root / "log")), public=exported, action=action)
        program = self.root / "gpg"
        program.write_text(text)
        program.chmod(0o700)
        return GnupgSettings(self.key.fingerprint, str(program), str(self.root), timeout)

    def signer(self, action: str) -> GnupgSigner:
        """A signer by such a program."""
        opening = GnupgSigner.open(InlineBlocking(), self.settings(action), lambda: NOW)
        return self.successResultOf(Deferred.fromCoroutine(opening))

    def result(self, work: Coroutine[Any, Any, T]) -> T:
        """What comes out."""
        return self.successResultOf(Deferred.fromCoroutine(work))

    def failure(self, work: Coroutine[Any, Any, Any]) -> str:
        """Why it cannot be signed."""
        return self.failureResultOf(Deferred.fromCoroutine(work), SigningError).value.message

    def arguments(self) -> list[str]:
        """What the program was given."""
        return (self.root / "log").read_text().splitlines()


class SignTests(GnupgCase):
    """Signing."""

    def test_detach(self) -> None:
        """What the program makes is handed out."""
        signature = detached([self.key], b"data", NOW)
        signer = self.signer(f"cat >/dev/null; cat {self.write('out', signature)}")

        self.assertEqual(self.result(signer.detach(b"data")), signature)
        self.assertIn("--detach-sign", self.arguments())

    def test_clearsign(self) -> None:
        """A text likewise."""
        message = cleartext([self.key], b"a\n- b\n", NOW)
        signer = self.signer(f"cat >/dev/null; cat {self.write('out', message)}")

        self.assertEqual(self.result(signer.clearsign(b"a\n- b\n")), message)
        self.assertIn("--clearsign", self.arguments())

    def test_content(self) -> None:
        """What is to be signed is written to the program as it is."""
        signature = detached([self.key], b"\0\xff\r\n" * 50000, NOW)
        signer = self.signer(f"cat > {self.write('in', b'')}; cat {self.write('out', signature)}")

        self.result(signer.detach(b"\0\xff\r\n" * 50000))

        self.assertEqual((self.root / "in").read_bytes(), b"\0\xff\r\n" * 50000)

    def test_arguments(self) -> None:
        """It signs by this key only, with SHA-512, asks nobody, and no passphrase is spoken of."""
        signature = detached([self.key], b"data", NOW)
        self.result(self.signer(f"cat >/dev/null; cat {self.write('out', signature)}").detach(b"data"))
        arguments = " ".join(self.arguments())

        for expected in (
            f"--local-user {self.key.fingerprint}",
            "--digest-algo SHA512",
            "--pinentry-mode error",
            "--batch",
        ):
            self.assertIn(expected, arguments)
        for unwanted in ("passphrase", "loopback", "--default-key"):
            self.assertNotIn(unwanted, arguments)

    def test_sign_header(self) -> None:
        """The header of an rpm is signed as other data are; what is handed out is the packet."""
        signature = detached([self.key], b"header", NOW)
        signer = self.signer(f"cat >/dev/null; cat {self.write('out', signature)}")

        packet = self.result(signer.sign_header(b"header"))

        keys = [key for one in signer.certificates() for key in one.usable_keys(NOW)]
        self.assertIsNotNone(signed_by(packet, b"header", keys))

    def test_public_keys(self) -> None:
        """The public key is what clients are given, without its key ring's ornaments."""
        armor = self.signer("exit 1").public_keys()

        self.assertEqual(read_certificates(armor), [self.key.certificate])


class FailureTests(GnupgCase):
    """What cannot be signed is not handed out."""

    def test_refuses(self) -> None:
        """A program that fails: what it says is in the log, and not in the answer."""
        signer = self.signer("cat >/dev/null; echo 'gpg: no-canary secret key' >&2; exit 2")

        self.assertNotIn("canary", self.failure(signer.detach(b"data")))

    def test_complains(self) -> None:
        """A program that signs and fails has failed."""
        signature = detached([self.key], b"data", NOW)

        self.failure(self.signer(f"cat >/dev/null; cat {self.write('out', signature)}; exit 2").detach(b"data"))

    def test_reads_nothing(self) -> None:
        """A program that ends before it has read everything fails, and nothing hangs."""
        self.failure(self.signer("exit 2").detach(bytes(1 << 20)))

    def test_silent(self) -> None:
        """A program that says that all is well, and signs nothing, has failed."""
        self.failure(self.signer("cat >/dev/null").detach(b"data"))

    def test_wrong_signature(self) -> None:
        """What it makes is verified: another key's, other data's, and a signature with something before it."""
        for wrong in (
            detached([key("gpg-renamed")], b"data", NOW),
            detached([self.key], b"other", NOW),
            cleartext([self.key], b"other", NOW),
            b"data",
        ):
            signer = self.signer(f"cat >/dev/null; cat {self.write('out', wrong)}")
            self.failure(signer.detach(b"data"))
            self.failure(signer.clearsign(b"data"))

    def test_hangs(self) -> None:
        """A program that does not answer in time is ended."""
        opening = GnupgSigner.open(InlineBlocking(), self.settings("exec sleep 60", timeout=0.5), lambda: NOW)
        signer = self.result(opening)
        begun = time.monotonic()

        self.assertIn("did not answer", self.failure(signer.detach(b"data")))
        self.assertLess(time.monotonic() - begun, 30)


class OpenTests(GnupgCase):
    """What is found out at the start."""

    def opening(self, settings: GnupgSettings) -> str:
        """Why there is no signer."""
        return self.failure(GnupgSigner.open(InlineBlocking(), settings, lambda: NOW))

    def test_no_key(self) -> None:
        """A key that GnuPG doesn't have."""
        self.assertIn(self.key.fingerprint, self.opening(self.settings("exit 1", public=b"")))

    def test_useless_keys(self) -> None:
        """Keys that clients would refuse."""
        expired, revoked = Maker(), Maker()
        expired.name("bob", flags=SIGN, further=lifetime(60))
        revoked.signed(0x20, b"")
        revoked.name("bob", flags=SIGN)
        for maker in (expired, revoked):
            self.assertIn("revoked", self.opening(self.settings("exit 1", public=maker.encode())))

    def test_unreadable(self) -> None:
        """A key of a kind that we cannot verify."""
        self.assertIn("OpenPGP", self.opening(self.settings("exit 1", public=b"nonsense")))

    def test_no_program(self) -> None:
        """No such program, and no such home."""
        for settings in (
            GnupgSettings(self.key.fingerprint, str(self.root / "nothing")),
            GnupgSettings(self.key.fingerprint, home=str(self.root / "nowhere")),
        ):
            self.assertIn("cannot be run", self.opening(settings))

    def test_fingerprint(self) -> None:
        """Only a whole fingerprint names a key: nothing that an option or another key could be taken for."""
        for wrong in ("", "--help", "0" * 39, "0" * 41, "0" * 40 + "\n", "bob", "0" * 39 + "!"):
            self.assertRaises(ValueError, GnupgSettings, wrong)
        self.assertTrue(GnupgSettings("0" * 40))

    def test_environment(self) -> None:
        """The program inherits the environment, by which it finds its agent, but speaks English."""
        self.signer("exit 1")

        self.assertIn(f"PATH={os.environ['PATH']} LC_ALL=C", self.arguments())
