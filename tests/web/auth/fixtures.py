"""The edge with users: `alice` and `bob` of a file, a policy, the token service, apt and rpm behind one gate."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Container
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.granting import Granting
from pkgd.auth.policy import Policy
from pkgd.auth.rules import RulePolicy
from pkgd.auth.sources import PasswordSource, RefreshTokens, TokenSource
from pkgd.formats.names import RepositoryName
from pkgd.web.auth.token import TokenApi, TokenParts
from pkgd.web.gate import Gate
from pkgd.web.outside import Outside
from tests.auth.fixtures import Wall
from tests.web.messages import Response
from tests.web.packages.fixtures import PackagesEdge

__all__ = ["URL", "AuthEdge", "basic"]

URL = "https://pkg.example.com"


def basic(user: str, password: str) -> dict[str, str]:
    """The header of a user."""
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")}


class AuthEdge(PackagesEdge):
    """See the module. `wall` is the authority and what it consists of; `hosted` are repositories that are here."""

    def __init__(
        self,
        case: SynchronousTestCase,
        policy: Policy | None = None,
        more: list[PasswordSource] | None = None,
        tokens: list[TokenSource] | None = None,
        refresh: RefreshTokens | None = None,
        outside: Outside | None = None,
        ignores_foreign: bool = True,
        disabled: Container[str | None] | None = None,
        **throttle: int,
    ) -> None:
        super().__init__(case)
        self.wall = wall = Wall(self.clock, more, tokens, disabled=disabled, **throttle)
        rules = policy or RulePolicy()
        seen_as = outside or Outside(URL)
        gate = Gate(rules, wall.authority, seen_as, ignores_foreign)
        self.hosted: set[str] = set()
        granting = Granting(rules, wall.authority, lambda name: [f"docker.io/{name}"], self._is_hosted)
        parts = TokenParts(wall.authority, wall.tokens, granting, wall.keys, refresh, refresh is not None)
        root: Any = self.root
        for door in (root._registry, root._packages, root._api):
            door._gate = gate
        root._tokens = TokenApi(parts, seen_as, ignores_foreign)
        self.gate = gate

    async def _is_hosted(self, name: RepositoryName) -> bool:
        return str(name) in self.hosted

    def bearer(self, user: str, password: str, *scopes: str) -> dict[str, str]:
        """The header with a token, got as clients get it."""
        query = "&".join(f"scope={one}" for one in scopes)
        answer: Response = self.call("GET", f"/auth/token?service=pkg.example.com&{query}", basic(user, password))
        return {"Authorization": f"Bearer {answer.json['token']}"}
