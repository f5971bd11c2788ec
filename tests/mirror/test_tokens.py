"""Authorization for upstreams: who is asked for a token, who sees credentials, and for how long a token is used."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred

from pkgd.errors import Upstream as UpstreamError
from pkgd.errors import UpstreamBusy, UpstreamCorrupt, UpstreamRefused, UpstreamTimeout, UpstreamUnavailable
from pkgd.mirror.challenge import Challenge
from pkgd.mirror.tokens import MAX_ANSWER, MAX_TOKENS, Credentials, Tokens, origin_of, scope_of
from tests.mirror.upstream_fixtures import (
    CREDENTIALS,
    HOME,
    ISSUED,
    MANIFEST,
    PASSWORD,
    REALM,
    Asked,
    Internet,
    Reply,
    UpstreamCase,
    token,
)

OTHER = f"{HOME}/v2/org/app/blobs/sha256:00"


def challenge(realm: str | None = REALM, **parameters: str) -> Challenge:
    """A challenge for a token."""
    return Challenge("bearer", parameters if realm is None else {"realm": realm, **parameters})


class CredentialsTests(UpstreamCase):
    """`Credentials`."""

    def test_header(self) -> None:
        """Name and password are sent as RFC 7617 has it, in UTF-8."""
        self.assertEqual(Credentials("Aladdin", "open sesame").header, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
        self.assertEqual(Credentials("test", "123£").header, "Basic dGVzdDoxMjPCow==")

    def test_secret(self) -> None:
        """The password is not shown."""
        self.assertNotIn(PASSWORD, f"{CREDENTIALS!r} {CREDENTIALS}")
        self.assertIn("robot", repr(CREDENTIALS))


class UrlTests(UpstreamCase):
    """What a URL says of who may be shown what."""

    def test_origin(self) -> None:
        """Scheme, host and port; the scheme's own port need not be written, and case is nothing."""
        self.assertEqual(origin_of("https://Quay.IO/v2/"), ("https", "quay.io", 443))
        self.assertEqual(origin_of("https://quay.io:443"), ("https", "quay.io", 443))
        self.assertEqual(origin_of("http://quay.io/"), ("http", "quay.io", 80))
        self.assertEqual(origin_of("http://quay.io:5000"), ("http", "quay.io", 5000))

    def test_scope(self) -> None:
        """Every URL of a repository takes the right to pull from it, and nothing more."""
        for rest in [
            "manifests/3",
            "manifests/sha256:00",
            "blobs/sha256:00",
            "tags/list",
            "tags/list?n=5",
            "referrers/x",
        ]:
            self.assertEqual(scope_of(f"{HOME}/v2/library/alpine/{rest}"), "repository:library/alpine:pull", rest)

    def test_scope_of_any_name(self) -> None:
        """Names may have the words of the API in them; a base may have a path of its own."""
        for name in ["a", "a/b/c", "v2/x", "blobs/manifests", "manifests/blobs/tags", "tags/list"]:
            for base in [HOME, "https://a.io/api/docker/repo"]:
                self.assertEqual(scope_of(f"{base}/v2/{name}/blobs/x?ns=docker.io"), f"repository:{name}:pull")

    def test_no_scope(self) -> None:
        """What is no repository's URL has none."""
        for url in [
            HOME,
            f"{HOME}/v2/",
            f"{HOME}/v2/_catalog",
            f"{HOME}/v2/manifests/x",
            "https://cdn.io/a/blobs/x?/v2/",
        ]:
            self.assertIsNone(scope_of(url), url)

    def test_linear(self) -> None:
        """The time grows as the URL does, which whoever redirects us has written."""
        for unit in ["/v2/", "/v2/a", "/blobs/x", "/blobs/", "/tags/list", "/"]:
            begin = time.process_time()
            scope_of(f"https://a.io/v2/{unit * (1 << 15)}")
            self.assertLess(time.process_time() - begin, 0.5, unit)


