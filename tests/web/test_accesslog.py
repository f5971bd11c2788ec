"""The access log: Apache's combined format to the byte, and who the client is."""

from __future__ import annotations

import json
import os
import re
import time
from ipaddress import ip_address, ip_network
from typing import Any, Literal

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from pkgd.blocking import InlineBlocking
from pkgd.logfile import FLUSH_BYTES, FLUSH_SECONDS, MAX_BACKLOG
from pkgd.web.accesslog import (
    MAX_FIELD,
    AccessLog,
    client_address,
    format_line,
)
from pkgd.web.request import Request
from tests.fixtures import HeldBlocking
from tests.properties import ANY_TEXT, bounded
from tests.web.recorder import recorded

NOON = 1_750_000_000.0
STAMP = "15/Jun/2025:15:06:40 +0000"
TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
# httpd's own regular expression for combined, by its escaping rules.
COMBINED = re.compile(
    r'\S+ - \S+ \[[^\]"]+\] "((?:[^"\\]|\\.)*)" \d{3} (?:\d+|-) "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"\n'
)


def answered(
    line: str = "GET /v2/ HTTP/1.1", headers: dict[str, str] | None = None, peer: str = "192.0.2.7"
) -> Request:
    """A request that was answered with two bytes."""
    request, _ = recorded(line, headers, peer)
    request.send(200, b"", b"{}")
    request.finish()
    return request


class LineTests(SynchronousTestCase):
    """One line, with fixed client and time."""

    def line(self, request: Request) -> str:
        """Its line."""
        return format_line("192.0.2.7", "-", STAMP, request)

    def test_combined(self) -> None:
        """`%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i"`, exactly."""
        request = answered("GET /v2/a?n=1 HTTP/1.1", {"Referer": "https://a/", "User-Agent": "podman/5"})

        expected = f'192.0.2.7 - - [{STAMP}] "GET /v2/a?n=1 HTTP/1.1" 200 2 "https://a/" "podman/5"\n'
        self.assertEqual(self.line(request), expected)

    def test_absent(self) -> None:
        """An absent or empty header is `-`, and so is the size of an answer without a body."""
        request, _ = recorded("HEAD /v2/ HTTP/1.1", {"Referer": ""})
        request.send(404, b"", b"not sent")
        request.finish()

        self.assertEqual(self.line(request), f'192.0.2.7 - - [{STAMP}] "HEAD /v2/ HTTP/1.1" 404 - "-" "-"\n')

    def test_escaping(self) -> None:
        """Quotes, backslashes, tabs and bytes beyond ASCII are escaped, so that no field can end early."""
        request = answered(headers={"User-Agent": 'a" 200 5 "x\\', "Referer": "\t\xe4b\tc\xff"})

        self.assertTrue(self.line(request).endswith('"\\xe4b\\x09c\\xff" "a\\" 200 5 \\"x\\\\"\n'))

    def test_length(self) -> None:
        """A long field is cut."""
        request = answered(headers={"User-Agent": "a" * 10_000})

        self.assertTrue(self.line(request).endswith(f'"{"a" * MAX_FIELD}"\n'))

    def test_bytes_sent(self) -> None:
        """`%b` counts what went out of the body, not what was promised."""
        request, _ = recorded()
        request.send(200, b"", b"12345", length=100)
        request.write_body(b"678")

        self.assertIn(" 200 8 ", self.line(request))

    @bounded
    @given(ANY_TEXT, ANY_TEXT)
    def test_any_headers(self, referer: str, agent: str) -> None:
        """Whatever the headers hold, the line is one line of the format, and they can be read from it."""
        request = answered()
        request.head.headers[b"referer"] = referer.encode("utf-8", "replace")
        request.head.headers[b"user-agent"] = agent.encode("utf-8", "replace")

        match = COMBINED.fullmatch(self.line(request))

        assert match is not None
        fields = [
            re.sub(r"\\x(..)|\\(.)", lambda one: chr(int(one[1], 16)) if one[1] else one[2], text)
            for text in match.groups()
        ]
        expected = [text.encode("utf-8", "replace").decode("latin-1") or "-" for text in (referer, agent)]
        self.assertEqual(fields[1:], expected)


