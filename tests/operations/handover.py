"""Restarts where somebody else keeps the port, as systemd does for `pkgd.socket`: no connection is lost."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
from collections import Counter
from pathlib import Path

from tests.operations.client import Fate
from tests.operations.load import Load, seed
from tests.operations.server import Pkgd
from tests.operations.stops import complaints, lost, mirrored

__all__ = ["restarts"]


async def restarts(directory: Path, rounds: int, chance: random.Random) -> list[str]:
    """Restart under load, the listening socket open all the time: every request on a new connection is answered."""
    upstream, server = Pkgd(directory / "upstream"), Pkgd(directory / "server")
    upstream.start()
    failures: list[str] = []
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", server.port))
        listener.listen(1024)
        server.listener = listener
        try:
            server.write(mirrored(upstream))
            server.start()
            content = await seed(server, upstream, chance)
            load = Load(server, content, chance)
            load.start()
            for _ in range(rounds):
                await asyncio.sleep(0.5)
                server.signal(signal.SIGTERM)
                status = await asyncio.to_thread(server.wait)
                if status:
                    failures.append(f"exit status {status}")
                await asyncio.to_thread(server.start)
            await asyncio.sleep(0.3)
            await load.stop()
            failures += [f"{one.name}: {one.fate.value} {one.why}" for one in load.log if one.fate is not Fate.ANSWERED]
            failures += load.wrong + complaints(server, 0) + lost(load.log, 0)
            print(f"  {rounds} restarts, {dict(Counter(one.fate.value for one in load.log))}")
        finally:
            upstream.end()
            server.end()
    return failures
