"""Where redirects of an upstream lead, and what is shown to whom on the way."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from pkgd.errors import (
    AddressRefused,
    UnexpectedStatus,
    UpstreamBusy,
    UpstreamCorrupt,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from pkgd.formats.names import Origin, RepositoryName
from pkgd.mirror.tokens import Credentials
from pkgd.mirror.upstream import Endpoint
from pkgd.outbound.breaker import OPEN_SECONDS
from tests.mirror.upstream_fixtures import (
    BLOB,
    CDN,
    CREDENTIALS,
    HOME,
    ISSUED,
    MANIFEST,
    PASSWORD,
    REALM,
    DockerHubCase,
    Internet,
    Reply,
    Step,
    bearer,
    redirect,
    token,
)


class RedirectTests(DockerHubCase):
    """Redirects are followed by our own rules (RFC 9110, 15.4)."""

    def test_followed(self) -> None:
        """Every kind that has a target is followed, with the same method."""
        for status in [301, 302, 303, 307, 308]:
            for method in ["GET", "HEAD"]:
                self.internet.at(MANIFEST, redirect(CDN, status))
                self.internet.at(CDN, Reply())
                self.do(self.document(method))
                self.assertEqual(
                    [str(one) for one in self.internet.asked[-2:]], [f"{method} {MANIFEST}", f"{method} {CDN}"]
                )
        self.assertEqual(self.internet.open, [])

    def test_headers(self) -> None:
        """Range, Accept and Via go along."""
        self.internet.at(BLOB, redirect(CDN))
        self.internet.at(CDN, Reply(206))
        stream = self.do(self.stream({"Range": "bytes=5-", "Accept": "a/b"}))
        assert stream is not None
        stream.close()

        self.assertEqual(self.internet.asked[1].headers, {"Range": "bytes=5-", "Accept": "a/b", "Via": "1.1 pkgd-1234"})

    def test_targets(self) -> None:
        """A target is resolved against where it stands; its fragment is not sent."""
        for location, target in [
            ("/v2/other", f"{HOME}/v2/other"),
            ("4", f"{HOME}/v2/library/alpine/manifests/4"),
            ("../blobs/x", f"{HOME}/v2/library/alpine/blobs/x"),
            ("?a=b", f"{MANIFEST}?a=b"),
            ("//cdn.example.com/x", "https://cdn.example.com/x"),
            (" https://cdn.example.com/x ", "https://cdn.example.com/x"),
            ("https://cdn.example.com/x#y", "https://cdn.example.com/x"),
            ("https://cdn.example.com", "https://cdn.example.com"),
        ]:
            self.internet = Internet()
            self.internet.at(MANIFEST, redirect(location))
            self.internet.at(target, Reply())
            self.upstream = self.made(Endpoint("docker.io", HOME))
            self.do(self.document())
            self.assertEqual(self.internet.urls, [MANIFEST, target], location)

    def test_to_the_letter(self) -> None:
        """A whole URL is sent as it is written, for it may be signed."""
        for location in [
            CDN,
            "https://cdn.example.com//a/./b/../c;?",
            "https://cdn.example.com/a?",
            "https://cdn.example.com/%7e%2f?x=%2b+/?&;",
            "HTTPS://CDN.example.com:443/x",
        ]:
            self.internet.at(MANIFEST, redirect(location))
            self.internet.at(location, Reply())
            self.do(self.document())
            self.assertEqual(self.internet.urls[-1], location)

    def test_how_many(self) -> None:
        """Five redirects are followed, and not one more."""
        hops = [f"https://{letter}.example.com/" for letter in "abcdef"]
        for here, there in zip([MANIFEST, *hops], hops, strict=False):
            self.internet.at(here, redirect(there))
        self.internet.at(hops[4], Reply())
        self.do(self.document())
        self.assertEqual(len(self.internet.asked), 6)

        self.internet.at(hops[4], redirect(hops[5]))

        self.assertEqual(self.refused(UpstreamUnavailable).reason, "redirects too often")
        self.assertNotIn(hops[5], self.internet.urls)

    def test_circle(self) -> None:
        """Who leads us back to where we were is not followed."""
        for hops in [[MANIFEST], [CDN, MANIFEST], [CDN, CDN]]:
            for here, there in zip([MANIFEST, *hops], hops, strict=False):
                self.internet.at(here, redirect(there))
            before = len(self.internet.asked)
            self.assertEqual(self.refused(UpstreamUnavailable).reason, "redirects in a circle")
            self.assertEqual(len(self.internet.asked) - before, len(set(hops) | {MANIFEST}))
            self.clock.advance(OPEN_SECONDS)

    def test_forbidden(self) -> None:
        """From TLS nothing leads to clear text; no target has a password in it, or is read differently by others."""
        for location in [
            *("http://registry-1.docker.io/v2/", "http://cdn.example.com/x", "HTTP://cdn.example.com/x"),
            *("ftp://cdn.example.com/x", "file:///etc/passwd", "data:,x", "javascript:0", "sha256:00", "https:x"),
            *("https://user:secret@cdn.example.com/", "https://user@cdn.example.com/", "https://@cdn.example.com/"),
            *("https:///x", "https://", "https:", "https://:443/", "https://[::1", "https://a]b.com/"),
            *("https://cdn.example.com:99999/", "https://cdn.example.com:x/", "https://cdn.example.com:0/"),
            *("https://cdn.example.com/a b", "https://cdn.example.com/\x00", "https://cdn.example.com/\xe9"),
            *("https://cdn.example.com/\tx", "https://cdn.example.com\\@evil.com/", "https://cdn.ex\xe4mple.com/"),
            *("/v2/a b", "//user@cdn.example.com/"),
        ]:
            self.upstream = self.made(Endpoint("docker.io", HOME, CREDENTIALS))
            self.internet.at(MANIFEST, redirect(location))
            self.internet.asked.clear()
            self.assertEqual(self.refused(UpstreamUnavailable).reason, "redirects to where it may not", location)
            self.assertEqual(self.internet.urls, [MANIFEST])

    def test_refused_by_the_client(self) -> None:
        """What is not public is not asked, wherever we are led from."""
        for location in [
            *("https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest", "https://localhost/"),
            *("https://metadata.google.internal/", "https://2130706433/"),
            *("https://cdn.example.com%2eevil.com/", "https://a_b.com/"),
        ]:
            self.upstream = self.made(Endpoint("docker.io", HOME, CREDENTIALS))
            self.internet.at(MANIFEST, redirect(location))
            self.internet.asked.clear()
            self.assertEqual(self.refused(AddressRefused).host, "docker.io")
            self.assertEqual(self.internet.urls, [MANIFEST])

    def test_clear_text(self) -> None:
        """An upstream that is asked in clear text may lead to clear text, and to TLS; from there nothing leads back."""
        base = "http://lab.example.com:5000"
        manifest = f"{base}/v2/library/alpine/manifests/3"
        self.upstream = self.made(Endpoint("lab.example.com", base, CREDENTIALS))
        for location in ["http://cdn.example.com/x", CDN]:
            self.internet.at(manifest, redirect(location))
            self.internet.at(location, Reply())
            self.do(self.document())
            self.assertEqual(self.internet.urls[-1], location)

        for secure in [CDN, "HTTPS://cdn.example.com/x"]:
            self.internet.at(manifest, redirect(secure))
            self.internet.at(secure, redirect("http://cdn.example.com/x"))
            self.assertEqual(self.refused(UpstreamUnavailable).reason, "redirects to where it may not")
        self.internet.at(manifest, redirect("ftp://cdn.example.com/x"))
        self.assertEqual(self.refused(UpstreamUnavailable).reason, "redirects to where it may not")

    def test_location_of_something_else(self) -> None:
        """What is no redirect leads nowhere, wherever its Location points."""
        for status in [200, 206]:
            self.internet.at(MANIFEST, Reply(status, {"Location": CDN}, b"manifest"))
            self.assertEqual(getattr(self.do(self.document()), "data", None), b"manifest")
        for status in [201, 300, 304, 400]:
            self.internet.at(MANIFEST, Reply(status, {"Location": CDN}))
            self.refused(UnexpectedStatus)

        self.assertEqual(set(self.internet.urls), {MANIFEST})

    def test_without_target(self) -> None:
        """A redirect that leads nowhere is no answer."""
        self.internet.at(MANIFEST, Reply(302))

        self.refused(UnexpectedStatus)

    def test_final_answer(self) -> None:
        """What the last one says counts, as if the upstream itself had said it."""
        self.internet.at(MANIFEST, redirect(CDN))
        for kind, status in [(UpstreamRefused, 403), (UpstreamUnavailable, 503), (UpstreamBusy, 429)]:
            self.internet.at(CDN, Reply(status))
            self.assertEqual(self.refused(kind).host, "docker.io")

        self.clock.advance(60)
        self.internet.at(CDN, Reply(404))
        self.assertIsNone(self.do(self.document()))


class AuthorizationTests(DockerHubCase):
    """Each hop is shown what it has issued itself, and no other hop's."""

    def guard(self, url: str, realm: str, value: str) -> None:
        """Let a URL want a token of a realm's."""
        want = bearer(realm, "service")
        self.internet.at(url, lambda asked: Reply(data=b"ok") if asked.authorization == f"Bearer {value}" else want)

    def shown(self, secret: str) -> list[str]:
        """Who was shown a secret."""
        return self.internet.shown(secret)

    def test_first_try(self) -> None:
        """The first request shows nothing, as not every upstream wants anything."""
        self.do(self.document())

        self.assertIsNone(self.internet.asked[0].authorization)

    def test_token(self) -> None:
        """A challenge is answered, once, and what was issued is shown from then on."""
        self.guard(MANIFEST, REALM, ISSUED)

        self.do(self.document())
        self.do(self.document("HEAD"))

        self.assertEqual(
            [(one.method, one.url.partition("?")[0], one.authorization) for one in self.internet.asked],
            [
                ("GET", MANIFEST, None),
                ("GET", REALM, CREDENTIALS.header),
                ("GET", MANIFEST, f"Bearer {ISSUED}"),
                ("HEAD", MANIFEST, f"Bearer {ISSUED}"),
            ],
        )
        self.assertEqual(self.internet.open, [])

    def test_basic(self) -> None:
        """Where a password is wanted, it is shown to the configured origin."""
        self.internet.at(
            MANIFEST,
            lambda asked: Reply() if asked.authorization else Reply(401, {"WWW-Authenticate": 'Basic realm="x"'}),
        )

        self.do(self.document())

        self.assertEqual([one.authorization for one in self.internet.asked], [None, CREDENTIALS.header])

    def test_several_headers(self) -> None:
        """Challenges may stand in several headers."""
        said = Reply(401, {"WWW-Authenticate": ["Negotiate", f'Bearer realm="{REALM}"']})
        self.internet.at(MANIFEST, lambda asked: Reply() if asked.authorization else said)

        self.do(self.document())

        self.assertEqual(self.internet.asked[-1].authorization, f"Bearer {ISSUED}")

    def test_other_repository(self) -> None:
        """A token is shown for its own repository only."""
        self.guard(MANIFEST, REALM, ISSUED)
        other = f"{HOME}/v2/org/app/manifests/1"
        self.internet.at(other, Reply())
        self.do(self.document())

        self.do(self.upstream.document("GET", Origin("docker.io", RepositoryName("org/app")), "manifests/1", "", {}, 9))

        self.assertIsNone(self.internet.asked[-1].authorization)

    def test_redirect_to_another_origin(self) -> None:
        """Nothing goes along to another host, port or scheme: neither token nor password."""
        for location in [
            CDN,
            "https://registry-1.docker.io:8443/v2/library/alpine/manifests/3",
            "https://auth.docker.io/v2/library/alpine/manifests/3",
        ]:
            answers = {True: redirect(location), False: bearer(REALM)}
            self.internet.at(MANIFEST, partial(lambda answers, asked: answers[bool(asked.authorization)], answers))
            self.internet.at(location, Reply())
            self.do(self.document())
            self.assertEqual((self.internet.asked[-1].url, self.internet.asked[-1].authorization), (location, None))

    def test_redirect_within(self) -> None:
        """To another place of the same repository the token does go along."""
        there = f"{HOME}/v2/library/alpine/manifests/sha256:00"
        self.internet.at(MANIFEST, lambda asked: redirect(there) if asked.authorization else bearer(REALM))
        self.guard(there, REALM, ISSUED)

        self.do(self.document())

        self.assertEqual(self.internet.asked[-1].authorization, f"Bearer {ISSUED}")
        self.assertEqual(len(self.internet.asked), 4)

    def test_challenge_behind_a_redirect(self) -> None:
        """A hop may want a token of its own, which it issues to strangers: registry.k8s.io's regions do."""
        regional = "https://eu-docker.pkg.dev/v2/images/alpine/manifests/3"
        self.internet.at(MANIFEST, lambda asked: redirect(regional) if asked.authorization else bearer(REALM))
        self.guard(regional, "https://eu-docker.pkg.dev/token", "regional-token")
        self.internet.at("https://eu-docker.pkg.dev/token", token("regional-token"))

        found = self.do(self.document())

        self.assertEqual(getattr(found, "data", None), b"ok")
        self.assertEqual(self.shown("regional-token"), ["https://eu-docker.pkg.dev"])
        self.assertEqual(self.shown(ISSUED), [HOME])
        self.assertEqual(self.shown(PASSWORD), ["https://auth.docker.io"])

    def test_hop_that_wants_our_password(self) -> None:
        """A hop that names the upstream's own token service, or asks for a password, gets neither."""
        self.internet.at(MANIFEST, redirect("https://evil.com/v2/library/alpine/manifests/3"))
        for said in [bearer(REALM), Reply(401, {"WWW-Authenticate": 'Basic realm="x"'})]:
            self.internet.at("https://evil.com/v2/library/alpine/manifests/3", said)
            self.refused(UpstreamRefused)

        self.assertEqual(self.shown(PASSWORD), [])
        self.assertEqual(self.shown(ISSUED), ["https://evil.com"])  # one that anybody gets

    def test_foreign_realm(self) -> None:
        """An upstream that names somebody else's token service gets the token that strangers get (CVE-2026-33540)."""
        self.guard(MANIFEST, "https://evil.com/token", "for-strangers")
        self.internet.at("https://evil.com/token", token("for-strangers"))

        self.do(self.document())

        self.assertEqual(self.shown(PASSWORD), [])
        self.assertNotIn("account", self.internet.asked[1].parameters)

    def test_refused_realm(self) -> None:
        """One that names a token service in our own network gets nothing asked."""
        for realm in ["http://169.254.169.254/", "https://127.0.0.1/token", "http://auth.docker.io/token", ""]:
            self.internet.at(MANIFEST, bearer(realm))
            self.assertFalse(self.refused(UpstreamRefused).definite)
        self.assertEqual(set(self.internet.urls), {MANIFEST})

    def test_refused_again(self) -> None:
        """A token that is not enough is the end of it; there is one try for each request, and each fetches its own."""
        self.internet.at(MANIFEST, bearer(REALM))

        error = self.refused(UpstreamRefused)
        self.assertEqual((error.message, error.definite), ("the upstream docker.io denies access", True))
        self.assertEqual(len(self.internet.asked), 3)

        self.refused(UpstreamRefused)
        self.assertEqual(len(self.internet.asked), 6)

    def test_wrong_password(self) -> None:
        """A password that is wrong says nothing of what would be there with the right one."""
        self.internet.at(MANIFEST, Reply(401, {"WWW-Authenticate": "Basic"}))

        for _ in range(2):
            error = self.refused(UpstreamRefused)
            self.assertEqual(error.message, "the upstream docker.io does not accept the configured credentials")
            self.assertFalse(error.definite)
        self.assertEqual(len(self.internet.asked), 4)

    def test_no_challenge(self) -> None:
        """A 401 that does not say what it wants is a denial."""
        self.internet.at(MANIFEST, Reply(401))

        self.assertTrue(self.refused(UpstreamRefused).definite)

        self.assertEqual(len(self.internet.asked), 1)

    def test_token_that_has_been_withdrawn(self) -> None:
        """A token that is refused before its time is over is fetched anew."""
        self.guard(MANIFEST, REALM, "second-token")
        self.internet.at(REALM, token("first-token"), token("second-token"))
        self.refused(UpstreamRefused)

        found = self.do(self.document())

        self.assertEqual(getattr(found, "data", None), b"ok")

    def test_one_token_for_all(self) -> None:
        """Requests that are challenged together fetch one token, also those whose challenge comes late."""
        late: Deferred[Reply] = Deferred()
        answers: list[Any] = [bearer(REALM), late]
        self.internet.at(MANIFEST, lambda asked: Reply() if asked.authorization else answers.pop(0))
        asking = [self.begin(self.document()) for _ in range(2)]
        self.successResultOf(asking[0])

        late.callback(bearer(REALM))

        self.successResultOf(asking[1])
        self.assertEqual(len([one for one in self.internet.asked if one.url.startswith(REALM)]), 1)

    def test_failures_of_the_token_service(self) -> None:
        """It is part of the upstream: its failures are the upstream's."""
        self.internet.at(MANIFEST, bearer(REALM))
        failures: list[tuple[type[Exception], Step]] = [
            (UpstreamUnavailable, Reply(503)),
            (UpstreamTimeout, UpstreamTimeout("auth.docker.io", "does not answer in time")),
            (UpstreamCorrupt, Reply(data=b"?")),
            (UpstreamRefused, Reply(403)),
            (UpstreamBusy, Reply(429)),
        ]
        for kind, reply in failures:
            self.internet.at(REALM, reply)
            self.assertEqual(self.refused(kind).host, "docker.io")

    def test_parent_mirror(self) -> None:
        """A parent mirror sees its own credentials, where it stands and behind its own realm, and no registry's."""
        parent = Credentials("site", "parent-password")
        base = "https://site.example.com"
        self.upstream = self.made(Endpoint("site.example.com", base, parent, is_mirror=True))
        self.guard(f"{base}/v2/library/alpine/manifests/3", f"{base}/auth/token", "site-token")
        self.internet.at(f"{base}/auth/token", token("site-token"))

        self.do(self.document())

        self.assertEqual(self.shown("parent-password"), [base])
        self.assertEqual(self.shown("site-token"), [base])
        self.assertEqual(self.shown(PASSWORD), [])

    def test_parent_mirror_that_passes_a_challenge_on(self) -> None:
        """A parent mirror that names the registry's token service does not get us to show it the parent's password."""
        parent = Credentials("site", "parent-password")
        base = "https://site.example.com"
        self.upstream = self.made(Endpoint("site.example.com", base, parent, is_mirror=True))
        self.guard(f"{base}/v2/library/alpine/manifests/3", REALM, ISSUED)

        self.do(self.document())

        self.assertEqual(self.shown("parent-password"), [])
