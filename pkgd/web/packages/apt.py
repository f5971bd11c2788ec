"""`/apt/<repo>/…`: what apt reads, and how packages come in and go out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pkgd.auth.model import Action
from pkgd.blocking import Blocking
from pkgd.errors import UnknownPackage
from pkgd.packages.apt import Upload
from pkgd.packages.layout import apt_directory
from pkgd.packages.records import Added
from pkgd.web.gate import declares
from pkgd.web.outside import Outside
from pkgd.web.packages.endpoint import AptCall, Endpoint, known_component, known_suite
from pkgd.web.packages.paths import Kind
from pkgd.web.packages.receiving import Receiver
from pkgd.web.packages.serving import NO_STORE, send_keys, send_served, sources_file
from pkgd.web.packages.sets import BINARIES, Sets
from pkgd.web.respond import header_block, send_body, send_empty, send_text
from pkgd.web.unread import telling

__all__ = ["AptEndpoints"]

_READING = ("GET", "HEAD")
# What a package is called where the URL doesn't say it.
_NAMELESS = "package.deb"


class AptEndpoints:
    """The handlers."""

    def __init__(
        self,
        receiver: Receiver,
        sets: Sets,
        blocking: Blocking,
        outside: Outside,
        suspect: Callable[[str, str], None] = lambda directory, path: None,
    ) -> None:
        """
        :param suspect: told of packages' files that could not be read: the repository's directory, and the path in it.
        """
        self._receiver = receiver
        self._sets = sets
        self._blocking = blocking
        self._outside = outside
        self._suspect = suspect

    def endpoints(self) -> list[Endpoint]:
        """The rows of the table."""
        return [
            Endpoint(Kind.INDEX, _READING, self.index),
            Endpoint(Kind.POOL, _READING, self.pool),
            Endpoint(Kind.POOL, ("DELETE",), self.delete_everywhere),
            Endpoint(Kind.KEY, _READING, self.key),
            Endpoint(Kind.SETUP, _READING, self.setup),
            Endpoint(Kind.BASE, _READING, self.base),
            Endpoint(Kind.UPLOAD, ("PUT", "POST"), self.upload),
            Endpoint(Kind.UPLOAD, ("DELETE",), self.delete),
            Endpoint(Kind.INCOMING, ("PUT",), self.incoming),
            Endpoint(Kind.PACKAGE, ("DELETE",), self.delete_package),
        ]

    # -- reading --

    @declares(Action.PULL)
    async def index(self, call: AptCall) -> None:
        """Serve a file below `dists/`, of the current generation or of the one that is named."""
        parts = call.path.rest.split("/")
        known_suite(call.repository, parts[parts.index("dists") + 1])
        await send_served(call.request, self._blocking, await call.repository.open(call.path.rest))

    @declares(Action.PULL)
    async def pool(self, call: AptCall) -> None:
        """Serve a file of a package."""
        path = call.path.rest
        with telling(lambda: self._suspect(apt_directory(call.path.repository), path[path.index("pool/") :])):
            await send_served(call.request, self._blocking, await call.repository.open(path))

    @declares(Action.PULL)
    async def key(self, call: AptCall) -> None:
        """Serve the keys that sign the repository, for `Signed-By` with a file."""
        send_keys(call.request, call.hosted.signer.public_keys())

    @declares(Action.PULL)
    async def setup(self, call: AptCall) -> None:
        """Serve a suite's source for /etc/apt/sources.list.d, with the keys in it."""
        suite = known_suite(call.repository, call.path.suites[0])
        keys = call.hosted.signer.public_keys()
        text = sources_file(self._url(call), suite.codename, tuple(suite.components), keys)
        send_body(call.request, 200, b"text/plain; charset=utf-8", text, NO_STORE)

    @declares(Action.PULL)
    async def base(self, call: AptCall) -> None:
        """Say how the repository is used: a suite's source to be fetched, for each."""
        name, url = call.repository.settings.name, self._url(call)
        lines = [
            f"curl -fsS {url}/{one.codename}.sources -o /etc/apt/sources.list.d/{name}-{one.codename}.sources"
            for one in call.repository.settings.suites
        ]
        send_text(call.request, 200, "\n".join(lines) + "\n", NO_STORE)

    def _url(self, call: AptCall) -> str:
        return f"{self._outside.url(call.request)}/apt/{call.repository.settings.name}"

    # -- writing --

    @declares(Action.PUSH)
    async def upload(self, call: AptCall) -> None:
        """Publish a package, or a source whose files came before, or keep a file of a source.

        The answer comes when clients see it. Everything but the package itself is checked before the body is read.
        """
        repository, path = call.repository, call.path
        suites = [known_suite(repository, one) for one in path.suites] or [repository.settings.suites[0]]
        component = known_component(repository, suites[0], path.component)
        for one in suites[1:]:
            known_component(repository, one, component)
        names, body, name = [one.codename for one in suites], call.request.body, path.rest or _NAMELESS
        group = (path.repository, names[0], component, call.grant.principal.owner)
        if name.endswith(BINARIES):
            async with self._receiver.receiving(body, name) as arrival:
                (added,) = await repository.add_together(names, [Upload(component, arrival)])
        elif name.endswith(".dsc"):
            async with self._receiver.receiving(body, name) as arrival:
                added = await self._sets.close_source(repository, names, component, group, arrival)
        else:
            await self._sets.hold_part(group, body, name)
            send_text(call.request, 201, f"{name} is kept until the .dsc that names it comes\n")
            return
        _record(call, "upload", [added], names)
        _send_added(call, [added], ", ".join(names))

    @declares(Action.PUSH)
    async def incoming(self, call: AptCall) -> None:
        """Keep a file of an upload by dput, until its .changes comes: then publish what that lists."""
        repository, path = call.repository, call.path
        suites = [known_suite(repository, one).codename for one in path.suites]
        group = (path.repository, *suites, call.grant.principal.owner)
        if not path.rest.endswith(".changes"):
            await self._sets.hold(group, call.request.body, path.rest)
            send_text(call.request, 201, f"{path.rest} is kept until its .changes comes\n")
            return
        added = await self._sets.close(repository, suites, group, call.request.body)
        _record(call, "upload", added, suites)
        _send_added(call, added, ", ".join(suites) or "the suites that it names")

    @declares(Action.DELETE)
    async def delete(self, call: AptCall) -> None:
        """Take a package out of a suite, by its file's name."""
        if not call.path.suites or not call.path.rest:
            raise UnknownPackage("this path, to which packages are uploaded, names none")
        suite = known_suite(call.repository, call.path.suites[0])
        component = known_component(call.repository, suite, call.path.component)
        await call.repository.remove(suite.codename, component, call.path.rest)
        call.grant.record(
            "delete", f"apt:{call.path.repository}", suites=[suite.codename], component=component, file=call.path.rest
        )
        send_empty(call.request, 204)

    @declares(Action.DELETE)
    async def delete_everywhere(self, call: AptCall) -> None:
        """Take a package out of every suite, by its path in the pool."""
        await call.repository.remove_everywhere(call.path.rest)
        call.grant.record("delete", f"apt:{call.path.repository}", file=call.path.rest)
        send_empty(call.request, 204)

    @declares(Action.DELETE)
    async def delete_package(self, call: AptCall) -> None:
        """Take a package out of a suite, by its name, version and architecture."""
        suite = known_suite(call.repository, call.path.suites[0])
        component = known_component(call.repository, suite, call.path.component)
        name, version, architecture = call.path.package
        for one in await call.repository.list(suite.codename, component, name):
            if (one.version, one.architecture) == (version, architecture):
                await call.repository.remove(suite.codename, component, one.path.rpartition("/")[2])
                call.grant.record(
                    "delete", f"apt:{call.path.repository}", suites=[suite.codename], component=component, file=one.path
                )
                send_empty(call.request, 204)
                return
        raise UnknownPackage(f"{name} {version} {architecture} in {suite.codename}/{component}")


def _record(call: AptCall, action: str, added: Sequence[Added], suites: Sequence[str]) -> None:
    """Note what has been published."""
    for one in added:
        call.grant.record(
            action,
            f"apt:{call.path.repository}",
            suites=suites,
            package=f"{one.name} {one.version} {one.architecture}",
            file=one.path,
            sha256=one.sha256,
        )


def _send_added(call: AptCall, added: Sequence[Added], where: str) -> None:
    states = {True: "is published", False: "was there already"}
    lines = [f"{one.name} {one.version} {one.architecture} {states[one.created]} in {where}" for one in added]
    created = any(one.created for one in added)
    location = b""
    if len(added) == 1:
        location = header_block(Location=f"/apt/{call.path.repository}/{added[0].path}")
    send_text(call.request, 201 if created else 200, "".join(f"{line}\n" for line in lines), location)
