"""One upstream as it may be asked: what it is asked, what each answer means, and how much at the same time."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from pkgd.errors import (
    AddressRefused,
    LoopDetected,
    UnexpectedStatus,
    UpstreamBusy,
    UpstreamCorrupt,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from pkgd.errors import (
    Upstream as UpstreamError,
)
from pkgd.formats.names import Origin, RepositoryName
from pkgd.mirror.upstream import Endpoint, Stream
from pkgd.outbound.breaker import FAILURES, OPEN_SECONDS
from tests.mirror.upstream_fixtures import (
    BLOB,
    CDN,
    CREDENTIALS,
    HOME,
    ISSUED,
    LIMIT,
    MANIFEST,
    REALM,
    SLOTS,
    DockerHubCase,
    Internet,
    Reply,
    Step,
    bearer,
    redirect,
    token,
)


class DocumentTests(DockerHubCase):
    """Small answers."""

    def test_get(self) -> None:
        """It is read whole, and the connection is given back."""
        found = self.do(self.document())

        assert found is not None
        self.assertEqual((found.data, found.answer.status), (b"manifest", 200))
        self.assertEqual(self.internet.open, [])
        self.assertTrue(self.upstream.is_idle)

    def test_head(self) -> None:
        """Of a HEAD there are the headers, and no data."""
        self.internet.at(MANIFEST, Reply(headers={"Content-Length": "8", "Docker-Content-Digest": "sha256:00"}))

        found = self.do(self.document("HEAD"))

        assert found is not None
        self.assertEqual((found.data, found.answer.length), (b"", 8))
        self.assertEqual(found.answer.header("docker-content-digest"), "sha256:00")
        self.assertEqual([str(one) for one in self.internet.asked], [f"HEAD {MANIFEST}"])
        self.assertEqual(self.internet.open, [])

    def test_limit(self) -> None:
        """What is larger than it may be is refused, whether it says so or just goes on."""
        exactly, more = b"x" * LIMIT, b"x" * (LIMIT + 1)
        self.internet.at(MANIFEST, Reply(data=exactly))
        self.assertEqual(getattr(self.do(self.document()), "data", None), exactly)

        for reply in [Reply(data=more), Reply(data=more, ends=False), Reply(headers={"Content-Length": "101"})]:
            self.internet.at(MANIFEST, reply)
            error = self.refused(UpstreamCorrupt)
            self.assertEqual(error.message, "the upstream docker.io sends more than the 100 bytes that are allowed")

    def test_cut(self) -> None:
        """A body that fails fails the call; the client is told the upstream, not who is behind it."""
        self.internet.at(MANIFEST, redirect(CDN))
        for failure in [UpstreamUnavailable("cdn.example.com", "is cut"), UpstreamTimeout("cdn.example.com", "waits")]:
            self.internet.at(CDN, Reply(data=b"mani", ends=failure))
            self.assertEqual(self.refused(type(failure)).host, "docker.io")

    def test_counted(self) -> None:
        """The bytes of bodies are counted."""
        self.do(self.document())
        self.do(self.document("HEAD"))

        self.assertEqual(self.samples("pkgd_mirror_upstream_received_bytes_total"), {"": 8.0})


class StreamTests(DockerHubCase):
    """Large answers."""

    def test_read(self) -> None:
        """It is read piece by piece; until it is closed it takes a place."""
        stream = self.do(self.stream())

        assert stream is not None
        self.assertEqual(bytes(self.do(stream.answer.body.read())), b"blob")
        self.assertEqual(len(self.do(stream.answer.body.read())), 0)
        self.assertFalse(self.upstream.is_idle)

        stream.close()

        self.assertTrue(self.upstream.is_idle)
        self.assertEqual(self.internet.open, [])
        self.assertEqual(self.samples("pkgd_mirror_upstream_received_bytes_total"), {"": 4.0})

    def test_closed_twice(self) -> None:
        """Closing again changes nothing: it gives no second place back, and counts nothing twice."""
        held = self.do(self.stream())
        stream = self.do(self.stream())
        assert held is not None
        assert stream is not None
        self.do(stream.answer.body.read())

        stream.close()
        stream.close()

        self.assertEqual(self.samples("pkgd_mirror_upstream_received_bytes_total"), {"": 4.0})
        self.assertFalse(self.upstream.is_idle)
        held.close()
        self.assertTrue(self.upstream.is_idle)

    def test_closed_early(self) -> None:
        """Who has enough closes before the end; what has come is counted."""
        self.internet.at(BLOB, Reply(data=b"begin", ends=False))
        stream = self.do(self.stream())
        assert stream is not None
        self.do(stream.answer.body.read())

        stream.close()

        self.assertEqual(self.internet.open, [])
        self.assertEqual(self.samples("pkgd_mirror_upstream_received_bytes_total"), {"": 5.0})

    def test_not_there(self) -> None:
        """What isn't there takes no place."""
        self.internet.at(BLOB, Reply(404))

        self.assertIsNone(self.do(self.stream()))

        self.assertTrue(self.upstream.is_idle)
        self.assertEqual(self.internet.open, [])

    def test_range(self) -> None:
        """A part is answered with 206, and keeps its headers."""
        self.internet.at(BLOB, Reply(206, {"Content-Range": "bytes 2-3/4"}, b"ob"))

        stream = self.do(self.stream({"Range": "bytes=2-"}))

        assert stream is not None
        self.assertEqual((stream.answer.status, stream.answer.header("content-range")), (206, "bytes 2-3/4"))
        self.assertEqual(self.internet.asked[0].headers["Range"], "bytes=2-")


