"""`/v2/` of upstreams: which is meant, and what a client sees of it (distribution-spec, "Registry Proxying")."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred

from pkgd.auth.model import Access, Principal, mirrored
from pkgd.errors import (
    LoopDetected,
    UpstreamBusy,
    UpstreamCorrupt,
    UpstreamRefused,
    UpstreamTimeout,
)
from pkgd.formats.oci import IMAGE, INDEX
from pkgd.mirror.manifests import Freshness
from pkgd.mirror.origins import HOSTED, OriginRules
from pkgd.web.registry.mirror import MAX_HOPS
from tests.mirror.scripted import HUB, Reply
from tests.web.content import BLOB, BLOB_DIGEST, CONFIG, PLAIN, PLAIN_DIGEST, digest_of, image, push_blob, push_manifest
from tests.web.memory import settle
from tests.web.messages import Response
from tests.web.policies import Explained
from tests.web.registry.mirror_fixtures import ALPINE, DATA, DIGEST, GONE, OTHER, OWN_ID, MirrorCase, globs

FALLBACK = OriginRules(enabled=True, fallback=("docker.io", "quay.io"))


class NamingTests(MirrorCase):
    """A request that names its upstream is answered from there and from nowhere else."""

    def test_ways(self) -> None:
        """By `ns`, by X-Registry-Host, or by a leading host in the path; aliases and short names of Docker Hub too."""
        for target, headers in (
            (f"{ALPINE}/manifests/latest?ns=docker.io", {}),
            (f"{ALPINE}/manifests/latest?ns=index.docker.io", {}),
            (f"{ALPINE}/manifests/latest?ns=DOCKER.IO.", {}),
            (f"{ALPINE}/manifests/latest?x=y&%6E%73=docker%2Eio", {}),
            ("/v2/alpine/manifests/latest?ns=docker.io", {}),
            (f"{ALPINE}/manifests/latest", {"X_Registry_Host": "registry-1.docker.io"}),
            ("/v2/docker.io/library/alpine/manifests/latest", {}),
            ("/v2/docker.io/alpine/manifests/latest", {}),
        ):
            self.serves(target, **headers)
        self.assertEqual(self.edge.asked(), {HUB: ["GET manifests/latest"]})

    def test_precedence(self) -> None:
        """`ns` counts before the header, the header before the path."""
        self.edge.shelf("quay.io").manifest(OTHER, "latest")

        self.serves(f"{ALPINE}/manifests/latest?ns=docker.io", X_Registry_Host="quay.io")
        self.serves(f"{ALPINE}/manifests/latest?ns=quay.io", OTHER, "quay.io", X_Registry_Host="docker.io")
        self.serves("/v2/docker.io/x/manifests/latest", OTHER, "quay.io", X_Registry_Host="quay.io")

    def test_hosted_namesake(self) -> None:
        """A hosted repository of the same name neither answers for an upstream's nor hides it."""
        self.host("library/alpine", "latest")

        self.serves(f"{ALPINE}/manifests/latest?ns=docker.io")
        self.serves(f"{ALPINE}/manifests/latest", OTHER, None)
        self.serves("/v2/docker.io/library/alpine/manifests/latest")

    def test_hosted_path(self) -> None:
        """A hosted repository that has exactly the name of a path with a host counts; its neighbours do not."""
        self.host_before("docker.io/library/alpine", "latest")
        self.edge.shelf().manifest(PLAIN, "other")

        self.serves("/v2/docker.io/library/alpine/manifests/latest", OTHER, None)
        self.refuses("/v2/docker.io/library/alpine/manifests/other", 404, "MANIFEST_UNKNOWN")
        self.serves("/v2/docker.io/library/debian/manifests/latest")
        for _ in range(2):
            self.serves(f"{ALPINE}/manifests/latest?ns=docker.io")
            self.serves("/v2/docker.io/library/alpine/manifests/latest", OTHER, None)

    def test_hosted_at_once(self) -> None:
        """So it is for what is in memory, of both."""
        self.host("library/alpine", "latest")
        for _ in range(3):
            self.serves(f"{ALPINE}/manifests/latest?ns=docker.io")
            self.serves(f"{ALPINE}/manifests/latest", OTHER, None)
        self.assertEqual(self.edge.asked(), {HUB: ["GET manifests/latest"]})

    def test_not_merged(self) -> None:
        """The same name at two upstreams is two repositories."""
        self.edge.shelf("quay.io").manifest(OTHER, "latest")

        self.serves(f"{ALPINE}/manifests/latest?ns=docker.io")
        self.serves(f"{ALPINE}/manifests/latest?ns=quay.io", OTHER, "quay.io")
        self.refuses(f"{ALPINE}/manifests/{PLAIN_DIGEST}?ns=quay.io", 404, "MANIFEST_UNKNOWN")

    def test_own_name(self) -> None:
        """A name of our own means what is hosted, and asks nobody."""
        self.use(OriginRules(enabled=True, own_names=frozenset(["registry.test"]), fallback=("docker.io",)))
        self.host("team/app", "latest")

        self.serves("/v2/team/app/manifests/latest?ns=registry.test", OTHER, None)
        self.refuses(f"{ALPINE}/manifests/latest?ns=registry.test", 404, "MANIFEST_UNKNOWN")

        self.assertEqual(self.edge.asked(), {})

    def test_not_permitted(self) -> None:
        """What may not be mirrored looks as if it did not exist, whatever the reason."""
        self.use(OriginRules(enabled=True, allow=globs("docker.io/**"), deny=globs("docker.io/secret/**")))
        for host in ("quay.io", "127.0.0.1", "10.0.0.1:5000", "localhost", "x", "a_b.io", "-", "registry.internal"):
            for kind in ("manifests/latest", f"blobs/{BLOB_DIGEST}", "tags/list", f"referrers/{PLAIN_DIGEST}"):
                self.refuses(f"{ALPINE}/{kind}?ns={host}", 404, "NAME_UNKNOWN")
        self.refuses("/v2/secret/app/manifests/latest?ns=docker.io", 404, "NAME_UNKNOWN")
        self.refuses(f"{ALPINE}/manifests/latest", 404, "NAME_UNKNOWN", X_Registry_Host="quay.io")

        self.assertEqual(self.edge.asked(), {})

    def test_twice(self) -> None:
        """Two `ns` are refused: two readers could choose differently."""
        for other in ("ns=docker.io", "ns=quay.io", "n%73=quay.io", "ns="):
            self.refuses(f"{ALPINE}/manifests/latest?ns=docker.io&{other}", 400, "UNSUPPORTED")

    def test_other_parameters(self) -> None:
        """Parameters that nobody reads name nothing, whatever is wrong with them."""
        self.use(FALLBACK)
        self.host("team/app", "latest")
        for query in ("xns=quay.io", "x=ns=quay.io", "NS=quay.io", "ns", "x=%zz", "%ff"):
            self.serves(f"/v2/team/app/manifests/latest?{query}", OTHER, None)

    def test_header_not_trusted(self) -> None:
        """The header can be switched off; so can the path."""
        self.use(OriginRules(enabled=True, trust_header=False, path_prefix=False))

        self.refuses(f"{ALPINE}/manifests/latest", 404, "MANIFEST_UNKNOWN", X_Registry_Host="docker.io")
        self.refuses("/v2/docker.io/library/alpine/manifests/latest", 404, "MANIFEST_UNKNOWN")

    def test_many_choices(self) -> None:
        """Whatever is asked for, memory is bounded, and long targets are not remembered."""
        door: Any = self.edge.root._registry._mirror
        for number in range(50):
            self.edge.get(f"/v2/r{number}/manifests/{'x' * 100}?ns=docker.io&{'y' * 400}")
        self.assertEqual(len(door._choices), 0)

        for number in range(4100):
            door._choices[b"%d" % number, None] = HOSTED
        self.serves(f"{ALPINE}/manifests/latest?ns=docker.io")

        self.assertEqual(len(door._choices), 1)


