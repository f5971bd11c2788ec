"""Everything that lists: the base, tags, repositories, referrers, extensions."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Access, Action, Principal
from pkgd.formats.oci import IMAGE, INDEX
from tests.web.content import (
    BLOB,
    CONFIG_TYPE,
    PLAIN,
    PLAIN_DIGEST,
    descriptor,
    digest_of,
    image,
    index,
    push_blob,
    push_manifest,
)
from tests.web.fixtures import Edge
from tests.web.messages import Row, each
from tests.web.policies import Explained

NAME = "team/app"
TAGS = f"/v2/{NAME}/tags/list"
CATALOG = "/v2/_catalog"
REFERRERS = f"/v2/{NAME}/referrers/"
# In byte order, which is neither that of words nor of versions.
SORTED_TAGS = ["1.0", "10", "2", "A", "Z", "_x", "a", "a-b", "a.b", "latest"]
# The order of whole names: `-` sorts before `/`.
SORTED_NAMES = ["a", "a-b", "a/b", "a/b/c", "a/c", "team/app", "z"]
NEXT = re.compile(r'<(/[^>]*)>; rel="next"')


def page(clause: str, target: str, entries: list[str], following: str | None = None) -> Row:
    """A GET of a list."""
    link = None if following is None else f'<{following}>; rel="next"'
    key = "repositories" if target.startswith(CATALOG) else "tags"
    headers = {"Link": link, "Content-Type": "application/json"}
    return Row(clause, "GET", target, 200, headers=headers, lists={key: entries})


def bad(clause: str, target: str) -> Row:
    """A GET whose query is refused."""
    return Row(clause, "GET", target, 400, code="UNSUPPORTED")


BASE = [
    Row(
        "The base says that this is a registry",
        "GET",
        "/v2/",
        200,
        headers={"Docker-Distribution-API-Version": "registry/2.0", "Content-Type": "application/json"},
        answer=b"{}",
    ),
    Row("So it does without its slash", "GET", "/v2", 200, answer=b"{}"),
    Row("HEAD of the base", "HEAD", "/v2/", 200, headers={"Content-Length": "2"}),
    Row("Nothing is posted to the base", "POST", "/v2/", 405, headers={"Allow": "GET, HEAD"}, code="UNSUPPORTED"),
    Row("Extensions can be discovered", "GET", "/v2/_oci/ext/discover", 200, lists={"extensions": []}),
    Row("So can those of a repository", "GET", f"/v2/{NAME}/_oci/ext/discover", 200, lists={"extensions": []}),
    Row("Other extensions are unknown", "GET", "/v2/_oci/ext/other", 404, code="NAME_UNKNOWN"),
]

TAG_PAGES = [
    page("Tags are listed in byte order", TAGS, SORTED_TAGS),
    page("A page of no tags is empty and the last", f"{TAGS}?n=0", []),
    page("A page says where the next begins", f"{TAGS}?n=2", ["1.0", "10"], f"{TAGS}?n=2&last=10"),
    page("The next page begins behind the last tag", f"{TAGS}?n=2&last=10", ["2", "A"], f"{TAGS}?n=2&last=A"),
    page("The last tag of a page need not exist", f"{TAGS}?n=1&last=1.5", ["10"], f"{TAGS}?n=1&last=10"),
    page("Without a size the rest follows", f"{TAGS}?last=a-b", ["a.b", "latest"]),
    page("A page that ends with the last tag has no next", f"{TAGS}?n=10", SORTED_TAGS),
    page("Behind the last tag there is nothing", f"{TAGS}?last=zzz", []),
    page("An enormous page is cut, not refused", f"{TAGS}?n=999999999999", SORTED_TAGS),
    page("A repository that has only blobs has no tags", "/v2/blobs/only/tags/list", []),
    Row("Tags are listed under their repository", "GET", TAGS, 200, lists={"name": NAME}),
    Row("HEAD of tags", "HEAD", TAGS, 200, headers={"Content-Type": "application/json"}),
    Row("A repository never pushed to is unknown", "GET", "/v2/no/where/tags/list", 404, code="NAME_UNKNOWN"),
    Row("Tags of what is no name are refused", "GET", "/v2/No/tags/list", 400, code="NAME_INVALID"),
    Row("Tags are not deleted as a list", "DELETE", TAGS, 405, headers={"Allow": "GET, HEAD"}, code="UNSUPPORTED"),
    bad("A negative page is refused", f"{TAGS}?n=-1"),
    bad("A page of words is refused", f"{TAGS}?n=many"),
    bad("A page of nothing is refused", f"{TAGS}?n="),
    bad("A page with a fraction is refused", f"{TAGS}?n=1.5"),
    bad("A page of other digits is refused", f"{TAGS}?n=%D9%A1"),
    bad("A page beyond all numbers is refused", f"{TAGS}?n={'9' * 19}"),
    bad("A size given twice is refused", f"{TAGS}?n=1&n=2"),
    bad("A last tag given twice is refused", f"{TAGS}?last=a&last=b"),
]

CATALOG_PAGES = [
    page("Repositories are listed in byte order", CATALOG, SORTED_NAMES),
    page("A page of no repositories is empty and the last", f"{CATALOG}?n=0", []),
    page(
        "A page of repositories says where the next begins",
        f"{CATALOG}?n=2",
        SORTED_NAMES[:2],
        f"{CATALOG}?n=2&last=a-b",
    ),
    page("A name's slashes are encoded in the link", f"{CATALOG}?n=1&last=a-b", ["a/b"], f"{CATALOG}?n=1&last=a%2Fb"),
    page("An encoded name is read as the plain one", f"{CATALOG}?last=a%2Fb%2Fc", SORTED_NAMES[4:]),
    page("The last repository of a page need not exist", f"{CATALOG}?last=b", ["team/app", "z"]),
    page("A last name inside another's tree", f"{CATALOG}?last=a/b/b", SORTED_NAMES[3:]),
    page("An enormous catalog is cut, not refused", f"{CATALOG}?n=999999999999", SORTED_NAMES),
    Row("HEAD of the catalog", "HEAD", CATALOG, 200),
    Row("The catalog is only read", "PUT", CATALOG, 405, headers={"Allow": "GET, HEAD"}, code="UNSUPPORTED"),
    bad("A negative number of repositories is refused", f"{CATALOG}?n=-1"),
    bad("A number of repositories given twice is refused", f"{CATALOG}?n=1&n=1"),
]


class ListCase(SynchronousTestCase):
    """An edge, and a way to follow links."""

    def setUp(self) -> None:
        """An empty registry, where layers may be absent."""
        self.edge = Edge(self, sparse=("**",))

    def walk(self, target: str, key: str) -> list[list[Any]]:
        """Every page of a list, by its links."""
        pages: list[list[Any]] = []
        following: str | None = target
        while following is not None:
            self.assertLess(len(pages), 50, "the links go on for ever")
            answer = self.edge.call("GET", following)
            self.assertEqual(answer.status, 200)
            pages.append(answer.json[key])
            link = NEXT.fullmatch(answer.header("Link") or "")
            following = link[1] if link else None
        return pages


@each([*BASE, *TAG_PAGES])
class TagTests(ListCase):
    """A repository with ten tags, and one with a blob only."""

    def setUp(self) -> None:
        """Push them."""
        super().setUp()
        for tag in reversed(SORTED_TAGS):
            push_manifest(self.edge, NAME, tag, PLAIN)
        push_blob(self.edge, "blobs/only", BLOB)

    def test_walk(self) -> None:
        """The links lead through all tags, each once, whatever the size of a page."""
        for size in (1, 3, 10):
            pages = self.walk(f"{TAGS}?n={size}", "tags")
            self.assertEqual([tag for one in pages for tag in one], SORTED_TAGS)
            self.assertEqual(max(len(one) for one in pages), size)

    def test_default_page(self) -> None:
        """A page has 1000 tags at most, whatever is asked for, and the link says so."""
        directory = self.edge.tree.path(f"{NAME}/manifests/by-tag")
        for number in range(1000):
            os.link(f"{directory}/latest", f"{directory}/t{number:04}")

        for query in ("", "?n=1001", "?n=999999999999"):
            pages = self.walk(TAGS + query, "tags")
            self.assertEqual([len(one) for one in pages], [1000, 10], query)

    def test_foreign_file(self) -> None:
        """A file whose name is no tag is not listed: one bad name would spoil the list for clients."""
        directory = self.edge.tree.path(f"{NAME}/manifests/by-tag")
        os.link(f"{directory}/latest", f"{directory}/.latest.swp")

        self.assertEqual(self.walk(TAGS, "tags"), [SORTED_TAGS])

    def test_deleted(self) -> None:
        """A deleted tag is no longer listed."""
        self.edge.call("DELETE", f"/v2/{NAME}/manifests/A")

        self.assertEqual(self.walk(TAGS, "tags"), [[tag for tag in SORTED_TAGS if tag != "A"]])

    def test_emptied(self) -> None:
        """A repository whose manifests are all deleted is known, and has no tags."""
        self.edge.call("DELETE", f"/v2/{NAME}/manifests/{PLAIN_DIGEST}")

        self.assertEqual(self.walk(TAGS, "tags"), [[]])


@each(CATALOG_PAGES)
class CatalogTests(Explained, ListCase):
    """Repositories below and beside one another."""

    denied: frozenset[str] = frozenset()

    def setUp(self) -> None:
        """Push one manifest to each, and only a blob to one more."""
        self.edge = Edge(self, sparse=("**",), policy=self)
        for name in SORTED_NAMES:
            push_manifest(self.edge, name, "x", PLAIN)
        push_blob(self.edge, "blobs/only", BLOB)

    def allows(self, principal: Principal, access: Access) -> bool:
        """The policy: everything but pulls of what is denied."""
        return access.action is not Action.PULL or access.resource not in self.denied

    def test_walk(self) -> None:
        """The links lead through all repositories, each once, whatever the size of a page."""
        for size in (1, 2, 7):
            pages = self.walk(f"{CATALOG}?n={size}", "repositories")
            self.assertEqual([name for one in pages for name in one], SORTED_NAMES)

    def test_denied(self) -> None:
        """What may not be pulled is not listed, and leaves no gap in a page."""
        self.denied = frozenset(["oci:a-b", "oci:a/b", "oci:z"])

        pages = self.walk(f"{CATALOG}?n=2", "repositories")

        self.assertEqual([name for one in pages for name in one], ["a", "a/b/c", "a/c", "team/app"])
        self.assertEqual(len(pages[0]), 2)


ARTIFACT = "application/vnd.example.sbom+json"
NO_REFERRERS = {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
EMPTY_LISTS = [
    Row(
        "The referrers of what nobody refers to are an empty index",
        "GET",
        REFERRERS + PLAIN_DIGEST,
        200,
        headers={"Content-Type": INDEX, "OCI-Filters-Applied": None, "Link": None},
        lists=NO_REFERRERS,
    ),
    Row("So are those of what does not exist", "GET", REFERRERS + digest_of(b""), 200, lists=NO_REFERRERS),
    Row("So are those of a sha512", "GET", REFERRERS + digest_of(b"", "sha512"), 200, lists=NO_REFERRERS),
    Row("So are those in no repository", "GET", f"/v2/no/where/referrers/{PLAIN_DIGEST}", 200, lists=NO_REFERRERS),
    Row("An encoded digest is read", "GET", REFERRERS + PLAIN_DIGEST.replace(":", "%3a"), 200, lists=NO_REFERRERS),
    Row("HEAD of referrers", "HEAD", REFERRERS + PLAIN_DIGEST, 200, headers={"Content-Type": INDEX}),
    Row("A malformed subject is refused", "GET", f"{REFERRERS}sha256:x", 400, code="DIGEST_INVALID"),
    Row("A tag is no subject", "GET", f"{REFERRERS}latest", 400, code="DIGEST_INVALID"),
    Row("Referrers are only read", "PUT", REFERRERS + PLAIN_DIGEST, 405, headers={"Allow": "GET, HEAD"}),
    Row(
        "A filter that finds nothing was applied too",
        "GET",
        f"{REFERRERS}{PLAIN_DIGEST}?artifactType=a/b",
        200,
        headers={"OCI-Filters-Applied": "artifactType"},
        lists=NO_REFERRERS,
    ),
    bad("A filter given twice is refused", f"{REFERRERS}{PLAIN_DIGEST}?artifactType=a&artifactType=b"),
]


@each(EMPTY_LISTS)
class ReferrersTests(ListCase):
    """Manifests that name a subject (distribution-spec, "Listing Referrers")."""

    def refer(self, **more: Any) -> dict[str, Any]:
        """Push a manifest whose subject is the image; returns what the list must say of it."""
        data = image(subject=descriptor(IMAGE, PLAIN), **more)
        push_manifest(self.edge, NAME, digest_of(data), data)
        return descriptor(IMAGE, data)

    def listed(self, query: str = "") -> list[dict[str, Any]]:
        """The referrers of the image."""
        return [entry for one in self.walk(REFERRERS + PLAIN_DIGEST + query, "manifests") for entry in one]

    def test_entry(self) -> None:
        """An entry has the manifest's type, digest, size, artifact type and annotations."""
        expected = self.refer(artifactType=ARTIFACT, annotations={"org.example": "1"})

        self.assertEqual(self.listed(), [{**expected, "artifactType": ARTIFACT, "annotations": {"org.example": "1"}}])

    def test_config_type(self) -> None:
        """Without an artifact type, an image's config type is shown."""
        expected = self.refer()

        self.assertEqual(self.listed(), [{**expected, "artifactType": CONFIG_TYPE}])

    def test_index(self) -> None:
        """An index refers too; without an artifact type it shows none."""
        data = index(subject=descriptor(IMAGE, PLAIN))
        push_manifest(self.edge, NAME, "list", data, INDEX)

        self.assertEqual(self.listed(), [descriptor(INDEX, data)])

    def test_filter(self) -> None:
        """Only entries of the wanted type are listed, a config's type included."""
        one = self.refer(artifactType=ARTIFACT)
        other = self.refer(annotations={"x": "y"})

        self.assertEqual([entry["digest"] for entry in self.listed(f"?artifactType={ARTIFACT}")], [one["digest"]])
        encoded = CONFIG_TYPE.replace("/", "%2F").replace("+", "%2B")
        self.assertEqual([entry["digest"] for entry in self.listed(f"?artifactType={encoded}")], [other["digest"]])

    def test_deleted(self) -> None:
        """A deleted referrer is gone at once; the subject's deletion changes nothing."""
        push_manifest(self.edge, NAME, "latest", PLAIN)
        gone, left = self.refer(artifactType="a/b"), self.refer(artifactType="c/d")

        self.edge.call("DELETE", f"/v2/{NAME}/manifests/{gone['digest']}")
        self.edge.call("DELETE", f"/v2/{NAME}/manifests/{PLAIN_DIGEST}")

        self.assertEqual([entry["digest"] for entry in self.listed()], [left["digest"]])

    def test_other_repository(self) -> None:
        """A referrer counts in its own repository only."""
        self.refer()

        self.assertEqual(self.edge.call("GET", f"/v2/other/referrers/{PLAIN_DIGEST}").json, NO_REFERRERS)

    def test_fallback_tag(self) -> None:
        """A list that clients kept under the tag schema is part of the answer, each entry once."""
        known = self.refer()
        kept = descriptor(IMAGE, b"older", artifactType=ARTIFACT)
        listing = json.loads(index()) | {"manifests": [kept, known]}
        tag = PLAIN_DIGEST.replace(":", "-")
        push_manifest(self.edge, NAME, tag, json.dumps(listing).encode(), INDEX)

        self.assertCountEqual([entry["digest"] for entry in self.listed()], [known["digest"], kept["digest"]])
        self.assertEqual(self.listed(f"?artifactType={ARTIFACT}"), [kept])

    def test_pages(self) -> None:
        """A list too long for clients comes in pages, which the links lead through; a filter stays on."""
        kind = "application/a+b"
        digests = [self.refer(artifactType=kind, annotations={"n": f"{n}" * 1_200_000})["digest"] for n in range(5)]
        other = self.refer()["digest"]

        pages = self.walk(f"{REFERRERS}{PLAIN_DIGEST}?artifactType=application%2Fa%2Bb", "manifests")

        self.assertGreater(len(pages), 2)
        self.assertEqual([entry["digest"] for one in pages for entry in one], sorted(digests))
        self.assertEqual([entry["digest"] for entry in self.listed()], sorted([*digests, other]))
