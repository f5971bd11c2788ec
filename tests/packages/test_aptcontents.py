"""Contents of a suite: they are what the packages in it have, whatever comes and goes, and cost what changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import FailedStorage, InvalidPackage, SigningError
from pkgd.packages.apt import AptRepository, Upload, Wanted
from pkgd.packages.aptcontents import ContentsShape
from pkgd.packages.leaves import parse, rows_of
from pkgd.packages.records import AptSettings, SuiteSettings, Window
from tests.formats.debs import deb
from tests.packages.fixtures import Ground, made_deb, result
from tests.packages.readers import read_suite
from tests.properties import brief

_SUITES = [
    SuiteSettings(codename=name, components=("main", "extra"), architectures=("amd64",))
    for name in ("stable", "testing")
]
Lines = Mapping[str, str]


class _Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.ground = Ground(self.mktemp())
        self.repository = self.made()

    def made(self, **more: Any) -> AptRepository:
        """The repository as a start finds it."""
        settings = AptSettings(name="main", **{"suites": _SUITES, "contents": True, **more})
        ground = self.ground
        repository = AptRepository(settings, ground.store, ground.spool, ground.blocking, ground.signer, ground.clock)
        result(repository.start())
        return repository

    def add(self, data: bytes, suite: str = "stable", component: str = "main", name: str = "x.deb") -> Any:
        """Upload a package."""
        return result(self.repository.add(suite, component, self.ground.arrival(name, data)))

    def suite(self, name: str = "stable", prefix: str = "") -> Mapping[str, Any]:
        """All of a suite, every file checked."""
        return read_suite(lambda path: self.ground.read(result(self.repository.open(path))), name, prefix)

    def lines(self, index: str = "main/Contents-amd64", suite: str = "stable", prefix: str = "") -> Lines:
        """The lines of an index."""
        return {one["path"]: one["locations"] for one in self.suite(suite, prefix)[index]}

    def objects(self, part: str) -> set[str]:
        """The keys in the store that have this part."""
        return {key for key in self.ground.store.objects if part in key}  # type: ignore[attr-defined]


class ContentsTests(_Case):
    """What is listed."""

    def test_empty(self) -> None:
        """From the first start on they are there, in every component and architecture; none for the installer."""
        found = {index for index in self.suite() if "Contents" in index}
        self.assertEqual(found, {f"{one}/Contents-{other}" for one in ("main", "extra") for other in ("all", "amd64")})

    def test_not_wanted(self) -> None:
        """Without the setting there are none, and no lists are kept."""
        self.repository = self.made(contents=False)
        self.add(made_deb(paths=["./usr/bin/hello"]))
        self.assertEqual([index for index in self.suite() if "Contents" in index], [])
        self.assertEqual(self.objects("/paths/"), set())

    def test_lines(self) -> None:
        """Files and links of all packages, in the order of their bytes, with all who have them."""
        self.add(made_deb(paths=["./", "./usr/", "./usr/b", b"./usr/\xe4", "./usr/share/common"]))
        self.add(made_deb("other", Section="contrib/net", paths=["./usr/a", "./usr/share/common"]))
        self.assertEqual(
            self.lines(),
            {
                "usr/a": "contrib/net/other",
                "usr/b": "utils/hello",
                "usr/share/common": "contrib/net/other,utils/hello",
                "usr/\xe4": "utils/hello",
            },
        )

    def test_each_has_its_own(self) -> None:
        """Packages of all, of other architectures and components, and for the installer, are in others."""
        self.add(made_deb("common", architecture="all", paths=["./all"]))
        self.add(made_deb("new", architecture="riscv64", paths=["./riscv"]))
        self.add(made_deb("extra", paths=["./extra"]), component="extra")
        self.add(made_deb("boot", Section="debian-installer", paths=["./boot"]), name="x.udeb")
        found = {
            index: sorted(one["path"] for one in lines) for index, lines in self.suite().items() if "Cont" in index
        }
        wanted: dict[str, list[str]] = {
            f"{component}/Contents-{kind}{architecture}": []
            for component in ("main", "extra")
            for kind in ("", "udeb-")
            for architecture in ("all", "amd64", "riscv64")
        }
        wanted |= {
            "main/Contents-all": ["all"],
            "main/Contents-riscv64": ["riscv"],
            "extra/Contents-amd64": ["extra"],
            "main/Contents-udeb-amd64": ["boot"],
        }
        self.assertEqual({index: found.get(index, []) for index in wanted}, wanted)
        self.assertLessEqual(found.keys(), wanted.keys())

    def test_unlisted(self) -> None:
        """A path that no line could carry is left out, and so is a package without paths."""
        self.add(made_deb(paths=["./a ", "./b\nc", "./d e"]))
        self.add(made_deb("none"))
        self.assertEqual(list(self.lines()), ["d e"])

    def test_damaged(self) -> None:
        """A package whose paths cannot be read is refused, and leaves nothing."""
        with self.assertRaises(InvalidPackage):
            self.add(deb(data=b"no archive"))
        self.assertEqual((self.objects("/pool/"), self.objects("/paths/")), (set(), set()))

    def test_refused(self) -> None:
        """What is refused later leaves nothing either."""
        self.ground.signer.broken = True
        with self.assertRaises(SigningError):
            self.add(made_deb(paths=["./a"]))
        self.assertEqual((self.objects("/pool/"), self.objects("/paths/")), (set(), set()))

    def test_removed(self) -> None:
        """The lines of a package go with it, but for what another version or package has, too."""
        self.add(made_deb(paths=["./old", "./both", "./shared"]))
        self.add(made_deb(version="1.1", paths=["./new", "./both"]))
        self.add(made_deb("other", paths=["./shared"]))
        result(self.repository.remove("stable", "main", "hello_1.0_amd64.deb"))
        self.assertEqual(self.lines(), {"both": "utils/hello", "new": "utils/hello", "shared": "utils/other"})

    def test_section(self) -> None:
        """A version that has moved to another section is another location."""
        self.add(made_deb(paths=["./a"]))
        self.add(made_deb(version="1.1", Section="net", paths=["./a"]))
        self.assertEqual(self.lines(), {"a": "net/hello,utils/hello"})
        result(self.repository.remove("stable", "main", "hello_1.0_amd64.deb"))
        self.assertEqual(self.lines(), {"a": "net/hello"})

    def test_copied(self) -> None:
        """A copy has its lines in the other suite."""
        self.add(made_deb(paths=["./a"]))
        result(self.repository.copy("stable", "testing", Wanted("hello")))
        self.assertEqual(self.lines(suite="testing"), {"a": "utils/hello"})

    def test_together(self) -> None:
        """So have all of a set, published at once."""
        uploads = [
            Upload("main", self.ground.arrival("x.deb", made_deb(name, paths=["./a", f"./{name}"])))
            for name in ("one", "two")
        ]
        result(self.repository.add_together(["stable", "testing"], uploads))
        for suite in ("stable", "testing"):
            self.assertEqual(self.lines(suite=suite)["a"], "utils/one,utils/two")

    def test_generation(self) -> None:
        """A kept generation has those of its own time."""
        self.add(made_deb(paths=["./a"]))
        self.add(made_deb("other", paths=["./b"]))
        self.assertEqual(list(self.lines(prefix="@2/")), ["a"])

    def test_restart(self) -> None:
        """A restart publishes nothing, and goes on."""
        self.add(made_deb(paths=["./a"]))
        self.repository = self.made()
        self.assertEqual(result(self.repository.open("dists/stable/Release")).generation, 2)
        self.add(made_deb("other", paths=["./b"]))
        self.assertEqual(list(self.lines()), ["a", "b"])

    def test_another_form(self) -> None:
        """Settings may change the form."""
        self.add(made_deb(paths=["./a"]))
        self.repository = self.made(forms=("xz",))
        self.assertEqual(self.lines(), {"a": "utils/hello"})

    def test_lists_go_with_the_files(self) -> None:
        """When no generation that is kept names the package any more."""
        self.repository = self.made(window=Window(0, 10))
        self.add(made_deb(paths=["./a"]))
        self.assertEqual(len(self.objects("/paths/")), 1)
        result(self.repository.remove("stable", "main", "hello_1.0_amd64.deb"))
        for number in range(3):
            self.ground.clock.advance(60)
            self.add(made_deb(f"more{number}", paths=["./x"]))
        result(self.repository.sweep())
        self.assertEqual([key for key in self.objects("hello") if "generations" not in key], [])

    def test_lost_list(self) -> None:
        """A list that is lost or damaged is made anew of the package."""
        for version, spoil in (("1.0", None), ("1.1", b"damaged")):
            self.add(made_deb(version=version, paths=["./a", f"./{version}"]))
            (key,) = self.objects("/paths/main/h/hello/")
            objects: dict[str, bytes] = self.ground.store.objects  # type: ignore[attr-defined]
            del objects[key]
            if spoil is not None:
                objects[key] = spoil
            result(self.repository.remove("stable", "main", f"hello_{version}_amd64.deb"))
            self.assertEqual(self.lines(), {})
            for one in self.objects("/paths/"):
                del objects[one]

    def test_cost(self) -> None:
        """An upload makes the leaves anew that its paths are in, however many there are."""
        for number in range(4):
            paths = [f"./usr/share/p{number}/{one:05}" for one in range(3000)]
            self.add(made_deb(f"p{number}", paths=paths))
        before = self.objects("/leaves/")
        self.add(made_deb("one", paths=["./usr/share/p2/01500-more", "./usr/share/p2/01500-more2"]))
        contents = {key for key in self.objects("/leaves/") - before if key.endswith(".gz")}
        self.assertGreater(len(before), 20)
        # One of Contents, one of Packages.
        self.assertEqual(len(contents), 2)
        self.assertEqual(len(self.lines()), 12002)


class FillingTests(_Case):
    """Contents that are switched on when packages are there already."""

    def setUp(self) -> None:
        """A repository without Contents."""
        super().setUp()
        self.repository = self.made(contents=False)
        for number in range(5):
            self.add(made_deb(f"p{number}", paths=[f"./usr/{number}", "./usr/common"]))
        self.add(made_deb("for-all", architecture="all", paths=["./all"]))
        self.add(made_deb("boot", Section="debian-installer", paths=["./boot"]), name="x.udeb")
        self.add(made_deb("tested", paths=["./tested"]), suite="testing")

    def test_filled(self) -> None:
        """They are made from the pool, and listed when all packages are in them."""
        self.repository = self.made()
        self.assertEqual(len(self.lines()), 6)
        self.assertEqual(self.lines()["usr/common"].count(","), 4)
        self.assertEqual(list(self.lines("main/Contents-all")), ["all"])
        self.assertEqual(list(self.lines("main/Contents-udeb-amd64")), ["boot"])
        self.assertEqual(list(self.lines(suite="testing")), ["tested"])

    def test_once(self) -> None:
        """Not again at the next start."""
        self.repository = self.made()
        number = result(self.repository.open("dists/stable/Release")).generation
        self.repository = self.made()
        self.assertEqual(result(self.repository.open("dists/stable/Release")).generation, number)

    def test_cut_short(self) -> None:
        """Until they are complete they are not listed, and what is uploaded meanwhile is in them; a sweep goes on."""
        ground = self.ground
        settings = AptSettings(name="main", suites=_SUITES, contents=True)
        store = _Reluctant(ground.store)
        self.repository = AptRepository(settings, store, ground.spool, ground.blocking, ground.signer, ground.clock)
        result(self.repository.start())
        self.assertNotIn(b"Contents", self.release())
        self.add(made_deb("meanwhile", paths=["./usr/common", "./meanwhile"]))
        self.assertNotIn(b"Contents", self.release())
        result(self.repository.remove("stable", "main", "p0_1.0_amd64.deb"))
        store.refuses = False
        result(self.repository.sweep())
        self.assertEqual(list(self.lines()), ["meanwhile", "usr/1", "usr/2", "usr/3", "usr/4", "usr/common"])

    def test_stop(self) -> None:
        """A stop waits for the package that is being read, and for no other; the next start goes on."""
        ground = self.ground
        store = _Slow(ground.store)
        settings = AptSettings(name="main", suites=_SUITES, contents=True)
        self.repository = AptRepository(settings, store, ground.spool, ground.blocking, ground.signer, ground.clock)
        result(self.repository.start())
        stopped: list[None] = []
        Deferred.fromCoroutine(self.repository.finished()).addBoth(stopped.append)
        self.assertEqual((len(store.waiting), stopped), (1, []))
        store.waiting.pop().callback(None)
        self.assertEqual((len(store.waiting), stopped), (0, [None]))
        self.assertEqual(len(self.objects("/paths/")), 1)
        self.repository = self.made()
        self.assertEqual(len(self.lines()), 6)

    def release(self) -> bytes:
        """The text of Release."""
        return self.ground.read(result(self.repository.open("dists/stable/Release")))

    def test_damaged_package(self) -> None:
        """A package that cannot be read is left out, and the others are listed."""
        (path,) = self.objects("pool/main/p/p3/")
        self.ground.store.objects[path] = b"damaged"  # type: ignore[attr-defined]
        (path,) = self.objects("pool/main/p/p4/")
        del self.ground.store.objects[path]  # type: ignore[attr-defined]
        self.repository = self.made()
        text = self.ground.read(result(self.repository.open("dists/stable/main/Contents-amd64")))
        self.assertEqual([line.split()[0] for line in text.splitlines()], [b"usr/0", b"usr/1", b"usr/2", b"usr/common"])

    def test_switched_off_and_on(self) -> None:
        """Switched off they are gone, and what changes then is in them when they are there again."""
        self.repository = self.made()
        self.repository = self.made(contents=False)
        self.assertEqual([index for index in self.suite() if "Contents" in index], [])
        result(self.repository.remove("stable", "main", "p0_1.0_amd64.deb"))
        self.add(made_deb("late", paths=["./late"]))
        self.repository = self.made()
        self.assertEqual(list(self.lines()), ["late", "usr/1", "usr/2", "usr/3", "usr/4", "usr/common"])


class _Reluctant:
    """A store that doesn't open packages."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.refuses = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def open(self, key: str) -> Any:
        """Refuse those of the pool."""
        if self.refuses and "/pool/" in key and "p2" in key:
            raise FailedStorage("for now")
        return await self._store.open(key)


