"""Which server is asked, and one exchange over http.client, through a pair of sockets; TLS is for the live suite."""

from __future__ import annotations

import socket
from http.client import HTTPConnection, HTTPException

from twisted.trial.unittest import SynchronousTestCase

from pkgd import __version__
from pkgd.errors import ConfigError
from pkgd.prefetch.transport import Answer, HttpTransport, Server, Unreachable, local_server


class ServerTests(SynchronousTestCase):
    """Where pkgd is."""

    def test_urls(self) -> None:
        """A URL is a scheme, a host and perhaps a port."""
        for url, meaning in {
            "http://127.0.0.1:8080": "http://127.0.0.1:8080",
            "https://pkg.example.com/": "https://pkg.example.com:443",
            "http://PKG": "http://pkg:80",
            "http://[::1]:8080": "http://[::1]:8080",
        }.items():
            self.assertEqual(str(Server.parse(url)), meaning)

    def test_no_urls(self) -> None:
        """Anything else is refused by the option's name."""
        for url in (
            "",
            "pkg.example.com",
            "ftp://a",
            "http://",
            "http://a:99999",
            "http://[::1",
            "http://a/prefix",
            "http://a?x",
            "http://u:p@a",
            "http://a b",
            "http://a\r\nX: y",
            "http://é",
        ):
            self.assertEqual(self.assertRaises(ConfigError, Server.parse, url).path, "--url", url)

    def test_endpoints(self) -> None:
        """An endpoint of the configuration is a server on this machine."""
        for endpoint, tls, meaning in [
            ("tcp:8080:interface=127.0.0.1", False, "http://127.0.0.1:8080"),
            ("tcp:443", True, "https://127.0.0.1:443"),
            ("tcp:port=80:interface=0.0.0.0", False, "http://127.0.0.1:80"),
            (r"tcp:80:interface=\:\:", False, "http://[::1]:80"),
            (r"tcp:80:interface=fd00\:\:1", False, "http://[fd00::1]:80"),
            ("ssl:443:privateKey=a.pem", False, "https://127.0.0.1:443"),
        ]:
            self.assertEqual(str(local_server(endpoint, tls)), meaning)

    def test_no_endpoints(self) -> None:
        """Of a socket file or a port that is chosen later, nobody could say where it is."""
        for endpoint in ("unix:/run/pkgd.sock", "systemd:domain=INET:index=0", "tcp:0", "tcp", "tcp:interface=::1"):
            self.assertIn("--url", self.assertRaises(ConfigError, local_server, endpoint, False).reason, endpoint)

    def test_ca_file(self) -> None:
        """A CA file that cannot be used is refused by the option's name; for plain HTTP there is none."""
        with open(self.mktemp(), "w", encoding="ascii") as file:
            file.write("no PEM")

        for path in (file.name, self.mktemp()):
            error = self.assertRaises(ConfigError, HttpTransport.to, Server("https", "a", 443), path)
            self.assertEqual(error.path, "--ca-file")
        HttpTransport.to(Server("http", "a", 80), file.name)


class PairedConnection(HTTPConnection):
    """A connection to the other end of a pair of sockets."""

    def __init__(self, end: socket.socket) -> None:
        super().__init__("registry.test", 8080)
        self._end = end

    def connect(self) -> None:
        """It is there already."""
        self.sock = self._end


class UnreachableConnection(HTTPConnection):
    """A connection that cannot be made."""

    def __init__(self, error: Exception) -> None:
        super().__init__("registry.test", 8080)
        self._error = error

    def connect(self) -> None:
        """Fail."""
        raise self._error


class HttpTransportTests(SynchronousTestCase):
    """One exchange."""

    def exchange(self, answer: bytes) -> Answer:
        """Ask for `/v2/`; the server has answered and closed before it is asked."""
        ours, self.server = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(self.server.close)
        self.server.sendall(answer)
        self.server.shutdown(socket.SHUT_WR)
        return HttpTransport(lambda: PairedConnection(ours))("GET", "/v2/", {"Range": "bytes=5-"})

    def test_request(self) -> None:
        """The request has the headers that were asked for, and none that would compress the answer."""
        self.exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").close()

        first, *fields = self.server.recv(10_000).decode("ascii").removesuffix("\r\n\r\n").split("\r\n")
        self.assertEqual(first, "GET /v2/ HTTP/1.1")
        self.assertEqual(
            set(fields),
            {
                "Host: registry.test:8080",
                "Accept-Encoding: identity",
                f"User-Agent: pkgd-prefetch/{__version__}",
                "Connection: close",
                "Range: bytes=5-",
            },
        )

    def test_login(self) -> None:
        """Who has logged in shows it with every request."""
        ours, server = socket.socketpair()
        self.addCleanup(server.close)
        server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        HttpTransport(lambda: PairedConnection(ours), "Basic eA==")("GET", "/v2/", {}).close()
        self.assertIn(b"\r\nAuthorization: Basic eA==\r\n", server.recv(10_000))

    def test_answer(self) -> None:
        """Status, headers in any case, and the body piece by piece."""
        answer = self.exchange(b"HTTP/1.1 206 Partial\r\nContent-Length: 5\r\nX-Some: a\r\n\r\nhello")

        self.assertEqual((answer.status, answer.header("x-some"), answer.header("other")), (206, "a", ""))
        self.assertEqual([answer.read(3), answer.read(3), answer.read(3)], [b"hel", b"lo", b""])
        answer.close()

    def test_cut(self) -> None:
        """What is cut off ends early; it is for the reader to count."""
        answer = self.exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello")

        self.assertEqual([answer.read(10), answer.read(10)], [b"hello", b""])
        answer.close()

    def test_no_http(self) -> None:
        """What is no HTTP, or nothing, is an error that callers expect."""
        for answer in (b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200):
            self.assertRaises((OSError, HTTPException), self.exchange, answer)

    def test_unreachable(self) -> None:
        """No connection is told apart from a bad one; so is a name that no DNS can hold."""
        for error in (ConnectionRefusedError(111, "Connection refused"), UnicodeError("label too long")):
            transport = HttpTransport(lambda error=error: UnreachableConnection(error))  # type: ignore[misc]
            raised = self.assertRaises(Unreachable, transport, "GET", "/v2/", {})
            self.assertIn(str(raised), ("Connection refused", "label too long"))
