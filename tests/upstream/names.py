"""The name server of the suite's network: it answers for the names that cases have given, and says no to all others."""

from __future__ import annotations

import asyncio
import ipaddress
import struct

from tests.upstream.fault import Lookup

_HEADER = struct.Struct(">HHHHHH")
_TYPES = {1: 4, 28: 6}
_FAILED, _ABSENT = 2, 3


class Names(asyncio.DatagramProtocol):
    """Names and their addresses; a name with several lists answers with one after the other, and stays at the last."""

    def __init__(self) -> None:
        self._addresses: dict[str, list[list[str]]] = {}
        self._troubles: dict[str, Lookup] = {}
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self, address: str = "127.0.0.1", port: int = 53) -> None:
        """Answer from now on."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, (address, port))

    def close(self) -> None:
        """Answer no more."""
        if self._transport is not None:
            self._transport.close()

    def set(self, name: str, *turns: list[str]) -> None:
        """Give a name its addresses."""
        self._addresses[name] = list(turns)
        self._troubles.pop(name, None)

    def trouble(self, name: str, lookup: Lookup) -> None:
        """Let a name not be found, or be found again."""
        self._troubles[name] = lookup

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        """Keep the socket."""
        self._transport = transport

    def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
        """Answer a question."""
        reply = self._reply(data)
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply, sender)

    def _reply(self, query: bytes) -> bytes | None:
        number = _HEADER.unpack_from(query)[0]
        name, end = _read_name(query, _HEADER.size)
        family = _TYPES.get(struct.unpack_from(">H", query, end)[0])
        question = query[_HEADER.size : end + 4]
        trouble = self._troubles.get(name, Lookup.FOUND)
        if trouble is Lookup.SILENT:
            return None
        if trouble is Lookup.FAILED:
            return _HEADER.pack(number, 0x8180 | _FAILED, 1, 0, 0, 0) + question
        if trouble is Lookup.ABSENT or name not in self._addresses:
            return _HEADER.pack(number, 0x8180 | _ABSENT, 1, 0, 0, 0) + question
        records = [_record(one) for one in self._turn(name, family) if ipaddress.ip_address(one).version == family]
        return _HEADER.pack(number, 0x8180, 1, len(records), 0, 0) + question + b"".join(records)

    def _turn(self, name: str, family: int | None) -> list[str]:
        """The addresses whose turn it is: resolvers ask for both families at once, and the first counts."""
        turns = self._addresses[name]
        return turns.pop(0) if len(turns) > 1 and family == 4 else turns[0]


def _read_name(query: bytes, at: int) -> tuple[str, int]:
    labels = []
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode("latin-1").lower())
        at += length + 1
    return ".".join(labels), at + 1


def _record(address: str) -> bytes:
    packed = ipaddress.ip_address(address).packed
    return struct.pack(">HHHIH", 0xC00C, 1 if len(packed) == 4 else 28, 1, 0, len(packed)) + packed
