"""The gate: every route says what it needs, and nobody passes without being asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Access, Action, Principal, oci
from pkgd.auth.policy import AllowAll
from pkgd.errors import Denied
from pkgd.web.gate import Gate, declared_access, declares, require_declarations
from pkgd.web.health import HealthApi
from pkgd.web.registry.api import RegistryApi
from pkgd.web.registry.endpoint import Call, Endpoint
from pkgd.web.registry.paths import Kind
from pkgd.web.root import Root
from tests.web.policies import Explained
from tests.web.recorder import recorded

ENTER = Access("registry", Action.ENTER)
# Who shows nothing, at the address that recorded requests come from.
NOBODY = Principal(address="192.0.2.7")


class RecordingPolicy(Explained):
    """Allows what it is told to, and notes what it is asked."""

    def __init__(self, *allowed: Access) -> None:
        self.allowed = allowed
        self.asked: list[tuple[Principal, Access]] = []

    def allows(self, principal: Principal, access: Access) -> bool:
        """Whether it was told to."""
        self.asked.append((principal, access))
        return access in self.allowed


class AdmitTests(SynchronousTestCase):
    """`admit` asks the policy, before a handler runs."""

    def admit(self, policy: Any, access: Access | None) -> Deferred[Any]:
        """Try to pass."""
        request, _ = recorded()
        return Deferred.fromCoroutine(Gate(policy).admit(request, access))

    def test_allowed(self) -> None:
        """Who is allowed gets a grant with the principal; the policy was asked about exactly that."""
        policy = RecordingPolicy(ENTER)

        grant = self.successResultOf(self.admit(policy, ENTER))

        self.assertEqual((grant.principal, policy.asked), (NOBODY, [(NOBODY, ENTER)]))

    def test_denied(self) -> None:
        """Who is not is refused, and told what was missing."""
        error = self.failureResultOf(self.admit(RecordingPolicy(), oci("a", Action.PUSH)), Denied).value

        self.assertEqual(error.message, "access denied: anonymous may not push oci:a: no rule allows it")

    def test_open(self) -> None:
        """What is open by its nature is open whatever the policy; its grant allows nothing further."""
        policy = RecordingPolicy()

        grant = self.successResultOf(self.admit(policy, None))

        self.assertEqual(policy.asked, [])
        self.assertFalse(grant.may(ENTER))

    def test_further_effects(self) -> None:
        """A grant is asked about each further effect, such as the source of a mount."""
        grant = self.successResultOf(self.admit(RecordingPolicy(ENTER, oci("a", Action.PULL)), ENTER))

        self.assertEqual(
            [grant.may(oci(name, Action.PULL)) for name in ("a", "b", "a/b", "")], [True, False, False, False]
        )
        grant.require(oci("a", Action.PULL))
        self.assertRaises(Denied, grant.require, oci("a", Action.DELETE))

    def test_mode_none(self) -> None:
        """`auth.mode: none` lets everybody do everything."""
        grant = self.successResultOf(self.admit(AllowAll(), oci("a", Action.DELETE)))

        self.assertTrue(all(grant.may(oci("b", action)) for action in Action))


class DeclarationTests(SynchronousTestCase):
    """What a handler declares, and that it must."""

    def test_declared(self) -> None:
        """A declaration is read back: an access, an action on what the path names, or that it is open."""
        for access in (ENTER, Action.PULL, None):

            @declares(access)
            def handler() -> None:
                """A handler."""

            self.assertIs(declared_access(handler), access)

    def test_method(self) -> None:
        """A bound method has the declaration of its function."""

        class Endpoints:
            @declares(Action.PULL)
            def get(self) -> None:
                """A handler."""

        self.assertIs(declared_access(Endpoints().get), Action.PULL)

    def test_undeclared(self) -> None:
        """Without one the handler is named: silence is not consent."""

        def forgotten() -> None:
            """A handler."""

        error = self.assertRaises(LookupError, declared_access, forgotten)
        self.assertIn("forgotten", str(error))


class RegistryStartTests(SynchronousTestCase):
    """The registry's table: a row without a declaration stops the start."""

    def build(self, handler: Callable[[Call], Any]) -> RegistryApi:
        """A registry with one row."""
        return RegistryApi(Gate(AllowAll()), [Endpoint(Kind.BASE, ("GET",), handler)])

    def test_declared(self) -> None:
        """With a declaration there is nothing to say."""

        @declares(ENTER)
        async def base(call: Call) -> None:
            """A handler."""

        self.assertIsInstance(self.build(base), RegistryApi)

    def test_undeclared(self) -> None:
        """Without one the start fails."""

        async def forgotten(call: Call) -> None:
            """A handler."""

        error = self.assertRaises(LookupError, self.build, forgotten)
        self.assertIn("forgotten", str(error))

    def test_open(self) -> None:
        """Nothing under `/v2/` is open by its nature: such a declaration fails the start as well."""

        @declares(None)
        async def too_open(call: Call) -> None:
            """A handler."""

        error = self.assertRaises(LookupError, self.build, too_open)
        self.assertIn("too_open", str(error))

    def test_denied_before_the_handler(self) -> None:
        """A refused request never reaches its handler, and the policy is asked about the path's repository."""
        reached: list[Call] = []

        @declares(Action.DELETE)
        async def delete(call: Call) -> None:
            """A handler."""
            reached.append(call)

        policy = RecordingPolicy()
        request, recorder = recorded("DELETE /v2/a/b/manifests/x HTTP/1.1")
        RegistryApi(Gate(policy), [Endpoint(Kind.MANIFEST, ("DELETE",), delete)]).handle(request)

        self.assertEqual((recorder.answer().status, reached), (403, []))
        self.assertEqual(policy.asked, [(NOBODY, oci("a/b", Action.DELETE))])

    def test_denied_at_once(self) -> None:
        """Also the short way, for what can be answered without waiting, leads through the gate."""
        tried: list[Call] = []

        @declares(Action.PULL)
        async def get(call: Call) -> None:
            """A handler."""

        def at_once(call: Call) -> bool:
            """Answers without waiting."""
            tried.append(call)
            return True

        policy = RecordingPolicy()
        registry = RegistryApi(Gate(policy), [Endpoint(Kind.MANIFEST, ("GET",), get, at_once)])
        request, _ = recorded("GET /v2/a/manifests/x HTTP/1.1")

        self.assertRaises(Denied, registry.handle, request)
        self.assertEqual((tried, policy.asked), ([], [(NOBODY, oci("a", Action.PULL))]))


