"""A TCP proxy that cuts connections in the middle of a transfer, as a bad network does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.live.registry import Endpoint

_PIECE = 64 << 10


class Cutter:
    """Passes bytes both ways; each time so many have come from the server it cuts the connection they came by."""

    def __init__(self, port: int, server: Endpoint, after: int, cuts: int) -> None:
        self.endpoint = Endpoint(server.host, port, server.certificates)
        self.cuts_left = cuts
        self._server = server
        self._after = after
        self._passed = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server((server.host, port))

    def serve(self) -> None:
        """Accept clients until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def close(self) -> None:
        """Stop accepting."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _pass_on(self, client: socket.socket) -> None:
        server = socket.create_connection((self._server.host, self._server.port))
        upstream = threading.Thread(target=self._pump, args=(client, server, False), daemon=True)
        upstream.start()
        self._pump(server, client, True)
        upstream.join()
        server.close()
        client.close()

    def _pump(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                if counted and self._is_time_to_cut(len(piece)):
                    break
                target.sendall(piece)
        for side in (source, target):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def _is_time_to_cut(self, size: int) -> bool:
        with self._lock:
            self._passed += size
            if self._passed < self._after or not self.cuts_left:
                return False
            self._passed = 0
            self.cuts_left -= 1
            return True


@contextmanager
def cutting(port: int, server: Endpoint, *, after: int, cuts: int) -> Iterator[Cutter]:
    """A cutter before a server, for the block."""
    cutter = Cutter(port, server, after, cuts)
    thread = threading.Thread(target=cutter.serve, daemon=True)
    thread.start()
    try:
        yield cutter
    finally:
        cutter.close()
        thread.join()
