"""The keys of the mirror: what each accepts, what it becomes, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given

from pkgd.config import Config
from pkgd.errors import ConfigError
from tests.config.cases import ConfigCase
from tests.properties import ANY_TEXT, bounded

CANARY = "hunter2-canary"


class MirrorCase(ConfigCase):
    """Reads the `mirror` section alone."""

    def mirror(self, text: str, environment: Mapping[str, str] | None = None) -> Config:
        """The configuration with this `mirror` section, which is on."""
        return self.read(f"enableProxy: true\nmirror: {text}", environment)

    def assert_refused_mirror(self, text: str, path: str) -> ConfigError:
        """A `mirror` section is refused because of a key below it."""
        return self.assert_refused(f"mirror: {text}", f"mirror.{path}")


class SwitchTests(MirrorCase):
    """`enableProxy`, at the top as in the original, or in `mirror`."""

    def test_either(self) -> None:
        """Each of the two places turns the mirror on, and both show it."""
        for text in (
            "enableProxy: true",
            "mirror: {enableProxy: true}",
            "enableProxy: true\nmirror: {path_prefix: false}",
        ):
            config = self.read(text)
            self.assertEqual((config.mirror_enabled, config.enable_proxy, config.mirror.enable_proxy), (True,) * 3)

    def test_off(self) -> None:
        """Without it, or with `false`, the mirror is off."""
        for text in ("", "enableProxy: false", "mirror: {enableProxy: false}", "mirror: {}"):
            self.assertFalse(self.read(text).mirror_enabled)

    def test_both(self) -> None:
        """Given twice it must be the same; the refusal names both."""
        for value in ("true", "false"):
            config = self.read(f"enableProxy: {value}\nmirror: {{enableProxy: {value}}}")
            self.assertEqual(config.mirror_enabled, value == "true")
        for top, below in (("true", "false"), ("false", "true")):
            error = self.assert_refused(f"enableProxy: {top}\nmirror: {{enableProxy: {below}}}", "enableProxy")
            self.assertIn("mirror.enableProxy", error.message)

    def test_not_a_truth_value(self) -> None:
        """Anything but true and false is refused where it stands."""
        for value in ("1", "'true'", "null", "[]"):
            self.assert_refused(f"mirror: {{}}\nenableProxy: {value}", "enableProxy")
            self.assert_refused(f"enableProxy: true\nmirror: {{enableProxy: {value}}}", "mirror.enableProxy")

    def test_no_section(self) -> None:
        """What is no section is refused beside it, too; an empty one is filled."""
        for value in ("5", "[]", "x"):
            self.assert_refused(f"enableProxy: true\nmirror: {value}", "mirror")
        self.assertTrue(self.read("enableProxy: true\nmirror:\n").mirror.enable_proxy)

    def test_spelling(self) -> None:
        """Another spelling is an unknown key, at either place."""
        self.assertEqual(self.assert_refused("enable_proxy: true", "enable_proxy").suggestion, "enableProxy")
        self.assertEqual(self.assert_refused_mirror("{enableproxy: true}", "enableproxy").suggestion, "enableProxy")

    def test_environment(self) -> None:
        """A variable for either wins over the file, whichever the file has."""
        for variable in ("PKGD_ENABLEPROXY", "PKGD_MIRROR__ENABLEPROXY"):
            for text in ("", "enableProxy: false", "mirror: {enableProxy: false}", "mirror:\n"):
                self.assertTrue(self.read(text, {variable: "true"}).mirror_enabled, (variable, text))
            self.assertFalse(self.read("enableProxy: true", {variable: "false"}).mirror_enabled)

    def test_environment_differs(self) -> None:
        """Two variables that differ are refused as in the file."""
        self.assert_refused("", "enableProxy", {"PKGD_ENABLEPROXY": "true", "PKGD_MIRROR__ENABLEPROXY": "false"})


class UpstreamMirrorTests(MirrorCase):
    """`upstream_mirror`, and the original's variable for it."""

    def test_urls(self) -> None:
        """URLs, or bare hosts, which mean https; each once, without a slash at the end."""
        config = self.mirror(
            "{upstream_mirror: [http://site:5000/, cache.example.org, 'HTTPS://Cache.example.org:443//']}"
        )

        self.assertEqual(config.mirror.upstream_mirror, ["http://site:5000", "https://cache.example.org"])

    def test_ports_and_paths(self) -> None:
        """A port stays unless it is the usual one; a path stays as it is."""
        texts = {
            "site:5000": "https://site:5000",
            "http://site:80/a/B": "http://site/a/B",
            "http://site:443": "http://site:443",
            "https://192.0.2.7:8443/": "https://192.0.2.7:8443",
        }
        for text, url in texts.items():
            self.assertEqual(self.mirror(f"{{upstream_mirror: ['{text}']}}").mirror.upstream_mirror, [url])

    def test_refused(self) -> None:
        """What is no URL of a server is refused with its place in the list."""
        bad = [
            "",
            "ftp://site",
            "http://",
            "https:///x",
            "site:0",
            "site:99999",
            "site:x",
            "a b",
            "sité",
            "http://[::1",
            "-a",
        ]
        bad += [
            "http://site/../x",
            "http://site/./x",
            "http://site//x",
            "http://site/%2e",
            "http://[fd00]",
            "http://[fd00::1]:5000",
            "http://[v1.a]",
        ]
        bad += [" site", "site ", "si\\\\te", "http://site/\\n", "http://si\\tte", "http://site?x", "http://site/#x"]
        bad += ["0x7f.1", "2130706433", "http://127.1:5000", "http://0177.0.0.1"]
        for text in bad:
            self.assert_refused_mirror(f'{{upstream_mirror: [site, "{text}"]}}', "upstream_mirror[1]")

    def test_variable(self) -> None:
        """REGISTRY_UPSTREAM_MIRROR, a list with commas, wins over the file."""
        text = "{upstream_mirror: [https://file]}"
        values = {
            "https://a": ["https://a"],
            " a:5000 , http://b/x ,": ["https://a:5000", "http://b/x"],
            " , ": ["https://file"],
        }
        for value, expected in values.items():
            config = self.mirror(text, {"REGISTRY_UPSTREAM_MIRROR": value})
            self.assertEqual(config.mirror.upstream_mirror, expected)

    def test_variable_refused(self) -> None:
        """What is wrong in the variable is said with its name."""
        environment = {"REGISTRY_UPSTREAM_MIRROR": "https://a, ftp://b"}
        self.assert_refused("enableProxy: true", "REGISTRY_UPSTREAM_MIRROR[1]", environment)

    def test_variable_without_proxy(self) -> None:
        """Without `enableProxy` the variable changes nothing, whatever is in it."""
        for value in ("https://a", "ftp://b"):
            self.assertEqual(self.read("", {"REGISTRY_UPSTREAM_MIRROR": value}), self.read())

    def test_upstream_only(self) -> None:
        """`upstream_only` needs something upstream, in the file or in the variable."""
        self.assert_refused_mirror("{upstream_only: true}", "upstream_only")
        self.assert_refused(
            "mirror: {upstream_only: true}", "mirror.upstream_only", {"REGISTRY_UPSTREAM_MIRROR": " , "}
        )
        self.assertTrue(self.mirror("{upstream_only: true, upstream_mirror: [a]}").mirror.upstream_only)
        variable = {"REGISTRY_UPSTREAM_MIRROR": "https://a"}
        self.assertTrue(self.mirror("{upstream_only: true}", variable).mirror.upstream_only)
        self.assertTrue(self.read("mirror: {upstream_only: true}", variable).mirror.upstream_only)