class KleinStartTests(SynchronousTestCase):
    """Klein apps: a route without a declaration stops the start."""

    def test_declared(self) -> None:
        """With declarations there is nothing to say."""
        app = Klein()

        @app.route("/a")
        @declares(None)
        def a(request: object) -> None:
            """A handler."""

        require_declarations(app)

    def test_undeclared(self) -> None:
        """One route without a declaration among others with one fails the start, and is named."""
        app = Klein()

        @app.route("/a")
        @declares(None)
        def a(request: object) -> None:
            """A handler."""

        @app.route("/b")
        def forgotten(request: object) -> None:
            """A handler."""

        error = self.assertRaises(LookupError, require_declarations, app)
        self.assertIn("forgotten", str(error))

    def test_unasked(self) -> None:
        """A route that declares an access would be open all the same, for Klein's routes pass no gate."""
        app = Klein()

        @app.route("/a")
        @declares(Access("registry", Action.ENTER))
        def a(request: object) -> None:
            """A handler."""

        self.assertRaises(LookupError, require_declarations, app)

    def test_wrong_order(self) -> None:
        """A declaration above the route marks the wrong function: that counts as none."""
        app = Klein()

        @declares(None)
        @app.route("/a")
        def a(request: object) -> None:
            """A handler."""

        self.assertRaises(LookupError, require_declarations, app)

    def test_branches(self) -> None:
        """A route that takes everything below it needs a declaration like any other."""
        app = Klein()

        @app.route("/a/", branch=True)
        def forgotten(request: object) -> None:
            """A handler."""

        self.assertRaises(LookupError, require_declarations, app)

    def test_root(self) -> None:
        """The root checks its app when it is made."""

        class Health(HealthApi):
            app = Klein()

            @app.route("/secrets")
            def forgotten(self, request: object) -> None:
                """A handler."""

        registry = RegistryApi(Gate(AllowAll()), [])
        health: Any = Health(object(), Clock())  # type: ignore[arg-type]
        self.assertRaises(LookupError, Root, registry, health)

    def test_own_routes(self) -> None:
        """pkgd's own Klein routes are declared."""
        require_declarations(HealthApi.app)
        self.assertGreater(len(HealthApi.app.endpoints), 0)
