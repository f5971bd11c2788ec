"""A provider in the web of `tests.auth.issuing`: its documents, and what it says of codes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from twisted.internet.task import Clock

from pkgd.auth.oidc import Provider, ProviderSettings
from tests.auth.issuing import ISSUER, Reply, Web, jwk, jwks, token

__all__ = ["CLIENT", "FakeProvider"]

CLIENT = "pkgd"
CONFIGURATION = f"{ISSUER}/.well-known/openid-configuration"
TOKEN, USERINFO, DEVICE, KEYS = (f"{ISSUER}/{one}" for one in ("token", "userinfo", "device", "jwks"))


class FakeProvider:
    """It is there from the beginning, and lets alice in. `provider` is what asks it."""

    def __init__(self, clock: Clock, secret: str | None = "s%cret", **settings: Any) -> None:  # noqa: S107
        self.clock = clock
        self.web = Web()
        self.settings = ProviderSettings(
            **{
                "issuer": ISSUER,
                "client_id": CLIENT,
                "client_secret": secret,
                "scopes": ("openid", "profile"),
                "redirect_uri": "https://pkg.example.com/auth/callback",
                **settings,
            }
        )
        self.provider = Provider(self.settings, self.web, clock, clock.seconds)  # type: ignore[arg-type]
        self.say(CONFIGURATION, **self.document())
        self.web.answers[KEYS] = Reply(body=jwks(jwk("ES256")))
        self.let_in()

    def document(self, **changes: Any) -> dict[str, Any]:
        """Its discovery document; a change to None leaves a member out."""
        members = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/auth",
            "token_endpoint": TOKEN,
            "userinfo_endpoint": USERINFO,
            "device_authorization_endpoint": DEVICE,
            "jwks_uri": KEYS,
            **changes,
        }
        return {name: value for name, value in members.items() if value is not None}

    def say(self, url: str, status: int = 200, **members: Any) -> None:
        """Answer this from now on."""
        self.web.answers[url] = Reply(status, json.dumps(members).encode())

    def let_in(self, **changes: Any) -> None:
        """Any code stands for alice, with these changes of her claims."""
        self.say(TOKEN, id_token=self.id_token(**changes), access_token="access")

    def id_token(self, **changes: Any) -> str:
        """Alice's ID token."""
        usual: dict[str, Any] = {"aud": CLIENT, "nonce": "nonce", "preferred_username": "alice", "groups": ["dev"]}
        usual |= {"iat": int(self.clock.seconds()), "exp": int(self.clock.seconds()) + 600}
        return token("ES256", "a", **{**usual, **changes})

    def forms(self, url: str) -> list[dict[str, str]]:
        """What was sent there."""
        found = zip(self.web.asked, self.web.sent, strict=True)
        bodies = [(body or b"").decode() for (_, asked), (_, body) in found if asked == url]
        return [{name: values[0] for name, values in parse_qs(one).items()} for one in bodies]
