"""What an apt repository publishes, read by a reader that shares nothing with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import AlreadyExists, InvalidPackage, SigningError, UnknownPackage, UnknownRepository
from pkgd.packages.apt import AptRepository, Upload, Wanted
from pkgd.packages.records import AptSettings, SuiteSettings
from tests.packages.fixtures import NOW, Ground, hashes_of, made_deb, result
from tests.packages.readers import Suite, read_suite, stanzas

_DAY = 24 * 3600


def _suite(name: str, **more: Any) -> SuiteSettings:
    return SuiteSettings(codename=name, components=("main", "extra"), **more)


def made_dsc(version: str, **files: bytes) -> bytes:
    """The .dsc of a source `hello` with these files, in whose names two underscores stand for a dot."""
    rows = {name.replace("__", "."): hashes_of(data) for name, data in files.items()}
    lists = [
        "".join(f"\n {getattr(one, kind)} {one.size} {name}" for name, one in rows.items())
        for kind in ("md5", "sha256")
    ]
    text = f"Format: 3.0 (quilt)\nSource: hello\nBinary: hello\nArchitecture: any\nVersion: {version}\n"
    return (text + f"Files:{lists[0]}\nChecksums-Sha256:{lists[1]}\n").encode()


class AptCase(SynchronousTestCase):
    in_memory = True

    def setUp(self) -> None:
        self.ground = Ground(self.mktemp(), self.in_memory)
        self.repository = self.made()

    def made(self, suites: Sequence[SuiteSettings] | None = None, **more: Any) -> AptRepository:
        """The repository as a start finds it."""
        settings = AptSettings(name="main", suites=suites or (_suite("stable"), _suite("testing")), **more)
        ground = self.ground
        repository = AptRepository(settings, ground.store, ground.spool, ground.blocking, ground.signer, ground.clock)
        result(repository.start())
        return repository

    def add(self, data: bytes, suite: str = "stable", component: str = "main", name: str = "x.deb") -> Any:
        return result(self.repository.add(suite, component, self.ground.arrival(name, data)))

    def fetch(self, path: str) -> bytes:
        return self.ground.read(result(self.repository.open(path)))

    def suite(self, name: str = "stable", prefix: str = "") -> Suite:
        return read_suite(self.fetch, name, prefix)

    def versions(self, index: str, suite: str = "stable") -> list[str]:
        return [f"{one['Package']} {one['Version']}" for one in self.suite(suite)[index]]

    def release(self, suite: str = "stable") -> dict[str, str]:
        (fields,) = stanzas(self.fetch(f"dists/{suite}/Release"))
        return fields

    def pool(self) -> list[str]:
        assert hasattr(self.ground.store, "objects")
        return sorted(key for key in self.ground.store.objects if "/pool/" in key)


class AptPublishingTests(AptCase):
    """Uploads, and what clients read then."""

    def test_empty_suites_are_published_at_the_first_start(self) -> None:
        """`apt update` works before anything has been uploaded."""
        found = self.suite()
        self.assertIn("main/binary-amd64/Packages", found)
        self.assertIn("extra/source/Sources", found)
        self.assertEqual(sum(map(len, found.values())), 0)

    def test_a_package_is_listed_in_its_architecture(self) -> None:
        """Once `add` returns, the index and the file are there."""
        data = made_deb(version="1:2.0-1")
        added = self.add(data)
        self.assertTrue(added.created)
        self.assertEqual(added.generation, 2)
        self.assertTrue(added.path.endswith("/hello_2.0-1_amd64.deb"))
        self.assertEqual(self.fetch(added.path), data)
        self.assertEqual(self.versions("main/binary-amd64/Packages"), ["hello 1:2.0-1"])
        self.assertEqual(self.suite()["main/binary-arm64/Packages"], [])

    def test_packages_of_all_are_in_every_architecture(self) -> None:
        """And in an index of their own; Release tells clients that they need not read that one, too."""
        self.add(made_deb(architecture="all"))
        found = self.suite()
        for architecture in ("all", "amd64", "arm64"):
            self.assertEqual(len(found[f"main/binary-{architecture}/Packages"]), 1)
        self.assertEqual(self.release()["No-Support-for-Architecture-all"], "Packages")

    def test_a_new_architecture_begins_with_the_packages_of_all(self) -> None:
        """An architecture that nobody has configured joins with its first package, in every component."""
        self.add(made_deb("common", architecture="all"))
        self.add(made_deb("other", architecture="all"), component="extra")
        self.add(made_deb(architecture="riscv64"))
        self.assertEqual(self.versions("main/binary-riscv64/Packages"), ["common 1.0", "hello 1.0"])
        self.assertEqual(self.versions("extra/binary-riscv64/Packages"), ["other 1.0"])
        self.assertEqual(self.release()["Architectures"], "all amd64 arm64 riscv64")

    def test_udebs_have_an_index_of_their_own(self) -> None:
        """They are for the installer only."""
        self.add(made_deb(Section="debian-installer"), name="hello_1.0_amd64.udeb")
        found = self.suite()
        self.assertEqual(len(found["main/debian-installer/binary-amd64/Packages"]), 1)
        self.assertEqual(found["main/binary-amd64/Packages"], [])

    def test_every_form_is_one_that_clients_read(self) -> None:
        """xz is one stream even if its blocks are of different publishes."""
        self.repository = self.made(forms=("xz", "gz", "zst"))
        for number in range(3):
            self.add(made_deb(f"package{number}"))
        self.assertEqual(len(self.versions("main/binary-amd64/Packages")), 3)
        self.assertIn("main/binary-amd64/Packages.xz", self.release()["SHA256"])

    def test_another_form_is_made_of_what_is_there(self) -> None:
        """Settings may change from one start to the next."""
        self.add(made_deb())
        self.repository = self.made(forms=("xz",))
        self.assertEqual(self.versions("main/binary-amd64/Packages"), ["hello 1.0"])
        self.assertNotIn("Packages.gz", self.release()["SHA256"])

    def test_release_says_what_the_settings_say(self) -> None:
        """Origin, label and the like."""
        suite = _suite("stable", origin="Us", label="Ours", description="All of it", not_automatic=True)
        self.repository = self.made((suite,), valid_for=7 * _DAY)
        found = self.release()
        names = ("Origin", "Label", "Description", "NotAutomatic", "Codename", "Acquire-By-Hash", "Components")
        self.assertEqual(
            [found[name] for name in names], ["Us", "Ours", "All of it", "yes", "stable", "yes", "main extra"]
        )
        self.assertIn("Valid-Until", found)

    def test_several_versions_stay(self) -> None:
        """A new version doesn't replace the old one."""
        self.add(made_deb(version="1.0"))
        self.add(made_deb(version="1.1"))
        self.assertEqual(self.versions("main/binary-amd64/Packages"), ["hello 1.0", "hello 1.1"])

    def test_many_packages_fill_many_leaves(self) -> None:
        """Indices are whole, wherever they are cut."""
        names = [f"package{number:04}" for number in range(300)]
        for name in reversed(names):
            self.add(made_deb(name))
        found = self.versions("main/binary-amd64/Packages")
        self.assertEqual(found, [f"{name} 1.0" for name in names])
        for name in names[10:295]:
            result(self.repository.remove("stable", "main", f"{name}_1.0_amd64.deb"))
        self.assertEqual(len(self.versions("main/binary-amd64/Packages")), 15)


