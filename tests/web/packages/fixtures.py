"""The edge with package repositories behind it: apt's `main` with two suites, rpm's `main` and `internal/el9`."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.policy import AllowAll, Policy
from pkgd.packages.apt import AptRepository
from pkgd.packages.layout import SPOOL
from pkgd.packages.records import AptSettings, RpmSettings, SuiteSettings
from pkgd.packages.rpm import RpmRepository
from pkgd.storage.fsops import DurableTree
from pkgd.storage.local import LocalStore
from pkgd.storage.space import FreeSpace
from pkgd.storage.spool import Spool
from pkgd.web.api.packages import ApiV1
from pkgd.web.gate import Gate
from pkgd.web.outside import Outside
from pkgd.web.packages.api import PackagesApi, Table
from pkgd.web.packages.apt import AptEndpoints
from pkgd.web.packages.endpoint import Hosted, Site
from pkgd.web.packages.pending import Pending
from pkgd.web.packages.receiving import Receiver
from pkgd.web.packages.rpm import RpmEndpoints
from pkgd.web.packages.sets import Sets
from pkgd.web.root import Root
from tests.packages.fixtures import FakeSigner
from tests.web.fixtures import Edge

__all__ = ["PackagesEdge"]

APT = AptSettings(
    name="main",
    suites=(
        SuiteSettings(codename="stable", components=("main", "contrib"), architectures=("amd64",)),
        SuiteSettings(codename="testing", components=("main", "contrib"), architectures=("amd64",)),
    ),
)


class PackagesEdge(Edge):
    """An `Edge` whose root also has package repositories."""

    def __init__(
        self,
        case: SynchronousTestCase,
        policy: Policy | None = None,
        outside: Outside = Outside(),  # noqa: B008 - it never changes
        upload_size: int = 0,
    ) -> None:
        super().__init__(case)
        tree = DurableTree(os.path.join(self.directory, "state"), self.fs, fsync=False)
        os.makedirs(tree.root)
        self.state = tree
        self.spool = Spool(tree, SPOOL)
        store = LocalStore(tree, self.blocking, self.spool)
        self.signer = FakeSigner()
        ground = (store, self.spool, self.blocking, self.signer, self.clock)
        self.apt = AptRepository(APT, *ground)
        self.rpm = {name: RpmRepository(RpmSettings(name=name), *ground) for name in ("main", "internal/el9")}
        hosted = {name: Hosted(one, self.signer) for name, one in self.rpm.items()}
        site = Site({"main": Hosted(self.apt, self.signer)}, hosted)
        space = FreeSpace(tree, self.blocking, self.clock, 1 << 20)
        receiver = self.receiver = Receiver(self.spool, space, self.blocking, upload_size)
        self.pending = Pending(receiver, self.clock.seconds)
        sets = Sets(receiver, self.pending, self.spool, self.blocking)
        gate = Gate(policy or AllowAll())
        doors = PackagesApi(
            gate,
            site,
            Table(AptEndpoints(receiver, sets, self.blocking, outside, self.suspect).endpoints()),
            Table(RpmEndpoints(receiver, self.blocking, self.clock.seconds, outside, self.suspect).endpoints()),
        )
        self.root: Root = Root(self.root._registry, self.health, None, doors, ApiV1(gate, site, self.blocking))
        self.route = self.root.route
        for one in (self.apt, *self.rpm.values()):
            self.wait(one.start())

    def wait(self, call: Any) -> Any:
        """The result of a call that ends when everything goes on that can."""
        ended: list[Any] = []
        Deferred.fromCoroutine(call).addBoth(ended.append)
        self.run()
        (found,) = ended
        assert not isinstance(found, BaseException), found
        return found

    def spooled(self) -> list[str]:
        """What is left in the spool of packages."""
        return os.listdir(self.state.path(f"{SPOOL}/fills"))
