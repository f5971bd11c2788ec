"""The words of access control: who asks (`Principal`), how that is known (`Identity`), and for what (`Access`)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Protocol

from attrs import Factory, field, frozen

__all__ = ["ANONYMOUS", "Access", "Action", "Cap", "Identity", "Principal", "apt", "mirrored", "oci", "rpm"]


class Action(Enum):
    """What a request does, by its effect and not by its URL or method."""

    ENTER = "enter"
    """Use the API at all: the version check, its extensions."""
    LIST = "list"
    """See which repositories exist, as far as each may be pulled."""
    PULL = "pull"
    """Read content, its tags and referrers."""
    PUSH = "push"
    """Add content, and tags that were not there."""
    OVERWRITE = "overwrite"
    """Move a tag from one manifest to another."""
    DELETE = "delete"
    """Remove content or tags."""

    # Each is one object, and every request looks some up: enum's own way goes by the name.
    __hash__ = object.__hash__


@frozen
class Access:
    """An action on a resource.

    Resources are `oci:<repository>`, `mirror:<host>/<repository>`, `apt:<repository>`, `rpm:<repository>`, and
    `registry` for the registry's API as a whole.

    `private` says of an upstream's repository that its content was fetched with our credentials.

    `suite` is the one of an apt repository that is changed; None is the repository as a whole, or a way of reading it.

    `asked` is what the client itself calls a mirrored repository, where that is not the whole resource: with `?ns=`,
    its token is for `library/alpine`, and says nothing of the host.
    """

    resource: str
    action: Action
    private: bool = False
    asked: str | None = None
    suite: str | None = None

    def __str__(self) -> str:
        return f"{self.action.value} {self.resource}{f'/{self.suite}' if self.suite else ''}"


class Cap(Protocol):
    """What credentials narrow their owner's rights to: the access of a token, the scope of an API key."""

    def covers(self, access: Access) -> bool:
        """Whether it is within; never says that it is allowed."""


@frozen
class Principal:
    """Who asks. The name is None for the anonymous.

    `groups` are those that the policy may name. `issuer` is whose token says so, for workloads of CI services and the
    like; `claims` are that token's, as strings or lists of them. `address` is where the request comes from.
    `granted` is what that issuer allows it by itself, where the configuration trusts it with that.
    """

    name: str | None = None
    groups: frozenset[str] = frozenset()
    issuer: str | None = None
    claims: Mapping[str, str | tuple[str, ...]] = field(default=Factory(dict), hash=False)
    address: str | None = None
    granted: Cap | None = None

    @property
    def owner(self) -> str | None:
        """What is begun by one request and ended by another belongs to; no two principals of different names share it.

        None is nobody in particular. An issuer's URL has no spaces, so that no name passes for another's of an issuer.
        """
        return None if self.name is None else f"{self.issuer or ''} {self.name}"


@frozen
class Identity:
    """A principal, and how it is known.

    `via` says what vouches for it: `anonymous`, `htpasswd`, `api:<back end>`, `oidc`, `workload:<issuer>`, `key:<id>`.
    `stamp` is what `via` holds of the user, such as a fingerprint of the password's hash: a token carries it on, and is
    worth nothing any more once it has changed.
    `cap` is None for credentials that are not narrowed. `expires` is in seconds since the epoch; None is never.
    `presented` says whether the request came with credentials at all; an anonymous token is some.
    """

    principal: Principal
    via: str = "anonymous"
    stamp: str = ""
    cap: Cap | None = None
    expires: float | None = None
    presented: bool = True

    def covers(self, access: Access) -> bool:
        """Whether the credentials are meant for this access, too."""
        return self.cap is None or self.cap.covers(access)


ANONYMOUS = Identity(Principal(), presented=False)
"""Who shows nothing."""


def oci(repository: str, action: Action) -> Access:
    """An action on a repository of the registry."""
    return Access(f"oci:{repository}", action)


def mirrored(repository: str, private: bool, asked: str | None = None) -> Access:
    """Reading an upstream's repository, `<host>/<name>`, which the client calls `asked`."""
    return Access(f"mirror:{repository}", Action.PULL, private, asked)


def apt(repository: str, action: Action, suite: str | None = None) -> Access:
    """An action on an apt repository, or on a suite of it."""
    return Access(f"apt:{repository}", action, suite=suite)


def rpm(repository: str, action: Action) -> Access:
    """An action on an rpm repository."""
    return Access(f"rpm:{repository}", action)