class ClientAddressTests(SynchronousTestCase):
    """X-Forwarded-For is walked from the right, through trusted proxies only."""

    def assert_client(self, client: str, peer: str, forwarded: str | None) -> None:
        """With this peer and header, that is the client."""
        self.assertEqual(client_address(peer, forwarded, TRUSTED), client, forwarded)

    def test_untrusted_peer(self) -> None:
        """What a stranger claims changes nothing."""
        for forwarded in (None, "", "198.51.100.1", "10.0.0.1", "127.0.0.1, 10.0.0.1"):
            self.assert_client("192.0.2.7", "192.0.2.7", forwarded)

    def test_nobody_is_trusted(self) -> None:
        """Without trusted proxies the header means nothing, from loopback too."""
        self.assertEqual(client_address("127.0.0.1", "198.51.100.1", []), "127.0.0.1")

    def test_one_proxy(self) -> None:
        """The proxy's right-most entry is the client; what stands left of it anyone may have written."""
        self.assert_client("198.51.100.1", "10.0.0.1", "198.51.100.1")
        self.assert_client("198.51.100.1", "10.0.0.1", "203.0.113.9, 198.51.100.1")
        self.assert_client("198.51.100.1", "10.0.0.1", "10.0.0.9,198.51.100.1")

    def test_several_proxies(self) -> None:
        """Trusted entries are walked through; the first that is not is the client."""
        self.assert_client("198.51.100.1", "10.0.0.1", "203.0.113.9, 198.51.100.1, 10.0.0.3, 10.0.0.2")

    def test_only_proxies(self) -> None:
        """If all are trusted, the left-most is the client: a request from within."""
        self.assert_client("10.0.0.3", "10.0.0.1", "10.0.0.3, 10.0.0.2")

    def test_garbage(self) -> None:
        """An entry that is no address ends the walk: the last trusted address is the client."""
        for garbage in (
            "unknown",
            "",
            "_hidden",
            "198.51.100.1:80",
            "[fd00::1]",
            "0x7f.1",
            "2130706433",
            "127.1",
            "1.2.3",
            "١.١.١.١",
        ):
            self.assert_client("10.0.0.2", "10.0.0.1", f"198.51.100.1, {garbage}, 10.0.0.2")
            self.assert_client("10.0.0.1", "10.0.0.1", garbage)

    def test_zone(self) -> None:
        """An address with a zone, which may be any text at all, is garbage: it could forge fields."""
        for zone in ("eth0", 'x" 200 5', " - - [x]"):
            self.assert_client("10.0.0.1", "10.0.0.1", f"fe80::1%{zone}")

    def test_ipv6(self) -> None:
        """IPv6 addresses are written in their short form, and walked like others."""
        self.assert_client("2001:db8::1", "fd00::1", "2001:0DB8:0:0::1, fd00::2")

    def test_mapped(self) -> None:
        """An IPv4 address in IPv6 clothes, as a socket for both families shows it, is that IPv4 address."""
        self.assert_client("198.51.100.1", "::ffff:10.0.0.1", "::ffff:198.51.100.1, 10.0.0.2")

    def test_mapped_peer(self) -> None:
        """The peer itself is written in the same way, whether or not it forwards."""
        self.assert_client("192.0.2.7", "::ffff:192.0.2.7", "198.51.100.1")
        self.assert_client("192.0.2.7", "::ffff:192.0.2.7", None)

    @bounded
    @given(
        st.lists(
            st.sampled_from(["10.0.0.1", "198.51.100.1", "::1%a b", "x", "", " fd00::1 ", "::ffff:10.1.1.1"])
            | ANY_TEXT,
            max_size=5,
        )
    )
    def test_any_header(self, entries: list[str]) -> None:
        """Whatever the header holds, the client is an address: nothing of it gets into the log as it is."""
        found = client_address("10.0.0.1", ",".join(entries), TRUSTED)

        self.assertEqual(str(ip_address(found)), found)
        self.assertNotIn("%", found)


