"""Referrers through the mirror: from the API, else from the tag; as they were, when the upstream is down."""

from __future__ import annotations

import json
from typing import Any

from pkgd.errors import (
    LoopDetected,
    PkgdError,
    UnexpectedStatus,
    UpstreamBusy,
    UpstreamCorrupt,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from pkgd.formats.digest import Digest
from pkgd.formats.names import Tag
from pkgd.formats.oci import IMAGE, INDEX
from pkgd.mirror.manifests import Freshness
from pkgd.mirror.referrers import MAX_BYTES, MAX_PAGES
from pkgd.registry.referrers import PAGE_ENTRIES, ReferrersPage
from tests.fixtures import HeldBlocking
from tests.mirror.fill_fixtures import APP, MirrorCase
from tests.mirror.scripted import HUB, Reply, ScriptedUpstream
from tests.registry.fixtures import image

TTL = 300.0
SUBJECT = Digest.of(b"subject")
API = f"GET referrers/{SUBJECT}"
TAG = f"GET manifests/sha256-{SUBJECT.encoded}"
DOWN: tuple[PkgdError, ...] = (
    UpstreamUnavailable(HUB, "is gone"),
    UpstreamTimeout(HUB, "is slow"),
    UpstreamBusy(HUB, "wants a pause", 3.0),
    LoopDetected("via"),
)
REFUSED = UpstreamRefused(HUB, "denies access")


def entry(number: int, **more: Any) -> dict[str, Any]:
    """An entry of a list."""
    return {"mediaType": IMAGE, "digest": str(Digest.of(b"%d" % number)), "size": number, **more}


def listing(*entries: Any) -> bytes:
    """A list as a document."""
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()


def page(*entries: Any, link: str = "") -> Reply:
    """A list as the API answers it."""
    return Reply(listing(*entries), headers={"Content-Type": INDEX, **({"Link": link} if link else {})})


class ReferrersCase(MirrorCase):
    """A test case with clients."""

    def pull(self, kind: str | None = None, after: str = "", subject: Digest = SUBJECT) -> tuple[ReferrersPage, bool]:
        """What a client gets: a page, and whether it is stale."""
        return self.do(self.mirror.referrers.page(APP, subject, kind, after, "1.1 before"))

    def listed(self, kind: str | None = None) -> list[int]:
        """The entries that a client gets, by their sizes; in order."""
        found, stale = self.pull(kind)
        self.assertFalse(stale)
        return self.sizes(found)

    def sizes(self, found: ReferrersPage) -> list[int]:
        """The entries of a page, by their sizes; in order."""
        document = json.loads(found.index)
        self.assertEqual((document["schemaVersion"], document["mediaType"]), (2, INDEX))
        return sorted(one["size"] for one in document["manifests"])

    def fail_pull(self, *kinds: type[Exception]) -> Any:
        """The error that a client gets."""
        return self.refusal(self.mirror.referrers.page(APP, SUBJECT, None, "", ""), *kinds)

    def asked(self) -> list[str]:
        """What the upstream has been asked since the last look."""
        found = self.mirror.hub.requests
        self.mirror.hub.asked.clear()
        return found


class ApiTests(ReferrersCase):
    """An upstream with the API."""

    def test_listed(self) -> None:
        """Its list is passed on, every field of every entry."""
        told = [entry(1, artifactType="a/b", annotations={"k": "v"}, odd=[None, 1.5]), entry(2)]
        self.mirror.hub.script = [page(*told)]

        found, stale = self.pull()

        manifests = json.loads(found.index)["manifests"]
        self.assertEqual((sorted(manifests, key=lambda one: one["size"]), stale, found.next), (told, False, None))
        (asked,) = self.mirror.hub.asked
        self.assertEqual((str(asked), asked.headers, asked.via), (API, {"Accept": INDEX}, "1.1 before"))
        self.assertEqual(self.mirror.results, ["miss"])

    def test_nothing(self) -> None:
        """An empty list is one."""
        self.mirror.hub.script = [page()]

        self.assertEqual((self.listed(), self.asked()), ([], [API]))

    def test_filter(self) -> None:
        """Filtering is ours: the upstream is asked for all, once, for every type."""
        self.mirror.hub.script = [page(entry(1, artifactType="a/b"), entry(2, artifactType="c/d"), entry(3))]

        self.assertEqual([self.listed("a/b"), self.listed("c/d"), self.listed("e/f")], [[1], [2], []])
        self.assertEqual(self.listed(), [1, 2, 3])

        self.assertEqual(self.asked(), [API])

    def test_our_pages(self) -> None:
        """A long list goes on page by page, whatever the upstream's pages were."""
        self.mirror.hub.script = [page(*map(entry, range(PAGE_ENTRIES + 5)))]
        first, _ = self.pull()
        assert first.next is not None

        second, _ = self.pull(after=first.next)

        self.assertEqual((len(self.sizes(first)), len(self.sizes(second)), second.next), (PAGE_ENTRIES, 5, None))
        self.assertEqual(sorted(self.sizes(first) + self.sizes(second)), list(range(PAGE_ENTRIES + 5)))

    def test_one_fetch(self) -> None:
        """Clients that ask meanwhile share a fetch."""
        self.mirror.hub.script = [page(entry(1))]
        self.mirror.hub.hold()
        clients = [self.begin(self.mirror.referrers.page(APP, SUBJECT, None, "", "")) for _ in range(3)]

        self.mirror.hub.release()

        self.assertEqual([self.sizes(self.successResultOf(one)[0]) for one in clients], [[1]] * 3)
        self.assertEqual(self.asked(), [API])

    def test_parent_without(self) -> None:
        """What a parent does not know, the registry may."""
        parent = ScriptedUpstream("parent.test", is_mirror=True)
        self.use(parents=[parent])
        self.mirror.hub.script = [page(entry(1))]

        self.assertEqual((self.listed(), parent.requests), ([1], [API]))

    def test_in_a_thread(self) -> None:
        """Documents are read in threads: they may be large."""
        held = HeldBlocking()
        self.use(blocking=held)
        self.mirror.hub.script = [page(entry(1))]
        client = self.begin(self.mirror.referrers.page(APP, SUBJECT, None, "", ""))
        self.assertNoResult(client)

        self.mirror.run()

        self.assertEqual(self.sizes(self.successResultOf(client)[0]), [1])


class PagingTests(ReferrersCase):
    """Lists that the upstream hands out in pages."""

    def test_followed(self) -> None:
        """Every page is followed, wherever its link seems to lead."""
        self.mirror.hub.script = [
            page(entry(1), link=f'</v2/team/app/referrers/{SUBJECT}?last=1&n=1>; rel="next"'),
            page(entry(2), link='<https://elsewhere.test/x?last=sha256%3A2&ns=docker.io>; rel="next"'),
            page(entry(3)),
        ]

        self.assertEqual(self.listed(), [1, 2, 3])

        self.assertEqual(self.asked(), [API, f"{API}?last=1&n=1", f"{API}?last=sha256%3A2"])

    def test_empty_page(self) -> None:
        """A page without entries is not the end."""
        self.mirror.hub.script = [page(link='<?p=2>; rel="next"'), page(entry(1))]

        self.assertEqual(self.listed(), [1])

    def test_endless(self) -> None:
        """A list without end is none: a part of it would pass for the whole."""
        self.mirror.hub.always = lambda asked: page(entry(len(self.mirror.hub.asked)), link='<?p=2>; rel="next"')

        self.fail_pull(UpstreamCorrupt)

        self.assertEqual(len(self.mirror.hub.asked), MAX_PAGES)

    def test_too_large(self) -> None:
        """Nor is one that grows without measure."""
        big = entry(1, annotations={"x": "y" * (1 << 20)})
        self.mirror.hub.always = lambda asked: page(big, link='<?p=2>; rel="next"')

        self.fail_pull(UpstreamCorrupt)

        self.assertLessEqual(len(self.mirror.hub.asked), (MAX_BYTES >> 20) + 1)

    def test_broken_off(self) -> None:
        """A page that cannot be had spoils the list, and does not shorten it."""
        for error in (*DOWN, REFUSED, UpstreamCorrupt(HUB, "answers 418"), None):
            self.mirror.hub.script = [page(entry(1), link='<?p=2>; rel="next"'), error]
            self.fail_pull(UpstreamCorrupt if error is None else type(error))

        self.mirror.hub.script = [page(entry(1))]
        self.assertEqual(self.listed(), [1])


class TagTests(ReferrersCase):
    """An upstream without the API: clients keep the list under a tag there."""

    def tagged(self, *entries: Any) -> Reply:
        """The list as a manifest."""
        return Reply(listing(*entries), headers={"Content-Type": INDEX})

    def test_tag(self) -> None:
        """Whatever words it has for not knowing the API, the tag is asked for then, and looks like the API."""
        for words in (
            None,
            UnexpectedStatus(HUB, "answers 405"),
            Reply(b"<!doctype html>", headers={"Content-Type": "text/html"}),
            Reply(listing(entry(9)), headers={"Content-Type": "application/json"}),
            Reply(listing(entry(9)), 206, {"Content-Type": INDEX}),
            Reply(b"404 page not found"),
        ):
            self.use()
            self.mirror.hub.script = [words, self.tagged(entry(1, artifactType="a/b"), entry(2))]

            self.assertEqual((self.listed(), self.listed("a/b")), ([1, 2], [1]))

            self.assertEqual(self.asked(), [API, TAG])

    def test_long_digest(self) -> None:
        """The tag of a sha512 is cut to what a tag may be ("Referrers Tag Schema")."""
        subject = Digest.of(b"subject", "sha512")
        self.mirror.hub.script = [None, self.tagged(entry(1))]

        self.pull(subject=subject)

        self.assertEqual(self.asked()[1], f"GET manifests/sha512-{subject.encoded[:64]}")

    def test_neither(self) -> None:
        """Neither: nobody refers to it, as far as anybody knows."""
        self.mirror.hub.script = [None, None]

        self.assertEqual((self.listed(), self.asked()), ([], [API, TAG]))

    def test_no_list(self) -> None:
        """A tag on something that is no list lists nothing."""
        data = image(Digest.of(b"config"))
        self.mirror.hub.script = [None, Reply(data, headers={"Content-Type": IMAGE})]

        self.assertEqual(self.listed(), [])

    def test_failures(self) -> None:
        """If the tag cannot be asked for, nobody knows."""
        for error in (*DOWN, REFUSED, UpstreamCorrupt(HUB, "sends HTML")):
            self.mirror.hub.script = [None, error]
            self.assertIs(self.fail_pull(type(error)), error)
        self.assertEqual([one for one in self.mirror.results if one != "error"], [])

    def test_stale_tag(self) -> None:
        """A list from a stale tag is stale, and not believed beyond that."""
        self.mirror.hub.script = [None, self.tagged(entry(1))]
        self.listed()
        self.mirror.clock.advance(TTL)
        self.mirror.hub.script = [None, DOWN[0]]

        found, stale = self.pull()

        self.assertEqual((self.sizes(found), stale), ([1], True))
        self.mirror.hub.script = [page(entry(2))]
        self.assertEqual(self.listed(), [2])


class FreshnessTests(ReferrersCase):
    """How long a list is believed, and what is served when the upstream is down."""

    def setUp(self) -> None:
        """A list was pulled, and its time is over."""
        super().setUp()
        self.prime()

    def prime(self) -> None:
        """Pull it."""
        self.mirror.hub.script = [page(entry(1))]
        self.listed()
        self.mirror.clock.advance(TTL)
        self.asked()
        self.mirror.counts.results.clear()

    def test_fresh(self) -> None:
        """As long as a tag."""
        self.mirror.hub.script = [page(entry(2))]
        self.assertEqual(self.listed(), [2])
        self.mirror.clock.advance(TTL - 1)

        self.assertEqual(self.listed(), [2])

        self.assertEqual((self.asked(), self.mirror.results), ([API], ["miss", "hit"]))

    def test_clock_set_back(self) -> None:
        """A clock that has been set back makes nothing fresh for ever."""
        self.mirror.clock.rightNow -= TTL * 10
        self.mirror.hub.script = [page(entry(2))]

        self.assertEqual(self.listed(), [2])

    def test_stale(self) -> None:
        """When the upstream is down the list is as it was, and says so."""
        for error in DOWN:
            self.mirror.hub.script = [error]
            found, stale = self.pull()
            self.assertEqual((self.sizes(found), stale), ([1], True))
        self.assertEqual(self.mirror.results, ["stale"] * len(DOWN))

    def test_stale_of_what_is_cached(self) -> None:
        """So it is in the next process, if the subject is cached."""
        data = image(Digest.of(b"config"))
        self.mirror.hub.script = [Reply(data, headers={"Content-Type": IMAGE}), page(entry(1))]
        self.do(self.mirror.manifests.get(APP, Digest.of(data), ""))
        self.pull(subject=Digest.of(data))
        self.mirror.cache._listed.clear()
        self.mirror.clock.advance(TTL)
        self.mirror.hub.script = [DOWN[0]]

        found, stale = self.pull(subject=Digest.of(data))

        self.assertEqual((self.sizes(found), stale), ([1], True))

    def test_refused(self) -> None:
        """A refusal is never covered up for, and is no empty list."""
        self.mirror.hub.script = [REFUSED]

        self.assertIs(self.fail_pull(UpstreamRefused), REFUSED)

        self.assertEqual(self.asked(), [API])

    def test_limit(self) -> None:
        """Beyond the limit nothing stale is served."""
        self.use(freshness=Freshness(enabled=True, serve_stale=TTL + 100))
        self.prime()
        self.mirror.clock.advance(100)
        self.mirror.hub.script = [DOWN[0], DOWN[0]]
        self.assertTrue(self.pull()[1])
        self.mirror.clock.advance(1)

        self.fail_pull(UpstreamUnavailable)

    def test_unknown(self) -> None:
        """Of what was never listed there is nothing to be served."""
        self.mirror.hub.script = [DOWN[0]]

        error = self.refusal(self.mirror.referrers.page(APP, Digest.of(b"other"), None, "", ""), UpstreamUnavailable)

        self.assertIs(error, DOWN[0])

    def test_switched_off(self) -> None:
        """Without the proxy, what was listed is listed, as stale; of the rest nothing is known."""
        self.mirror.referrers._freshness = Freshness(enabled=False)

        found, stale = self.pull()
        other, other_stale = self.pull(subject=Digest.of(b"other"))

        self.assertEqual((self.sizes(found), stale, self.sizes(other), other_stale), ([1], True, [], False))
        self.assertEqual(self.asked(), [])

    def test_storage_refuses(self) -> None:
        """A list that cannot be kept is served; then it is asked for again."""
        fs: Any = self.mirror.fs
        for call in ("stat", "open"):
            fs.fail_calls(call)
            self.mirror.hub.script = [page(entry(2))]
            self.assertEqual(self.listed(), [2])
            fs.heal()
            self.mirror.cache._listed.clear()


class HostileTests(ReferrersCase):
    """Answers of the API that are no list."""

    def test_no_list(self) -> None:
        """What says that it is a list, and is none, is an error, and not an empty list."""
        for data in (
            b"",
            b"<!doctype html>",
            b"[]",
            b"null",
            b"{}",
            b'{"manifests": null}',
            b'{"manifests": {}}',
            b'{"manifests": [',
            b'{"manifests": [' + b"[" * 100_000,
            b'{"x":' * 100_000,
            b'{"manifests": [{"digest": "\\ud800"}]}',
            b'{"manifests": [{"size": 1e999}]}',
            b'{"manifests": [{"size": %b}]}' % (b"9" * 5000),
            b'{"manifests": [NaN]}',
            b"\x1f\x8b\x08\x00",
        ):
            self.mirror.hub.script = [Reply(data, headers={"Content-Type": INDEX})]
            self.fail_pull(UpstreamCorrupt)
        self.assertEqual(set(self.mirror.results), {"error"})

    def test_no_entries(self) -> None:
        """Entries that name nothing are left out: their digests go into headers."""
        wrong: list[Any] = [None, 5, "x", [], {}, {"digest": 5}, {"digest": None}, {"digest": "sha256:x"}]
        wrong += [{"digest": f'{Digest.of(b"x")}"\r\nX: y'}, {"digest": [str(Digest.of(b"x"))]}]
        self.mirror.hub.script = [page(*wrong, entry(1))]

        self.assertEqual(self.listed(), [1])

    def test_odd_types(self) -> None:
        """A filter compares strings; whatever else an entry says its type is, it is not that."""
        odd = [entry(number, artifactType=kind) for number, kind in enumerate((5, None, ["a/b"], {"a": "b"}, "a/b"))]
        self.mirror.hub.script = [page(*odd)]

        self.assertEqual((self.listed("a/b"), self.listed()), ([4], [0, 1, 2, 3, 4]))

    def test_twice(self) -> None:
        """Equal digests are one entry."""
        self.mirror.hub.script = [page(entry(1), entry(1, annotations={"a": "b"}), entry(2))]

        self.assertEqual(self.listed(), [1, 2])

    def test_too_large(self) -> None:
        """A document beyond the limit is not read, and an empty list is not what it means."""
        self.use(freshness=Freshness(enabled=True, manifest_size=1000))
        self.mirror.hub.script = [page(entry(1, annotations={"x": "y" * 1000}))]

        self.fail_pull(UpstreamCorrupt)

        self.assertEqual(self.asked(), [API])
        self.mirror.hub.script = [page(entry(1))]
        self.assertEqual(self.listed(), [1])


class KeptTests(ReferrersCase):
    """What is kept on disk."""

    def test_nothing_for_strangers(self) -> None:
        """Asking for the referrers of what is not here leaves no file."""
        self.mirror.hub.always = lambda asked: page(entry(1))
        for number in range(20):
            self.pull(subject=Digest.of(b"%d" % number))

        self.assertEqual(self.do(self.mirror.store.list("__mirror__/docker.io/team/app/manifests/referrers")), [])

    def test_tag_is_a_tag(self) -> None:
        """The list of a tag is a manifest like others, and found by that tag."""
        self.mirror.hub.script = [None, Reply(listing(entry(1)), headers={"Content-Type": INDEX})]
        self.listed()

        found = self.do(self.mirror.manifests.get(APP, Tag(f"sha256-{SUBJECT.encoded}"), ""))

        self.assertEqual(found.data, listing(entry(1)))
        self.assertEqual(self.asked(), [API, TAG])
