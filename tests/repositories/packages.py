"""Packages to try with, made by Debian's and rpm's own tools."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.live.tools import run

_SPEC = """\
Name: toolbox
Version: {version}
Release: 1
Summary: A toolbox of pkgd's tests
License: MIT
BuildArch: noarch
%define _binary_payload w1.gzdio
Requires: toolbox-libs
Recommends: toolbox-doc
%description
A toolbox.
%package libs
Summary: Its libraries
%description libs
Libraries.
%package doc
Summary: Its documentation
%description doc
Documentation.
%install
mkdir -p %{{buildroot}}/usr/bin %{{buildroot}}/usr/share/toolbox
echo 'echo {version}' > %{{buildroot}}/usr/bin/toolbox
chmod 755 %{{buildroot}}/usr/bin/toolbox
echo libs > %{{buildroot}}/usr/share/toolbox/libs
echo doc > %{{buildroot}}/usr/share/toolbox/doc
%files
/usr/bin/toolbox
%files libs
/usr/share/toolbox/libs
%files doc
/usr/share/toolbox/doc
"""

_MANY = """\
Name: many
Version: 1.0
Release: 1
Summary: Many packages at once
License: MIT
BuildArch: noarch
%define _binary_payload w1.gzdio
%description
Many.
{packages}
%install
mkdir -p %{{buildroot}}/usr/share/many
for i in $(seq 0 {last}); do echo {prefix}$i {text} > %{{buildroot}}/usr/share/many/{prefix}$i; done
"""
_ONE = "%package -n {name}\nSummary: One\n%description -n {name}\nOne.\n%files -n {name}\n/usr/share/many/{name}\n"

_CONTROL = """\
Source: {name}
Section: utils
Priority: optional
Maintainer: Tests <tests@example.org>
Standards-Version: 4.6.2

Package: {name}
Architecture: all
Description: source of pkgd's tests
 It has no programs.
"""
_CHANGELOG = """\
{name} ({version}) {suite}; urgency=medium

  * A version.

 -- Tests <tests@example.org>  Mon, 03 Nov 2025 10:00:00 +0000
"""


@dataclass(frozen=True)
class Workshop:
    """Makes packages in a folder."""

    folder: Path

    def deb(
        self,
        name: str,
        version: str = "1.0",
        text: str = "",
        size: int = 0,
        architecture: str = "all",
        paths: Sequence[str] = (),
        fields: str = "",
        priority: str = "optional",
    ) -> Path:
        """A .deb with one text file, and one of zeros that are not compressed, if it is to have a size.

        :param paths: of further files.
        :param fields: further lines of its control file.
        """
        root = self.folder / "tree" / f"{name}-{version}-{len(text)}"
        doc = root / "usr/share/doc" / name
        doc.mkdir(parents=True)
        (root / "DEBIAN").mkdir()
        (root / "DEBIAN/control").write_text(
            f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
            f"Maintainer: Tests <tests@example.org>\nSection: utils\n"
            f"Priority: {priority}\n{fields}Description: package of pkgd's tests\n {name}, {text}\n"
        )
        (doc / "note").write_text(f"{name} {version} {text}\n")
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text("x")
        if size:
            (doc / "zeros").write_bytes(bytes(size))
        target = self.folder / "debs" / (text or "plain")
        target.mkdir(parents=True, exist_ok=True)
        file = target / f"{name}_{version}_{architecture}.deb"
        run("dpkg-deb", "--root-owner-group", "-Znone" if size else "-Zgzip", "-z1", "-b", str(root), str(file))
        shutil.rmtree(root)
        return file

    def debs(self, prefix: str, count: int) -> list[Path]:
        """Many packages."""
        return [self.deb(f"{prefix}{number}") for number in range(count)]

    def source(self, name: str, version: str = "1.0", suite: str = "stable") -> Path:
        """A native source, its binary package, and the .changes that lists both; the .changes is returned."""
        folder = self.folder / "source" / f"{name}-{version}"
        (folder / "debian/source").mkdir(parents=True)
        (folder / "debian/control").write_text(_CONTROL.format(name=name))
        (folder / "debian/changelog").write_text(_CHANGELOG.format(name=name, version=version, suite=suite))
        (folder / "debian/source/format").write_text("3.0 (native)\n")
        (folder / "debian/rules").write_text("#!/usr/bin/make -f\n")
        (folder / "README").write_text("The source.\n")
        run("env", "-C", str(folder), "dpkg-source", "-b", ".")
        shutil.move(self.deb(name, version), folder.parent)
        (folder / "debian/files").write_text(f"{name}_{version}_all.deb utils optional\n")
        changes = folder.parent / f"{name}_{version}_all.changes"
        changes.write_text(run("env", "-C", str(folder), "dpkg-genchanges"))
        return changes

    def toolbox(self, version: str) -> dict[str, Path]:
        """Three rpms by name: `toolbox` needs `toolbox-libs` and recommends `toolbox-doc`."""
        return self._rpmbuild(f"toolbox-{version}", _SPEC.format(version=version))

    def rpms(self, prefix: str, count: int, text: str = "") -> list[Path]:
        """Many rpms, each with a file that has this text."""
        packages = "\n".join(_ONE.format(name=f"{prefix}{number}") for number in range(count))
        spec = _MANY.format(packages=packages, last=count - 1, prefix=prefix, text=text)
        return list(self._rpmbuild(f"many-{prefix}", spec).values())

    def _rpmbuild(self, name: str, spec: str) -> dict[str, Path]:
        top = self.folder / "rpmbuild" / name
        top.mkdir(parents=True)
        (top / "it.spec").write_text(spec)
        run("rpmbuild", "-bb", "--quiet", "--define", f"_topdir {top}", str(top / "it.spec"))
        return {one.name.rsplit("-", 2)[0]: one for one in sorted(top.glob("RPMS/noarch/*.rpm"))}