class LogCase(SynchronousTestCase):
    """A log on a file, under a clock that the test moves."""

    def setUp(self) -> None:
        """Noon UTC, whatever the machine's zone."""
        self.zone("UTC")
        self.clock = Clock()
        self.clock.advance(NOON)
        self.path = self.mktemp()

    def zone(self, name: str) -> None:
        """Be in this time zone until the test ends."""
        before = os.environ.get("TZ")

        def set_zone(value: str | None) -> None:
            os.environ.pop("TZ", None) if value is None else os.environ.__setitem__("TZ", value)
            time.tzset()

        set_zone(name)
        self.addCleanup(set_zone, before)

    def open(self, blocking: Any = None, form: Literal["combined", "json"] = "combined") -> AccessLog:
        """An open log."""
        log = AccessLog(
            *(self.clock, InlineBlocking() if blocking is None else blocking, self.path, TRUSTED, form),
            lambda: "ours",
        )
        log.open()
        return log

    def lines(self, path: str | None = None) -> list[str]:
        """What the file holds."""
        with open(path or self.path, encoding="ascii") as file:
            return file.read().splitlines()


class JsonTests(LogCase):
    """The log for machines."""

    def record(self, *requests: Request) -> list[dict[str, Any]]:
        """What the lines of these requests say."""
        log = self.open(form="json")
        for request in requests:
            request.site.name_of = log.name_of
            log.record(request)
        log.close()
        return [json.loads(line) for line in self.lines()]

    def test_line(self) -> None:
        """A request is one object; what is absent is left out. The time is the end, with milliseconds."""
        request = answered("GET /v2/a?n=1 HTTP/1.1", {"Referer": "https://a/", "User-Agent": "podman/5"})
        request.user_name, request.began = "alice", NOON - 1.5
        self.clock.advance(0.25)
        named = {"user": "alice", "referer": "https://a/", "user_agent": "podman/5"}
        line = {
            "time": "2025-06-15T15:06:40.250Z",
            "id": "ours",
            "client": "192.0.2.7",
            "request": "GET /v2/a?n=1 HTTP/1.1",
            "route": "none",
            "status": 200,
            "sent": 2,
            "received": 0,
            "seconds": 1.75,
        }
        bare = {**line, "request": "GET /v2/ HTTP/1.1", "seconds": 0.0}
        other = answered()
        other.began = NOON + 60  # the clock was set back
        self.assertEqual(self.record(request, other), [{**line, **named}, bare])

    def test_one_line(self) -> None:
        """Whatever a client sends, it is one line of ASCII, and no text of his is taken for another field."""
        agent = '","status":500,"x":"\x85\x9c\u00e4\u00f6'
        request = answered(headers={"User-Agent": agent, "Referer": "x" * (MAX_FIELD + 1)})
        request.user_name = "ev\nil\udc80"

        (found,) = self.record(request)

        self.assertEqual((found["status"], found["user"], len(found["referer"])), (200, "ev\nil\udc80", MAX_FIELD))
        self.assertEqual(found["user_agent"], '","status":500,"x":"\\x85\\x9c\\xe4\\xf6')

    def test_utf8(self) -> None:
        """What is UTF-8 reads as it was meant."""
        agent = "Größe".encode().decode("latin-1")
        self.assertEqual(self.record(answered(headers={"User-Agent": agent}))[0]["user_agent"], "Größe")

    def test_names(self) -> None:
        """A trusted proxy names requests; nobody else does, and nobody by what is no name."""
        for peer, said, name in (
            ("10.0.0.1", "req-1_a:b/c+d=e@f.g", "req-1_a:b/c+d=e@f.g"),
            ("10.0.0.1", "x" * 128, "x" * 128),
            ("10.0.0.1", "x" * 129, "ours"),
            ("10.0.0.1", 'a"b', "ours"),
            ("10.0.0.1", "a b", "ours"),
            ("10.0.0.1", "", "ours"),
            ("192.0.2.7", "req-1", "ours"),
            ("-", "req-1", "ours"),
        ):
            (found,) = self.record(answered(headers={"X-Request-Id": said}, peer=peer))
            self.assertEqual(found["id"], name, (peer, said))
            os.unlink(self.path)

    def test_client_gone(self) -> None:
        """A client that left before its answer has a line and a name, too."""
        early, _ = recorded()
        early.lost()
        (found,) = self.record(early)
        self.assertEqual((found["status"], found["id"]), (499, "ours"))

    def test_probes(self) -> None:
        """Probes that succeed are not logged here, either."""
        self.assertEqual(self.record(answered("GET /health HTTP/1.1")), [])

    def test_unwritten(self) -> None:
        """Where nothing is logged nothing is named."""
        log = AccessLog(self.clock, InlineBlocking(), None, [], "json")
        self.assertFalse(log.names_requests)


