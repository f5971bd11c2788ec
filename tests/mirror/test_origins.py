"""Where a request is answered from: one table, row by row what a client may send and whom that means."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidHost, InvalidName, InvalidRequest, UnknownName
from pkgd.formats.globs import Globs
from pkgd.formats.hosts import parse_host
from pkgd.formats.names import Origin, RepositoryName
from pkgd.mirror.origins import HOSTED, Choice, OriginRules, choose, origin_at
from tests.properties import ANY_TEXT, bounded

RULES = OriginRules(
    enabled=True,
    fallback=("docker.io", "registry.k8s.io", "ghcr.io"),
    reserved=Globs(["team/**", "acme", "kept.example.com/**"]),
    own_names=frozenset(["pkgd.corp.com", "pkgd.corp.com:8443", "localhost:8080", "pkgd"]),
    configured=frozenset(
        ["docker.io", "registry.k8s.io", "ghcr.io", "harbor.corp.internal", "10.1.2.3:5000", "10.1.2.4"]
        + ["localhost:5000", "cache", "gcr.io:8443"]
    ),
)
# Each row of the table says by which of these it is decided.
CONFIGURATIONS = {
    "": RULES,
    "off": evolve(RULES, enabled=False),
    "no header": evolve(RULES, trust_header=False),
    "no path": evolve(RULES, path_prefix=False),
    "one fallback": evolve(RULES, fallback=("quay.io",)),
    "other order": evolve(RULES, fallback=("ghcr.io", "docker.io")),
    "no fallback": evolve(RULES, fallback=()),
    "private fallback": evolve(RULES, fallback=("harbor.corp.internal", "docker.io")),
    "allow": evolve(RULES, allow=Globs(["docker.io/**", "quay.io/org/*"])),
    "deny": evolve(RULES, deny=Globs(["docker.io/evil/**", "ghcr.io/**", "docker.io/library/bad"])),
    "both": evolve(RULES, allow=Globs(["quay.io/**"]), deny=Globs(["quay.io/evil/*"])),
    "nothing": evolve(RULES, allow=Globs([])),
}

LONG = "a" * 250
# What names are made of.
PARTS = ["a", "b0", "c.d", "e__f", "team", "docker.io", "quay.io", "10.1.2.4", "10.0.0.1", "pkgd.corp.com", LONG[:60]]

# Configuration; repository of the path, `?` and what follows, ` @` and X-Registry-Host; what it means.
#
#   hosted                 the hosted repository of that name, and nothing else
#   only X                 the upstream's repository X, and nothing else
#   hosted, or X           a hosted repository of that very name if there is one, else the upstream's repository X
#   hosted, or first of …  the hosted repository if there is one, else the first upstream that has it
#   404, 400               refused; a client that is told 404 asks elsewhere
TABLE = [
    # `ns` names the upstream, whatever the name looks like and whatever else is said.
    ("", "org/app?ns=quay.io", "only quay.io/org/app"),
    ("", "a/b/c/d?ns=quay.io", "only quay.io/a/b/c/d"),
    ("", "app?ns=quay.io", "only quay.io/app"),
    ("", "org/app?ns=docker.io", "only docker.io/org/app"),
    ("", "org/app?ns=ghcr.io @quay.io", "only ghcr.io/org/app"),
    ("", "quay.io/org/app?ns=ghcr.io", "only ghcr.io/quay.io/org/app"),
    ("", "team/app?ns=docker.io", "only docker.io/team/app"),
    ("", "acme?ns=ghcr.io", "only ghcr.io/acme"),
    ("no header", "org/app?ns=quay.io", "only quay.io/org/app"),
    ("no path", "org/app?ns=quay.io", "only quay.io/org/app"),
    ("no fallback", "org/app?ns=quay.io", "only quay.io/org/app"),
    # Else X-Registry-Host does, if it is believed.
    ("", "org/app @quay.io", "only quay.io/org/app"),
    ("", "ghcr.io/org/app @quay.io", "only quay.io/ghcr.io/org/app"),
    ("", "team/app @quay.io", "only quay.io/team/app"),
    ("no header", "org/app @quay.io", "hosted, or first of docker.io/org/app registry.k8s.io/org/app ghcr.io/org/app"),
    ("no header", "ghcr.io/org/app @quay.io", "hosted, or ghcr.io/org/app"),
    (
        "no header",
        "org/app @127.0.0.1",
        "hosted, or first of docker.io/org/app registry.k8s.io/org/app ghcr.io/org/app",
    ),
    # Else a host at the beginning of the path; a hosted repository of exactly that name goes before it.
    ("", "quay.io/org/app", "hosted, or quay.io/org/app"),
    ("", "quay.io/app", "hosted, or quay.io/app"),
    ("", "a.registry.com/a/b/c", "hosted, or a.registry.com/a/b/c"),
    ("", "quay.io", "hosted, or first of docker.io/library/quay.io registry.k8s.io/quay.io ghcr.io/quay.io"),
    ("", "harbor.corp.internal/x", "hosted, or harbor.corp.internal/x"),
    ("", "10.1.2.4/x/y", "hosted, or 10.1.2.4/x/y"),
    # A first part without a dot is none, however well it is known.
    ("", "cache/x", "hosted, or first of docker.io/cache/x registry.k8s.io/cache/x ghcr.io/cache/x"),
    ("", "localhost/x", "hosted, or first of docker.io/localhost/x registry.k8s.io/localhost/x ghcr.io/localhost/x"),
    # Nor is one that no host can be called.
    ("one fallback", "v1.2/x", "hosted, or first of quay.io/v1.2/x"),
    ("one fallback", "a.b_c/x", "hosted, or first of quay.io/a.b_c/x"),
    ("one fallback", "0x7f.1/x", "hosted, or first of quay.io/0x7f.1/x"),
    # A host that may not be mirrored is a host all the same: no other upstream is told its name.
    ("", "127.0.0.1/x", "hosted"),
    ("", "other.corp.internal/x", "hosted"),
    ("", "printer.local/x", "hosted"),
    ("allow", "ghcr.io/org/app", "hosted"),
    ("deny", "ghcr.io/org/app", "hosted"),
    ("no path", "one.two/x", "hosted, or first of docker.io/one.two/x registry.k8s.io/one.two/x ghcr.io/one.two/x"),
    # Docker Hub has several names and is one registry; its one-part names are below `library`.
    ("", "alpine?ns=docker.io", "only docker.io/library/alpine"),
    ("", "library/alpine?ns=docker.io", "only docker.io/library/alpine"),
    ("", "alpine?ns=index.docker.io", "only docker.io/library/alpine"),
    ("", "alpine?ns=registry-1.docker.io", "only docker.io/library/alpine"),
    ("", "org/app?ns=registry.hub.docker.com", "only docker.io/org/app"),
    ("", "alpine @index.docker.io", "only docker.io/library/alpine"),
    ("", "docker.io/alpine", "hosted, or docker.io/library/alpine"),
    ("", "index.docker.io/library/alpine", "hosted, or docker.io/library/alpine"),
    ("", "registry-1.docker.io/org/app", "hosted, or docker.io/org/app"),
    ("", "alpine?ns=ghcr.io", "only ghcr.io/alpine"),
    ("", "auth.docker.io/alpine", "hosted, or auth.docker.io/alpine"),
    ("", f"{LONG}?ns=docker.io", "404"),
    ("", f"{LONG}?ns=quay.io", f"only quay.io/{LONG}"),
    # One host has many spellings, and one canonical form; another port is another registry.
    ("", "org/app?ns=QUAY.io", "only quay.io/org/app"),
    ("", "org/app?ns=quay.io.", "only quay.io/org/app"),
    ("", "org/app?ns=quay.io:443", "only quay.io/org/app"),
    ("", "org/app?ns=Index.Docker.IO.:443", "only docker.io/org/app"),
    ("", "org/app?ns=quay.io:5000", "only quay.io:5000/org/app"),
    ("", "org/app?ns=quay.io:80", "only quay.io:80/org/app"),
    ("", "alpine?ns=docker.io:5000", "only docker.io:5000/alpine"),
    ("", "org/app?ns=xn--mnchen-3ya.de", "only xn--mnchen-3ya.de/org/app"),
    ("", "org/app @Quay.Io", "only quay.io/org/app"),
    # What is no public registry's name can be no upstream, and looks as if it did not exist.
    ("", "org/app?ns=", "404"),
    ("", "org/app @", "404"),
    ("", "org/app?ns=localhost", "404"),
    ("", "org/app?ns=registry", "404"),
    ("", "org/app?ns=127.0.0.1", "404"),
    ("", "org/app?ns=127.0.0.1:5000", "404"),
    ("", "org/app?ns=93.184.215.14", "404"),
    ("", "org/app?ns=2130706433", "404"),
    ("", "org/app?ns=0x7f.1", "404"),
    ("", "org/app?ns=0177.0.0.1", "404"),
    ("", "org/app?ns=[::1]", "404"),
    ("", "org/app?ns=::1", "404"),
    ("", "org/app?ns=①②⑦.0.0.1", "404"),
    ("", "org/app?ns=metadata.google.internal", "404"),
    ("", "org/app?ns=printer.local", "404"),
    ("", "org/app?ns=a.localhost", "404"),
    ("", "org/app?ns=router.home.arpa", "404"),
    ("", "org/app?ns=x.onion", "404"),
    ("", "org/app?ns=x.test", "404"),
    ("", "org/app?ns=quay.io/org", "404"),
    ("", "org/app?ns=https://quay.io", "404"),
    ("", "org/app?ns=user@quay.io", "404"),
    ("", "org/app?ns=quay.io#x", "404"),
    ("", "org/app?ns=quay.io\\@evil.com", "404"),
    ("", "org/app?ns=quay.io%2f", "404"),
    ("", "org/app?ns= quay.io", "404"),
    ("", "org/app?ns=quay.io\n", "404"),
    ("", "org/app?ns=quay.io:0", "404"),
    ("", "org/app?ns=quay.io:65536", "404"),
    ("", "org/app?ns=quay..io", "404"),
    ("", "org/app?ns=-quay.io", "404"),
    ("", "org/app?ns=quay_io.com", "404"),
    ("", "org/app?ns=münchen.de", "404"),
    ("", "org/app?ns=ﬀ.com", "404"),
    ("", f"org/app?ns={'a' * 64}.com", "404"),
    ("", f"org/app?ns={'a.' * 126}com", "404"),
    ("", "org/app @127.0.0.1:5000", "404"),
    ("", "org/app @quay.io, ghcr.io", "404"),
    # What the operator has written down may be private, at that port only.
    ("", "org/app?ns=harbor.corp.internal", "only harbor.corp.internal/org/app"),
    ("", "org/app?ns=10.1.2.3:5000", "only 10.1.2.3:5000/org/app"),
    ("", "org/app?ns=10.1.2.3", "404"),
    ("", "org/app?ns=10.1.2.4", "only 10.1.2.4/org/app"),
    ("", "org/app?ns=10.1.2.4:5000", "404"),
    ("", "org/app?ns=LOCALHOST:5000", "only localhost:5000/org/app"),
    ("", "org/app?ns=localhost:5001", "404"),
    ("", "org/app?ns=cache", "only cache/org/app"),
    ("", "org/app @harbor.corp.internal.", "only harbor.corp.internal/org/app"),
    # Two readers could choose differently.
    ("", "org/app?ns=quay.io&ns=ghcr.io", "400"),
    ("", "org/app?ns=quay.io&ns=quay.io", "400"),
    ("", "org/app?ns=quay.io&ns=", "400"),
    ("", "org/app?ns=pkgd.corp.com&ns=pkgd.corp.com", "400"),
    ("off", "org/app?ns=quay.io&ns=ghcr.io", "400"),
    # Our own names mean what is hosted here, or the upstream that the path begins with; never the fallback list.
    ("", "org/app?ns=pkgd.corp.com", "hosted"),
    ("", "org/app?ns=PKGD.corp.com:443", "hosted"),
    ("", "org/app?ns=pkgd.corp.com:8443", "hosted"),
    ("", "org/app?ns=pkgd.corp.com:8444", "only pkgd.corp.com:8444/org/app"),
    ("", "org/app?ns=localhost:8080", "hosted"),
    ("", "org/app?ns=pkgd", "hosted"),
    ("", "org/app @pkgd.corp.com", "hosted"),
    ("", "org/app?ns=pkgd.corp.com @quay.io", "hosted"),
    ("", "alpine?ns=pkgd.corp.com", "hosted"),
    ("", "quay.io/org/app?ns=pkgd.corp.com", "hosted, or quay.io/org/app"),
    ("", "docker.io/alpine @pkgd.corp.com", "hosted, or docker.io/library/alpine"),
    ("", "pkgd.corp.com/org/app", "hosted"),
    ("", "pkgd.corp.com/org/app?ns=pkgd.corp.com", "hosted"),
    ("allow", "org/app?ns=pkgd.corp.com", "hosted"),
    ("off", "org/app?ns=pkgd.corp.com", "hosted"),
    # What names no upstream is hosted, or what the fallback list makes of it, in the list's order.
    ("", "org/app", "hosted, or first of docker.io/org/app registry.k8s.io/org/app ghcr.io/org/app"),
    ("", "alpine", "hosted, or first of docker.io/library/alpine registry.k8s.io/alpine ghcr.io/alpine"),
    ("one fallback", "alpine", "hosted, or first of quay.io/alpine"),
    ("other order", "alpine", "hosted, or first of ghcr.io/alpine docker.io/library/alpine"),
    ("private fallback", "a/b", "hosted, or first of harbor.corp.internal/a/b docker.io/a/b"),
    ("no fallback", "org/app", "hosted"),
    ("", LONG, f"hosted, or first of registry.k8s.io/{LONG} ghcr.io/{LONG}"),
    # Reserved names are hosted names, whoever has them elsewhere.
    ("", "team/app", "hosted"),
    ("", "team/a/b", "hosted"),
    ("", "acme", "hosted"),
    ("", "kept.example.com/x", "hosted"),
    ("", "teams/app", "hosted, or first of docker.io/teams/app registry.k8s.io/teams/app ghcr.io/teams/app"),
    ("", "acme/x", "hosted, or first of docker.io/acme/x registry.k8s.io/acme/x ghcr.io/acme/x"),
    ("", "docker.io/team/app", "hosted, or docker.io/team/app"),
    # `allow` narrows, `deny` takes away; both know upstream repositories by their canonical names.
    ("allow", "org/app?ns=quay.io", "only quay.io/org/app"),
    ("allow", "org/a/b?ns=quay.io", "404"),
    ("allow", "other/app?ns=quay.io", "404"),
    ("allow", "org/app?ns=ghcr.io", "404"),
    ("allow", "org/app?ns=quay.io:5000", "404"),
    ("allow", "org/app?ns=index.docker.io", "only docker.io/org/app"),
    ("allow", "org/app @ghcr.io", "404"),
    ("allow", "org/app", "hosted, or first of docker.io/org/app"),
    ("deny", "evil/app?ns=docker.io", "404"),
    ("deny", "evil/app?ns=registry-1.docker.io", "404"),
    ("deny", "docker.io/evil/app", "hosted"),
    ("deny", "bad?ns=docker.io", "404"),
    ("deny", "evil/app", "hosted, or first of registry.k8s.io/evil/app"),
    ("deny", "good/app", "hosted, or first of docker.io/good/app registry.k8s.io/good/app"),
    ("both", "org/app?ns=quay.io", "only quay.io/org/app"),
    ("both", "evil/app?ns=quay.io", "404"),
    ("both", "org/app", "hosted"),
    ("nothing", "org/app?ns=harbor.corp.internal", "404"),
    ("nothing", "org/app", "hosted"),
    # Switched off, what is named is answered from what is cached of it, and what names nothing is hosted.
    ("off", "org/app?ns=quay.io", "only quay.io/org/app"),
    ("off", "org/app @quay.io", "only quay.io/org/app"),
    ("off", "quay.io/org/app", "hosted, or quay.io/org/app"),
    ("off", "org/app?ns=127.0.0.1", "404"),
    ("off", "org/app", "hosted"),
    ("off", "alpine", "hosted"),
]


def decided(configuration: str, request: str) -> str:
    """What a row's request means, in the words of the table."""
    target, at, header = request.partition(" @")
    name, _, query = target.partition("?")
    namespaces = [one.removeprefix("ns=") for one in query.split("&")] if query else []
    try:
        choice = choose(RepositoryName.parse(name), namespaces, header if at else None, CONFIGURATIONS[configuration])
    except InvalidRequest:
        return "400"
    except UnknownName:
        return "404"
    return told(choice)