class TargetTests(DockerHubCase):
    """What an upstream is asked."""

    def test_url(self) -> None:
        """The repository and the path, behind the base; the base may have a path of its own."""
        self.do(self.document())
        self.assertEqual(self.internet.urls, [MANIFEST])

        self.internet = Internet()
        self.internet.at("https://a.io/api/docker/hub/v2/library/alpine/manifests/3", Reply())
        self.upstream = self.made(Endpoint("a.io", "https://a.io/api/docker/hub"))
        self.do(self.document())

        self.assertEqual(len(self.internet.asked), 1)

    def test_host_of_the_origin(self) -> None:
        """Which registry is meant is no business of the registry itself."""
        self.do(self.document())

        self.assertNotIn("ns=", self.internet.urls[0])

    def test_parent_mirror(self) -> None:
        """A mirror is told the registry that is meant, as a client tells us."""
        self.upstream = self.made(Endpoint("site.example.com", "https://site.example.com", is_mirror=True))
        base = "https://site.example.com/v2/library/alpine"
        for path, url in [
            ("manifests/3", f"{base}/manifests/3?ns=docker.io"),
            ("tags/list?n=5&last=a", f"{base}/tags/list?n=5&last=a&ns=docker.io"),
        ]:
            self.internet.at(url, Reply())
            self.do(self.document(path=path))
            self.assertEqual(self.internet.urls[-1], url)

    def test_parent_mirror_and_port(self) -> None:
        """The registry that is meant may have a port."""
        self.upstream = self.made(Endpoint("site.example.com", "https://site.example.com", is_mirror=True))
        self.internet.at("https://site.example.com/v2/a/tags/list", Reply())

        self.do(self.upstream.document("GET", Origin("a.io:5000", RepositoryName("a")), "tags/list", "", {}, LIMIT))

        self.assertEqual(self.internet.asked[0].parameters, {"ns": "a.io:5000"})

    def test_escapes_are_kept(self) -> None:
        """Where to go on in a list is the upstream's own text: what it has escaped is not escaped again."""
        for rest in ["tags/list?n=5&last=a%2Fb%3D", "referrers/sha256:00?next=a+b/c==&x=~$!;*'(),@"]:
            self.internet.at(f"{HOME}/v2/library/alpine/{rest}", Reply())
            self.do(self.document(path=rest))
            self.assertEqual(self.internet.urls[-1], f"{HOME}/v2/library/alpine/{rest}")

    def test_what_no_url_has(self) -> None:
        """What could be read as something else is escaped: there is one request, and it is for this path."""
        self.internet.at(f"{HOME}/v2/library/alpine/tags/list", Reply())

        self.do(self.document(path='tags/list?last=a b#c\r\n"\\é'))

        self.assertEqual(self.internet.urls, [f"{HOME}/v2/library/alpine/tags/list?last=a%20b%23c%0D%0A%22%5C%C3%A9"])

    def test_via(self) -> None:
        """Each mirror that a request comes through adds itself (RFC 9110, 7.6.3)."""
        self.do(self.document())
        self.do(self.document(via="1.1 proxy, 1.0 pkgd-5678"))

        self.assertEqual(
            [one.headers["Via"] for one in self.internet.asked],
            ["1.1 pkgd-1234", "1.1 proxy, 1.0 pkgd-5678, 1.1 pkgd-1234"],
        )

    def test_headers(self) -> None:
        """What the caller says is sent, and nothing that it doesn't."""
        self.do(self.document(headers={"Accept": "a/b, */*"}))

        self.assertEqual(self.internet.asked[0].headers, {"Accept": "a/b, */*", "Via": "1.1 pkgd-1234"})


