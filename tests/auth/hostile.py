"""Hostile tokens, passwords and headers: each a name and the text; none may ever be accepted."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from random import Random
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pkgd.auth.tokenkeys import TokenKey, TokenKeys
from pkgd.auth.tokens import TokenSettings

__all__ = ["Forger", "headers", "passwords"]

Case = tuple[str, str]


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Forger:
    """Knows everything but the secret: key ids, public keys, and what good tokens look like."""

    def __init__(self, keys: TokenKeys, settings: TokenSettings, now: float) -> None:
        assert keys.current is not None
        self._key: TokenKey = keys.current
        self._own = ed25519.Ed25519PrivateKey.generate()
        self.header: dict[str, Any] = {"alg": self._key.algorithm, "kid": self._key.kid, "typ": "JWT"}
        self.claims: dict[str, Any] = {
            "iss": settings.issuer,
            "aud": settings.audience,
            "sub": "admin",
            "iat": int(now),
            "nbf": int(now) - 30,
            "exp": int(now) + 300,
            "jti": "0" * 24,
            "access": [{"type": "repository", "name": "team/app", "actions": ["*"]}],
            "via": "htpasswd",
        }

    def good(self) -> str:
        """What the server itself would sign."""
        return self._signed(self.claims)

    def tokens(self) -> Iterator[Case]:
        """Every hostile token."""
        yield from self._algorithms()
        yield from self._headers()
        yield from self._claims()
        yield from self._broken()
        yield from self._changed()
        yield from self._flood()

    def _signed(self, claims: Any, header: dict[str, Any] | None = None) -> str:
        """Signed with the server's own key: only what it says may be wrong."""
        signer = jwt.get_algorithm_by_name(self._key.algorithm)
        payload = claims if isinstance(claims, bytes) else self._json(claims)
        body = f"{_encoded(self._json(header or self.header))}.{_encoded(payload)}"
        return f"{body}.{_encoded(signer.sign(body.encode(), self._key.signing))}"

    def _json(self, value: Any) -> bytes:
        return json.dumps(value, separators=(",", ":")).encode("utf-8", "surrogatepass")

    def _forged(self, header: dict[str, Any], sign: Any = None) -> str:
        """With a header of the forger's, signed with whatever he has."""
        body = f"{_encoded(self._json(header))}.{_encoded(self._json(self.claims))}"
        return f"{body}.{_encoded(b'' if sign is None else sign(body.encode()))}"

    def _algorithms(self) -> Iterator[Case]:
        """`none` in every spelling; HMAC over public keys; other families; the right one with another key."""
        for name in ("none", "None", "NONE", "nOnE", "", "null", "n\u00f6ne"):
            yield f"alg {name!r}", self._forged({**self.header, "alg": name})
            yield f"alg {name!r}, a signature", self._forged({**self.header, "alg": name}, lambda body: b"x" * 64)
        public = self._key.verifying
        forms = [
            public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            public.public_bytes(Encoding.Raw, PublicFormat.Raw),
            self._json(self._key.public()),
            b"",
        ]
        for number, secret in enumerate(forms):
            for name, digest in (("HS256", hashlib.sha256), ("HS384", hashlib.sha384), ("HS512", hashlib.sha512)):

                def sign(body: bytes, secret: bytes = secret, digest: Any = digest) -> bytes:
                    return hmac.new(secret, body, digest).digest()

                yield f"{name} with the public key, form {number}", self._forged({**self.header, "alg": name}, sign)
                yield f"EdDSA signed so, form {number}, {name}", self._forged(self.header, sign)
        yield "another key, our id", self._forged(self.header, self._own.sign)
        for name, key in (
            ("RS256", rsa.generate_private_key(65537, 2048)),
            ("PS256", rsa.generate_private_key(65537, 2048)),
            ("ES256", ec.generate_private_key(ec.SECP256R1())),
        ):
            token = jwt.encode(self.claims, key, name, {"kid": self._key.kid})  # type: ignore[arg-type]
            yield f"{name}, our id", token

    def _headers(self) -> Iterator[Case]:
        """Headers that bring a key along or say where one is, even over the server's own signature."""
        own = jwt.get_algorithm_by_name("EdDSA").to_jwk(self._own.public_key(), as_dict=True)
        extra: dict[str, Any] = {
            "jwk": own,
            "jku": "https://attacker.example/jwks",
            "x5u": "https://attacker.example/cert",
            "x5c": ["MIIB"],
            "x5t": "abc",
            "crit": ["exp"],
            "b64": False,
            "zip": "DEF",
            "enc": "A128GCM",
            "cty": "JWT",
        }
        for name, value in extra.items():
            header = {**self.header, name: value}
            yield f"{name}, signed by the forger", self._forged(header, self._own.sign)
            yield f"{name}, signed by the server", self._signed(self.claims, header)
        for kid in ("", "../../etc/passwd", "' or 1=1", "\x00", "a" * 1000, None, 5, ["a"], {"a": 1}, "kid\n"):
            header = {**self.header, "kid": kid}
            yield f"kid {kid!r:.20}", self._forged(header, self._own.sign)
            yield f"kid {kid!r:.20}, signed by the server", self._signed(self.claims, header)
        for typ in ("jwt", "at+jwt", "JOSE", "", 1):
            yield f"typ {typ!r}", self._signed(self.claims, {**self.header, "typ": typ})
        yield "no kid", self._signed(self.claims, {"alg": self._key.algorithm, "typ": "JWT"})
        yield "another order", self._signed(self.claims, dict(reversed(self.header.items())))

    def _claims(self) -> Iterator[Case]:
        """Claims that are wrong, missing, of a wrong kind or out of time, over the server's own signature."""
        now = self.claims["iat"]
        wrong: dict[str, list[Any]] = {
            "iss": ["", "https://pkg.example.com/", "https://pkg.example", "HTTPS://pkg.example.com", None, 5, ["x"]],
            "aud": ["", "other", ["pkg.example.com"], ["other", "pkg.example.com"], None, "pkg.example.com "],
            "exp": [now, now - 1, 0, -1, "9999999999", None, [], True],
            "nbf": [now + 31, 1e12, "0", None],
            "iat": [now + 31, "0", None, {}],
            "access": [None, {}, "*", [None], [{}], [{"type": "repository"}], [{"type": 1, "name": 2, "actions": 3}]],
            "sub": [5, [], {}, True],
            "via": [None, 5, []],
            "grp": ["admins", None, [None], {"a": 1}],
            "stamp": [None, 5],
            "clm": [[], {"a": {"b": "c"}}, {"a": None}],
            "jti": [None, 5],
        }
        for name, values in wrong.items():
            for value in values:
                yield f"{name} {value!r:.30}", self._signed({**self.claims, name: value})
        for name in ("iss", "aud", "exp", "nbf", "iat", "jti", "access", "via"):
            yield f"no {name}", self._signed({key: value for key, value in self.claims.items() if key != name})
        yield "a claim that nobody knows", self._signed({**self.claims, "admin": True})
        for body in (b"", b"null", b"[]", b'"x"', b"5", b"{", b"\xff", b"[" * 5000, b'{"exp":1e999}', b'{"exp":NaN}'):
            yield f"payload {body[:10]!r}", self._signed(body)
        late = self._json(self.claims)[:-1] + b',"exp":1}'
        yield "exp twice", self._signed(late)

    def _broken(self) -> Iterator[Case]:
        """No tokens at all."""
        head, body, signature = self.good().split(".")
        texts = ["", ".", "..", "...", "eyJ", "eyJ.eyJ.x", head, f"{head}.", f"{head}..", f"{head}.{body}"]
        texts += [f"{head}.{body}.", f"{head}.{body}.{signature}.", f"{head}.{body}.{signature}.{signature}"]
        texts += [f".{body}.{signature}", f"{head}..{signature}", f"{body}.{head}.{signature}", "a" * 9000, "." * 9000]
        texts += [f"{head}.{body}.{signature}=", f"{head}=.{body}.{signature}", f"{head}.{body}.{signature} "]
        texts += [f"{head}.{body}.{'A' * 9000}", f"{head}.{'e' * 9000}.{signature}", f"{head}{'.' * 5000}"]
        texts += [f"{head}.{body}.{signature[:20]}", f"{head}.{body}.{signature * 2}", self.good()[::-1]]
        yield from ((f"malformed {number}", text) for number, text in enumerate(texts))
        padded = {**self.claims, "jti": "x" * 9000}
        yield "larger than 8 KiB, signed by the server", self._signed(padded)

    def _changed(self) -> Iterator[Case]:
        """A good token, one bit, one character or its end away from itself."""
        good, random = self.good(), Random(7)
        head, body, signature = good.split(".")
        for number in range(120):
            data = bytearray(_decoded(body if number % 2 else signature))
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
            changed = _encoded(bytes(data))
            yield f"bit {number}", f"{head}.{changed}.{signature}" if number % 2 else f"{head}.{body}.{changed}"
        for number in range(1, 60):
            yield f"without its last {number}", good[:-number]
        other = json.loads(_decoded(body)) | {"sub": "root"}
        yield "another user, the same signature", f"{head}.{_encoded(self._json(other))}.{signature}"

    def _flood(self) -> Iterator[Case]:
        """Ids of keys that never were."""
        for number in range(60):
            kid = hashlib.sha256(b"%d" % number).hexdigest()[:16]
            yield f"kid flood {number}", self._forged({**self.header, "kid": kid}, self._own.sign)