class WritingTests(MirrorCase):
    """Upstreams' repositories can only be read."""

    def writes(self, name: str, suffix: str = "") -> list[tuple[str, str, bytes]]:
        """A request of each kind that writes."""
        return [
            ("POST", f"/v2/{name}/blobs/uploads/{suffix}", b""),
            ("PUT", f"/v2/{name}/manifests/latest{suffix}", PLAIN),
            ("DELETE", f"/v2/{name}/manifests/latest{suffix}", b""),
            ("DELETE", f"/v2/{name}/blobs/{BLOB_DIGEST}{suffix}", b""),
            ("PATCH", f"/v2/{name}/blobs/uploads/{'0' * 32}{suffix}", b"x"),
            ("GET", f"/v2/{name}/blobs/uploads/{'0' * 32}{suffix}", b""),
        ]

    def test_refused(self) -> None:
        """Every write that names one is refused, however it does, and asks nobody."""
        for method, target, body in [
            *self.writes("library/alpine", "?ns=docker.io"),
            *self.writes("docker.io/library/alpine"),
        ]:
            answer = self.edge.call(method, target, {}, body)
            self.assertEqual((answer.status, answer.code), (405, "UNSUPPORTED"), (method, target))
        for method, target, body in self.writes("library/alpine"):
            answer = self.edge.call(method, target, {"X-Registry-Host": "docker.io"}, body)
            self.assertEqual((answer.status, answer.code), (405, "UNSUPPORTED"), (method, target))

        self.assertEqual(self.edge.asked(), {})

    def test_before_the_body(self) -> None:
        """The refusal comes before the body."""
        client = self.edge.connect()

        client.request("PUT", "/v2/library/alpine/manifests/latest?ns=docker.io", {"Content-Length": "9"})

        self.assertEqual((client.answer.status, client.answer.header("Connection")), (405, "close"))

    def test_own_name(self) -> None:
        """containerd sends `ns` with pushes, too: our own name is none."""
        self.use(OriginRules(enabled=True, own_names=frozenset(["registry.test"])))

        answer = self.edge.call("POST", f"/v2/app/blobs/uploads/?digest={BLOB_DIGEST}&ns=registry.test", {}, BLOB)

        self.assertEqual(answer.status, 201)

    def test_hosted_path(self) -> None:
        """A hosted repository with the name of a path with a host can be pushed to, as long as it is there."""
        self.host_before("docker.io/library/alpine", "latest")

        push_blob(self.edge, "docker.io/library/alpine", DATA)

        self.refuses("/v2/docker.io/library/debian/blobs/uploads/", 405, "UNSUPPORTED", "POST")

    def test_new_repository(self) -> None:
        """Pushing a new repository by a plain name asks no upstream, from the first request to the last."""
        self.use(FALLBACK)
        for method, target, body in self.writes("team/new")[:1]:
            self.assertEqual(self.edge.call(method, target, {}, body).status, 202)
        for data in (BLOB, CONFIG):
            self.refuses(f"/v2/team/new/blobs/{digest_of(data)}", 404, "", "HEAD")
            push_blob(self.edge, "team/new", data)
        push_manifest(self.edge, "team/new", "latest", OTHER)

        self.serves("/v2/team/new/manifests/latest", OTHER, None)

        self.assertEqual(self.edge.asked(), {})

    def test_foreign_query(self) -> None:
        """A query that nobody reads is not looked at, be it malformed: clients add things to a session's URL."""
        location = self.edge.call("POST", "/v2/team/new/blobs/uploads/").header("Location")

        self.assertEqual(self.edge.get(f"{location}?digest=nonsense&x=%ff").status, 204)

    def test_other_methods(self) -> None:
        """A method that does not exist is refused as everywhere."""
        answer = self.refuses(f"{ALPINE}/tags/list?ns=docker.io", 405, "UNSUPPORTED", "DELETE")

        self.assertEqual(answer.header("Allow"), "GET, HEAD")


