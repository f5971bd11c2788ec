"""The signing keys on disk."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import ConfigError, InvalidKey
from pkgd.formats.openpgp import read_private_key
from pkgd.packages.keyring import KeyRing, default_user_id, read_passphrase
from tests.formats.openpgp.keyfiles import NOW, key


class KeyRingCase(SynchronousTestCase):
    """A key ring in a state directory that isn't there yet."""

    def setUp(self) -> None:
        """No keys."""
        self.directory = Path(self.mktemp()) / "state" / "keys"
        self.ring = KeyRing(str(self.directory))

    def file(self, kind: str, fingerprint: str) -> Path:
        """Where a key is."""
        return self.directory / f"{kind}-{fingerprint}.asc"

    def active(self) -> list[str]:
        """What signs, as another process sees it."""
        return [one.fingerprint for one in KeyRing(str(self.directory)).active()]

    def problem(self, ring: KeyRing | None = None) -> str:
        """Why the ring cannot be read."""
        return self.assertRaises(ConfigError, (ring or self.ring).active).message


class FirstStartTests(KeyRingCase):
    """A key is made if there is none."""

    def test_ensure(self) -> None:
        """The first start makes a key, and the second finds it."""
        first = self.ring.ensure("somebody", NOW, "ed25519")

        self.assertEqual([one.user_id for one in first], ["somebody"])
        self.assertEqual([one.fingerprint for one in self.ring.ensure("else", NOW)], self.active())
        self.assertEqual(self.active(), [first[0].fingerprint])

    def test_modes(self) -> None:
        """Nobody else may read the file, nor look into the directory, whatever the umask."""
        self.addCleanup(os.umask, os.umask(0))
        made = self.ring.generate("somebody", NOW, "ed25519")

        self.assertEqual(self.directory.stat().st_mode & 0o777, 0o700)
        self.assertEqual(self.file("signing", made.fingerprint).stat().st_mode & 0o777, 0o600)

    def test_looking(self) -> None:
        """Looking at keys that aren't there makes nothing."""
        self.assertEqual(self.ring.active(), [])
        self.assertFalse(self.directory.parent.exists())

    def test_no_leftovers(self) -> None:
        """Nothing but the key is in the directory."""
        made = self.ring.generate("somebody", NOW, "ed25519")

        self.assertEqual(list(self.directory.iterdir()), [self.file("signing", made.fingerprint)])

    def test_refused(self) -> None:
        """What cannot be made leaves nothing behind."""
        self.assertRaises(InvalidKey, self.ring.generate, "a\nb", NOW)
        self.assertRaises(InvalidKey, self.ring.generate, "somebody", NOW, "dsa")
        self.assertFalse(self.directory.exists())

    def test_default_user_id(self) -> None:
        """By default the key is the host's."""
        self.assertTrue(default_user_id().startswith("pkgd signing key "))


class RotationTests(KeyRingCase):
    """Two keys overlap, then one is retired."""

    def setUp(self) -> None:
        """An older and a younger key."""
        super().setUp()
        self.old = self.ring.generate("old", NOW, "ed25519").fingerprint
        self.young = self.ring.generate("young", NOW + 1, "ed25519").fingerprint
        os.utime(self.file("signing", self.old), (1 << 20, 1 << 20))

    def test_overlap(self) -> None:
        """Both sign, the one first that has been here longer."""
        self.assertEqual(self.active(), [self.old, self.young])

    def test_older_key_from_elsewhere(self) -> None:
        """A key that was imported later comes later, though it is older: the clients know the other one."""
        self.ring.add(key("pkgd-ed25519"))
        os.utime(self.file("signing", key("pkgd-ed25519").fingerprint), (1 << 32, 1 << 32))

        self.assertEqual(self.active(), [self.old, self.young, key("pkgd-ed25519").fingerprint])

    def test_retire(self) -> None:
        """A retired key signs no longer, and is kept."""
        self.ring.retire(self.old)

        self.assertEqual(self.active(), [self.young])
        self.assertEqual(
            [(one.key.fingerprint, one.is_active) for one in self.ring.stored()],
            [(self.old, False), (self.young, True)],
        )

    def test_last(self) -> None:
        """The only key that signs cannot be retired."""
        self.ring.retire(self.old)

        self.assertIn("only key", self.assertRaises(ConfigError, self.ring.retire, self.young).message)
        self.assertEqual(self.active(), [self.young])

    def test_unknown(self) -> None:
        """Nor one that isn't there, or is retired already, or is no fingerprint."""
        self.ring.retire(self.old)
        for fingerprint in (self.old, "0" * 40, "", "../x"):
            self.assertRaises(ConfigError, self.ring.retire, fingerprint)

    def test_again(self) -> None:
        """A key that is there, retired or not, is not added again."""
        keys = {one.key.fingerprint: one.key for one in self.ring.stored()}
        self.ring.retire(self.old)
        for one in (self.old, self.young):
            self.assertRaises(ConfigError, self.ring.add, keys[one])