class StatusTests(DockerHubCase):
    """What an answer means."""

    def test_not_there(self) -> None:
        """404 and 410 say that it is not there, which is no error."""
        for status in [404, 410]:
            self.internet.at(MANIFEST, Reply(status, data=b"not found"))
            self.assertIsNone(self.do(self.document()))
            self.assertEqual(self.internet.open, [])

    def test_table(self) -> None:
        """Every other status is somebody's fault."""
        for kind, statuses in [
            (UpstreamRefused, [403]),
            (UpstreamBusy, [429]),
            (LoopDetected, [508]),
            (
                UnexpectedStatus,
                [201, 202, 204, 205, 300, 304, 305, 306, 400, 402, 405, 406, 407, 408, 409, 416, 418, 451],
            ),
            (UpstreamUnavailable, [500, 501, 502, 503, 504, 507, 520, 599]),
        ]:
            for status in statuses:
                self.upstream = self.made(Endpoint("docker.io", HOME, CREDENTIALS))
                self.internet.at(MANIFEST, Reply(status, data=b"canary-body"))
                error = self.refused(kind)
                self.assertNotIn("canary", str(error))

    def test_denied(self) -> None:
        """403 is the upstream's own word."""
        self.internet.at(MANIFEST, Reply(403))

        error = self.refused(UpstreamRefused)

        self.assertEqual((error.message, error.definite), ("the upstream docker.io denies access", True))

    def test_busy(self) -> None:
        """429 says how long to wait, and until then nobody is asked, for anything."""
        self.internet.at(MANIFEST, Reply(429, {"Retry-After": "120"}))
        self.assertEqual(self.refused(UpstreamBusy).retry_after, 120.0)
        self.clock.advance(100)

        self.assertEqual(self.refused(UpstreamBusy).retry_after, 20.0)
        self.assertEqual(self.refusal(self.stream(), UpstreamBusy).retry_after, 20.0)

        self.assertEqual(len(self.internet.asked), 1)
        self.clock.advance(20)
        self.internet.at(MANIFEST, Reply())
        self.do(self.document())

    def test_rate_limit(self) -> None:
        """What is left of Docker Hub's limit is told; what is no number is not."""
        for said in ["76;w=21600", "75", "", "many", "-5", "٣", "9" * 30]:
            self.internet.at(MANIFEST, Reply(headers={"RateLimit-Remaining": said}))
            self.do(self.document())

        self.assertEqual(self.samples("pkgd_mirror_upstream_ratelimit_remaining"), {"": 75.0})

    def test_rate_limit_of_a_refusal(self) -> None:
        """It is told by the answer that there is nothing left, too."""
        self.internet.at(MANIFEST, Reply(429, {"RateLimit-Remaining": "0;w=21600"}))
        self.refused(UpstreamBusy)

        self.assertEqual(self.samples("pkgd_mirror_upstream_ratelimit_remaining"), {"": 0.0})

    def test_failures_of_the_client(self) -> None:
        """Whoever fails behind the upstream, it is the upstream that has failed."""
        for failure in [
            UpstreamUnavailable("cdn", "cannot be reached"),
            UpstreamTimeout("cdn", "does not answer in time"),
            UpstreamCorrupt("cdn", "does not answer in HTTP/1.1"),
            AddressRefused("cdn", "may not be connected to"),
        ]:
            self.internet.at(MANIFEST, failure)
            self.assertEqual(self.refused(type(failure)).host, "docker.io")

    def test_duration(self) -> None:
        """Each exchange is counted with its last status, or with what there was instead of one."""
        steps: list[Step] = [
            *(Reply(), Reply(404), Reply(503), Reply(418)),
            *(
                UpstreamTimeout("cdn", "waits"),
                UpstreamUnavailable("cdn", "fails"),
                AddressRefused("cdn", "is private"),
            ),
        ]
        for reply in steps:
            self.internet.at(MANIFEST, reply)
            self.begin(self.document()).addErrback(lambda failure: failure.trap(UpstreamError))

        counted = self.samples("pkgd_mirror_upstream_duration_seconds_count")
        self.assertEqual(counted, {"200": 1, "404": 1, "503": 1, "4xx": 1, "timeout": 1, "error": 2})