class FallbackTests(MirrorCase):
    """Names that name no upstream."""

    def setUp(self) -> None:
        """docker.io and then quay.io are asked for them."""
        self.use(FALLBACK)
        self.edge.shelf("quay.io").manifest(OTHER, "latest")

    def test_hosted_first(self) -> None:
        """A hosted repository answers, also for what it lacks."""
        self.host("library/alpine", "mine")

        self.serves(f"{ALPINE}/manifests/mine", OTHER, None)
        self.refuses(f"{ALPINE}/manifests/latest", 404, "MANIFEST_UNKNOWN")
        self.refuses(f"{ALPINE}/blobs/{DIGEST}", 404, "BLOB_UNKNOWN")

        self.assertEqual(self.edge.asked(), {})

    def test_first_that_has_it(self) -> None:
        """The first upstream that has it answers, and from then on for the name."""
        self.edge.shelf().tags.clear()
        self.serves("/v2/team/app/manifests/latest", OTHER, "quay.io")
        self.edge.shelf().manifest(PLAIN, "latest")
        self.edge.pass_time(600)

        self.serves("/v2/team/app/manifests/latest", OTHER, "quay.io")

        self.assertEqual(self.edge.get("/v2/team/app/manifests/other").status, 404)
        self.assertEqual(self.edge.asked()[HUB], ["GET manifests/latest"])

    def test_failure_does_not_lead_on(self) -> None:
        """A failure does not lead on to where the name may be somebody else's."""
        self.edge.hub.script = [GONE]

        self.refuses(f"{ALPINE}/manifests/latest", 502, "UNAVAILABLE")

        self.assertEqual(list(self.edge.asked()), [HUB])

    def test_blob_head(self) -> None:
        """HEAD of a blob asks nobody, unless the name means an upstream's already."""
        self.refuses(f"{ALPINE}/blobs/{BLOB_DIGEST}", 404, "", "HEAD")
        self.assertEqual(self.edge.asked(), {})
        self.serves(f"{ALPINE}/manifests/latest")
        self.edge.asked()

        answer = self.edge.head(f"{ALPINE}/blobs/{BLOB_DIGEST}")

        self.assertEqual((answer.status, answer.header("Content-Length")), (200, str(len(BLOB))))
        self.assertEqual(self.edge.asked(), {HUB: [f"HEAD blobs/{BLOB_DIGEST}"]})

    def test_blob(self) -> None:
        """A blob's GET is a pull."""
        self.serves(f"{ALPINE}/blobs/{BLOB_DIGEST}", BLOB)

    def test_lists_decide_nothing(self) -> None:
        """An empty list of tags or referrers is no proof that the repository is there."""
        self.edge.shelf().tags.clear()
        self.edge.get("/v2/team/app/tags/list")
        self.edge.get(f"/v2/team/app/referrers/{PLAIN_DIGEST}")

        self.serves("/v2/team/app/manifests/latest", OTHER, "quay.io")

    def test_reserved(self) -> None:
        """Reserved names never leave."""
        self.use(OriginRules(enabled=True, fallback=("docker.io",), reserved=globs("team/**")))

        self.refuses("/v2/team/app/manifests/latest", 404, "MANIFEST_UNKNOWN")
        self.refuses("/v2/team/app/tags/list", 404, "NAME_UNKNOWN")

        self.assertEqual(self.edge.asked(), {})


