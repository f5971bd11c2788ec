"""pkgd's own access tokens: who somebody is, and what the token is good for (distribution, `spec/auth/jwt.md`).

A token is an identity and a cap, never a permission: the policy decides at each request. The header of a token is one
that is written here, byte for byte, so nothing in it - algorithm, key, address of a key - is ever believed.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Any

import jwt
import msgspec
from attrs import frozen

from pkgd.auth.model import Identity, Principal
from pkgd.auth.scopes import Scope, TokenCap
from pkgd.auth.tokenkeys import TokenKey, TokenKeys
from pkgd.errors import InvalidRequest, Unauthenticated

__all__ = ["AccessToken", "AccessTokens", "TokenSettings"]

MAX_SIZE = 8 << 10
LEEWAY = 30.0
MIN_LIFETIME = 60


@frozen
class TokenSettings:
    """What every token has: who makes them, for whom, and for how many seconds.

    `groups` and `claims` are those that the policy names; others would only make tokens long. None is all.
    """

    issuer: str
    audience: str
    lifetime: int = 300
    groups: frozenset[str] | None = None
    claims: frozenset[str] | None = None


@frozen
class AccessToken:
    """A token that was made, from when, and for how many seconds."""

    text: str
    issued: float
    expires_in: int


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `access`."""

    type: str
    name: str
    actions: list[str]


class _Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The payload. Without `sub` it is the anonymous's; `src` and `clm` are a workload's issuer and its claims."""

    iss: str
    aud: str
    iat: int
    nbf: int
    exp: int
    jti: str
    access: list[_Entry]
    via: str
    sub: str | None = None
    stamp: str = ""
    grp: list[str] = []
    src: str | None = None
    clm: dict[str, str | list[str]] = {}


class AccessTokens:
    """Makes and verifies them."""

    def __init__(self, keys: TokenKeys, settings: TokenSettings, now: Callable[[], float]) -> None:
        """
        :param now: seconds since the epoch.
        """
        self._keys = keys
        self.settings = settings
        self._now = now

    def mint(self, identity: Identity, scopes: Sequence[Scope]) -> AccessToken:
        """A token for an identity, capped to these scopes; it ends with what vouches for the identity.

        :raises InvalidRequest: if it were too long to be accepted back.
        """
        now, settings, principal = self._now(), self.settings, identity.principal
        lifetime = float(settings.lifetime)
        if identity.expires is not None:
            lifetime = min(lifetime, identity.expires - now)
        issued = int(now)
        claims = _Claims(
            iss=settings.issuer,
            aud=settings.audience,
            iat=issued,
            nbf=issued - int(LEEWAY),
            exp=int(issued + lifetime),
            jti=secrets.token_hex(12),
            access=[_Entry(one.kind, one.name, list(one.actions)) for one in scopes],
            via=identity.via,
            sub=principal.name,
            stamp=identity.stamp,
            grp=sorted(one for one in principal.groups if settings.groups is None or one in settings.groups),
            src=principal.issuer,
            clm={
                key: value if isinstance(value, str) else list(value)
                for key, value in principal.claims.items()
                if settings.claims is None or key in settings.claims
            },
        )
        key = self._keys.current
        assert key is not None, "the keys have been read before anybody is served"
        body: dict[str, Any] = msgspec.to_builtins(claims)
        text = jwt.encode(body, key.signing, key.algorithm, {"kid": key.kid})
        if len(text) > MAX_SIZE:
            raise InvalidRequest("scope", f"a token for all of this is longer than {MAX_SIZE >> 10} KiB: ask for less")
        # Clients take what is shorter for a minute anyway; the token itself keeps its own end.
        return AccessToken(text, issued, max(int(lifetime), MIN_LIFETIME))

    def recognises(self, token: str) -> bool:
        """Whether it says that it is one of ours: it begins as ours do."""
        return self._key(token) is not None

    def verify(self, token: str) -> Identity:
        """Whom a token of ours stands for, whatever vouched for it may say by now.

        :raises Unauthenticated: if it is none, or not valid now.
        """
        key = self._key(token) if len(token) <= MAX_SIZE else None
        if key is None:
            raise Unauthenticated("the token is none of this server's")
        claims = self._claims(token, key)
        now = self._now()
        if claims.exp <= now:
            raise Unauthenticated("the token has expired")
        if claims.nbf > now + LEEWAY or claims.iat > now + LEEWAY:
            raise Unauthenticated("the token is not valid yet")
        if claims.iss != self.settings.issuer or claims.aud != self.settings.audience:
            raise Unauthenticated("the token is for another server")
        cap = TokenCap.of(Scope(one.type, one.name, tuple(one.actions)) for one in claims.access)
        principal = Principal(
            claims.sub,
            frozenset(claims.grp),
            claims.src,
            {key: value if isinstance(value, str) else tuple(value) for key, value in claims.clm.items()},
        )
        return Identity(principal, claims.via, claims.stamp, cap, claims.exp)

    def _key(self, token: str) -> TokenKey | None:
        """The key whose header the token has."""
        head = token.partition(".")[0]
        for one in self._keys.known.values():
            if head == _header(one):
                return one
        return None

    def _claims(self, token: str, key: TokenKey) -> _Claims:
        try:
            payload = jwt.decode_complete(
                token,
                key.verifying,
                [key.algorithm],
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
            )["payload"]
            return msgspec.convert(payload, _Claims)
        except (jwt.PyJWTError, msgspec.ValidationError, ValueError, RecursionError):
            raise Unauthenticated("the token is not valid") from None


def _header(key: TokenKey) -> str:
    """The first part of a token that a key has signed, as PyJWT writes it."""
    text = msgspec.json.encode({"alg": key.algorithm, "kid": key.kid, "typ": "JWT"})
    return urlsafe_b64encode(text).decode("ascii").rstrip("=")
