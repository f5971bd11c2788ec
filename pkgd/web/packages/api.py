"""The dispatch of `/apt/`, `/rpm/` and the aliases: path, method, gate, repository, handler; like that of `/v2/`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from twisted.python.failure import Failure

from pkgd.auth.model import Access, Action, apt, rpm
from pkgd.errors import UnknownRoute, Unsupported
from pkgd.sharing import Tasks
from pkgd.web import errors
from pkgd.web.gate import Gate, declared_access
from pkgd.web.packages.aliases import PREFIXES, parse_alias
from pkgd.web.packages.endpoint import AptCall, Endpoint, RpmCall, Site
from pkgd.web.packages.paths import AptPath, Kind, RpmPath, parse_apt_path, parse_rpm_path
from pkgd.web.request import Request

__all__ = ["PackagesApi", "Table", "accesses"]

_READING = (b"GET", b"HEAD")


class Table:
    """Rows by kind of path and method."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        """
        :raises LookupError: if a handler declares no action: the start must not succeed.
        """
        self._rows: dict[tuple[Kind, bytes], tuple[Callable[[Any], Awaitable[None]], Action]] = {}
        self._methods: dict[Kind, tuple[str, ...]] = {}
        for one in endpoints:
            action = declared_access(one.handler)
            if not isinstance(action, Action):
                raise LookupError(f"{one.handler!r} declares no action on its repository")
            self._methods[one.kind] = self._methods.get(one.kind, ()) + one.methods
            for method in one.methods:
                self._rows[one.kind, method.encode("ascii")] = (one.handler, action)

    def find(self, kind: Kind, method: bytes, what: str) -> tuple[Callable[[Any], Awaitable[None]], Action]:
        """The handler, and what it needs.

        :raises Unsupported: if this cannot be done with what the path names.
        :raises UnknownRoute: if nothing can.
        """
        row = self._rows.get((kind, method))
        if row is None:
            allowed = self._methods.get(kind, ())
            if not allowed or (method in _READING and "GET" not in allowed):
                # What can only be written is not there to be read: zypper asks for media.1/media, say.
                raise UnknownRoute(what)
            raise Unsupported(f"{method.decode('ascii')} is not among {', '.join(allowed)} here", allowed)
        return row


class PackagesApi:
    """Dispatches everything that begins with one of `prefixes`."""

    prefixes = (b"/apt/", b"/rpm/", *PREFIXES)

    def __init__(self, gate: Gate, site: Site, apt_table: Table, rpm_table: Table, tasks: Tasks | None = None) -> None:
        """
        :param tasks: where every handler runs, for the stop to wait for it, also when its client has left.
        """
        self._gate = gate
        self._site = site
        self._apt = apt_table
        self._rpm = rpm_table
        self._tasks = tasks or Tasks()

    def handle(self, request: Request) -> None:
        """Answer a request.

        :raises PkgdError: if it cannot be dispatched; whatever the handler raises, it answers.
        """
        request.route = "packages"
        path = self._parse(request)
        is_apt = isinstance(path, AptPath)
        request.route = "apt" if is_apt else "rpm"
        table = self._apt if is_apt else self._rpm
        handler, action = table.find(path.kind, request.method, request.path.decode("ascii", "replace")[:200])
        self._tasks.start("request", self._run(request, path, handler, action))

    def _parse(self, request: Request) -> AptPath | RpmPath:
        if request.path.startswith(b"/apt/"):
            return parse_apt_path(request.path)
        if request.path.startswith(b"/rpm/"):
            return parse_rpm_path(request.path)
        return parse_alias(request.path, request.uri.partition(b"?")[2], self._site.rpm.__contains__)

    async def _run(
        self, request: Request, path: AptPath | RpmPath, handler: Callable[[Any], Awaitable[None]], action: Action
    ) -> None:
        try:
            first, *more = accesses(path, action)
            grant = await self._gate.admit(request, first, more)
            for one in more:
                grant.require(one)
            if isinstance(path, AptPath):
                await handler(AptCall(request, path, self._site.apt_named(path.repository), grant))
            else:
                await handler(RpmCall(request, path, self._site.rpm_named(path.repository), grant))
        except Exception:
            errors.answer(request, Failure())


def accesses(path: AptPath | RpmPath, action: Action) -> list[Access]:
    """What a request needs: of each suite that it names and changes, else of the repository as a whole."""
    if isinstance(path, RpmPath):
        return [rpm(path.repository, action)]
    if action is Action.PULL or not path.suites:
        return [apt(path.repository, action)]
    return [apt(path.repository, action, suite) for suite in path.suites]
