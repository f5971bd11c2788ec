"""Asks a server for its health at a steady pace while it is under load."""

import asyncio
import time
from threading import Event, Thread
from types import TracebackType
from typing import Self

INTERVAL = 0.02
TIMEOUT = 60


class HealthProbe:
    """Probes every 20 ms, each on a connection of its own as orchestrators do, while the `with` block runs.

    A probe doesn't wait for the one before: a stall of a second is fifty late answers, not one.
    """

    def __init__(self, port: int, target: str) -> None:
        self._port = port
        self._request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
        self._stopped = Event()
        self._thread = Thread(target=lambda: asyncio.run(self._run()))
        self.latencies: list[float] = []
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        """Begin to ask."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ask no more; wait for the answers that are due."""
        self._stopped.set()
        self._thread.join()

    async def _run(self) -> None:
        due = time.monotonic()
        async with asyncio.TaskGroup() as probes:
            while not self._stopped.is_set():
                probes.create_task(self._probe())
                due += INTERVAL
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _probe(self) -> None:
        began = time.monotonic()
        try:
            answer = await asyncio.wait_for(self._ask(), TIMEOUT)
        except OSError as error:
            self.failures.append(repr(error))
            return
        self.latencies.append(time.monotonic() - began)
        if not answer.startswith(b"HTTP/1.1 200"):
            self.failures.append(repr(answer[:80]))

    async def _ask(self) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(self._request)
        answer = await reader.read(4096)
        writer.close()
        return answer
