"""Versions of packages that go, from a suite of an apt repository or from an rpm repository.

They are counted for each name, component and architecture by themselves, the newest by their versions. A source stays
as long as something in the suite that was built from it does. All that goes of a suite is taken out in one publish.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from attrs import evolve, frozen

from pkgd.blocking import Blocking
from pkgd.errors import PkgdError, UnknownPackage
from pkgd.formats import debversion, rpmversion
from pkgd.packages.apt import AptRepository
from pkgd.packages.records import Listed, Served
from pkgd.packages.removals import Held, Removal
from pkgd.packages.rpm import RpmRepository
from pkgd.retention.outcomes import Goner, Order, Outcome, Times
from pkgd.retention.rules import Item, Rule, Rules, going

__all__ = ["PackageRetention", "Suite", "suites_of"]

# So many names are taken out in one publish.
_MOST = 1000

_SOURCE = "source"


@frozen
class Suite:
    """A suite of an apt repository, or an rpm repository; `resources` are the names that rules may have for it."""

    resources: Sequence[str]
    order: Callable[[str], object]
    held: Callable[[], Awaitable[Sequence[Held]]]
    fetch: Callable[[str], Awaitable[Served]]
    remove: Callable[[Sequence[Removal]], Awaitable[Sequence[Listed]]]


def suites_of(repositories: Sequence[AptRepository | RpmRepository]) -> list[Suite]:
    """All of some repositories."""
    found = []
    for one in repositories:
        if isinstance(one, RpmRepository):
            found.append(Suite([f"rpm:{one.settings.name}"], _rpm_order, one.held, one.open, one.remove_together))
            continue
        for suite in one.settings.suites:
            name, codename = f"apt:{one.settings.name}", suite.codename
            held, remove = partial(one.held, codename), partial(one.remove_together, codename)
            found.append(Suite([f"{name}/{codename}", name], debversion.key, held, one.open, remove))
    return found


@frozen
class _Group:
    """Versions of a package of one name, component and architecture, and the rule that decides about them.

    The `surplus` goes unless it is young.
    """

    rule: Rule
    items: Sequence[Item[Held]]
    surplus: Sequence[Item[Held]]


class PackageRetention:
    """Looks at one suite or rpm repository after another."""

    def __init__(self, blocking: Blocking, times: Times) -> None:
        self._blocking = blocking
        self._times = times

    async def run(self, suite: Suite, rules: Rules, order: Order) -> Outcome:
        """What goes of a suite or an rpm repository."""
        found = Outcome(suite.resources[0])
        try:
            held = await suite.held()
            groups = await self._blocking.work(_grouped, suite, rules, held)
            decided = [(one, await self._old(suite, one)) for one in groups if one.surplus]
            removals = await self._blocking.work(_removals, held, decided)
            rule_of = {item.key.listed: (one.rule, item.pushed) for one, old in decided for item in old}
            found.stays = sum(len(one.items) for one in groups) - sum(len(one.going) for one in removals)
            for start in range(0, len(removals), _MOST):
                if order.is_over():
                    break
                batch = removals[start : start + _MOST]
                gone = await suite.remove(batch) if order.apply else [it for one in batch for it in one.going]
                for listed in gone:
                    goner = _goner(listed, *rule_of[listed])
                    found.goes.append(goner)
                    if order.apply:
                        order.note(found.resource, goner)
        except PkgdError as error:
            found.problem = error.message
        return found

    async def _old(self, suite: Suite, group: _Group) -> Sequence[Item[Held]]:
        """Those of the surplus that are old enough to go; when a file came is only asked where that matters."""
        if group.rule.pushed_within is None:
            return group.surplus
        dated = [evolve(one, pushed=await self._pushed(suite, one.key.listed)) for one in group.surplus]
        return going(evolve(group.rule, newest=None), dated, self._times.now())

    async def _pushed(self, suite: Suite, listed: Listed) -> float | None:
        """When the file of a package came; None if it isn't there."""
        try:
            served = await suite.fetch(listed.path)
        except UnknownPackage:
            return None
        served.reader.close()
        return served.modified


def _grouped(suite: Suite, rules: Rules, held: Sequence[Held]) -> list[_Group]:
    """What rules decide about that have limits."""
    found: dict[tuple[str, ...], list[Item[Held]]] = {}
    deciding: dict[str, Rule | None] = {}
    for one in held:
        listed = one.listed
        if listed.name not in deciding:
            deciding[listed.name] = rules.of_package(suite.resources, listed.name)
        rule = deciding[listed.name]
        if rule is not None and rule.has_limits:
            key = listed.name, listed.component, listed.architecture, listed.path.rpartition(".")[2]
            found.setdefault(key, []).append(Item(one, (suite.order(listed.version), listed.version), None))
    groups = []
    for (name, *_), items in found.items():
        rule = deciding[name]
        if rule is not None:
            by_count = evolve(rule, newest=rule.newest or 0, pushed_within=None)
            groups.append(_Group(rule, items, going(by_count, items, 0.0)))
    return groups


def _removals(held: Sequence[Held], decided: Sequence[tuple[_Group, Sequence[Item[Held]]]]) -> list[Removal]:
    """What goes and why it may; without sources that are needed."""
    old = {item.key for _, items in decided for item in items}
    needed = {one.source for one in held if one not in old and one.listed.architecture != _SOURCE}
    old = {one for one in old if one.listed.architecture != _SOURCE or one.source not in needed}
    found = []
    for group, _ in decided:
        those = [item.key for item in sorted(group.items, key=lambda one: one.order)]
        leaving = [one.listed for one in those if one in old]
        if leaving:
            found.append(Removal(leaving, [one.listed for one in those if one not in old]))
    return found


def _goner(listed: Listed, rule: Rule, pushed: float | None) -> Goner:
    return Goner(
        "package",
        f"{listed.name} {listed.version} {listed.architecture}",
        rule.title,
        rule.reason,
        pushed,
        component=listed.component or None,
        file=listed.path,
    )


def _rpm_order(version: str) -> object:
    """What sorts as a version does that a listing has: `epoch:version-release`, without an epoch of 0."""
    epoch, colon, rest = version.partition(":")
    numbers, _, release = (rest if colon else version).rpartition("-")
    return rpmversion.key(rpmversion.Evr(int(epoch) if colon else 0, numbers, release))
