"""The command `pkgd auth explain`: whether somebody may do something, and by which rule of the configuration."""

from __future__ import annotations

import os
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from attrs import frozen
from twisted.python import usage

from pkgd.auth.model import Access, Action, Principal
from pkgd.authorization import is_credentialed, make_policy
from pkgd.commands.common import Group
from pkgd.config import Config, canonical_resource, load
from pkgd.errors import ConfigError

__all__ = ["AuthOptions", "ExplainOptions", "Question", "explain", "run"]

_ACTIONS = ("pull", "push", "overwrite", "delete")


class ExplainOptions(usage.Options):
    """The command line."""

    synopsis = "[options] ACTION RESOURCE"
    longdesc = (
        "Prints whether the ACTION (pull, push, overwrite, delete) is allowed on the RESOURCE, such as oci:team/app,"
        " apt:main, apt:main/testing, rpm:internal/el9 or mirror:docker.io/library/alpine, and the rule that decides."
        " Nobody is asked which groups USER is in. Exits with 1 if it is denied."
    )
    optParameters = [
        ["config", "c", None, "The configuration file."],
        ["as", None, None, "The user; without it, somebody without credentials."],
        ["address", None, None, "Where the user's requests come from."],
        ["issuer", None, None, "Whose token says who the user is."],
    ]

    def __init__(self) -> None:
        base: Any = super()
        base.__init__()
        self["groups"], self["claims"] = list[str](), list[str]()

    def opt_group(self, name: str) -> None:
        """A group that the user is in; may be given several times."""
        self["groups"].append(name)

    def opt_claim(self, claim: str) -> None:
        """What a claim of the user's token says, as NAME=VALUE; may be given several times."""
        self["claims"].append(claim)

    def parseArgs(self, *given: str) -> None:
        """The action, and the resource."""
        if len(given) != 2:
            raise usage.UsageError("give ACTION and RESOURCE")
        action, resource = given
        if action not in _ACTIONS:
            raise usage.UsageError(f"{action!r} is none of {', '.join(_ACTIONS)}")
        self["action"], self["resource"] = action, resource

    def postOptions(self) -> None:
        """Read what has a form of its own."""
        user, address = self["as"], self["address"]
        if user is None and (self["groups"] or self["claims"] or self["issuer"]):
            raise usage.UsageError("groups, claims and an issuer belong to a user: give --as")
        try:
            if address is not None:
                ip_address(address)
            claims = _claims(self["claims"])
        except ValueError as error:
            raise usage.UsageError(str(error)) from error
        principal = Principal(user, frozenset(self["groups"]), self["issuer"], claims, address)
        self["question"] = Question(principal, Action(self["action"]), self["resource"])


@frozen
class Question:
    """May this principal do this with that?"""

    principal: Principal
    action: Action
    resource: str


class AuthOptions(Group):
    """The command line around it."""

    name = "auth"
    subCommands = [["explain", None, ExplainOptions, "Say whether somebody may do something, and by which rule."]]


def run(options: Any) -> int:
    """Answer what the command line asks; returns the exit status."""
    given = options.subOptions
    allowed, line = explain(load(given["config"], os.environ), given["question"])
    print(line)
    return 0 if allowed else 1


def explain(config: Config, question: Question) -> tuple[bool, str]:
    """Whether it may, and a line that says so.

    :raises ConfigError: if the resource is none.
    """
    resource = _resource(question.resource)
    kind, _, name = resource.partition(":")
    private = kind == "mirror" and is_credentialed(config)(name.partition("/")[0])
    suite = None
    if kind == "apt":
        name, _, suite = name.partition("/")
        resource = f"{kind}:{name}"
    access = Access(resource, question.action, private, suite=suite or None)
    decision = make_policy(config).decide(question.principal, access)
    who = question.principal.name or "anonymous"
    what = f"{who}: {access}{' (fetched with credentials)' if private else ''}"
    return decision.allowed, f"{'allowed' if decision.allowed else 'denied'}: {what}: {decision.rule}"


def _claims(given: Iterable[str]) -> dict[str, str | tuple[str, ...]]:
    """Claims by their names; one that is given several times is a list."""
    values: dict[str, tuple[str, ...]] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not name or not equals:
            raise ValueError(f"{one!r} is not NAME=VALUE")
        values[name] = (*values.get(name, ()), value)
    return {name: listed[0] if len(listed) == 1 else listed for name, listed in values.items()}


def _resource(text: str) -> str:
    """One repository, in the form in which requests are decided about."""
    resource = canonical_resource(text, "")
    if any(one in text for one in "*?$"):
        raise ConfigError("", f"{text!r} is a glob: name one repository")
    return resource
