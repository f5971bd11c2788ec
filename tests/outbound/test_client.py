"""One exchange: what goes out, what comes back, and what ends it."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.logger import LogEvent, globalLogPublisher

from pkgd import __version__
from pkgd.errors import AddressRefused, UpstreamCorrupt, UpstreamTimeout, UpstreamUnavailable
from pkgd.outbound.client import MAX_SENT, Limits
from tests.outbound.exchanges import ClientCase, ok
from tests.outbound.network import Wire

HELLO = ok(b"Content-Length: 5", body=b"hello")


class RequestTests(ClientCase):
    """What goes out."""

    def sent(self, url: str = "http://quay.io/", method: str = "GET", **headers: str) -> list[bytes]:
        """The lines of a request."""
        asking = self.request(url, method, {name.replace("_", "-"): value for name, value in headers.items()})
        wire = self.network.accept()
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        return wire.take().split(b"\r\n")

    def test_get(self) -> None:
        """A request has its line, Host, our name, and asks for nothing encoded."""
        self.assertEqual(
            sorted(self.sent("http://quay.io:8080/v2/")),
            sorted(
                [
                    *[b"GET /v2/ HTTP/1.1", b"Host: quay.io:8080", b"Accept-Encoding: identity"],
                    *[f"User-Agent: pkgd/{__version__}".encode("ascii"), b"", b""],
                ]
            ),
        )

    def test_headers(self) -> None:
        """The caller's headers go with it; those that are ours to say do not."""
        lines = self.sent(Accept="a/b, c/d", Authorization="Bearer x", Accept_Encoding="gzip", User_Agent="x", Host="y")

        self.assertIn(b"Accept: a/b, c/d", lines)
        self.assertIn(b"Authorization: Bearer x", lines)
        self.assertEqual([line for line in lines if line.startswith(b"Accept-Enc")], [b"Accept-Encoding: identity"])
        self.assertEqual([line for line in lines if line.startswith(b"Host")], [b"Host: quay.io"])
        self.assertEqual(
            [line for line in lines if line.startswith(b"User")], [b"User-Agent: pkgd/" + __version__.encode()]
        )

    def test_line_breaks(self) -> None:
        """A header's value cannot become two headers."""
        self.assertIn(b"Accept: a X: b", self.sent(Accept="a\r\nX: b"))

    def test_post(self) -> None:
        """A POST says that it has no body."""
        lines = self.sent(method="POST")

        self.assertEqual(lines[0], b"POST / HTTP/1.1")
        self.assertIn(b"Content-Length: 0", lines)

    def test_body(self) -> None:
        """A body follows the head, with its length; an empty one is a body, too."""
        for body in [b"{}", b"", b"\0" * MAX_SENT]:
            asking = self.request(method="POST", headers={"Content-Type": "a/b"}, body=body)
            head, _, sent = self.network.accept().take().partition(b"\r\n\r\n")
            asking.cancel()
            self.failureResultOf(asking, CancelledError)
            lines = head.split(b"\r\n")
            self.assertIn(b"Content-Length: %d" % len(body), lines)
            self.assertIn(b"Content-Type: a/b", lines)
            self.assertIn(b"Connection: close", lines)
            self.assertEqual(sent, body)

    def test_no_body(self) -> None:
        """Nothing but a POST has a body, and none is large: that would be a mistake of ours."""
        for method, body in [("GET", b"x"), ("HEAD", b""), ("POST", bytes(MAX_SENT + 1))]:
            self.failureResultOf(self.request(method=method, body=body), AssertionError)

    def test_path(self) -> None:
        """The path goes out to the letter."""
        for path in ["//a//;?", "/?", "/%7e%2F;x=1;?b=%2f+c|d"]:
            self.assertEqual(self.sent(f"http://quay.io{path}#e")[0], f"GET {path} HTTP/1.1".encode("ascii"))

    def test_refused_urls(self) -> None:
        """What may not be asked is refused before anything is looked up."""
        for url in [
            "http://127.0.0.1/",
            "http://localhost/",
            "ftp://quay.io/",
            "http://user@quay.io/",
            "http://127.1/",
        ]:
            self.failureResultOf(self.request(url), AddressRefused)
        self.assertEqual((self.network.names.asked, self.network.called), ([], []))

    def test_private(self) -> None:
        """What is listed as private may be asked."""
        self.assertIn(b"Host: 10.0.0.1:5000", self.sent("http://10.0.0.1:5000/"))

    def test_no_cookies(self) -> None:
        """A cookie that an answer sets is not sent back."""
        answer, wire = self.answered(ok(b"Set-Cookie: a=b; Path=/", b"Content-Length: 0"))
        answer.close()
        asking = self.request()

        self.assertNotIn(b"cookie", wire.take().lower())
        asking.cancel()
        self.failureResultOf(asking, CancelledError)


