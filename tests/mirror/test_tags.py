"""Tag lists through the mirror: of registries that page as they should, and of those that do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pkgd.errors import (
    LoopDetected,
    PkgdError,
    UnknownName,
    UpstreamBusy,
    UpstreamCorrupt,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from pkgd.formats.names import Origin, RepositoryName
from pkgd.mirror.manifests import Freshness
from pkgd.mirror.tags import MAX_BYTES, MAX_PAGES, TagPage
from pkgd.storage.layout import tag_key
from tests.fixtures import HeldBlocking
from tests.mirror.fill_fixtures import APP, MirrorCase
from tests.mirror.scripted import HUB, Asked, Reply, ScriptedUpstream

TAGS = [f"v{number:02}" for number in range(25)]
DOWN: tuple[PkgdError, ...] = (
    UpstreamUnavailable(HUB, "is gone"),
    UpstreamTimeout(HUB, "is slow"),
    UpstreamBusy(HUB, "wants a pause", 3.0),
    UpstreamCorrupt(HUB, "answers 418"),
    LoopDetected("via"),
)
REFUSED = UpstreamRefused(HUB, "denies access")


def listing(tags: Any, link: str = "") -> Reply:
    """A page as an upstream sends it."""
    data = json.dumps({"name": "team/app", "tags": tags}).encode()
    return Reply(data, headers={"Link": f'<{link}>; rel="next"'} if link else {})


def parameters(asked: Asked) -> dict[str, str]:
    """The query of a request."""
    return {name: values[0] for name, values in parse_qs(urlsplit(asked.path).query).items()}


def honest(tags: list[str], most: int = 1000) -> Callable[[Asked], Reply]:
    """A registry that pages as the specification has it, at most so many at once."""

    def answer(asked: Asked) -> Reply:
        wanted = parameters(asked)
        count, last = min(int(wanted.get("n", most)), most), wanted.get("last", "")
        behind = [tag for tag in sorted(tags) if tag > last]
        link = f"/v2/team/app/tags/list?n={count}&last={behind[count - 1]}" if len(behind) > count else ""
        return listing(behind[:count], link)

    return answer


def whole(tags: list[str]) -> Callable[[Asked], Reply]:
    """A registry that knows neither `n` nor `last`."""
    return lambda asked: listing(tags)


def by_token(tags: list[str], size: int) -> Callable[[Asked], Reply]:
    """A registry that knows neither, and pages by a token of its own."""

    def answer(asked: Asked) -> Reply:
        start = int(parameters(asked).get("token", 0))
        more = start + size < len(tags)
        return listing(tags[start : start + size], f"?token={start + size}" if more else "")

    return answer


def by_creation(tags: list[str], most: int) -> Callable[[Asked], Reply]:
    """A registry that lists in the order of creation, and takes `last` for a place in that."""

    def answer(asked: Asked) -> Reply:
        wanted = parameters(asked)
        count = min(int(wanted["n"]), most)
        start = tags.index(wanted["last"]) + 1 if "last" in wanted else 0
        page = tags[start : start + count]
        return listing(page, f"?n={count}&last={page[-1]}" if start + count < len(tags) else "")

    return answer


class TagsCase(MirrorCase):
    """A test case with clients."""

    def page(self, count: int = 1000, last: str | None = None) -> TagPage:
        """What a client gets."""
        return self.do(self.mirror.tags.page(APP, count, last, "1.1 before"))

    def walk(self, count: int) -> list[str]:
        """All that a client gets, going on as long as there is more."""
        found: list[str] = []
        more = True
        while more:
            page = self.page(count, found[-1] if found else None)
            self.assertTrue(page.tags or not page.more, "a page without an end")
            self.assertLess(len(found), 1000)
            found += page.tags
            more = page.more
        return found

    def fail_page(self, *kinds: type[Exception], last: str | None = None) -> Any:
        """The error that a client gets."""
        return self.refusal(self.mirror.tags.page(APP, 1000, last, ""), *kinds)

    def cache(self, *tags: str) -> None:
        """Have these tags in the cache."""
        for tag in tags:
            self.do(self.mirror.store.put_bytes(tag_key("__mirror__/docker.io/team/app", tag), b"{}"))  # type: ignore[arg-type]


class RegistryTests(TagsCase):
    """Registries of all kinds, and clients that want pages of all sizes."""

    def test_request(self) -> None:
        """The upstream is asked for what the client wants."""
        self.mirror.hub.always = honest(TAGS)

        self.assertEqual(self.page(10, "v03"), TagPage(TAGS[4:14], more=True))

        (asked,) = self.mirror.hub.asked
        self.assertEqual(str(asked), "GET tags/list?n=10&last=v03")
        self.assertEqual((asked.headers, asked.via), ({"Accept": "application/json"}, "1.1 before"))
        self.assertEqual(self.mirror.results, ["miss"])

    def test_honest(self) -> None:
        """One that pages as it should costs one request for each page."""
        self.mirror.hub.always = honest(TAGS)

        for count in (1, 5, 24, 25, 26):
            self.mirror.hub.asked.clear()
            self.assertEqual(self.walk(count), TAGS)
            self.assertEqual(len(self.mirror.hub.asked), -(-25 // count))

    def test_smaller_pages(self) -> None:
        """One that hands out fewer at once than are wanted has all the same all of them."""
        self.mirror.hub.always = honest(TAGS, 7)

        self.assertEqual(self.walk(1000), TAGS)
        self.assertEqual(len(self.mirror.hub.asked), 4)

    def test_whole(self) -> None:
        """One that ignores what is asked for is cut into pages here, in byte order."""
        self.mirror.hub.always = whole(TAGS[::-1])

        for count in (1, 5, 25, 1000):
            self.assertEqual(self.walk(count), TAGS)

    def test_larger_pages(self) -> None:
        """One that hands out more than is wanted."""
        self.mirror.hub.always = lambda asked: honest(TAGS)(
            Asked("GET", asked.path.replace("n=4", "n=9"), asked.headers, "")
        )

        self.assertEqual(self.walk(4), TAGS)

    def test_by_token(self) -> None:
        """One that goes on by a token that only it understands is followed to where the client is."""
        self.mirror.hub.always = by_token(TAGS, 10)

        for count in (10, 25, 1000):
            self.assertEqual(sorted(set(self.walk(count))), TAGS)

    def test_by_creation(self) -> None:
        """One with an order of its own keeps it: nothing is lost between its pages."""
        tags = ["latest", "1.10", "1.9", "nightly", "0.1"]
        self.mirror.hub.always = by_creation(tags, 2)

        self.assertEqual(self.walk(1000), tags)
        self.assertEqual(self.walk(1), tags)

    def test_nothing(self) -> None:
        """A repository without tags has an empty list, `null` if the server is written in Go."""
        for tags in ([], None):
            self.mirror.hub.script = [listing(tags)]
            self.assertEqual(self.page(), TagPage([], more=False))

    def test_no_tags_wanted(self) -> None:
        """`n=0` is an empty page; the upstream, which may take it for "all", is asked for one."""
        self.mirror.hub.always = honest(TAGS)

        self.assertEqual(self.page(0), TagPage([], more=False))

        self.assertEqual(self.mirror.hub.requests, ["GET tags/list?n=1"])

    def test_strange_last(self) -> None:
        """A `last` that is no tag is sent as a parameter, and nothing else."""
        self.mirror.hub.always = listing([])

        self.page(5, "a&n=1#b/c d%ü")

        self.assertEqual(self.mirror.hub.requests, ["GET tags/list?n=5&last=a%26n%3D1%23b%2Fc%20d%25%C3%BC"])

    def test_endless(self) -> None:
        """One that never comes to where the client is is not followed for ever."""
        self.mirror.hub.always = listing(TAGS, "?token=1")

        page = self.page(5, "v24")

        self.assertEqual((page.tags, len(self.mirror.hub.asked)), ([], MAX_PAGES))

    def test_repeating(self) -> None:
        """Nor is a client led in a circle by one that hands out the same page again and again."""
        self.mirror.hub.always = listing(TAGS, "?token=1")

        self.assertEqual(sorted(set(self.walk(25))), TAGS)

    def test_unknown(self) -> None:
        """A repository that is not there is unknown."""
        self.mirror.hub.script = [None]

        self.fail_page(UnknownName)

    def test_parent_without(self) -> None:
        """What a parent does not have, the registry may."""
        parent = ScriptedUpstream("parent.test", is_mirror=True)
        self.use(parents=[parent])
        self.mirror.hub.always = whole(TAGS)

        self.assertEqual((self.page().tags, len(parent.asked)), (TAGS, 1))

    def test_in_a_thread(self) -> None:
        """Lists are read in threads: they may be large."""
        held = HeldBlocking()
        self.use(blocking=held)
        self.mirror.hub.always = whole(TAGS)
        client = self.begin(self.mirror.tags.page(APP, 10, None, ""))
        self.assertNoResult(client)

        self.mirror.run()

        self.assertEqual(self.successResultOf(client).tags, TAGS[:10])


class GarbageTests(TagsCase):
    """Answers that are no list."""

    def test_no_list(self) -> None:
        """They are an error of the upstream."""
        for data in (
            b"",
            b"<!doctype html>",
            b"[]",
            b"null",
            b'{"tags": "v1"}',
            b'{"tags": {"v1": 1}}',
            b'{"tags": [1, 2]}',
            b'{"tags": ["v1"',
            b'{"tags": [' + b"[" * 100_000,
            b'{"x":' * 100_000,
            b'{"tags": ["\\ud800"]}',
        ):
            self.mirror.hub.script = [Reply(data)]
            self.fail_page(UpstreamCorrupt)

    def test_no_tags(self) -> None:
        """What is no tag is left out: it goes into headers, and into clients' paths."""
        odd = ["v1", "", "a/b", "../x", "a b", "ü", 'x"; rel="next', "x\r\nY: z", "-x", "y" * 129, "v2"]
        self.mirror.hub.script = [listing(odd)]

        self.assertEqual(self.page().tags, ["v1", "v2"])

    def test_too_large(self) -> None:
        """A list without end is not read to its end."""
        self.mirror.hub.script = [Reply(b'{"tags":["' + b"x" * MAX_BYTES + b'"]}')]

        self.fail_page(UpstreamCorrupt)


