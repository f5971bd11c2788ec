"""The names of registries: one grammar, one canonical form.

Anybody may name an upstream in a request, so that grammar admits only what can be a registry on the
public Internet: a DNS name with a port. The configuration is the operator's own, and may also name
what stands in the private network. What neither grammar knows is an address in disguise: `0x7f.1`,
`2130706433` and `①②⑦.0.0.1` are addresses to a resolver, and no names to us.
"""

from __future__ import annotations

import re

from pkgd.errors import InvalidHost

__all__ = [
    "configured_authority",
    "is_literal",
    "parse_configured_host",
    "parse_host",
    "public_authority",
    "registrable_domain",
]

MAX_NAME = 253

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_AUTHORITY = re.compile(r"([^:]*)(?::([1-9][0-9]{0,4}))?")
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_TOP_LEVEL = re.compile(r"[a-z]+|xn--[a-z0-9-]+")

# Names of Docker Hub that are not its name.
_ALIASES = {
    "index.docker.io": "docker.io",
    "registry-1.docker.io": "docker.io",
    "registry.hub.docker.com": "docker.io",
}

# Top-level labels below which there is no public registry. Reserved: RFC 6761, RFC 6762, RFC 7686 (onion),
# RFC 8375 (home.arpa; no registry is anywhere in arpa), RFC 9476 (alt), and internal by ICANN's resolution of 2024.
# The rest is in private use everywhere and never to be delegated: RFC 6762 appendix G, and ICANN's of 2018.
_SPECIAL = frozenset(
    ["localhost", "local", "onion", "test", "invalid", "example", "arpa", "alt", "internal"]
    + ["intranet", "private", "corp", "home", "lan", "mail", "localdomain"]
)

# What stands between a country and those who register names in it.
_GENERIC = frozenset(
    ["ac", "asn", "co", "com", "edu", "gen", "go", "gob", "gouv", "gov", "govt", "gv", "id", "ltd", "me"]
    + ["mil", "ne", "net", "nhs", "nic", "nom", "or", "org", "plc", "police", "res", "sch", "school"]
)

# Domains whose subdomains belong to different people.
_SHARED = frozenset(
    ["aliyuncs.com", "appspot.com", "azurecr.io", "azurecr.cn", "azurecr.us", "azureedge.net", "azurefd.net"]
    + ["azurewebsites.net", "cloudapp.net", "cloudfront.net", "digitaloceanspaces.com", "fastly.net", "fly.dev"]
    + ["gcr.io", "github.dev", "github.io", "githubusercontent.com", "gitlab.io", "googleusercontent.com"]
    + ["herokuapp.com", "jfrog.io", "myqcloud.com", "netlify.app", "ngrok.app", "ngrok.io", "ocir.io"]
    + ["onrender.com", "ovh.net", "pages.dev", "pkg.dev", "r2.dev", "run.app", "scw.cloud", "tencentcr.com"]
    + ["vercel.app", "workers.dev"]
)

# Domains that are shared further down, each service in its own way: there, a name stands for itself alone.
_SHARED_DEEPLY = frozenset(
    ["amazonaws.com", "azure.com", "cloudflarestorage.com", "googleapis.com", "oraclecloud.com", "windows.net"]
)


def parse_host(text: str) -> str:
    """The canonical form of a registry's host that a client names: lower case, no trailing dot, no `:443`.

    :raises InvalidHost: if no public registry can have this name.
    """
    authority = public_authority(text)
    return _ALIASES.get(authority, authority)


def parse_configured_host(text: str) -> str:
    """The canonical form of a host that the configuration names; it may be private.

    :raises InvalidHost: if it is no name and no IPv4 address.
    """
    authority = configured_authority(text)
    return _ALIASES.get(authority, authority)


def public_authority(text: str) -> str:
    """As `parse_host`, but an alias stays what it is: for the host of a URL.

    :raises InvalidHost: if it cannot be a public name.
    """
    name, port = _split(text)
    labels = name.split(".")
    if len(labels) < 2:
        raise InvalidHost(text, "it has one part only")
    if not _TOP_LEVEL.fullmatch(labels[-1]):
        raise InvalidHost(text, "it does not end like a name")
    if labels[-1] in _SPECIAL:
        raise InvalidHost(text, "it is a name for special use")
    return name + port


def configured_authority(text: str) -> str:
    """As `parse_configured_host`, but an alias stays what it is: for what a URL is compared with.

    :raises InvalidHost: if it is no name and no IPv4 address.
    """
    name, port = _split(text)
    # What ends in a number is an address to a resolver, and only one notation is read alike by everybody.
    if _NUMBER.fullmatch(name.rpartition(".")[2]) and not is_literal(name):
        raise InvalidHost(text, "it is neither a name nor an IPv4 address")
    return name + port


def is_literal(name: str) -> bool:
    """Whether a host's name, without port, is an IPv4 address."""
    return _IPV4.fullmatch(name) is not None


def registrable_domain(host: str) -> str | None:
    """The part of a host's name that somebody registered, by rule of thumb; None for an address or a single label.

    Two hosts with the same one are taken to belong to the same people. When in doubt the answer is the longer name.
    """
    name = host.partition(":")[0]
    labels = name.split(".")
    if len(labels) < 2 or is_literal(name):
        return None
    parent = ".".join(labels[-2:])
    if parent in _SHARED_DEEPLY:
        return name
    shared = parent in _SHARED or (len(labels[-1]) == 2 and labels[-2] in _GENERIC)
    return ".".join(labels[-3:]) if shared else parent


def _split(text: str) -> tuple[str, str]:
    """The name and the port of an authority, in canonical form; the port with its colon, or empty.

    :raises InvalidHost: if it breaks the grammar of both.
    """
    # Lower-casing turns the Kelvin sign into a k, so what is not ASCII must go first.
    matched = _AUTHORITY.fullmatch(text.lower()) if text.isascii() else None
    if matched is None:
        raise InvalidHost(text, "a name and a port are expected")
    name = matched[1].removesuffix(".")
    port = int(matched[2] or 443)
    if port > 65535:
        raise InvalidHost(text, "the port is too large")
    if len(name) > MAX_NAME or not _NAME.fullmatch(name):
        raise InvalidHost(text, "it is no DNS name")
    return name, "" if port == 443 else f":{port}"
