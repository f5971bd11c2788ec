"""`WWW-Authenticate`: what tells a client how to come back (RFC 9110, 11.6.1; distribution, `spec/auth/token.md`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from pkgd.auth.model import Access, Action
from pkgd.auth.scopes import Scope, format_scopes, scope_of
from pkgd.errors import PkgdError
from pkgd.formats.names import RepositoryName
from pkgd.web.outside import Outside
from pkgd.web.target import parse_query

if TYPE_CHECKING:
    from pkgd.web.request import Request

__all__ = ["BASIC", "TOKEN_PATH", "Error", "bearer", "scopes_of"]

BASIC = 'Basic realm="pkgd", charset="UTF-8"'
TOKEN_PATH = "/auth/token"  # noqa: S105

Error = Literal["invalid_token", "insufficient_scope"]


# What an `error_description` may have in it (RFC 6750, 3).
_UNSPEAKABLE = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


def bearer(
    request: Request, outside: Outside, access: Access | None, error: Error | None, description: str | None = None
) -> str:
    """The challenge of the registry: where there are tokens, and which one this request needs.

    :param description: why no token will do. docker shows this and not the body, and answers to HEAD have no body.
    """
    parts = [f'realm="{outside.url(request)}{TOKEN_PATH}"', f'service="{outside.service(request)}"']
    scopes = scopes_of(request, access)
    if scopes:
        parts.append(f'scope="{format_scopes(scopes)}"')
    if error is not None:
        parts.append(f'error="{error}"')
    if description is not None:
        parts.append(f'error_description="{_UNSPEAKABLE.sub("?", description)}"')
    return f"Bearer {','.join(parts)}"


def scopes_of(request: Request, access: Access | None) -> list[Scope]:
    """What a request is about, as a token for it would be asked for."""
    scope = None if access is None else scope_of(access)
    if scope is None or access is None:
        return []
    if access.action not in (Action.PUSH, Action.OVERWRITE):
        return [scope]
    scopes = [Scope(scope.kind, scope.name, ("pull", "push"))]
    source = _mounted_from(request)
    if source is not None and source != scope.name:
        scopes.append(Scope(scope.kind, source, ("pull",)))
    return scopes


def _mounted_from(request: Request) -> str | None:
    """The repository that a blob is to be mounted from, if the request names one."""
    query = request.uri.partition(b"?")[2]
    if request.method != b"POST" or b"from=" not in query:
        return None
    try:
        source = parse_query(query).one("from")
        return None if source is None else str(RepositoryName.parse(source))
    except PkgdError:
        return None
