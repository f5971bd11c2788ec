"""Who else is in the suite's network: a public host that delivers content, and listeners where nobody may be led."""

from __future__ import annotations

from tests.upstream import places
from tests.upstream.authority import Authority
from tests.upstream.content import REPOSITORY, Shelf
from tests.upstream.names import Names
from tests.upstream.scripted import Upstream

_MORE = (
    (places.LOOPBACK, places.ELSEWHERE_PORT),
    (places.ELSEWHERE, places.ELSEWHERE_PORT),
    (places.LOOPBACK, 8080),
    (places.PUBLIC, 80),
)


class Surroundings:
    """See the module. `delivery` is the public host, `spots` are the listeners' addresses and ports."""

    def __init__(self, authority: Authority, shelf: Shelf, names: Names, has_v6: bool) -> None:
        tls = authority.context(f"*.{places.DOMAIN}", label="delivery")
        self.delivery = Upstream({REPOSITORY: shelf}, 443, places.PUBLIC, tls, places.DELIVERY)
        addresses = [one for one in places.FORBIDDEN if has_v6 or ":" not in one]
        spots = [(address, port) for address in addresses for port in places.FORBIDDEN_PORTS]
        self.spots = [*spots, *_MORE]
        self._sentinels = [Upstream({}, port, address) for address, port in self.spots]
        names.set(places.DELIVERY, [places.PUBLIC])
        names.set(places.LURE, [places.PRIVATE])

    async def open(self) -> None:
        """Listen everywhere."""
        for one in (self.delivery, *self._sentinels):
            await one.open()

    async def close(self) -> None:
        """Listen no more."""
        for one in (self.delivery, *self._sentinels):
            await one.close()

    def led_astray(self) -> list[str]:
        """Where somebody has connected who should not have, and what for; from then on counted anew."""
        found = []
        for one in self._sentinels:
            if one.accepted:
                asked = ", ".join(map(str, one.requests[:5]))
                found.append(f"{one.accepted} connections to {one.address} port {one.port} {asked}")
            one.forget()
        return found