class HostTests(MirrorCase):
    """Lists of hosts."""

    def test_fallback(self) -> None:
        """Hosts in their order and in canonical form, each once; the list may be empty."""
        config = self.mirror("{fallback: [GHCR.io, index.docker.io, docker.io]}")

        self.assertEqual(config.mirror.fallback, ["ghcr.io", "docker.io"])
        self.assertEqual(self.mirror("{fallback: []}").mirror.fallback, [])

    def test_fallback_refused(self) -> None:
        """What is no host is refused with its place in the list."""
        for text in ("https://ghcr.io", "ghcr.io/", "''", "gh cr.io", "user@ghcr.io", "'*'"):
            self.assert_refused_mirror(f"{{fallback: [docker.io, {text}]}}", "fallback[1]")

    def test_itself(self) -> None:
        """This registry is none of its own upstreams, whatever it is called."""
        cases = {
            "upstream_mirror: ['https://pkg.example.com/x']": "upstream_mirror",
            "fallback: [docker.io, alias.example.com]": "fallback",
            "registries: {pkg.example.com: {}}": "registries",
        }
        own = "server: {external_url: 'https://pkg.example.com', own_names: [alias.example.com]}"
        for text, path in cases.items():
            self.assert_refused(f"{own}\nmirror: {{{text}}}", f"mirror.{path}")
            self.assertIsInstance(self.mirror(f"{{{text}}}"), Config)


