"""The token service, as docker, containerd, podman and oras use it."""

from __future__ import annotations

from typing import Any

import jwt
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Access, Action, Identity, Principal
from pkgd.auth.sources import Verdict
from pkgd.errors import AuthUnavailable
from pkgd.web.outside import Outside
from tests.auth.fixtures import FakeSource, FakeTokenSource, table
from tests.web.auth.fixtures import AuthEdge, basic
from tests.web.messages import Response, request_bytes
from tests.web.policies import Explained

ALICE = basic("alice", "secret")
UNVERIFIED = {"verify_signature": False}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Public(Explained):
    """Anybody may pull `public/…`; who has a name may do everything."""

    def allows(self, principal: Principal, access: Access) -> bool:
        """Whether that is so."""
        public = access.action is Action.PULL and access.resource.startswith(("oci:public/", "mirror:docker.io/"))
        return public or principal.name is not None


class FakeRefreshTokens:
    """Refresh tokens that say what they are."""

    def __init__(self) -> None:
        self.revoked: set[str] = set()

    def may_have(self, identity: Identity) -> bool:
        """See `RefreshTokens`."""
        return identity.principal.name is not None

    async def issue(self, identity: Identity, service: str, client: str) -> str:
        """See `RefreshTokens`."""
        return f"{identity.principal.name}@{service} by {client}"

    async def redeem(self, token: str, service: str) -> Identity | Verdict:
        """See `RefreshTokens`."""
        user, _, rest = token.partition("@")
        if token in self.revoked or not rest.startswith(service):
            return Verdict.REJECTED
        return Identity(Principal(user), "htpasswd", table(alice="secret").stamps["alice"])

    async def revoke(self, token: str) -> None:
        """See `RefreshTokens`."""
        self.revoked.add(token)


class TokenCase(SynchronousTestCase):
    """An edge with users."""

    def build(self, **options: Any) -> None:
        """Put it together."""
        self.edge = AuthEdge(self, **options)

    def setUp(self) -> None:
        """The usual one."""
        self.build()

    def get(self, query: str = "", headers: dict[str, str] | None = None, status: int = 200) -> Any:
        """The JSON of an answer to GET."""
        answer = self.edge.call("GET", f"/auth/token?service=pkg.example.com{query}", headers)
        return self.json(answer, status)

    def post(self, body: str, status: int = 200, path: str = "/auth/token") -> Any:
        """The JSON of an answer to POST."""
        return self.json(self.edge.call("POST", path, FORM, body.encode("utf-8")), status)

    def json(self, answer: Response, status: int) -> Any:
        """The answer's JSON; what is 200 is for nobody else's cache."""
        self.assertEqual(answer.status, status, answer)
        if status == 200:
            self.assertEqual(answer.header("Cache-Control"), "no-store")
            self.assertEqual(answer.header("Content-Type"), "application/json")
        return answer.json

    def access(self, token: str) -> list[Any]:
        """What a token says that it is good for."""
        found: list[Any] = jwt.decode(token, options={"verify_signature": False})["access"]
        return found