class BreakerTests(DockerHubCase):
    """An upstream that fails again and again is left alone for a while."""

    def fail_often(self, step: Any) -> None:
        """So many requests with this outcome that the circuit would open."""
        self.internet.at(MANIFEST, step)
        for _ in range(FAILURES):
            self.begin(self.document()).addErrback(lambda failure: failure.trap(UpstreamError, LoopDetected))

    def is_open(self) -> bool:
        """Whether it is no longer asked; asks once."""
        before = len(self.internet.asked)
        self.internet.at(MANIFEST, Reply())
        self.begin(self.document()).addErrback(lambda failure: failure.trap(UpstreamUnavailable))
        return len(self.internet.asked) == before

    def test_failures(self) -> None:
        """Server errors, time-outs and failures to connect are failures."""
        for step in [Reply(500), Reply(503), UpstreamTimeout("x", "waits"), UpstreamUnavailable("x", "fails")]:
            self.upstream = self.made(Endpoint("docker.io", HOME))
            self.fail_often(step)
            self.assertTrue(self.is_open(), step)

    def test_answers(self) -> None:
        """Whatever is an answer is none: it may be the last thing that somebody wants to hear, but it is alive."""
        for step in [
            *(
                Reply(),
                Reply(404),
                Reply(403),
                Reply(401),
                Reply(400),
                Reply(418),
                Reply(508),
                bearer("https://127.0.0.1/"),
            ),
            *(UpstreamCorrupt("x", "?"), Reply(401, {"WWW-Authenticate": "Basic"})),
        ]:
            self.upstream = self.made(Endpoint("docker.io", HOME))
            self.fail_often(step)
            self.assertFalse(self.is_open(), step)

    def test_shared(self) -> None:
        """Documents and blobs have one circuit: it is the same upstream."""
        self.fail_often(Reply(503))

        error = self.refusal(self.stream(), UpstreamUnavailable)

        self.assertIn("left alone", error.message)
        self.assertTrue(self.upstream.is_idle)

    def test_told(self) -> None:
        """Operators see it."""
        self.assertEqual(self.samples("pkgd_upstream_circuit_open"), {"": 0.0})
        self.fail_often(Reply(503))
        self.assertEqual(self.samples("pkgd_upstream_circuit_open"), {"": 1.0})
        self.clock.advance(OPEN_SECONDS)

        self.assertFalse(self.is_open())

        self.assertEqual(self.samples("pkgd_upstream_circuit_open"), {"": 0.0})

    def test_any_answer_ends_it(self) -> None:
        """If the request that finds out whether the trouble is over gets any answer, the upstream is back."""
        steps: list[Step] = [
            *(Reply(403), Reply(404), Reply(401), Reply(418), Reply(508)),
            *(bearer("https://127.0.0.1/"), UpstreamCorrupt("x", "?")),
        ]
        for said in steps:
            self.upstream = self.made(Endpoint("docker.io", HOME))
            self.fail_often(Reply(503))
            self.clock.advance(OPEN_SECONDS)
            self.internet.at(MANIFEST, said)
            self.begin(self.document()).addErrback(lambda failure: failure.trap(UpstreamError, LoopDetected))

            self.assertFalse(self.is_open(), said)

    def test_asked_when_its_turn_comes(self) -> None:
        """Who waits for a place while the circuit opens is refused when it gets one."""
        held: list[Deferred[Reply]] = [Deferred() for _ in range(SLOTS)]
        self.internet.at(MANIFEST, *held, Reply())
        asking = [self.begin(self.document()) for _ in range(SLOTS)]
        for _ in range(FAILURES - 1):
            self.upstream._breaker.failed()
        waiting = self.begin(self.document())

        held[0].callback(Reply(503))

        self.failureResultOf(asking[0], UpstreamUnavailable)
        self.assertIn("left alone", self.failureResultOf(waiting, UpstreamUnavailable).value.message)
        for one in held[1:]:
            one.callback(Reply())
        self.assertTrue(self.upstream.is_idle)


