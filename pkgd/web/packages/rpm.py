"""`/rpm/<repo>/…`: what dnf, zypper and yum read, and how packages come in and go out."""

from __future__ import annotations

import re
from collections.abc import Callable
from weakref import WeakKeyDictionary

from attrs import frozen

from pkgd.auth.model import Action, rpm
from pkgd.blocking import Blocking
from pkgd.errors import InvalidPackage, InvalidRequest, UnknownPackage
from pkgd.packages.layout import rpm_directory
from pkgd.packages.rpmextras import EXTRAS
from pkgd.web.gate import declares
from pkgd.web.outside import Outside
from pkgd.web.packages.endpoint import Endpoint, RpmCall
from pkgd.web.packages.paths import Kind
from pkgd.web.packages.receiving import Receiver
from pkgd.web.packages.serving import NO_STORE, send_keys, send_served
from pkgd.web.respond import header_block, send_body, send_empty, send_text
from pkgd.web.unread import telling

__all__ = ["RpmEndpoints"]

_READING = ("GET", "HEAD")
_NAMELESS = "package.rpm"
_REPOMD = "repodata/repomd.xml"
# zypper fetches the signature, then the key, then what is signed, over one connection; so long they belong together.
TOGETHER_SECONDS = 10.0


@frozen
class _Lately:
    """The generation whose signature or key a connection has fetched."""

    repository: str
    generation: int
    at: float


