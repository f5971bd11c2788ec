"""What `pkgd rebuild` makes of damaged repositories: whatever can be told from the state is published again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.packages.apt import AptRepository, Wanted
from pkgd.packages.aptrebuild import AptKind
from pkgd.packages.records import AptSettings, RpmSettings, SuiteSettings, Window
from pkgd.packages.recovery import Orders, Recovered, Recovery, summary
from pkgd.packages.rpm import RpmRepository
from pkgd.packages.rpmrebuild import RpmKind
from pkgd.packages.shelf import Shelf
from tests.formats.debs import deb
from tests.packages.fixtures import NOW, Ground, made_deb, result
from tests.packages.readers import Suite, read_rpm_repository, read_suite
from tests.packages.test_rpm import made_rpm
from tests.properties import brief

_BASE = "apt/main/suites/stable"
_DAY = 24 * 3600
_COMPS = b"<?xml version='1.0'?><comps><group/></comps>"


class Quiet:
    """A progress that nobody looks at."""

    def begin(self, what: str, total: int) -> None:
        """See `Progress`."""

    def advance(self) -> None:
        """See `Progress`."""


class AptCase(SynchronousTestCase):
    """Two suites: packages of several architectures, a source, one removed, one copied."""

    def setUp(self) -> None:
        """Populate it, and remember what clients see."""
        self.ground = Ground(self.mktemp())
        self.settings = AptSettings(
            name="main",
            suites=[SuiteSettings(codename="stable"), SuiteSettings(codename="testing")],
            window=Window(2, 50),
        )
        self.repository = self.started()
        for name, architecture in (("a0", "amd64"), ("b1", "all"), ("c2", "riscv64"), ("d3", "all"), ("gone", "amd64")):
            self.add("stable", made_deb(name, "1", architecture))
        self.add("testing", made_deb("t0"))
        result(self.repository.remove("stable", "main", "gone_1_amd64.deb"))
        self.add_source()
        self.add("stable", made_deb("installer", "1"), "x.udeb")
        result(self.repository.copy("stable", "testing", Wanted("b1")))
        self.before = {name: self.read(name) for name in ("stable", "testing")}

    def started(self) -> AptRepository:
        """The repository as a start finds it."""
        ground = self.ground
        found = AptRepository(self.settings, ground.store, ground.spool, ground.blocking, ground.signer, ground.clock)
        result(found.start())
        return found

    def add(self, suite: str, data: bytes, name: str = "x.deb") -> Any:
        """Upload a package."""
        return result(self.repository.add(suite, "main", self.ground.arrival(name, data)))

    def add_source(self) -> None:
        """Upload a source of one file."""
        tarball = b"a tarball"
        md5, sha256 = (hashlib.new(name, tarball).hexdigest() for name in ("md5", "sha256"))
        row = f"{len(tarball)} s0_1.tar.xz"
        dsc = (
            "Format: 3.0 (native)\nSource: s0\nBinary: s0\nArchitecture: any\nVersion: 1\n"
            f"Maintainer: A <a@example.org>\nChecksums-Sha256:\n {sha256} {row}\nFiles:\n {md5} {row}\n"
        )
        arrivals = {"s0_1.tar.xz": self.ground.arrival("s0_1.tar.xz", tarball)}
        result(self.repository.add_source("stable", "main", self.ground.arrival("s0_1.dsc", dsc.encode()), arrivals))

    @property
    def objects(self) -> dict[str, bytes]:
        """What is stored."""
        return self.ground.store.objects  # type: ignore[attr-defined,no-any-return]

    def read(self, suite: str) -> dict[str, list[tuple[str, ...]]]:
        """What clients see of a suite; everything is checked, and every file fetched."""
        found: Suite = read_suite(lambda path: self.ground.read(result(self.repository.open(path))), suite)
        return {
            slot: sorted((one["Package"], one["Version"], one.get("SHA256", "")) for one in stanzas)
            for slot, stanzas in found.items()
            if "Contents" not in slot
        }

    def recover(self, adopting: str = "", discard: bool = False) -> Recovered:
        """Rebuild, and start the repository again."""
        ground = self.ground
        kind = AptKind(self.settings, ground.store, ground.blocking, ground.signer)
        result(kind.load())
        orders = Orders(frozenset(filter(None, [adopting])), discard, lambda key: NOW)
        recovered: Recovered = result(Recovery(ground.store, ground.blocking, ground.clock, Quiet()).run(kind, orders))
        self.repository = self.started()
        return recovered

    def damage(self, chosen: Callable[[str], bool], data: bytes | None = b"{") -> list[str]:
        """Damage objects, or remove them; returns their keys."""
        keys = [key for key in self.objects if chosen(key)]
        assert keys, "nothing to damage"
        for key in keys:
            if data is None:
                del self.objects[key]
            else:
                self.objects[key] = data
        return keys

    def assert_same(self) -> None:
        """Clients see what they saw."""
        self.assertEqual({name: self.read(name) for name in ("stable", "testing")}, self.before)

    def newest(self) -> int:
        """The number of the newest generation of stable."""
        return max(int(key.rpartition("/")[2]) for key in self.objects if key.startswith(f"{_BASE}/generations/"))


class AptRecoveryTests(AptCase):
    """An apt repository."""

    def test_nothing_is_damaged(self) -> None:
        """All is published anew, in a generation of its own; older ones are kept, and nothing else is left."""
        before = self.newest()
        recovered = self.recover()
        self.assertTrue(recovered.is_well)
        self.assertEqual([one.generation for one in recovered.outcomes], [before + 1, 4])
        self.assertEqual([one.packages for one in recovered.outcomes], [6, 2])
        self.assertEqual(recovered.orphans, [])
        self.assert_same()
        self.assertEqual(result(self.repository.open(f"@{before}/dists/stable/Release")).generation, before)
        self.add("stable", made_deb("later"))
        self.assertEqual(len(result(self.repository.list("stable"))), 7)

    def test_each_kind_of_record(self) -> None:
        """Damaged or missing: the pointer, the last generation, an index, a leaf in one form or in all."""
        number = self.newest()
        for chosen in (
            lambda key: key == f"{_BASE}/current",
            lambda key: key == f"{_BASE}/generations/{number}",
            lambda key: key.startswith(f"{_BASE}/indices/{number}-"),
            lambda key: key.startswith(f"{_BASE}/leaves/") and key.endswith(".zst"),
            lambda key: key.startswith(f"{_BASE}/leaves/") and key.endswith(".gz"),
        ):
            for data in (b"", b"{", b'{"generation": "x"}', None):
                with self.subTest(data=data):
                    self.setUp()
                    keys = self.damage(chosen, data)
                    recovered = self.recover()
                    self.assertTrue(recovered.is_well, recovered)
                    damaged = set(recovered.outcomes[0].damaged_records)
                    self.assertTrue(damaged or data is None)
                    self.assert_same()
                    self.assertFalse([key for key in keys if self.objects.get(key) == data is not None])
                    self.ground.clock.advance(_DAY)
                    result(self.repository.sweep())
                    self.assert_same()

    def test_all_but_the_leaves(self) -> None:
        """All is there again, and what had been taken out a while ago as well, for nothing says that it was."""
        self.damage(lambda key: key.startswith((f"{_BASE}/indices", f"{_BASE}/generations", f"{_BASE}/current")), None)
        self.assertTrue(self.recover().is_well)
        for slot, packages in self.read("stable").items():
            self.assertEqual([one for one in packages if one[0] != "gone"], self.before["stable"][slot])

    @brief
    @given(st.data())
    def test_any_damage_to_records_loses_nothing(self, data: st.DataObject) -> None:
        """Either all is there again, or it is said that something may be lacking; adopted, all is there."""
        self.setUp()
        records = sorted(key for key in self.objects if key.startswith(_BASE))
        for key in data.draw(st.lists(st.sampled_from(records), min_size=1, max_size=25, unique=True)):
            if data.draw(st.booleans()):
                del self.objects[key]
            else:
                self.objects[key] = self.objects[key][:-1]
        recovered = self.recover_patiently()
        if recovered.outcomes[0].problem:
            recovered = self.recover("stable")
        self.assertFalse(recovered.outcomes[0].problem)
        for slot, packages in self.before["stable"].items():
            self.assertLessEqual(set(packages), set(self.read("stable")[slot]), slot)

    def recover_patiently(self) -> Recovered:
        """Rebuild without a start: what isn't rebuilt may not start."""
        ground = self.ground
        kind = AptKind(self.settings, ground.store, ground.blocking, ground.signer)
        result(kind.load())
        recovered: Recovered = result(
            Recovery(ground.store, ground.blocking, ground.clock, Quiet()).run(kind, Orders())
        )
        if not recovered.outcomes[0].problem:
            self.repository = self.started()
        return recovered

    def test_without_any_record_nothing_is_guessed(self) -> None:
        """The files may be of any suite; it is left as it is until somebody says of which."""
        self.damage(lambda key: key.startswith(f"{_BASE}/leaves"), None)
        before = dict(self.objects)
        recovered = self.recover_patiently()
        self.assertIn("may belong to it", recovered.outcomes[0].problem)
        self.assertFalse(recovered.is_well)
        self.assertEqual(
            {key: one for key, one in self.objects.items() if key.startswith(_BASE)},
            {key: one for key, one in before.items() if key.startswith(_BASE)},
        )
        recovered = self.recover("stable")
        self.assertEqual((recovered.outcomes[0].problem, recovered.orphans), ("", []))
        found = self.read("stable")
        for slot, packages in self.before["stable"].items():
            self.assertLessEqual(set(packages) - {one for one in packages if one[0] == "b1"}, set(found[slot]))

    def test_a_half_published_generation_is_not_published(self) -> None:
        """What a crash has left beyond the pointer was never acknowledged."""
        number = self.newest()
        pointer = self.objects[f"{_BASE}/current"]
        self.add("stable", made_deb("half"))
        self.objects[f"{_BASE}/current"] = pointer
        recovered = self.recover()
        self.assertEqual(recovered.outcomes[0].generation, number + 2)
        self.assertNotIn(f"{_BASE}/generations/{number + 1}", self.objects)
        self.assert_same()
        (orphan,) = recovered.orphans
        self.assertTrue(orphan.endswith("half_1.0_amd64.deb"))

    def test_missing_and_damaged_files(self) -> None:
        """Their packages are left out, and named; a damaged file makes room for a new upload."""
        (a0,) = self.damage(lambda key: "/pool/" in key and "a0_1" in key, b"!")
        (s0,) = self.damage(lambda key: "/pool/" in key and "s0_1.tar" in key, b"other")
        (d3,) = self.damage(lambda key: "/pool/" in key and "d3_1" in key, None)
        recovered = self.recover()
        (stable, testing) = recovered.outcomes
        self.assertFalse(recovered.is_well)
        self.assertEqual([f"apt/main/{path}" for path in stable.missing], [d3])
        self.assertEqual(sorted(f"apt/main/{path}" for path, _ in stable.damaged), sorted([a0, s0]))
        self.assertTrue(testing.packages == 2 and not testing.damaged)
        self.assertEqual(self.objects[a0.replace("/pool/", "/=damaged/pool/")], b"!")
        left = {one[0] for packages in self.read("stable").values() for one in packages}
        self.assertEqual(left, {"b1", "c2", "installer"})
        self.assertTrue(self.add("stable", made_deb("a0", "1", "amd64")).created)
        self.assertIn("a0", [one.name for one in result(self.repository.list("stable"))])

    def test_files_that_nothing_names(self) -> None:
        """They are told of; adopted they are packages, discarded they go, but not before they are old."""
        digest = self.orphan(made_deb("orphan"))
        self.assertEqual(len(self.recover().orphans), 1)
        self.assert_same()
        young = self.recover(discard=True)
        self.assertEqual((len(young.orphans), young.discarded), (1, []))
        recovered = self.recover("testing")
        self.assertEqual((recovered.outcomes[1].adopted, recovered.orphans), (1, []))
        self.assertIn(digest, [one.sha256 for one in result(self.repository.list("testing"))])
        self.orphan(made_deb("other"))
        self.ground.clock.advance(_DAY)
        recovered = self.recover(discard=True)
        self.assertEqual((recovered.orphans, len(recovered.discarded)), ([], 1))
        self.assertFalse([key for key in self.objects if "other_1" in key])

    def orphan(self, data: bytes) -> str:
        """A file that was placed, and never published."""
        digest = hashlib.sha256(data).hexdigest()
        name = "orphan" if b"orphan" in data or made_deb("orphan") == data else "other"
        self.objects[f"apt/main/pool/main/{name[0]}/{name}/{digest[:12]}/{name}_1.0_amd64.deb"] = data
        return digest

    def test_what_is_adopted_must_fit(self) -> None:
        """Another build of what is there is left out, and so is what is no package."""
        self.orphan_as("a0", made_deb("a0", "1", "amd64", Homepage="https://example.org"))
        self.orphan_as("junk", deb(b"Package: x\n"))
        recovered = self.recover("stable")
        self.assertEqual([path.rpartition("/")[2] for path, _ in recovered.outcomes[0].left_out], ["a0_1_amd64.deb"])
        self.assertEqual(len(recovered.outcomes[0].damaged), 1)
        self.assert_same()

    def orphan_as(self, name: str, data: bytes) -> None:
        """A file at the place of a package."""
        digest = hashlib.sha256(data).hexdigest()[:12]
        self.objects[f"apt/main/pool/main/{name[0]}/{name}/{digest}/{name}_1_amd64.deb"] = data

    def test_files_of_a_suite_that_is_not_configured(self) -> None:
        """Are named by its records."""
        self.settings = AptSettings(name="main", suites=self.settings.suites[:1])
        self.ground.clock.advance(_DAY)
        recovered = self.recover(discard=True)
        self.assertEqual((recovered.orphans, recovered.discarded), ([], []))

    def test_a_failing_signer(self) -> None:
        """Nothing is published, and what was is still there."""
        self.ground.signer.broken = True
        recovered = self.recover_patiently()
        self.ground.signer.broken = False
        self.assertIn("out of ink", recovered.outcomes[0].problem)
        self.repository = self.started()
        self.assert_same()

    def test_many_packages(self) -> None:
        """More than fit into one batch, and leaves for which there is no room in memory."""
        for number in range(60):
            self.add("testing", made_deb(f"p{number:02}", "1", ("all", "amd64")[number % 2]))
        self.before["testing"] = self.read("testing")
        from pkgd.packages import rebuilding

        self.patch(rebuilding, "_BATCH", 7)
        self.patch(rebuilding, "Shelf", partial(Shelf, room=0))
        self.assertTrue(self.recover().is_well)
        self.assert_same()
        named = {key.rpartition("/")[2] for key in self.objects if "/testing/leaves/" in key}
        self.assertTrue(named)

    def test_contents(self) -> None:
        """Are there again, complete at once; their own records are no packages."""
        self.ground = Ground(self.mktemp())
        self.settings = AptSettings(name="main", suites=self.settings.suites, contents=True)
        self.repository = self.started()
        for name in ("x0", "y1", "z2"):
            self.add("stable", made_deb(name, paths=[f"./usr/bin/{name}", "./Package: of all"]))
        self.before = {name: self.read(name) for name in ("stable", "testing")}
        texts = self.contents()
        self.assertTrue(texts)
        for key in (f"{_BASE}/current", f"{_BASE}/generations/{self.newest()}"):
            self.objects[key] = b"{"
            self.assertTrue(self.recover().is_well)
            self.assert_same()
            self.assertEqual(self.contents(), texts)

    def contents(self) -> list[Any]:
        """What Contents say."""
        found = read_suite(lambda path: self.ground.read(result(self.repository.open(path))), "stable")
        return [(slot, one) for slot, lines in sorted(found.items()) if "Contents" in slot for one in lines]

    def test_summary(self) -> None:
        """For programs: everything that was found."""
        found = summary(self.recover())
        self.assertEqual(found["repository"], "apt:main")
        self.assertEqual([one["packages"] for one in found["suites"]], [6, 2])  # type: ignore[attr-defined]


