"""The commands `pkgd signing-key`: the keys that sign apt and rpm repositories."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from twisted.python import usage

from pkgd.commands.common import Anywhere, Group, WithConfig
from pkgd.config import load, read_passphrase
from pkgd.errors import ConfigError

__all__ = ["SigningKeyOptions", "run"]


class _OneKey(Anywhere):
    """A command on keys that takes `most` arguments at most, and `least` at least."""

    least, most, what = 0, 0, ""

    def parseArgs(self, *given: str) -> None:
        """The arguments."""
        if not self.least <= len(given) <= self.most:
            raise usage.UsageError(f"give one {self.what}" if self.most else "no arguments are expected")
        self["argument"] = given[0] if given else None


class _NewKey(_OneKey):
    optParameters = [
        *WithConfig.optParameters,
        ["algorithm", "a", None, "One of rsa3072, rsa4096, ed25519; by default that of the configuration."],
        ["user-id", "u", None, "Whose key it is; by default `pkgd signing key` and the host's name."],
    ]


class _ImportKey(_OneKey):
    least, most, what = 1, 1, "FILE"
    synopsis = "[options] FILE"
    longdesc = "Imports the secret keys in FILE (or - for standard input), as gpg --export-secret-keys writes them."
    optParameters = [
        *WithConfig.optParameters,
        ["passphrase-file", "p", None, "A file whose first line is the passphrase of the keys."],
    ]


class _ExportKey(_OneKey):
    most, what = 1, "FINGERPRINT"
    synopsis = "[options] [FINGERPRINT]"
    longdesc = "Prints the public keys that clients need, or one key."
    optFlags = [["secret", None, "Export the secret key, protected by a passphrase."]]
    optParameters = [
        *WithConfig.optParameters,
        ["passphrase-file", "p", None, "A file whose first line is the passphrase to protect the secret key with."],
    ]

    def postOptions(self) -> None:
        """A secret key without a passphrase is not handed out."""
        if bool(self["secret"]) != (self["passphrase-file"] is not None):
            raise usage.UsageError("--secret and --passphrase-file go together")


class _RetireKey(_OneKey):
    least, most, what = 1, 1, "FINGERPRINT"
    synopsis = "[options] FINGERPRINT"


class SigningKeyOptions(Group):
    """The commands on keys."""

    name = "signing-key"
    subCommands = [
        ["generate", None, _NewKey, "Make the key that signs the repositories; the first start does it, too."],
        ["import", None, _ImportKey, "Import keys, of GnuPG for example."],
        ["export", None, _ExportKey, "Print the public keys for clients, or a secret key."],
        ["rotate", None, _NewKey, "Make another key, which signs along with what there is."],
        ["retire", None, _RetireKey, "Let a key sign no longer."],
        ["list", None, _OneKey, "Show the keys, one a line."],
    ]


def run(options: Any) -> None:
    """One of the commands on keys; what it has to say goes to standard output."""
    from pkgd.signing_command import SigningKeys, perform

    given = options.subOptions
    config = load(given["config"], os.environ)
    key = config.signing.key("default")
    if key.key_file is not None or key.backend != "native":
        where = key.key_file or "GnuPG"
        raise ConfigError("signing.keys.default", f"it is in {where}; this command is for keys in the state directory")
    passphrase = read_passphrase("default", key)
    keys = SigningKeys.below(str(config.state_dir), int(time.time()), passphrase, key.algorithm)
    print(perform(keys, options.subCommand, given, getattr(sys.stdin, "buffer", None)), end="")