class SwitchedOffTests(MirrorCase):
    """`enableProxy: false`."""

    def setUp(self) -> None:
        """It was on, and something was pulled."""
        super().setUp()
        self.serves(f"{ALPINE}/manifests/latest?ns=docker.io")
        self.serves(f"{ALPINE}/blobs/{BLOB_DIGEST}?ns=docker.io", BLOB)
        rules = OriginRules(enabled=False, fallback=("docker.io",))
        self.inherit("__mirror__", rules, mirror={"freshness": Freshness(enabled=False)})

    def test_cached(self) -> None:
        """A named upstream is answered from what is cached."""
        self.serves(f"{ALPINE}/manifests/latest?ns=docker.io")
        self.serves("/v2/docker.io/library/alpine/manifests/latest")
        self.serves(f"{ALPINE}/manifests/{PLAIN_DIGEST}?ns=docker.io")
        self.serves(f"{ALPINE}/blobs/{BLOB_DIGEST}?ns=docker.io", BLOB)
        self.assertEqual(self.edge.get(f"{ALPINE}/tags/list?ns=docker.io").json["tags"], ["latest"])

        self.assertEqual(self.edge.asked(), {})

    def test_not_cached(self) -> None:
        """The rest is unknown, and a plain name means what is hosted."""
        self.refuses(f"{ALPINE}/manifests/other?ns=docker.io", 404, "MANIFEST_UNKNOWN")
        self.refuses(f"{ALPINE}/blobs/{DIGEST}?ns=docker.io", 404, "BLOB_UNKNOWN")
        self.refuses("/v2/library/debian/tags/list?ns=docker.io", 404, "NAME_UNKNOWN")
        self.refuses(f"{ALPINE}/manifests/latest", 404, "MANIFEST_UNKNOWN")

        self.assertEqual(self.edge.asked(), {})

    def test_writes(self) -> None:
        """A write that names an upstream is refused all the same; a path that begins with a host is a name."""
        self.refuses(f"{ALPINE}/blobs/uploads/?ns=docker.io", 405, "UNSUPPORTED", "POST")

        push_blob(self.edge, "registry.example.com/app", BLOB)


