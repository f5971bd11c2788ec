"""What bills consist of: package URLs, nested components, what wheels have linked in, and licences."""

from __future__ import annotations

import json
from email.message import Message
from pathlib import Path
from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from tests.packaging.scripts import load

components = load("sbom", "components")
licences = load("sbom", "licences")
linked = load("sbom", "linked")


class ComponentTests(SynchronousTestCase):
    """package-url/purl-spec, and references that are unique."""

    def test_package_url(self) -> None:
        """A plus is escaped, a colon and a tilde are not."""
        url = components.package_url("deb/debian", "zlib1g", "1:1.2+dfsg~1", "?arch=amd64")

        self.assertEqual(url, "pkg:deb/debian/zlib1g@1:1.2%2Bdfsg~1?arch=amd64")

    def test_canonical(self) -> None:
        """PyPI's names are compared without case, dots and underscores."""
        self.assertEqual(components.canonical("Backports.Zstd_x"), "backports-zstd-x")

    def test_nested(self) -> None:
        """The same crate in two wheels is two components with two references and one package URL."""
        part = {"name": "libc", "version": "0.2", "purl": "pkg:cargo/libc@0.2?download_url=file://x", "author": "A"}
        (one,), (other,) = (components.nested(parent, [part]) for parent in ("pkg:pypi/a@1", "pkg:pypi/b@1"))

        self.assertEqual(one["purl"], "pkg:cargo/libc@0.2")
        self.assertEqual(one["purl"], other["purl"])
        self.assertNotEqual(one["bom-ref"], other["bom-ref"])

    def test_walk(self) -> None:
        """Nested ones are components, too."""
        found = components.walk([{"name": "a", "components": [{"name": "b"}]}, {"name": "c"}])

        self.assertEqual([one["name"] for one in found], ["a", "b", "c"])


class LinkedTests(SynchronousTestCase):
    """linked.toml."""

    def test_another_version(self) -> None:
        """Of a version that nobody has looked at nothing is known, nor of a wheel that is not in there."""
        for name in ("bcrypt", "never-heard-of"):
            self.assertRaises(linked.Unknown, linked.linked, name, "0.0.1")

    def test_nothing(self) -> None:
        """C that links nothing has nothing, in every version."""
        self.assertEqual(linked.linked("markupsafe", "0.0.1"), [])


class LicenceTests(SynchronousTestCase):
    """What a distribution says of its licence."""

    def _stated(self, *fields: tuple[str, str]) -> object:
        metadata = Message()
        for name, value in fields:
            metadata[name] = value
        return licences.stated(SimpleNamespace(metadata=metadata))

    def test_stated(self) -> None:
        """An expression before a name, a name before classifiers; a whole text in the field is no name."""
        expression, name = ("License-Expression", "MIT"), ("License", "BSD")
        kind = ("Classifier", "License :: OSI Approved :: MIT License")

        self.assertEqual(self._stated(name, kind, expression), [{"expression": "MIT"}])
        self.assertEqual(self._stated(name, kind), [{"license": {"name": "BSD"}}])
        self.assertEqual(
            self._stated(("License", "Copyright\n all of it"), kind), [{"license": {"name": "MIT License"}}]
        )
        self.assertEqual(self._stated(), [])

    def test_notices(self) -> None:
        """A text that several have stands there once, with all their names."""
        said = licences.notices({"b 1": "text", "a 1": "text", "c 1": "other"})

        self.assertEqual(said.count("text\n"), 1)
        self.assertIn("\na 1, b 1\n", said)
        self.assertIn("\nc 1\n", said)


class BillsTests(SynchronousTestCase):
    """Which bills are those of what was built last."""

    def test_bills(self) -> None:
        """The executable's, and of the images those of its version; what an earlier build has left is not read."""
        folder = Path(self.mktemp())
        folder.mkdir()
        self.assertEqual(components.bills(folder), [])

        subject = {"version": "0.1.0.2"}
        program, image = {"metadata": {"component": subject}}, {"of": "the image"}
        for name, bill in (
            ("pkgd", program),
            ("pkgd-0.1.0.2.oci", image),
            ("pkgd-0.1.0.1.oci", {"of": "an older one"}),
        ):
            (folder / f"{name}.cdx.json").write_text(json.dumps(bill))

        self.assertEqual(components.bills(folder), [program, image])
