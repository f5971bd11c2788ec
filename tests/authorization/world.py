"""A server with everything that it can serve, in memory: repositories in each area, upstreams, packages, and a gate.

What the server is made of is its own; only who vouches for people (`Users`), and the upstreams, are the test's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

from attrs import evolve, frozen
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.audit import Audit
from pkgd.auth.authority import Authority, Sources
from pkgd.auth.granting import Granting
from pkgd.auth.model import Access, Action, Identity, Principal
from pkgd.auth.policy import AllowAll
from pkgd.auth.scopes import Scope
from pkgd.auth.sources import Verdict
from pkgd.auth.throttle import Rate, Throttle
from pkgd.auth.tokenkeys import TokenKeys
from pkgd.auth.tokens import AccessTokens, TokenSettings
from pkgd.authorization import make_policy
from pkgd.config import parse
from pkgd.metrics import Metrics
from pkgd.mirror.origins import OriginRules
from pkgd.packages.apt import AptRepository
from pkgd.packages.layout import SPOOL
from pkgd.packages.records import AptSettings, RpmSettings, SuiteSettings
from pkgd.packages.rpm import RpmRepository
from pkgd.storage.fsops import DurableTree
from pkgd.storage.local import LocalStore
from pkgd.storage.space import FreeSpace
from pkgd.storage.spool import Spool
from pkgd.web.api.packages import ApiV1
from pkgd.web.auth.token import TokenApi, TokenParts
from pkgd.web.gate import Gate
from pkgd.web.metrics import MetricsApi
from pkgd.web.outside import Outside
from pkgd.web.packages.api import PackagesApi, Table
from pkgd.web.packages.apt import AptEndpoints
from pkgd.web.packages.endpoint import Hosted, Site
from pkgd.web.packages.pending import Pending
from pkgd.web.packages.receiving import Receiver
from pkgd.web.packages.rpm import RpmEndpoints
from pkgd.web.packages.sets import Sets
from pkgd.web.root import Root
from tests.authorization.people import PEOPLE, RULES, Person
from tests.formats.rpms import rpm
from tests.packages.fixtures import FakeSigner, made_deb
from tests.web.content import BLOB, CONFIG, PLAIN, image, push_blob, push_manifest
from tests.web.messages import Response
from tests.web.registry.mirror_fixtures import MirrorEdge

__all__ = ["COMPS", "DEB", "EXTRA", "LOOSE", "MOVED", "RPM", "Lines", "World"]

MOVED = image(annotations={"an": "other"})
EXTRA = image(annotations={"an": "extra"})
LOOSE = b"a blob that no manifest names"
DEB = made_deb()
RPM = rpm()
COMPS = b'<?xml version="1.0"?>\n<comps/>\n'

_SUITES = tuple(
    SuiteSettings(codename=one, components=("main",), architectures=("amd64",)) for one in ("stable", "testing")
)


class Users:
    """Vouches for everybody in `PEOPLE` who is known."""

    name, remote = "users", False

    def __init__(self) -> None:
        extra = {
            "member": {"groups": frozenset(["readers"])},
            "operator": {"groups": frozenset(["operators"])},
            "job": {"issuer": "https://ci.example.com", "claims": {"project": ("team", "*")}},
        }
        self._known = {
            one.name: Identity(Principal(one.name, **extra.get(one.name, {})), self.name)  # type: ignore[arg-type]
            for one in PEOPLE
            if one.is_known
        }
        # A key of an admin's, which is for reading the team's repositories.
        robot = self._known["robot"]
        self._known["robot"] = evolve(robot, principal=evolve(robot.principal, name="root"), cap=OnlyTeam())

    async def check(self, user: str, password: str, asked: Sequence[Scope] = ()) -> Identity | Verdict:
        """Whether it is a person's password."""
        found = self.remembered(user, password)
        return Verdict.REJECTED if found is None else found

    def remembered(
        self, user: str, password: str, asked: Sequence[Scope] = ()
    ) -> Identity | Literal[Verdict.UNKNOWN] | None:
        """The same, at once."""
        return self._known.get(user) if password == "secret" else None

    def is_current(self, identity: Identity) -> bool:
        """Nobody is ever removed."""
        return True


@frozen
class OnlyTeam:
    """What the robot's key is for."""

    def covers(self, access: Access) -> bool:
        """Whether it is reading what is the team's, or asking for lists."""
        kind, _, name = access.resource.partition(":")
        if not name:
            return access.action in (Action.ENTER, Action.LIST) and kind in ("registry", "packages")
        return access.action in (Action.PULL, Action.LIST) and kind != "mirror" and name.startswith("team")


class Lines:
    """In place of a log file: its lines."""

    is_open = True

    def __init__(self) -> None:
        self.lines: list[str] = []

    def append(self, line: str) -> None:
        """Keep a line."""
        self.lines.append(line)


