"""The words of access control: who asks (`Principal`), and for what (`Access`)."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

__all__ = ["Access", "Action", "Principal", "apt", "mirrored", "oci", "rpm"]


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


@frozen
class Access:
    """An action on a resource.

    Resources are `oci:<repository>`, `mirror:<host>/<repository>`, `apt:<repository>`, `rpm:<repository>`, and
    `registry` for the registry's API as a whole.

    `private` says of an upstream's repository that its content was fetched with our credentials.
    """

    resource: str
    action: Action
    private: bool = False

    def __str__(self) -> str:
        return f"{self.action.value} {self.resource}"


@frozen
class Principal:
    """Who asks. The name is None for the anonymous."""

    name: str | None = None


def oci(repository: str, action: Action) -> Access:
    """An action on a repository of the registry."""
    return Access(f"oci:{repository}", action)


def mirrored(repository: str, private: bool) -> Access:
    """Reading an upstream's repository, `<host>/<name>`."""
    return Access(f"mirror:{repository}", Action.PULL, private)


def apt(repository: str, action: Action) -> Access:
    """An action on an apt repository."""
    return Access(f"apt:{repository}", action)


def rpm(repository: str, action: Action) -> Access:
    """An action on an rpm repository."""
    return Access(f"rpm:{repository}", action)