def passwords() -> Iterator[tuple[str, str, str]]:
    """Users and passwords beside `alice` with `secret`: a name, the user, the password."""
    texts = [
        "",
        " ",
        "Secret",
        "secret ",
        " secret",
        "secret:",
        "x" * 73,
        "x" * 5000,
        "secret" + "x" * 67,
        "\u00e4" * 37,
    ]
    texts += ["%s", "../../etc/passwd", "' or '1'='1", "secre\u0442", "pkgd_x", "pkgd_" + "a" * 57, "eyJh.eyJz.c2ln"]
    texts += ["eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.", "$2b$04$" + "a" * 53, "null", "0", "true", "secret\u00a0"]
    for number, text in enumerate(texts):
        yield f"password {number}", "alice", text
    for number, user in enumerate(["", " ", "Alice", "alice ", "ALICE", "al\u0131ce", "root", "*", "a" * 256, "$2b$"]):
        yield f"user {number}", user, "secret"


def headers() -> Iterator[Case]:
    """Authorization headers that are none, or only nearly."""
    pair = b64encode(b"alice:secret").decode("ascii")
    yield from (
        (f"header {number}", text)
        for number, text in enumerate(
            [
                "Basic",
                "Basic ",
                f"Basic{pair}",
                f"Basic\t{pair}",
                f"Basic {pair}=",
                f"Basic {pair[:-1]}",
                f"Basic {pair}, Basic {pair}",
                f"Basic {pair} x",
                f"Basic {pair[:4]} {pair[4:]}",
                f"Basic ={pair}",
                "Basic !!!!",
                "Basic " + b64encode(b"alice").decode("ascii"),
                "Basic " + b64encode(b"alice:secret\x00").decode("ascii"),
                "Basic " + b64encode(b"alice\x00:secret").decode("ascii"),
                "Basic " + b64encode(b"alice:secret\n").decode("ascii"),
                "Basic " + b64encode(b"alice:\xff\xfe").decode("ascii"),
                "Basic " + b64encode(b"\xc0\xae:secret").decode("ascii"),
                "Basic " + b64encode(b"u" * 300 + b":secret").decode("ascii"),
                "Basic " + b64encode(b"alice:" + b"x" * 30_000).decode("ascii"),
                "Basic " + b64encode(b":").decode("ascii"),
                "Bearer",
                "Bearer ",
                "Bearer secret",
                "Bearer a b",
                f"Bearer {pair}",
                "Bearer ====",
                "Bearer " + "a" * 30_000,
                "Digest username=alice",
                "Negotiate YII=",
                "Token secret",
                pair,
                "alice:secret",
                "\xff\xfe",
                "x" * 30_000,
            ]
        )
    )
