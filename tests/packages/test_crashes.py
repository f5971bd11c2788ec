"""Kills and refusals of the storage at any call: what was acknowledged is published, and what is published is whole."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import Conflict, FailedStorage, NotReady, PkgdError, UnknownPackage
from pkgd.packages.apt import AptRepository, Upload, Wanted
from pkgd.packages.records import AptSettings, RpmSettings, SuiteSettings, Window
from pkgd.packages.rpm import RpmRepository
from pkgd.storage.interfaces import Entries, ObjectStore, Staged, StoredReader
from tests.packages.fixtures import Ground, made_deb, result
from tests.packages.readers import Suite, read_rpm_repository, read_suite
from tests.packages.test_rpm import made_rpm
from tests.properties import brief

T = TypeVar("T")
_SUITES = ("stable", "testing")
# What is in the repository: suite, name and version -> architecture.
State = frozenset[tuple[str, str, str, str]]


class Killed(Exception):
    """The process is gone."""


class FragileStore:
    """A store whose n-th change fails, before or after its effect: once, or for good."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.left = -1
        self.after = False
        self.lasting = False
        self.broken = False
        self._dead = False

    def arm(self, left: int, after: bool, lasting: bool) -> None:
        """Let the change after `left` others fail."""
        self.left, self.after, self.lasting = left, after, lasting

    def revive(self) -> None:
        """A new process finds what there is."""
        self.left, self._dead = -1, False

    async def _change(self, call: Callable[[], Awaitable[T]]) -> T:
        self._check()
        self.left -= 1
        if self.left != -1:
            return await call()
        if self.after:
            await call()
        self._dead = self.lasting
        raise Killed if self.lasting else FailedStorage("now and then")

    def _check(self) -> None:
        if self._dead:
            raise Killed
        if self.broken:
            raise FailedStorage("for now")

    async def stat(self, key: str) -> int | None:
        """See `ObjectStore`, as for all."""
        self._check()
        return await self._store.stat(key)

    async def open(self, key: str) -> StoredReader | None:
        """A read."""
        self._check()
        return await self._store.open(key)

    async def put(self, key: str, staged: Staged) -> None:
        """A change."""
        await self._change(lambda: self._store.put(key, staged))

    async def put_bytes(self, key: str, data: bytes) -> None:
        """A change."""
        await self._change(lambda: self._store.put_bytes(key, data))

    async def link(self, source: str, target: str) -> bool:
        """A change."""
        return await self._change(lambda: self._store.link(source, target))

    async def delete(self, key: str) -> bool:
        """A change."""
        return await self._change(lambda: self._store.delete(key))

    async def list(self, prefix: str) -> Entries:
        """A read."""
        self._check()
        return await self._store.list(prefix)


_NAMES = st.sampled_from(["a0", "b1", "c2"])
_VERSIONS = st.sampled_from(["1", "2"])
_STEPS = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(_SUITES), _NAMES, _VERSIONS),
    st.tuples(st.just("set"), st.sampled_from(_SUITES), st.just(""), _VERSIONS),
    st.tuples(st.just("remove"), st.sampled_from(_SUITES), _NAMES, _VERSIONS),
    st.tuples(st.just("copy"), st.sampled_from(_SUITES), _NAMES, _VERSIONS),
    st.tuples(st.just("later"), st.just(""), st.just(""), st.just("")),
    st.tuples(st.just("restart"), st.just(""), st.just(""), st.just("")),
)
_FAILURES = st.tuples(st.integers(0, 60), st.booleans(), st.booleans())
_ARCHITECTURES = {"a0": "amd64", "b1": "all", "c2": "arm64"}