class ManifestTests(MirrorCase):
    """Manifests as clients see them."""

    target = f"{ALPINE}/manifests/latest?ns=docker.io"

    def test_headers(self) -> None:
        """GET and HEAD have the same headers, from the upstream, from the cache, and from memory."""
        wanted = {
            "Content-Type": IMAGE,
            "Docker-Content-Digest": PLAIN_DIGEST,
            "ETag": f'"{PLAIN_DIGEST}"',
            "Content-Length": str(len(PLAIN)),
            "OCI-Namespace": HUB,
            "Warning": None,
        }
        for answer in (self.edge.head(self.target), self.serves(self.target), *map(self.serves, [self.target] * 3)):
            self.assertEqual({name: answer.header(name) for name in wanted}, wanted)
        self.assertEqual(self.edge.head(self.target).header("Content-Length"), str(len(PLAIN)))
        self.assertEqual(self.edge.asked(), {HUB: ["HEAD manifests/latest", "GET manifests/latest"]})

    def test_not_modified(self) -> None:
        """A client's present copy saves the transfer, of what is cached and of what HEAD has told."""
        etag = f'"{PLAIN_DIGEST}"'
        told = self.edge.head(self.target, If_None_Match=etag)
        answer = self.edge.get(self.target, If_None_Match=f'"x", W/{etag}')
        again = self.edge.get(self.target, If_None_Match=etag)
        other = self.edge.get(self.target, If_None_Match='"x"')

        for one in (told, answer, again):
            self.assertEqual((one.status, one.header("ETag"), one.header("OCI-Namespace")), (304, etag, HUB))
        self.assertEqual((other.status, other.body), (200, PLAIN))

    def test_stale(self) -> None:
        """A stale answer says so, GET, HEAD and 304 alike; a fresh one again does not."""
        self.serves(self.target)
        self.edge.pass_time(301)
        self.edge.hub.always = GONE

        for answer in (
            self.serves(self.target),
            self.edge.head(self.target),
            self.edge.get(self.target, If_None_Match=f'"{PLAIN_DIGEST}"'),
        ):
            self.assertRegex(answer.header("Warning") or "", r'^299 - "stale: [^"]+"$')

        self.edge.hub.always = self.edge.shelf().answer
        self.assertIsNone(self.serves(self.target).header("Warning"))

    def test_accept(self) -> None:
        """Nothing is converted, whatever the client accepts."""
        self.serves(self.target, Accept="application/vnd.docker.distribution.manifest.v1+json")

    def test_errors(self) -> None:
        """Each failure of the upstream has its status, before the first byte."""
        for error, status, code in (
            (None, 404, "MANIFEST_UNKNOWN"),
            (UpstreamRefused(HUB, "denies access"), 403, "DENIED"),
            (UpstreamBusy(HUB, "wants a pause", 2.2), 429, "TOOMANYREQUESTS"),
            (GONE, 502, "UNAVAILABLE"),
            (UpstreamTimeout(HUB, "is slow"), 504, "UNAVAILABLE"),
            (UpstreamCorrupt(HUB, "sends HTML"), 502, "UNAVAILABLE"),
            (LoopDetected("via"), 508, "UNSUPPORTED"),
        ):
            self.use()
            self.edge.hub.script = [error]
            answer = self.refuses(self.target, status, code)
            self.assertEqual(answer.header("Retry-After"), "3" if status == 429 else None)

    def test_malformed(self) -> None:
        """A malformed reference is refused before anybody is asked."""
        self.refuses(f"{ALPINE}/manifests/sha256:x?ns=docker.io", 400, "DIGEST_INVALID")
        self.refuses(f"{ALPINE}/manifests/-?ns=docker.io", 400, "MANIFEST_INVALID")

        self.assertEqual(self.edge.asked(), {})

    def test_large(self) -> None:
        """A large one goes at the client's pace."""
        data = image(annotations={"x": "y" * (1 << 20)})
        self.edge.shelf().manifest(data, "large")
        client = self.edge.connect()
        client.transport.window = 1000
        client.request("GET", f"{ALPINE}/manifests/large?ns=docker.io")
        settle(self.edge.clock)
        self.assertLess(len(client.transport.unsent), 1 << 20)

        client.take(2 << 20)

        self.assertEqual(client.answer.body, data)