class RpmEndpoints:
    """The handlers."""

    def __init__(
        self,
        receiver: Receiver,
        blocking: Blocking,
        seconds: Callable[[], float],
        outside: Outside,
        suspect: Callable[[str, str], None] = lambda directory, path: None,
    ) -> None:
        """
        :param suspect: see `AptEndpoints`.
        """
        self._receiver = receiver
        self._blocking = blocking
        self._seconds = seconds
        self._outside = outside
        self._suspect = suspect
        self._lately: WeakKeyDictionary[object, _Lately] = WeakKeyDictionary()

    def endpoints(self) -> list[Endpoint]:
        """The rows of the table."""
        return [
            Endpoint(Kind.INDEX, _READING, self.index),
            Endpoint(Kind.POOL, _READING, self.pool),
            Endpoint(Kind.POOL, ("DELETE",), self.delete_path),
            Endpoint(Kind.KEY, _READING, self.key),
            Endpoint(Kind.SETUP, _READING, self.setup),
            Endpoint(Kind.MIRRORLIST, _READING, self.mirrorlist),
            Endpoint(Kind.BASE, _READING, self.base),
            Endpoint(Kind.UPLOAD, ("PUT", "POST"), self.upload),
            Endpoint(Kind.UPLOAD, ("DELETE",), self.delete),
            Endpoint(Kind.PACKAGE, ("DELETE",), self.delete_package),
        ]

    # -- reading --

    @declares(Action.PULL)
    async def index(self, call: RpmCall) -> None:
        """Serve a file below `repodata/`, of the current generation or of the one that is named."""
        path = call.path.rest
        if path == _REPOMD:
            path = self._signed_path(call)
        served = await call.repository.open(path)
        if path == f"{_REPOMD}.asc":  # and not .key, which comes between: there may have been a publish since
            self._lately[call.request.channel] = _Lately(call.path.repository, served.generation, self._seconds())
        await send_served(call.request, self._blocking, served)

    def _signed_path(self, call: RpmCall) -> str:
        """The repomd.xml that fits the signature which the same connection has just fetched, else the current one."""
        lately = self._lately.pop(call.request.channel, None)
        if lately is None or lately.repository != call.path.repository:
            return _REPOMD
        return f"@{lately.generation}/{_REPOMD}" if self._seconds() - lately.at <= TOGETHER_SECONDS else _REPOMD

    @declares(Action.PULL)
    async def pool(self, call: RpmCall) -> None:
        """Serve a package."""
        path = call.path.rest
        with telling(lambda: self._suspect(rpm_directory(call.path.repository), path[path.index("Packages/") :])):
            await send_served(call.request, self._blocking, await call.repository.open(path))

    @declares(Action.PULL)
    async def key(self, call: RpmCall) -> None:
        """Serve the keys that sign the repository, for `gpgkey=`."""
        send_keys(call.request, call.hosted.signer.public_keys())

    @declares(Action.PULL)
    async def setup(self, call: RpmCall) -> None:
        """Serve the file for /etc/yum.repos.d.

        zypper keeps a mirrorlist for ten minutes, and would not see what is published meanwhile.
        """
        is_zypper = (call.request.header(b"user-agent") or "").startswith("ZYpp")
        text = call.repository.repo_file(self._url(call), by_mirrorlist=not is_zypper)
        send_body(call.request, 200, b"text/plain; charset=utf-8", text, NO_STORE)

    @declares(Action.PULL)
    async def mirrorlist(self, call: RpmCall) -> None:
        """Name the current generation, from which a client then takes everything."""
        text = call.repository.mirrorlist(self._url(call))
        send_body(call.request, 200, b"text/plain; charset=utf-8", text, NO_STORE)

    @declares(Action.PULL)
    async def base(self, call: RpmCall) -> None:
        """Say how the repository is used."""
        name = call.repository.settings.name.replace("/", "-")
        send_text(
            call.request, 200, f"curl -fsS {self._url(call)}/pkgd.repo -o /etc/yum.repos.d/{name}.repo\n", NO_STORE
        )

    def _url(self, call: RpmCall) -> str:
        return f"{self._outside.url(call.request)}/rpm/{call.repository.settings.name}"

    # -- writing --

    @declares(Action.PUSH)
    async def upload(self, call: RpmCall) -> None:
        """Publish a package, or one of the documents that repositories may have; answered when clients see it."""
        repository, name = call.repository, call.path.rest or _NAMELESS
        if call.path.sign and repository.settings.sign_packages != "sign":
            raise InvalidRequest("sign", "this repository does not sign packages: sign_packages is not sign")
        extra = _extra(name)
        if extra is None and not name.endswith(".rpm"):
            raise InvalidPackage(name, f"neither a package (.rpm) nor one of {', '.join(EXTRAS.values())}")
        async with self._receiver.receiving(call.request.body, name) as arrival:
            if extra is not None:
                overwrite = rpm(call.path.repository, Action.OVERWRITE)
                await repository.documents.put(extra, arrival, lambda: call.grant.require(overwrite))
                call.grant.record("upload", f"rpm:{call.path.repository}", file=EXTRAS[extra])
                send_text(call.request, 201, f"{EXTRAS[extra]} is published\n")
                return
            added = await repository.add(arrival)
        call.grant.record(
            "upload",
            f"rpm:{call.path.repository}",
            package=f"{added.name} {added.version} {added.architecture}",
            file=added.path,
            sha256=added.sha256,
        )
        state = "is published" if added.created else "was there already"
        location = header_block(Location=f"/rpm/{call.path.repository}/{_escaped(added.path)}")
        line = f"{added.name} {added.version} {added.architecture} {state} in {call.path.repository}\n"
        send_text(call.request, 201 if added.created else 200, line, location)

    @declares(Action.DELETE)
    async def delete(self, call: RpmCall) -> None:
        """Take out a package by its file's name, or a document."""
        extra = _extra(call.path.rest)
        if extra is not None:
            await call.repository.documents.remove(extra)
        else:
            await call.repository.remove(call.path.rest)
        call.grant.record("delete", f"rpm:{call.path.repository}", file=call.path.rest)
        send_empty(call.request, 204)

    @declares(Action.DELETE)
    async def delete_path(self, call: RpmCall) -> None:
        """Take out a package by its path."""
        await call.repository.remove(call.path.rest)
        call.grant.record("delete", f"rpm:{call.path.repository}", file=call.path.rest)
        send_empty(call.request, 204)

    @declares(Action.DELETE)
    async def delete_package(self, call: RpmCall) -> None:
        """Take out a package by its name, version and architecture."""
        name, version, architecture = call.path.package
        for one in await call.repository.list(name):
            if one.architecture == architecture and version in (one.version, one.version.removeprefix("0:")):
                await call.repository.remove(one.path)
                call.grant.record("delete", f"rpm:{call.path.repository}", file=one.path)
                send_empty(call.request, 204)
                return
        raise UnknownPackage(f"{name} {version} {architecture}")


def _extra(name: str) -> str | None:
    """Which document a file is, by the end of its name."""
    return next(
        (kind for kind, ending in EXTRAS.items() if re.fullmatch(rf"(?:.+[._-])?{re.escape(ending)}", name)), None
    )


def _escaped(path: str) -> str:
    """A path as it stands in a URL."""
    return path.replace("^", "%5E").replace("+", "%2B")
