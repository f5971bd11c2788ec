"""`/api/v1/`: packages listed, searched, and copied between suites.

GET  /api/v1/packages?repository=apt:<repo>&suite=…&component=…&name=…&q=…&n=…&last=…
POST /api/v1/apt/<repo>/copy   {"source": …, "target": …, "name": …, "version": …, "architecture": …}
                               with "source_package" in place of "name": a source, and what was built from it
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import msgspec
from twisted.python.failure import Failure

from pkgd.auth.model import Access, Action, apt, rpm
from pkgd.blocking import Blocking
from pkgd.errors import InvalidRequest
from pkgd.packages.apt import Wanted
from pkgd.packages.records import Listed
from pkgd.sharing import Tasks
from pkgd.web import errors
from pkgd.web.api.bodies import read_json
from pkgd.web.gate import Gate, Grant
from pkgd.web.packages.endpoint import Site, known_component, known_suite
from pkgd.web.request import Request
from pkgd.web.respond import send_json
from pkgd.web.routes import Routes
from pkgd.web.target import Query, parse_query

__all__ = ["ApiV1"]

# What one page may hold, whatever the client asks for.
MAX_PAGE = 1000
_MAX_BODY = 64 * 1024
_MAX_SUITE = 200


class _Copy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a copy: packages by name, or a source and what was built from it."""

    source: Annotated[str, msgspec.Meta(max_length=_MAX_SUITE)]
    target: Annotated[str, msgspec.Meta(max_length=_MAX_SUITE)]
    name: str | None = None
    source_package: str | None = None
    version: str | None = None
    architecture: str | None = None

    def wanted(self) -> Wanted:
        """What is to be copied.

        :raises InvalidRequest: if that isn't said, or said twice.
        """
        name = self.name or self.source_package
        if not name or (self.name and self.source_package):
            raise InvalidRequest("", "name or source_package is needed, and not both")
        return Wanted(name, self.version, self.architecture, is_source=self.name is None)


class ApiV1:
    """Dispatches everything under `/api/v1/`."""

    def __init__(self, gate: Gate, site: Site, blocking: Blocking, tasks: Tasks | None = None) -> None:
        """
        :param tasks: where every handler runs, for the stop to wait for it.
        """
        self._gate = gate
        self._site = site
        self._blocking = blocking
        self._tasks = tasks or Tasks()
        self.routes: Routes[Callable[..., Awaitable[None]]] = Routes(
            [
                ("/api/v1/packages", ("GET", "HEAD"), self._packages),
                ("/api/v1/apt/{repository}/copy", ("POST",), self._copy),
            ]
        )

    def handle(self, request: Request) -> None:
        """Answer a request.

        :raises PkgdError: if it cannot be dispatched; whatever the handler raises, it answers.
        """
        request.route = "api_v1"
        work, values = self.routes.find(request)
        self._tasks.start("request", self._answer(request, work(request, *values)))

    async def _answer(self, request: Request, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception:
            errors.answer(request, Failure())

    # -- listing and search --

    async def _packages(self, request: Request) -> None:
        """Every package of one repository, or of all that may be read, page by page."""
        query = parse_query(request.uri.partition(b"?")[2])
        wanted, grant = query.one("repository"), None
        if wanted is not None:
            grant = await self._gate.admit(request, _access(wanted))
        else:
            grant = await self._gate.admit(request, None, [_access(one) for one in self._names()])
        rows: list[dict[str, Any]] = []
        for repository in [wanted] if wanted is not None else self._readable(grant):
            rows += await self._of(repository, query, strict=wanted is not None)
        count, start = min(query.number("n") or MAX_PAGE, MAX_PAGE), query.number("last") or 0
        page = rows[start : start + count]
        more = start + count < len(rows)
        send_json(request, 200, {"packages": page, "last": start + count if more else None}, _NO_STORE)

    def _names(self) -> list[str]:
        return sorted([*(f"apt:{one}" for one in self._site.apt), *(f"rpm:{one}" for one in self._site.rpm)])

    def _readable(self, grant: Grant) -> list[str]:
        return [one for one in self._names() if grant.may(_access(one))]

    async def _of(self, name: str, query: Query, strict: bool) -> list[dict[str, Any]]:
        """The packages of a repository that fit.

        :param strict: whether a suite that it does not have is an error.
        """
        kind, _, plain = name.partition(":")
        suite, component = query.one("suite"), query.one("component")
        found: list[dict[str, Any]] = []
        if kind == "rpm":
            if suite is None and component is None:
                listed = await self._site.rpm_named(plain).repository.list(query.one("name"))
                found += await self._blocking.work(_rows, name, "", listed, query.one("q"))
            return found
        repository = self._site.apt_named(plain).repository
        suites = [one.codename for one in repository.settings.suites]
        if suite is not None:
            suites = [known_suite(repository, suite).codename] if strict else [one for one in suites if one == suite]
        for one in suites:
            settings = known_suite(repository, one)
            if component is not None and component not in settings.components:
                if strict and suite is not None:
                    known_component(repository, settings, component)
                continue
            listed = await repository.list(one, component, query.one("name"))
            found += await self._blocking.work(_rows, name, one, listed, query.one("q"))
        return found

    # -- copies --

    async def _copy(self, request: Request, name: str) -> None:
        """Publish packages of one suite in another, too: a promotion."""
        # Which suite is changed stands in the body; who may not even read has no business here.
        grant = await self._gate.admit(request, apt(name, Action.PULL), [apt(name, Action.PUSH)])
        order = await read_json(request, _Copy, _MAX_BODY)
        grant.require(apt(name, Action.PUSH, order.target))
        repository = self._site.apt_named(name).repository
        source, target = known_suite(repository, order.source), known_suite(repository, order.target)
        added = await repository.copy(source.codename, target.codename, order.wanted())
        for one in added:
            grant.record(
                "copy",
                f"apt:{name}",
                source=source.codename,
                suites=[target.codename],
                package=f"{one.name} {one.version} {one.architecture}",
                file=one.path,
                sha256=one.sha256,
            )
        rows = [
            {
                "name": one.name,
                "version": one.version,
                "architecture": one.architecture,
                "path": one.path,
                "sha256": one.sha256,
                "created": one.created,
            }
            for one in added
        ]
        send_json(request, 200, {"suite": target.codename, "packages": rows})


_NO_STORE = b"Cache-Control: no-store\r\n"


def _access(repository: str) -> Access:
    """Reading a repository that is written `apt:<name>` or `rpm:<name>`."""
    kind, _, name = repository.partition(":")
    if kind == "apt":
        return apt(name, Action.PULL)
    if kind == "rpm":
        return rpm(name, Action.PULL)
    raise InvalidRequest("repository", "apt:NAME or rpm:NAME is needed")


def _rows(repository: str, suite: str, listed: Sequence[Listed], part: str | None) -> list[dict[str, Any]]:
    """Packages as JSON has them, those whose name has `part` in it."""
    return [
        {
            "repository": repository,
            "suite": suite,
            "component": one.component,
            "name": one.name,
            "version": one.version,
            "architecture": one.architecture,
            "path": one.path,
            "size": one.size,
            "sha256": one.sha256,
        }
        for one in listed
        if part is None or part in one.name
    ]
