"""The configuration as the rest of pkgd sees it: loaded, described, shown, documented."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pkgd.config import hints, json_schema, load, masked
from pkgd.errors import ConfigError
from tests.config.cases import ConfigCase


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

    def test_no_file(self) -> None:
        """Without a file there are the defaults and the environment."""
        self.assertEqual(load(None, {}), self.read())
        self.assertTrue(load(None, {"PKGD_ENABLEPROXY": "true"}).mirror_enabled)

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

    def test_stale(self) -> None:
        """`serve_stale` may be a number or a string, and its default is the word."""
        stale = json_schema()["$defs"]["Mirror"]["properties"]["serve_stale"]

        self.assertEqual((stale["type"], stale["default"]), (["number", "string"], "forever"))

    def test_registries(self) -> None:
        """Any host may have a section; its password is a string."""
        sections = json_schema()["$defs"]

        registries = sections["Mirror"]["properties"]["registries"]
        self.assertEqual(registries["additionalProperties"], {"$ref": "#/$defs/UpstreamRegistry"})
        password = sections["UpstreamRegistry"]["properties"]["password"]
        self.assertEqual(password["anyOf"], [{"type": "string"}, {"type": "null"}])

    def test_spelling(self) -> None:
        """Keys have the spelling of the file."""
        sections = json_schema()["$defs"]

        for section in ("Config", "Mirror"):
            self.assertIn("enableProxy", sections[section]["properties"])

    def test_json(self) -> None:
        """It is strict JSON: infinity is none."""
        json.dumps(json_schema(), allow_nan=False)


EVERYTHING = """
server: {external_url: 'https://pkg.example.com', own_names: [alias.example.com]}
mirror:
  enableProxy: true
  upstream_mirror: [site.example.com]
  allow: [docker.io/alpine]
  serve_stale: 12h
  evict: {max_size: 1GiB, unused_for: 0}
  registries:
    docker.io: {username: bob, password_file: bob, ca_file: ca.pem, private_hosts: [10.0.0.7]}
"""


class MaskedTests(ConfigCase):
    """A configuration as it may be shown."""

    def test_secrets(self) -> None:
        """Asterisks stand for a password."""
        shown = masked(self.read("mirror: {registries: {ghcr.io: {username: bob, password: hunter2-canary}}}"))

        self.assertEqual(shown["mirror"]["registries"]["ghcr.io"]["password"], "********")
        self.assertNotIn("hunter2", repr(shown))

    def test_read_again(self) -> None:
        """What is shown can be read again, and is the same configuration: canonical forms don't change any more."""
        for text in ("", "enableProxy: true", EVERYTHING):
            config = self.read(text)
            again = self.read(msgspec.yaml.encode(masked(config)).decode("utf-8"))
            self.assertEqual(again, config)

    def test_mask_read_again(self) -> None:
        """Except for a password: the mask is refused, rather than sent."""
        config = self.read("mirror: {registries: {ghcr.io: {username: bob, password: x}}}")
        shown = msgspec.yaml.encode(masked(config)).decode("utf-8")

        self.assert_refused(shown, "mirror.registries.ghcr.io.password")

    def test_forever(self) -> None:
        """An infinite time is shown as the word for it."""
        self.assertEqual(masked(self.read())["mirror"]["serve_stale"], "forever")


class HintTests(ConfigCase):
    """What the environment has to no effect is said, once and in a sentence."""

    def hints(self, text: str, environment: dict[str, str]) -> list[str]:
        """The hints that a daemon with this file and environment gives."""
        return hints(self.read(text, environment), environment)

    def test_upstream_mirror(self) -> None:
        """REGISTRY_UPSTREAM_MIRROR without `enableProxy` changes nothing, and with it there is nothing to say."""
        environment = {"REGISTRY_UPSTREAM_MIRROR": "https://a"}

        (hint,) = self.hints("", environment)
        self.assertIn("REGISTRY_UPSTREAM_MIRROR", hint)
        self.assertIn("enableProxy", hint)
        self.assertEqual(self.hints("enableProxy: true", environment), [])
        self.assertEqual(self.hints("", {"REGISTRY_UPSTREAM_MIRROR": " ,"}), [])

    def test_proxies(self) -> None:
        """Proxy variables are named if there would be something to ask, but not what is in them."""
        environment = {"https_proxy": "http://bob:hunter2@proxy", "NO_PROXY": "x", "HTTP_PROXY": "", "PATH": "/bin"}

        (hint,) = self.hints("enableProxy: true", environment)
        self.assertIn("NO_PROXY, https_proxy", hint)
        self.assertNotIn("hunter2", hint)
        self.assertNotIn("HTTP_PROXY", hint)
        self.assertEqual(self.hints("", environment), [])

    def test_nothing(self) -> None:
        """As a rule there is nothing to say."""
        self.assertEqual(self.hints("", {}) + self.hints("enableProxy: true", {"PATH": "/bin"}), [])


class DocumentationTests(ConfigCase):
    """docs/configuration.md describes the configuration as it is."""

    def setUp(self) -> None:
        path = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
        self.text = path.read_text(encoding="utf-8")

    def keys(self, section: str = "Config", path: str = "") -> Iterator[str]:
        """Every key of the schema with its path."""
        sections = json_schema()["$defs"]
        for key, kind in sections[section]["properties"].items():
            entry = "NAME" if key == "keys" else "HOST"
            places = [(f"{path}{key}.", kind), (f"{path}{key}.{entry}.", kind.get("additionalProperties") or {})]
            for one in (kind, *kind.get("anyOf", ())):
                items = one.get("items") or {}
                places += [(f"{path}{key}[].", item) for item in (items, *items.get("anyOf", ()))]
            places += [(f"{path}{key}.", one) for one in kind.get("anyOf", [])]
            below = [(place, one["$ref"].rpartition("/")[2]) for place, one in places if "$ref" in one]
            if not below:
                yield f"{path}{key}"
            for place, name in below:
                yield from self.keys(name, place)

    def test_rows(self) -> None:
        """Every key has its row, and every row is of a key."""
        rows = [row.partition(" |")[0] for row in re.findall(r"(?m)^\| (`.*)", self.text)]
        described = [key for row in rows for key in re.findall(r"`([^`]+)`", row)]

        self.assertEqual(sorted(described), sorted(self.keys()))

    def test_examples(self) -> None:
        """Every example can be used as it is."""
        examples = re.findall(r"(?s)```yaml\n(.*?)```", self.text)

        self.assertTrue(examples)
        for text in examples:
            config: Any = self.read(text)
            self.assertNotEqual(config, self.read())
