"""The configuration: what its files and variables mean, and what is said of those that mean nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.config import Config, json_schema, load, parse
from pkgd.errors import ConfigError
from tests.properties import ANY_TEXT, bounded, brief


class ConfigCase(SynchronousTestCase):
    """Reads configurations, and asserts what is wrong with them."""

    def read(self, text: str = "", environment: Mapping[str, str] | None = None) -> Config:
        """The configuration of a file in `/etc/pkgd`."""
        return parse(text, environment or {}, "/etc/pkgd")

    def assert_refused(self, text: str, path: str, environment: Mapping[str, str] | None = None) -> ConfigError:
        """The text is refused because of the key `path`."""
        error: ConfigError = self.assertRaises(ConfigError, self.read, text, environment)
        self.assertEqual(error.path, path, error.message)
        return error


class DefaultTests(ConfigCase):
    """Without a file, pkgd runs for whoever sits at the machine."""

    def test_values(self) -> None:
        """The documented defaults."""
        config = self.read()

        self.assertEqual(config.server.listen, ["tcp:8080:interface=127.0.0.1"])
        self.assertEqual((config.limits.manifest_size, config.limits.upload_size), (4 << 20, 0))
        self.assertEqual((config.limits.upload_expiry, config.server.shutdown.drain), (86400.0, 30.0))
        self.assertEqual((config.storage.filesystem.min_free, config.storage.filesystem.fsync), (256 << 20, True))
        self.assertEqual((config.logging.level, config.logging.access.file), ("info", "-"))

    def test_empty_documents(self) -> None:
        """An empty file, or one of comments, is no different."""
        for text in ("", "\n", "# nothing\n", "---\n", "null\n"):
            self.assertEqual(self.read(text), self.read())

    def test_state_directory(self) -> None:
        """State is in ./pkgd-data, or where systemd says; of several directories, in the first."""
        self.assertEqual(self.read().state_dir, os.path.join(os.getcwd(), "pkgd-data"))
        self.assertEqual(self.read("", {"STATE_DIRECTORY": "/var/lib/pkgd"}).state_dir, "/var/lib/pkgd")
        self.assertEqual(self.read("", {"STATE_DIRECTORY": "/var/lib/pkgd:/var/lib/b"}).state_dir, "/var/lib/pkgd")

    def test_frozen(self) -> None:
        """A configuration does not change any more."""
        self.assertRaises(AttributeError, setattr, self.read(), "version", 2)


class ValueTests(ConfigCase):
    """Durations, sizes, paths and networks."""

    def test_durations(self) -> None:
        """Durations have a unit; a bare number is seconds."""
        values = {
            "30s": 30,
            "5m": 300,
            "24h": 86400,
            "7d": 604800,
            "250ms": 0.25,
            "1.5h": 5400,
            "0s": 0,
            "90": 90,
            "0.5": 0.5,
        }
        for text, seconds in values.items():
            self.assertEqual(self.read(f"limits: {{body_timeout: {text}}}").limits.body_timeout, seconds)

    def test_not_durations(self) -> None:
        """Other units, signs, white space, infinite or absurd durations are refused."""
        bad = [
            "'30'",
            "30 s",
            "-5s",
            "-5",
            "s",
            "1h30m",
            "30S",
            "1w",
            "'30s\\n'",
            ".nan",
            ".inf",
            "-.inf",
            "99999999999d",
            "true",
        ]
        for text in [*bad, "1e999", "'" + "9" * 400 + "d'", "[]", "{}", '"30s\\n"']:
            self.assert_refused(f"limits: {{body_timeout: {text}}}", "limits.body_timeout")

    def test_sizes(self) -> None:
        """Sizes have a binary unit; a bare number is bytes."""
        values = {
            "512KiB": 512 << 10,
            "256MiB": 256 << 20,
            "1GiB": 1 << 30,
            "2TiB": 2 << 40,
            "7B": 7,
            "'7'": 7,
            "4096": 4096,
            "0": 0,
        }
        for text, size in values.items():
            self.assertEqual(self.read(f"limits: {{manifest_size: {text}}}").limits.manifest_size, size)

    def test_not_sizes(self) -> None:
        """Other units, fractions, signs and absurd sizes are refused."""
        bad = [
            "1MB",
            "1mib",
            "1 MiB",
            "-1",
            "-1KiB",
            "1.5",
            "1.5MiB",
            "1e3",
            "'" + "9" * 400 + "'",
            "99999999999TiB",
            "MiB",
        ]
        for text in [*bad, "9" * 30, "true", "''", "[1]", '"1KiB\\n"']:
            self.assert_refused(f"limits: {{manifest_size: {text}}}", "limits.manifest_size")

    def test_relative_paths(self) -> None:
        """A path is relative to the file that names it; the tree's root is relative to the state."""
        tls, log = "server: {tls: {certificate: tls/a.pem, key: /b.pem}}", "logging: {access: {file: ./access.log}}"
        config = self.read(f"state_dir: ../data\n{tls}\n{log}")

        self.assertEqual((config.state_dir, config.storage.filesystem.root), ("/etc/data", "/etc/data/oci"))
        self.assertEqual((config.server.tls.certificate, config.server.tls.key), ("/etc/pkgd/tls/a.pem", "/b.pem"))
        self.assertEqual(config.logging.access.file, "/etc/pkgd/access.log")

    def test_absolute_root(self) -> None:
        """The tree may lie elsewhere: an existing one is served in place."""
        self.assertEqual(self.read("storage: {filesystem: {root: /srv/oci}}").storage.filesystem.root, "/srv/oci")

    def test_no_access_log(self) -> None:
        """`null` turns the access log off."""
        self.assertIsNone(self.read("logging: {access: {file: null}}").logging.access.file)

    def test_trusted_networks(self) -> None:
        """Trusted proxies are networks or single addresses, of either family."""
        config = self.read("server: {trusted_proxies: [10.0.0.0/8, 192.0.2.7, 'fd00::/8', 10.1.2.3/8]}")

        expected = [ip_network(one) for one in ("10.0.0.0/8", "192.0.2.7/32", "fd00::/8", "10.0.0.0/8")]
        self.assertEqual(config.trusted_networks, expected)

    def test_not_networks(self) -> None:
        """What is no network is refused before anything starts."""
        for text in ("nginx", "10.0.0.0/33", "10.0.0", "''", "0x7f.1"):
            self.assert_refused(f"server: {{trusted_proxies: [{text}]}}", "server.trusted_proxies")

    def test_tls_pair(self) -> None:
        """A certificate without its key, or a key alone, is refused."""
        for one in ("certificate", "key"):
            self.assert_refused(f"server: {{tls: {{{one}: a.pem}}}}", "server.tls")

    def test_choices(self) -> None:
        """A value that is none of those there are is refused, and the refusal names them."""
        for value in ("loud", "INFO", '"info\\n"', "''", "5", "[info]"):
            error = self.assert_refused(f"logging: {{level: {value}}}", "logging.level")
            self.assertIn("debug, info, warn, error, critical", error.reason)
        self.assert_refused('auth: {mode: "none\\n"}', "auth.mode")
        self.assert_refused("auth: {mode: basic}", "auth.mode")


