"""Keys that were made once: RSA takes seconds, and GnuPG isn't everywhere.

`pkgd-*` are exports of our own keys. `gpg-*` were made by GnuPG 2.2.40 as `tests.oracles.openpgp` makes them: with the
passphrase below where the name says so, `gpg-expired` in 2020 for a year, `gpg-sha1` with `--cert-digest-algo SHA1`,
`gpg-subkey-only` by `--export-secret-subkeys`. None of them is used for anything else.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pkgd.formats.openpgp import PrivateKey, read_private_key

__all__ = ["NOW", "PASSPHRASE", "flipped", "key", "key_file"]

# After all of the keys were made, in seconds since the epoch.
NOW = 1_800_000_000
PASSPHRASE = "correct horse"
_DIRECTORY = Path(__file__).parent / "keys"


@cache
def key_file(name: str) -> bytes:
    """What is in a file."""
    return (_DIRECTORY / f"{name}.asc").read_bytes()


@cache
def key(name: str) -> PrivateKey:
    """The key in a file."""
    return read_private_key(key_file(name), PASSPHRASE if name.endswith("-passphrase") else None, NOW)


def flipped(data: bytes, position: int) -> bytes:
    """The data with one bit changed."""
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
