"""The tree of everything that pkgd serves, in one place.

/v2/…               the distribution API: own dispatch (pkgd.web.registry)
/health  /ready     probes (pkgd.web.health)
"""

from __future__ import annotations

from typing import Any

from klein import Klein
from twisted.python.failure import Failure
from werkzeug.exceptions import HTTPException

from pkgd.errors import UnknownRoute
from pkgd.web import errors
from pkgd.web.gate import require_declarations
from pkgd.web.health import HealthApi
from pkgd.web.registry.api import RegistryApi
from pkgd.web.request import Request
from pkgd.web.site import Handler
from pkgd.web.target import parse_path

__all__ = ["Root"]


class Root:
    """Chooses who answers a request."""

    def __init__(self, registry: RegistryApi, health: HealthApi) -> None:
        """
        :raises LookupError: if any route declares no access.
        """
        self._registry = registry
        self._klein = KleinTree(health.app)

    def route(self, request: Request) -> Handler:
        """Who answers."""
        path = request.path
        if path.startswith(b"/v2/") or path == b"/v2":
            return self._registry
        return self._klein


class KleinTree:
    """A Klein app as a handler: with our target rules before it, and our errors behind it."""

    def __init__(self, app: Klein) -> None:
        require_declarations(app)
        app.url_map.strict_slashes = False
        app.url_map.merge_slashes = False
        answer: Any = _answer_failure
        app.handle_errors(Exception)(answer)
        self._resource = app.resource()

    def handle(self, request: Request) -> None:
        """Route by Klein.

        :raises MalformedHttp: if the path is not plain.
        """
        parse_path(request.path)
        self._resource.render(request.for_klein())


def _answer_failure(_: object, request: Request, failure: Failure) -> None:
    """Werkzeug's own refusals mean that there is no such route; the rest is in the table."""
    if failure.check(HTTPException):
        failure = Failure(UnknownRoute(request.path.decode("ascii", "replace")[:200]))
    errors.answer(request, failure)
