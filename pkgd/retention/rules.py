"""The rules of retention: which of them decides about a thing, and what of all that it decides about stays.

The first rule that names a thing decides. What no rule names stays for ever, and so does what is named by a rule that
sets no limits: such a rule keeps things from those behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from attrs import field, frozen

from pkgd.formats.globs import Globs

__all__ = ["Item", "Rule", "Rules", "going", "in_words"]

K = TypeVar("K")

_UNITS = (("d", 86400), ("h", 3600), ("m", 60))


@frozen
class Rule:
    """A rule; `title` is what it is called.

    :param resources: globs over `oci:REPOSITORY`, `apt:REPOSITORY`, `apt:REPOSITORY/SUITE` and `rpm:REPOSITORY`.
    :param tags: globs over the tags that it names; None names all of them, and manifests without any.
    :param packages: globs over the names of the packages that it names; None names all.
    :param newest: how many of them stay at least: in a repository of tags, or of the versions of a package.
    :param pushed_within: those that are younger stay, in seconds.
    :param untagged: how old a manifest without a tag has to be to go, in seconds; None: none goes.
    """

    title: str
    resources: tuple[str, ...]
    tags: tuple[str, ...] | None = None
    packages: tuple[str, ...] | None = None
    newest: int | None = None
    pushed_within: float | None = None
    untagged: float | None = None

    @property
    def has_limits(self) -> bool:
        """Whether any tag or package that it names may go."""
        return self.newest is not None or self.pushed_within is not None

    @property
    def ends_something(self) -> bool:
        """Whether anything at all that it names may go."""
        return self.has_limits or self.untagged is not None

    @property
    def reason(self) -> str:
        """Why a tag or a package goes."""
        within = None if self.pushed_within is None else f"not pushed within {in_words(self.pushed_within)}"
        newest = None if self.newest is None else f"not among the newest {self.newest}"
        return " and ".join(filter(None, (newest, within)))


@frozen
class Item(Generic[K]):
    """A tag or a package. The newest has the greatest `order`; `pushed` is None if it is not known."""

    key: K
    order: Any = field(repr=False)
    pushed: float | None


def going(rule: Rule, items: Sequence[Item[K]], now: float) -> list[Item[K]]:
    """Those that go of all that a rule decides about together, the oldest first.

    What came at an unknown time, or in the future, is young.
    """
    if not rule.has_limits:
        return []
    by_age = sorted(items, key=lambda one: one.order)
    old = by_age[: max(0, len(by_age) - rule.newest)] if rule.newest is not None else by_age
    within = rule.pushed_within
    return [one for one in old if within is None or (one.pushed is not None and now - one.pushed >= within)]


class Rules:
    """All of them, in their order."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules = [_Compiled(one) for one in rules]

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._rules)

    def of_tag(self, resource: str, tag: str) -> Rule | None:
        """Which decides about a tag."""
        return next((one.rule for one in self._rules if one.names(resource) and one.tags.match(tag)), None)

    def of_untagged(self, resource: str) -> Rule | None:
        """Which decides about the manifests of a repository that have no tag."""
        return next((one.rule for one in self._rules if one.names(resource) and one.rule.tags is None), None)

    def of_package(self, resources: Sequence[str], name: str) -> Rule | None:
        """Which decides about packages of a name.

        :param resources: what the repository is called, and the suite.
        """
        found = (one for one in self._rules if any(map(one.names, resources)) and one.packages.match(name))
        return next((one.rule for one in found), None)

    def may_end(self, resource: str) -> bool:
        """Whether anything of a repository, or of a suite, may have to go."""
        return any(one.names(resource) and one.rule.ends_something for one in self._rules)


class _Compiled:
    """A rule, ready to be asked."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.names = Globs(rule.resources).match
        self.tags = Globs(("**",) if rule.tags is None else rule.tags)
        self.packages = Globs(("**",) if rule.packages is None else rule.packages)


def in_words(seconds: float) -> str:
    """A duration as the configuration has it."""
    for unit, length in _UNITS:
        if seconds >= length and seconds % length == 0:
            return f"{seconds // length:.0f}{unit}"
    return f"{seconds:g}s"