class PlacesTests(DockerHubCase):
    """So many requests at the same time, and no more; every end gives the place back."""

    def test_documents(self) -> None:
        """One more than there are places waits until one is free."""
        held: list[Deferred[Reply]] = [Deferred() for _ in range(SLOTS + 1)]
        self.internet.at(MANIFEST, *held)
        asking = [self.begin(self.document()) for _ in range(SLOTS + 1)]
        self.assertEqual(len(self.internet.asked), SLOTS)

        held[0].callback(Reply())

        self.successResultOf(asking[0])
        self.assertEqual(len(self.internet.asked), SLOTS + 1)

    def test_streams(self) -> None:
        """A stream has its place until it is closed."""
        streams = [self.do(self.stream()) for _ in range(SLOTS)]
        waiting = self.begin(self.stream())
        self.assertNoResult(waiting)
        assert streams[0] is not None

        streams[0].close()

        self.assertIsNotNone(self.successResultOf(waiting))

    def test_two_budgets(self) -> None:
        """No manifest waits for layers."""
        for _ in range(SLOTS):
            self.do(self.stream())

        self.assertIsNotNone(self.do(self.document()))

    def test_every_end(self) -> None:
        """However a request ends, its place is free again, and its answers are closed."""
        ends: list[Any] = [
            *(Reply(), Reply(206), Reply(404), Reply(410), Reply(401), Reply(403), Reply(418), Reply(429), Reply(503)),
            *(
                Reply(508),
                Reply(302),
                redirect("http://cdn.example.com/"),
                redirect("https://127.0.0.1/"),
                redirect(MANIFEST),
            ),
            *(bearer(REALM), bearer("https://127.0.0.1/"), bearer(""), Reply(401, {"WWW-Authenticate": "Basic"})),
            *(
                UpstreamUnavailable("x", "?"),
                UpstreamTimeout("x", "?"),
                UpstreamCorrupt("x", "?"),
                AddressRefused("x", "?"),
            ),
            *(
                Reply(data=b"x" * 2 * LIMIT),
                Reply(data=b"x", ends=UpstreamUnavailable("x", "is cut")),
                ZeroDivisionError(),
            ),
        ]
        for end in ends:
            for ask in (self.document, self.stream):
                self.upstream = self.made(Endpoint("docker.io", HOME, CREDENTIALS))
                self.internet.at(MANIFEST, end)
                self.internet.at(BLOB, end)
                ended: list[Any] = []
                self.begin(ask()).addBoth(ended.append)
                self.assertEqual(len(ended), 1, end)
                if isinstance(ended[0], Stream):
                    ended[0].close()
                self.assertTrue(self.upstream.is_idle, end)
                self.assertEqual(self.internet.open, [], end)

    def test_cancelled(self) -> None:
        """Who gives up, at whatever point, holds nothing."""
        for url in [MANIFEST, REALM, CDN]:
            self.internet.at(MANIFEST, lambda asked: redirect(CDN) if asked.authorization else bearer(REALM))
            self.internet.at(BLOB, lambda asked: redirect(CDN) if asked.authorization else bearer(REALM))
            self.internet.at(REALM, token(ISSUED))
            self.internet.at(CDN, Reply())
            for ask in (self.document, self.stream):
                self.internet.at(url if url != MANIFEST or ask == self.document else BLOB, Deferred())
                self.upstream = self.made(Endpoint("docker.io", HOME, CREDENTIALS))
                asking = self.begin(ask())
                self.assertFalse(self.upstream.is_idle)
                asking.cancel()
                self.failureResultOf(asking, CancelledError)
                self.assertTrue(self.upstream.is_idle, url)
                self.assertEqual(self.internet.open, [])

    def test_cancelled_body(self) -> None:
        """Who gives up in the middle of a body closes it."""
        self.internet.at(MANIFEST, Reply(data=b"begin", ends=False))
        asking = self.begin(self.document())

        asking.cancel()

        self.failureResultOf(asking, CancelledError)
        self.assertEqual(self.internet.open, [])
        self.assertTrue(self.upstream.is_idle)

    def test_cancelled_wait(self) -> None:
        """Who gives up waiting for a place takes nobody's turn."""
        held: list[Deferred[Reply]] = [Deferred() for _ in range(SLOTS)]
        self.internet.at(MANIFEST, *held, Reply())
        asking = [self.begin(self.document()) for _ in range(SLOTS)]
        impatient, patient = self.begin(self.document()), self.begin(self.document())

        impatient.cancel()
        self.failureResultOf(impatient, CancelledError)
        held[0].callback(Reply())

        self.successResultOf(asking[0])
        self.assertIsNotNone(self.successResultOf(patient))

    def test_cancelled_token(self) -> None:
        """If the one that fetches a token gives up, the others still get it."""
        later: Deferred[Reply] = Deferred()
        self.internet.at(MANIFEST, lambda asked: Reply() if asked.authorization else bearer(REALM))
        self.internet.at(REALM, later)
        first, second = self.begin(self.document()), self.begin(self.document())

        first.cancel()
        self.failureResultOf(first, CancelledError)
        later.callback(token(ISSUED))

        self.successResultOf(second)
        self.assertTrue(self.upstream.is_idle)