class _Model:
    """A repository beside the set of what should be in it; `possible` are the states that a restart may find."""

    def __init__(self, ground: Ground, contents: bool = False) -> None:
        self.ground = ground
        self.contents = contents
        self.fragile = FragileStore(ground.store)
        self.state: State = frozenset()
        self.possible = {self.state}
        self.begin()

    def begin(self, revived: bool = True) -> None:
        """A new process."""
        if revived:
            self.fragile.revive()
        ground = self.ground
        suites = [SuiteSettings(codename=name, architectures=("amd64",)) for name in _SUITES]
        apt = AptSettings(name="main", suites=suites, window=Window(1, 50), contents=self.contents)
        self.repository = AptRepository(apt, self.fragile, ground.spool, ground.blocking, ground.signer, ground.clock)
        result(self.repository.start())

    def step(self, kind: str, suite: str, name: str, version: str) -> None:
        """One change; if it fails, it may or may not be found after a restart."""
        if kind == "later":
            self.ground.clock.advance(60)
            self._run(self.repository.sweep(), self.state)
        elif kind == "restart":
            self.check()
        elif kind == "add":
            data = self._made(name, version)
            call = self.repository.add(suite, "main", self.ground.arrival("x.deb", data))
            self._run(call, self.state | {self._entry(suite, name, version)})
        elif kind == "set":
            files = [self._made(one, version) for one in ("a0", "c2")]
            uploads = [Upload("main", self.ground.arrival("x.deb", data)) for data in files]
            wanted = self.state | {self._entry(suite, one, version) for one in ("a0", "c2")}
            self._run(self.repository.add_together([suite], uploads), wanted)
        elif kind == "remove":
            file_name = f"{name}_{version}_{_ARCHITECTURES[name]}.deb"
            self._run(
                self.repository.remove(suite, "main", file_name), self.state - {self._entry(suite, name, version)}
            )
        else:
            other = _SUITES[suite == _SUITES[0]]
            call = self.repository.copy(suite, other, Wanted(name, version))
            self._run(call, self.state | {self._entry(other, name, version)})

    def _made(self, name: str, version: str) -> bytes:
        return made_deb(name, version, _ARCHITECTURES[name], paths=["./both", f"./{name}", f"./{name}-{version}"])

    def _entry(self, suite: str, name: str, version: str) -> tuple[str, str, str, str]:
        return suite, name, version, _ARCHITECTURES[name]

    def _run(self, call: Any, wanted: State) -> None:
        changed = {suite for suite, *_ in wanted ^ self.state}
        # Suites are published one by one: what another one may have come to is as open as before.
        now_known = {
            frozenset({one for one in wanted if one[0] in changed} | {one for one in old if one[0] not in changed})
            for old in self.possible
        }
        try:
            result(call)
        except Killed:
            self.possible |= now_known
            self.check()
        except (UnknownPackage, Conflict):
            pass
        except PkgdError:
            self.possible |= now_known
        else:
            # Whatever was in doubt before: this was built on what this process knows.
            self.possible = now_known
            self.state = wanted

    def check(self) -> None:
        """Start anew, and compare."""
        self.begin()
        found = self.read()
        assert found in self.possible, f"{sorted(found)} and none of {[sorted(one) for one in self.possible]}"
        self.state, self.possible = found, {found}

    def read(self) -> State:
        """What a client finds, all of it checked."""
        found = set()
        for suite in _SUITES:
            indices = read_suite(lambda path: self.ground.read(result(self.repository.open(path))), suite)
            for slot, stanzas in indices.items():
                if "/Contents-" in slot:
                    continue
                own = slot.split("/")[-2].removeprefix("binary-")
                found |= {(suite, one["Package"], one["Version"], own) for one in stanzas if one["Architecture"] == own}
                if own != "all" and slot.endswith("Packages"):
                    everywhere = [one for one in indices["main/binary-all/Packages"] if one not in stanzas]
                    assert not everywhere, "packages of all are not in every architecture"
                if slot.endswith("Packages"):
                    self._check_contents(indices, own, [one for one in stanzas if one["Architecture"] == own])
        return frozenset(found)

    def _check_contents(self, indices: Suite, own: str, stanzas: list[dict[str, str]]) -> None:
        if self.contents:
            paths = {"both"} if stanzas else set()
            for one in stanzas:
                paths |= {one["Package"], f"{one['Package']}-{one['Version']}"}
            assert {line["path"] for line in indices[f"main/Contents-{own}"]} == paths, "other Contents than packages"


