"""The ports: opened as the configuration says, and closed with nobody left who waits to be accepted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from pkgd.errors import ConfigError
from pkgd.web.accepting import Accepting
from pkgd.web.transport import Transport

__all__ = ["Listening"]

log = Logger()

# How many connections may wait to be accepted; the system has a limit of its own.
BACKLOG = 4096


class Listening:
    """See the module."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._ports: list[IListeningPort] = []

    def open(self, endpoints: Sequence[str], factory: Any) -> None:
        """Listen on every endpoint.

        :raises ConfigError: if one cannot be.
        """
        for description in endpoints:
            try:
                port = _result(serverFromString(self._reactor, description).listen(factory))
            except Exception as error:
                raise ConfigError("server.listen", f"{description}: {error}") from error
            if isinstance(port, tcp.Port):
                if not isinstance(port, unix.Port):  # whose connections have no address, which ours need
                    port.transport = Transport
                port.doRead = Accepting(port, self._reactor).do_read  # type: ignore[method-assign]
                # Twisted's 50 are too few for clients that all come at once: those beyond are reset.
                port.socket.listen(BACKLOG)
            self._ports.append(port)

    @property
    def address(self) -> str:
        """Host and port of the first one."""
        host: Any = self._ports[0].getHost()
        return f"{getattr(host, 'host', 'localhost')}:{getattr(host, 'port', '')}"

    async def close(self) -> None:
        """Accept who waits, and close."""
        for port in self._ports:
            # The system resets whoever is still in the queue of a port that is closed, which happens on the next turn.
            self._reactor.callLater(0, _accept_all, port)
            try:
                stopped = port.stopListening()
                if stopped is not None:
                    await stopped
            except OSError as error:
                log.warn("a socket's file could not be removed: {reason}", reason=error)


def _accept_all(port: IListeningPort) -> None:
    if isinstance(port, tcp.Port) and port.connected:
        port.numberAccepts = BACKLOG
        port.doRead()


def _result(listening: Deferred[IListeningPort]) -> IListeningPort:
    """The result of a Deferred that has fired already, as `listen` of every local endpoint has."""
    results: list[Any] = []
    listening.addBoth(results.append)
    if not results:
        raise ConfigError("server.listen", "the endpoint does not open at once")
    if isinstance(results[0], Failure):
        results[0].raiseException()
    port: IListeningPort = results[0]
    return port