class TokensCase(UpstreamCase):
    """Docker Hub as an upstream, with credentials, and its token service."""

    def setUp(self) -> None:
        """Nothing has been issued yet."""
        super().setUp()
        self.internet.at(REALM, token(ISSUED, expires_in=300))
        self.tokens = self.made()

    def made(self, credentials: Credentials | None = CREDENTIALS, host: str = "docker.io", base: str = HOME) -> Tokens:
        """What answers the challenges of an upstream."""
        client: Any = self.internet
        return Tokens(host, base, client, credentials, self.clock)

    def answer(self, url: str = MANIFEST, *challenges: Challenge, refused: str | None = None) -> str:
        """The header that answers a URL's challenges."""
        return self.do(self.tokens.answer(url, list(challenges) or [challenge()], refused))

    def refused(self, kind: type[UpstreamError], *challenges: Challenge, url: str = MANIFEST) -> Any:
        """The error instead of an answer; it blames the upstream by its name, and nothing is left open."""
        error = self.refusal(self.tokens.answer(url, list(challenges) or [challenge()]), kind)
        self.assertEqual(error.host, "docker.io")
        self.assertEqual(self.internet.open, [])
        return error


class RequestTests(TokensCase):
    """What a token service is asked."""

    def test_request(self) -> None:
        """The service of the challenge, the repository, who asks; the credentials in the header only."""
        header = self.answer(MANIFEST, challenge(service="registry.docker.io", scope="repository:library/alpine:pull"))

        self.assertEqual(header, f"Bearer {ISSUED}")
        (asked,) = self.internet.asked
        self.assertEqual((asked.method, asked.url.partition("?")[0]), ("GET", REALM))
        self.assertEqual(
            asked.parameters,
            {"service": "registry.docker.io", "scope": "repository:library/alpine:pull", "account": "robot"},
        )
        self.assertEqual(asked.headers, {"Authorization": CREDENTIALS.header})
        self.assertEqual(self.internet.open, [])

    def test_scope_of_the_repository(self) -> None:
        """The scope is what the URL needs, whatever the challenge says: some say a placeholder, or too much."""
        for said in ["repository:user/image:pull", "repository:library/alpine:pull,push", "registry:catalog:*", ""]:
            self.answer(MANIFEST, challenge(scope=said))
            self.clock.advance(300)

        self.assertEqual({one.parameters["scope"] for one in self.internet.asked}, {"repository:library/alpine:pull"})

    def test_scope_of_the_challenge(self) -> None:
        """Where the URL is no repository's, it is what the challenge says, or nothing."""
        self.answer("https://registry-1.docker.io/download/x", challenge(scope="download:x"))
        self.answer("https://registry-1.docker.io/download/y", challenge())

        self.assertEqual([one.parameters.get("scope") for one in self.internet.asked], ["download:x", None])

    def test_anonymous(self) -> None:
        """Without credentials, nobody is named and no header sent."""
        self.tokens = self.made(None)

        self.assertEqual(self.answer(), f"Bearer {ISSUED}")

        self.assertEqual(self.internet.asked[0].headers, {})
        self.assertEqual(self.internet.asked[0].parameters, {"scope": "repository:library/alpine:pull"})

    def test_realm_with_a_query(self) -> None:
        """A realm's own query stays as it is."""
        self.answer(MANIFEST, challenge(f"{REALM}?a=b%2Fc", service="s"))

        self.assertTrue(self.internet.urls[0].startswith(f"{REALM}?a=b%2Fc&service=s&scope="))

    def test_encoding(self) -> None:
        """What stands in the challenge cannot add parameters."""
        self.answer(MANIFEST, challenge(service="a&account=admin#x y"))

        self.assertEqual(self.internet.asked[0].parameters["service"], "a&account=admin#x y")
        self.assertEqual(self.internet.asked[0].parameters["account"], "robot")