class ListTests(MirrorCase):
    """Tags and referrers as clients see them."""

    def links(self, answer: Response) -> str | None:
        """Where the Link header leads."""
        link = answer.header("Link")
        if link is None:
            return None
        self.assertRegex(link, r'^<[^>]+>; rel="next"$')
        return link.partition(">")[0].removeprefix("<")

    def walk(self, target: str | None, **headers: str) -> list[Any]:
        """Every page's document."""
        found = []
        while target is not None:
            answer = self.edge.get(target, **headers)
            self.assertEqual((answer.status, answer.header("OCI-Namespace")), (200, HUB))
            found.append(answer.json)
            target = self.links(answer)
            self.assertLess(len(found), 50)
        return found

    def test_tags(self) -> None:
        """The list bears the name that the client used."""
        for name, suffix in (("library/alpine", "?ns=docker.io"), ("alpine", "?ns=docker.io"), ("docker.io/a/b", "")):
            answer = self.edge.get(f"/v2/{name}/tags/list{suffix}")
            self.assertEqual((answer.json, answer.header("OCI-Namespace")), ({"name": name, "tags": ["latest"]}, HUB))
            self.assertEqual(answer.header("Content-Type"), "application/json")

    def test_pages_of_tags(self) -> None:
        """Each page's Link leads to the next, at the same upstream, however that was named."""
        tags = [f"v{number}" for number in range(5)]
        for tag in ("latest", *tags):
            self.edge.shelf().manifest(PLAIN, tag)
        for target, headers in (
            (f"{ALPINE}/tags/list?n=2&ns=docker.io", {}),
            (f"{ALPINE}/tags/list?n=2&ns=docker.io%3A443", {}),
            (f"{ALPINE}/tags/list?n=2", {"X_Registry_Host": "docker.io"}),
            ("/v2/docker.io/library/alpine/tags/list?n=2", {}),
        ):
            pages = self.walk(target, **headers)
            self.assertEqual([page["tags"] for page in pages], [["latest", "v0"], ["v1", "v2"], ["v3", "v4"]])

    def test_link_names_the_upstream(self) -> None:
        """It does so once, and only where the request did."""
        self.edge.shelf().manifest(PLAIN, "other")
        named = self.links(self.edge.get(f"{ALPINE}/tags/list?n=1&ns=docker.io"))
        by_path = self.links(self.edge.get("/v2/docker.io/library/alpine/tags/list?n=1"))

        self.assertEqual(urlsplit(named or "").query, "n=1&last=latest&ns=docker.io")
        self.assertEqual(urlsplit(by_path or "").query, "n=1&last=latest")

    def test_no_tags_wanted(self) -> None:
        """`n=0` is an empty page without an end."""
        answer = self.edge.get(f"{ALPINE}/tags/list?n=0&ns=docker.io")

        self.assertEqual((answer.json["tags"], answer.header("Link")), ([], None))

    def test_malformed(self) -> None:
        """What is wrong with the query is refused before anybody is asked."""
        self.refuses(f"{ALPINE}/tags/list?n=x&ns=docker.io", 400, "UNSUPPORTED")
        self.refuses(f"{ALPINE}/tags/list?last=a&last=b&ns=docker.io", 400, "UNSUPPORTED")
        self.refuses(f"{ALPINE}/referrers/sha256:x?ns=docker.io", 400, "DIGEST_INVALID")

        self.assertEqual(self.edge.asked(), {})

    def test_stale_tags(self) -> None:
        """A list of what is cached says so."""
        self.serves(f"{ALPINE}/manifests/latest?ns=docker.io")
        self.edge.hub.always = GONE

        answer = self.edge.get(f"{ALPINE}/tags/list?ns=docker.io")

        self.assertEqual(answer.json["tags"], ["latest"])
        self.assertIn("stale", answer.header("Warning") or "")

    def test_unknown(self) -> None:
        """A repository that the upstream does not have is unknown."""
        self.edge.hub.script = [None]

        self.refuses(f"{ALPINE}/tags/list?ns=docker.io", 404, "NAME_UNKNOWN")

    def referrers(self, *kinds: str) -> None:
        """Let the upstream list an entry of each kind."""
        entries = [
            {"mediaType": IMAGE, "digest": digest_of(kind.encode()), "size": 1, "artifactType": kind} for kind in kinds
        ]
        data = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
        self.edge.shelf().referrers[PLAIN_DIGEST] = Reply(data, headers={"Content-Type": INDEX})

    def test_referrers(self) -> None:
        """They are an OCI index; a filter says that it was applied."""
        self.referrers("a/b", "c/d")
        target = f"{ALPINE}/referrers/{PLAIN_DIGEST}?ns=docker.io"

        answer = self.edge.get(target)
        filtered = self.edge.get(f"{target}&artifactType=a%2Fb")

        self.assertEqual((answer.header("Content-Type"), answer.header("OCI-Namespace")), (INDEX, HUB))
        self.assertEqual((len(answer.json["manifests"]), answer.header("OCI-Filters-Applied")), (2, None))
        self.assertEqual([one["artifactType"] for one in filtered.json["manifests"]], ["a/b"])
        self.assertEqual(filtered.header("OCI-Filters-Applied"), "artifactType")

    def test_pages_of_referrers(self) -> None:
        """Each page's Link leads to the next, with the filter and the upstream in it."""
        self.referrers(*(f"a/{number}" for number in range(1001)))
        everything = self.walk(f"{ALPINE}/referrers/{PLAIN_DIGEST}?ns=docker.io")
        none = self.walk(f"{ALPINE}/referrers/{PLAIN_DIGEST}?artifactType=x&ns=docker.io")

        self.assertEqual([len(page["manifests"]) for page in everything], [1000, 1])
        self.assertEqual([len(page["manifests"]) for page in none], [0])

    def test_stale_referrers(self) -> None:
        """A list as it was says so."""
        self.referrers("a/b")
        target = f"{ALPINE}/referrers/{PLAIN_DIGEST}?ns=docker.io"
        self.edge.get(target)
        self.edge.pass_time(301)
        self.edge.hub.always = GONE

        answer = self.edge.get(target)

        self.assertEqual(len(answer.json["manifests"]), 1)
        self.assertIn("stale", answer.header("Warning") or "")