class AptConflictTests(AptCase):
    """What may be published once only, and what is refused."""

    def test_the_same_bytes_again_are_no_new_package(self) -> None:
        """A repeated upload is answered like the first, and publishes nothing."""
        self.add(made_deb())
        again = self.add(made_deb())
        self.assertFalse(again.created)
        self.assertEqual(again.generation, 2)

    def test_other_bytes_of_one_version_are_refused(self) -> None:
        """Wherever in the suite they are; nothing of them stays."""
        self.add(made_deb())
        before = self.pool()
        for component in ("main", "extra"):
            with self.assertRaises(AlreadyExists):
                self.add(made_deb(Section="misc"), component=component)
        self.assertEqual(self.pool(), before)

    def test_suites_may_have_different_builds(self) -> None:
        """Of one version: their files have different paths."""
        first, second = made_deb(), made_deb(Section="misc")
        paths = [self.add(first).path, self.add(second, suite="testing").path]
        self.assertEqual([self.fetch(path) for path in paths], [first, second])

    def test_what_is_not_configured_is_unknown(self) -> None:
        """Suites and components."""
        for suite, component in (("unstable", "main"), ("stable", "contrib")):
            with self.assertRaises(UnknownRepository):
                self.add(made_deb(), suite, component)

    def test_what_is_no_package_is_refused(self) -> None:
        """Before anything is placed."""
        with self.assertRaises(InvalidPackage):
            self.add(b"not a package")
        self.assertEqual(self.pool(), [])

    def test_a_failing_signer_publishes_nothing(self) -> None:
        """The upload fails, its file goes, and what was published stays whole."""
        self.add(made_deb())
        self.ground.signer.broken = True
        with self.assertRaises(SigningError):
            self.add(made_deb("other"))
        self.assertEqual(self.versions("main/binary-amd64/Packages"), ["hello 1.0"])
        self.assertEqual(len(self.pool()), 1)
        self.ground.signer.broken = False
        self.add(made_deb("other"))
        self.assertEqual(self.versions("main/binary-amd64/Packages"), ["hello 1.0", "other 1.0"])