class AnswerTests(TokensCase):
    """What is made of a token service's answer."""

    def test_either_name(self) -> None:
        """A token is called `token` or `access_token` (OAuth 2); of both, the first counts."""
        for sent, used in [
            ({"token": "a"}, "a"),
            ({"access_token": "b"}, "b"),
            ({"token": "a", "access_token": "b"}, "a"),
            ({"token": "", "access_token": "b"}, "b"),
            ({"token": None, "access_token": "b", "expires_in": None, "more": [1, {"x": "y"}]}, "b"),
        ]:
            self.internet.at(REALM, Reply(data=json.dumps(sent).encode()))
            self.tokens = self.made()
            self.assertEqual(self.answer(), f"Bearer {used}", sent)

    def test_garbage(self) -> None:
        """What holds no token, or one that no header can carry, is blamed on the upstream."""
        for data in [
            *(b"", b"token", b"null", b"[]", b"{}", b'"token"', b"\xff\xfe", b'{"token": "a"', b'{"token": "\xff"}'),
            *(b'{"token": 5}', b'{"token": ["a"]}', b'{"token": ""}', b'{"token": null}', b'{"access_token": ""}'),
            *(b'{"token": "a b"}', b'{"token": "a\\r\\nX: y"}', b'{"token": "\\u0000"}', '{"token": "é"}'.encode()),
            *(b'{"token": "a", "expires_in": "300"}', b'{"token": "a", "expires_in": 1e999}', b'{"token": "\\ud800"}'),
            *(b'{"token": "a", "x": ' + b"[" * 30000, b'{"token": "%s"}' % (b"a" * 40000)),
        ]:
            self.internet.at(REALM, Reply(data=data))
            error = self.refused(UpstreamCorrupt)
            self.assertEqual(error.message, "the upstream docker.io has a token service that sends no token", data[:40])

    def test_size(self) -> None:
        """Large answers are read, larger ones are not."""
        padding = MAX_ANSWER - len(json.dumps({"token": ISSUED, "x": ""}))
        self.internet.at(REALM, token(ISSUED, x="x" * padding))
        self.assertEqual(self.answer(), f"Bearer {ISSUED}")

        self.internet.at(REALM, token(ISSUED, x="x" * (padding + 1)))
        self.tokens = self.made()

        self.refused(UpstreamCorrupt)

    def test_refused(self) -> None:
        """A denial is definite if it is about the repository: not if our credentials are wrong, or nobody denies."""
        for status, with_them, without in [
            *((401, False, True), (403, True, True), (400, False, False), (404, False, False), (405, False, False)),
            *((302, False, False), (201, False, False), (204, False, False)),
        ]:
            self.internet.at(REALM, Reply(status, {"Location": "https://auth.docker.io/other"}, b'{"token": "a"}'))
            for credentials, definite in [(CREDENTIALS, with_them), (None, without)]:
                self.tokens = self.made(credentials)
                error = self.refused(UpstreamRefused)
                self.assertEqual(
                    (error.reason, error.definite), (f"has a token service that answers {status}", definite)
                )

    def test_no_redirect(self) -> None:
        """A token service's redirect is not followed: it was checked where it is, and not where it points to."""
        self.internet.at(REALM, Reply(307, {"Location": "https://auth.docker.io/other"}))

        self.refused(UpstreamRefused)

        self.assertEqual(len(self.internet.asked), 1)

    def test_failures(self) -> None:
        """A token service that fails is an upstream that fails, which is no denial."""
        for status in [500, 502, 503, 504, 599]:
            self.internet.at(REALM, Reply(status))
            self.refused(UpstreamUnavailable)
        for failure in [
            UpstreamUnavailable("auth", "fails"),
            UpstreamTimeout("auth", "waits"),
            UpstreamCorrupt("auth", "?"),
        ]:
            self.internet.at(REALM, failure)
            self.refusal(self.tokens.answer(MANIFEST, [challenge()]), type(failure))

    def test_cut(self) -> None:
        """An answer that is cut is a failure, and holds nothing open."""
        self.internet.at(REALM, Reply(data=b'{"token": "a', ends=UpstreamUnavailable("auth", "is cut")))

        self.refusal(self.tokens.answer(MANIFEST, [challenge()]), UpstreamUnavailable)

        self.assertEqual(self.internet.open, [])

    def test_busy(self) -> None:
        """A token service that wants no more requests is not asked by way of trial: how long it said is passed on."""
        self.internet.at(REALM, Reply(429, {"Retry-After": "120"}), Reply(429))

        self.assertEqual(self.refused(UpstreamBusy).retry_after, 120.0)
        self.assertEqual(self.refused(UpstreamBusy).retry_after, 30.0)

    def test_nothing_is_kept_of_failures(self) -> None:
        """The next request tries anew."""
        self.internet.at(REALM, Reply(503), token(ISSUED))
        self.refused(UpstreamUnavailable)

        self.assertEqual(self.answer(), f"Bearer {ISSUED}")


