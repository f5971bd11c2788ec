"""The audit log: who has changed what, from where; one JSON object a line.

    {"time":"2026-11-27T09:30:00.125Z","action":"push","user":"alice","via":"htpasswd","address":"10.1.2.3",
     "resource":"oci:team/app","digest":"sha256:…","tags":["v1"]}

Actions are `push`, `overwrite`, `upload`, `copy`, `delete`, `create-key`, `revoke-key`, `disable-user`, `login` (what
lasts beyond one request: a session, a refresh token) and `fail-login`. What is written has been done, and is durable;
of what has not been done only logins that fail are written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from pkgd.auth.model import Identity
from pkgd.logfile import LogFile

__all__ = ["Audit", "Detail", "Unaudited"]

# How much of a text is written.
_MAX_TEXT = 512
# How what is secret begins: an API key, a JWT. Whoever gives it for a user name has made a mistake.
_SECRETS = ("pkgd_", "eyJ")

Detail = str | Sequence[str] | None


class Audit:
    """Writes to a log file."""

    def __init__(self, file: LogFile, now: Callable[[], float]) -> None:
        """
        :param now: seconds since the epoch.
        """
        self._file = file
        self._now = now

    def record(self, action: str, identity: Identity, resource: str, **detail: Detail) -> None:
        """Note what somebody has done to a resource; details that are None are left out."""
        if not self._file.is_open:
            return
        principal = identity.principal
        self._append(
            action=action,
            user=_name(principal.name),
            via=identity.via,
            address=principal.address,
            resource=_text(resource),
            **{key: _shown(value) for key, value in detail.items() if value},
        )

    def failed_login(self, user: str | None, address: str | None) -> None:
        """Note who has not been let in: with a wrong password, or by the provider.

        :param user: as whom; None if that is not known.
        """
        if self._file.is_open:
            self._append(action="fail-login", user=_name(user), address=address)

    def _append(self, **line: Any) -> None:
        time = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._file.append(msgspec.json.encode({"time": time, **line}).decode("utf-8") + "\n")


class Unaudited:
    """Writes nothing."""

    def record(self, action: str, identity: Identity, resource: str, **detail: Detail) -> None:
        """Nothing."""

    def failed_login(self, user: str | None, address: str | None) -> None:
        """Nothing."""


def _shown(value: str | Sequence[str]) -> str | list[str]:
    return _text(value) if isinstance(value, str) else [_text(one) for one in value]


def _name(name: str | None) -> str | None:
    """A user's name; None for the anonymous."""
    if name is None:
        return None
    return "…" if name.startswith(_SECRETS) else _text(name)


def _text(text: str) -> str:
    """A text that fits; half a surrogate is no text that JSON could have."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"
