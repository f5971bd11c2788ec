"""What every scenario stands on: scratch space, content, the client, the lineup of servers, the settings."""

import shutil
import socket
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from random import Random
from typing import Protocol, TypeVar

from attrs import field, frozen

from tests.bench.client import Client, Load
from tests.bench.content import Content
from tests.bench.figures import Work
from tests.bench.servers import DockerRegistry, Server

FIRST_PORT, LAST_PORT = 22000, 22999

S = TypeVar("S", bound=Server)


class Stored(Protocol):
    """What stores things in a folder of its own."""

    folder: Path


@frozen
class Stage:
    """The settings and tools of one run; servers are made here, and their folders removed here."""

    scratch: Path
    client: Client
    content: Content
    subject: type[Server]
    rounds: int
    quick: bool
    layer: int | None = None
    """The bytes of the mirror's large cold layer, if not the usual."""
    sizes: tuple[int, ...] = ()
    """How many packages repositories have, if not the usual."""
    order: Random = field(factory=Random)
    _numbers: "count[int]" = field(factory=count)

    def lineup(self, *peers: type[Server]) -> list[Server]:
        """The server under test and its peers, configured with empty folders, not yet running."""
        return [self.subject_server(), *(self.server(peer, peer.kind) for peer in peers)]

    def subject_server(self) -> Server:
        """The server under test; set beside itself as a peer it goes by another name."""
        return self.server(self.subject, self.subject_label)

    @property
    def subject_label(self) -> str:
        """The name of the server under test in tables and ratios."""
        return f"{self.subject.kind} (again)" if self.subject is DockerRegistry else self.subject.kind

    def discard(self, servers: Sequence[Stored]) -> None:
        """Remove what stopped servers stored."""
        for server in servers:
            shutil.rmtree(server.folder)

    def server(self, kind: type[S], label: str) -> S:
        """A further server, under a label of its own."""
        return kind(label, self.scratch / f"{kind.kind}-{next(self._numbers)}", free_port())


def timed(server: Server, load: Callable[[], Load], amount: Callable[[Load], float]) -> Work:
    """Run a load and account the server's CPU seconds to it."""
    before = server.cpu_seconds()
    done = load()
    return Work(amount(done), done.seconds, server.cpu_seconds() - before, done.phases)


def free_port() -> int:
    """A port of the bench's own range on which nobody listens, never the same twice in a row."""
    for _ in range(LAST_PORT - FIRST_PORT):
        port = FIRST_PORT + next(_PORTS) % (LAST_PORT - FIRST_PORT + 1)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise OSError(f"no port between {FIRST_PORT} and {LAST_PORT} is free")


_PORTS = count()