class LifetimeTests(TokensCase):
    """How long a token is used."""

    def assert_good_for(self, seconds: float, **stated: Any) -> None:
        """A token with such an answer is used for so long, and not longer."""
        self.internet.at(REALM, token(ISSUED, **stated))
        self.tokens = self.made()
        self.answer()
        self.clock.advance(seconds - 0.5)
        self.assertEqual(self.tokens.known(MANIFEST), f"Bearer {ISSUED}", stated)
        self.clock.advance(1)
        self.assertIsNone(self.tokens.known(MANIFEST), stated)

    def test_most_of_its_life(self) -> None:
        """A token is renewed when four fifths of its lifetime are over."""
        self.assert_good_for(240, expires_in=300)
        self.assert_good_for(80.4, expires_in=100.5)

    def test_nothing_stated(self) -> None:
        """Without a lifetime it is 60 seconds (distribution-spec, token flow)."""
        self.assert_good_for(48)
        self.assert_good_for(48, expires_in=None)
        self.assert_good_for(48, expires_in=0)

    def test_bounded(self) -> None:
        """No token is used for more than an hour."""
        self.assert_good_for(2880, expires_in=10**9)
        self.assert_good_for(2880, expires_in=1e300)

    def test_expired_already(self) -> None:
        """One that has expired is used once, for the request that it was fetched for."""
        self.internet.at(REALM, token(ISSUED, expires_in=-5))

        self.assertEqual(self.answer(), f"Bearer {ISSUED}")

        self.assertIsNone(self.tokens.known(MANIFEST))