class AptChangeTests(AptCase):
    """Removals and copies."""

    def test_a_removed_package_is_in_no_index(self) -> None:
        """Of `all`, in none of any architecture."""
        self.add(made_deb(architecture="all"))
        self.add(made_deb("other"))
        removed = result(self.repository.remove("stable", "main", "hello_1.0_all.deb"))
        self.assertEqual([one.name for one in removed.packages], ["hello"])
        found = self.suite()
        self.assertEqual(found["main/binary-arm64/Packages"], [])
        self.assertEqual([one["Package"] for one in found["main/binary-amd64/Packages"]], ["other"])

    def test_what_is_not_there_cannot_be_removed(self) -> None:
        """And nothing is published."""
        with self.assertRaises(UnknownPackage):
            result(self.repository.remove("stable", "main", "hello_1.0_amd64.deb"))
        self.assertEqual(result(self.repository.open("dists/stable/Release")).generation, 1)

    def test_a_copy_is_the_same_file(self) -> None:
        """Promotion moves no bytes."""
        self.add(made_deb(), component="extra")
        (added,) = result(self.repository.copy("stable", "testing", Wanted("hello")))
        self.assertTrue(added.created)
        self.assertEqual(self.versions("extra/binary-amd64/Packages", "testing"), ["hello 1.0"])
        self.assertEqual(len(self.pool()), 1)

    def test_a_copy_that_conflicts_copies_nothing(self) -> None:
        """All or none."""
        self.add(made_deb(version="0.9"))
        self.add(made_deb())
        self.add(made_deb(Section="misc"), suite="testing")
        with self.assertRaises(AlreadyExists):
            result(self.repository.copy("stable", "testing", Wanted("hello")))
        self.assertEqual(self.versions("main/binary-amd64/Packages", "testing"), ["hello 1.0"])

    def test_a_source_is_copied_with_what_was_built_from_it(self) -> None:
        """Whatever the packages are called, and in one generation; other versions of it stay where they are."""
        self.add(made_deb("hello-doc", "2:1.0", "all", Source="hello (1.0)"))
        self.add(made_deb("libhello1", Source="hello"), component="extra")
        self.add(made_deb("hello", "1.1"))
        self.add(made_deb("helloworld"))
        self.add(made_deb())
        added = result(self.repository.copy("stable", "testing", Wanted("hello", "1.0", is_source=True)))
        self.assertEqual(
            [(one.name, one.version) for one in added], [("libhello1", "1.0"), ("hello-doc", "2:1.0"), ("hello", "1.0")]
        )
        self.assertEqual({one.generation for one in added}, {2})

    def test_a_path_is_taken_out_of_every_suite(self) -> None:
        """By the address of the file."""
        path = self.add(made_deb()).path
        result(self.repository.copy("stable", "testing", Wanted("hello")))
        removed = result(self.repository.remove_everywhere(path))
        self.assertEqual([one.suite for one in removed], ["stable", "testing"])
        self.assertEqual(self.versions("main/binary-amd64/Packages", "testing"), [])

    def test_listings_have_each_package_once(self) -> None:
        """Those of all, too."""
        self.add(made_deb(architecture="all"))
        self.add(made_deb("other"))
        found = result(self.repository.list("stable"))
        self.assertEqual([(one.name, one.architecture) for one in found], [("hello", "all"), ("other", "amd64")])
        self.assertEqual(len(result(self.repository.list("stable", "main", "other"))), 1)