class StaleTests(TagsCase):
    """The upstream cannot be asked."""

    def test_cached(self) -> None:
        """The tags that are cached are listed, as stale, in pages."""
        self.cache(*TAGS)
        for error in DOWN:
            self.mirror.hub.script = [error, error, error]
            self.assertEqual(self.page(10), TagPage(TAGS[:10], more=True, stale=True))
            self.assertEqual(self.page(10, "v19"), TagPage(TAGS[20:], more=False, stale=True))
            self.assertEqual(self.page(10, "v24"), TagPage([], more=False, stale=True))
        self.assertEqual(self.mirror.results, ["stale"] * 3 * len(DOWN))

    def test_nothing_cached(self) -> None:
        """Without any the client gets what the upstream says, wherever it is in the list."""
        for error in DOWN:
            for last in (None, "v03"):
                self.mirror.hub.script = [error]
                self.assertIs(self.fail_page(type(error), last=last), error)
        self.assertEqual(self.mirror.results, ["error"] * 2 * len(DOWN))

    def test_other_repository(self) -> None:
        """Another repository's tags are another's."""
        self.cache(*TAGS)
        self.mirror.hub.script = [DOWN[0]]
        other = Origin(HUB, RepositoryName("team/other"))

        self.refusal(self.mirror.tags.page(other, 10, None, ""), UpstreamUnavailable)

    def test_refused(self) -> None:
        """A refusal is never covered up for."""
        self.cache(*TAGS)
        self.mirror.hub.script = [REFUSED]

        self.assertIs(self.fail_page(UpstreamRefused), REFUSED)

        self.assertEqual(self.mirror.results, ["error"])

    def test_gone(self) -> None:
        """Nor is a repository that is not there any more."""
        self.cache(*TAGS)
        self.mirror.hub.script = [None]

        self.fail_page(UnknownName)

    def test_never(self) -> None:
        """Stale answers can be switched off."""
        self.use(freshness=Freshness(enabled=True, serve_stale=0.0))
        self.cache(*TAGS)
        self.mirror.hub.script = [DOWN[0]]

        self.fail_page(UpstreamUnavailable)

    def test_switched_off(self) -> None:
        """Without the proxy, what is cached is listed, whatever may be stale; else the repository is unknown."""
        self.use(freshness=Freshness(enabled=False, serve_stale=0.0))
        self.fail_page(UnknownName)
        self.fail_page(UnknownName, last="v03")
        self.cache(*TAGS)

        self.assertEqual(self.page(), TagPage(TAGS, more=False, stale=True))

        self.assertEqual(self.mirror.hub.asked, [])