class AnswerTests(ClientCase):
    """What comes back."""

    def test_answer(self) -> None:
        """An answer has a status, headers, and a body to be read."""
        answer, _ = self.answered(ok(b"Content-Length: 5", b"ETag: \xe4", b"Link: a", b"link: b", body=b"hello"))

        self.assertEqual((answer.status, answer.length), (200, 5))
        self.assertEqual((answer.header("etag"), answer.header("Missing")), ("ä", None))
        self.assertEqual((answer.headers("LINK"), answer.headers("Missing")), (["a", "b"], []))
        self.assertEqual(self.successResultOf(self.read_all(answer)), b"hello")
        answer.close()

    def test_head(self) -> None:
        """A HEAD has a length and no body."""
        answer, _ = self.answered(ok(b"Content-Length: 1000"), method="HEAD")

        self.assertEqual((answer.length, self.successResultOf(self.read_all(answer))), (1000, b""))
        answer.close()

    def test_head_without_length(self) -> None:
        """A HEAD may say nothing of the length."""
        for fields in [[], [b"Transfer-Encoding: chunked"]]:
            answer, _ = self.answered(ok(*fields), method="HEAD")
            self.assertEqual((answer.length, self.successResultOf(self.read_all(answer))), (None, b""))
            answer.close()

    def test_without_body(self) -> None:
        """Some statuses have no body."""
        for status in [b"204 No Content", b"304 Not Modified"]:
            answer, _ = self.answered(ok(status=status))
            self.assertEqual(self.successResultOf(self.read_all(answer)), b"")
            answer.close()

    def test_redirect(self) -> None:
        """A redirect is an answer as any other."""
        answer, wire = self.answered(ok(b"Location: http://10.0.0.2/", b"Content-Length: 0", status=b"307 Temporary"))

        self.assertEqual((answer.status, answer.header("location")), (307, "http://10.0.0.2/"))
        self.assertEqual((len(self.network.called), wire.take()), (1, b""))
        answer.close()

    def test_unauthorized(self) -> None:
        """So is a challenge."""
        answer, wire = self.answered(ok(b'WWW-Authenticate: Basic realm="a"', b"Content-Length: 0", status=b"401 No"))

        self.assertEqual((answer.status, answer.header("www-authenticate"), wire.take()), (401, 'Basic realm="a"', b""))
        answer.close()

    def test_interim(self) -> None:
        """Interim answers are passed over, and nobody logs them."""
        answer, _ = self.answered(ok(status=b"103 Early Hints") * 3 + HELLO)

        self.assertEqual(self.successResultOf(self.read_all(answer)), b"hello")
        answer.close()

    def test_identity(self) -> None:
        """An encoding that is none is none."""
        answer, _ = self.answered(ok(b"Content-Encoding: Identity", b"Content-Length: 5", body=b"hello"))

        self.assertEqual(self.successResultOf(self.read_all(answer)), b"hello")
        answer.close()

    def test_encoded(self) -> None:
        """An encoded body is not touched: the answer is refused, and the connection dropped."""
        for encoding in [b"gzip", b"GZIP", b"deflate", b"br", b"identity, gzip", b"gzip, identity", b"x"]:
            asking, wire = self.asked()
            wire.deliver(ok(b"Content-Encoding: " + encoding, b"Content-Length: 50000", body=b"\x1f\x8b"))
            message = self.failure(asking, UpstreamCorrupt)
            self.assertEqual(message, "the upstream quay.io sends an encoded body that nobody asked for")
            self.network.advance(0)
            self.assertTrue(wire.lost)

    def test_encoded_twice(self) -> None:
        """Nor does a second header hide the first."""
        asking, wire = self.asked()
        wire.deliver(
            ok(b"Content-Encoding: identity", b"Content-Encoding: gzip", b"Content-Length: 2", body=b"\x1f\x8b")
        )

        self.failureResultOf(asking, UpstreamCorrupt)