class GetTests(TokenCase):
    """`GET`, with Basic or without."""

    def test_answer(self) -> None:
        """It has the token twice, when it was made, how long it is good, and what for."""
        answer = self.get("&scope=repository:a/b:pull,push&account=alice&client_id=docker", ALICE)

        self.assertEqual(answer["token"], answer["access_token"])
        self.assertEqual(
            self.access(answer["token"]), [{"type": "repository", "name": "a/b", "actions": ["pull", "push"]}]
        )
        self.assertEqual((answer["expires_in"], answer["scope"]), (300, "repository:a/b:pull,push"))
        self.assertEqual(answer["issued_at"], "2025-06-15T15:06:40Z")
        self.assertNotIn("refresh_token", answer)

    def test_scopes(self) -> None:
        """Scopes are repeated, or several in one, or none, as docker logs in."""
        several = self.get("&scope=repository:a:pull%20repository:b:pull&scope=repository:c:pull", ALICE)
        self.assertEqual([one["name"] for one in self.access(several["token"])], ["a", "b", "c"])

        self.assertEqual(self.access(self.get("", ALICE)["token"]), [])

    def test_not_granted(self) -> None:
        """What isn't granted is no error."""
        answer = self.get("&scope=repository:a:delete&scope=nonsense&scope=repository:A:pull", ALICE)

        self.assertEqual(self.access(answer["token"]), [{"type": "repository", "name": "A", "actions": ["pull"]}])
        self.assertEqual(self.access(self.get("&scope=repository:a:delete", ALICE)["token"]), [])

    def test_anonymous(self) -> None:
        """Nobody gets a token, too: it enters, and does what anybody may."""
        self.build(policy=Public())
        answer = self.get("&scope=repository:public/a:pull,push&scope=repository:private:pull")
        self.assertEqual(answer["scope"], "repository:public/a:pull repository:private:pull")
        shown = {"Authorization": f"Bearer {answer['token']}"}

        statuses = [
            self.edge.call(method, target, shown).status
            for method, target in (
                ("GET", "/v2/"),
                ("GET", "/v2/public/a/tags/list"),
                ("GET", "/v2/private/tags/list"),
                ("POST", "/v2/public/a/blobs/uploads/"),
            )
        ]

        self.assertEqual(statuses, [200, 404, 401, 401])

    def test_wrong(self) -> None:
        """Wrong credentials are refused, with Basic as the way on, whatever is asked for."""
        for query in ("", "&scope=repository:a:pull"):
            answer = self.edge.call("GET", f"/auth/token?service=x{query}", basic("alice", "wrong"))
            self.assertEqual((answer.status, answer.code), (401, "UNAUTHORIZED"))
            self.assertEqual(answer.header("WWW-Authenticate"), 'Basic realm="pkgd", charset="UTF-8"')

    def test_foreign(self) -> None:
        """Credentials that nobody here knows do no harm to pulls that anybody may make, and no back end sees them."""
        remote = FakeSource(Verdict.UNKNOWN)
        self.build(policy=Public(), more=[remote])
        hub = basic("me@docker", "hub password")
        for query in (
            "&scope=repository:library/alpine:pull",
            "&scope=repository:public/a:pull&scope=repository:b:pull",
        ):
            answer = self.get(query, hub)
            self.assertNotIn("sub", jwt.decode(answer["token"], options={"verify_signature": False}))
        self.assertEqual(remote.asked, [])

        for query in ("", "&scope=repository:library/alpine:pull,push", "&scope=repository:a:pull&scope=apt:b:pull"):
            self.get(query, hub, 401)
        self.assertEqual(len(remote.asked), 3)

        self.build(policy=Public(), ignores_foreign=False)
        self.get("&scope=repository:library/alpine:pull", hub, 401)

    def test_ours(self) -> None:
        """For a repository that is here, and not for everybody, a back end is asked: its users come for that."""
        remote = FakeSource(Identity(Principal("carol"), "api:a"))
        self.build(policy=Public(), more=[remote])
        self.edge.hosted |= {"team/app", "public/b"}
        carol = basic("carol", "secret")
        for scope, asked in (
            ("repository:team/other:pull", 0),
            ("repository:public/b:pull", 0),
            ("repository:NOT/a/name:pull", 0),
            ("repository:team/app:pull", 1),
            ("repository:library/alpine:pull&scope=repository:team/app:pull", 2),
        ):
            token = self.get(f"&scope={scope}", carol)["token"]
            claims = jwt.decode(token, options={"verify_signature": False})
            self.assertEqual(claims.get("sub"), "carol" if asked else None, scope)
            self.assertEqual(len(remote.asked), asked, scope)

        remote.answer = Verdict.UNKNOWN
        for scope in ("repository:team/app:pull", "repository:team/other:pull"):
            # Wrong credentials get the same answer, whether there is such a repository or not.
            self.assertNotIn("sub", jwt.decode(self.get(f"&scope={scope}", carol)["token"], options=UNVERIFIED))

    def test_own_on_open_pulls(self) -> None:
        """Who is known is known also where nobody has to be."""
        self.build(policy=Public())
        answer = self.get("&scope=repository:library/alpine:pull", ALICE)

        self.assertEqual(jwt.decode(answer["token"], options={"verify_signature": False})["sub"], "alice")

    def test_no_token_for_a_token(self) -> None:
        """An access token buys no other: it would live for ever, and grow."""
        shown = self.edge.bearer("alice", "secret", "repository:a:pull")

        self.get("&scope=repository:b:push", shown, 401)

    def test_key(self) -> None:
        """An API key does."""
        self.build(tokens=[FakeTokenSource()])
        for shown in ({"Authorization": "Bearer pkgd_good"}, basic("anything", "pkgd_good")):
            answer = self.get("&scope=repository:a:pull", shown)
            self.assertEqual(jwt.decode(answer["token"], options={"verify_signature": False})["via"], "key:1")

    def test_unavailable(self) -> None:
        """A back end that is down is 503, never 401."""
        self.build(more=[FakeSource(AuthUnavailable("down"))])
        answer = self.edge.call("GET", "/auth/token?service=x", basic("carol", "x"))

        self.assertEqual((answer.status, answer.header("Retry-After")), (503, "15"))

    def test_throttled(self) -> None:
        """After too many failures the answer is 429, and says when to come back."""
        self.build(per_user=1)
        self.get("", basic("alice", "x"), 401)
        answer = self.edge.call("GET", "/auth/token?service=x", basic("alice", "x"))

        self.assertEqual((answer.status, answer.header("Retry-After")), (429, "60"))

    def test_aliases(self) -> None:
        """It is at two more paths, where clients of other servers look; and nowhere below."""
        for path in ("/token", "/v2/token"):
            self.assertEqual(self.edge.call("GET", f"{path}?service=x", ALICE).status, 200)
        self.assertEqual(self.edge.call("GET", "/auth/token/x", ALICE).status, 404)

    def test_methods(self) -> None:
        """Nothing else can be done with it."""
        answer = self.edge.call("DELETE", "/auth/token", ALICE)
        self.assertEqual((answer.status, answer.header("Allow")), (405, "GET, POST"))

    def test_named(self) -> None:
        """The access log has the user."""
        self.get("", ALICE)
        self.get("", basic("alice", "x"), 401)

        self.assertEqual([line.split()[2] for line in self.edge.log_lines()], ["alice", "-"])


