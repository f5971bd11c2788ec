"""Tokens that others have signed (RFC 7515, RFC 7519), verified: none is believed for what it says of itself.

A token is taken apart once, strictly, and what was checked is what is used. Its header chooses among the keys that its
issuer has, and nothing else; a header that points to keys, or wants to be understood (`crit`), is refused.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import jwt
from attrs import field, frozen

from pkgd.auth.jwk import ALGORITHMS, Key, KeySet
from pkgd.auth.strictjson import parse_object
from pkgd.errors import TokenRefused

__all__ = ["Claims", "KeySource", "TokenRules", "Unverified", "Verifier", "read_token"]

MAX_TOKEN = 12 << 10
LEEWAY = 30.0
DAY = 86400.0

_MAX_KID = 256
# What would have a verifier fetch, take or ignore what the sender likes (RFC 7515, 4.1).
_FORBIDDEN = ("jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "crit", "b64", "zip")
# Beyond any date, and still exact.
_MAX_TIME = 1e12

Claims = Mapping[str, Any]

_JWS = jwt.PyJWS(options={"verify_signature": True})


@frozen
class Unverified:
    """A token taken apart. `text` is all of it; nothing in it is to be believed yet."""

    text: str = field(repr=False)
    algorithm: str
    kid: str | None
    claims: Claims = field(repr=False)


def read_token(text: str) -> Unverified:
    """Take a compact JWS apart.

    :raises TokenRefused: if it is none, too large, or its header is one that nobody should send.
    """
    if len(text) > MAX_TOKEN:
        raise TokenRefused("the token is too large")
    parts = text.split(".")
    if len(parts) != 3:
        raise TokenRefused("this is no token")
    try:
        header, claims = parse_object(_decode(parts[0])), parse_object(_decode(parts[1]))
        _decode(parts[2])
    except ValueError:
        raise TokenRefused("the token cannot be read") from None
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or not (kid is None or (isinstance(kid, str) and len(kid) <= _MAX_KID)):
        raise TokenRefused("the token's header cannot be read")
    if any(name in header for name in _FORBIDDEN):
        raise TokenRefused("the token's header has what it must not have")
    return Unverified(text, algorithm, kid, claims)


@frozen
class TokenRules:
    """What a token must say.

    :param issuer: exactly this `iss`; None is any.
    :param audience: one of these in `aud`; empty is any.
    :param algorithms: those that are allowed, of those that a key is for.
    """

    issuer: str | None = None
    audience: tuple[str, ...] = ()
    algorithms: frozenset[str] = ALGORITHMS
    max_lifetime: float = DAY

    def check(self, claims: Claims, now: float) -> float:
        """Look at the claims; returns when the token ends, in seconds since the epoch.

        :raises TokenRefused: if they don't say what they must.
        """
        expires, issued, begins = (_time(claims, name) for name in ("exp", "iat", "nbf"))
        if expires is None:
            raise TokenRefused("the token never expires")
        if expires <= now:
            raise TokenRefused("the token has expired")
        if max(issued or 0.0, begins or 0.0) > now + LEEWAY:
            raise TokenRefused("the token is not valid yet")
        begun = now - LEEWAY if issued is None else issued
        if expires - begun > self.max_lifetime or expires - now > self.max_lifetime + LEEWAY:
            raise TokenRefused("the token lives too long")
        if self.issuer is not None and claims.get("iss") != self.issuer:
            raise TokenRefused("the token is somebody else's")
        if self.audience and not set(self.audience).intersection(_texts(claims.get("aud"))):
            raise TokenRefused("the token is for somebody else")
        return expires


class KeySource(Protocol):
    """Where an issuer's keys are."""

    async def keys(self) -> KeySet | None:
        """The keys; None if it is certain that there are none.

        :raises AuthUnavailable: if it cannot be told now.
        """

    async def newer(self, than: KeySet, kid: str | None) -> KeySet | None:
        """Newer ones, in which `kid` may be; None if it is too early to ask again."""


class Verifier:
    """Verifies the tokens of one issuer.

    :param trusts_channel: whether a token of an issuer without any keys is believed for where it comes from.
    """

    def __init__(self, source: KeySource, rules: TokenRules, trusts_channel: bool = False) -> None:
        self._source = source
        self.rules = rules
        self._trusts_channel = trusts_channel

    async def verify(self, text: str, now: float) -> Claims:
        """The claims of a token.

        :raises TokenRefused: if it is not to be believed; the reason is for the log.
        :raises AuthUnavailable: if there are no keys to tell.
        """
        token = read_token(text)
        self.rules.check(token.claims, now)
        if token.algorithm not in self.rules.algorithms:
            raise TokenRefused("the token is signed in a way that is not allowed")
        keys = await self._source.keys()
        if keys is None:
            if self._trusts_channel:
                return token.claims
            raise TokenRefused("the token's issuer publishes no keys")
        suitable = keys.suitable(token.kid, token.algorithm)
        if _is_signed(token, suitable):
            return token.claims
        if token.kid is None or not keys.knows(token.kid):
            newer = await self._source.newer(keys, token.kid)
            if newer is not None and _is_signed(token, newer.suitable(token.kid, token.algorithm)):
                return token.claims
        raise TokenRefused("the token is not signed by its issuer")


def _is_signed(token: Unverified, keys: Sequence[Key]) -> bool:
    """Whether one of the keys has signed it. The algorithm is one that the key itself is for."""
    for key in keys:
        assert token.algorithm in key.algorithms, "only suitable keys are tried"
        try:
            _JWS.decode_complete(token.text, key.material, algorithms=[token.algorithm])
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        return True
    return False


def _decode(part: str) -> bytes:
    """Base64url without padding (RFC 7515, 2), in its one spelling.

    :raises ValueError: if it is none.
    """
    data = urlsafe_b64decode(part.encode("ascii") + b"=" * (-len(part) % 4))
    if urlsafe_b64encode(data).decode("ascii").rstrip("=") != part:
        raise ValueError("not base64url")
    return data


def _time(claims: Claims, name: str) -> float | None:
    """A NumericDate (RFC 7519, 2).

    :raises TokenRefused: if it is none.
    """
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MAX_TIME:
        raise TokenRefused(f"the token's {name} is no time")
    return float(value)


def _texts(value: Any) -> list[str]:
    """One text, or several."""
    found = value if isinstance(value, list) else [value]
    return [one for one in found if isinstance(one, str)]
