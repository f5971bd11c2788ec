"""A new configuration in the place of the old one, while the daemon serves: all of it, or nothing.

What the new file says is made beside what is in use, and looked at as far as it can be; only then one reference is
turned. Requests that have begun end with what they began with, which is closed when nobody uses it any more.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from pkgd.composition import Parts, Serving
from pkgd.config.reloading import ConfigFile, Kept, keep_fixed
from pkgd.errors import PkgdError
from pkgd.recurring import Recurring
from pkgd.sharing import Tasks
from pkgd.web.site import Site
from pkgd.web.tls import load_context

__all__ = ["CONFIGURATION_INTERVAL", "Reloading"]

log = Logger()

# How often it is looked whether the configuration file has changed, in seconds.
CONFIGURATION_INTERVAL = 10.0
# What a configuration has made is kept so long for the requests that began with it.
RETIRED_SECONDS = 60.0


class Reloading:
    """See the module. Whoever has the `turn` is not reloaded meanwhile.

    :param source: the configuration file; None if there is none that could change.
    """

    def __init__(
        self, reactor: Any, parts: Parts, tasks: Tasks, site: Site, recurring: Recurring, source: ConfigFile | None
    ) -> None:
        self._reactor = reactor
        self._parts = parts
        self._present = parts.present
        self._tasks = tasks
        self._site = site
        self._recurring = recurring
        self._source = source
        self._retired: list[tuple[float, Serving]] = []
        self.turn = DeferredLock()

    def reload(self) -> Deferred[None]:
        """SIGHUP: read the configuration and what it names, ask back ends and issuers anew, and open the logs anew.

        The Deferred fires when that is done, whatever became of it.
        """
        return self._tasks.start("reload", self._reload())

    async def look(self) -> None:
        """Follow the file if it has changed, and close what is not used any more of those before."""
        if self._source is not None and await self._parts.blocking.disk(self._source.has_changed):
            await self.turn.run(lambda: Deferred.fromCoroutine(self._follow()))
        await self._close_retired()

    async def close(self) -> None:
        """Close what asks others, of all configurations, at the stop."""
        for one in [self._present.serving, *(one for _, one in self._retired)]:
            await one.close()

    async def _reload(self) -> None:
        try:
            # What cannot be used changes nothing, and is said once: it would be found again here.
            if await self.turn.run(lambda: Deferred.fromCoroutine(self._reconfigure())):
                await self._recurring.refresh_certificates()
                await self._recurring.refresh_users()
                await self._recurring.refresh_keys()
                self._present.serving.authentication.federation.forget()
        finally:
            await self._reopen_logs()

    async def _reopen_logs(self) -> None:
        for one in (self._parts.access_log, self._parts.audit_log):
            try:
                await self._parts.blocking.disk(one.reopen)
            except OSError as error:
                log.error("a log stays in the file that it was in: {reason}", reason=error)

    async def _follow(self) -> None:
        # A signal may have come first.
        if self._source is not None and await self._parts.blocking.disk(self._source.has_changed):
            await self._reconfigure()

    async def _reconfigure(self) -> bool:
        """Read the configuration anew, and follow it; returns whether what is in use is what the file says."""
        if self._source is None:
            return True
        if self._parts.readiness.is_draining():
            return False
        metrics = self._parts.mirror.metrics
        try:
            kept = keep_fixed(self._present.serving.config, await self._parts.blocking.disk(self._source.read))
            new = await self._prepare(kept)
        except PkgdError as error:
            log.error("the configuration stays as it was: {reason}", reason=error.message)
            metrics.reloaded(False, self._reactor.seconds())
            return False
        if self._parts.readiness.is_draining():
            return False
        self._turn_to(new, kept)
        metrics.reloaded(True, self._reactor.seconds())
        log.info("the configuration has been read anew")
        self._tasks.start("issuers", new.authentication.federation.look())
        await self._parts.packages.start_waiting()
        return True

    async def _prepare(self, kept: Kept) -> Serving:
        """Make what a configuration says, and read what it names. Nothing changes.

        :raises PkgdError: if it cannot be used.
        """
        parts, present = self._parts, self._present
        new = parts.renew(kept.config, present.serving)
        await parts.packages.prepare(new.packages)
        if present.certificates is not None:
            tls = kept.config.server.tls
            await parts.blocking.disk(load_context, str(tls.certificate), str(tls.key))
        await new.authentication.prepare(parts.blocking, present.serving.authentication)
        return new

    def _turn_to(self, new: Serving, kept: Kept) -> None:
        """Nothing of this can fail, or takes time."""
        present = self._present
        for name in kept.names:
            log.warn("{name} stays as it was until pkgd is started anew", name=name)
        self._retired.append((self._reactor.seconds(), present.serving))
        present.serving = new
        new.take_effect()
        self._site.limits = new.http_limits
        self._recurring.follow(new.config)
        if present.certificates is not None:
            tls = new.config.server.tls
            present.certificates.use(str(tls.certificate), str(tls.key))

    async def _close_retired(self) -> None:
        """Close the connections of configurations that no request uses any more."""
        now = self._reactor.seconds()
        for since, one in list(self._retired):
            if now - since >= RETIRED_SECONDS and one.upstreams.is_idle:
                self._retired.remove((since, one))
                await one.close([self._present.serving, *(other for _, other in self._retired)])