class SharingTests(TokensCase):
    """Which requests share a token: those of one repository at one origin, and nobody else."""

    def test_known(self) -> None:
        """Before the first challenge nothing is known; then all of the repository shares."""
        self.assertIsNone(self.tokens.known(MANIFEST))
        self.answer()

        for rest in ["manifests/3", "blobs/sha256:00", "tags/list", "referrers/sha256:00"]:
            self.assertEqual(self.tokens.known(f"{HOME}/v2/library/alpine/{rest}"), f"Bearer {ISSUED}")

    def test_nobody_else(self) -> None:
        """Another repository, host, port or scheme is shown nothing."""
        self.answer()

        for url in [
            OTHER,
            f"{HOME}/v2/library/alpine2/manifests/3",
            f"{HOME}/v2/library/manifests/3",
            f"{HOME}/v2/",
            f"{HOME}/download/x",
            "http://registry-1.docker.io/v2/library/alpine/manifests/3",
            "https://registry-1.docker.io:8443/v2/library/alpine/manifests/3",
            "https://registry-2.docker.io/v2/library/alpine/manifests/3",
            "https://auth.docker.io/v2/library/alpine/manifests/3",
        ]:
            self.assertIsNone(self.tokens.known(url), url)

    def test_other_paths(self) -> None:
        """Where a URL is no repository's, each path has its own token: what it is for, only the upstream knows."""
        one, other = f"{HOME}/download/x", f"{HOME}/download/y"
        self.answer(one, challenge(scope="download:x"))

        self.assertEqual(self.tokens.known(f"{one}?signature=abc"), f"Bearer {ISSUED}")
        self.assertIsNone(self.tokens.known(other))

    def test_single_flight(self) -> None:
        """However many requests of a repository are challenged at once, one token is fetched."""
        later: Deferred[Reply] = Deferred()
        self.internet.at(REALM, later)
        asking = [self.begin(self.tokens.answer(MANIFEST, [challenge()])) for _ in range(5)]
        self.assertEqual(len(self.internet.asked), 1)

        later.callback(token(ISSUED))

        self.assertEqual([self.successResultOf(one) for one in asking], [f"Bearer {ISSUED}"] * 5)

    def test_flights_of_others(self) -> None:
        """Other repositories, and other paths, do not wait for it, nor get it."""
        waiting: list[Deferred[Reply]] = [Deferred() for _ in range(4)]
        self.internet.at(REALM, *waiting)
        urls = [MANIFEST, OTHER, f"{HOME}/download/x", f"{HOME}/download/y"]
        asking = [self.begin(self.tokens.answer(url, [challenge()])) for url in urls]

        for number, one in enumerate(waiting):
            one.callback(token(f"token-{number}"))

        self.assertEqual(
            [self.successResultOf(one) for one in asking], [f"Bearer token-{number}" for number in range(4)]
        )

    def test_failure_of_a_flight(self) -> None:
        """If it fails, it fails for all who wait, and the next one tries again."""
        later: Deferred[Reply] = Deferred()
        self.internet.at(REALM, later, token(ISSUED))
        asking = [self.begin(self.tokens.answer(MANIFEST, [challenge()])) for _ in range(3)]

        later.errback(UpstreamTimeout("auth.docker.io", "does not answer in time"))

        for one in asking:
            self.failureResultOf(one, UpstreamTimeout)
        self.assertEqual(self.answer(), f"Bearer {ISSUED}")

    def test_refused_token(self) -> None:
        """A token that the upstream has refused is not used again: another is fetched."""
        self.internet.at(REALM, token("old"), token("new"))
        self.answer()

        self.assertEqual(self.answer(refused="Bearer old"), "Bearer new")
        self.assertEqual(self.tokens.known(MANIFEST), "Bearer new")

    def test_refused_and_no_other(self) -> None:
        """If no other can be fetched, the refused one is not shown again all the same."""
        self.internet.at(REALM, token("old"), Reply(503))
        self.answer()

        self.refusal(self.tokens.answer(MANIFEST, [challenge()], "Bearer old"), UpstreamUnavailable)

        self.assertIsNone(self.tokens.known(MANIFEST))

    def test_refused_and_expired(self) -> None:
        """A token whose time has run out on the way is fetched anew."""
        self.internet.at(REALM, token("old", expires_in=60), token("new"))
        self.answer()
        self.clock.advance(60)

        self.assertEqual(self.answer(refused="Bearer old"), "Bearer new")

    def test_renewed_meanwhile(self) -> None:
        """A request that was sent with the old token gets the one that another has fetched meanwhile."""
        self.internet.at(REALM, token("old"), token("new"))
        self.answer()
        self.answer(refused="Bearer old")

        self.assertEqual(self.answer(refused="Bearer old"), "Bearer new")
        self.assertEqual(self.answer(refused=None), "Bearer new")

        self.assertEqual(len(self.internet.asked), 2)

    def test_bounded(self) -> None:
        """Anybody may name repositories: of too many, the one that was first is forgotten."""
        urls = [f"{HOME}/v2/a/r{number}/tags/list" for number in range(MAX_TOKENS + 1)]
        for url in urls:
            self.answer(url)

        self.assertIsNone(self.tokens.known(urls[0]))
        self.assertEqual(self.tokens.known(urls[1]), f"Bearer {ISSUED}")
        self.assertEqual(self.tokens.known(urls[-1]), f"Bearer {ISSUED}")
        self.assertLessEqual(len(self.tokens._known), MAX_TOKENS)

    def test_bounded_and_renewed(self) -> None:
        """Renewing one that is kept makes nobody else's be forgotten."""
        urls = [f"{HOME}/v2/a/r{number}/tags/list" for number in range(MAX_TOKENS)]
        for url in urls:
            self.answer(url)
        self.internet.at(REALM, token("new"))

        self.answer(urls[1], refused=f"Bearer {ISSUED}")

        self.assertEqual(self.tokens.known(urls[0]), f"Bearer {ISSUED}")
        self.assertEqual(self.tokens.known(urls[1]), "Bearer new")


