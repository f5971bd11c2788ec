"""Versions of packages that go."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from pkgd.errors import SigningError
from pkgd.packages.records import Listed
from pkgd.packages.removals import Held, Removal
from pkgd.retention.outcomes import Goner, Order, Outcome, Times
from pkgd.retention.packages import PackageRetention, Suite, suites_of
from pkgd.retention.rules import Rule, Rules
from tests.packages.fixtures import Ground, made_deb, result
from tests.packages.test_apt import AptCase, made_dsc
from tests.packages.test_rpm import RpmCase, made_rpm
from tests.properties import brief

DAY = 86400.0
INDEX = "main/binary-amd64/Packages"
ALL = ("apt:**", "rpm:**")
KEEP_ONE = Rule("rules[0]", ALL, newest=1)


class Passes:
    """Passes over suites."""

    ground: Ground
    over = False

    def pass_(self, suite: Suite, *rules: Rule, apply: bool = True) -> Outcome:
        """One pass over one of them."""
        self.noted: list[str] = []

        def note(resource: str, goner: Goner) -> None:
            self.noted.append(f"{resource} {goner.name}")

        retention = PackageRetention(self.ground.blocking, Times(lambda: 0.0, self.ground.clock.seconds))
        outcome = result(retention.run(suite, Rules(rules), Order(apply, 0.0, False, note, lambda: self.over)))
        assert isinstance(outcome, Outcome)
        return outcome


class AptTests(Passes, AptCase):
    """From suites."""

    in_memory = False

    def go(self, *rules: Rule, suite: str = "stable", apply: bool = True) -> list[str]:
        """What goes of a suite."""
        (found,) = [one for one in suites_of([self.repository]) if one.resources[0] == f"apt:main/{suite}"]
        self.outcome = self.pass_(found, *rules, apply=apply)
        return [one.name for one in self.outcome.goes]

    def upload(self, *versions: str, suite: str = "stable", name: str = "hello") -> None:
        """Some versions of a package."""
        for version in versions:
            self.add(made_deb(name, version), suite)

    def test_newest(self) -> None:
        """The newest stay, as dpkg has it, of each name, component and architecture by itself."""
        self.upload("1.10", "1.9", "1:0.1", "1.10~rc1")
        self.add(made_deb(version="1.0", architecture="arm64"))
        self.add(made_deb("other", "1.0"))
        self.add(made_deb(version="0.5"), component="extra")

        gone = self.go(Rule("rules[0]", ALL, newest=2))

        self.assertEqual(gone, ["hello 1.9 amd64", "hello 1.10~rc1 amd64"])
        self.assertEqual(self.versions(INDEX), ["hello 1.10", "hello 1:0.1", "other 1.0"])
        self.assertEqual((self.outcome.stays, self.outcome.problem), (5, ""))
        self.assertEqual(self.noted, [f"apt:main/stable {one}" for one in gone])
        one = self.outcome.goes[0]
        self.assertEqual((one.rule, one.reason, one.component), ("rules[0]", "not among the newest 2", "main"))
        self.assertTrue((one.file or "").endswith("/hello_1.9_amd64.deb"))

    def test_one_publish(self) -> None:
        """All that goes of a suite goes in one generation; where nothing goes, nothing is published."""
        for name in ("aa", "bb", "cc"):
            self.upload("1", "2", "3", name=name)

        first, second = self.go(KEEP_ONE), self.go(KEEP_ONE)

        self.assertEqual((len(first), second), (6, []))
        self.assertEqual(self.add(made_deb("next")).generation, 12)

    def test_dry(self) -> None:
        """A dry run says the same, and publishes nothing."""
        self.upload("1", "2")

        dry = self.go(KEEP_ONE, apply=False), self.outcome, self.noted
        self.assertEqual(self.versions(INDEX), ["hello 1", "hello 2"])

        self.assertEqual((self.go(KEEP_ONE), self.outcome, []), dry)

    def test_first_rule(self) -> None:
        """The first rule decides: one without limits keeps what it names; what none names stays."""
        for name in ("linux-image", "hello", "other"):
            self.upload("1", "2", name=name)
        rules = (
            Rule("a", ("apt:main",), packages=("linux-*",)),
            Rule("b", ("apt:main/stable",), packages=("linux-image", "hello"), newest=1),
        )

        self.assertEqual(self.go(*rules), ["hello 1 amd64"])
        self.assertEqual(self.go(*rules, suite="testing"), [])

    def test_other_suite(self) -> None:
        """A version that another suite has, too, stays there."""
        self.upload("1", "2")
        self.upload("1", suite="testing")

        self.go(KEEP_ONE)

        self.assertEqual((self.versions(INDEX), self.versions(INDEX, "testing")), (["hello 2"], ["hello 1"]))

    def test_pushed_within(self) -> None:
        """What was uploaded lately stays, and the newest, however old they are."""
        self.upload("1", "2", "3")
        self.ground.clock.advance(1_000_000_000)

        old = self.go(Rule("a", ALL, newest=2, pushed_within=10 * DAY))

        self.assertEqual(old, ["hello 1 amd64"])
        self.assertIsNotNone(self.outcome.goes[0].pushed)

    def test_young(self) -> None:
        """An upload that is not old yet stays, whatever its version."""
        self.upload("3", "1")

        self.assertEqual(self.go(Rule("a", ALL, newest=1, pushed_within=1000 * DAY)), [])

    def test_sources(self) -> None:
        """A source stays as long as something that was built from it does."""
        for version in ("1.0", "2.0", "3.0"):
            dsc = self.ground.arrival("hello.dsc", made_dsc(version, hello_1__orig=b"tar"))
            files = {"hello_1.orig": self.ground.arrival("hello_1.orig", b"tar")}
            result(self.repository.add_source("stable", "main", dsc, files))
        self.add(made_deb("libhello", "1.0+b1", Source="hello (1.0)"))

        self.assertEqual(self.go(KEEP_ONE), ["hello 2.0 source"])

    def test_failure(self) -> None:
        """What cannot be published has not gone; the outcome says why."""
        self.upload("1", "2")
        self.ground.signer.broken = True

        self.assertEqual(self.go(KEEP_ONE), [])

        self.assertEqual((self.outcome.problem, self.noted), (SigningError("out of ink").message, []))
        self.assertEqual(self.versions(INDEX), ["hello 1", "hello 2"])

    def test_over(self) -> None:
        """Whoever does not wait for it gets nothing done."""
        self.upload("1", "2")
        self.over = True

        self.assertEqual(self.go(KEEP_ONE), [])

    def test_interrupted(self) -> None:
        """Who takes out the newest while it is decided what goes saves those before it."""
        self.upload("1", "2")
        (suite, _) = suites_of([self.repository])

        async def held() -> Sequence[Held]:
            found = await suite.held()
            await self.repository.remove("stable", "main", "hello_2_amd64.deb")
            return found

        self.pass_(Suite(suite.resources, suite.order, held, suite.fetch, suite.remove), KEEP_ONE)

        self.assertEqual(self.versions(INDEX), ["hello 1"])


def made_listed(name: str, version: str) -> Listed:
    """A package."""
    return Listed(name, version, "noarch", "", f"Packages/{name}-{version}.rpm", 1, "")


class RpmTests(Passes, RpmCase):
    """From rpm repositories."""

    def go(self, *rules: Rule) -> list[str]:
        """What goes."""
        (suite,) = suites_of([self.repository])
        self.outcome = self.pass_(suite, *rules)
        return [one.name for one in self.outcome.goes]

    def test_newest(self) -> None:
        """The newest stay, as rpm has it, in one generation."""
        for version in ("1.10", "1.9", "1.10~rc1", "1.10^git1"):
            self.add(made_rpm(version=version))
        self.add(made_rpm(version="1.0", arch="aarch64"))
        before = self.repository.generation

        gone = self.go(Rule("a", ("rpm:internal/*",), newest=2))

        self.assertEqual(gone, ["hello 1.9-1 x86_64", "hello 1.10~rc1-1 x86_64"])
        self.assertEqual((len(self.packages()), self.repository.generation), (3, before + 1))
        self.assertIsNone(self.outcome.goes[0].component)

    def test_pushed_within(self) -> None:
        """By the time of their upload."""
        self.add(made_rpm(version="1"))
        self.assertEqual(self.go(Rule("a", ALL, pushed_within=1e9)), [])

        self.ground.clock.advance(2e9)

        self.assertEqual(self.go(Rule("a", ALL, pushed_within=1e9)), ["hello 1-1 x86_64"])


class NeverTests(Passes, RpmCase):
    """What stays whatever there is."""

    @given(
        st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.integers(0, 9)), unique=True, max_size=12),
        st.integers(1, 4),
    )
    @brief
    def test_newest(self, packages: list[tuple[str, int, int]], newest: int) -> None:
        """So many of each name, and all of them the newest; and nothing else of that name."""
        listed = [made_listed(name, f"{epoch}:{version}-1") for name, epoch, version in packages]
        removed: list[Removal] = []

        async def held() -> Sequence[Held]:
            return [Held(one) for one in listed]

        async def remove(removals: Sequence[Removal]) -> Sequence[Listed]:
            removed.extend(removals)
            return [one for removal in removals for one in removal.going]

        (suite,) = suites_of([self.repository])
        self.pass_(Suite(suite.resources, suite.order, held, suite.fetch, remove), Rule("a", ALL, newest=newest))

        gone = {one for removal in removed for one in removal.going}
        for name in "ab":
            own = sorted((one[1:] for one in packages if one[0] == name), reverse=True)
            left = [one[1:] for one, it in zip(packages, listed, strict=True) if one[0] == name and it not in gone]
            self.assertEqual(sorted(left, reverse=True), own[:newest])
        self.assertTrue(all(removal.going for removal in removed))
