"""A pass over everything."""

from __future__ import annotations

from pkgd.formats.names import Tag
from pkgd.progress import Until
from pkgd.retention.outcomes import Order, Outcome
from pkgd.retention.packages import PackageRetention, suites_of
from pkgd.retention.retention import Retention
from pkgd.retention.rules import Rule, Rules
from pkgd.storage.layout import tag_key
from tests.packages.fixtures import made_deb
from tests.packages.test_apt import AptCase
from tests.registry.fixtures import APP, OTHER
from tests.retention.test_images import ImageCase

KEEP_ONE = Rule("rules[0]", ("oci:**", "apt:main/stable"), newest=1)


class PassTests(ImageCase):
    """Two repositories of images with two tags each, and an apt repository with two suites."""

    def setUp(self) -> None:
        """Begin with all of them."""
        super().setUp()
        packages = AptCase("setUp")
        packages.setUp()
        self.packages = packages
        for version in ("1", "2"):
            for suite in ("stable", "testing"):
                packages.add(made_deb(version=version), suite)
        for name in (APP, OTHER):
            for tag in ("v1", "v2"):
                self.do(self.registry.push_image(name, tag, b"layer"))
        self.whole = Retention(
            self.registry.place.store,
            self.retention,
            PackageRetention(packages.ground.blocking, self.retention._times),
            lambda: suites_of([packages.repository]),
        )
        self.left = 1000

    def all(self, *rules: Rule) -> list[Outcome]:
        """A pass, which ends when somebody has asked so often whether it is to."""

        def is_over() -> bool:
            self.left -= 1
            return self.left < 0

        order = Order(True, 0.0, False, lambda resource, goner: None, is_over)
        return self.do(self.whole.run(Rules(rules), order, Until(is_over)))

    def test_everything(self) -> None:
        """Every repository and suite that a rule with limits is about, and no other."""
        found = self.all(KEEP_ONE)

        self.assertEqual(
            [(one.resource, len(one.goes)) for one in found],
            [("oci:other", 1), ("oci:team/app", 1), ("apt:main/stable", 1)],
        )
        self.assertEqual(self.packages.versions("main/binary-amd64/Packages", "testing"), ["hello 1", "hello 2"])

    def test_exempt(self) -> None:
        """What a rule without limits names before stays."""
        found = self.all(Rule("rules[0]", ("oci:team/**", "apt:main")), KEEP_ONE)

        self.assertEqual([(one.resource, len(one.goes)) for one in found if one.goes], [("oci:other", 1)])

    def test_no_rules(self) -> None:
        """Without rules nothing is even looked at."""
        self.assertEqual(self.all(), [])

    def test_problem(self) -> None:
        """What cannot be done in one repository keeps nobody from the others."""
        self.write(tag_key(OTHER, Tag("v1")), b"{")

        found = self.all(KEEP_ONE)

        self.assertEqual([len(one.goes) for one in found], [0, 1, 1])
        self.assertIn("v1", found[0].problem)

    def test_over(self) -> None:
        """Whoever does not wait for the rest gets none of it."""
        self.left = 0

        self.assertEqual(self.all(KEEP_ONE), [])
