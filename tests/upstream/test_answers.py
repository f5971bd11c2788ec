"""Tests for what the suite itself relies on: honest answers, the look at the disk, the reading of traces."""

from __future__ import annotations

import hashlib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.upstream.answers import Lock, answer
from tests.upstream.content import REPOSITORY, TAG, image
from tests.upstream.disk import faults_of_tree
from tests.upstream.exchange import Asked, Part, Reply
from tests.upstream.scenarios.addresses import connects

_IMAGE = image(1, (3, 500, 4000))


class AnswerTests(SynchronousTestCase):
    """An honest registry."""

    def ask(self, target: str, lock: Lock | None = None, **fields: str) -> Reply:
        """What is answered to a GET."""
        asked = Asked("GET", target, tuple((name.lower(), value) for name, value in fields.items()))
        return answer({REPOSITORY: _IMAGE.shelf()}, lock, "http://upstream", True, asked)

    def test_manifest(self) -> None:
        """A tag and a digest give the same bytes, under their digest."""
        by_tag = self.ask(f"/v2/{REPOSITORY}/manifests/{TAG}")

        self.assertEqual((by_tag.status, by_tag.body), (200, _IMAGE.index.data))
        self.assertEqual(by_tag.value("docker-content-digest"), _IMAGE.index.digest)
        self.assertEqual(self.ask(f"/v2/{REPOSITORY}/manifests/{_IMAGE.index.digest}").body, by_tag.body)

    def test_range(self) -> None:
        """A range gives that part, and says so; one behind the end does not."""
        target = f"/v2/{REPOSITORY}/blobs/{_IMAGE.largest}"

        part = self.ask(target, Range="bytes=10-")
        self.assertEqual((part.status, part.body), (206, _IMAGE.layers[-1][10:]))
        self.assertEqual(part.value("content-range"), "bytes 10-3999/4000")
        self.assertEqual(self.ask(target, Range="bytes=4000-").status, 416)

    def test_absent(self) -> None:
        """What is not on the shelf is not there."""
        self.assertEqual(self.ask(f"/v2/{REPOSITORY}/manifests/other").status, 404)
        self.assertEqual(self.ask("/v2/other/manifests/latest").status, 404)

    def test_lock(self) -> None:
        """Who has no token is told where to get one, and gets one for a password only."""
        lock = Lock(username="user", password="word")
        target = f"/v2/{REPOSITORY}/manifests/{TAG}"

        self.assertIn('realm="http://upstream/token"', self.ask(target, lock).value("www-authenticate"))
        self.assertEqual(self.ask("/token", lock).status, 401)
        self.assertEqual(self.ask("/token", lock, Authorization=lock.basic()).status, 200)
        self.assertEqual(self.ask(target, lock, Authorization=f"Bearer {lock.token}").status, 200)

    def test_part(self) -> None:
        """Requests are told apart by what they are for, behind redirects too."""
        self.assertIs(Asked("GET", "/v2/", ()).part, Part.PING)
        self.assertIs(Asked("GET", "/hops/3/v2/a/b/blobs/sha256:0", ()).part, Part.BLOB)
        self.assertIs(Asked("GET", "/token?scope=x", ()).part, Part.TOKEN)


class DiskTests(SynchronousTestCase):
    """What is wrong on the disk is found."""

    def setUp(self) -> None:
        """A repository on disk."""
        self.root = Path(self.mktemp())
        self.repository = self.root / "__mirror__" / "host.org" / "team" / "app"

    def write(self, name: str, data: bytes) -> None:
        """A file of the repository."""
        path = self.repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def test_good(self) -> None:
        """Blobs, manifests, tags and marks as they should be."""
        digest = hashlib.sha256(b"{}").hexdigest()
        self.write(f"blobs/{digest}", b"{}")
        self.write(f"blobs/sha512-{hashlib.sha512(b'x').hexdigest()}", b"x")
        self.write(f"manifests/by-digest/{digest}", b"{}")
        self.write("manifests/by-tag/latest", b'{"digest": "sha256:%b"}' % digest.encode())
        self.write(".private", b"{}")

        self.assertEqual(faults_of_tree(self.root), [])

    def test_bad(self) -> None:
        """Wrong bytes, dangling tags, and what does not belong there."""
        self.write(f"blobs/{'0' * 64}", b"x")
        self.write("manifests/by-tag/latest", b'{"digest": "sha256:%b"}' % (b"0" * 64))
        self.write("left-over", b"x")

        self.assertEqual(len(faults_of_tree(self.root)), 3)


class TraceTests(SynchronousTestCase):
    """Connects are read from what strace writes."""

    def test_connects(self) -> None:
        """TCP counts, in both families; UDP and local sockets do not."""
        lines = (
            '7 connect(9<TCP:[123]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("10.0.0.1")}, 16) = -1',
            "7 connect(9<TCPv6:[124]>, {sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), "
            'inet_pton(AF_INET6, "fd00::1", &sin6_addr), sin6_scope_id=0}, 28) = -1 EINPROGRESS',
            '7 connect(9<UDP:[125]>, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("10.0.0.2")}, 16) = 0',
            '7 connect(9<UNIX-STREAM:[126]>, {sa_family=AF_UNIX, sun_path="/run/nscd"}, 110) = -1',
        )

        self.assertEqual(connects("\n".join(lines)), {("10.0.0.1", 80), ("fd00::1", 443)})
