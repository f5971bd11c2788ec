"""How repositories' files and their clients' configurations are answered."""

from __future__ import annotations

from pkgd.blocking import Blocking
from pkgd.packages.records import Served
from pkgd.web.request import Request
from pkgd.web.respond import Entity, header_block, send_body, send_entity

__all__ = ["NO_STORE", "send_keys", "send_served", "sources_file"]

# What a path with a hash or a generation in it answers; and what changes with every publish, which a cache on the
# way must ask for again: a stale index with fresh neighbours is what apt calls "Hash Sum mismatch".
_FOR_GOOD = header_block(Cache_Control="public, max-age=31536000, immutable")
_ASK_AGAIN = header_block(Cache_Control="no-cache")
# What has the URL in it by which it was asked for, which no cache may hand to others.
NO_STORE = header_block(Cache_Control="no-store")


async def send_served(request: Request, blocking: Blocking, served: Served) -> None:
    """Send a repository's file; closes it."""
    entity = Entity(
        served.media_type,
        f'"{served.sha256}"',
        _FOR_GOOD if served.is_immutable else _ASK_AGAIN,
        served.modified,
        not served.shares_second,
        served.is_immutable,
    )
    await send_entity(request, blocking, served.reader, entity)


def send_keys(request: Request, armored: bytes) -> None:
    """Send public keys, under a type that no client takes for anything else."""
    send_body(request, 200, b"application/pgp-keys", armored, _ASK_AGAIN)


def sources_file(url: str, suite: str, components: tuple[str, ...], keys: bytes) -> bytes:
    """A deb822 source with the keys in it (sources.list(5)): an empty line of the armor is written ` .`."""
    armor = [f" {line}" if line.strip() else " ." for line in keys.decode("ascii").strip().splitlines()]
    lines = [
        "Types: deb deb-src",
        f"URIs: {url}",
        f"Suites: {suite}",
        f"Components: {' '.join(components)}",
        "Signed-By:",
        *armor,
    ]
    return ("\n".join(lines) + "\n").encode("ascii")
