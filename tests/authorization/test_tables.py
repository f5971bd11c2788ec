"""No route is forgotten: whatever the daemon serves is in the matrix, and says itself what it needs."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Access, Action
from pkgd.composition import compose
from pkgd.config import parse
from pkgd.outbound.client import Limits
from pkgd.sharing import Tasks
from pkgd.storage.fsops import FileSystem
from pkgd.web.api.keys import KeysApi
from pkgd.web.api.refreshtokens import RefreshTokensApi
from pkgd.web.api.users import UsersApi
from pkgd.web.auth.token import TokenApi
from pkgd.web.gate import declared_access
from pkgd.web.health import HealthApi
from pkgd.web.metrics import MetricsApi
from pkgd.web.openapi.door import OpenApiDoor
from pkgd.web.root import KleinTree, Root
from tests.authorization.requests import APT, IMAGES, MIRRORED, NAMELESS, RPMS
from tests.loop import Loop

ASKS = [*IMAGES, *NAMELESS, *MIRRORED, *APT, *RPMS]
DOORS = {"_registry", "_packages", "_api", "_tokens", "_openapi", "_nowhere"}
WORDS = {"enter": Action.ENTER, "list": Action.LIST}


class TableTests(SynchronousTestCase):
    """The tables of a daemon that was made from a configuration with everything in it."""

    def setUp(self) -> None:
        """Make one."""
        directory = self.mktemp()
        htpasswd = self.mktemp()
        with open(htpasswd, "w", encoding="ascii") as file:
            file.write("")
        text = f"enableProxy: true\nauth: {{mode: basic, basic_htpasswd_file: {htpasswd}}}\nstate_dir: {directory}"
        reactor: Any = Loop()
        self.root: Any = compose(reactor, parse(text, {}, "."), FileSystem(), Tasks(), Limits()).root

    def assert_asked(self, door: str, rows: dict[tuple[str, str], Access | Action]) -> None:
        """The matrix has these rows and no others; and what the rows declare is the first thing that each needs."""
        asked = {(one.row[1], one.method): one.needs.split()[0] for one in ASKS if one.row[0] == door}
        self.assertEqual(sorted(asked), sorted(rows))
        for row, declared in rows.items():
            action = declared.action if isinstance(declared, Access) else declared
            self.assertEqual(WORDS.get(asked[row]) or Action(asked[row]), action, row)

    def test_registry(self) -> None:
        """`/v2/`."""
        table = self.root._registry._table
        rows = {(kind.name, method.decode()): access for (kind, method), (_, access) in table.items()}
        self.assert_asked("registry", rows)

    def test_mirror(self) -> None:
        """What can be read from an upstream."""
        kinds = {kind.name for kind in self.root._registry._mirror._handlers}
        self.assertEqual({one.row[1] for one in MIRRORED}, kinds)

    def test_packages(self) -> None:
        """`/apt/` and `/rpm/`."""
        for door in ("apt", "rpm"):
            table = getattr(self.root._packages, f"_{door}")._rows
            rows = {(kind.name, method.decode()): action for (kind, method), (_, action) in table.items()}
            self.assert_asked(door, rows)

    def test_api(self) -> None:
        """`/api/v1/`."""
        self.assertEqual({one.row[1] for one in ASKS if one.row[0] == "api"}, set(self.root._api.routes.paths))

    def test_document(self) -> None:
        """The one path of the document about all of it, which is open."""
        found = {(one.row[1].encode(), one.needs) for one in ASKS if one.row[0] == "openapi"}
        self.assertEqual(found, {(OpenApiDoor.path, "")})

    def test_tokens(self) -> None:
        """The token service."""
        self.assertEqual({one.row[1].encode() for one in ASKS if one.row[0] == "tokens"}, TokenApi.paths)

    def test_open(self) -> None:
        """Klein's routes pass no gate: there are only those of probes and metrics."""
        found = set()
        for app in (HealthApi.app, MetricsApi.app):
            for endpoint in app.endpoints.values():
                self.assertIsNone(declared_access(endpoint))
            found |= {rule.rule for rule in app.url_map.iter_rules()}
        self.assertEqual({one.row[1] for one in ASKS if one.row[0] in ("probes", "metrics")}, found)

    def test_doors(self) -> None:
        """There is no other door. Those of `/api/v1` for accounts admit in one place (tests.web.api)."""
        doors = {name for name, value in vars(self.root).items() if hasattr(value, "handle")}
        self.assertEqual(doors, DOORS)
        self.assertEqual([type(one) for one in self.root._accounts], [KeysApi, RefreshTokensApi, UsersApi])
        self.assertEqual(set(self.root._doors), {b"health", b"ready", b"metrics"})
        self.assertTrue(all(isinstance(one, KleinTree) for one in self.root._doors.values()))
        self.assertIsInstance(self.root, Root)

    def test_doors_of_logins(self) -> None:
        """Where users log in by a provider there are two more: to log in, and a page without anything of anybody's."""
        text = "auth: {mode: oidc, oidc: {issuer: https://idp.example.com, client_id: a}}\nstate_dir: nowhere\n"
        config = parse(f"{text}server: {{external_url: https://pkg.example.com}}", {}, ".")
        reactor: Any = Loop()
        root = compose(reactor, config, FileSystem(), Tasks(), Limits()).root

        doors = {name for name, value in vars(root).items() if hasattr(value, "handle")}
        self.assertEqual(doors, DOORS | {"_logins", "_page"})
