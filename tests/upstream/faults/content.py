"""Whole answers whose content, type, encoding or digest is not what was asked for."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace

from tests.crash.content import digest_of
from tests.upstream.exchange import Exchange, Misbehaviour, Reply
from tests.upstream.fault import ABSENT, CORRUPT, EVERYTHING, HEADS, NONE, OPEN, Fault, Kind

Change = Callable[[Reply], Reply]

HTML = b"<!doctype html><title>Sign in</title><p>Please accept the terms of this network."
_LARGE = 8 << 20
_VERIFIED = frozenset({Kind.TAG, Kind.DIGEST, Kind.BLOB, Kind.SMALL})
"""What comes with a digest, so that wrong bytes can be told."""
_OTHER = digest_of(b"other content")
_TYPE_DOES_NOT_MATTER = dict.fromkeys((Kind.BLOB, Kind.SMALL, Kind.HEAD_BLOB), NONE) | {Kind.REFERRERS: OPEN | ABSENT}
_UNTOLD = dict.fromkeys(HEADS, OPEN)
"""HEAD shows no content, so that most of this can't be told from its answer."""


def _changed(change: Change) -> Misbehaviour:
    async def misbehave(exchange: Exchange) -> None:
        await exchange.deliver(change(exchange.reply) if exchange.reply.status < 300 else exchange.reply)

    return misbehave


def _flip(place: Callable[[int], int]) -> Misbehaviour:
    """Spoil one byte, at the same place of the whole content whatever part of it was asked for."""

    async def misbehave(exchange: Exchange) -> None:
        body = bytearray(exchange.reply.body)
        at = place(exchange.begins + len(body)) - exchange.begins
        if 0 <= at < len(body):
            body[at] ^= 1
        await exchange.deliver_changed(body=bytes(body))

    return misbehave


def _html(reply: Reply) -> Reply:
    return Reply(200, (("Content-Type", "text/html"),), HTML)


def _html_in_disguise(reply: Reply) -> Reply:
    return replace(reply, body=HTML)


def _empty(reply: Reply) -> Reply:
    return replace(reply, body=b"")


def _gzipped(reply: Reply) -> Reply:
    return replace(reply, body=gzip.compress(reply.body, 1)).set("Content-Encoding", "gzip")


def _encoding(name: str) -> Change:
    return lambda reply: reply.set("Content-Encoding", name)


def _typed(media_type: str | None) -> Change:
    return lambda reply: reply.set("Content-Type", media_type)


def _digest(text: str) -> Change:
    return lambda reply: reply.set("Docker-Content-Digest", text)


def _manifest(data: bytes) -> Change:
    """Another document instead of the manifest, with the digest that it really has."""
    return lambda reply: replace(reply, body=data).set("Docker-Content-Digest", digest_of(data))


def _longer(reply: Reply) -> Reply:
    return replace(reply, body=reply.body + b"\n")


def _documents() -> tuple[Fault, ...]:
    """What is no manifest, although its digest is right: only a tag can be answered with it."""
    padded = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]' + b" " * _LARGE
    documents = {
        "cut JSON": b'{"schemaVersion": 2, "mani',
        "no JSON": b"\x1f\x8b\x08\x00" * 100,
        "a JSON list": b"[]",
        "a JSON object that is no manifest": b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}',
        "JSON 100 000 levels deep": b"[" * 100_000,
        "a number of 100 000 digits": b'{"schemaVersion":' + b"2" * 100_000 + b"}",
        "8 MiB of manifest": padded + b"}",
    }
    kinds = frozenset({Kind.TAG, Kind.DIGEST})
    return tuple(
        Fault(f"manifest: {name}", CORRUPT, _changed(_manifest(data)), kinds=kinds) for name, data in documents.items()
    )


FAULTS = (
    Fault("a wrong byte", CORRUPT, _flip(lambda size: size // 2), bodies_only=True, kinds=_VERIFIED),
    Fault("the last byte wrong", CORRUPT, _flip(lambda size: size - 1), bodies_only=True, kinds=_VERIFIED),
    Fault("a byte more", CORRUPT, _changed(_longer), bodies_only=True, kinds=_VERIFIED),
    Fault(
        "an HTML page",
        CORRUPT,
        _changed(_html),
        kinds=EVERYTHING,
        but={**_UNTOLD, Kind.REFERRERS: CORRUPT | ABSENT},  # some answer so for paths that they don't know
    ),
    Fault("an HTML page, labelled as asked", CORRUPT, _changed(_html_in_disguise), kinds=EVERYTHING, but=_UNTOLD),
    Fault("nothing at all", CORRUPT, _changed(_empty), kinds=EVERYTHING, but=_UNTOLD),
    Fault("gzip", CORRUPT, _changed(_gzipped), kinds=EVERYTHING, but=_UNTOLD),
    Fault("labelled as gzip", CORRUPT, _changed(_encoding("gzip")), kinds=EVERYTHING, but=_UNTOLD),
    Fault("labelled as br", CORRUPT, _changed(_encoding("br")), kinds=EVERYTHING, but=_UNTOLD),
    Fault("labelled as identity", OPEN, _changed(_encoding("identity")), kinds=EVERYTHING),
    Fault("media type text/html", CORRUPT, _changed(_typed("text/html")), but=_TYPE_DOES_NOT_MATTER),
    Fault("no media type", OPEN, _changed(_typed(None)), but=_TYPE_DOES_NOT_MATTER),
    Fault("digest header of other content", OPEN, _changed(_digest(_OTHER)), but={Kind.TAG: CORRUPT}),
    Fault("digest header malformed", OPEN, _changed(_digest("sha256:../../../../etc/passwd"))),
    Fault("no digest header", NONE, _changed(lambda reply: reply.set("Docker-Content-Digest", None))),
    *_documents(),
)
