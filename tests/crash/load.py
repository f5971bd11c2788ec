"""Many pushers at once against one server, until they are told to stop or the server dies under them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.crash.ledger import Ledger
from tests.crash.pusher import Pusher, Stock, Unexpected
from tests.crash.wire import Client, ConnectionLost

PUSHERS = 16


@dataclass
class Load:
    """The pushers of one run; `ended` is set before the server is killed, so that what breaks then is expected."""

    port: int
    ledger: Ledger
    stock: Stock
    seed: str
    ended: bool = False
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def run(self, seconds: float, finish: Callable[[], None] | None = None) -> None:
        """Push for so long; then call `finish`, which kills the server, or else let every pusher end its request."""
        self._tasks = [asyncio.create_task(self._push_on(f"p{number:02}")) for number in range(PUSHERS)]
        await asyncio.sleep(seconds)
        self.ended = True
        if finish is not None:
            finish()
        await asyncio.gather(*self._tasks)

    async def _push_on(self, name: str) -> None:
        async with Client(self.port) as client:
            pusher = Pusher(client, self.ledger, self.stock, random.Random(f"{self.seed}/{name}"), name)
            while not self.ended:
                try:
                    await pusher.push()
                except ConnectionLost as lost:
                    if not self.ended:
                        self.ledger.failures.append(f"connection lost while the server was alive: {lost}")
                except Unexpected as unexpected:
                    self.ledger.failures.append(str(unexpected))
