"""`authorization`: its sections, and what types don't say of rules.

Rules come out in canonical form: hosts, networks and issuers are written in one way only.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from pkgd.config.kinds import Section
from pkgd.errors import ConfigError, InvalidHost
from pkgd.formats.hosts import parse_configured_host

__all__ = ["Admins", "Authorization", "Rule", "canonical_authorization", "canonical_resource", "check_tag_globs"]

RESOURCES = ("oci", "apt", "rpm", "mirror")
SUBJECTS = ("anonymous", "authenticated", "user", "group", "cidr", "issuer")
_PLAIN_SUBJECTS = frozenset(["anonymous", "authenticated"])

_DOCKER_HUB = "docker.io"
_TEMPLATE = re.compile(r"\$\{claims\.[A-Za-z0-9_.:/-]+\}")
# What remains of a glob once its templates are gone: the characters of names, ports and wildcards.
_GLOB = re.compile(r"[a-z0-9._:*?-]+(?:/[a-z0-9._:*?-]+)*")
_TAG_GLOB = re.compile(r"[A-Za-z0-9_.*?-]+")


class Admins(Section, frozen=True):
    """`authorization.admins`: who may do everything."""

    users: list[str] = []
    groups: list[str] = []


class Rule(Section, frozen=True):
    """`authorization.rules[]`: what its subjects may do with its resources."""

    resources: list[str]
    subjects: list[str]
    actions: list[Literal["pull", "push", "overwrite", "delete"]]


class Authorization(Section, frozen=True):
    """`authorization`: who may do what. `rules` is None where none are written, which is no empty list."""

    admins: Admins = Admins()
    rules: list[Rule] | None = None


def canonical_authorization(section: Authorization) -> Authorization:
    """The section with its rules in canonical form.

    :raises ConfigError: with the key's path, what is wrong and what may have been meant.
    """
    for key in ("users", "groups"):
        path = f"authorization.admins.{key}"
        for at, name in enumerate(getattr(section.admins, key)):
            _check_name(name, f"{path}[{at}]")
    if section.rules is None:
        return section
    if not section.rules:
        reason = "the list is empty; without this key, who is authenticated may pull, push and overwrite"
        raise ConfigError("authorization.rules", reason)
    rules = [_rule(rule, f"authorization.rules[{at}]") for at, rule in enumerate(section.rules)]
    return msgspec.structs.replace(section, rules=rules)


def _rule(rule: Rule, path: str) -> Rule:
    for key in ("resources", "subjects", "actions"):
        if not getattr(rule, key):
            raise ConfigError(f"{path}.{key}", "at least one is needed: a rule for nothing allows nothing")
    resources = [canonical_resource(one, f"{path}.resources[{at}]") for at, one in enumerate(rule.resources)]
    subjects = [_subject(one, f"{path}.subjects[{at}]") for at, one in enumerate(rule.subjects)]
    suite = next((one for one in resources if one.startswith("apt:") and "/" in _TEMPLATE.sub("x", one)), None)
    if suite is not None and "pull" in rule.actions:
        reason = (
            f"suites share their packages: pull is allowed for {suite.partition('/')[0]} as a whole, in another rule"
        )
        raise ConfigError(f"{path}.actions", reason)
    return msgspec.structs.replace(rule, resources=_once(resources), subjects=_once(subjects))


# -- resources --


def canonical_resource(text: str, path: str) -> str:
    """A glob over resources, its kind in front, in canonical form.

    :raises ConfigError: with `path`, if it is none.
    """
    kind, colon, glob = text.partition(":")
    if kind not in RESOURCES or not colon:
        raise ConfigError(path, f"{text!r} does not begin with {_kinds(RESOURCES)}", _like_resource(text, kind, glob))
    _check_templates(glob, path)
    if kind == "mirror":
        glob = _of_upstream(glob, path)
    plain = _TEMPLATE.sub("x", glob)
    if plain != plain.lower():
        raise ConfigError(path, "names of repositories are in lower case", f"{kind}:{_lower(glob)}")
    if not _GLOB.fullmatch(plain) or (":" in plain and kind != "mirror"):
        raise ConfigError(path, f"{glob!r} is no glob over names of repositories")
    parts = plain.split("/")
    for part in parts:
        if "**" in part and part != "**":
            # foo** would also mean foobar, of somebody else's.
            raise ConfigError(path, f"{glob!r}: ** stands for whole parts of a name, * within one")
    return f"{kind}:{_of_apt(glob, parts, path) if kind == 'apt' else glob}"


def _of_apt(glob: str, parts: Sequence[str], path: str) -> str:
    """A glob over apt repositories, or over their suites: `apt:NAME/SUITE`."""
    if len(parts) == 2 and parts[1] == "**":
        return glob.removesuffix("/**")
    if len(parts) > 2 or (len(parts) == 2 and "**" in parts):
        raise ConfigError(path, f"{glob!r}: NAME or NAME/SUITE is needed, for an apt repository or a suite of it")
    return glob


def _check_templates(glob: str, path: str) -> None:
    rest = _TEMPLATE.sub("", glob)
    if "$" in rest or "{" in rest or "}" in rest:
        wrong = re.search(r"\$\{?([^}]*)\}?", rest)
        claim = re.sub(r"[^A-Za-z0-9_.:/-]", "", wrong[1]).rpartition(".")[2] if wrong else ""
        raise ConfigError(path, f"{glob!r} has a template that is not known", f"${{claims.{claim or 'NAME'}}}")


def _of_upstream(glob: str, path: str) -> str:
    """A glob over `host/repository`, as `mirror.allow` has them."""
    host, slash, name = glob.partition("/")
    if "$" in host:
        raise ConfigError(path, "the host of a mirrored repository is written out, or a glob")
    if "**" not in host and not slash:
        raise ConfigError(path, "a glob over HOST/REPOSITORY is needed", f"mirror:{glob}/**")
    if not re.search(r"[*?]", host):
        try:
            host = parse_configured_host(host)
        except InvalidHost as error:
            reason = f": {error.reason}" if error.reason else ""
            raise ConfigError(path, f"{host!r} is not the host of a registry{reason}") from None
    if host == _DOCKER_HUB and "/" not in name and "**" not in name:
        # There, what has one part is called library/<name>.
        name = f"library/{name}"
    return f"{host}{slash}{name}"


def _like_resource(text: str, kind: str, glob: str) -> str:
    """What may have been meant by a resource that has no kind, or an unknown one."""
    near = difflib.get_close_matches(kind, RESOURCES, 1, 0.5)
    return f"{near[0]}:{glob}" if near and glob else f"oci:{text}" if ":" not in text else ""


def _lower(glob: str) -> str:
    """In lower case, but for templates."""
    return re.sub(r"(\$\{[^}]*\})|([A-Z])", lambda found: found[1] or found[2].lower(), glob)


# -- subjects --


def _subject(text: str, path: str) -> str:
    kind, colon, value = text.partition(":")
    if kind not in SUBJECTS:
        near = difflib.get_close_matches(kind, SUBJECTS, 1, 0.5)
        like = near[0] + (f":{value}" if colon else "") if near else "" if colon else f"user:{text}"
        raise ConfigError(path, f"{text!r} is none of {_kinds(SUBJECTS)}", like)
    if kind in _PLAIN_SUBJECTS:
        if colon:
            raise ConfigError(path, f"nothing stands behind {kind}", kind)
        return kind
    if not value:
        raise ConfigError(path, f"a name is missing: {kind}:…")
    if kind == "cidr":
        return f"cidr:{_network(value, path)}"
    if kind == "issuer" and not (urlsplit(value).scheme in ("https", "http") and urlsplit(value).netloc):
        raise ConfigError(path, f"{value!r} is not the URL of an issuer")
    _check_name(value, path)
    return text


def _network(value: str, path: str) -> str:
    try:
        network = ip_network(value, strict=False)
    except ValueError:
        raise ConfigError(path, f"{value!r} is not a network such as 10.0.0.0/8") from None
    try:
        ip_network(value)
    except ValueError:
        raise ConfigError(path, f"{value!r} has bits behind its length", f"cidr:{network}") from None
    return str(network)


def _check_name(name: str, path: str) -> None:
    """Refuse a name that nobody has: these are no globs."""
    if not name or not name.isprintable() or name != name.strip():
        raise ConfigError(path, f"{name!r} is no name that anybody could have")
    if "*" in name:
        raise ConfigError(path, f"{name!r} is a name, and no glob; authenticated means everybody with a name")


def _kinds(words: Sequence[str]) -> str:
    return ", ".join(one if one in _PLAIN_SUBJECTS else f"{one}:" for one in words)


def _once(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


# -- tags --


def check_tag_globs(globs: list[str], path: str) -> None:
    """Refuse what is no glob over `repository:tag`.

    :raises ConfigError: with the key's path.
    """
    for at, glob in enumerate(globs):
        where, colon, tag = glob.partition(":")
        if not colon:
            raise ConfigError(f"{path}[{at}]", "a glob over REPOSITORY:TAG is needed", f"**:{glob}")
        if not _GLOB.fullmatch(where) or not _TAG_GLOB.fullmatch(tag):
            raise ConfigError(f"{path}[{at}]", f"{glob!r} is no glob over REPOSITORY:TAG")
