"""Redirects: some must be followed, and most must not."""

from __future__ import annotations

from tests.upstream import places
from tests.upstream.exchange import Exchange, Misbehaviour, Reply
from tests.upstream.fault import BLOBS, CORRUPT, EVERYTHING, NONE, REFUSED, UNAVAILABLE, Fault, Gate, Kind

REDIRECTS = (301, 302, 303, 307, 308)
_MOST_HOPS = 5
_TOKENS_REFUSED = {Kind.TOKEN: UNAVAILABLE | REFUSED | CORRUPT}
_TOKEN_HOPS = {Kind.TOKEN: NONE | UNAVAILABLE | REFUSED | CORRUPT}
"""A token service has no need to redirect."""


def _hops(status: int, count: int, relative: bool = True) -> Misbehaviour:
    """Redirect to another path of the same host so often, then answer."""

    async def misbehave(exchange: Exchange) -> None:
        done, path = _done(exchange.asked.target)
        if done == count:
            await exchange.deliver()
            return
        origin = "" if relative else f"http://{exchange.asked.value('host')}"
        await exchange.deliver(moved(status, f"{origin}/hops/{done + 1}{path}"))

    return misbehave


def _done(target: str) -> tuple[int, str]:
    """How often a request has been redirected, and what it was for."""
    if not target.startswith("/hops/"):
        return 0, target
    _, _, number, path = target.split("/", 3)
    return int(number), f"/{path}"


def moved(status: int, location: str | None) -> Reply:
    """A redirect."""
    return Reply(status).set("Location", location)


def _to(location: str | None, status: int = 307) -> Misbehaviour:
    """Redirect there; `{target}` is what was asked for."""

    async def misbehave(exchange: Exchange) -> None:
        target = location.format(target=exchange.asked.target) if location is not None else None
        await exchange.deliver(moved(status, target))

    return misbehave


async def _circle(exchange: Exchange) -> None:
    """Two places that name each other."""
    done, path = _done(exchange.asked.target)
    await exchange.deliver(moved(307, f"/hops/{2 if done == 1 else 1}{path}"))


def _refused(name: str, location: str | None) -> Fault:
    return Fault(f"redirect {name}", UNAVAILABLE, _to(location), kinds=EVERYTHING, but=_TOKENS_REFUSED)


FAULTS = (
    *(
        Fault(f"{status} to another path", NONE, _hops(status, 1), kinds=EVERYTHING, but=_TOKEN_HOPS)
        for status in REDIRECTS
    ),
    Fault("redirect with the whole URL", NONE, _hops(307, 1, relative=False)),
    Fault(f"{_MOST_HOPS} redirects", NONE, _hops(307, _MOST_HOPS)),
    Fault(f"{_MOST_HOPS + 1} redirects", UNAVAILABLE, _hops(307, _MOST_HOPS + 1)),
    Fault("redirects in a circle", UNAVAILABLE, _circle),
    _refused("to itself", "{target}"),
    Fault("redirect to a public host", NONE, _to(places.DELIVERY_URL + "{target}"), kinds=BLOBS | {Kind.DIGEST}),
    Fault(
        "redirect from TLS to plain HTTP",
        UNAVAILABLE,
        _to(f"http://{places.DELIVERY}" + "{target}"),
        gate=Gate(certificate="good"),
    ),
    _refused("without Location", None),
    _refused("with an empty Location", ""),
    _refused("to another port of the same address", f"http://{places.LOOPBACK}:{places.ELSEWHERE_PORT}" + "{target}"),
    _refused("to another address of this machine", places.ELSEWHERE_URL + "{target}"),
    _refused("to a private address", f"https://{places.PRIVATE}" + "{target}"),
    _refused("to the metadata service", f"http://{places.METADATA}/latest/meta-data/"),
    _refused("to localhost", "http://localhost:8080{target}"),
    _refused("to an IPv6 address", "http://[::1]:8080{target}"),
    _refused("to a name with a private address", f"https://{places.LURE}" + "{target}"),
    _refused("to a name that does not exist", f"https://nonexistent.{places.DOMAIN}" + "{target}"),
    _refused("to a file", "file:///etc/passwd"),
    _refused("to ftp", f"ftp://{places.DELIVERY}/x"),
    _refused("to gopher", "gopher://127.0.0.2:7000/_GET"),
    _refused("to data", "data:application/json,{{}}"),
    _refused("with user and password", f"https://user:password@{places.DELIVERY}" + "{target}"),
    _refused("to a broken URL", "http://[::1/x"),
    _refused("to a port that is none", f"https://{places.DELIVERY}:99999/x"),
    _refused("to a port that is no number", f"https://{places.DELIVERY}:port/x"),
    _refused("to a URL with blanks", "https://exa mple.org/ x"),
    _refused("to a URL that is not ASCII", "https://ex\xe4mple.org/"),
    _refused("to a long URL", f"https://{places.DELIVERY}/" + "x" * 100_000),
)