class ImportTests(KeyRingCase):
    """Keys from elsewhere."""

    def test_add(self) -> None:
        """What is added signs from then on, with its subkey if it has one."""
        for name in ("gpg-rsa2048", "gpg-subkey", "gpg-subkey-only", "gpg-ed25519-passphrase"):
            ring = KeyRing(self.mktemp())
            ring.add(key(name))

            self.assertEqual([one.signing for one in ring.active()], [key(name).signing], name)

    def test_passphrase(self) -> None:
        """With a passphrase the files are protected by it."""
        ring = KeyRing(str(self.directory), "secret")
        ring.add(key("pkgd-ed25519"))
        data = self.file("signing", key("pkgd-ed25519").fingerprint).read_bytes()

        self.assertEqual(read_private_key(data, "secret").fingerprint, key("pkgd-ed25519").fingerprint)
        self.assertEqual(len(ring.active()), 1)
        self.assertIn("has a passphrase", self.problem())
        self.assertIn("the passphrase is wrong", self.problem(KeyRing(str(self.directory), "Secret")))


class RefusedTests(KeyRingCase):
    """Files that cannot be trusted stop the start, with their path and what to do."""

    def setUp(self) -> None:
        """A key."""
        super().setUp()
        self.path = self.file("signing", self.ring.generate("somebody", NOW, "ed25519").fingerprint)

    def test_too_open(self) -> None:
        """A file or directory that others may use in any way is refused."""
        for path, mode in ((self.path, 0o600), (self.directory, 0o700)):
            for bit in (0o040, 0o020, 0o004, 0o002, 0o001):
                path.chmod(mode | bit)
                found = self.problem()
                path.chmod(mode)

                self.assertIn(str(path), found)
                self.assertIn(f"chmod {mode:o}", found)
        self.assertEqual(len(self.active()), 1)

    def test_damaged(self) -> None:
        """A damaged key is refused, for a start without it would publish what clients refuse."""
        self.path.write_bytes(self.path.read_bytes()[:200])

        self.assertIn(str(self.path), self.problem())

    def test_other_key(self) -> None:
        """A file that holds another key than its name says is refused."""
        other = self.file("signing", "0" * 40)
        self.path.rename(other)

        self.assertIn("another key", self.problem())

    def test_no_file(self) -> None:
        """What isn't a regular file is refused, and not waited for."""
        self.path.unlink()
        os.mkfifo(self.path, 0o600)

        self.assertIn("no regular file", self.problem())

    def test_other_names(self) -> None:
        """Other files in the directory don't matter."""
        for name in ("token-key.pem", ".0123", f"signing-{'0' * 40}.asc~", f"signing-{'A' * 40}.asc"):
            (self.directory / name).write_bytes(b"")

        self.assertEqual(len(self.active()), 1)

    def test_directory_is_a_file(self) -> None:
        """A file in the directory's place is an error of the configuration."""
        ring = KeyRing(str(self.path))
        self.assertIn(str(self.path), self.problem(ring))
        self.assertRaises(ConfigError, ring.generate, "somebody", NOW, "ed25519")


class PassphraseTests(SynchronousTestCase):
    """Passphrases in files of the operator's."""

    def write(self, data: bytes, mode: int = 0o600) -> str:
        """A file."""
        path = Path(self.mktemp())
        path.write_bytes(data)
        path.chmod(mode)
        return str(path)

    def test_passphrase(self) -> None:
        """A passphrase is the first line, without its end, with its spaces."""
        for data in (b" Gr\xc3\xbc\xc3\x9fe ", b" Gr\xc3\xbc\xc3\x9fe \n", b" Gr\xc3\xbc\xc3\x9fe \r\nmore\n"):
            self.assertEqual(read_passphrase(self.write(data)), " Grüße ")

    def test_no_passphrase(self) -> None:
        """An empty one is none, and what isn't text is none; it is not shown."""
        for data in (b"", b"\n", b"\nsecond", b"canary\xff\n", b"canary" * 1000):
            message = self.assertRaises(ConfigError, read_passphrase, self.write(data)).message
            self.assertNotIn("canary", message)
