"""401 in all its forms: challenges that cannot be answered, and those that must not be."""

from __future__ import annotations

from tests.upstream import places
from tests.upstream.answers import failure
from tests.upstream.exchange import Exchange, Misbehaviour, Part
from tests.upstream.fault import REFUSED, UNAVAILABLE, Fault

_REFUSED = REFUSED | UNAVAILABLE


def _challenged(*challenges: str) -> Misbehaviour:
    """Answer 401 with these challenges; `{origin}` is the upstream's own URL."""

    async def misbehave(exchange: Exchange) -> None:
        if exchange.asked.part is Part.TOKEN:
            await exchange.deliver()
            return
        reply = failure(401, "UNAUTHORIZED")
        for challenge in challenges:
            value = challenge.replace("{origin}", f"http://{exchange.asked.value('host')}")
            reply = reply.set("WWW-Authenticate", value)
        await exchange.deliver(reply)

    return misbehave


def _realm(url: str) -> Misbehaviour:
    return _challenged(f'Bearer realm="{url}",service="scripted",scope="repository:team/app:pull"')


def _led_astray(name: str, url: str) -> Fault:
    return Fault(f"401, realm {name}", _REFUSED, _realm(url))


FAULTS = (
    Fault("401 without a challenge", REFUSED, _challenged()),
    Fault("401 again and again", REFUSED, _realm("{origin}/token")),
    Fault("401 Basic", REFUSED, _challenged('Basic realm="scripted"')),
    Fault("401 Negotiate", REFUSED, _challenged("Negotiate")),
    Fault("401 with an empty challenge", REFUSED, _challenged("")),
    Fault("401 with a broken challenge", REFUSED, _challenged('Bearer realm="http://127.0.0.2:7000/token, scope=')),
    Fault("401 with a challenge of 60 KB", _REFUSED, _challenged("Bearer " + 'a="b",' * 10_000 + 'realm="x"')),
    Fault("401 without a realm", REFUSED, _challenged('Bearer service="scripted"')),
    _led_astray("on another port", f"http://{places.LOOPBACK}:{places.ELSEWHERE_PORT}/token"),
    _led_astray("on another address", f"{places.ELSEWHERE_URL}/token"),
    _led_astray("at a private address", f"https://{places.PRIVATE}/token"),
    _led_astray("at the metadata service", f"http://{places.METADATA}/latest/meta-data/"),
    _led_astray("at localhost", "https://localhost:8080/token"),
    _led_astray("at a name with a private address", f"https://{places.LURE}/token"),
    _led_astray("in plain HTTP elsewhere", f"http://{places.DELIVERY}/token"),
    _led_astray("with user and password", "http://user:password@{origin}/token"),
    _led_astray("in a file", "file:///etc/passwd"),
    _led_astray("that is no URL", "http://[::1/token"),
    _led_astray("that is a path", "/token"),
    _led_astray("at a port that is none", f"https://{places.DELIVERY}:99999/token"),
    _led_astray("at a port that is no number", f"https://{places.DELIVERY}:port/token"),
    _led_astray("that is empty", ""),
    _led_astray("with a fragment", "{origin}/token#there"),
)
