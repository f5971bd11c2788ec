"""The daemon's end of the admin socket: whoever owns the state directory may ask, and nobody else.

The socket's file is for its owner alone. One that a killed daemon has left is replaced: who listens holds the lock
of the state directory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from pkgd.admin.lines import MAX_PATH, MAX_REQUEST, SOCKET, encode, parse_command
from pkgd.errors import PkgdError
from pkgd.progress import Progress
from pkgd.sharing import Tasks

__all__ = ["AdminSocket", "Job"]

log = Logger()

# So often who waits is told how far it is, in seconds.
PROGRESS_INTERVAL = 0.1

# Does what a command asks for; the result is JSON.
Job = Callable[[Mapping[str, Any], Progress], Coroutine[Any, Any, Mapping[str, Any]]]


class AdminSocket:
    """Listens in a state directory, and does what it has a job for."""

    def __init__(
        self, reactor: Any, state_dir: str, jobs: Mapping[str, Job], tasks: Tasks, stopping: Callable[[], bool]
    ) -> None:
        """
        :param tasks: where jobs run, so that the stop waits for them.
        :param stopping: whether the daemon stops: then nothing is begun, and what runs is over.
        """
        self.reactor = reactor
        self.jobs = jobs
        self.tasks = tasks
        self.stopping = stopping
        self._path = os.path.join(state_dir, SOCKET)
        self._port: IListeningPort | None = None

    def listen(self) -> None:
        """Begin. Without the socket the daemon is as good as with it: what hinders it is noted in the log."""
        path = self._path
        if len(os.fsencode(path)) > MAX_PATH:
            log.warn(
                "there is no admin socket: the path {path} is longer than {most} bytes; stop pkgd for such commands",
                path=path,
                most=MAX_PATH,
            )
            return
        factory = Factory.forProtocol(lambda: _Connection(self))
        factory.noisy = False
        before = os.umask(0o177)  # from its first moment it is for nobody else
        try:
            with suppress(FileNotFoundError):
                os.unlink(path)
            self._port = self.reactor.listenUNIX(path, factory, mode=0o600)
        except (OSError, CannotListenError) as error:
            log.warn("there is no admin socket: {path}: {reason}", path=path, reason=str(error))
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Take no further commands. What runs is a task of the daemon's."""
        if self._port is not None:
            port, self._port = self._port, None
            try:
                stopped = port.stopListening()
                if stopped is not None:
                    await stopped
            except OSError as error:
                # Gone already, or on a disk that takes no more: the next start removes it.
                log.warn("the admin socket's file could not be removed: {reason}", reason=error)


class _Connection(LineOnlyReceiver):
    """One command."""

    delimiter = b"\n"
    MAX_LENGTH = MAX_REQUEST

    def __init__(self, socket: AdminSocket) -> None:
        self._socket = socket
        self._asked = False
        self._telling: _Telling | None = None

    def lineReceived(self, line: bytes) -> None:
        if not self._asked:
            self._asked = True
            self._telling = _Telling(self._socket, self.transport)
            self._socket.tasks.start("an admin command", self._do(line, self._telling))

    def connectionLost(self, reason: Failure | None = None) -> None:
        if self._telling is not None:
            self._telling.leave()

    async def _do(self, line: bytes, telling: _Telling) -> None:
        try:
            command = parse_command(line)
            job = self._socket.jobs.get(command.name)
            if job is None or self._socket.stopping():
                why = "does not know this command" if job is None else "is stopping"
                telling.say({"error": f"the pkgd that runs {why}"})
            else:
                log.info("asked for {command} over the admin socket", command=command.name)
                telling.say({"result": dict(await job(command.arguments, telling))})
        except PkgdError as error:
            telling.say({"error": error.message})
        except Exception:
            telling.say({"error": "a bug in pkgd; its log has the traceback"})
            raise
        finally:
            telling.end()


class _Telling:
    """Implements `Progress` for who waits at the other end."""

    def __init__(self, socket: AdminSocket, transport: Any) -> None:
        self._socket = socket
        self._transport = transport
        self._what, self._done, self._total = "", 0, 0
        self._said = 0.0
        self._left = False

    def begin(self, what: str, total: int) -> None:
        """See `Progress.begin`."""
        self._what, self._done, self._total = what, 0, total
        self._tell()

    def advance(self, count: int = 1) -> None:
        """See `Progress.advance`."""
        self._done += count
        if self._socket.reactor.seconds() - self._said >= PROGRESS_INTERVAL:
            self._tell()

    def is_over(self) -> bool:
        """See `Progress.is_over`."""
        return self._left or self._socket.stopping()

    def leave(self) -> None:
        """Nobody waits any more."""
        self._left = True

    def say(self, document: Mapping[str, Any]) -> None:
        """Write a line, if anybody is there."""
        if not self._left:
            self._transport.write(encode(document))

    def end(self) -> None:
        """Nothing more is said."""
        self._transport.loseConnection()

    def _tell(self) -> None:
        self._said = self._socket.reactor.seconds()
        self.say({"progress": {"what": self._what, "done": self._done, "total": self._total}})