@frozen
class Case:
    """A realm, the upstream that names it, and what that leads to: credentials, anonymous, or refused."""

    realm: str
    outcome: str
    host: str = "docker.io"
    base: str = HOME
    url: str = ""


def at(host: str, base: str, *rows: tuple[str, str]) -> list[Case]:
    """Rows about one upstream."""
    return [Case(realm, outcome, host, base) for realm, outcome in rows]


TRUST = [
    *at(
        *("docker.io", HOME),
        # The same host, or another of the same registrable domain, over TLS.
        (REALM, "credentials"),
        ("https://registry-1.docker.io/token", "credentials"),
        ("https://registry-1.docker.io:8443/token", "credentials"),
        ("https://docker.io/token", "credentials"),
        ("https://a.b.docker.io/token", "credentials"),
        ("HTTPS://AUTH.DOCKER.IO/token", "credentials"),
        # Anybody else may issue a token, but learns nothing.
        ("https://evil.com/token", "anonymous"),
        ("https://docker.io.evil.com/token", "anonymous"),
        ("https://notdocker.io/token", "anonymous"),
        ("https://auth.docker.io.co/token", "anonymous"),
        ("https://auth.docker.com/token", "anonymous"),
        ("https://auth.docker.io./token", "anonymous"),
        ("https://evil.com/auth.docker.io", "anonymous"),
        ("https://evil.com?x=@auth.docker.io", "anonymous"),
        # In clear text, nobody but who has asked.
        ("http://auth.docker.io/token", "refused"),
        ("http://registry-1.docker.io/token", "refused"),
        ("http://registry-1.docker.io:443/token", "refused"),
        # What is no URL, or reads differently for different readers.
        ("", "refused"),
        ("token", "refused"),
        ("/token", "refused"),
        ("//auth.docker.io/token", "refused"),
        ("auth.docker.io/token", "refused"),
        ("https:auth.docker.io", "refused"),
        ("https:///token", "refused"),
        ("https://", "refused"),
        ("ftp://auth.docker.io/token", "refused"),
        ("file:///etc/passwd", "refused"),
        ("https://user:secret@auth.docker.io/token", "refused"),
        ("https://user@auth.docker.io/token", "refused"),
        ("https://@auth.docker.io/token", "refused"),
        ("https://:@auth.docker.io/token", "refused"),
        ("https://auth.docker.io@evil.com/token", "refused"),
        ("https://auth.docker.io/token#x", "refused"),
        ("https://evil.com#@auth.docker.io/token", "refused"),
        ("https://auth.docker.io:99999/token", "refused"),
        ("https://auth.docker.io:99999999999999999999/token", "refused"),
        ("https://auth.docker.io:x/token", "refused"),
        ("https://auth.docker.io:-1/token", "refused"),
        ("https://auth.docker.io:0/token", "refused"),
        ("https://[auth.docker.io/token", "refused"),
        ("https://auth.docker.io]/token", "refused"),
        ("https://evil.com\\@auth.docker.io/token", "refused"),
        ("https://auth.docker.io\\.evil.com/token", "refused"),
        ("https://auth.docker.io%2eevil.com/token", "refused"),
        ("https://auth.docker\t.io/token", "refused"),
        (" https://auth.docker.io/token", "refused"),
        ("https://auth.docker.io/to ken", "refused"),
        ("https://auth.docker.io/tok\xe9n", "refused"),
        ("https://auth.döcker.io/token", "refused"),
        ("https://auth_docker.io/token", "refused"),
        # What is not public is not asked.
        ("https://127.0.0.1/token", "refused"),
        ("https://169.254.169.254/latest/meta-data", "refused"),
        ("https://[::1]/token", "refused"),
        ("https://localhost/token", "refused"),
        ("https://metadata.google.internal/token", "refused"),
        ("https://2130706433/token", "refused"),
    ),
    *at(
        *("ghcr.io", "https://ghcr.io"),
        ("https://ghcr.io/token", "credentials"),
        ("https://quay.io/token", "anonymous"),
        ("https://github.io/token", "anonymous"),
    ),
    # Below a domain that many share, each name is somebody else's.
    *at(
        *("me.jfrog.io", "https://me.jfrog.io"),
        ("https://me.jfrog.io/token", "credentials"),
        ("https://auth.me.jfrog.io/token", "credentials"),
        ("https://you.jfrog.io/token", "anonymous"),
        ("https://jfrog.io/token", "anonymous"),
    ),
    *at(
        *("reg.a.co.uk", "https://reg.a.co.uk"),
        ("https://auth.a.co.uk/token", "credentials"),
        ("https://auth.b.co.uk/token", "anonymous"),
    ),
    *at(
        *("1.dkr.ecr.eu-west-1.amazonaws.com", "https://1.dkr.ecr.eu-west-1.amazonaws.com"),
        ("https://1.dkr.ecr.eu-west-1.amazonaws.com/token", "credentials"),
        ("https://2.dkr.ecr.eu-west-1.amazonaws.com/token", "anonymous"),
    ),
    # The operator's own, in clear text: itself, and what is behind the same name over TLS.
    *at(
        *("lab.example.com", "http://10.0.0.5:5000"),
        ("http://10.0.0.5:5000/token", "credentials"),
        ("https://10.0.0.5/token", "credentials"),
        ("https://auth.example.com/token", "credentials"),
        ("http://10.0.0.5:5001/token", "refused"),
        ("http://10.0.0.5/token", "refused"),
        ("http://lab.example.com/token", "refused"),
        ("https://10.0.0.6/token", "refused"),
    ),
    # Whoever we are redirected to is not who the credentials are for, whomever it names.
    Case(REALM, "anonymous", url="https://us-docker.pkg.dev/v2/library/alpine/manifests/3"),
    Case("https://us-docker.pkg.dev/token", "anonymous", url="https://us-docker.pkg.dev/v2/library/alpine/manifests/3"),
    Case(REALM, "anonymous", url="https://registry-2.docker.io/v2/library/alpine/manifests/3"),
    Case(REALM, "anonymous", url="https://registry-1.docker.io:8443/v2/library/alpine/manifests/3"),
    Case(REALM, "anonymous", url="http://registry-1.docker.io/v2/library/alpine/manifests/3"),
    Case("http://cdn.com/token", "anonymous", url="http://cdn.com/x"),
    Case("http://cdn.com:81/token", "refused", url="http://cdn.com/x"),
]


