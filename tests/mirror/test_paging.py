"""The Link header of lists that come in pages (RFC 8288)."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pkgd.mirror.paging import next_page

PATH = "referrers/sha256:abc"


class Answer:
    """An answer with these Link headers."""

    def __init__(self, *links: str) -> None:
        self._links = list(links)

    def headers(self, name: str) -> list[str]:
        """Every Link."""
        assert name == "link"
        return self._links


class NextPageTests(SynchronousTestCase):
    """`next_page`."""

    def next(self, *links: str) -> str | None:
        """What to ask for next."""
        answer: Any = Answer(*links)
        return next_page(answer, PATH)

    def test_forms(self) -> None:
        """Whatever form the target has, its query is what counts."""
        for target in (
            "/v2/team/app/referrers/sha256:abc?last=x&n=5",
            "https://registry.test/v2/team/app/referrers/sha256:abc?last=x&n=5",
            "sha256:abc?last=x&n=5",
            "?last=x&n=5",
            "?last=x&n=5#fragment",
            "&?last=x&n=5",
        ):
            self.assertEqual(self.next(f'<{target}>; rel="next"'), f"{PATH}?last=x&n=5", target)

    def test_elsewhere(self) -> None:
        """Neither host nor path of the target count: the list stays where it is."""
        for target in (
            "http://169.254.169.254/latest/meta-data?last=x",
            "//evil.test/?last=x",
            "../../../other/manifests/latest?last=x",
            "http://[::1?last=x",
        ):
            self.assertEqual(self.next(f'<{target}>; rel="next"'), f"{PATH}?last=x", target)

    def test_encoded(self) -> None:
        """What is encoded stays so."""
        link = '<?last=sha256%3Aabc&artifactType=a%2Fb%2Bc>; rel="next"'

        self.assertEqual(self.next(link), f"{PATH}?last=sha256%3Aabc&artifactType=a%2Fb%2Bc")

    def test_namespace(self) -> None:
        """The upstream that a parent mirror adds is taken out: it is sent along anyway, and only once."""
        self.assertEqual(self.next('<?last=x&ns=docker.io>; rel="next"'), f"{PATH}?last=x")
        self.assertEqual(self.next('<?ns=docker.io&last=x>; rel="next"'), f"{PATH}?last=x")
        self.assertIsNone(self.next('<?ns=docker.io>; rel="next"'))

    def test_relations(self) -> None:
        """Only the next page is one; the relation may be written in several ways, and stand among others."""
        for link in (
            '<?p=2>; rel="next"',
            "<?p=2>; rel=next",
            "<?p=2>;rel=next",
            '<?p=2> ; REL = "NEXT"',
            '<?p=2>; title="x"; rel="next"',
            '<?p=2>; rel=next; title="x"',
            '<?p=2>; rel="last next"',
            '<?p=1>; rel="prev", <?p=2>; rel="next"',
            '<?p=1>; rel=prev, <?p=2>; rel=next, <?p=9>; rel="last"',
        ):
            self.assertEqual(self.next(link), f"{PATH}?p=2", link)
        self.assertEqual(self.next('<?p=1>; rel="prev"', '<?p=2>; rel="next"'), f"{PATH}?p=2")

    def test_none(self) -> None:
        """The last page has no next one."""
        for link in (
            "",
            "nonsense",
            '?p=2; rel="next"',
            "<?p=2>",
            '<?p=2>; rel="prev"',
            '<?p=2>; rel="nextish"',
            "<?p=2>; rel=nextish",
            '<?p=2>; title="next"',
            '<>; rel="next"',
            '</v2/team/app/referrers/sha256:abc>; rel="next"',
        ):
            self.assertIsNone(self.next(link), link)
        self.assertIsNone(self.next())

    def test_hostile(self) -> None:
        """A header that is made to be slow to read is not."""
        for link in ("<" * 60_000, "<>" * 30_000, '<x>; rel="' + " next" * 10_000, '<x>; rel="' + "n" * 60_000):
            self.assertIsNone(self.next(link))