class CrashTests(SynchronousTestCase):
    """Random changes, and failures of the storage among them."""

    @settings(brief, max_examples=brief.max_examples * 2)
    @given(st.lists(st.tuples(_STEPS, st.none() | _FAILURES), max_size=14))
    def test_what_is_acknowledged_is_published_and_whole(self, steps: Any) -> None:
        """Whatever call of the storage fails, or is the last of a process."""
        model = _Model(Ground(self.mktemp()))
        for step, failure in steps:
            if failure is not None:
                model.fragile.arm(*failure)
            try:
                model.step(*step)
            finally:
                model.fragile.left = -1
        model.check()

    @settings(brief)
    @given(st.lists(st.tuples(_STEPS, st.none() | _FAILURES), max_size=10))
    def test_contents_are_those_of_the_packages(self, steps: Any) -> None:
        """Whatever call of the storage fails, or is the last of a process."""
        model = _Model(Ground(self.mktemp()), contents=True)
        for step, failure in steps:
            if failure is not None:
                model.fragile.arm(*failure)
            try:
                model.step(*step)
            finally:
                model.fragile.left = -1
        model.check()
        self.flushLoggedErrors(Killed)

    def test_every_call_of_filling_contents_may_be_the_last(self) -> None:
        """The next start or sweep goes on, and in the end they are those of the packages."""
        for after, lasting in ((False, True), (True, True), (False, False), (True, False)):
            for left in range(24):
                model = _Model(Ground(self.mktemp()))
                for name in _ARCHITECTURES:
                    model.step("add", "stable", name, "1")
                model.contents = True
                model.fragile.arm(left, after, lasting)
                with contextlib.suppress(Killed, PkgdError):
                    model.begin(revived=False)
                model.fragile.left = -1
                if lasting:
                    model.begin()
                else:
                    result(model.repository.start())
                model.step("later", "", "", "")
                self.assertEqual(len(model.read()), 3)
        # What ends a process ends its background, too.
        self.flushLoggedErrors(Killed)

    def test_every_call_of_one_upload_may_be_the_last(self) -> None:
        """One after the other, for apt: a restart finds all of the package or nothing, and takes it again."""
        for after, lasting in ((False, True), (True, True), (False, False), (True, False)):
            for left in range(30):
                model = _Model(Ground(self.mktemp()))
                model.step("add", "stable", "b1", "1")
                model.fragile.arm(left, after, lasting)
                model.step("add", "stable", "a0", "1")
                model.check()
                model.step("add", "stable", "a0", "1")
                self.assertEqual(len(model.state), 2)
                model.check()

    def test_every_call_of_one_set_may_be_the_last(self) -> None:
        """A restart finds all of its packages or none, and takes it again."""
        for after, lasting in ((False, True), (True, True), (False, False), (True, False)):
            for left in range(14):
                model = _Model(Ground(self.mktemp()))
                model.step("add", "stable", "b1", "1")
                model.fragile.arm(left, after, lasting)
                model.step("set", "stable", "", "1")
                model.check()
                model.step("set", "stable", "", "1")
                self.assertEqual(len(model.state), 3)
                model.check()

    def test_a_refused_publish_leaves_nothing_behind(self) -> None:
        """But the file of the package, which a repeated upload uses, and what the pointer may name."""
        for left in range(1, 30):
            ground = Ground(self.mktemp())
            model = _Model(ground)
            objects: dict[str, bytes] = ground.store.objects  # type: ignore[attr-defined]
            before = set(objects)
            model.fragile.arm(left, False, False)
            model.step("add", "stable", "b1", "1")
            if model.state or "apt/main/suites/stable/generations/2" in objects:
                break
            self.assertEqual({key for key in set(objects) - before if "/pool/" not in key}, set())
        self.assertEqual(left, 5)

    def test_a_start_removes_what_a_kill_left_half_published(self) -> None:
        """Nothing would ever name it."""
        for left in range(1, 6):
            ground = Ground(self.mktemp())
            model = _Model(ground)
            objects: dict[str, bytes] = ground.store.objects  # type: ignore[attr-defined]
            before = set(objects)
            model.fragile.arm(left, False, True)
            model.step("add", "stable", "b1", "1")
            self.assertEqual({key for key in set(objects) - before if "/pool/" not in key}, set())

    def test_a_repository_that_could_not_be_read_is_not_begun_anew(self) -> None:
        """What is there would be lost; once it can be read, all of it is."""
        ground = Ground(self.mktemp())
        model = _Model(ground)
        model.step("add", "stable", "a0", "1")
        suites = [SuiteSettings(codename=name, architectures=("amd64",)) for name in _SUITES]
        settings = AptSettings(name="main", suites=suites)
        repository = AptRepository(settings, model.fragile, ground.spool, ground.blocking, ground.signer, ground.clock)
        model.fragile.broken = True
        with self.assertRaises(FailedStorage):
            result(repository.start())
        model.fragile.broken = False
        with self.assertRaises(NotReady):
            result(repository.add("stable", "main", ground.arrival("x.deb", made_deb("b1"))))
        for _ in ("once", "again"):
            result(repository.start())
        self.assertEqual(len(result(repository.list("stable"))), 1)
        self.assertEqual(result(repository.open("dists/stable/Release")).generation, 2)

    def test_a_damaged_record_is_the_storages_failure(self) -> None:
        """What is published is left as it is, for `pkgd rebuild`: pointer and generation, damaged in any way."""
        for key in ("current", "generations/2"):
            for data in (b"", b"{", b"[]", b"{}", b'{"generation": "2"}', b'{"generation": 9}', b'{"number": 2}'):
                ground = Ground(self.mktemp())
                model = _Model(ground)
                model.step("add", "stable", "a0", "1")
                objects: dict[str, bytes] = ground.store.objects  # type: ignore[attr-defined]
                objects[f"apt/main/suites/stable/{key}"] = data
                before = dict(objects)
                with self.assertRaises(FailedStorage):
                    model.begin()
                self.assertEqual(objects, before)

    def test_every_call_of_one_sweep_may_be_the_last(self) -> None:
        """What it has not removed the next one does; what is published stays whole."""
        for after, lasting in ((False, True), (True, True), (False, False), (True, False)):
            for left in range(25):
                ground = Ground(self.mktemp())
                model = _Model(ground)
                for kind, name in (("add", "a0"), ("add", "b1"), ("remove", "a0"), ("add", "c2")):
                    model.step(kind, "stable", name, "1")
                model.fragile.arm(left, after, lasting)
                model.step("later", "", "", "")
                model.check()
                model.step("later", "", "", "")
                model.check()
                files = [key for key in ground.store.objects if "/pool/" in key]  # type: ignore[attr-defined]
                self.assertEqual(len(files), 2)

    def test_every_call_of_one_rpm_may_be_the_last(self) -> None:
        """Likewise for rpm."""
        for after in (False, True):
            for left in range(12):
                ground = Ground(self.mktemp())
                fragile = FragileStore(ground.store)

                def made(ground: Ground = ground, fragile: FragileStore = fragile) -> RpmRepository:
                    fragile.revive()
                    repository = RpmRepository(
                        RpmSettings(name="a"), fragile, ground.spool, ground.blocking, ground.signer, ground.clock
                    )
                    result(repository.start())
                    return repository

                first = made()
                result(first.add(ground.arrival("x.rpm", made_rpm())))
                fragile.arm(left, after, True)
                try:
                    result(first.add(ground.arrival("x.rpm", made_rpm("other"))))
                    acknowledged = 2
                except Killed:
                    acknowledged = 1
                second = made()
                found = read_rpm_repository(lambda path, one=second, base=ground: base.read(result(one.open(path))))
                self.assertGreaterEqual(len(found["primary"]), acknowledged)
                result(second.add(ground.arrival("x.rpm", made_rpm("other"))))
                self.assertEqual(len(result(second.list())), 2)
