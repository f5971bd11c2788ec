"""The keys that sign access tokens: in the state directory, changed by themselves, the one before still good.

```
token-keys/                 0700
  <made, epoch>-<kid>.pem   0600, PKCS#8; for HS256 the secret
```

A file of the operator's own may stand in their place. All of this blocks, but for what is in memory.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import jwt
from attrs import field, frozen
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from pkgd.errors import ConfigError
from pkgd.secretfiles import (
    check_private,
    file_errors,
    make_secret_directory,
    read_secret_file,
    write_secret_file,
)

__all__ = ["Algorithm", "TokenKey", "TokenKeys"]

Algorithm = Literal["EdDSA", "ES256", "HS256"]

# How long a key signs before the next one does.
ROTATION = 30 * 86400.0
MIN_SECRET = 32

_NAME = re.compile(r"([0-9]{1,12})-([A-Za-z0-9_-]{16})\.pem")
_MAX_FILE = 64 << 10
_SETTING = "auth.token.signing_key_file"


@frozen
class TokenKey:
    """A key with its id, which is made of what it verifies with."""

    kid: str
    algorithm: Algorithm
    signing: Any = field(repr=False)
    verifying: Any = field(repr=False)

    @classmethod
    def generate(cls, algorithm: Algorithm) -> TokenKey:
        """A new one."""
        if algorithm == "HS256":
            return cls.of(algorithm, secrets.token_hex(MIN_SECRET).encode("ascii"))
        if algorithm == "ES256":
            return cls.of(algorithm, generate_private_key(SECP256R1()))
        return cls.of(algorithm, Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, algorithm: Algorithm, data: bytes) -> TokenKey:
        """A key from its file.

        :raises ValueError: if it is none for this algorithm; the message has nothing of the key.
        """
        if algorithm == "HS256":
            secret = data.strip()
            if len(secret) < MIN_SECRET:
                raise ValueError(f"a secret of at least {MIN_SECRET} bytes is needed")
            return cls.of(algorithm, secret)
        try:
            key = load_pem_private_key(data, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("a PEM file with one unencrypted private key is needed") from None
        fits = isinstance(key, Ed25519PrivateKey) if algorithm == "EdDSA" else _is_p256(key)
        if not fits:
            raise ValueError(f"the key is not one for {algorithm}")
        return cls.of(algorithm, key)

    @classmethod
    def of(cls, algorithm: Algorithm, key: Any) -> TokenKey:
        """The key with what follows from it."""
        if isinstance(key, bytes):
            return cls(_kid(b"pkgd" + key), algorithm, key, key)
        public = key.public_key()
        return cls(_kid(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)), algorithm, key, public)

    def export(self) -> bytes:
        """The file that `read` reads."""
        if isinstance(self.signing, bytes):
            return self.signing
        data: bytes = self.signing.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return data

    def public(self) -> dict[str, Any] | None:
        """The public key as JWK (RFC 7517, RFC 8037); a secret has none."""
        if self.algorithm == "HS256":
            return None
        encoder = jwt.get_algorithm_by_name(self.algorithm)
        jwk: dict[str, Any] = encoder.to_jwk(self.verifying, as_dict=True)
        return {**jwk, "kid": self.kid, "alg": self.algorithm, "use": "sig"}


class TokenKeys:
    """The key that signs, and those that tokens may still be signed with."""

    def __init__(self, directory: str, algorithm: Algorithm, file: str | None, now: Callable[[], float]) -> None:
        """
        :param file: the operator's own key; without one, keys are made in the directory.
        :param now: seconds since the epoch.
        """
        self._directory = directory
        self._algorithm: Algorithm = algorithm
        self._file = file
        self._now = now
        self.current: TokenKey | None = None
        self.known: dict[str, TokenKey] = {}

    def jwks(self) -> dict[str, Any]:
        """The public keys, for others to verify with."""
        return {"keys": [jwk for one in self.known.values() if (jwk := one.public()) is not None]}

    def refresh(self) -> list[TokenKey]:
        """Read the keys, make what is missing, remove what is too old: the newest first. Blocks.

        :raises ConfigError: if a file cannot be used, or others may read it.
        """
        if self._file is not None:
            return [self._read(self._file, _SETTING)]
        with file_errors(self._directory):
            make_secret_directory(self._directory)
            check_private(self._directory, os.stat(self._directory), "700")
            return self._rotate()

    def use(self, keys: list[TokenKey]) -> None:
        """From now on sign with the first; what the one before has signed stays good."""
        if self.current is not None and all(one.kid != self.current.kid for one in keys):
            keys = [*keys, self.current]
        self.known = {one.kid: one for one in keys[:2]}
        self.current = keys[0]

    # -- the directory --

    def _rotate(self) -> list[TokenKey]:
        found = sorted(
            ((int(match[1]), name) for name in os.listdir(self._directory) if (match := _NAME.fullmatch(name))),
            reverse=True,
        )
        now = int(self._now())
        keys = [self._read(os.path.join(self._directory, name), "state_dir") for _, name in found[:2]]
        # A time in the future is that of a clock that has been set right since.
        if not found or not now - ROTATION < found[0][0] <= now + ROTATION or keys[0].algorithm != self._algorithm:
            key = TokenKey.generate(self._algorithm)
            write_secret_file(self._directory, f"{now}-{key.kid}.pem", key.export())
            keys = [key, *keys[:1]]
        for _, name in found[2:]:
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(self._directory, name))
        return keys

    def _read(self, path: str, setting: str) -> TokenKey:
        try:
            return TokenKey.read(self._algorithm, read_secret_file(path, _MAX_FILE))
        except ConfigError as error:
            raise ConfigError(setting, error.message) from error
        except ValueError as error:
            raise ConfigError(setting, f"{path}: {error}") from None


def _is_p256(key: object) -> bool:
    return isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1)


def _kid(data: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(data).digest()).decode("ascii")[:16]