class GlobTests(MirrorCase):
    """`allow` and `deny`, over host and repository; `reserved`, over hosted repositories."""

    def test_canonical(self) -> None:
        """A host without wildcards is brought into the form that it is matched in; Docker Hub's short names too."""
        globs = {
            "**": "**",
            "ghcr.io/**": "ghcr.io/**",
            "'*.example.com/team/*'": "*.example.com/team/*",
            "GHCR.io/team/*": "ghcr.io/team/*",
            "index.docker.io/**": "docker.io/**",
            "docker.io/alpine": "docker.io/library/alpine",
            "docker.io/*": "docker.io/library/*",
            "docker.io/bitnami/*": "docker.io/bitnami/*",
        }
        for text, expected in globs.items():
            text = f"'{text}'" if text.startswith("*") else text
            config = self.mirror(f"{{allow: [{text}], deny: [{text}, {text}]}}")
            self.assertEqual((config.mirror.allow, config.mirror.deny), ([expected], [expected]))

    def test_refused(self) -> None:
        """A glob that can match nothing is refused, for as a rule it would be one that isn't kept."""
        for key in ("allow", "deny"):
            for text in ("ghcr.io", "'*'", "''", "'/**'", "https://ghcr.io/**", "gh cr.io/**"):
                self.assert_refused_mirror(f"{{{key}: ['**', {text}]}}", f"{key}[1]")

    def test_reserved(self) -> None:
        """Globs over names are taken as they are."""
        self.assertEqual(self.mirror("{reserved: [team/**, 'x*']}").mirror.reserved, ["team/**", "x*"])


