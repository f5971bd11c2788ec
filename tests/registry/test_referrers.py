"""The referrers of a manifest, as the API lists them (distribution-spec, "Listing Referrers")."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pkgd.formats.digest import Digest
from pkgd.formats.names import Tag
from pkgd.formats.oci import INDEX
from pkgd.registry.referrers import PAGE_BYTES, PAGE_ENTRIES, page_of, parse_entries, wellformed_entries
from pkgd.storage.layout import legacy_key, manifest_key, tag_key
from tests.registry.fixtures import APP, OTHER, RegistryCase, broken_database, descriptor, image, image_index

SUBJECT = Digest.of(b"subject")
CONFIG = Digest.of(b"{}")


class ReferrersCase(RegistryCase):
    """With words for lists."""

    def setUp(self) -> None:
        """A repository with a config."""
        super().setUp()
        self.do(self.registry.push_blob(APP, b"{}"))

    def refer(self, name: str, subject: Digest = SUBJECT, **more: Any) -> str:
        """Push a manifest about the subject; returns its digest."""
        data = image(CONFIG, subject=descriptor(subject), annotations={"name": name}, **more)
        self.do(self.registry.push(APP, str(Digest.of(data)), data))
        return str(Digest.of(data))

    def page(self, subject: Digest = SUBJECT, kind: str | None = None, after: str = "") -> tuple[Any, str | None]:
        """A page as a document, and after which digest the next one begins."""
        page = self.do(self.registry.referrers.page(APP, subject, kind, after))
        return json.loads(page.index), page.next

    def digests(self, subject: Digest = SUBJECT, kind: str | None = None) -> list[str]:
        """The digests of a list that fits into one page."""
        document, more = self.page(subject, kind)
        self.assertIsNone(more)
        return [one["digest"] for one in document["manifests"]]


class ListTests(ReferrersCase):
    """Who is listed."""

    def test_nobody(self) -> None:
        """A subject without referrers has an empty index, whether or not it or its repository exists."""
        empty = {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}

        self.assertEqual(self.page(), (empty, None))
        page = self.do(self.registry.referrers.page(OTHER, SUBJECT, None))
        self.assertEqual((json.loads(page.index), page.next), (empty, None))

    def test_everybody(self) -> None:
        """Every referrer, in the order of the digests; those of other subjects and repositories are not among them."""
        expected = sorted(self.refer(name) for name in "abcdef")
        self.refer("other", Digest.of(b"other"))
        data = image_index(subject=descriptor(SUBJECT))
        self.do(self.registry.push(OTHER, "x", data))

        self.assertEqual(self.digests(), expected)

    def test_entry(self) -> None:
        """An entry has what the manifest says of itself."""
        digest = self.refer("a", artifactType="application/x")

        document, _ = self.page()

        size = len(self.do(self.registry.pull(APP, digest)))
        expected = {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest,
            "size": size,
            "artifactType": "application/x",
            "annotations": {"name": "a"},
        }
        self.assertEqual(document["manifests"], [expected])

    def test_filter(self) -> None:
        """Only those of one type, if one is asked for; the type may be that of a config."""
        signature = self.refer("signature", artifactType="application/signature")
        sbom = self.refer("sbom", artifactType="application/sbom")
        plain = self.refer("plain")

        self.assertEqual(self.digests(kind="application/signature"), [signature])
        self.assertEqual(self.digests(kind="application/sbom"), [sbom])
        self.assertEqual(self.digests(kind="application/vnd.oci.image.config.v1+json"), [plain])
        self.assertEqual(self.digests(kind="application/none"), [])
        self.assertEqual(self.digests(kind=""), [])

    def test_deleted_referrer(self) -> None:
        """A deleted referrer is gone at once."""
        kept, gone = self.refer("kept"), self.refer("gone")
        self.assertEqual(len(self.digests()), 2)

        self.do(self.registry.manifests.delete(APP, Digest.parse(gone)))

        self.assertEqual(self.digests(), [kept])

    def test_deleted_subject(self) -> None:
        """A deleted subject keeps its referrers, and may come back to them."""
        data = image_index()
        self.do(self.registry.push(APP, "subject", data))
        referrer = self.refer("a", Digest.of(data))

        self.do(self.registry.manifests.delete(APP, Digest.of(data)))

        self.assertEqual(self.digests(Digest.of(data)), [referrer])

    def test_deleted_tag(self) -> None:
        """A referrer that loses its tag is still one."""
        data = image(CONFIG, subject=descriptor(SUBJECT))
        self.do(self.registry.push(APP, "tagged", data))

        self.do(self.registry.manifests.delete(APP, Tag("tagged")))

        self.assertEqual(self.digests(), [str(Digest.of(data))])

    def test_of_an_earlier_process(self) -> None:
        """Without the index the tree tells the same."""
        expected = sorted(self.refer(name) for name in "abc")
        before = self.page()
        self.registry = self.registry.restarted()

        self.assertEqual(self.digests(), expected)
        self.assertEqual(self.page(), before)

    def test_after_the_index_missed_one(self) -> None:
        """What the index has missed is found in the tree, also while it takes nothing, as on a full disk."""
        self.digests()
        works = self.registry.database._pool.runInteraction
        self.registry.database._pool.runInteraction = broken_database
        referrer = self.refer("missed")
        self.refer("of another", Digest.of(b"other"))
        self.assertEqual(self.digests(), [referrer])
        self.registry.database._pool.runInteraction = works

        self.assertEqual(self.digests(), [referrer])

    def test_sha512_subject(self) -> None:
        """A subject is the digest by which it is named."""
        subject = Digest.of(b"subject", "sha512")
        referrer = self.refer("a", subject)

        self.assertEqual(self.digests(subject), [referrer])
        self.assertEqual(self.digests(), [])


class FallbackTests(ReferrersCase):
    """Lists that clients kept under a tag, before there was the API ("Referrers Tag Schema")."""

    def keep(self, *entries: Any, subject: Digest = SUBJECT) -> None:
        """Keep a list as such a client does."""
        data = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
        tag = f"{subject.algorithm}-{subject.encoded[:64]}"
        self.write(manifest_key(APP, Digest.of(data)), data)
        self.write(tag_key(APP, Tag(tag)), json.dumps({"digest": str(Digest.of(data))}).encode())

    def test_listed(self) -> None:
        """Their entries are listed as they are, among those of the API, and each digest once."""
        kept = descriptor(b"kept", "application/x", annotations={"kept": "yes"}, artifactType="application/a")
        pushed = self.refer("pushed")
        self.keep(kept, descriptor(Digest.parse(pushed), "application/other"))

        document, _ = self.page()

        found = {one["digest"]: one for one in document["manifests"]}
        self.assertEqual(sorted(found), sorted([kept["digest"], pushed]))
        self.assertEqual(found[kept["digest"]], kept)
        self.assertEqual(found[pushed]["annotations"], {"name": "pushed"})

    def test_filtered(self) -> None:
        """The filter is for them too."""
        kept = descriptor(b"kept", artifactType="application/a")
        self.keep(kept, descriptor(b"other"))

        self.assertEqual(self.digests(kind="application/a"), [kept["digest"]])

    def test_pushed_as_a_manifest(self) -> None:
        """A client that keeps its list today pushes it like any index."""
        data = image_index(b"kept")
        self.do(self.registry.push(APP, f"sha256-{SUBJECT.encoded}", data))

        self.assertEqual(self.digests(), [str(Digest.of(b"kept"))])

    def test_legacy_file(self) -> None:
        """The list may be a file of the original server's."""
        self.write(legacy_key(APP, Tag(f"sha256-{SUBJECT.encoded}")), image_index(b"kept"))

        self.assertEqual(self.digests(), [str(Digest.of(b"kept"))])

    def test_sha512(self) -> None:
        """A long digest is cut in the tag's name, as the specification says."""
        subject = Digest.of(b"subject", "sha512")
        self.keep(descriptor(b"kept"), subject=subject)

        self.assertEqual(self.digests(subject), [str(Digest.of(b"kept"))])

    def test_deleted(self) -> None:
        """When the tag is deleted its list is gone."""
        self.keep(descriptor(b"kept"))
        self.assertEqual(len(self.digests()), 1)

        self.do(self.registry.manifests.delete(APP, Tag(f"sha256-{SUBJECT.encoded}")))

        self.assertEqual(self.digests(), [])

    def test_odd_entries(self) -> None:
        """What names no digest is left out: it can neither be pulled nor put into a header."""
        good = descriptor(b"good")
        odd: list[Any] = [
            1,
            None,
            "text",
            [],
            {},
            {"digest": 1},
            {"digest": "x\r\nSet-Cookie: y"},
            {"digest": "sha256:"},
        ]
        self.keep(*odd[:4], good, *odd[4:])

        self.assertEqual(self.digests(), [good["digest"]])

    def test_no_list(self) -> None:
        """A tag of that name may be anything."""
        tag = legacy_key(APP, Tag(f"sha256-{SUBJECT.encoded}"))
        for data in (
            b"",
            b"text",
            b"[]",
            b"{}",
            b'{"manifests": 1}',
            b'{"manifests": {"a": 1}}',
            b'"\xff"',
            b"[" * 9999,
        ):
            self.write(tag, data)
            self.assertEqual(self.digests(), [])


