"""`WWW-Authenticate` for who has a token, and would get no better one."""

from __future__ import annotations

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Access, Principal
from pkgd.auth.policy import Decision
from tests.web.auth.fixtures import AuthEdge


@frozen
class Refusing:
    """A policy that allows nothing."""

    why: str = "no rule allows it"

    def allows(self, principal: Principal, access: Access) -> bool:
        """No."""
        return False

    def decide(self, principal: Principal, access: Access) -> Decision:
        """No, and why."""
        return Decision(False, self.why)


class DescriptionTests(SynchronousTestCase):
    """`error_description`, which docker shows instead of the body, and which alone HEAD has room for."""

    def challenge(self, method: str, target: str, user: str | None, why: str = "no rule allows it") -> str:
        """What follows `error` in the challenge to somebody's token, where nothing is allowed."""
        edge = AuthEdge(self, Refusing(why))
        if user is None:
            token = {"Authorization": f"Bearer {edge.call('GET', '/auth/token').json['token']}"}
        else:
            token = edge.bearer(user, "secret")
        answer = edge.call(method, target, token)
        self.assertEqual(answer.status, 401)
        return (answer.header("WWW-Authenticate") or "").partition('error="insufficient_scope"')[2]

    def test_denied(self) -> None:
        """The policy's sentence."""
        for method, target in (("POST", "/v2/a/blobs/uploads/"), ("PUT", "/v2/a/manifests/x")):
            self.assertEqual(
                self.challenge(method, target, "alice"),
                ',error_description="alice may not push oci:a: no rule allows it"',
            )

    def test_nobody(self) -> None:
        """With nobody's token: that credentials are needed."""
        for method, target in (("POST", "/v2/a/blobs/uploads/"), ("HEAD", "/v2/a/manifests/x")):
            self.assertEqual(self.challenge(method, target, None), ',error_description="credentials are needed"')

    def test_concealed(self) -> None:
        """Who may not even read it is told nothing."""
        for method in ("GET", "HEAD"):
            self.assertEqual(self.challenge(method, "/v2/a/manifests/x", "alice"), "")

    def test_unspeakable(self) -> None:
        """What a header can't carry becomes `?` (RFC 6750, 3)."""
        self.assertEqual(
            self.challenge("PUT", "/v2/a/manifests/x", "alice", '"no", says\\\r\nX: Zoë'),
            ',error_description="alice may not push oci:a: ?no?, says???X: Zo?"',
        )