class LoopTests(MirrorCase):
    """Mirrors that are chained (RFC 9110, 7.6.3)."""

    target = f"{ALPINE}/manifests/latest?ns=docker.io"

    def test_passed_on(self) -> None:
        """What a request has come through is told to the upstream, with every kind of request."""
        for target in (self.target, f"{ALPINE}/tags/list?ns=docker.io", f"{ALPINE}/blobs/{DIGEST}?ns=docker.io"):
            self.edge.get(target, Via="1.1 varnish, 1.1 pkgd-other")
        self.edge.pass_time(1)

        self.assertEqual({one.via for one in self.edge.hub.asked}, {"1.1 varnish, 1.1 pkgd-other"})

    def test_itself(self) -> None:
        """A mirror that finds itself among them ends the loop, for every kind of request."""
        for kind in ("manifests/latest", f"blobs/{DIGEST}", "tags/list", f"referrers/{PLAIN_DIGEST}"):
            self.refuses(f"{ALPINE}/{kind}?ns=docker.io", 508, "UNSUPPORTED", Via=f"1.1 pkgd-other, 1.1 {OWN_ID}")

        self.assertEqual(self.edge.asked(), {})

    def test_itself_behind_many(self) -> None:
        """However much stands before it: a client may have written that to hide it."""
        self.refuses(self.target, 508, "UNSUPPORTED", Via=f"{'x' * 6000}, 1.1 {OWN_ID}, 1.1 pkgd-other")

        self.assertEqual(self.edge.asked(), {})

    def test_bounded(self) -> None:
        """What is passed on has an end; it is what came last."""
        self.edge.get(self.target, Via=f"{'x' * 6000}, 1.1 pkgd-other")

        (asked,) = self.edge.hub.asked
        self.assertLessEqual(len(asked.via), 1024)
        self.assertTrue(asked.via.endswith("x, 1.1 pkgd-other"))

    def test_too_many(self) -> None:
        """More mirrors than anybody chains are a loop that nobody has noticed."""
        hops = [f"1.1 pkgd-{number}" for number in range(MAX_HOPS)]
        self.serves(self.target, Via=", ".join(hops[1:]))
        self.edge.pass_time(301)

        self.refuses(self.target, 508, "UNSUPPORTED", Via=", ".join(hops))

    def test_hosted(self) -> None:
        """What is hosted is served to whoever asks."""
        self.host("team/app", "latest")

        self.serves("/v2/team/app/manifests/latest", OTHER, None, Via=f"1.1 {OWN_ID}")


class Only(Explained):
    """A policy that allows nothing but what the test says; it remembers what it was asked."""

    def __init__(self, *resources: str, private: bool = False) -> None:
        self.asked: list[Access] = []
        self._resources = resources
        self._private = private

    def allows(self, principal: Principal, access: Access) -> bool:
        """Whether it is among them."""
        self.asked.append(access)
        return access.resource in self._resources and (self._private or not access.private)


