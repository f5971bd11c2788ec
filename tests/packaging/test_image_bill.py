"""The bill of an image: whose each of its files is."""

from __future__ import annotations

import io
import tarfile

from twisted.trial.unittest import SynchronousTestCase

from tests.packaging.scripts import load

image = load("sbom", "image")

_CONTROL = (
    b"Package: libc6\nSource: glibc (2.36)\nVersion: 2.36-9+deb12u14\nArchitecture: amd64\nDescription: C\n more: x\n"
)
_RELEASE = b'ID=debian\nVERSION_ID="12"\n'
_PROGRAM = {
    "metadata": {
        "component": {
            "bom-ref": "pkg:generic/pkgd@1",
            "purl": "pkg:generic/pkgd@1",
            "version": "1",
            "evidence": {"occurrences": [{"location": "pkgd"}, {"location": "pkgd-onedir/pkgd"}]},
        }
    },
    "components": [
        {
            "bom-ref": "pkg:pypi/attrs@26",
            "purl": "pkg:pypi/attrs@26",
            "evidence": {
                "occurrences": [
                    {"location": "pkgd!/attrs.so"},
                    {"location": "pkgd!/PYZ/attr"},
                    {"location": "pkgd-onedir/_internal/attrs.so"},
                    {"location": "pkgd-onedir/pkgd!/PYZ/attr"},
                ]
            },
        }
    ],
}
_BUILT = {"pkgd": b"one", "pkgd-onedir/pkgd": b"many", "pkgd-onedir/_internal/attrs.so": b"so"}
_HELD = {
    "libc6": {"lib/libc.so.6": b"C"},
    "base-files": {"usr/lib/os-release": _RELEASE},
    "ca-certificates": {
        "usr/share/ca-certificates/mozilla/a.crt": b"A",
        "usr/share/ca-certificates/mozilla/b.crt": b"B",
        "etc/other": b"C",
    },
}
_ROOTS = "etc/ssl/certs/ca-certificates.crt"


def _control(package: str) -> bytes:
    return _CONTROL.replace(b"libc6", package.encode())


_BASE = {
    "etc/passwd": b"root",
    "lib/libc.so.6": b"C",
    "usr/lib/os-release": _RELEASE,
    _ROOTS: b"AB",
    **{f"var/lib/dpkg/status.d/{package}": _control(package) for package in _HELD},
}
_ONE = {**_BASE, "usr/bin/pkgd": b"one"}
_FOLDER = {
    **_BASE,
    "usr/bin/pkgd": b"/opt/pkgd/pkgd",
    "opt/pkgd/pkgd": b"many",
    "opt/pkgd/_internal/attrs.so": b"so",
}


def _bill(files: dict[str, bytes]) -> dict[str, list[str]]:
    """Where each component is."""
    found = image.bill(image.Image("sha256:00", files), _PROGRAM, _HELD, _BUILT.get)
    return {
        one["bom-ref"].split("@")[0]: [place["location"] for place in one["evidence"]["occurrences"]]
        for one in found["components"]
    }


class BillTests(SynchronousTestCase):
    """Every file belongs to one component, or there is no bill."""

    def test_one_file(self) -> None:
        """The executable is pkgd's; what is inside of it is that of its bill, as far as it is this form."""
        found = _bill(_ONE)

        self.assertEqual(found["pkg:generic/pkgd"], ["/etc/passwd", "/usr/bin/pkgd"])
        self.assertEqual(found["pkg:pypi/attrs"], ["/usr/bin/pkgd!/PYZ/attr", "/usr/bin/pkgd!/attrs.so"])

    def test_folder(self) -> None:
        """The folder's files are those of their components, and the link to it is pkgd's."""
        found = _bill(_FOLDER)

        self.assertEqual(found["pkg:generic/pkgd"], ["/etc/passwd", "/opt/pkgd/pkgd", "/usr/bin/pkgd"])
        self.assertEqual(found["pkg:pypi/attrs"], ["/opt/pkgd/_internal/attrs.so", "/opt/pkgd/pkgd!/PYZ/attr"])

    def test_debian(self) -> None:
        """A file that is in a package, to the byte, is that package's, and so is what says that it is there."""
        found = _bill(_ONE)

        self.assertEqual(found["pkg:deb/debian/libc6"], ["/lib/libc.so.6", "/var/lib/dpkg/status.d/libc6"])

    def test_roots(self) -> None:
        """The one file of certificates is that of the package whose they are, and of nobody if one was added."""
        self.assertIn(f"/{_ROOTS}", _bill(_ONE)["pkg:deb/debian/ca-certificates"])
        self.assertRaises(image.Orphan, _bill, {**_ONE, _ROOTS: b"ABX"})

    def test_package(self) -> None:
        """A Debian package has its name, version, architecture, release and source."""
        found = image.bill(image.Image("sha256:00", _ONE), _PROGRAM, _HELD, _BUILT.get)
        (libc,) = (one for one in found["components"] if "/libc6@" in one["purl"])

        self.assertEqual(libc["purl"], "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64&distro=debian-12")
        self.assertEqual(libc["properties"], [{"name": "debian:source", "value": "glibc"}])

    def test_orphans(self) -> None:
        """A file of nobody's, one that differs from its package's, and a program that was not built here are errors."""
        for files in (
            {**_ONE, "etc/extra": b""},
            {**_ONE, "lib/libc.so.6": b"D"},
            {**_ONE, "usr/bin/pkgd": b"another"},
            {**_FOLDER, "opt/pkgd/_internal/attrs.so": b"another"},
            {**_FOLDER, "opt/pkgd/_internal/more.so": b"more"},
            {**_FOLDER, "opt/pkgd/_internal/attrs.so": b"/opt/pkgd/pkgd"},
        ):
            self.assertRaises(image.Orphan, _bill, files)

    def test_older_bill(self) -> None:
        """A file of the program that its bill does not have is an error: the bill is of another build."""
        files = {**_FOLDER, "opt/pkgd/_internal/more.so": b"more"}
        built = {**_BUILT, "pkgd-onedir/_internal/more.so": b"more"}

        self.assertRaises(image.Orphan, image.bill, image.Image("sha256:00", files), _PROGRAM, _HELD, built.get)

    def test_missing(self) -> None:
        """What the program's bill has and the image has not is an error: the bill is of another build."""
        files = {name: data for name, data in _FOLDER.items() if not name.endswith("attrs.so")}

        self.assertRaises(image.Orphan, _bill, files)


class ReadingTests(SynchronousTestCase):
    """Files of a layer."""

    def test_files(self) -> None:
        """Files have their content, links their target; folders are none of them."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, kind in (("./d", tarfile.DIRTYPE), ("./d/f", tarfile.REGTYPE), ("l", tarfile.SYMTYPE)):
                info = tarfile.TarInfo(name)
                info.type, info.linkname = kind, "d/f" if kind == tarfile.SYMTYPE else ""
                info.size = 2 if kind == tarfile.REGTYPE else 0
                archive.addfile(info, io.BytesIO(b"hi"))

        self.assertEqual(image.read_files(packed.getvalue()), {"d/f": b"hi", "l": b"d/f"})