class KeyTests(ConfigCase):
    """Keys that do not exist, or exist twice."""

    def test_unknown(self) -> None:
        """An unknown key is an error with its path and what was probably meant."""
        cases = {
            "servr: {}": ("servr", "server"),
            "server: {listn: []}": ("server.listn", "listen"),
            "storage: {filesystem: {min_fre: 1}}": ("storage.filesystem.min_fre", "min_free"),
            "auth: {mod: none}": ("auth.mod", "mode"),
            "limits: {xyzzy: 1}": ("limits.xyzzy", ""),
        }
        for text, (path, suggestion) in cases.items():
            self.assertEqual(self.assert_refused(text, path).suggestion, suggestion)

    def test_message(self) -> None:
        """The message is one line with all of that."""
        error = self.assert_refused("server: {listn: []}", "server.listn")

        self.assertEqual(error.message, "server.listn: unknown key – did you mean listen?")

    def test_repeated(self) -> None:
        """A key that is given twice, at any depth, is an error that says where."""
        error = self.assert_refused("version: 1\nversion: 1\n", "version")
        self.assertIn("line 2", error.reason)
        self.assert_refused("limits:\n  upload_size: 1\n  upload_size: 2\n", "upload_size")

    def test_not_a_string(self) -> None:
        """A key that is no string is refused."""
        for text in ("1: x", "true: x", "null: x", "[a]: x", "{a: b}: x", "2020-01-01: x"):
            self.assertRaises(ConfigError, self.read, text)

    def test_wrong_types(self) -> None:
        """A value of the wrong type is refused with its path, an entry of a list too."""
        cases = {"version: '1'": "version", "version: true": "version", "version: 2": "version", "server: 5": "server"}
        cases |= {
            "server: {listen: tcp}": "server.listen",
            "server: {listen: [5]}": "server.listen[0]",
            "state_dir: []": "state_dir",
        }
        cases |= {
            "storage: {filesystem: {fsync: 1}}": "storage.filesystem.fsync",
            "server: {max_connections: 0}": "server.max_connections",
        }
        for text, path in cases.items():
            self.assert_refused(text, path)


