"""Handlers that stand in for the registry where a test is about the connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred

from pkgd.web import errors
from pkgd.web.request import Request
from pkgd.web.respond import send_body

__all__ = ["Echo", "HeldRequests", "Running"]


class HeldRequests:
    """Leaves every request to the test."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def handle(self, request: Request) -> None:
        """Keep it."""
        self.requests.append(request)


class Running:
    """Runs a coroutine function for each request; its failure is answered as everywhere."""

    def __init__(self, call: Callable[[Request], Awaitable[None]]) -> None:
        self._call = call

    def handle(self, request: Request) -> None:
        """Run it."""
        running = Deferred.fromCoroutine(self._run(request))
        running.addErrback(lambda failure: errors.answer(request, failure))

    async def _run(self, request: Request) -> None:
        await self._call(request)


class Echo(Running):
    """Answers each request with its body, and its target in a header."""

    def __init__(self) -> None:
        super().__init__(self._answer)

    async def _answer(self, request: Request) -> None:
        data = await request.body.read_all(1 << 20)
        send_body(request, 200, b"text/plain", data, b"X-Target: %b\r\n" % request.uri)