class RecordTests(LogCase):
    """What is logged, and what is not."""

    def record(self, *requests: Request) -> list[str]:
        """The lines of these requests."""
        log = self.open()
        for request in requests:
            log.record(request)
        log.close()
        return self.lines()

    def test_line(self) -> None:
        """A request is one line with its peer and the local time."""
        self.assertEqual(self.record(answered()), [f'192.0.2.7 - - [{STAMP}] "GET /v2/ HTTP/1.1" 200 2 "-" "-"'])

    def test_local_time(self) -> None:
        """Times are local, with their offset."""
        self.zone("IST-5:30")

        self.assertIn("[15/Jun/2025:20:36:40 +0530]", self.record(answered())[0])

    def test_month_names(self) -> None:
        """Months are English whatever the locale, and days have two digits."""
        self.clock.advance(86400 * 200)

        self.assertIn("[01/Jan/2026:15:06:40 +0000]", self.record(answered())[0])

    def test_peers(self) -> None:
        """A peer is logged by its address, a mapped one as IPv4; on a UNIX socket it has none, and none is believed."""
        peers = ["2001:db8::1", "::ffff:192.0.2.9", "-"]
        requests = [answered(peer=peer) for peer in peers] + [
            answered(headers={"X-Forwarded-For": "10.0.0.1"}, peer="-")
        ]

        found = [line.split(" ")[0] for line in self.record(*requests)]

        self.assertEqual(found, ["2001:db8::1", "192.0.2.9", "-", "-"])

    def test_forwarded(self) -> None:
        """Behind a trusted proxy the client is logged; several headers are one list."""
        request = answered(
            headers={"X-Forwarded-For": "203.0.113.9", "x-forwarded-for": "198.51.100.1"}, peer="10.0.0.1"
        )

        self.assertTrue(self.record(request)[0].startswith("198.51.100.1 - - ["))

    def test_probes(self) -> None:
        """A probe that succeeds is not logged, one that fails is; what only looks like a probe is."""
        failing, _ = recorded("GET /ready HTTP/1.1")
        failing.send(503, b"", b"{}")
        probes = [
            answered(f"GET {path} HTTP/1.1") for path in ("/health", "/ready", "/health?x=1", "/healthy", "/v2/health")
        ]

        found = [line.split('"')[1] for line in self.record(*probes, failing)]

        self.assertEqual(found, ["GET /healthy HTTP/1.1", "GET /v2/health HTTP/1.1", "GET /ready HTTP/1.1"])

    def test_client_gone(self) -> None:
        """A client that left before its answer is logged with 499; within it, with the answer's status."""
        early, _ = recorded()
        early.lost()
        late, _ = recorded()
        late.send(200, b"", b"12345", length=100)
        late.lost()

        found = self.record(early, late)

        self.assertTrue(found[0].endswith('" 499 - "-" "-"'))
        self.assertTrue(found[1].endswith('" 200 5 "-" "-"'))

    def test_off(self) -> None:
        """Without a path nothing is written, nor opened."""
        log = AccessLog(self.clock, InlineBlocking(), None, [])
        log.open()
        log.record(answered())
        log.reopen()
        log.close()

        self.assertEqual(self.clock.getDelayedCalls(), [])


