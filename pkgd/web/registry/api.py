"""The table of the distribution API and its dispatch: own, because every pull passes here.

A row is (kind of path, method) → handler; the handler declares the action that it needs on the
repository that the path names. Order: path, method, hosted or upstream, gate, then the handler.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from twisted.python.failure import Failure

from pkgd.auth.model import Access, Action, oci
from pkgd.errors import Refused, Unsupported
from pkgd.mirror.origins import HOSTED, Choice
from pkgd.sharing import Tasks
from pkgd.web import errors
from pkgd.web.gate import Gate, declared_access
from pkgd.web.registry.endpoint import Call, Endpoint
from pkgd.web.registry.mirror import READING, Mirrored, MirrorEndpoints
from pkgd.web.registry.paths import Kind, V2Path, parse_v2_path
from pkgd.web.request import Request

__all__ = ["RegistryApi"]

# What each kind of path is called in metrics.
_ROUTES = {kind: f"v2_{kind.name.lower()}" for kind in Kind}


class RegistryApi:
    """Dispatches everything under `/v2`."""

    def __init__(
        self,
        gate: Gate,
        endpoints: Iterable[Endpoint],
        tasks: Tasks | None = None,
        mirror: MirrorEndpoints | None = None,
    ) -> None:
        """
        :param tasks: where every handler runs, for the stop to wait for it, also when its client has left.
        :param mirror: what answers for upstreams; without it, every repository is a hosted one.
        :raises LookupError: if a handler declares no access: the start must not succeed.
        """
        self._gate = gate
        self._mirror = mirror
        self._tasks = tasks or Tasks()
        self._table: dict[tuple[Kind, bytes], tuple[Endpoint, Access | Action]] = {}
        self._methods: dict[Kind, tuple[str, ...]] = {}
        for endpoint in endpoints:
            access = declared_access(endpoint.handler)
            if access is None:
                raise LookupError(f"{endpoint.handler!r} is open to everybody")
            self._methods[endpoint.kind] = self._methods.get(endpoint.kind, ()) + endpoint.methods
            for method in endpoint.methods:
                self._table[endpoint.kind, method.encode("ascii")] = (endpoint, access)

    def handle(self, request: Request) -> None:
        """Answer a request whose path begins with `/v2`.

        :raises PkgdError: if it cannot be dispatched; whatever the handler raises, it answers.
        """
        request.route = "v2"
        path = parse_v2_path(request.path)
        request.route = _ROUTES[path.kind]
        row = self._table.get((path.kind, request.method))
        if row is None:
            allowed = self._methods[path.kind]
            raise Unsupported(f"{request.method.decode('ascii')} is not among {', '.join(allowed)} here", allowed)
        endpoint, declared = row
        access = declared if isinstance(declared, Access) else oci(str(path.name), declared)
        choice = HOSTED if self._mirror is None else self._mirror.choose(request, path)
        if not self._answered_at_once(request, path, endpoint, access, choice):
            self._tasks.start("request", self._run(request, path, endpoint, access, choice))

    def _answered_at_once(
        self, request: Request, path: V2Path, endpoint: Endpoint, access: Access, choice: Choice
    ) -> bool:
        """Answer without waiting for anything, if that is possible."""
        try:
            if self._mirror is not None and not choice.hosted:
                admit = partial(self._gate.admit_at_once, request)
                return request.method in READING and self._mirror.at_once(request, path, choice.origins[0], admit)
            if endpoint.at_once is None:
                return False
            grant = self._gate.admit_at_once(request, access)
            return grant is not None and endpoint.at_once(Call(request, path, grant))
        except Refused:
            if not choice.origins:
                raise
            return False  # the name may turn out to be an upstream's

    async def _run(self, request: Request, path: V2Path, endpoint: Endpoint, access: Access, choice: Choice) -> None:
        try:
            if self._mirror is None or await self._mirror.means_hosted(request, path, choice):
                grant = await self._gate.admit(request, access)
                await endpoint.handler(Call(request, path, grant))
            else:
                admit = partial(self._gate.admit, request)
                await self._mirror.read(Mirrored(request, path, choice.origins, choice.names_upstream, admit))
        except Exception:
            errors.answer(request, Failure())
