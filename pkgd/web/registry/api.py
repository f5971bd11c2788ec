"""The table of the distribution API and its dispatch: own, because every pull passes here.

A row is (kind of path, method) → handler; the handler declares the action that it needs on the
repository that the path names. Order: path, method, gate, then the handler.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from attrs import frozen
from twisted.python.failure import Failure

from pkgd.auth.model import Access, Action, oci
from pkgd.errors import Unsupported
from pkgd.sharing import Tasks
from pkgd.web import errors
from pkgd.web.gate import Gate, Grant, declared_access
from pkgd.web.registry.paths import Kind, V2Path, parse_v2_path
from pkgd.web.request import Request

__all__ = ["Call", "Endpoint", "RegistryApi"]


@frozen
class Call:
    """An admitted request: what its path names, and what it was granted."""

    request: Request
    path: V2Path
    grant: Grant

    @property
    def name(self) -> Any:
        """The repository; only for paths that name one."""
        return self.path.name


@frozen
class Endpoint:
    """A row of the table.

    `at_once`, where there is one, is tried before the handler: it answers and returns True if
    nothing has to be waited for, which saves the hottest requests a coroutine.
    """

    kind: Kind
    methods: tuple[str, ...]
    handler: Callable[[Call], Awaitable[None]]
    at_once: Callable[[Call], bool] | None = None


class RegistryApi:
    """Dispatches everything under `/v2`."""

    def __init__(self, gate: Gate, endpoints: Iterable[Endpoint], tasks: Tasks | None = None) -> None:
        """
        :param tasks: where every handler runs, for the stop to wait for it, also when its client has left.
        :raises LookupError: if a handler declares no access: the start must not succeed.
        """
        self._gate = gate
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
        path = parse_v2_path(request.path)
        row = self._table.get((path.kind, request.method))
        if row is None:
            allowed = self._methods[path.kind]
            raise Unsupported(f"{request.method.decode('ascii')} is not among {', '.join(allowed)} here", allowed)
        endpoint, declared = row
        access = declared if isinstance(declared, Access) else oci(str(path.name), declared)
        if endpoint.at_once is not None:
            grant = self._gate.admit_at_once(request, access)
            if grant is not None and endpoint.at_once(Call(request, path, grant)):
                return
        self._tasks.start("request", self._run(request, path, endpoint, access))

    async def _run(self, request: Request, path: V2Path, endpoint: Endpoint, access: Access) -> None:
        try:
            grant = await self._gate.admit(request, access)
            await endpoint.handler(Call(request, path, grant))
        except Exception:
            errors.answer(request, Failure())
