"""One pass over everything that rules name: hosted repositories, suites, rpm repositories, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.progress import Progress
from pkgd.registry.catalog import hosted_repositories
from pkgd.registry.contents import ContentsReader
from pkgd.registry.leases import Leases
from pkgd.registry.manifests import Manifests
from pkgd.registry.stored import StoredManifests
from pkgd.retention.images import ImageRetention
from pkgd.retention.outcomes import Order, Outcome, Times
from pkgd.retention.packages import PackageRetention, Suite
from pkgd.retention.rules import Rules
from pkgd.storage.interfaces import ObjectStore
from pkgd.storage.local import LocalStore

__all__ = ["Retention"]

log = Logger()


class Retention:
    """What one repository cannot have done to it is noted, and the others are looked at."""

    def __init__(
        self,
        store: ObjectStore,
        images: ImageRetention,
        packages: PackageRetention,
        suites: Callable[[], Sequence[Suite]],
    ) -> None:
        """
        :param suites: those that are there now.
        """
        self.images = images
        self._store = store
        self._packages = packages
        self._suites = suites

    @classmethod
    def of(
        cls,
        store: LocalStore,
        blocking: Blocking,
        stored: StoredManifests,
        contents: ContentsReader,
        leases: Leases,
        manifests: Manifests,
        suites: Callable[[], Sequence[Suite]],
    ) -> Retention:
        """With all that it consists of.

        :param manifests: what removes tags and manifests.
        """
        times = Times()
        images = ImageRetention(store, blocking, stored, contents, leases, manifests, times)
        return cls(store, images, PackageRetention(blocking, times), suites)

    async def run(self, rules: Rules, order: Order, progress: Progress) -> list[Outcome]:
        """One pass; repositories of which nothing may go are not in the result.

        :raises Storage: if the tree's top cannot be listed.
        """
        names = [one async for one in hosted_repositories(self._store) if rules.may_end(f"oci:{one}")]
        suites = [one for one in self._suites() if any(map(rules.may_end, one.resources))]
        progress.begin("repositories", len(names) + len(suites))
        found = list[Outcome]()
        for name in names:
            if not order.is_over():
                found.append(await self.images.run(name, rules, order))
                progress.advance()
        for suite in suites:
            if not order.is_over():
                found.append(await self._packages.run(suite, rules, order))
                progress.advance()
        for one in found:
            if one.problem:
                log.warn("{resource} was left alone: {reason}", resource=one.resource, reason=one.problem)
        return found
