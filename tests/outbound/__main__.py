"""The client against real sockets on the loopback: `python -m tests.outbound`.

What memory cannot show: that TLS, back-pressure and closing behave as in the tests with a real reactor, and
that nobody connects anywhere but to what is listed.
"""

from __future__ import annotations

import hashlib
import os
import resource
import tempfile
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import deferLater, react
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from pkgd.errors import AddressRefused, UpstreamTimeout, UpstreamUnavailable
from pkgd.outbound.client import Client, Limits, Trust
from tests.outbound.authority import authority
from tests.outbound.hostile_hosts import CORPUS

PIECE = os.urandom(1 << 20)
PIECES = 256


class Large(Resource):
    """Sends its pieces as fast as they are taken, and counts them."""

    isLeaf = True
    sent = 0

    def render_GET(self, request: Any) -> int:
        """All pieces, or nothing at all for `/silent`."""
        if request.path != b"/silent":
            self.sent, self.left = 0, PIECES
            self.request = request
            request.setHeader(b"Content-Length", b"%d" % (len(PIECE) * PIECES))
            request.registerProducer(self, False)
        return NOT_DONE_YET

    def resumeProducing(self) -> None:
        """One more piece."""
        self.left -= 1
        self.sent += 1
        self.request.write(PIECE)
        if not self.left:
            self.request.unregisterProducer()
            self.request.finish()

    def stopProducing(self) -> None:
        """The client has gone."""


async def download(reactor: Any, client: Client, url: str, server: Large) -> None:
    """A reader that takes its time at first: the server must wait, and everything must arrive."""
    answer = await client.request("GET", url, {})
    taken, seen = hashlib.sha256(), 0
    while piece := await answer.body.read():
        taken.update(piece)
        seen += len(piece)
        if seen < 100_000:
            await deferLater(reactor, 1, lambda: None)
            assert server.sent < 32, f"{server.sent} pieces were sent to a reader that has taken {seen} bytes"
    answer.close()
    wanted = hashlib.sha256()
    for _ in range(PIECES):
        wanted.update(PIECE)
    assert taken.digest() == wanted.digest(), "the body is not what was sent"


async def refusals(client: Client, secure: str) -> int:
    """What must not come to a connection, and what must not come to an answer."""
    for text in CORPUS:
        for scheme in ["http", "https"]:
            if "quay.io" not in text:
                await expect(AddressRefused, client, f"{scheme}://{text}/v2/")
    await expect(UpstreamUnavailable, client, secure.replace("localhost", "127.0.0.1"))
    return len(CORPUS)


async def expect(kind: type[Exception], client: Client, url: str) -> None:
    """Asking fails in this way."""
    try:
        await client.request("GET", url, {})
    except kind:
        return
    raise AssertionError(f"{url} was answered")


async def main(reactor: Any, roots: str) -> None:
    """All of it, in order; nothing may be left in the reactor at the end."""
    large = Large()
    site = Site(large)
    plain = reactor.listenTCP(0, site, interface="127.0.0.1")
    secure = reactor.listenSSL(0, site, authority().issue("localhost").options(), interface="127.0.0.1")
    urls = [f"http://localhost:{plain.getHost().port}/", f"https://localhost:{secure.getHost().port}/"]
    private = frozenset(["localhost", "127.0.0.1"])
    client = Client(reactor, Trust(roots, private), Limits(connect=5, first_byte=2))
    for url in urls:
        await download(reactor, client, url, large)
        print(f"{PIECES} MiB over {url.partition(':')[0]}, the reader slow at first: whole")
        await expect(UpstreamTimeout, client, f"{url}silent")
        leaving = await client.request("GET", url, {})
        await leaving.body.read()
        leaving.close()
    print(f"{await refusals(Client(reactor, Trust(roots)), urls[1])} hostile hosts refused")
    await expect(UpstreamUnavailable, Client(reactor, Trust(None, private)), urls[1])
    print("a certificate of nobody's refused")
    await client.close()
    for port in [plain, secure]:
        await port.stopListening()
    await deferLater(reactor, 0.1, lambda: None)
    left = [one for one in reactor.getReaders() if "Waker" not in type(one).__name__] + reactor.getDelayedCalls()
    assert not left, f"left in the reactor: {left}"
    print(f"largest size in memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


def run(reactor: Any) -> Deferred[None]:
    """For `react`."""
    with tempfile.NamedTemporaryFile(suffix=".pem", delete=False) as file:
        file.write(authority().pem)
    running = ensureDeferred(main(reactor, file.name))
    return running.addBoth(lambda result: (os.unlink(file.name), result)[1])


if __name__ == "__main__":
    react(run)
