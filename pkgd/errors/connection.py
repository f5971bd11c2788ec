"""What ends a request, and its connection, without the answer that was asked for."""

from __future__ import annotations

from attrs import define

from pkgd.errors.base import PkgdError

__all__ = ["ClientGone", "MalformedHttp", "SlowClient"]


@define(auto_exc=True, eq=False)
class MalformedHttp(PkgdError):
    """The bytes on the connection are not a request that may be served (RFC 9112, RFC 9110).

    The parser suggests a `status`, as h11 does: only it knows whether a head was too long, a
    target too long or a header illegal. The connection is closed after the answer.
    """

    status: int
    reason: str

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return self.reason


class ClientGone(PkgdError):
    """The client closed the connection."""


class SlowClient(PkgdError):
    """the client sent nothing for too long"""
