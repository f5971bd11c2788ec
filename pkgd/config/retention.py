"""`repositories.retention`: its sections, and what types don't say of rules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

import msgspec

from pkgd.config.authorization import canonical_resource
from pkgd.config.hosted import AptRepository, RpmRepository
from pkgd.config.kinds import Duration, Section
from pkgd.errors import ConfigError

__all__ = ["Retention", "RetentionRule", "check_retention"]

_SUITE_GLOB = re.compile(r"[A-Za-z0-9.+_~*?-]+")
_TAG_GLOB = re.compile(r"[A-Za-z0-9_.*?-]+")
_PACKAGE_GLOB = re.compile(r"[A-Za-z0-9_.+~*?-]+")
_WILD = re.compile(r"[*?]")


class RetentionRule(Section, frozen=True):
    """`repositories.retention.rules[]`: what it names, and what of that stays."""

    resources: list[str]
    tags: list[str] | None = None
    packages: list[str] | None = None
    newest: Annotated[int, msgspec.Meta(ge=1)] | None = None
    pushed_within: Duration | None = None
    untagged: Duration | None = None


class Retention(Section, frozen=True):
    """`repositories.retention`: which tags, manifests and packages go, and how often they are looked for."""

    interval: Duration = 86400.0
    rules: list[RetentionRule] = []


def check_retention(section: Retention, apt: Sequence[AptRepository], rpm: Sequence[RpmRepository]) -> None:
    """Refuse rules that could not mean anything, or something else than it seems.

    :raises ConfigError: with the key's path.
    """
    known = {f"rpm:{one.name}" for one in rpm}
    known |= {f"apt:{one.name}" for one in apt}
    known |= {f"apt:{one.name}/{suite.codename}" for one in apt for suite in one.suites}
    for at, rule in enumerate(section.rules):
        path = f"repositories.retention.rules[{at}]"
        if not rule.resources:
            raise ConfigError(f"{path}.resources", "at least one is needed")
        for number, one in enumerate(rule.resources):
            _check_resource(one, known, f"{path}.resources[{number}]")
        _check_kinds(rule, path)
        _check_globs(rule.tags, _TAG_GLOB, f"{path}.tags", "tags")
        _check_globs(rule.packages, _PACKAGE_GLOB, f"{path}.packages", "names of packages")
        if rule.pushed_within is not None and not rule.pushed_within:
            raise ConfigError(f"{path}.pushed_within", "nothing is that young: leave it out, or say how long")


def _check_resource(text: str, known: set[str], path: str) -> None:
    kind, _, glob = text.partition(":")
    if kind == "mirror":
        raise ConfigError(path, "what the mirror has cached is limited by mirror.evict")
    if "$" in text:
        raise ConfigError(path, "there are no claims here")
    name, slash, suite = glob.partition("/") if kind == "apt" else (glob, "", "")
    if canonical_resource(f"{kind}:{name}", path) != f"{kind}:{name}" or (slash and not _SUITE_GLOB.fullmatch(suite)):
        raise ConfigError(path, f"{text!r} is no glob over apt:REPOSITORY/SUITE")
    if kind in ("apt", "rpm") and not _WILD.search(text) and text not in known:
        raise ConfigError(path, f"there is no {text}: one of {', '.join(sorted(known)) or 'none'}")


def _check_kinds(rule: RetentionRule, path: str) -> None:
    """Refuse what has no meaning for the resources of a rule."""
    are_images = [one.startswith("oci:") for one in rule.resources]
    for key in ("tags", "untagged"):
        if getattr(rule, key) is not None and not all(are_images):
            raise ConfigError(f"{path}.{key}", "is for resources that begin with oci: alone")
    if rule.packages is not None and any(are_images):
        raise ConfigError(f"{path}.packages", "is for resources that begin with apt: or rpm: alone")
    if rule.tags is not None and rule.untagged is not None:
        raise ConfigError(f"{path}.untagged", "has no meaning beside tags: a rule without tags is needed for it")


def _check_globs(globs: list[str] | None, pattern: re.Pattern[str], path: str, what: str) -> None:
    if globs is not None and not globs:
        raise ConfigError(path, "at least one is needed; without the key, all are meant")
    for at, one in enumerate(globs or ()):
        if not pattern.fullmatch(one):
            raise ConfigError(f"{path}[{at}]", f"{one!r} is no glob over {what}")
