"""The command `pkgd signing-key`: what can be done with the keys that sign repositories.

Each of its commands returns what it has to say.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from attrs import frozen

from pkgd.errors import ConfigError
from pkgd.formats.openpgp import PrivateKey, armored, read_private_keys
from pkgd.packages.keyring import (
    DEFAULT_ALGORITHM,
    KeyRing,
    StoredKey,
    default_user_id,
    read_passphrase,
)
from pkgd.secretfiles import read_secret_file

__all__ = ["SigningKeys", "perform"]

_MAX_INPUT = 1 << 22
_TOLD = "has got SIGHUP (`systemctl reload pkgd`)"
_RELOAD = f"A running pkgd signs with it once it {_TOLD}."


@frozen
class SigningKeys:
    """The keys in a directory, at a time in seconds since the epoch.

    Every method raises `ConfigError` or `InvalidKey` if it cannot do it, and has changed nothing then.
    """

    _ring: KeyRing
    _now: int
    _algorithm: str = DEFAULT_ALGORITHM

    @classmethod
    def below(
        cls, state_dir: str, now: int, passphrase: str | None = None, algorithm: str = DEFAULT_ALGORITHM
    ) -> SigningKeys:
        """The keys of the daemon whose state this is.

        :param passphrase: what the daemon reads them with; `algorithm`: what keys are made with unless it is said.
        """
        return cls(KeyRing(f"{state_dir}/keys", passphrase), now, algorithm)

    def generate(self, algorithm: str | None, user_id: str | None) -> str:
        """Make the first key."""
        if self._ring.active():
            raise ConfigError("", "there is a signing key already; `rotate` makes another one")
        key = self._ring.generate(user_id or default_user_id(), self._now, algorithm or self._algorithm)
        return f"made {_line(key)}\n{_RELOAD}\n"

    def rotate(self, algorithm: str | None, user_id: str | None) -> str:
        """Make a key that signs along with those that there are."""
        old = self._ring.active()
        if not old:
            raise ConfigError("", "there is no signing key yet; `generate` makes one")
        key = self._ring.generate(user_id or default_user_id(), self._now, algorithm or self._algorithm)
        commands = "".join(f"  pkgd signing-key retire {one.fingerprint}\n" for one in old)
        return (
            f"made {_line(key)}\n{_RELOAD}\nOnce every client has the new key (`export` shows both), let it sign"
            f" alone:\n{commands}"
        )

    def retire(self, fingerprint: str) -> str:
        """Let a key sign no longer."""
        self._ring.retire(_plain(fingerprint))
        return f"retired {_plain(fingerprint)}\nA running pkgd signs with it until it {_TOLD}.\n"

    def add(self, data: bytes, passphrase_file: str | None) -> str:
        """Import secret keys, as GnuPG exports them."""
        passphrase = None if passphrase_file is None else read_passphrase(passphrase_file)
        keys = read_private_keys(data, passphrase, self._now)
        known = {one.key.fingerprint for one in self._ring.stored()}
        for key in keys:
            if key.fingerprint in known:
                raise ConfigError(key.fingerprint, "this key is there already")
            known.add(key.fingerprint)
        for key in keys:
            self._ring.add(key)
        return "".join(f"imported {_line(key)}\n" for key in keys) + f"{_RELOAD}\n"

    def add_file(self, path: str, passphrase_file: str | None) -> str:
        """Import the secret keys in a file, which nobody else may be able to read."""
        return self.add(read_secret_file(path), passphrase_file)

    def export(self, fingerprint: str | None) -> str:
        """The public keys that clients need, in armor; or one of them."""
        keys = self._ring.active() if fingerprint is None else [self._find(fingerprint)]
        if not keys:
            raise ConfigError("", "there is no signing key")
        return armored(b"".join(key.certificate.encode() for key in keys), "PUBLIC KEY BLOCK").decode("ascii")

    def export_secret(self, fingerprint: str | None, passphrase_file: str | None) -> str:
        """A secret key, in armor, protected by the passphrase in a file."""
        if passphrase_file is None:
            raise ConfigError("", "a secret key is not exported without a passphrase")
        passphrase = read_passphrase(passphrase_file)
        if fingerprint is None and len(self._ring.active()) != 1:
            raise ConfigError("", "which key? `list` shows their fingerprints")
        key = self._ring.active()[0] if fingerprint is None else self._find(fingerprint)
        return key.export(passphrase, secrets.token_bytes(8), secrets.token_bytes(16)).decode("ascii")

    def show(self) -> str:
        """One line for each key."""
        return "".join(f"{self._state(one):<8} {_line(one.key)}\n" for one in self._ring.stored())

    def _state(self, stored: StoredKey) -> str:
        if not stored.is_active:
            return "retired"
        return "useless" if stored.key.problem(self._now) else "signs"

    def _find(self, fingerprint: str) -> PrivateKey:
        found: Sequence[PrivateKey] = [
            one.key for one in self._ring.stored() if one.key.fingerprint == _plain(fingerprint)
        ]
        if not found:
            raise ConfigError(fingerprint, "there is no such key")
        return found[0]


def perform(keys: SigningKeys, command: str, given: Mapping[str, Any], source: BinaryIO | None) -> str:
    """Do what a command line says; returns what there is to say.

    :param given: the command's options, and its one `argument`.
    :param source: standard input, if there is one.
    """
    argument, passphrase_file = given["argument"], given.get("passphrase-file")
    match command:
        case "generate":
            return keys.generate(given["algorithm"], given["user-id"])
        case "rotate":
            return keys.rotate(given["algorithm"], given["user-id"])
        case "retire":
            return keys.retire(argument)
        case "import" if argument == "-":
            return keys.add(b"" if source is None else source.read(_MAX_INPUT), passphrase_file)
        case "import":
            return keys.add_file(argument, passphrase_file)
        case "export" if given["secret"]:
            return keys.export_secret(argument, passphrase_file)
        case "export":
            return keys.export(argument)
        case _:
            return keys.show()


def _plain(fingerprint: str) -> str:
    """A fingerprint as we write it; GnuPG shows it in groups of capitals."""
    return "".join(fingerprint.split()).lower()


def _line(key: PrivateKey) -> str:
    expires = f"expires {_date(key.expires)}" if key.expires else "never expires"
    name = "".join(one if one.isprintable() else "\ufffd" for one in key.user_id)
    return f"{key.fingerprint}  {key.signer.name}  made {_date(key.created)}, {expires}  {name}"


def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
