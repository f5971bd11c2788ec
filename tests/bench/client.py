"""The loads: our own C client for blobs, pushes and HEAD, wrk for small GETs."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.bench.content import Blob, Content
from tests.bench.tools import tool

HERE = Path(__file__).parent
LONGEST_LOAD = 600


class LoadFailed(Exception):
    """A client saw an error or wrong bytes."""


@frozen
class Arrival:
    """How one answer came in: its status, the offset it begins at, and when its first and last byte were there."""

    status: int
    begin: int
    first: float
    last: float


@frozen
class Load:
    """What a client counted: seconds on the clock, requests, body bytes, and the seconds of a push's phases."""

    seconds: float
    requests: int
    bytes: int
    phases: dict[str, float]
    arrivals: tuple[Arrival, ...] = ()


class Client:
    """The compiled C client and wrk."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._program = folder / "client"
        command = [tool("gcc"), "-O2", "-Wall", "-Werror", "-pthread", str(HERE / "client.c"), "-o", str(self._program)]
        subprocess.run(command, check=True)

    def get(self, port: int, targets: Sequence[str], size: int, repeat: int) -> Load:
        """GET blobs of one size, a keep-alive connection per target, each repeated; the bytes are counted."""
        headers = _lines({"User-Agent": "bench", "Accept-Encoding": "identity"})
        return self._run("fetch", port, "GET", size, repeat, 0, headers, *targets)

    def head(
        self, port: int, target: str, size: int, connections: int, seconds: float, headers: Mapping[str, str]
    ) -> Load:
        """HEAD the same target for some seconds; wrk can't, for it waits for the body that Content-Length announces."""
        return self._run("fetch", port, "HEAD", size, 0, seconds, _lines(headers), *[target] * connections)

    def push(self, port: int, repository: str, blobs: Sequence[Blob], content: Content, framing: str) -> Load:
        """Push blobs of one size, all at once; framing is chunked or length."""
        pairs = [f"{blob.tail}:{blob.digest}" for blob in blobs]
        return self._run("push", port, repository, blobs[0].size, content.block_path, framing, *pairs)

    def pull(self, port: int, wanted: Sequence[tuple[str, int | None]], blob: Blob, content: Content) -> Load:
        """GET targets that all are one blob, all at once, each from an offset on or whole; every byte is compared."""
        headers = _lines({"User-Agent": "bench", "Accept-Encoding": "identity"})
        pairs = [f"{'-' if start is None else start}:{target}" for target, start in wanted]
        return self._run("pull", port, blob.size, content.block_path, blob.tail, headers, *pairs)

    def small_gets(self, port: int, target: str, connections: int, seconds: int, headers: Mapping[str, str]) -> Load:
        """GET one small answer over and over, with wrk on one thread."""
        fields = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
        limits = ["-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(HERE / "summary.lua")]
        output = _output([tool("wrk"), *limits, *fields, f"http://127.0.0.1:{port}{target}"])
        summary = json.loads(output.splitlines()[-1])
        if summary.pop("errors") or not summary["requests"]:
            raise LoadFailed(f"wrk on port {port}: {output}")
        return _load(summary)

    def _run(self, *arguments: object) -> Load:
        return _load(json.loads(_output([str(self._program), *map(str, arguments)])))


def _load(summary: dict[str, Any]) -> Load:
    seconds, requests, size = summary.pop("seconds"), summary.pop("requests", 0), summary.pop("bytes")
    arrivals = tuple(Arrival(*one) for one in summary.pop("arrivals", ()))
    return Load(seconds, int(requests), int(size), summary, arrivals)


def _lines(headers: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_LOAD, check=False)
    if done.returncode:
        raise LoadFailed(f"{Path(command[0]).name} {command[1]}: {done.stderr.strip()}")
    return done.stdout
