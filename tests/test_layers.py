"""The map of `docs/architecture.md`, enforced: who imports whom, and who alone touches what."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.layers import ROOMS, Source, sources, violations

ROOT = Path(__file__).resolve().parent.parent


class PkgdTests(SynchronousTestCase):
    """pkgd as it stands."""

    def test_rules(self) -> None:
        """No module breaks a rule."""
        found = [one for source in sources(ROOT) for one in violations(source)]

        self.assertEqual(found, [], "\n" + "\n".join(found))

    def test_nothing_is_overlooked(self) -> None:
        """Every room of the map is there, and the doors outside the package are read too."""
        read = sources(ROOT)

        self.assertEqual({source.room for source in read}, set(ROOMS))
        self.assertEqual(
            [one.path for one in read if one.room == "door"], ["twisted/plugins/pkgd_plugin.py", "pkgd.tac"]
        )


class RuleTests(SynchronousTestCase):
    """Each rule sees what it is for, and names file and line."""

    def assert_breaks(self, path: str, *lines: str) -> None:
        """Each of these lines, alone at that path, is a violation on that line."""
        for line in lines:
            found = violations(Source.of(path, f'"""A module."""\n{line}\n'))
            self.assertEqual([one.split(": ")[0] for one in found], [f"{path}:2"], line)

    def assert_keeps(self, path: str, *lines: str) -> None:
        """None of these lines is a violation at that path."""
        for line in lines:
            self.assertEqual(violations(Source.of(path, line)), [], line)

    def test_message(self) -> None:
        """A violation says where it is and what is wrong."""
        source = Source.of("pkgd/storage/local.py", "import os\n\nfrom pkgd.registry.blobs import Blobs\n")

        self.assertEqual(violations(source), ["pkgd/storage/local.py:3: storage may not import registry"])

    def test_upwards(self) -> None:
        """Nothing imports what stands above it."""
        self.assert_breaks(
            "pkgd/formats/oci.py",
            "from pkgd.storage.layout import SPOOL",
            "import pkgd.blocking",
            "from pkgd import flow",
        )
        self.assert_breaks(
            "pkgd/storage/local.py",
            "from pkgd.registry import blobs",
            "import pkgd.web.site",
            "from pkgd import daemon",
        )
        self.assert_breaks("pkgd/registry/blobs.py", "from pkgd.web.gate import Gate", "from pkgd.config import Config")
        self.assert_breaks(
            "pkgd/web/site.py",
            "from pkgd.daemon import Daemon",
            "from pkgd.config import Config",
            "from pkgd.state import Index",
        )
        self.assert_breaks("pkgd/errors/base.py", "from pkgd.formats.names import Tag")

    def test_sideways(self) -> None:
        """Rooms of one level don't know each other."""
        self.assert_breaks("pkgd/registry/blobs.py", "from pkgd.auth.model import Access")
        self.assert_breaks(
            "pkgd/auth/policy.py", "from pkgd.registry.blobs import Blobs", "from pkgd.storage.layout import SPOOL"
        )
        self.assert_breaks("pkgd/blocking.py", "from pkgd.errors import NotReady")
        self.assert_breaks("pkgd/state.py", "from pkgd.blocking import Blocking")

    def test_downwards(self) -> None:
        """What stands below, beside in the same room, or in the package itself may be imported."""
        self.assert_keeps(
            "pkgd/web/site.py",
            "from pkgd import errors",
            "from pkgd import __version__",
            "from pkgd.registry.blobs import Blobs",
        )
        self.assert_keeps(
            "pkgd/registry/blobs.py",
            "from pkgd.registry.uploads import Uploads",
            "from pkgd.state import Index",
            "import re",
        )
        self.assert_keeps("pkgd/daemon.py", "from pkgd.web.tls import CertificateFiles", "from pkgd.state import Index")

    def test_hidden_imports(self) -> None:
        """An import counts within functions and for type checking only, and a relative one is refused as such."""
        self.assert_breaks("pkgd/storage/local.py", "def f() -> None: import pkgd.web.site")
        self.assert_breaks("pkgd/storage/local.py", "if TYPE_CHECKING: from pkgd.web.site import Site")
        self.assert_breaks(
            "pkgd/storage/local.py", "from . import spool", "from ..web import site", "from .spool import Spool"
        )

    def test_new_rooms(self) -> None:
        """A module outside every room has to be given a place on the map first."""
        found = violations(Source.of("pkgd/utils/text.py", ""))

        self.assertEqual(found, ["pkgd/utils/text.py:1: utils is no room of the map"])

    def test_reactor(self) -> None:
        """The global reactor is for the doors."""
        lines = ["from twisted.internet import reactor", "import twisted.internet.reactor"]

        for path in ("pkgd/web/site.py", "pkgd/daemon.py", "pkgd/registry/blobs.py"):
            self.assert_breaks(path, *lines)
        for path in ("pkgd/tap.py", "pkgd/commands/serve.py", "pkgd.tac"):
            self.assert_keeps(path, *lines)

    def test_libraries(self) -> None:
        """Klein is for the edge, OpenSSL for certificates, SQL for the index, YAML for the configuration."""
        self.assert_breaks(
            "pkgd/registry/blobs.py",
            "from klein import Klein",
            "import sqlite3",
            "import OpenSSL",
            "from twisted.web import http",
        )
        self.assert_breaks(
            "pkgd/web/site.py",
            "from OpenSSL import SSL",
            "from twisted.enterprise import adbapi",
            "import yaml",
            "import shutil",
        )
        self.assert_keeps("pkgd/web/root.py", "from klein import Klein", "from twisted.web.http import RESPONSES")
        self.assert_keeps("pkgd/web/tls.py", "from OpenSSL import SSL")
        self.assert_keeps("pkgd/state.py", "import sqlite3", "from twisted.enterprise.adbapi import ConnectionPool")

    def test_banned(self) -> None:
        """What the threat model bans is banned everywhere."""
        imports = ["import tarfile", "from pickle import loads", "import requests", "from twisted.web import static"]
        imports += ["from twisted.web.static import File", "from twisted.names import client", "import importlib"]
        uses = [
            "run(command, shell=True)",
            "get(url, verify=False)",
            "address.is_global",
            "eval(text)",
            "__import__(name)",
            "time.sleep(1)",
        ]
        self.assert_breaks("pkgd/web/site.py", *imports, *uses)
        self.assert_breaks("pkgd/storage/local.py", *(one for one in imports if "static" not in one), *uses)
        self.assert_keeps(
            "pkgd/web/site.py", "run(command, shell=False)", "get(url, verify=True)", "address.is_loopback"
        )

    def test_files(self) -> None:
        """Files are for the storage and a few others; a function that is handed to a thread is a use of it."""
        lines = [
            "open(path)",
            "os.unlink(path)",
            "blocking.disk(os.stat, path)",
            "os.path.exists(path)",
            "from os import unlink",
        ]
        self.assert_breaks("pkgd/registry/blobs.py", *lines, "from os.path import exists", "import os as o", "f = open")
        self.assert_breaks("pkgd/web/respond.py", *lines)
        self.assert_keeps("pkgd/storage/fsops.py", *lines)
        self.assert_keeps(
            "pkgd/registry/blobs.py", "os.path.join(a, b)", "os.environ", "os.O_RDONLY", "store.open(key)", "import os"
        )

    def test_answers(self) -> None:
        """Answers are written by respond.py, whatever a request is called where it is at hand."""
        lines = [
            "request.send(200, b'')",
            "call.request.finish()",
            "self._request.write_body(b'')",
            "request.write(b'')",
            "f = request.finish",
        ]
        self.assert_breaks("pkgd/web/registry/blobs.py", *lines, "request.setHeader(b'a', b'b')")
        self.assert_keeps("pkgd/web/respond.py", *lines)
        self.assert_keeps("pkgd/web/channel.py", "request.lost()", "self._socket.send(data)", "transport.write(data)")
