"""Keys and values as files and variables have them, and what is said of those that mean nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pkgd.config import Config
from pkgd.errors import ConfigError
from tests.config.cases import ConfigCase
from tests.properties import ANY_TEXT, bounded, brief


class QuantityTests(ConfigCase):
    """Durations, sizes, and values of which there are few."""

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

    def test_choices(self) -> None:
        """A value that is none of those there are is refused, and the refusal names them."""
        for value in ("loud", "INFO", '"info\\n"', "''", "5", "[info]"):
            error = self.assert_refused(f"logging: {{level: {value}}}", "logging.level")
            self.assertIn("debug, info, warn, error, critical", error.reason)
        self.assert_refused('auth: {mode: "none\\n"}', "auth.mode")
        self.assert_refused("auth: {mode: ldap}", "auth.mode")


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


class DiscretionTests(ConfigCase):
    """What is said of a broken file shows none of it: the broken line may be the one with the password."""

    def test_not_yaml(self) -> None:
        """The place is named, and what is wrong there, but not the line."""
        error = self.assert_refused("mirror:\n  registries:\n    ghcr.io: {password: @hunter2}", "")

        self.assertIn("line 3, column 25", error.reason)
        self.assertNotIn("hunter2", error.reason)

    def test_signs(self) -> None:
        """Passwords that begin with a sign of YAML and stand there without quotes are not repeated."""
        signs = [
            "*",
            "!",
            "!!int ",
            "!!float ",
            "!!bool ",
            "!!binary ",
            "!!timestamp ",
            "!x!",
            "!<",
            "%",
            "`",
            "- ",
            "? ",
            "|",
            ">",
        ]
        signs += ["'", '"', '"\\q', "x: y: ", "]", "}", ",}", "[", "{", "\t", "\0", "&a *", "&a x\nb: &a "]
        for sign in signs:
            for text in (f"password: {sign}hunter2", f"{{password: {sign}hunter2}}"):
                for shown in self.refusals(text):
                    self.assertNotIn("hunter2", shown, text)

    def refusals(self, text: str) -> list[str]:
        """What is said of a password in the file, in a variable and as a variable."""
        cases: list[tuple[str, dict[str, str]]] = [
            (f"mirror: {{registries: {{ghcr.io: {text}}}}}", {}),
            (f"mirror:\n  registries:\n    ghcr.io:\n      username: bob\n      {text}", {}),
            ("", {"PKGD_MIRROR__REGISTRIES__GHCR.IO": text}),
            ("", {"PKGD_MIRROR__REGISTRIES__GHCR.IO__PASSWORD": text.partition(": ")[2] or text}),
        ]
        found = []
        for file, environment in cases:
            try:
                found.append(repr(self.read(file, environment)))
            except ConfigError as error:
                found.append(error.message)
        return found


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