class TrustTests(UpstreamCase):
    """Who sees the credentials: the configured origin, and token services of the same people over TLS."""

    def outcome(self, case: Case) -> str:
        """What a realm leads to."""
        self.internet = Internet("10.0.0.5")
        client: Any = self.internet

        def service(asked: Asked) -> Reply:
            return token("with" if asked.authorization == CREDENTIALS.header else "without")

        self.internet.at(case.realm.partition("?")[0], service)
        tokens = Tokens(case.host, case.base, client, CREDENTIALS, self.clock)
        answered = self.begin(tokens.answer(case.url or f"{case.base}/v2/a/b/tags/list", [challenge(case.realm)]))
        if isinstance(answered.result, str):
            # What was shown is what the token service says it was shown, and nothing else told the user's name.
            shown = answered.result == "Bearer with"
            assert shown == ("account" in self.internet.asked[0].parameters)
            assert bool(self.internet.shown(PASSWORD)) == shown
            return "credentials" if shown else "anonymous"
        error = self.failureResultOf(answered, UpstreamRefused).value
        self.assertEqual(
            error.message, f"the upstream {case.host} names a token service that is not to be trusted", case
        )
        self.assertFalse(error.definite)
        self.assertEqual(self.internet.asked, [])
        return "refused"

    def wrong(self) -> Iterator[str]:
        """The cases that are not so."""
        for case in TRUST:
            found = self.outcome(case)
            if found != case.outcome:
                yield f"{case}: {found}"

    def test_table(self) -> None:
        """Every row of the table holds."""
        self.assertEqual(list(self.wrong()), [])

    def test_no_realm(self) -> None:
        """A challenge without a realm names nobody."""
        client: Any = self.internet
        tokens = Tokens("docker.io", HOME, client, CREDENTIALS, self.clock)

        self.refusal(tokens.answer(MANIFEST, [challenge(None)]), UpstreamRefused)