class TimeTests(MirrorCase):
    """How long things stay, and how much."""

    def test_durations(self) -> None:
        """`tag_ttl`, `negative_ttl` and `evict.unused_for` are durations, `evict.max_size` is a size."""
        mirror = self.mirror("{tag_ttl: 1h, negative_ttl: 0, evict: {max_size: 1TiB, unused_for: 7d}}").mirror

        self.assertEqual((mirror.tag_ttl, mirror.negative_ttl), (3600.0, 0.0))
        self.assertEqual((mirror.evict.max_size, mirror.evict.unused_for), (1 << 40, 604800.0))

    def test_no_limit(self) -> None:
        """0 is no limit, for either kind of eviction."""
        evict = self.mirror("{evict: {max_size: 0, unused_for: 0}}").mirror.evict

        self.assertEqual((evict.max_size, evict.unused_for), (0, 0.0))

    def test_stale(self) -> None:
        """`serve_stale` is a duration, or `forever`, which is infinite."""
        for text, seconds in {"forever": float("inf"), "12h": 43200.0, "0": 0.0, "90": 90.0}.items():
            self.assertEqual(self.mirror(f"{{serve_stale: {text}}}").mirror.serve_stale, seconds)

    def test_not_stale(self) -> None:
        """Other words, signs and absurd durations are refused; `forever` is for no other key."""
        for text in (
            "never",
            "Forever",
            "''",
            "-1",
            "-5s",
            ".nan",
            "-.inf",
            "99999999999d",
            "1e300",
            "true",
            "null",
            "[]",
        ):
            self.assert_refused_mirror(f"{{serve_stale: {text}}}", "serve_stale")
        for key in ("tag_ttl", "negative_ttl"):
            self.assert_refused_mirror(f"{{{key}: forever}}", key)
        self.assert_refused_mirror("{evict: {unused_for: forever}}", "evict.unused_for")

    def test_switches(self) -> None:
        """`trust_registry_host_header` and `path_prefix` can be turned off."""
        mirror = self.mirror("{trust_registry_host_header: false, path_prefix: false}").mirror

        self.assertEqual((mirror.trust_registry_host_header, mirror.path_prefix), (False, False))