class PolicyTests(MirrorCase):
    """Who may read upstreams' repositories."""

    def kinds(self, name: str, suffix: str = "") -> list[str]:
        """A target of each kind."""
        kinds = ("manifests/latest", f"manifests/{PLAIN_DIGEST}", f"blobs/{DIGEST}", "tags/list")
        return [f"/v2/{name}/{kind}{suffix}" for kind in (*kinds, f"referrers/{PLAIN_DIGEST}")]

    def test_denied(self) -> None:
        """What the policy denies asks nobody, whether it is cached or not."""
        policy = Only()
        self.use(policy=policy)
        for _ in range(2):
            for target in [*self.kinds("library/alpine", "?ns=docker.io"), *self.kinds("docker.io/library/alpine")]:
                for method in ("GET", "HEAD"):
                    self.refuses(target, 403, "DENIED", method)
            self.assertEqual(self.edge.asked(), {})
            policy._resources = ("mirror:docker.io/library/alpine",)
            self.serves(f"{ALPINE}/manifests/latest?ns=docker.io")
            self.serves(f"{ALPINE}/manifests/latest?ns=docker.io")
            self.edge.asked()
            policy._resources = ()

    def test_resource(self) -> None:
        """The policy is asked about the upstream's repository, by its canonical name, and for reading."""
        policy = Only("mirror:docker.io/library/alpine")
        self.use(policy=policy)

        self.serves("/v2/alpine/manifests/latest?ns=index.docker.io")

        self.assertEqual(set(policy.asked), {mirrored("docker.io/library/alpine", False, "alpine")})

    def test_hosted_and_mirrored(self) -> None:
        """Reading the hosted namesake is another right."""
        policy = Only("oci:library/alpine")
        self.use(policy=policy)
        policy._resources = ("oci:library/alpine",)
        policy._private = True

        self.refuses(f"{ALPINE}/manifests/latest?ns=docker.io", 403, "DENIED")
        self.refuses(f"{ALPINE}/manifests/latest", 404, "MANIFEST_UNKNOWN")

    def test_fallback(self) -> None:
        """A plain name that turns out to be an upstream's needs the right on that."""
        policy = Only("mirror:docker.io/library/alpine")
        self.use(FALLBACK, policy=policy)

        self.serves(f"{ALPINE}/manifests/latest")
        self.serves(f"{ALPINE}/manifests/latest")
        policy._resources = ("oci:library/alpine",)
        self.refuses(f"{ALPINE}/manifests/latest", 403, "DENIED")

    def test_hosted_denied(self) -> None:
        """A plain name that is hosted needs the right on that, and asks nobody."""
        policy = Only("oci:library/alpine", "mirror:docker.io/library/alpine")
        self.use(FALLBACK, policy=policy)
        for data in (BLOB, CONFIG):
            push_blob(self.edge, "library/alpine", data)
        push_manifest(self.edge, "library/alpine", "latest", OTHER)
        self.serves(f"{ALPINE}/manifests/latest", OTHER, None)
        policy._resources = ("mirror:docker.io/library/alpine",)

        self.refuses(f"{ALPINE}/manifests/latest", 403, "DENIED")

        self.assertEqual(self.edge.asked(), {})

    def test_private(self) -> None:
        """What is, or would be, fetched with credentials needs more; the first who asks for it is no exception."""
        policy = Only("mirror:docker.io/library/alpine")
        self.use(policy=policy, mirror={"credentialed": frozenset([HUB])})
        for target in self.kinds("library/alpine", "?ns=docker.io"):
            self.refuses(target, 403, "DENIED")
        self.assertEqual(self.edge.asked(), {})

        policy._private = True
        self.serves(f"{ALPINE}/manifests/latest?ns=docker.io")
        self.serves(f"{ALPINE}/manifests/latest?ns=docker.io")
        policy._private = False

        self.refuses(f"{ALPINE}/manifests/latest?ns=docker.io", 403, "DENIED")

    def test_private_of_before(self) -> None:
        """So does what was fetched with credentials that are not configured any more."""
        policy = Only("mirror:docker.io/library/alpine", private=True)
        self.use(policy=policy)
        self.serves(f"{ALPINE}/manifests/latest?ns=docker.io")
        cache: Any = self.edge.mirror.cache
        self.successResultOf(Deferred.fromCoroutine(cache._mark("__mirror__/docker.io/library/alpine/.private")))
        self.serves(f"{ALPINE}/manifests/latest?ns=docker.io")
        policy._private = False

        self.refuses(f"{ALPINE}/manifests/latest?ns=docker.io", 403, "DENIED")