class SchemeTests(TokensCase):
    """Which challenge is answered, and how."""

    BASIC = Challenge("basic", {"realm": "x"})

    def test_basic(self) -> None:
        """Basic gets the credentials, at the configured origin; nobody else is asked."""
        self.assertEqual(self.answer(MANIFEST, self.BASIC), CREDENTIALS.header)

        self.clock.advance(10**6)
        self.assertEqual(self.tokens.known(MANIFEST), CREDENTIALS.header)
        self.assertIsNone(self.tokens.known(OTHER))
        self.assertEqual(self.internet.asked, [])

    def test_basic_elsewhere(self) -> None:
        """Another origin that wants a password gets none."""
        for url in [
            "https://cdn.com/x",
            "https://cdn.docker.io/x",
            "http://registry-1.docker.io/v2/a/b/tags/list",
            "https://registry-1.docker.io:8443/v2/a/b/tags/list",
        ]:
            error = self.refused(UpstreamRefused, self.BASIC, url=url)
            self.assertEqual((error.reason, error.definite), ("asks for credentials", True))

    def test_basic_without_credentials(self) -> None:
        """Who has none is refused: that is the upstream's word on what may be had without."""
        self.tokens = self.made(None)

        self.assertTrue(self.refused(UpstreamRefused, self.BASIC).definite)

    def test_bearer_first(self) -> None:
        """If both are offered, the password is not sent with each request."""
        self.assertEqual(self.answer(MANIFEST, self.BASIC, challenge()), f"Bearer {ISSUED}")

    def test_first_of_a_scheme(self) -> None:
        """Of two challenges of a scheme the first counts."""
        self.answer(MANIFEST, challenge(service="one"), challenge("https://evil.com/token", service="two"))

        self.assertEqual([one.parameters["service"] for one in self.internet.asked], ["one"])

    def test_nothing_that_can_be_answered(self) -> None:
        """Other schemes, or none at all, cannot be answered."""
        for challenges in [[], [Challenge("negotiate", {})], [Challenge("digest", {"realm": REALM})]]:
            error = self.refusal(self.tokens.answer(MANIFEST, challenges), UpstreamRefused)
            self.assertEqual(error.reason, "asks for credentials")
        self.assertEqual(self.internet.asked, [])


class SecrecyTests(TokensCase):
    """Nothing that could end in a log or an answer holds a secret."""

    def test_objects(self) -> None:
        """Neither the tokens' holder nor what it is made of shows one."""
        self.answer()
        self.answer(OTHER, Challenge("basic", {}))

        shown = f"{self.tokens!r} {self.tokens} {self.tokens._credentials!r} {CREDENTIALS}"

        self.assertEqual([one for one in (PASSWORD, ISSUED, CREDENTIALS.header) if one in shown], [])

    def test_errors(self) -> None:
        """No error, nor what it comes from, shows a secret or anything that the upstream has written."""
        realm = "https://evil.com/canary-realm"
        replies = [
            *(Reply(status, data=b"canary-body") for status in (401, 403, 404, 500, 429)),
            *(
                Reply(data=data)
                for data in (b"canary-body", b'{"token": "canary-token canary"}', b'{"token": {"canary-body": 1}}')
            ),
        ]
        for reply in replies:
            self.internet.at(realm, reply)
            error: BaseException | None = self.failureResultOf(
                self.begin(self.tokens.answer(MANIFEST, [challenge(realm)])), UpstreamError
            ).value
            while error is not None:
                self.assertNotIn("canary", f"{error!r} {error}")
                error = error.__cause__
        self.assertEqual([line for line in self.lines if "canary" in line], [])

    def test_urls(self) -> None:
        """A password never stands in a URL."""
        self.answer()

        self.assertNotIn(PASSWORD, self.internet.urls[0])
        self.assertEqual(self.internet.shown(PASSWORD), ["https://auth.docker.io"])
