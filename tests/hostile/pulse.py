"""Asks `/health` every 10 ms on a connection of its own and notes how long the answer took.

It is a process of its own (`python -m tests.hostile.pulse PORT PATH PID`), so that the sending of the corpus does not
count as the server's delay.
On a busy machine the server and this process also wait for a processor; the kernel says how long
(`/proc/<pid>/task/<pid>/schedstat`), and that is taken off: what is left bounds how long the reactor stood still.
It prints a line for every answer that took long, and last how often it asked.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

from tests.crash.server import ROOT, waited_for_processor

_INTERVAL = 0.01
_NOTED = 0.02


@dataclass(frozen=True, slots=True)
class Delay:
    """One slow answer: when it was asked on the monotonic clock, how long it took, how long a processor was lacking."""

    asked: float
    seconds: float
    waited: float

    @property
    def stall(self) -> float:
        """How long the server may have stood still."""
        return max(0.0, self.seconds - self.waited)


class Pulse:
    """The process, and what it has noted."""

    def __init__(self, port: int, path: str, pid: int) -> None:
        command = [sys.executable, "-m", "tests.hostile.pulse", str(port), path, str(pid)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)

    def stop(self) -> tuple[int, list[Delay]]:
        """End the process; how often it asked, and the slow answers."""
        output, _ = self._process.communicate("")
        *lines, asked = output.splitlines()
        return int(asked), [Delay(*map(float, line.split())) for line in lines]


def main() -> None:
    """Ask until standard input ends."""
    port, path, pid = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    notes, asked, connection = [], 0, _connect(port)
    while not _input_ended():
        waited, began = _waited(pid), time.monotonic()
        alive = _ask(connection, request)
        seconds = time.monotonic() - began
        asked += 1
        if seconds > _NOTED:
            notes.append(f"{began} {seconds} {_waited(pid) - waited}")
        if not alive:
            connection = _connect(port)
        time.sleep(max(0.0, _INTERVAL - seconds))
    print(*notes, asked, sep="\n")


def _ask(connection: socket.socket, request: bytes) -> bool:
    try:
        connection.sendall(request)
        return bool(connection.recv(65_536))
    except OSError:
        return False


def _connect(port: int) -> socket.socket:
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        except ConnectionRefusedError:
            time.sleep(_INTERVAL)
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection


def _waited(pid: int) -> float:
    return waited_for_processor(pid) + waited_for_processor(os.getpid())


def _input_ended() -> bool:
    readable, _, _ = select.select([sys.stdin], [], [], 0)
    return bool(readable)


if __name__ == "__main__":
    main()