class ExposureTests(ConfigCase):
    """An endpoint that others can reach needs somebody to have said who may do what."""

    def test_open_endpoints(self) -> None:
        """Without an `auth` section, only this machine may reach the daemon."""
        endpoints = [
            "tcp:8080",
            "tcp:8080:interface=0.0.0.0",
            r"tcp6:8080:interface=\:\:",
            "tcp:8080:interface=192.0.2.1",
            "ssl:443",
        ]
        endpoints += [
            "tcp:8080:interface=127.0.0.1.example.com",
            "tcp:8080:interface=127.0.0.1:interface=0.0.0.0",
            "tcp:8080:interface=",
        ]
        for endpoint in endpoints:
            error = self.assert_refused(f"server: {{listen: ['{endpoint}']}}", "server.listen")
            self.assertIn("mode: none", error.reason)
            self.assertEqual(
                self.read(f"auth: {{mode: none}}\nserver: {{listen: ['{endpoint}']}}").server.listen, [endpoint]
            )

    def test_loopback(self) -> None:
        """Loopback addresses of either family and UNIX sockets are this machine."""
        endpoints = [
            "tcp:8080:interface=127.0.0.1",
            "tcp:8080:interface=127.1.2.3",
            "tcp:8080:interface=localhost",
            "unix:/run/pkgd.sock",
        ]
        for endpoint in [
            *endpoints,
            r"tcp:8080:interface=\:\:1",
            r"tcp6:8080:interface=\:\:1",
            "tcp:interface=127.0.0.1:port=0",
        ]:
            self.assertEqual(self.read(f"server: {{listen: ['{endpoint}']}}").server.listen, [endpoint])

    def test_none(self) -> None:
        """A daemon that listens nowhere is a mistake."""
        self.assert_refused("server: {listen: []}", "server.listen")


class EnvironmentTests(ConfigCase):
    """Variables `PKGD_<SECTION>__<KEY>` win over the file."""

    def test_overlay(self) -> None:
        """A variable sets a key, adding sections on the way; values are YAML."""
        environment = {
            "PKGD_LIMITS__BODY_TIMEOUT": "5m",
            "PKGD_SERVER__LISTEN": '["unix:/run/p"]',
            "PKGD_STORAGE__FILESYSTEM__FSYNC": "false",
        }
        config = self.read("limits: {body_timeout: 1s, upload_size: 7}", environment)

        self.assertEqual((config.limits.body_timeout, config.limits.upload_size), (300.0, 7))
        self.assertEqual((config.server.listen, config.storage.filesystem.fsync), (["unix:/run/p"], False))

    def test_empty_section(self) -> None:
        """A section that the file leaves empty can be filled."""
        self.assertEqual(self.read("limits:\n", {"PKGD_LIMITS__UPLOAD_SIZE": "5"}).limits.upload_size, 5)

    def test_others(self) -> None:
        """Variables of other programs, and the name of the file itself, are no keys."""
        self.assertEqual(self.read("", {"PATH": "/bin", "PKGD_CONFIG": "/x", "XPKGD_A": "1"}), self.read())

    def test_service_links(self) -> None:
        """What Kubernetes sets for a Service called pkgd sets no key and stops no start."""
        links = {"PKGD_SERVICE_HOST": "10.0.0.1", "PKGD_SERVICE_PORT_HTTP": "80", "PKGD_PORT": "tcp://10.0.0.1:80"}
        self.assertEqual(self.read("", links), self.read())

    def test_unknown(self) -> None:
        """A variable that sets no key is an error, as in the file."""
        self.assertEqual(
            self.assert_refused("", "limits.upload_siz", {"PKGD_LIMITS__UPLOAD_SIZ": "1"}).suggestion, "upload_size"
        )
        self.assert_refused("", "servr", {"PKGD_SERVR": "{}"})
        self.assertRaises(ConfigError, self.read, "", {"PKGD_": "1"})

    def test_no_section(self) -> None:
        """A variable cannot reach into a value."""
        self.assert_refused("state_dir: /a", "PKGD_STATE_DIR__X", {"PKGD_STATE_DIR__X": "1"})

    def test_not_yaml(self) -> None:
        """A value that is no YAML is refused by the variable's name."""
        for value in ("[", "{a: b", "'", "@", "a: b: c", "2020-99-99", "\0"):
            self.assert_refused("", "PKGD_STATE_DIR", {"PKGD_STATE_DIR": value})


