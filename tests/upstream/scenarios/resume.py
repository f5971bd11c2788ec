"""A blob that is cut on its way is gone on with from where it was cut, and the client notices nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from tests.upstream.bench import Bench, Case, blob_path, expect, host_of, pull, pull_right, require
from tests.upstream.content import Image
from tests.upstream.exchange import Exchange, Misbehaviour, Part
from tests.upstream.faults.statuses import answered
from tests.upstream.mirror import Mirror
from tests.upstream.scripted import Upstream

HOSTS = ("once", "often", "stalled", "whole", "elsewhere", "changed", "gone", "refused", "last-byte")


async def cases(bench: Bench) -> AsyncIterator[Case]:
    """One mirror, and an upstream for each case."""
    upstreams = {name: bench.upstream() for name in HOSTS}
    for upstream in upstreams.values():
        await upstream.open()
    settings = {"registries": bench.registries(**upstreams)}
    try:
        async with bench.mirror(settings, "resume") as mirror:
            for case in Resumption(mirror, upstreams, bench.image).cases():
                yield case
    finally:
        for upstream in upstreams.values():
            await upstream.close()


class Resumption:
    """The cases; each has an upstream of its own."""

    def __init__(self, mirror: Mirror, upstreams: dict[str, Upstream], image: Image) -> None:
        self._mirror = mirror
        self._upstreams = upstreams
        self._digest = image.largest
        self._data = image.layers[-1]

    def cases(self) -> Sequence[Case]:
        """All of them."""
        return (
            Case("cut once", self._once),
            Case("cut ten times", self._often),
            Case("stalled once", self._stalled),
            Case("cut before the last byte", self._last_byte),
            Case("the upstream knows no Range", self._whole),
            Case("the upstream answers with another range", lambda: self._spoilt("elsewhere", _elsewhere)),
            Case("the upstream goes on with other bytes", lambda: self._spoilt("changed", _changed)),
            Case("the upstream no longer has it", lambda: self._spoilt("gone", answered(404))),
            Case("the upstream no longer gives it", lambda: self._spoilt("refused", answered(403))),
        )

    async def _pull(self, name: str) -> None:
        await pull_right(self._mirror, blob_path(self._digest, host_of(name)), self._data)

    def _ranges(self, name: str) -> list[str | None]:
        return [one.value("range") for one in self._upstreams[name].asked(Part.BLOB, "GET")]

    def _half(self) -> int:
        return len(self._data) // 2

    async def _once(self) -> None:
        self._upstreams["once"].misbehave(in_turn(_cut(self._half())), Part.BLOB)
        await self._pull("once")
        expect("ranges asked for", self._ranges("once"), [None, f"bytes={self._half()}-"])

    async def _often(self) -> None:
        step = len(self._data) // 11
        cuts = [_cut(step) for _ in range(10)]
        self._upstreams["often"].misbehave(in_turn(*cuts), Part.BLOB)
        await self._pull("often")
        expect("ranges asked for", self._ranges("often"), [None, *(f"bytes={step * n}-" for n in range(1, 11))])

    async def _stalled(self) -> None:
        self._upstreams["stalled"].misbehave(in_turn(_cut(self._half(), stall=True)), Part.BLOB)
        await self._pull("stalled")
        expect("ranges asked for", self._ranges("stalled"), [None, f"bytes={self._half()}-"])

    async def _last_byte(self) -> None:
        self._upstreams["last-byte"].misbehave(in_turn(_cut(len(self._data) - 1)), Part.BLOB)
        await self._pull("last-byte")
        expect("ranges asked for", self._ranges("last-byte"), [None, f"bytes={len(self._data) - 1}-"])

    async def _whole(self) -> None:
        self._upstreams["whole"].misbehave(in_turn(_cut(self._half()), _rangeless), Part.BLOB)
        await self._pull("whole")

    async def _spoilt(self, name: str, how: Misbehaviour) -> None:
        """What comes after the cut is bad: the client's connection breaks, and the next pull is right."""
        self._upstreams[name].misbehave(in_turn(_cut(self._half()), *[how] * 5), Part.BLOB)
        answer = await pull(self._mirror, blob_path(self._digest, host_of(name)))
        require(f"the connection breaks: {answer}", answer.status in (0, 200) and answer.is_broken)
        require(
            "what came before is right", answer.body[: self._half()] == self._data[: len(answer.body)][: self._half()]
        )
        self._upstreams[name].misbehave(None, Part.BLOB)
        await self._pull(name)


def in_turn(*ways: Misbehaviour) -> Misbehaviour:
    """One way of answering after the other, then honestly."""
    waiting = iter(ways)

    async def misbehave(exchange: Exchange) -> None:
        how = next(waiting, None)
        await (exchange.deliver() if how is None else how(exchange))

    return misbehave


def _cut(size: int, stall: bool = False) -> Misbehaviour:
    """So many bytes of the body, then the end."""

    async def misbehave(exchange: Exchange) -> None:
        await exchange.send(exchange.reply.head())
        await exchange.send(exchange.reply.body[:size])
        if stall:
            await exchange.stall()
        exchange.close()

    return misbehave


async def _rangeless(exchange: Exchange) -> None:
    """The whole content, whatever was asked for."""
    asked = replace(exchange.asked, fields=tuple(one for one in exchange.asked.fields if one[0] != "range"))
    await exchange.deliver(exchange.answer_to(asked))


async def _elsewhere(exchange: Exchange) -> None:
    content_range = exchange.reply.value("Content-Range")
    first, _, rest = content_range.removeprefix("bytes ").partition("-")
    await exchange.deliver(exchange.reply.set("Content-Range", f"bytes {int(first) + 1}-{rest}"))


async def _changed(exchange: Exchange) -> None:
    body = bytes(len(exchange.reply.body))
    await exchange.deliver_changed(body=body)