class RegistryTests(MirrorCase):
    """`registries`: a section for each host."""

    def test_section(self) -> None:
        """Every key of a section; paths are relative to the file."""
        section = (
            "url: 'https://Artifacts.example.com:443/docker/', username: bob, password_file: secrets/bob, "
            "ca_file: /ca.pem, max_concurrent: 3, private_hosts: [Blobs.example.com, '10.0.0.7:9000']"
        )
        found = self.mirror(f"{{registries: {{registry.example.com: {{{section}}}}}}}").mirror.registries

        one = found["registry.example.com"]
        self.assertEqual((one.url, one.username, one.password), ("https://artifacts.example.com/docker", "bob", None))
        self.assertEqual((one.password_file, one.ca_file), ("/etc/pkgd/secrets/bob", "/ca.pem"))
        self.assertEqual((one.max_concurrent, one.private_hosts), (3, ["blobs.example.com", "10.0.0.7:9000"]))

    def test_usual_url(self) -> None:
        """Without a URL it is https at the host, and Docker Hub's own server for docker.io; sections or not."""
        mirror = self.mirror("{registries: {docker.io: {}, 'reg.example.com:5000': {max_concurrent: 2}}}").mirror

        self.assertEqual(mirror.registries["docker.io"].url, "https://registry-1.docker.io")
        self.assertEqual(mirror.registries["reg.example.com:5000"].url, "https://reg.example.com:5000")
        for host, url in {"quay.io": "https://quay.io", "docker.io": "https://registry-1.docker.io"}.items():
            self.assertEqual(self.mirror("{}").mirror.registry(host).url, url)
        self.assertEqual(mirror.registry("reg.example.com:5000").max_concurrent, 2)

    def test_local(self) -> None:
        """A registry may be reached at an address, and without TLS, if it is written down."""
        mirror = self.mirror("{registries: {docker.io: {url: 'http://127.0.0.1:5000'}}}").mirror

        self.assertEqual(mirror.registry("docker.io").url, "http://127.0.0.1:5000")

    def test_canonical(self) -> None:
        """A host is known under its canonical name only."""
        registries = self.mirror("{registries: {Index.Docker.io: {max_concurrent: 2}}}").mirror.registries

        self.assertEqual({host: one.max_concurrent for host, one in registries.items()}, {"docker.io": 2})

    def test_twice(self) -> None:
        """Two sections of one registry are refused, and the refusal names both."""
        error = self.assert_refused_mirror(
            "{registries: {docker.io: {}, index.docker.io: {}}}", "registries.index.docker.io"
        )
        self.assertIn("docker.io, which has a section already", error.reason)

    def test_not_a_host(self) -> None:
        """What is no host has no section."""
        for host in ("''", "'https://docker.io'", "docker.io/library", "'*'", "a b.io"):
            self.assert_refused_mirror(f"{{registries: {{{host}: {{}}}}}}", f"registries.{host.strip(chr(39))}")

    def test_unknown_key(self) -> None:
        """An unknown key is named with its whole path, dots of the host included, and the key that was meant."""
        error = self.assert_refused_mirror("{registries: {docker.io: {usernme: bob}}}", "registries.docker.io.usernme")
        self.assertEqual(error.message, "mirror.registries.docker.io.usernme: unknown key – did you mean username?")

    def test_wrong_types(self) -> None:
        """A value of the wrong type is refused with its whole path."""
        cases = {
            "url: 5": "url",
            "username: [bob]": "username",
            "username: x, password: 5": "password",
            "password_file: true": "password_file",
            "ca_file: 1": "ca_file",
            "max_concurrent: 0": "max_concurrent",
            "max_concurrent: '3'": "max_concurrent",
            "private_hosts: a": "private_hosts",
            "private_hosts: [a.example.com, 5]": "private_hosts[1]",
            "private_hosts: [a.example.com, 'b c']": "private_hosts[1]",
        }
        for text, key in cases.items():
            self.assert_refused_mirror(f"{{registries: {{ghcr.io: {{{text}}}}}}}", f"registries.ghcr.io.{key}")
        for value in ("null", "5", "[]", "x"):
            self.assert_refused_mirror(f"{{registries: {{ghcr.io: {value}}}}}", "registries.ghcr.io")
        self.assert_refused_mirror("{registries: []}", "registries")

    def test_urls_refused(self) -> None:
        """A URL needs its scheme, and has neither user nor query nor fragment."""
        for text in (
            "ghcr.io",
            "ftp://ghcr.io",
            "//ghcr.io",
            "https://u@ghcr.io",
            "https://@ghcr.io",
            "https://ghcr.io?",
            "''",
        ):
            self.assert_refused_mirror(
                f"{{registries: {{ghcr.io: {{url: '{text}'}}}}}}".replace("''''", "''"), "registries.ghcr.io.url"
            )

    def test_environment(self) -> None:
        """A variable sets all sections, or one key of one."""
        environment = {
            "PKGD_MIRROR__REGISTRIES": "{docker.io: {username: bob, password: x}, ghcr.io: {max_concurrent: 2}}",
            "PKGD_MIRROR__REGISTRIES__GHCR.IO__URL": "https://ghcr.example.com",
        }
        registries = self.read("mirror: {registries: {quay.io: {}}}", environment).mirror.registries

        self.assertEqual(set(registries), {"docker.io", "ghcr.io"})
        self.assertEqual(registries["docker.io"].username, "bob")
        self.assertEqual(
            (registries["ghcr.io"].max_concurrent, registries["ghcr.io"].url), (2, "https://ghcr.example.com")
        )

    def test_environment_refused(self) -> None:
        """What is wrong in a variable is said with the key's whole path."""
        environment = {"PKGD_MIRROR__REGISTRIES": "{docker.io: {usernme: bob}}"}
        self.assert_refused("", "mirror.registries.docker.io.usernme", environment)