class LoadTests(ConfigCase):
    """`load` finds the file."""

    def write(self, text: str | bytes) -> str:
        """A file with this content."""
        path: str = self.mktemp()
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode("utf-8"))
        return path

    def test_file(self) -> None:
        """The file that is named is read, and paths are relative to where it lies."""
        path = self.write("state_dir: data")

        self.assertEqual(load(path, {}).state_dir, os.path.join(os.path.dirname(os.path.abspath(path)), "data"))

    def test_variable(self) -> None:
        """`PKGD_CONFIG` names the file, unless the command line does."""
        path, other = self.write("limits: {upload_size: 5}"), self.write("limits: {upload_size: 6}")

        self.assertEqual(load(None, {"PKGD_CONFIG": path}).limits.upload_size, 5)
        self.assertEqual(load(other, {"PKGD_CONFIG": path}).limits.upload_size, 6)

    def test_unreadable(self) -> None:
        """A file that is not there, no file, or no text is an error that names it."""
        for path in (self.mktemp(), os.getcwd(), self.write(b"\xff\xfe\x00")):
            self.assertEqual(self.assertRaises(ConfigError, load, path, {}).path, path)


class SchemaTests(ConfigCase):
    """The JSON Schema describes what is accepted."""

    def test_keys(self) -> None:
        """Every section allows its keys and no other."""
        sections = json_schema()["$defs"]

        self.assertIn("server", sections["Config"]["properties"])
        self.assertEqual({section["additionalProperties"] for section in sections.values()}, {False})

    def test_quantities(self) -> None:
        """Durations and sizes may be numbers or strings, as in the documentation's examples."""
        limits = json_schema()["$defs"]["Limits"]["properties"]

        self.assertEqual(
            (limits["body_timeout"]["type"], limits["manifest_size"]["type"]),
            (["number", "string"], ["integer", "string"]),
        )


PIECES = [
    "a",
    "version",
    "server",
    "limits",
    "auth",
    "mode",
    ":",
    ": ",
    "- ",
    "\n",
    "  ",
    "[",
    "]",
    "{",
    "}",
    "'",
    '"',
    "|",
    ">",
    "&a ",
    "*a",
]
PIECES += [
    "!!int ",
    "!!float ",
    "!!bool ",
    "!!timestamp ",
    "!!binary ",
    "!!set ",
    "!!omap ",
    "!!pairs ",
    "!!null ",
    "!!str ",
    "!x ",
    "<<",
    "=",
]
PIECES += [
    "0x",
    "0b",
    "0o7",
    "1:30",
    "2020-99-99",
    "~",
    "? ",
    ", ",
    "---",
    "...",
    "%YAML 1.1",
    "#",
    "\t",
    "\ufeff",
    "\\",
    "1e400",
    ".nan",
]


class HostileTextTests(ConfigCase):
    """Any text is a configuration or refused as ConfigError, in the file as in a variable."""

    def check(self, text: str, environment: Mapping[str, str]) -> None:
        """Read it; the refusal of a section's value never shows a Python error."""
        try:
            config: Any = self.read(text, environment)
        except ConfigError as error:
            self.assertTrue(re.search(r"\S", error.message))
        else:
            self.assertIsInstance(config, Config)

    @bounded
    @given(st.lists(st.sampled_from(PIECES), max_size=10).map("".join))
    def test_any_pieces(self, text: str) -> None:
        """What YAML is made of, in any order, as the file and as a variable."""
        self.check(text, {})
        self.check("", {"PKGD_LIMITS__UPLOAD_SIZE": text})

    @brief
    @given(ANY_TEXT)
    def test_any_text(self, text: str) -> None:
        """Text of any characters, as the file and as one value in it."""
        self.check(text, {})
        self.check(f"state_dir: {text}", {})

    def test_depth(self) -> None:
        """Nesting that would exhaust the reader is refused."""
        for opening in ("[", "{a: ", "- "):
            self.assertRaises(ConfigError, self.read, opening * 1000)
