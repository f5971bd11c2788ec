"""What the authority counts, for the metrics."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Counting", "Uncounted", "method_of"]


class Counting(Protocol):
    """Who counts; `pkgd.metrics.AuthMetrics` is one."""

    def request(self, method: str, result: str) -> None:
        """Credentials were looked at.

        :param method: as `method_of` says, or `token` or `anon`.
        :param result: ok, rejected, unavailable or throttled.
        """

    def cached(self, is_known: bool) -> None:
        """Whose they are was known from before, or had to be found out."""


class Uncounted:
    """Where nobody counts."""

    def request(self, method: str, result: str) -> None:
        """See `Counting`."""

    def cached(self, is_known: bool) -> None:
        """See `Counting`."""


def method_of(source: str) -> str:
    """What operators call a source of this name: htpasswd, api, key; and oidc, also where a workload brings a token."""
    kind = source.partition(":")[0]
    return "oidc" if kind == "workload" else kind