class PostTests(TokenCase):
    """`POST`, as containerd does first, and podman with identity tokens."""

    right = "grant_type=password&username=alice&password=secret&service=pkg.example.com&client_id=containerd-client"

    def test_password(self) -> None:
        """A user's name and password in the form are as good as in the header."""
        answer = self.post(f"{self.right}&scope=repository:a:pull+repository:b:pull&scope=repository:c:pull")

        self.assertEqual(answer["scope"], "repository:a:pull repository:b:pull repository:c:pull")
        self.assertEqual({"access_token", "expires_in", "issued_at", "scope"}, set(answer))

    def test_encoded(self) -> None:
        """The form is decoded once: `+` is a space, and the rest is UTF-8."""
        self.edge.wall.use(table(älice="a +%b"))

        self.post("grant_type=password&username=%C3%A4lice&password=a+%2B%25b&service=x")

    def test_wrong(self) -> None:
        """A wrong one is refused; another grant, or none, is no request."""
        self.post(self.right.replace("secret", "x"), 401)
        for grant in ("", "client_credentials"):
            self.post(f"grant_type={grant}", 400)

    def test_large(self) -> None:
        """A body of more than 64 KiB is refused before it is read."""
        client = self.edge.connect()
        client.send(request_bytes("POST", "/auth/token", {"Content-Length": "65537", "Expect": "100-continue"}))

        self.assertEqual(client.answer.status, 413)

    def test_header_is_no_grant(self) -> None:
        """A form without a grant isn't completed from the header."""
        answer = self.edge.call("POST", "/auth/token", {**FORM, **ALICE}, b"scope=repository:a:pull")
        self.assertEqual(answer.status, 400)


