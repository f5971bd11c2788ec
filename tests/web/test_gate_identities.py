"""The gate with an authority behind it: every verdict, and how it is worded."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Access, Action, Identity, Principal, mirrored, oci
from pkgd.auth.sources import Verdict
from pkgd.errors import AuthUnavailable, Unauthenticated
from tests.auth.fixtures import FakeSource, table
from tests.web.auth.fixtures import URL, AuthEdge, basic
from tests.web.content import BLOB, CONFIG, PLAIN, digest_of
from tests.web.messages import Response, request_bytes
from tests.web.policies import Explained
from tests.web.recorder import recorded

ALICE = basic("alice", "secret")


class IdentityTests(SynchronousTestCase):
    """With an authority: who is let in, and how everybody else is told what to do."""

    def build(self, policy: Any = None, **options: Any) -> AuthEdge:
        """An edge with `alice`, whose password is `secret`."""
        self.edge = AuthEdge(self, policy, **options)
        return self.edge

    def call(self, method: str, target: str, headers: dict[str, str] | None = None) -> Response:
        """One request."""
        return self.edge.call(method, target, headers)

    def push(self, name: str) -> None:
        """Push the blob `x`."""
        self.assertEqual(
            self.edge.call("POST", f"/v2/{name}/blobs/uploads/?digest={digest_of(b'x')}", ALICE, b"x").status, 201
        )

    def challenge(self, answer: Response, status: int = 401) -> str | None:
        """The one challenge of a refusal."""
        self.assertEqual(answer.status, status, answer)
        return answer.header("WWW-Authenticate")

    def bearer(self, *parts: str) -> str:
        """The challenge of the registry."""
        return ",".join([f'Bearer realm="{URL}/auth/token"', 'service="pkg.example.com"', *parts])

    def test_scopes(self) -> None:
        """The registry's challenge says where there are tokens, and which is needed, on every method."""
        self.build()
        for method, target, scope in (
            ("GET", "/v2/", ""),
            ("HEAD", "/v2/", ""),
            ("GET", "/v2/_catalog", 'scope="registry:catalog:*"'),
            ("GET", "/v2/a/b/tags/list", 'scope="repository:a/b:pull"'),
            ("HEAD", "/v2/a/b/manifests/x", 'scope="repository:a/b:pull"'),
            ("PUT", "/v2/a/b/manifests/x", 'scope="repository:a/b:pull,push"'),
            ("DELETE", "/v2/a/b/manifests/x", 'scope="repository:a/b:delete"'),
            ("POST", "/v2/a/blobs/uploads/", 'scope="repository:a:pull,push"'),
            (
                "POST",
                f"/v2/a/blobs/uploads/?mount=sha256:{'0' * 64}&from=team%2Fb",
                'scope="repository:a:pull,push repository:team/b:pull"',
            ),
            ("POST", "/v2/a/blobs/uploads/?from=%22", 'scope="repository:a:pull,push"'),
        ):
            answer = self.call(method, target)
            self.assertEqual(self.challenge(answer), self.bearer(*filter(None, [scope])), target)
            self.assertEqual(answer.header("Docker-Distribution-Api-Version"), "registry/2.0")
            if method != "HEAD":
                self.assertEqual(answer.code, "UNAUTHORIZED")

    def test_told(self) -> None:
        """Who vouches for a password hears which token would be needed for that."""
        remote = FakeSource(Identity(Principal("carol"), "api:a"))
        self.build(more=[remote])
        carol = basic("carol", "x")
        for method, target, scopes in (
            ("GET", "/v2/", ""),
            ("GET", "/v2/_catalog", "registry:catalog:*"),
            ("GET", "/v2/a/b/tags/list", "repository:a/b:pull"),
            ("PUT", "/v2/a/b/manifests/x", "repository:a/b:pull,push"),
            (
                "POST",
                f"/v2/a/blobs/uploads/?mount=sha256:{'0' * 64}&from=b",
                "repository:a:pull,push repository:b:pull",
            ),
            ("DELETE", "/apt/main/stable/main/x.deb", "apt:main/stable:delete"),
            ("GET", "/api/v1/packages?repository=rpm:el9", "rpm:el9:pull"),
            ("GET", "/api/v1/packages", "apt:main:pull rpm:internal/el9:pull rpm:main:pull"),
            ("POST", "/api/v1/apt/main/copy", "apt:main:pull apt:main:pull,push"),
            ("GET", "/auth/token?scope=repository:x:pull&scope=apt:y:push", "repository:x:pull apt:y:push"),
        ):
            self.call(method, target, carol)
            self.assertEqual(remote.scopes[-1], scopes, target)
        self.call("GET", "/v2/a/tags/list", self.edge.bearer("alice", "secret", "repository:a:pull"))
        self.assertEqual(len(remote.scopes), 10)

    def test_basic(self) -> None:
        """Everywhere else the challenge is Basic, in text, and credentials that come unasked are good everywhere."""
        self.build()
        for method, target, status in (
            ("GET", "/apt/main/stable.sources", 200),
            ("HEAD", "/apt/main/stable.sources", 200),
            ("PUT", "/apt/main/stable/main/x.deb", 400),
            ("GET", "/rpm/main/repodata/repomd.xml", 200),
            ("GET", "/api/v1/packages?repository=apt:main", 200),
        ):
            answer = self.call(method, target)
            self.assertEqual(self.challenge(answer), 'Basic realm="pkgd", charset="UTF-8"', target)
            self.assertEqual(self.call(method, target, ALICE).status, status, target)
        self.assertEqual(self.call("GET", "/v2/", ALICE).status, 200)

    def test_wrong(self) -> None:
        """Wrong credentials are refused, also where none would do; a wrong token is called one."""
        self.build(Everybody())
        self.assertEqual(self.call("GET", "/v2/a/tags/list").status, 404)
        scope = 'scope="repository:a:pull"'
        for shown, parts in (
            (basic("alice", "wrong"), [scope]),
            (basic("mallory", "secret"), [scope]),
            ({"Authorization": "Bearer nonsense"}, [scope, 'error="invalid_token"']),
        ):
            answer = self.call("GET", "/v2/a/tags/list", shown)
            self.assertEqual(self.challenge(answer), self.bearer(*parts))
        self.challenge(self.call("GET", "/api/v1/packages", basic("alice", "wrong")))

    def test_enter(self) -> None:
        """Nobody gets into `/v2/` without credentials, or docker would never send any; with some, everybody does."""
        self.build(Everybody())
        self.challenge(self.call("GET", "/v2/"))

        for shown in (ALICE, self.edge.bearer("alice", "secret"), self.anonymous()):
            self.assertEqual(self.call("GET", "/v2/", shown).status, 200)

    def anonymous(self) -> dict[str, str]:
        """Nobody's token."""
        return {"Authorization": f"Bearer {self.call('GET', '/auth/token').json['token']}"}

    def test_insufficient_scope(self) -> None:
        """A token that isn't meant for this is told which one is."""
        self.build()
        shown = self.edge.bearer("alice", "secret", "repository:a:pull")

        self.assertEqual(self.call("GET", "/v2/a/tags/list", shown).status, 404)
        for method, target, scope in (
            ("GET", "/v2/b/tags/list", "repository:b:pull"),
            ("POST", "/v2/a/blobs/uploads/", "repository:a:pull,push"),
        ):
            answer = self.call(method, target, shown)
            self.assertEqual(self.challenge(answer), self.bearer(f'scope="{scope}"', 'error="insufficient_scope"'))

    def test_no_better_token(self) -> None:
        """Who would get no better token is told why, also in the challenge: docker shows no more than that."""
        self.build()
        answer = self.call("DELETE", "/v2/a/manifests/x", self.edge.bearer("alice", "secret", "repository:a:*"))

        why = "alice may not delete oci:a: without rules"
        self.assertIn(why, answer.json["errors"][0]["message"])
        self.assertIn(f'error="insufficient_scope",error_description="{why}', self.challenge(answer) or "")

    def test_catalog(self) -> None:
        """A token for the catalog sees what its owner may pull, though it can pull nothing."""
        self.build()
        for data in (BLOB, CONFIG):
            target = f"/v2/a/blobs/uploads/?digest={digest_of(data)}"
            self.assertEqual(self.edge.call("POST", target, ALICE, data).status, 201)
        self.assertEqual(self.edge.call("PUT", "/v2/a/manifests/x", ALICE, PLAIN).status, 201)
        for shown in (ALICE, self.edge.bearer("alice", "secret", "registry:catalog:*")):
            self.assertEqual(self.call("GET", "/v2/_catalog", shown).json, {"repositories": ["a"]})
        self.challenge(self.call("GET", "/v2/_catalog", self.edge.bearer("alice", "secret")))

    def test_denied(self) -> None:
        """Who is known and may not is told so; what he may not read looks as if it were not there."""
        self.build(Nobody())
        for shown in (ALICE, self.edge.bearer("alice", "secret")):
            answer = self.call("PUT", "/v2/a/manifests/x", shown)
            if shown is ALICE:
                self.assertEqual((answer.status, answer.code), (403, "DENIED"))
                self.assertIn("alice may not push oci:a: no rule allows it", answer.json["errors"][0]["message"])
            answer = self.call("GET", "/v2/a/tags/list", ALICE)
            self.assertEqual((answer.status, answer.code), (404, "NAME_UNKNOWN"))
            self.assertIn("repository not known to the registry: a", answer.json["errors"][0]["message"])
        answer = self.call("GET", "/apt/main/stable.sources", ALICE)
        self.assertEqual(answer.status, 403)
        self.assertIn(b"alice may not pull apt:main", answer.body)

    def test_alike(self) -> None:
        """Without credentials, what is there and what isn't are the same."""
        self.build()
        self.push("there")

        answers = [self.call("GET", f"/v2/{name}/tags/list") for name in ("there", "other")]

        self.assertEqual(answers[0].body, answers[1].body)

    def test_mount(self) -> None:
        """Who may not pull from the source of a mount gets a session, as if the blob were not there."""
        self.build()
        self.push("a")
        mount = f"/v2/b/blobs/uploads/?mount={digest_of(b'x')}&from=a"

        narrow = self.edge.bearer("alice", "secret", "repository:b:pull,push")
        self.assertEqual(self.call("POST", mount, narrow).status, 202)
        wide = self.edge.bearer("alice", "secret", "repository:b:pull,push", "repository:a:pull")
        self.assertEqual(self.call("POST", mount, wide).status, 201)

    def test_upload_of_another(self) -> None:
        """An upload that one user has begun does not exist for another, whatever he may push."""
        self.build()
        place = self.call("POST", "/v2/a/blobs/uploads/", ALICE).header("Location") or ""
        bob = basic("bob", "other")

        for method in ("GET", "PATCH", "PUT", "DELETE"):
            target = f"{place}?digest={digest_of(b'')}" if method == "PUT" else place
            answer = self.call(method, target, bob)
            self.assertEqual((answer.status, answer.code), (404, "BLOB_UPLOAD_UNKNOWN"), method)
        self.assertEqual(self.call("GET", place, ALICE).status, 204)

    def test_before_the_body(self) -> None:
        """A refusal comes before the body, also where the password takes a while to check."""
        self.build()
        fields = {"Content-Length": "9", "Expect": "100-continue"}
        for shown in ({}, basic("alice", "wrong")):
            client = self.edge.connect()
            client.send(request_bytes("POST", "/v2/a/blobs/uploads/", {**fields, **shown}))
            self.assertEqual((client.answer.status, client.answer.header("Connection")), (401, "close"))

    def test_revoked(self) -> None:
        """Who leaves the file is out at his next request, with password and token."""
        self.build()
        shown = self.edge.bearer("alice", "secret", "repository:a:pull")
        self.assertEqual(self.call("GET", "/v2/", ALICE).status, 200)

        self.edge.wall.use(table(bob="other"))

        for one in (ALICE, shown):
            self.challenge(self.call("GET", "/v2/", one))

    def test_unavailable(self) -> None:
        """If nobody can tell, the answer is 503; after too many failures, 429."""
        self.build(more=[FakeSource(AuthUnavailable("down"))], per_user=1)
        self.assertEqual(self.call("GET", "/v2/", basic("carol", "x")).status, 503)
        self.challenge(self.call("GET", "/v2/", basic("alice", "x")))
        self.assertEqual(self.call("GET", "/v2/", basic("alice", "x")).status, 429)
        self.assertEqual(self.call("GET", "/apt/main/stable.sources", basic("alice", "x")).status, 429)

    def test_named(self) -> None:
        """The access log has the user as one word, and nobody for whoever isn't let in."""
        self.build()
        self.edge.wall.use(table(**{'al "ice': "secret"}))
        self.call("GET", "/v2/", basic('al "ice', "secret"))
        self.call("GET", "/v2/", basic("alice", "x"))
        self.call("GET", "/v2/")

        users = [line.split()[2] for line in self.edge.log_lines()]
        self.assertEqual(users, ['al\\x20\\"ice', "-", "-"])


