"""The tree of everything that pkgd serves, in one place.

/v2/…               the distribution API: own dispatch (pkgd.web.registry)
/apt/…  /rpm/…      package repositories: own dispatch (pkgd.web.packages), with what Gitea, Nexus, Artifactory and
                    GitLab call them: /api/packages/…, /repository/…, /artifactory/…, /api/v4/projects/…
/api/v1/…           JSON for tools (pkgd.web.api), with API keys at /api/v1/keys, refresh tokens at
                    /api/v1/refresh-tokens, and who is not let in at /api/v1/users
/api/openapi.json   what of all this programs may use, described (pkgd.web.openapi)
/auth/…             tokens for clients of the registry, also at /token and /v2/token; logins (pkgd.web.auth)
/ui/keys            the page for API keys (pkgd.web.ui)
/health  /ready     probes (pkgd.web.health)
/metrics            for Prometheus (pkgd.web.metrics)

The other front doors are Klein apps, found by the first segment of the path, as it stands there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from klein import Klein
from twisted.python.failure import Failure
from werkzeug.exceptions import HTTPException

from pkgd.errors import UnknownRoute
from pkgd.web import errors
from pkgd.web.api.packages import ApiV1
from pkgd.web.api.people import AccountApi
from pkgd.web.auth.login import LoginApi
from pkgd.web.auth.token import TokenApi
from pkgd.web.gate import require_declarations
from pkgd.web.health import HealthApi
from pkgd.web.metrics import MetricsApi
from pkgd.web.openapi.door import OpenApiDoor
from pkgd.web.packages.api import PackagesApi
from pkgd.web.registry.api import RegistryApi
from pkgd.web.request import Request
from pkgd.web.site import Handler
from pkgd.web.target import parse_path
from pkgd.web.ui.page import KeysPage

__all__ = ["Root"]


class Root:
    """Chooses who answers a request."""

    def __init__(
        self,
        registry: RegistryApi,
        health: HealthApi,
        metrics: MetricsApi | None = None,
        packages: PackagesApi | None = None,
        api: ApiV1 | None = None,
        tokens: TokenApi | None = None,
        accounts: Sequence[AccountApi] = (),
        logins: LoginApi | None = None,
        page: KeysPage | None = None,
    ) -> None:
        """
        :param metrics: None if there are to be none; so with all that follow.
        :param accounts: where users look after what is theirs, and administrators after users.
        :raises LookupError: if any route declares no access.
        """
        self._registry = registry
        self._packages = packages
        self._api = api
        self._tokens = tokens
        self._accounts = accounts
        self._logins = logins
        self._page = page
        probes = KleinTree(health.app, "probe")
        self._doors = {b"health": probes, b"ready": probes}
        if metrics is not None:
            self._doors[b"metrics"] = KleinTree(metrics.app, "metrics")
        self._openapi = OpenApiDoor()
        self._nowhere = Nowhere()

    def route(self, request: Request) -> Handler:
        """Who answers."""
        path = request.path
        if self._tokens is not None and path in TokenApi.paths:
            return self._tokens
        if path.startswith(b"/v2/") or path == b"/v2":
            return self._registry
        if self._packages is not None and path.startswith(PackagesApi.prefixes):
            return self._packages
        if self._logins is not None and path in LoginApi.paths:
            return self._logins
        if self._page is not None and path in KeysPage.paths:
            return self._page
        for door in self._accounts:
            if _is_below(path, door.prefix):
                return door
        if self._api is not None and path.startswith(b"/api/v1/"):
            return self._api
        if path == OpenApiDoor.path:
            return self._openapi
        return self._doors.get(path[1:].partition(b"/")[0], self._nowhere)


def _is_below(path: bytes, prefix: bytes) -> bool:
    return path == prefix or path.startswith(prefix + b"/")


class Nowhere:
    """Answers for every path that leads nowhere."""

    def handle(self, request: Request) -> None:
        """Refuse.

        :raises MalformedHttp: if the path is not plain.
        :raises UnknownRoute: if it is.
        """
        parse_path(request.path)
        raise _unknown(request)


class KleinTree:
    """A Klein app as a handler: with our target rules before it, and our errors behind it."""

    def __init__(self, app: Klein, route: str) -> None:
        """
        :param route: what it is called in metrics.
        """
        require_declarations(app)
        app.url_map.strict_slashes = False
        app.url_map.merge_slashes = False
        answer: Any = _answer_failure
        app.handle_errors(Exception)(answer)
        self._route = route
        self._resource = app.resource()

    def handle(self, request: Request) -> None:
        """Route by Klein.

        :raises MalformedHttp: if the path is not plain.
        """
        request.route = self._route
        parse_path(request.path)
        self._resource.render(request.for_klein())


def _answer_failure(_: object, request: Request, failure: Failure) -> None:
    """Werkzeug's own refusals mean that there is no such route; the rest is in the table."""
    if failure.check(HTTPException):
        failure = Failure(_unknown(request))
    errors.answer(request, failure)


def _unknown(request: Request) -> UnknownRoute:
    return UnknownRoute(request.path.decode("ascii", "replace")[:200])
