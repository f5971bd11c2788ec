"""Requests that come while the daemon starts: they wait, for most starts take no longer than a moment.

So a restart is not noticed by clients that a passed-on socket has kept in its queue.
"""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from pkgd.errors import NotReady
from pkgd.web.api.keys import KeysApi
from pkgd.web.api.packages import ApiV1
from pkgd.web.auth.login import LoginApi
from pkgd.web.auth.token import TokenApi
from pkgd.web.packages.api import PackagesApi
from pkgd.web.registry.api import RegistryApi
from pkgd.web.request import Request
from pkgd.web.site import Handler, Site

__all__ = ["Starting"]

# How long they wait, in seconds; from then on they are refused at once.
PATIENCE = 10.0


class Starting:
    """A `Handler` in the place of others, until `end`."""

    def __init__(self, clock: IReactorTime, site: Site) -> None:
        self._clock = clock
        self._site = site
        self._waiting: list[Request] = []
        self._is_patient = True
        self._is_over = False
        self._timer: IDelayedCall | None = None

    def instead_of(self, handler: Handler) -> Handler:
        """Who answers for now: ourselves for whoever needs the storage, which is everybody but the probes."""
        needs = isinstance(handler, RegistryApi | PackagesApi | ApiV1 | KeysApi | TokenApi | LoginApi)
        return self if needs and not self._is_over else handler

    def begin(self) -> None:
        """The start begins."""
        self._timer = self._clock.callLater(PATIENCE, self.give_up)

    def handle(self, request: Request) -> None:
        """See `Handler.handle`."""
        if self._is_patient:
            self._waiting.append(request)
        else:
            self._site.refuse(request, NotReady())

    def end(self) -> None:
        """Everything is prepared: all of them are answered."""
        self._is_over = True
        self._cancel()
        for request in self._take():
            self._site.dispatch(request)

    def give_up(self) -> None:
        """It takes long, or the stop has come first."""
        self._is_patient = False
        self._cancel()
        for request in self._take():
            self._site.refuse(request, NotReady())

    def _take(self) -> list[Request]:
        """Those who still wait."""
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            if request.gone:
                request.abort()
        return [request for request in waiting if not request.gone]

    def _cancel(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