class RefreshTests(TokenCase):
    """Refresh tokens: for who asks for one, where there are any."""

    def setUp(self) -> None:
        """They are there."""
        self.refresh = FakeRefreshTokens()
        self.build(refresh=self.refresh)

    def test_issued(self) -> None:
        """docker asks by `offline_token`, others by `access_type`; nobody gets one who is nobody."""
        for query in ("&offline_token=true", "&access_type=offline"):
            answer = self.get(f"{query}&client_id=docker", ALICE)
            self.assertEqual(answer["refresh_token"], "alice@pkg.example.com by docker")
        self.assertNotIn("refresh_token", self.get("", ALICE))
        self.assertNotIn("refresh_token", self.get("&offline_token=true"))

        answer = self.post(f"{PostTests.right}&access_type=offline")
        self.assertEqual(answer["refresh_token"], "alice@pkg.example.com by containerd-client")

    def test_redeemed(self) -> None:
        """It buys tokens, and is given back; scopes may be repeated."""
        token = self.get("&offline_token=true&client_id=docker", ALICE)["refresh_token"]
        form = f"grant_type=refresh_token&refresh_token={token}&service=pkg.example.com&access_type=offline"

        answer = self.post(f"{form}&scope=repository:a:pull&scope=repository:b:push")

        self.assertEqual((answer["refresh_token"], answer["scope"]), (token, "repository:a:pull repository:b:push"))

    def test_refused(self) -> None:
        """One that is revoked, of another service, or of a user who is out, buys nothing."""
        form = "grant_type=refresh_token&service=x&refresh_token="
        self.post(f"{form}alice@other", 401)
        self.refresh.revoked.add("alice@pkg.example.com")
        self.post(f"{form}alice@pkg.example.com", 401)
        self.post(f"{form}mallory@pkg.example.com", 401)

        self.edge.wall.use(table(alice="new"))
        self.post(f"{form}alice@pkg.example.com.", 401)

    def test_switched_off(self) -> None:
        """Without them there are none, whoever asks."""
        self.build()
        self.assertNotIn("refresh_token", self.get("&offline_token=true", ALICE))
        self.post("grant_type=refresh_token&refresh_token=alice@pkg.example.com", 401)


class JwksTests(TokenCase):
    """`/auth/jwks`."""

    def test_verifies(self) -> None:
        """With what is there, others can verify tokens."""
        (key,) = self.edge.call("GET", "/auth/jwks").json["keys"]
        token = self.get("&scope=repository:a:pull", ALICE)["token"]

        found = jwt.decode(token, jwt.PyJWK(key), ["EdDSA"], audience="pkg.example.com", options={"verify_exp": False})

        self.assertEqual(
            (found["iss"], jwt.get_unverified_header(token)["kid"]), ("https://pkg.example.com", key["kid"])
        )

    def test_methods(self) -> None:
        """It is read."""
        self.assertEqual(self.edge.call("HEAD", "/auth/jwks").body, b"")
        self.assertEqual(self.edge.call("POST", "/auth/jwks").status, 405)


class OutsideTests(TokenCase):
    """What the service is called."""

    def test_host(self) -> None:
        """Without an external URL it is what the client calls it."""
        self.build(outside=Outside())
        answer = self.edge.call("GET", "/v2/", {"Host": "localhost:5000"})

        self.assertEqual(
            answer.header("WWW-Authenticate"),
            'Bearer realm="http://localhost:5000/auth/token",service="localhost:5000"',
        )