class _Slow:
    """A store that opens packages when the test lets it."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.waiting: list[Deferred[None]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def open(self, key: str) -> Any:
        """Wait first."""
        if "/pool/" in key:
            self.waiting.append(Deferred())
            await self.waiting[-1]
        return await self._store.open(key)


class ModelTests(_Case):
    """Contents beside what they should be."""

    @brief
    @given(
        st.lists(
            st.tuples(
                st.booleans(),
                st.sampled_from(["aa", "bb"]),
                st.sampled_from(["1", "2", "3"]),
                st.sampled_from(["amd64", "all"]),
                st.sets(st.sampled_from(["x", "y", "z/1", "z/2"]), max_size=4),
                st.sampled_from(["utils", "net"]),
            ),
            max_size=12,
        )
    )
    def test_any_changes(self, steps: list[tuple[bool, str, str, str, set[str], str]]) -> None:
        """After any uploads and removals."""
        self.ground = Ground(self.mktemp())
        self.repository = self.made()
        there: dict[tuple[str, str, str], tuple[set[str], str]] = {}
        for is_added, name, version, architecture, paths, section in steps:
            key = name, version, architecture
            if is_added and key not in there:
                self.add(made_deb(*key, Section=section, paths=sorted(paths)))
                there[key] = paths, section
            elif not is_added and key in there:
                result(self.repository.remove("stable", "main", f"{name}_{version}_{architecture}.deb"))
                del there[key]
            for index in ("amd64", "all"):
                wanted: dict[str, set[str]] = {}
                for (one, _, other), (own, where) in there.items():
                    for path in own if other == index else ():
                        wanted.setdefault(path, set()).add(f"{where}/{one}")
                text = self.ground.read(result(self.repository.open(f"dists/stable/main/Contents-{index}")))
                rows = [line.decode().split() for line in text.splitlines()]
                self.assertEqual({path: set(who.split(",")) for path, who in rows}, wanted)
        self.suite()


class ShapeTests(SynchronousTestCase):
    """Lines as entries of an ordered map."""

    def test_damage(self) -> None:
        """What is no line is damage."""
        shape = ContentsShape(("gz",))
        for text in (b"usr/a\n", b"\n"):
            with self.assertRaises(FailedStorage):
                parse(shape, rows_of(shape, [text]))