class WriteTests(LogCase):
    """How lines get to the file: in batches, by a thread, never in a request's way."""

    def test_soon(self) -> None:
        """Lines are written together, a little later."""
        log = self.open()
        log.record(answered())
        log.record(answered())
        self.assertEqual(self.lines(), [])

        self.clock.advance(FLUSH_SECONDS)

        self.assertEqual((len(self.lines()), self.clock.getDelayedCalls()), (2, []))
        log.close()

    def test_many(self) -> None:
        """A batch that is large is written at once."""
        log = self.open()
        request = answered(headers={"User-Agent": "a" * 2000})
        for _ in range(FLUSH_BYTES // 2000 + 1):
            log.record(request)

        self.assertGreater(len(self.lines()), 30)
        log.close()

    def test_in_order(self) -> None:
        """While one batch is being written the next one waits, so that lines keep their order."""
        blocking = HeldBlocking()
        log = self.open(blocking)
        for number in range(3):
            log.record(answered(f"GET /{number} HTTP/1.1"))
            self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(len(blocking), 1)

        blocking.release_all()

        self.assertEqual([line.split()[6] for line in self.lines()], ["/0", "/1", "/2"])
        log.close()

    def test_close(self) -> None:
        """Closing writes what is left, and leaves no timer; it may be done twice."""
        log = self.open()
        log.record(answered())

        log.close()
        log.close()

        self.assertEqual((len(self.lines()), self.clock.getDelayedCalls()), (1, []))

    def test_appends(self) -> None:
        """A log that exists is continued."""
        for _ in range(2):
            log = self.open()
            log.record(answered())
            log.close()

        self.assertEqual(len(self.lines()), 2)

    def test_rotation(self) -> None:
        """After the file has been moved away, lines go to a new one."""
        log = self.open()
        log.record(answered())
        self.clock.advance(FLUSH_SECONDS)
        os.rename(self.path, self.path + ".1")

        log.reopen()
        log.record(answered("GET /new HTTP/1.1"))
        log.close()

        self.assertEqual(([len(self.lines(self.path + ".1"))], self.lines()[0].split()[6]), ([1], "/new"))

    def test_rotation_while_writing(self) -> None:
        """A batch that waits for its thread while the log is reopened goes to the new file, and to no other's."""
        blocking = HeldBlocking()
        log = self.open(blocking)
        log.record(answered())
        self.clock.advance(FLUSH_SECONDS)
        os.rename(self.path, self.path + ".1")
        log.reopen()
        # Whoever opens a file now may be given the number that the log's descriptor had.
        victim = self.mktemp()
        with open(victim, "wb"):
            blocking.release_all()

        self.assertEqual((os.path.getsize(victim), len(self.lines(self.path + ".1")), len(self.lines())), (0, 0, 1))
        log.close()


class FailureTests(LogCase):
    """A log that cannot be written fails nothing else."""

    def open_full(self, blocking: Any = None) -> AccessLog:
        """A log on a device that is always full."""
        self.path = "/dev/full"
        return self.open(blocking)

    def test_full_disk(self) -> None:
        """Each failed write is reported in the application log, and the next one is tried all the same."""
        log = self.open_full()
        with capturedLogs() as events:
            for _ in range(2):
                log.record(answered())
                self.clock.advance(FLUSH_SECONDS)

        self.assertEqual([event["log_level"] for event in events], [LogLevel.error] * 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_close_on_full_disk(self) -> None:
        """Also the last write may fail: it is reported, and the daemon's stop goes on."""
        log = self.open_full()
        log.record(answered())

        with capturedLogs() as events:
            log.close()

        self.assertEqual([event["log_level"] for event in events], [LogLevel.error])

    def test_backlog(self) -> None:
        """If the disk does not keep up, lines are dropped and counted rather than kept without end."""
        blocking = HeldBlocking()
        log = self.open(blocking)
        request = answered(headers={"User-Agent": "a" * 2000, "Referer": "b" * 2000})
        for _ in range(MAX_BACKLOG // 4000 + 100):
            log.record(request)

        with capturedLogs() as events:
            blocking.release_all()
        log.record(answered("GET /after HTTP/1.1"))
        log.close()

        dropped = sum(event["count"] for event in events)
        self.assertGreater(dropped, 0)
        self.assertEqual(len(self.lines()) + dropped, MAX_BACKLOG // 4000 + 101)