class LogTests(DockerHubCase):
    """One line for each request; what it says."""

    def asked_lines(self) -> list[str]:
        """The lines about requests."""
        return [line for line in self.lines if line.startswith("asked ")]

    def test_line(self) -> None:
        """Whom, for what, with which outcome, in what time."""
        later: Deferred[Reply] = Deferred()
        self.internet.at(MANIFEST, later)
        self.begin(self.document())
        self.clock.advance(0.25)

        later.callback(Reply(404))

        self.assertEqual(self.asked_lines(), ["asked docker.io: GET library/alpine/manifests/3: 404 in 250 ms"])

    def test_failures(self) -> None:
        """A failure says who has really failed: that is for the operator."""
        self.internet.at(MANIFEST, redirect(CDN))
        self.internet.at(CDN, UpstreamTimeout("cdn.example.com", "does not answer in time"), Reply(503))
        line = "asked docker.io: GET library/alpine/manifests/3"
        for _ in range(2):
            self.begin(self.document()).addErrback(lambda failure: failure.trap(UpstreamUnavailable))

        self.assertEqual(
            self.asked_lines(),
            [
                f"{line}: timeout in 0 ms: cdn.example.com does not answer in time",
                f"{line}: 503 in 0 ms: docker.io answers 503",
            ],
        )

    def test_open_circuit(self) -> None:
        """What is not asked is not said to have been."""
        for _ in range(FAILURES):
            self.upstream._breaker.failed()
        self.refused(UpstreamUnavailable)

        self.assertEqual(self.asked_lines(), [])

    def test_no_secrets(self) -> None:
        """No password, no token, no signed URL, and nothing that the upstream has written."""
        signed = "https://cdn.example.com/x?signature=canary-signature"
        odd = Reply(418, {"X": "canary-header"}, b"canary-body")
        for last in [
            Reply(),
            Reply(403, {}, b"canary-body"),
            odd,
            redirect("http://canary.example.com/canary"),
            Reply(503),
        ]:
            self.internet.at(MANIFEST, lambda asked: redirect(signed) if asked.authorization else bearer(REALM))
            self.internet.at(signed, last)
            self.begin(self.document()).addErrback(self.check_error)
        self.internet.at(MANIFEST, bearer("https://evil.com/canary-realm", "canary-service", "canary-scope"))
        self.internet.at(
            "https://evil.com/canary-realm", Reply(400, {}, b"canary-body"), Reply(data=b'{"token": "canary x"}')
        )
        for _ in range(2):
            self.begin(self.document()).addErrback(self.check_error)

        shown = [*self.lines, repr(self.upstream), repr(self.upstream.endpoint), repr(self.upstream._tokens)]
        self.assertEqual([one for one in shown if "canary" in one or CREDENTIALS.header in one], [])
        self.assertEqual(len(self.asked_lines()), 7)

    def check_error(self, failure: Any) -> None:
        """An error shows nothing either."""
        failure.trap(UpstreamError)
        self.assertNotIn("canary", f"{failure.value!r} {failure.value}")

    def test_documents_show_no_data(self) -> None:
        """What was fetched is not shown."""
        self.internet.at(MANIFEST, Reply(data=b"canary-data"))

        self.assertNotIn("canary", repr(self.do(self.document())))


class CloseTests(DockerHubCase):
    """The end."""

    def test_close(self) -> None:
        """Its connections are closed."""
        self.do(self.upstream.close())

        self.assertTrue(self.internet.closed)
