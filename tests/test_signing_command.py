"""The command `pkgd signing-key`: what it does, says and refuses."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import ConfigError, InvalidKey
from pkgd.formats.openpgp import read_certificates, read_private_key
from pkgd.packages.keyring import KeyRing
from pkgd.signing_command import SigningKeys, perform
from tests.formats.openpgp.keyfiles import NOW, PASSPHRASE, key, key_file

_GIVEN = {"argument": None, "algorithm": "ed25519", "user-id": None, "passphrase-file": None, "secret": 0}


class CommandCase(SynchronousTestCase):
    """A state directory without keys."""

    def setUp(self) -> None:
        """Where it is."""
        self.state = self.mktemp()
        self.keys = SigningKeys.below(self.state, NOW)

    def do(self, command: str, argument: str | None = None, source: bytes | None = None, **given: Any) -> str:
        """What a command says."""
        options = {**_GIVEN, "argument": argument, **{name.replace("_", "-"): value for name, value in given.items()}}
        return perform(self.keys, command, options, None if source is None else io.BytesIO(source))

    def refused(self, command: str, argument: str | None = None, **given: Any) -> str:
        """Why a command isn't carried out; then nothing has changed."""
        before = self.active()
        message = self.assertRaises((ConfigError, InvalidKey), self.do, command, argument, **given).message
        self.assertEqual(self.active(), before)
        return message

    def active(self) -> list[str]:
        """The fingerprints of what signs."""
        return [one.fingerprint for one in KeyRing(f"{self.state}/keys").active()]

    def file(self, data: bytes, mode: int = 0o600) -> str:
        """A file of the operator's."""
        path = Path(self.mktemp())
        path.write_bytes(data)
        path.chmod(mode)
        return str(path)


class GenerateTests(CommandCase):
    """`generate` and `rotate`."""

    def test_generate(self) -> None:
        """A key is made, and its fingerprint, algorithm and name are said."""
        said = self.do("generate", user_id="somebody")

        for expected in (*self.active(), "ed25519", "2027-01-15", "never expires", "somebody"):
            self.assertIn(expected, said)
        self.assertEqual(len(self.active()), 1)

    def test_generate_again(self) -> None:
        """It is for the first key only: a second would sign along without anybody noticing."""
        self.do("generate")

        self.assertIn("rotate", self.refused("generate"))

    def test_rotate(self) -> None:
        """Another key signs along, and what is to be done next is said."""
        self.do("generate")
        (old,) = self.active()

        said = self.do("rotate")

        self.assertEqual(len(self.active()), 2)
        self.assertIn(f"pkgd signing-key retire {old}\n", said)

    def test_rotate_nothing(self) -> None:
        """Without a key there is nothing to rotate."""
        self.assertIn("generate", self.refused("rotate"))

    def test_algorithm(self) -> None:
        """An unknown algorithm is refused."""
        self.assertIn("rsa3072", self.refused("generate", algorithm="dsa"))


class RetireTests(CommandCase):
    """`retire`."""

    def setUp(self) -> None:
        """Two keys."""
        super().setUp()
        self.do("generate")
        self.do("rotate")
        self.one, self.other = self.active()

    def test_retire(self) -> None:
        """The key signs no longer; its public key is exported no longer, but for the asking."""
        self.do("retire", self.one)

        self.assertEqual(self.active(), [self.other])
        self.assertEqual([key.fingerprint for key in read_certificates(self.do("export").encode())], [self.other])
        self.assertTrue(self.do("export", self.one))

    def test_as_gnupg_shows_it(self) -> None:
        """A fingerprint may be given in groups of capitals."""
        shown = " ".join(self.one.upper()[start : start + 4] for start in range(0, 40, 4))

        self.do("retire", shown)

        self.assertEqual(self.active(), [self.other])

    def test_refused(self) -> None:
        """The last key, and one that isn't there."""
        self.do("retire", self.one)

        self.assertIn("only key", self.refused("retire", self.other))
        self.refused("retire", self.one)
        self.refused("retire", "0" * 40)