class RpmRecoveryTests(SynchronousTestCase):
    """An rpm repository, with a document beside its packages."""

    def setUp(self) -> None:
        """Populate it."""
        self.ground = Ground(self.mktemp())
        self.settings = RpmSettings(name="internal/el9")
        self.repository = self.started()
        for name in ("a", "b", "gone"):
            result(self.repository.add(self.ground.arrival("x.rpm", made_rpm(name))))
            self.ground.clock.advance(60)
        result(self.repository.remove("gone-1.0-1.x86_64.rpm"))
        result(self.repository.documents.put("group", self.ground.arrival("x", _COMPS)))
        self.before = self.read()

    def started(self) -> RpmRepository:
        """The repository as a start finds it."""
        ground = self.ground
        found = RpmRepository(self.settings, ground.store, ground.spool, ground.blocking, ground.signer, ground.clock)
        result(found.start())
        return found

    def read(self) -> Any:
        """What clients see."""
        return read_rpm_repository(lambda path: self.ground.read(result(self.repository.open(path))))

    def recover(self, adopting: bool = False) -> Recovered:
        """Rebuild."""
        ground = self.ground
        kind = RpmKind(self.settings, ground.store, ground.blocking, ground.signer, ground.clock)  # type: ignore[arg-type]
        recovery = Recovery(ground.store, ground.blocking, ground.clock, Quiet())
        recovered: Recovered = result(recovery.run(kind, Orders(frozenset([""] if adopting else []))))
        if recovered.is_well:
            self.repository = self.started()
        return recovered

    def test_each_kind_of_record(self) -> None:
        """As for apt; the document is there again, too, and the times of uploads stay."""
        objects: dict[str, bytes] = self.ground.store.objects  # type: ignore[attr-defined]
        text = self.ground.read(result(self.repository.open("repodata/repomd.xml")))
        for part in ("current", "generations/6", "indices/6", "leaves/5", "none"):
            self.setUp()
            objects = self.ground.store.objects  # type: ignore[attr-defined]
            for key in [key for key in objects if key.startswith(f"rpm/internal/el9/{part}")]:
                objects[key] = b"{"
            self.assertTrue(self.recover().is_well, part)
            self.assertEqual(self.read(), self.before)
        self.assertIn(b"<revision>6<", text)
        sizes = [len(list(self.before[kind])) for kind in ("primary", "filelists", "other")]
        self.assertEqual(sizes, [2, 2, 2])

    def test_a_document_that_is_lost(self) -> None:
        """It is named, and everything else published."""
        objects: dict[str, bytes] = self.ground.store.objects  # type: ignore[attr-defined]
        for key in [key for key in objects if key.startswith("rpm/internal/el9/leaves/6")]:
            del objects[key]
        recovered = self.recover()
        self.assertEqual([slot for slot, _ in recovered.outcomes[0].left_out], ["extra/group"])
        self.repository = self.started()
        self.assertEqual(self.read(), {kind: self.before[kind] for kind in ("primary", "filelists", "other")})

    def test_without_leaves(self) -> None:
        """It is refused, and adopted if that is said."""
        objects: dict[str, bytes] = self.ground.store.objects  # type: ignore[attr-defined]
        for key in [key for key in objects if "/leaves/" in key]:
            del objects[key]
        self.assertIn("may belong", self.recover().outcomes[0].problem)
        self.assertEqual(self.recover(adopting=True).outcomes[0].packages, 3)

    def test_signers_are_found_again(self) -> None:
        """Where packages have to be signed, it is looked into every one."""
        self.settings = RpmSettings(name="signed", sign_packages="sign")
        ground = self.ground
        made = RpmRepository(
            self.settings, ground.store, ground.spool, ground.blocking, ground.signer, ground.clock, ground.signer
        )
        result(made.start())
        result(made.add(ground.arrival("x.rpm", made_rpm())))
        self.assertTrue(self.recover().is_well)
        found = RpmRepository(
            self.settings, ground.store, ground.spool, ground.blocking, ground.signer, ground.clock, ground.signer
        )
        result(found.start())
        self.assertIn(b"\ngpgcheck=1\n", found.repo_file("http://host/rpm/signed"))