class CredentialTests(MirrorCase):
    """Credentials of a registry, of which the password is never repeated."""

    def refused(self, section: str, key: str = "") -> ConfigError:
        """A section of ghcr.io is refused, because of a key or as a whole."""
        return self.assert_refused_mirror(f"{{registries: {{ghcr.io: {{{section}}}}}}}", f"registries.ghcr.io{key}")

    def test_password(self) -> None:
        """A password is there for who reveals it."""
        mirror = self.mirror(f"{{registries: {{ghcr.io: {{username: bob, password: {CANARY}}}}}}}").mirror

        password = mirror.registries["ghcr.io"].password
        self.assertEqual(password.reveal() if password else None, CANARY)

    def test_pairs(self) -> None:
        """User name and password are given together, and the password in one way."""
        for section in ("username: bob", f"password: {CANARY}", "password_file: f"):
            self.assertNotIn(CANARY, self.refused(section).message)
        error = self.refused(f"username: bob, password: {CANARY}, password_file: f")
        self.assertNotIn(CANARY, error.message)

    def test_refused(self) -> None:
        """An empty user name or one with a colon cannot be sent; no password is empty or the mask of one."""
        for name in ("''", "'a:b'"):
            self.refused(f"username: {name}, password: x", ".username")
        for password in ("''", "'********'"):
            self.refused(f"username: bob, password: {password}", ".password")

    def test_misplaced(self) -> None:
        """A password that is written where none belongs is refused without being repeated."""
        url = f"https://bob:{CANARY}@ghcr.io"
        texts = [
            f"mirror: {{registries: {{ghcr.io: {{url: '{url}'}}}}}}",
            f"mirror: {{registries: {{'{url}': {{}}}}}}",
            f"mirror: {{registries: {{ghcr.io: {{private_hosts: ['{url}']}}}}}}",
            f"mirror: {{upstream_mirror: ['{url}']}}",
            f"mirror: {{fallback: ['{url}']}}",
            f"mirror: {{allow: ['{url}/**']}}",
            f"server: {{external_url: '{url}'}}",
            f"server: {{own_names: ['{url}']}}",
            f"mirror: {{registries: {{ghcr.io: {{username: bob, password: [{CANARY}]}}}}}}",
            f"mirror: {{registries: {{ghcr.io: {{username: bob, password: {{{CANARY}: x}}}}}}}}",
            f"mirror: {{registries: {{ghcr.io: {CANARY}}}}}",
        ]
        for text in texts:
            error = self.assertRaises(ConfigError, self.read, text)
            self.assertNotIn(CANARY, error.message + repr(error), text)
        variable = {"REGISTRY_UPSTREAM_MIRROR": url}
        self.assertNotIn(CANARY, self.assertRaises(ConfigError, self.read, "enableProxy: true", variable).message)

    @bounded
    @given(ANY_TEXT)
    def test_any_url(self, text: str) -> None:
        """Any text is a URL that stays as it is when it is read again, or is refused."""
        section = {"PKGD_MIRROR__UPSTREAM_MIRROR": f"[{text}]"}
        try:
            found = self.read("", section).mirror.upstream_mirror
        except ConfigError:
            return
        self.assertEqual(
            self.read(
                "", {"REGISTRY_UPSTREAM_MIRROR": ",".join(found), "PKGD_ENABLEPROXY": "true"}
            ).mirror.upstream_mirror,
            found,
        )


class OwnNameTests(MirrorCase):
    """What this registry is called by others."""

    def test_names(self) -> None:
        """The names that are given, and the host of `external_url`."""
        config = self.read(
            "server: {external_url: 'https://Pkg.example.com:443/', own_names: ['Alias.example.com:5000']}"
        )

        self.assertEqual(config.server.external_url, "https://pkg.example.com")
        self.assertEqual(config.own_names, frozenset(["pkg.example.com", "alias.example.com:5000"]))
        self.assertEqual(self.read().own_names, frozenset())

    def test_port(self) -> None:
        """A port belongs to the name."""
        self.assertEqual(self.read("server: {external_url: 'http://pkg:8080'}").own_names, frozenset(["pkg:8080"]))

    def test_refused(self) -> None:
        """A URL with a path or a query, or without a scheme, is refused, as is what is no host."""
        for text in (
            "https://pkg.example.com/x",
            "https://pkg.example.com?x",
            "https://u@pkg.example.com",
            "pkg.example.com",
            "ftp://a",
        ):
            self.assert_refused(f"server: {{external_url: '{text}'}}", "server.external_url")
        self.assert_refused("server: {own_names: [a.example.com, 'https://b']}", "server.own_names[1]")
