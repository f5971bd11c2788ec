"""A row of the tables of `/apt/` and `/rpm/`, the requests that handlers get, and what is hosted."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

from attrs import Factory, frozen

from pkgd.errors import NotReady, UnknownRepository
from pkgd.packages.apt import AptRepository
from pkgd.packages.records import SuiteSettings
from pkgd.packages.rpm import RpmRepository
from pkgd.packages.signing import Signer
from pkgd.web.gate import Grant
from pkgd.web.packages.paths import AptPath, Kind, RpmPath
from pkgd.web.request import Request

__all__ = ["AptCall", "Endpoint", "Hosted", "RpmCall", "Site", "known_component", "known_suite"]

R = TypeVar("R")

# What may be repeated in an example of YAML.
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~+/-]{0,99}")


@frozen
class Hosted(Generic[R]):
    """A repository, and who signs it."""

    repository: R
    signer: Signer


@frozen
class Site:
    """All repositories by their names.

    What is in `waiting` has not been read from the disk yet: whoever wrote to it would begin it anew.
    """

    apt: Mapping[str, Hosted[AptRepository]]
    rpm: Mapping[str, Hosted[RpmRepository]]
    waiting: list[AptRepository | RpmRepository] = Factory(list)

    def apt_named(self, name: str) -> Hosted[AptRepository]:
        """A repository by its name.

        :raises UnknownRepository: with the lines that would make it one.
        :raises NotReady: if it has not been read yet.
        """
        found = self.apt.get(name)
        if found is None:
            raise _unknown("apt", name, "    - {{name: {}, suites: [{{codename: stable}}]}}")
        self._check(found.repository)
        return found

    def rpm_named(self, name: str) -> Hosted[RpmRepository]:
        """A repository by its name.

        :raises UnknownRepository: with the lines that would make it one.
        :raises NotReady: if it has not been read yet.
        """
        found = self.rpm.get(name)
        if found is None:
            raise _unknown("rpm", name, "    - {{name: {}}}")
        self._check(found.repository)
        return found

    def _check(self, repository: AptRepository | RpmRepository) -> None:
        if repository in self.waiting:
            raise NotReady()


def known_suite(repository: AptRepository, codename: str) -> SuiteSettings:
    """A suite by its name.

    :raises UnknownRepository: with the lines that would make it one.
    """
    for one in repository.settings.suites:
        if one.codename == codename:
            return one
    name = repository.settings.name
    lines = f"        - codename: {codename}" if _WORD.fullmatch(codename) else ""
    raise UnknownRepository(_with_lines(f"suite {codename[:100]!r} of apt:{name}", "apt", f"    - name: {name}", lines))


def known_component(repository: AptRepository, suite: SuiteSettings, component: str) -> str:
    """A component of a suite, the first one if none is named.

    :raises UnknownRepository: with the line that would make it one.
    """
    if not component:
        return suite.components[0]
    if component in suite.components:
        return component
    name = repository.settings.name
    components = ", ".join([*suite.components, component])
    lines = (
        f"        - {{codename: {suite.codename}, components: [{components}]}}" if _WORD.fullmatch(component) else ""
    )
    what = f"component {component[:100]!r} of {suite.codename} in apt:{name}"
    raise UnknownRepository(_with_lines(what, "apt", f"    - name: {name}", lines))


def _unknown(kind: str, name: str, line: str) -> UnknownRepository:
    lines = line.format(name) if _WORD.fullmatch(name) else ""
    return UnknownRepository(_with_lines(f"{kind}:{name[:100]}", kind, lines))


def _with_lines(what: str, kind: str, *lines: str) -> str:
    """What is not there, and the lines of the configuration that are missing."""
    if not all(lines):
        return what
    inner = "\n".join([lines[0], *(["      suites:"] if len(lines) > 1 else []), *lines[1:]])
    return f"{what}. To have it, add to the configuration:\n\nrepositories:\n  {kind}:\n{inner}"


@frozen
class AptCall:
    """An admitted request to an apt repository."""

    request: Request
    path: AptPath
    hosted: Hosted[AptRepository]
    grant: Grant

    @property
    def repository(self) -> AptRepository:
        """The repository that the path names."""
        return self.hosted.repository


@frozen
class RpmCall:
    """An admitted request to an rpm repository."""

    request: Request
    path: RpmPath
    hosted: Hosted[RpmRepository]
    grant: Grant

    @property
    def repository(self) -> RpmRepository:
        """The repository that the path names."""
        return self.hosted.repository


@frozen
class Endpoint:
    """A row of a table."""

    kind: Kind
    methods: tuple[str, ...]
    handler: Callable[[Any], Awaitable[None]]