class ForeignTests(SynchronousTestCase):
    """Credentials for an upstream, shown to the mirror."""

    hub = basic("me", "hub password")
    pull = mirrored("docker.io/library/alpine", False, "library/alpine")

    def admit(self, access: Access, shown: dict[str, str], **options: Any) -> Deferred[Any]:
        """Try to pass a gate whose policy lets everybody pull."""
        self.remote = FakeSource(Verdict.UNKNOWN)
        self.edge = AuthEdge(self, Pulls(), more=[self.remote], **options)
        request, _ = recorded("GET /v2/library/alpine/manifests/x HTTP/1.1", shown)
        return Deferred.fromCoroutine(self.edge.gate.admit(request, access))

    def test_ignored(self) -> None:
        """Where anybody may pull through the mirror, they do no harm, and no back end sees them."""
        for shown in (self.hub, {"Authorization": "Bearer foreign"}, {"Authorization": "Basic !"}):
            grant = self.successResultOf(self.admit(self.pull, shown))
            self.assertEqual((grant.principal.name, self.remote.asked), (None, []))

    def test_own(self) -> None:
        """Who is known is known there, too."""
        grant = self.successResultOf(self.admit(self.pull, ALICE))

        self.assertEqual(grant.principal.name, "alice")

    def test_needed(self) -> None:
        """Elsewhere they are wrong: on hosted repositories, on what not everybody may pull, and by configuration."""
        private = mirrored("docker.io/private/x", True, "private/x")
        for access in (oci("library/alpine", Action.PULL), private):
            self.failureResultOf(self.admit(access, self.hub), Unauthenticated)
            self.assertEqual(len(self.remote.asked), 1)
        self.failureResultOf(self.admit(self.pull, self.hub, ignores_foreign=False), Unauthenticated)


class Everybody(Explained):
    """A policy that allows everything."""

    def allows(self, principal: Principal, access: Access) -> bool:
        """Yes."""
        return True


class Nobody(Explained):
    """A policy that allows nothing."""

    def allows(self, principal: Principal, access: Access) -> bool:
        """No."""
        return False


class Pulls(Explained):
    """A policy that lets everybody pull what isn't private."""

    def allows(self, principal: Principal, access: Access) -> bool:
        """Whether it is that."""
        return principal.name is not None or (access.action is Action.PULL and not access.private)