def told(choice: Choice) -> str:
    """A choice in the words of the table."""
    origins = " ".join(map(str, choice.origins))
    if not choice.hosted:
        return f"only {origins}"
    if not choice.origins:
        return "hosted"
    return f"hosted, or {'' if choice.names_upstream else 'first of '}{origins}"


def wrong() -> Iterator[str]:
    """The rows that are not so."""
    for configuration, request, meaning in TABLE:
        found = decided(configuration, request)
        if found != meaning:
            yield f"{configuration or 'default'}: {request} means {found}, not {meaning}"


class ChooseTests(SynchronousTestCase):
    """`choose`: one request, one meaning."""

    def test_table(self) -> None:
        """Every row of the table holds."""
        self.assertEqual(list(wrong()), [])

    def test_rows(self) -> None:
        """No row stands in the table twice, with the same meaning or another."""
        self.assertEqual(len({row[:2] for row in TABLE}), len(TABLE))

    def test_one_upstream_named(self) -> None:
        """What names its upstream has exactly one candidate, and says so; the fallback list never does."""
        choices = [
            choose(RepositoryName("a/b"), ["quay.io"], None, RULES),
            choose(RepositoryName("quay.io/a"), [], None, RULES),
        ]
        self.assertEqual([(len(one.origins), one.names_upstream) for one in choices], [(1, True)] * 2)

        self.assertFalse(choose(RepositoryName("a/b"), [], None, RULES).names_upstream)
        self.assertFalse(HOSTED.names_upstream)

    def test_refusals_look_alike(self) -> None:
        """What is refused says the repository and not why, so that nobody can feel their way through a network."""
        reasons = {
            self.assertRaises(UnknownName, choose, RepositoryName("a/b"), [host], None, CONFIGURATIONS["allow"]).message
            for host in ["ghcr.io", "127.0.0.1", "10.1.2.3:5000", "no host", "metadata.google.internal"]
        }

        self.assertEqual(reasons, {"repository not known to the registry: a/b"})

    @bounded
    @given(ANY_TEXT | st.text("AZaz09.:-", max_size=30))
    def test_any_host(self, host: str) -> None:
        """Whatever is named is either a registry in canonical form, as the grammar has it, or unknown."""
        try:
            choice = choose(RepositoryName("a/b"), [host], None, OriginRules(enabled=True))
        except UnknownName:
            self.assertRaises(InvalidHost, parse_host, host)
        else:
            self.assertEqual(choice.origins, (Origin(parse_host(host), RepositoryName("a/b")),))

    @bounded
    @given(
        st.lists(st.sampled_from(PARTS), min_size=1, max_size=4).map("/".join), st.sampled_from(sorted(CONFIGURATIONS))
    )
    def test_any_name(self, name: str, configuration: str) -> None:
        """A request that names nothing never hides a hosted repository, and never fails."""
        choice = choose(RepositoryName.parse(name), [], None, CONFIGURATIONS[configuration])

        self.assertTrue(choice.hosted)


class OriginAtTests(SynchronousTestCase):
    """`origin_at`: what a registry means by a name."""

    def test_docker_hub(self) -> None:
        """Docker Hub's one-part names are below `library`, nobody else's are."""
        self.assertEqual(str(origin_at("docker.io", "alpine")), "docker.io/library/alpine")
        self.assertEqual(str(origin_at("docker.io", "library/alpine")), "docker.io/library/alpine")
        self.assertEqual(str(origin_at("docker.io:5000", "alpine")), "docker.io:5000/alpine")
        self.assertEqual(str(origin_at("quay.io", "alpine")), "quay.io/alpine")

    def test_no_name(self) -> None:
        """What is no repository's name, or would be too long a one, is refused."""
        for name in ["", "A", "a//b", "../a", LONG]:
            self.assertRaises(InvalidName, origin_at, "docker.io", name)