class AptTogetherTests(AptCase):
    """Packages that are uploaded together: all are published, or none."""

    def together(self, *debs: bytes, suites: Sequence[str] = ("stable",)) -> Any:
        uploads = [Upload("main", self.ground.arrival(f"{number}.deb", data)) for number, data in enumerate(debs)]
        return result(self.repository.add_together(suites, uploads))

    def test_they_share_a_generation(self) -> None:
        """One for all, whatever else is uploaded."""
        added = self.together(made_deb(), made_deb("other"), made_deb("third", architecture="all"))
        self.assertEqual(
            [(one.name, one.generation, one.created) for one in added][1:], [("other", 2, True), ("third", 2, True)]
        )
        self.assertEqual(len(self.versions("main/binary-amd64/Packages")), 3)

    def test_one_that_is_no_package_refuses_all(self) -> None:
        """Its file is named; nothing is published or placed."""
        with self.assertRaises(InvalidPackage) as caught:
            self.together(made_deb(), b"no package")
        self.assertIn("1.deb", str(caught.exception))
        self.assertEqual((self.versions("main/binary-amd64/Packages"), self.pool()), ([], []))

    def test_one_that_conflicts_refuses_all(self) -> None:
        """With what is published, in whichever suite; the package is named."""
        self.add(made_deb("other"), suite="testing")
        before = self.pool()
        with self.assertRaises(AlreadyExists) as caught:
            self.together(made_deb(), made_deb("other", Section="misc"), suites=["stable", "testing"])
        self.assertIn("other 1.0", str(caught.exception))
        self.assertEqual(self.pool(), before)
        for suite in ("stable", "testing"):
            self.assertNotIn("hello 1.0", self.versions("main/binary-amd64/Packages", suite))

    def test_two_that_conflict_with_each_other_refuse_all(self) -> None:
        """Two builds of one version."""
        with self.assertRaises(AlreadyExists):
            self.together(made_deb("other"), made_deb(), made_deb(Section="misc"))
        self.assertEqual((self.versions("main/binary-amd64/Packages"), self.pool()), ([], []))

    def test_what_is_there_already_is_no_conflict(self) -> None:
        """The rest of the set is published."""
        self.add(made_deb())
        created = [one.created for one in self.together(made_deb(), made_deb("other"))]
        self.assertEqual(created, [False, True])

    def test_they_go_into_several_suites(self) -> None:
        """A component that one of them lacks refuses all."""
        self.together(made_deb(), made_deb("other"), suites=["stable", "testing"])
        for suite in ("stable", "testing"):
            self.assertEqual(len(self.versions("main/binary-amd64/Packages", suite)), 2)
        self.repository = self.made((_suite("stable"), SuiteSettings(codename="narrow")))
        with self.assertRaises(UnknownRepository):
            upload = Upload("extra", self.ground.arrival("x.deb", made_deb("third")))
            result(self.repository.add_together(["stable", "narrow"], [upload]))
        self.assertEqual(self.versions("extra/binary-amd64/Packages"), [])

    def test_a_failing_signer_refuses_all(self) -> None:
        """And leaves no file."""
        self.ground.signer.broken = True
        with self.assertRaises(SigningError):
            self.together(made_deb(), made_deb("other"))
        self.assertEqual(self.pool(), [])