class ImportTests(CommandCase):
    """`import`."""

    def test_file(self) -> None:
        """A key of GnuPG's signs from then on."""
        said = self.do("import", self.file(key_file("gpg-subkey")))

        self.assertEqual(self.active(), [key("gpg-subkey").fingerprint])
        self.assertIn(key("gpg-subkey").fingerprint, said)

    def test_input(self) -> None:
        """It may come from standard input."""
        self.do("import", "-", key_file("gpg-rsa2048"))

        self.assertEqual(self.active(), [key("gpg-rsa2048").fingerprint])

    def test_no_input(self) -> None:
        """Without any there is no key."""
        self.refused("import", "-")

    def test_passphrase(self) -> None:
        """A passphrase is read from a file."""
        data = self.file(key_file("gpg-ed25519-passphrase"))

        self.assertIn("has a passphrase", self.refused("import", data))
        self.assertIn("wrong", self.refused("import", data, passphrase_file=self.file(b"canary")))
        self.do("import", data, passphrase_file=self.file(PASSPHRASE.encode() + b"\n"))
        self.assertEqual(self.active(), [key("gpg-ed25519-passphrase").fingerprint])

    def test_several(self) -> None:
        """All keys of a file are imported, or none."""
        good = key_file("gpg-subkey") + key_file("gpg-renamed")

        self.refused("import", self.file(good + key_file("gpg-revoked")))
        self.refused("import", self.file(good + key_file("gpg-subkey")))
        self.do("import", self.file(good))
        self.assertEqual(set(self.active()), {key("gpg-subkey").fingerprint, key("gpg-renamed").fingerprint})

    def test_again(self) -> None:
        """A key that is there is refused."""
        self.do("import", self.file(key_file("gpg-subkey")))

        self.assertIn("there already", self.refused("import", self.file(key_file("gpg-subkey"))))

    def test_useless(self) -> None:
        """Keys that clients would refuse are refused."""
        for name in ("gpg-expired", "gpg-revoked", "gpg-sha1", "gpg-certify-only", "gpg-subkey-public"):
            self.refused("import", self.file(key_file(name)))

    def test_too_open(self) -> None:
        """A file that others may read is refused: what is in it may be known to anybody."""
        self.assertIn("chmod 600", self.refused("import", self.file(key_file("gpg-subkey"), 0o644)))
        self.assertIn(
            "chmod 600",
            self.refused(
                "import",
                self.file(key_file("gpg-ed25519-passphrase")),
                passphrase_file=self.file(PASSPHRASE.encode(), 0o640),
            ),
        )


class ExportTests(CommandCase):
    """`export`."""

    def setUp(self) -> None:
        """Two keys."""
        super().setUp()
        for name in ("pkgd-ed25519", "gpg-renamed"):
            self.do("import", self.file(key_file(name)))

    def test_public(self) -> None:
        """By default it is the public keys of all that sign, in one armor."""
        armor = self.do("export")

        self.assertEqual(
            [one.fingerprint for one in read_certificates(armor.encode())],
            [key("pkgd-ed25519").fingerprint, key("gpg-renamed").fingerprint],
        )
        self.assertEqual(armor.count("BEGIN PGP PUBLIC KEY BLOCK"), 1)
        self.assertNotIn("PRIVATE", armor)

    def test_one(self) -> None:
        """Or one of them."""
        armor = self.do("export", key("gpg-renamed").fingerprint)

        self.assertEqual([one.user_id for one in read_certificates(armor.encode())], ["new name <b@example.test>"])

    def test_secret(self) -> None:
        """A secret key is protected by a passphrase from a file."""
        fingerprint, passphrase_file = key("gpg-renamed").fingerprint, self.file(b"secret\n")
        armor = self.do("export", fingerprint, secret=1, passphrase_file=passphrase_file).encode()

        self.assertEqual(read_private_key(armor, "secret").fingerprint, fingerprint)
        self.assertRaises(InvalidKey, read_private_key, armor)

    def test_secret_refused(self) -> None:
        """Not without a passphrase, nor with one that others may read, nor if it isn't clear which key."""
        fingerprint, passphrase_file = key("gpg-renamed").fingerprint, self.file(b"secret\n")

        self.refused("export", fingerprint, secret=1)
        self.refused("export", fingerprint, secret=1, passphrase_file=self.file(b"secret\n", 0o644))
        self.refused("export", fingerprint, secret=1, passphrase_file=self.file(b"\n"))
        self.assertIn("which key", self.refused("export", secret=1, passphrase_file=passphrase_file))

    def test_unknown(self) -> None:
        """A key that isn't there cannot be exported."""
        self.refused("export", "0" * 40)

    def test_none(self) -> None:
        """Without keys there is nothing to export."""
        self.state = self.mktemp()
        self.keys = SigningKeys.below(self.state, NOW)

        self.assertIn("no signing key", self.refused("export"))


class ListTests(CommandCase):
    """`list`."""

    def test_none(self) -> None:
        """No key, no line, and nothing is made."""
        self.assertEqual(self.do("list"), "")
        self.assertFalse(Path(self.state).exists())

    def test_states(self) -> None:
        """Each key has a line that says whether it signs, and nothing secret."""
        for name in ("pkgd-ed25519", "gpg-renamed", "pkgd-rsa3072"):
            self.do("import", self.file(key_file(name)))
        self.do("retire", key("gpg-renamed").fingerprint)
        lines = self.do("list").splitlines()

        self.assertEqual({line.split()[0] for line in lines}, {"signs", "retired"})
        self.assertEqual(
            {line.split()[1]: line.split()[2] for line in lines},
            {
                key("pkgd-ed25519").fingerprint: "ed25519",
                key("gpg-renamed").fingerprint: "ed25519",
                key("pkgd-rsa3072").fingerprint: "rsa3072",
            },
        )

    def test_expired(self) -> None:
        """A key that has expired is useless, and until when it was good is said."""
        SigningKeys.below(self.state, 1_580_000_000).add(key_file("gpg-expired"), None)

        said = self.do("list")

        self.assertTrue(said.startswith("useless "))
        self.assertIn("expires 2020-12-31", said)

    def test_too_open(self) -> None:
        """A key that others may read is refused by every command, with its path."""
        self.do("generate")
        (path,) = Path(self.state, "keys").iterdir()
        path.chmod(0o644)
        for command in ("list", "export", "generate", "rotate"):
            message = self.assertRaises(ConfigError, self.do, command).message

            self.assertIn(f"{path.name}: others may use it: chmod 600 it", message)