class World(MirrorEdge):
    """See the module."""

    def __init__(self, case: SynchronousTestCase) -> None:
        super().__init__(
            case,
            OriginRules(enabled=True),
            mirror={"credentialed": frozenset(["ghcr.io"])},
            immutable=("**:v*",),
        )
        self.audited = Lines()
        self.sessions: dict[str, str] = {}
        self._tokens: dict[tuple[str, str], str] = {}
        self._host_packages()
        self.open_gate = Gate(AllowAll())
        self._guard(case)
        self._fill()

    def _host_packages(self) -> None:
        tree = DurableTree(os.path.join(self.directory, "state"), self.fs, fsync=False)
        os.makedirs(tree.root)
        spool = Spool(tree, SPOOL)
        store, signer = LocalStore(tree, self.blocking, spool), FakeSigner()
        ground = (store, spool, self.blocking, signer, self.clock)
        self.apt = {
            name: AptRepository(AptSettings(name=name, suites=_SUITES), *ground)
            for name in ("public", "team", "closed")
        }
        self.rpm = {
            name: RpmRepository(RpmSettings(name=name), *ground) for name in ("public/el9", "team/el9", "closed/el9")
        }
        site = Site(
            {name: Hosted(one, signer) for name, one in self.apt.items()},
            {name: Hosted(one, signer) for name, one in self.rpm.items()},
        )
        receiver = Receiver(spool, FreeSpace(tree, self.blocking, self.clock, 1 << 20), self.blocking)
        sets = Sets(receiver, Pending(receiver, self.clock.seconds), spool, self.blocking)
        gate = Gate(AllowAll())
        self.packages = PackagesApi(
            gate,
            site,
            Table(AptEndpoints(receiver, sets, self.blocking, Outside()).endpoints()),
            Table(RpmEndpoints(receiver, self.blocking, self.clock.seconds, Outside()).endpoints()),
        )
        self.api = ApiV1(gate, site, self.blocking)
        self.registry = self.root._registry
        for one in (*self.apt.values(), *self.rpm.values()):
            self.wait(one.start())

    def _guard(self, case: SynchronousTestCase) -> None:
        """Put a gate before everything, with people and rules."""
        now = self.clock.seconds
        policy = make_policy(parse(RULES, {}, case.mktemp()))
        keys = TokenKeys(os.path.join(self.directory, "token-keys"), "EdDSA", None, now)
        keys.use(keys.refresh())
        tokens = AccessTokens(keys, TokenSettings("pkgd", "pkgd"), now)
        audit = Audit(self.audited, now)  # type: ignore[arg-type]
        rate = Rate(1_000_000, 60.0)
        authority = Authority(Sources([Users()]), tokens, Throttle(rate, rate, now), now, failed=audit.failed_login)
        granting = Granting(policy, authority, lambda name: [f"docker.io/{name}"])
        outside = Outside(trusted=self.access_log.trusted)
        self.gate = Gate(policy, authority, outside, audit=audit)
        door = TokenApi(TokenParts(authority, tokens, granting, keys), outside)
        metrics = MetricsApi(Metrics(), self.blocking)
        self.root = Root(self.registry, self.health, metrics, self.packages, self.api, door)
        self.route = self.root.route
        self.use_gate(self.gate)

    def use_gate(self, gate: Gate) -> None:
        """Let every request pass this gate from now on."""
        doors: list[Any] = [self.registry, self.packages, self.api]
        for one in doors:
            one._gate = gate

    def wait(self, call: Any) -> Any:
        """The result of a call that ends when everything goes on that can."""
        ended: list[Any] = []
        Deferred.fromCoroutine(call).addBoth(ended.append)
        self.run()
        (found,) = ended
        assert not isinstance(found, BaseException), found
        return found

    # -- what is there --

    def _fill(self) -> None:
        self.use_gate(self.open_gate)
        for area in ("public", "team", "closed"):
            self.fill_images(f"{area}/app")
        for area in ("public", "team", "closed"):
            self.undone("PUT", f"/apt/{area}/stable/main/hello_1.0_amd64.deb", DEB)
            self.undone("PUT", f"/rpm/{area}/el9/hello-1.0-1.noarch.rpm", RPM)
            self.undone("PUT", f"/rpm/{area}/el9/comps.xml", COMPS)
        for host in ("docker.io", "ghcr.io"):
            shelf = self.shelf(host)
            shelf.manifest(PLAIN, "latest")
            for data in (BLOB, CONFIG):
                shelf.blob(data)

    def fill_images(self, name: str) -> None:
        """Push what the repository holds."""
        for blob in (BLOB, CONFIG, LOOSE):
            push_blob(self, name, blob)
        for tag, data in (("latest", PLAIN), ("v1", PLAIN), ("extra", EXTRA)):
            push_manifest(self, name, tag, data)

    def undone(self, method: str, target: str, body: bytes = b"") -> Response:
        """A request that no gate is asked about, and that succeeds."""
        self.use_gate(self.open_gate)
        answer = self.call(method, target, {}, body)
        self.use_gate(self.gate)
        assert answer.status < 300, (method, target, answer)
        return answer

    def session(self, name: str, owner: dict[str, str]) -> str:
        """The location of the upload session that its owner keeps open in a repository."""
        if name not in self.sessions:
            answer = self.call("POST", f"/v2/{name}/blobs/uploads/", owner)
            self.sessions[name] = str(answer.header("Location"))
        return self.sessions[name]

    # -- how people ask --

    def ask(self, person: Person, method: str, target: str, headers: dict[str, str], body: bytes) -> Response:
        """A request from where the person is."""
        return self.call(method, target, {**headers, "X-Forwarded-For": person.address}, body)

    def token(self, person: Person, scopes: str) -> str:
        """A token that the person has asked for, with these scopes."""
        key = (person.name, scopes)
        if key not in self._tokens:
            query = "&".join(f"scope={one}" for one in scopes.split())
            answer = self.ask(person, "GET", f"/auth/token?{query}", person.header, b"")
            assert answer.status == 200, answer
            self._tokens[key] = answer.json["token"]
        return self._tokens[key]