class AptSourceTests(AptCase):
    """Source packages."""

    def send(self, version: str, sent: Sequence[str], **files: bytes) -> Any:
        dsc = self.ground.arrival("hello.dsc", made_dsc(version, **files))
        arrivals = {
            name.replace("__", "."): self.ground.arrival(name, data) for name, data in files.items() if name in sent
        }
        return result(self.repository.add_source("stable", "main", dsc, arrivals))

    def test_a_source_is_listed_with_its_files(self) -> None:
        """The .dsc is one of them."""
        self.send("1.0-1", ["hello_1__orig"], hello_1__orig=b"tar")
        (found,) = self.suite()["main/source/Sources"]
        self.assertEqual((found["Package"], found["Version"]), ("hello", "1.0-1"))
        self.assertIn("hello_1.0-1.dsc", found["Files"])

    def test_the_next_version_uses_the_files_of_the_first(self) -> None:
        """dput sends the upstream's archive once only."""
        self.send("1.0-1", ["hello_1__orig"], hello_1__orig=b"tar")
        self.send("1.0-2", ["hello_1__debian"], hello_1__orig=b"tar", hello_1__debian=b"more")
        self.assertEqual(len(self.suite()["main/source/Sources"]), 2)

    def test_a_dsc_is_read_by_a_worker(self) -> None:
        """It may be long, and the reactor has others to serve."""
        self.ground.blocking.computed.clear()
        self.send("1.0-1", ["hello_1__orig"], hello_1__orig=b"tar")
        self.assertLessEqual({"read_dsc", "sources_stanza"}, set(self.ground.blocking.computed))

    def test_a_file_that_is_nowhere_is_missed(self) -> None:
        """So is one that is another than the .dsc says."""
        with self.assertRaises(InvalidPackage):
            self.send("1.0-1", [], hello_1__orig=b"tar")
        dsc = self.ground.arrival("hello.dsc", made_dsc("1.0-1", hello_1__orig=b"tar"))
        with self.assertRaises(InvalidPackage):
            files = {"hello_1.orig": self.ground.arrival("x", b"rat")}
            result(self.repository.add_source("stable", "main", dsc, files))
        self.assertEqual(self.pool(), [])

    def test_a_removed_source_is_gone(self) -> None:
        """By the name of its .dsc; a binary package of the name stays."""
        self.add(made_deb())
        self.send("1.0-1", ["hello_1__orig"], hello_1__orig=b"tar")
        result(self.repository.remove("stable", "main", "hello_1.0-1.dsc"))
        found = self.suite()
        self.assertEqual(found["main/source/Sources"], [])
        self.assertEqual(len(found["main/binary-amd64/Packages"]), 1)


class AptGenerationTests(AptCase):
    """Dates, and what stays for clients that hold an old Release."""

    def test_dates_never_go_back(self) -> None:
        """Whatever the clock does: apt would take an older one for a hit, and keep its lists."""
        self.add(made_deb())
        self.ground.clock.rightNow = NOW - 5000
        self.add(made_deb("other"))
        self.assertEqual(result(self.repository.open("dists/stable/Release")).modified, NOW)

    def test_a_kept_generation_is_whole(self) -> None:
        """By its number, and each of its files by hash."""
        self.add(made_deb())
        before = self.suite(prefix="@2/")
        result(self.repository.remove("stable", "main", "hello_1.0_amd64.deb"))
        for _ in ("running", "restarted"):
            self.assertEqual(self.suite(prefix="@2/"), before)
            self.repository = self.made()

    def test_paths_that_lead_elsewhere_are_unknown(self) -> None:
        """Whatever is asked for."""
        self.add(made_deb())
        for path in (
            "pool/../suites/stable/current",
            "dists/stable/../x",
            "dists/stable",
            "@0/dists/stable/Release",
            "@x/dists/stable/Release",
            "@9/dists/stable/Release",
            "pool",
            "pool//x",
            "",
            "suites/stable/current",
            f"dists/stable/main/binary-amd64/by-hash/SHA256/{64 * '0'}",
            "dists/none/Release",
        ):
            with self.assertRaises(UnknownPackage):
                result(self.repository.open(path))


class AptOnDiskTests(AptPublishingTests):
    """The same on a file system."""

    in_memory = False
