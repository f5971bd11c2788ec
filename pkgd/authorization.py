"""The policy that a configuration describes: its part of the composition, which `pkgd auth explain` asks, too."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

from pkgd.auth.model import Action
from pkgd.auth.policy import AllowAll, Policy
from pkgd.auth.resources import ResourceGlob
from pkgd.auth.rules import Admins, Rule, RulePolicy
from pkgd.config import Config
from pkgd.errors import InvalidName
from pkgd.formats.hosts import configured_authority
from pkgd.mirror.origins import DOCKER_HUB, origin_at

__all__ = ["is_credentialed", "make_policy", "named_claims", "named_groups", "upstream_host", "upstreams_meant"]


def make_policy(config: Config) -> Policy:
    """Who may do what. Without rules that is everybody everything, if nobody logs in."""
    section = config.authorization
    if section.rules is None and config.auth_mode == "none":
        return AllowAll()
    admins = Admins(frozenset(section.admins.users), frozenset(section.admins.groups))
    if section.rules is None:
        return RulePolicy(None, admins)
    rules = [
        Rule(
            f"authorization.rules[{at}]",
            tuple(one.resources),
            tuple(one.subjects),
            frozenset(Action(action) for action in one.actions),
        )
        for at, one in enumerate(section.rules)
    ]
    return RulePolicy(rules, admins)


def named_groups(config: Config) -> frozenset[str]:
    """The groups that the policy asks about: no others need to be in tokens."""
    subjects = [one for rule in config.authorization.rules or () for one in rule.subjects]
    named = [one.removeprefix("group:") for one in subjects if one.startswith("group:")]
    return frozenset([*named, *config.authorization.admins.groups])


def named_claims(config: Config) -> frozenset[str]:
    """The claims that it asks about."""
    resources = [one for rule in config.authorization.rules or () for one in rule.resources]
    return frozenset(name for one in resources for name in ResourceGlob(one).claims)


def upstreams_meant(config: Config) -> Callable[[str], list[str]]:
    """The upstreams' repositories, `<host>/<name>`, that a name may mean: of each host that rules tell from others."""
    resources = [one for rule in config.authorization.rules or () for one in rule.resources]
    globs = [one.partition(":")[2].partition("/")[0] for one in resources if one.startswith("mirror:")]
    hosts = dict.fromkeys(
        [DOCKER_HUB, *config.mirror.fallback, *config.mirror.registries, *map(_host_like, globs), _host_like("**")]
    )

    def meant(name: str) -> list[str]:
        first, _, rest = name.partition("/")
        named = [(first, rest)] if config.mirror.path_prefix and "." in first else []
        found = []
        for host, repository in [*named, *((host, name) for host in hosts)]:
            with suppress(InvalidName):
                found.append(str(origin_at(host, repository)))
        return found

    return meant


def _host_like(glob: str) -> str:
    """A host that a glob matches, and nothing else is likely to: one of its own name, if that is all it matches."""
    return glob.replace("**", "upstream.invalid").replace("*", "x").replace("?", "x")


def is_credentialed(config: Config) -> Callable[[str], bool]:
    """Whether a host's content may be fetched with credentials: its own, or those of a mirror that is asked first."""
    mirror = config.mirror
    hosts = frozenset(host for host, section in mirror.registries.items() if section.username is not None)
    everywhere = any(upstream_host(url) in hosts for url in mirror.upstream_mirror)
    return lambda host: everywhere or host in hosts


def upstream_host(url: str) -> str:
    """What a mirror that is asked first is called: its section in the configuration, if it has one."""
    return configured_authority(urlsplit(url).netloc)