class LogTests(ClientCase):
    """What is logged."""

    def test_nothing(self) -> None:
        """Whatever an upstream does is for the caller to report: it cannot fill the log."""
        events: list[LogEvent] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        for data in [
            ok(status=b"103 Early Hints") * 3 + HELLO,
            b"SSH-2.0-OpenSSH\r\n\r\n",
            ok(b"Content-Encoding: br"),
        ]:
            asking, wire = self.asked()
            wire.deliver(data)
            wire.end()
            asking.addErrback(lambda _: None)

        self.assertEqual([event["log_format"] for event in events], [])


class FailureTests(ClientCase):
    """What ends an exchange before its answer."""

    def test_cannot_be_reached(self) -> None:
        """Without a connection there is no answer."""
        asking = self.request()
        self.network.refuse()

        self.assertEqual(self.failure(asking, UpstreamUnavailable), "the upstream quay.io cannot be reached")

    def test_port_in_errors(self) -> None:
        """An upstream is called by host and port, if the port is not the usual one."""
        asking = self.request("http://quay.io:8080/")
        self.network.refuse()

        error = self.failureResultOf(asking, UpstreamUnavailable).value
        assert isinstance(error, UpstreamUnavailable)
        self.assertEqual(error.host, "quay.io:8080")

    def test_closed(self) -> None:
        """A connection that ends without an answer, or within the head."""
        for data in [b"", b"HTTP/1.1 200 OK\r\n", ok(status=b"100 Continue")]:
            for end in [Wire.end, Wire.cut]:
                asking, wire = self.asked()
                wire.deliver(data)
                end(wire)
                message = self.failure(asking, UpstreamUnavailable)
                self.assertEqual(message, "the upstream quay.io closed the connection without an answer")

    def test_silence(self) -> None:
        """The head must come in time; then the connection is dropped."""
        asking, wire = self.asked()
        self.network.advance(14.9)
        self.assertNoResult(asking)
        self.network.advance(0.2)

        self.assertEqual(self.failure(asking, UpstreamTimeout), "the upstream quay.io does not answer in time")
        self.network.advance(0)
        self.assertTrue(wire.lost)

    def test_slow_head(self) -> None:
        """A head that trickles does not get more time, nor one behind interim answers."""
        asking, wire = self.asked()
        for data in [b"HTTP/1.1 100 C\r\n\r\n", b"HTTP/1.1", b" 200 OK\r\n"]:
            self.network.advance(4.9)
            wire.deliver(data)
        self.assertNoResult(asking)
        self.network.advance(0.4)

        self.failureResultOf(asking, UpstreamTimeout)

    def test_malformed(self) -> None:
        """What is no HTTP is refused with the first line, and the connection dropped."""
        asking, wire = self.asked()
        wire.deliver(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

        self.assertEqual(self.failure(asking, UpstreamCorrupt), "the upstream quay.io does not answer in HTTP/1.1")
        self.network.advance(0)
        self.assertTrue(wire.lost)

    def test_flood(self) -> None:
        """A head that does not end is cut at the limit."""
        asking, wire = self.asked()
        wire.deliver(b"HTTP/1.1 200 OK\r\n")
        for _ in range(Limits().head // 1024):
            wire.deliver(b"A: " + b"b" * 1019 + b"\r\n")

        message = self.failure(asking, UpstreamCorrupt)
        self.assertEqual(message, "the upstream quay.io sends a response head that is too large")

    def test_endless_interim(self) -> None:
        """Interim answers without end are cut as well."""
        asking, wire = self.asked()
        wire.deliver(ok(status=b"102 Processing") * 1000)

        self.failureResultOf(asking, UpstreamCorrupt)

    def test_behind_the_end(self) -> None:
        """What still comes behind an error changes nothing."""
        asking, wire = self.asked()
        wire.deliver(b"x\n\n")
        wire.protocol.dataReceived(HELLO)
        wire.cut()

        self.failureResultOf(asking, UpstreamCorrupt)

    def test_our_own_mistakes(self) -> None:
        """What is no failure of the upstream's is not reported as one."""
        asking = self.request(method="GE T")

        self.failureResultOf(asking, ValueError)

    def test_cancelled(self) -> None:
        """Cancelling ends the exchange wherever it is, and drops the connection."""
        self.network.names.slow.add("quay.io")
        looking = self.request()
        looking.cancel()
        self.failureResultOf(looking, CancelledError)
        self.network.names.slow.clear()

        connecting = self.request()
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertEqual(self.network.given_up, [True])

        asking, wire = self.asked()
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.network.advance(0)
        self.assertTrue(wire.lost)


class ConnectionTests(ClientCase):
    """Which connections are used again."""

    def done(self, answer: bytes = HELLO, method: str = "GET") -> Wire:
        """An exchange that has been read to its end, on a new connection."""
        answered, wire = self.answered(answer, method)
        self.successResultOf(self.read_all(answered))
        answered.close()
        self.network.advance(0)
        return wire

    def test_used_again(self) -> None:
        """A connection whose answer has been read serves the next request to the same origin."""
        wire = self.done()
        asking = self.request("http://quay.io/next")
        self.assertTrue(wire.take().startswith(b"GET /next "))
        wire.deliver(HELLO)

        self.assertEqual(self.successResultOf(asking).status, 200)
        self.assertEqual((len(self.network.called), self.network.names.asked), (1, ["quay.io"]))

    def test_other_origin(self) -> None:
        """Another port, or scheme, has connections of its own."""
        self.done()
        for url in ["http://quay.io:8080/", "https://quay.io:80/"]:
            self.request(url).addErrback(lambda _: None)
        self.assertEqual([port for _, port in self.network.called], [80, 8080, 80])

    def test_told_to_close(self) -> None:
        """An upstream that wants to close gets its way."""
        self.assertTrue(self.done(ok(b"Connection: close", b"Content-Length: 0")).lost)

    def test_unasked_bytes(self) -> None:
        """What comes on a connection that nobody has asked on ends it: it is no answer to the next request."""
        wire = self.done()
        wire.deliver(HELLO)
        self.network.advance(0)

        self.assertTrue(wire.lost)
        asking = self.request()
        self.assertEqual(len(self.network.called), 2)
        asking.cancel()
        self.failureResultOf(asking, CancelledError)

    def test_gone(self) -> None:
        """A kept connection that the upstream has closed is not used, and its time passes without ado."""
        self.done().end()
        asking = self.request()
        self.assertEqual(len(self.network.called), 2)
        asking.cancel()
        self.failureResultOf(asking, CancelledError)

        self.done().end()
        self.network.advance(60)

    def test_gone_meanwhile(self) -> None:
        """When a kept connection turns out to be lost, a GET is asked once more on a new one."""
        wire = self.done()
        asking = self.request()
        wire.end(ConnectionLost())
        self.assertNoResult(asking)
        self.network.accept().deliver(HELLO)

        self.assertEqual(self.successResultOf(asking).status, 200)

    def test_only_once(self) -> None:
        """Once more is not twice, and a new connection is not tried again."""
        wire = self.done()
        asking = self.request()
        wire.cut()
        self.network.accept().cut()

        self.failureResultOf(asking, UpstreamUnavailable)
        self.assertEqual(len(self.network.called), 2)

    def test_not_after_an_answer(self) -> None:
        """What was answered badly, or too late, is not asked again."""
        for misbehave in [lambda wire: wire.deliver(b"x\n\n"), lambda wire: self.network.advance(16)]:
            wire = self.done()
            asking = self.request()
            called = len(self.network.called)
            misbehave(wire)
            self.assertIsInstance(self.failureResultOf(asking).value, UpstreamCorrupt | UpstreamTimeout)
            self.assertEqual(len(self.network.called), called)

    def test_post_is_not_repeated(self) -> None:
        """A POST is asked once."""
        wire = self.done()
        asking = self.request(method="POST")
        wire.cut()

        self.failureResultOf(asking, UpstreamUnavailable)

    def test_body_on_its_own(self) -> None:
        """What has a body neither takes a kept connection nor leaves one, for it could not be asked once more."""
        wire = self.done()
        asking = self.request(method="POST", body=b"{}")
        own = self.network.accept()
        self.assertEqual(wire.take().count(b"POST"), 0)
        own.deliver(HELLO)
        answer = self.successResultOf(asking)
        self.successResultOf(self.read_all(answer))
        answer.close()
        self.network.advance(0)
        self.assertTrue(own.lost)

        again = self.request(method="POST", body=b"{}")
        self.network.accept().cut()
        self.failureResultOf(again, UpstreamUnavailable)
        self.assertEqual(len(self.network.called), 3)

    def test_answered_early(self) -> None:
        """An answer that comes before the body has been looked at is an answer."""
        asking = self.request(method="POST", body=b"{}")
        wire = self.network.accept()
        wire.deliver(ok(b"Content-Length: 0", status=b"401 Unauthorized"))
        self.network.advance(0)

        self.assertEqual(self.successResultOf(asking).status, 401)

    def test_kept(self) -> None:
        """So many idle connections are kept to one origin, and for a while."""
        exchanges = [self.asked() for _ in range(4)]
        for asking, wire in exchanges:
            wire.deliver(HELLO)
            self.successResultOf(asking).close()
        self.network.advance(0)
        self.assertEqual(sum(wire.lost for _, wire in exchanges), 1)
        self.network.advance(60)
        self.network.advance(0)

        self.assertEqual(sum(wire.lost for _, wire in exchanges), 4)


class CloseTests(ClientCase):
    """The end of a client."""

    def close(self) -> None:
        """Close it."""
        closing = Deferred.fromCoroutine(self.client.close())
        self.network.advance(0)
        self.successResultOf(closing)

    def test_running(self) -> None:
        """Exchanges that have no answer yet fail, wherever they are; idle connections are closed."""
        idle, idle_wire = self.answered(HELLO)
        idle.close()
        asking, wire = self.asked("http://10.0.0.1/")
        connecting = self.request("http://10.0.0.1/")
        self.network.names.slow.add("quay.io")
        looking = self.request("http://quay.io:8080/")
        self.close()

        for exchange in [asking, connecting, looking]:
            self.assertIn("is not asked any more", self.failure(exchange, UpstreamUnavailable))
        self.assertTrue(wire.lost and idle_wire.lost)

    def test_bodies(self) -> None:
        """A body that is being read fails."""
        answer, wire = self.answered(ok(b"Content-Length: 50000", body=b"x"))
        self.successResultOf(self.read(answer))
        reading = self.read(answer)
        self.close()

        self.failureResultOf(reading, UpstreamUnavailable)
        self.assertTrue(wire.lost)
        answer.close()

    def test_twice(self) -> None:
        """Whoever closes it again waits as well."""
        self.asked()[0].addErrback(lambda _: None)
        closing = [Deferred.fromCoroutine(self.client.close()) for _ in range(2)]
        for one in closing:
            self.assertNoResult(one)
        self.network.advance(0)

        for one in closing:
            self.successResultOf(one)

    def test_afterwards(self) -> None:
        """A closed client asks nobody."""
        self.close()

        self.failureResultOf(self.request(), UpstreamUnavailable)
        self.assertEqual(self.network.names.asked, [])
