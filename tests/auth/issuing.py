"""Who makes tokens in tests: keys of every kind, tokens good and bad, and a web in which issuers answer."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.internet.defer import Deferred

from pkgd.errors import TooLarge

__all__ = ["ISSUER", "NOW", "Reply", "Web", "claims", "hand_made", "jwk", "jwks", "key", "pem", "token"]

NOW = 1_750_000_000.0
ISSUER = "https://idp.example.com"


def key(kind: str = "RS256", name: str = "a") -> Any:
    """A private key for an algorithm, or of so many bits; another one for each name."""
    return _key(kind, name)


@lru_cache
def _key(kind: str, name: str) -> Any:
    if kind in ("ES256", "ES384", "ES512"):
        curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
        return ec.generate_private_key(curves[kind])
    if kind == "EdDSA":
        return Ed25519PrivateKey.generate()
    bits = int(kind) if kind.isdigit() else 2048
    return rsa.generate_private_key(65537, bits)


def pem(kind: str = "RS256", name: str = "a") -> bytes:
    """The public key."""
    public: bytes = key(kind, name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return public


def jwk(kind: str = "RS256", name: str = "a", **members: Any) -> dict[str, Any]:
    """The public key as a JWK whose `kid` is its name."""
    algorithm: Any = jwt.get_algorithm_by_name("RS256" if kind.isdigit() else kind)
    found = json.loads(algorithm.to_jwk(key(kind, name).public_key()))
    found.pop("key_ops", None)
    return {"kid": name, **found, **members}


def jwks(*keys: dict[str, Any]) -> bytes:
    """A set of them."""
    return json.dumps({"keys": list(keys)}).encode()


def claims(**changes: Any) -> dict[str, Any]:
    """What a good token says; a change to None leaves a claim out."""
    good = {"iss": ISSUER, "aud": "pkg.example.com", "sub": "alice", "iat": int(NOW), "exp": int(NOW) + 600}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def token(kind: str = "RS256", name: str = "a", headers: Mapping[str, Any] | None = None, **changes: Any) -> str:
    """A token that is signed as it should be."""
    return jwt.encode(claims(**changes), key(kind, name), kind, {"kid": name, **(headers or {})})


def hand_made(header: bytes, payload: bytes, signature: bytes = b"x") -> str:
    """A token of any parts."""
    return ".".join(urlsafe_b64encode(one).decode("ascii").rstrip("=") for one in (header, payload, signature))


class Reply:
    """What a URL answers."""

    def __init__(self, status: int = 200, body: bytes = b"", kind: str = "application/json", **headers: str) -> None:
        self.status = status
        self.body = self
        self.closed = False
        self._body = body
        self._headers = {"content-type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}

    async def read_all(self, limit: int) -> bytes:
        """The body."""
        if len(self._body) > limit:
            raise TooLarge(limit)
        return self._body

    def header(self, name: str) -> str | None:
        """A header."""
        return self._headers.get(name.lower())

    def headers(self, name: str) -> list[str]:
        """A header, as a list."""
        value = self.header(name)
        return [] if value is None else [value]

    def close(self) -> None:
        """Noted."""
        self.closed = True


Answering = Reply | Exception | Callable[[], Any]


class Web:
    """Answers in place of a client. `answers` is what each URL answers; `asked` what was asked, in order.

    An answer may be an error, or a callable that returns a Deferred.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answering] = {}
        self.asked: list[tuple[str, str]] = []
        self.sent: list[tuple[dict[str, str], bytes | None]] = []

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Any:
        """As `Client.request`."""
        self.asked.append((method, url))
        self.sent.append((dict(headers), body))
        answer = self.answers.get(url, Reply(404))
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Reply):
            return answer
        waiting: Deferred[Any] = answer()
        return await waiting
