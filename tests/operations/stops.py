"""Stops: under load, at the worst moments, with clients that never end, and in a hurry; through every door."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.operations.client import Exchange, Fate
from tests.operations.load import Content, Load, missing, seed
from tests.operations.server import AUTHORIZATION, DOORS, PATIENCE, Pkgd

__all__ = ["early", "endless", "two_signals", "under_load"]

# How long clients work before the signal comes, in seconds.
_WORK = 0.6
_HEAD = f"Host: pkgd\r\nAuthorization: {AUTHORIZATION}\r\n"


def mirrored(upstream: Pkgd) -> dict[str, Any]:
    """The sections that make a server a mirror of another."""
    return {
        "mirror": {
            "enableProxy": True,
            "registries": {"origin.example": {"url": f"http://127.0.0.1:{upstream.port}", **_LOGIN}},
        }
    }


_LOGIN = {"username": "ci", "password": "correct horse"}


def lost(log: list[Exchange], stopped: float) -> list[str]:
    """The requests that the server had when the signal came, and that did not end with an answer."""
    return [
        f"{one.name}: {one.fate.value} ({one.why})"
        for one in log
        if one.fate is not Fate.ANSWERED and one.sent is not None and (one.sent < stopped or one.fate is Fate.CUT)
    ]


def complaints(server: Pkgd, since: int) -> list[str]:
    """Tracebacks, and whatever else is no part of an orderly stop."""
    lines = server.lines(since)
    marks = ("Traceback", "Unhandled", "not go in order", "are dropped")
    return [line for line in lines if any(mark in line for mark in marks)]


async def under_load(directory: Path, rounds: int, chance: random.Random) -> list[str]:
    """SIGTERM while everybody works: what was accepted is answered, what was acknowledged is there after a restart."""
    upstream, server = Pkgd(directory / "upstream"), Pkgd(directory / "server")
    upstream.start()
    failures: list[str] = []
    fates: Counter[str] = Counter()
    try:
        server.write(mirrored(upstream))
        server.start()
        content = await seed(server, upstream, chance)
        everything = list(content.upstream)
        for number in range(rounds):
            server.door = list(DOORS)[number % len(DOORS)]
            delay = 2.0 if number % 2 else 0.0
            if server.is_running:
                server.stop()
            tls = server.speak_tls(number % 4 in (1, 2))
            server.write({**mirrored(upstream), "server": {"shutdown": {"delay": f"{delay}s"}, **tls}})
            failures += await _round(server, content, chance, delay, fates)
            content.upstream[:] = chance.sample(everything, len(everything))
            shutil.rmtree(server.directory / "state" / "oci" / "__mirror__", ignore_errors=True)
        server.start()
        failures += [f"acknowledged, and not there: {one}" for one in await missing(server, content)]
        print(
            f"  {dict(fates)}; acknowledged: {len(content.blobs)} blobs, {len(content.tags)} tags, "
            f"{len(content.packages)} packages"
        )
    finally:
        upstream.end()
        server.end()
    return failures


async def _round(server: Pkgd, content: Content, chance: random.Random, delay: float, fates: Counter[str]) -> list[str]:
    since = server.said
    await asyncio.to_thread(server.start)
    load = Load(server, content, chance)
    load.start()
    await asyncio.sleep(_WORK)
    stopped = time.monotonic()
    server.signal(signal.SIGTERM)
    failures = []
    noticed = await asyncio.to_thread(_not_ready, server) if delay else None
    status = await asyncio.to_thread(server.wait)
    await load.stop()
    ended = time.monotonic() - stopped
    late = [one for one in load.log if one.sent is not None and one.sent > stopped]
    if noticed is not None:
        after = [one for one in late if one.sent is not None and one.sent > noticed and one.fate is Fate.ANSWERED]
        if not after:
            failures.append("nobody was answered while load balancers were waited for")
        stays = [one for one in after if one.headers.get("connection") != "close"]
        failures += [f"{one.name}: told that the connection stays" for one in stays]
    failures += lost(load.log, stopped) + load.wrong + complaints(server, since)
    if status:
        failures.append(f"exit status {status}")
    before = sum(1 for one in load.log if one.sent is not None and one.sent <= stopped)
    fates.update(f"{'early' if one not in late else 'late'} {one.fate.value}" for one in load.log)
    kind = f"{server.door}{'' if server.tls is None else ', TLS'}"
    print(f"  {kind}, delay {delay} s: {before} requests before, {len(late)} after; stopped in {ended:.1f} s")
    return failures


def _not_ready(server: Pkgd) -> float:
    """Wait until `/ready` says no; returns when that was."""
    server.until(lambda: server.get("/ready") == 503, "stopping")
    return time.monotonic()


async def endless(directory: Path) -> list[str]:
    """A client that never ends is cut when `shutdown.drain` is over; the stop goes on, with status 0."""
    server, failures = Pkgd(directory, {"server": {"shutdown": {"drain": "1s"}}}), []
    try:
        await asyncio.to_thread(server.start)
        since = server.said
        with contextlib.closing(_upload(server)) as client:
            began = time.monotonic()
            server.signal(signal.SIGTERM)
            client.settimeout(PATIENCE)
            await asyncio.to_thread(_drip, client)
            cut = time.monotonic() - began
            status = await asyncio.to_thread(server.wait)
        if status or cut < 1:
            failures.append(f"cut after {cut:.1f} s, exit status {status}")
        if not any("1 connections are dropped" in line for line in server.lines(since)):
            failures.append("the log does not say that a connection was dropped")
        failures += [line for line in server.lines(since) if "Traceback" in line]
    finally:
        server.end()
    return failures


def _upload(server: Pkgd) -> socket.socket:
    """A connection with a request whose body never ends."""
    client = socket.create_connection(("127.0.0.1", server.port))
    client.sendall(f"POST /v2/a/b/blobs/uploads/ HTTP/1.1\r\n{_HEAD}Content-Length: 0\r\n\r\n".encode())
    head = client.recv(65536).decode()
    place = next(line for line in head.splitlines() if line.lower().startswith("location:")).split(" ", 1)[1]
    client.sendall(f"PATCH {place} HTTP/1.1\r\n{_HEAD}Content-Length: 1000000\r\n\r\n".encode())
    return client


def _drip(client: socket.socket) -> None:
    """Send a byte now and then until that cannot be done any more."""
    with contextlib.suppress(OSError):
        while True:
            client.sendall(b"x")
            time.sleep(0.05)


async def two_signals(directory: Path) -> list[str]:
    """Two at once are one; a later one ends the waiting; SIGINT is as good: no traceback, status 0, at every door."""
    server, failures = Pkgd(directory, {"server": {"shutdown": {"delay": "600s"}}}), []
    try:
        for door in DOORS:
            server.door = door
            await asyncio.to_thread(server.start)
            since = server.said
            for one in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
                server.signal(one)
            await asyncio.to_thread(_not_ready, server)
            await asyncio.sleep(1.2)
            if not server.is_running or server.get("/health") != 200:
                failures.append(f"{door}: two signals at once ended the stop's delay")
            server.signal(signal.SIGINT)
            status = await asyncio.to_thread(server.wait)
            found = complaints(server, since)
            if status or found:
                failures.append(f"{door}: exit status {status}, {found}")
    finally:
        server.end()
    return failures


async def early(directory: Path, tries: int) -> list[str]:
    """A signal during the start, from the moment that the process hears any, also as a container's first process."""
    server, failures = Pkgd(directory), []
    try:
        for number in range(tries):
            later = number // len(DOORS) * 0.1
            server.door = list(DOORS)[number % len(DOORS)]
            server.prefix = [] if number else ["unshare", "--pid", "--fork", "--kill-child"]
            since = server.said
            server.spawn()
            pid = await asyncio.to_thread(_hearing, server)
            await asyncio.sleep(later)
            for one in (signal.SIGHUP, signal.SIGTERM):
                os.kill(pid, one)
            status = await asyncio.to_thread(server.wait)
            found = complaints(server, since)
            if status or found:
                failures.append(f"{server.door}, {later:.1f} s after it hears: exit status {status}, {found}")
    finally:
        server.end()
    return failures


def _hearing(server: Pkgd) -> int:
    """Wait until the server's process has a handler for SIGTERM; returns its id."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError, StopIteration, IndexError):
            pid = server.pid
            if server.prefix:
                pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            caught = int(next(line for line in lines if line.startswith("SigCgt:")).split()[1], 16)
            if caught >> (signal.SIGTERM - 1) & 1:
                return pid
        time.sleep(0.005)
    raise AssertionError("the server listens to no SIGTERM")