class PageTests(ReferrersCase):
    """Long lists come in pages, and clients read at most 4 MiB of each."""

    def fill(self, count: int, size: int = 0) -> list[str]:
        """Keep a list of so many entries, each at least so large; returns their digests in order."""
        entries = [descriptor(b"%d" % n, annotations={"padding": "x" * size}) for n in range(count)]
        document = {"schemaVersion": 2, "manifests": entries}
        self.write(legacy_key(APP, Tag(f"sha256-{SUBJECT.encoded}")), json.dumps(document).encode())
        return sorted(one["digest"] for one in entries)

    def pages(self) -> list[list[str]]:
        """The digests of all pages."""
        found, after = [], ""
        while True:
            page = self.do(self.registry.referrers.page(APP, SUBJECT, None, after))
            self.assertLess(len(page.index), 4 << 20)
            found.append([one["digest"] for one in json.loads(page.index)["manifests"]])
            if page.next is None:
                return found
            self.assertEqual(page.next, found[-1][-1])
            after = page.next

    def test_by_count(self) -> None:
        """A full page has as many entries as one may have, and no page is empty."""
        digests = self.fill(2 * PAGE_ENTRIES + 1)

        pages = self.pages()

        self.assertEqual([len(page) for page in pages], [PAGE_ENTRIES, PAGE_ENTRIES, 1])
        self.assertEqual([one for page in pages for one in page], digests)

    def test_exactly_one_page(self) -> None:
        """A list that just fits has no next page."""
        self.fill(PAGE_ENTRIES)
        self.assertEqual([len(page) for page in self.pages()], [PAGE_ENTRIES])

    def test_by_size(self) -> None:
        """Large entries make short pages."""
        digests = self.fill(7, PAGE_BYTES // 3)

        pages = self.pages()

        self.assertEqual([len(page) for page in pages], [2, 2, 2, 1])
        self.assertEqual([one for page in pages for one in page], digests)

    def test_entry_that_fills_a_page(self) -> None:
        """An entry that is larger than a page comes alone, and does not stop the list."""
        self.fill(3, PAGE_BYTES + 1)
        self.assertEqual([len(page) for page in self.pages()], [1, 1, 1])

    def test_after_what_is_not_there(self) -> None:
        """A page may begin after a digest that has been deleted since."""
        digests = self.fill(5)
        document, _ = self.page(after=digests[1] + "0")
        self.assertEqual([one["digest"] for one in document["manifests"]], digests[2:])


class EntryTests(SynchronousTestCase):
    """Lists that others have written."""

    def test_parsed(self) -> None:
        """Every field of every entry is passed on; what names nothing is left out."""
        entries = [descriptor(b"a", annotations={"k": "v"}, odd=[None, 1.5]), descriptor(b"b")]
        wrong: list[Any] = [None, 5, "x", [], {}, {"digest": 5}, {"digest": "sha256:x"}, {"digest": ["x"]}]

        found = parse_entries(json.dumps({"manifests": [*wrong, *entries], "more": {}}).encode())

        self.assertEqual([json.loads(one) for one in found], entries)

    def test_no_list(self) -> None:
        """What is no list is none, or, for who wants none to be made up, an error."""
        for data in (
            b"",
            b"[]",
            b"null",
            b"{}",
            b'{"manifests": null}',
            b'{"manifests": {}}',
            b'{"manifests": [{"digest": "\\ud800"}]}',
            b'{"manifests": [' + b"[" * 100_000,
            b'{"x":' * 100_000,
        ):
            self.assertRaises(ValueError, parse_entries, data)
            self.assertEqual(wellformed_entries(data), [])

    def test_page(self) -> None:
        """A page is in the order of the digests, of equal ones the last."""
        first, last = (json.dumps(descriptor(b"a", annotations={"n": n})).encode() for n in "12")
        other = json.dumps(descriptor(b"b", artifactType="a/b")).encode()

        page = page_of([other, first, last], None, "")
        filtered = page_of([other, first, last], "a/b", "")

        found = {one["digest"]: one for one in json.loads(page.index)["manifests"]}
        self.assertEqual(list(found), sorted(found))
        self.assertEqual(found[str(Digest.of(b"a"))]["annotations"], {"n": "2"})
        self.assertEqual(json.loads(filtered.index)["manifests"], [json.loads(other)])
