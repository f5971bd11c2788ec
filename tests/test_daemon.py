"""The daemon as a whole: its start, its stop, and what it does when the machine is not as it should be."""

from __future__ import annotations

import os
import threading

from twisted.internet.error import CannotListenError
from twisted.logger import capturedLogs, formatEvent

from pkgd.authentication import Authentication
from pkgd.config import parse
from pkgd.daemon import Daemon
from pkgd.errors import AlreadyRunning, ConfigError, NoSpace
from pkgd.formats.oci import IMAGE
from pkgd.web.site import Site
from pkgd.web.starting import PATIENCE
from tests.daemons import BLOB_TARGET, NAME, PAUSES, UPLOADS, DaemonCase
from tests.packages.fixtures import made_deb
from tests.web.certificates import Pair
from tests.web.content import (
    BLOB,
    BLOB_DIGEST,
    PLAIN,
    PLAIN_DIGEST,
    descriptor,
    digest_of,
    image,
)
from tests.web.memory import Client
from tests.web.messages import request_bytes


def referrer_of_plain() -> bytes:
    """A manifest whose subject is the image."""
    return image(subject=descriptor(IMAGE, PLAIN))


class StartTests(DaemonCase):
    """From nothing to serving."""

    def test_while_starting(self) -> None:
        """From the first moment the port answers: alive, and not ready; other requests wait until they can be."""
        daemon = self.make()
        self.addCleanup(self.stop, daemon)
        daemon.startService()
        clients = [self.connect() for _ in range(3)]
        for client, target in zip(clients, ("/health", "/ready", "/v2/"), strict=True):
            client.request("GET", target)
        self.assertEqual([[answer.status for answer in client.answers()] for client in clients], [[200], [503], []])

        self.loop.until(lambda: self.urls)

        self.assertEqual(clients[2].answer.status, 200)
        self.assertEqual([self.call("GET", target).status for target in ("/health", "/ready", "/v2/")], [200] * 3)

    def test_long_start(self) -> None:
        """A start that takes long keeps nobody waiting: they are to come again."""
        daemon = self.make()
        self.addCleanup(self.stop, daemon)
        daemon.startService()
        clients = [self.connect() for _ in range(2)]
        clients[0].request("GET", "/v2/")
        self.loop.advance(PATIENCE)
        clients[1].request("GET", "/apt/main/dists/stable/InRelease")

        self.assertEqual([client.answer.status for client in clients], [503, 503])
        self.assertEqual(clients[0].answer.header("Retry-After"), "5")

    def test_left_while_starting(self) -> None:
        """Who leaves while the daemon starts is logged, and nothing more is done for them."""
        daemon = self.make()
        daemon.startService()
        client = self.connect()
        client.request("POST", UPLOADS)
        client.lose()
        self.loop.until(lambda: self.urls)

        self.stop(daemon)

        with open(self.path("access.log"), encoding="ascii") as file:
            self.assertIn(" 499 ", file.read())

    def test_announced(self) -> None:
        """The URL is announced once, when requests will be answered."""
        daemon = self.make()
        self.addCleanup(self.stop, daemon)
        daemon.startService()
        self.assertEqual(self.urls, [])

        self.loop.until(lambda: self.urls)

        self.assertEqual(self.urls, ["http://127.0.0.1:5000"])

    def test_second(self) -> None:
        """A second daemon on the same state is refused, and the first goes on; after its stop there may be another."""
        first, loop = self.start(), self.loop

        second = self.make()
        error = self.assertRaises(AlreadyRunning, second.startService)

        self.assertIn("pkgd.lock", error.message)
        self.loop = loop
        self.assertEqual(self.call("GET", "/v2/").status, 200)
        self.stop(first)
        self.start()
        self.assertEqual(self.call("GET", "/v2/").status, 200)

    def test_no_port(self) -> None:
        """A port that cannot be had is an error of the configuration, and leaves no thread that keeps the process."""
        before = threading.active_count()
        daemon = self.make()
        self.loop.refuses = CannotListenError("127.0.0.1", 5000, OSError("in use"))

        error = self.assertRaises(ConfigError, daemon.startService)

        self.assertEqual(error.path, "server.listen")
        self.assertEqual(threading.active_count(), before)

    def test_no_certificate(self) -> None:
        """So is a certificate that cannot be read."""
        before = threading.active_count()
        daemon = self.make(tls="{certificate: none.pem, key: none.pem}")

        error = self.assertRaises(ConfigError, daemon.startService)

        self.assertEqual(error.path, "server.tls")
        self.assertEqual(threading.active_count(), before)

    def test_no_directory(self) -> None:
        """So is a state directory that cannot be made."""
        with open(self.path("state"), "w", encoding="ascii"):
            daemon = self.make()

        error = self.assertRaises(ConfigError, daemon.startService)

        self.assertEqual(error.path, "state_dir")

    def test_open_directory(self) -> None:
        """So is one that anybody may write."""
        os.makedirs(self.path("state"))
        os.chmod(self.path("state"), 0o777)

        self.assertRaises(ConfigError, self.make().startService)

    def test_open_to_others(self) -> None:
        """To listen to others than this machine, the configuration must say who may do what."""
        inherited = "systemd:domain=INET:name=http"
        for endpoint in ("tcp:5000", "tcp:5000:interface=0.0.0.0", "tcp6:5000", inherited):
            text = f'server: {{listen: ["{endpoint}"]}}'
            self.assertRaises(ConfigError, parse, text, {}, ".")
            self.assertEqual(parse(f"{text}\nauth: {{mode: none}}", {}, ".").server.listen, [endpoint])

    def test_tls(self) -> None:
        """With certificate files, every port speaks TLS, and the URL says so."""
        pair = Pair(os.path.abspath(self.path("tls")))
        daemon = self.make(tls=f"{{certificate: {pair.certificate}, key: {pair.key}}}")
        self.addCleanup(self.stop, daemon)

        daemon.startService()
        self.loop.until(lambda: self.urls)

        self.assertNotIsInstance(self.site, Site)
        self.assertEqual(self.urls, ["https://127.0.0.1:5000"])

    def test_expired_uploads(self) -> None:
        """Uploads that nobody has gone on with for a day are removed, younger ones not."""
        daemon = self.start()
        old, young = (self.call("POST", UPLOADS).header("Location") or "" for _ in range(2))
        path = self.path(f"state/oci/__spool__/uploads/{old.rpartition('/')[2]}")
        os.utime(path, (0, 0))
        self.stop(daemon)

        with capturedLogs() as events:
            self.start()
            self.loop.until(lambda: any(event.get("count") == 1 for event in events))

        self.assertEqual(self.call("GET", old).status, 404)
        self.assertEqual(self.call("GET", young).status, 204)


class RestartTests(DaemonCase):
    """What one daemon leaves to the next."""

    def test_content(self) -> None:
        """Content and upload sessions are there after a restart."""
        daemon = self.start()
        self.push()
        location = self.call("POST", UPLOADS).header("Location") or ""
        self.call("PATCH", location, BLOB[:100])
        self.stop(daemon)

        self.start()

        self.assertEqual(self.pulls(), [200, 200, 200])
        self.assertEqual(self.call("GET", location).header("Range"), "0-99")
        self.assertEqual(self.call("PUT", f"{location}?digest={BLOB_DIGEST}", BLOB[100:]).status, 201)

    def test_lost_index(self) -> None:
        """The index may be deleted between two runs: referrers and tags are found again."""
        daemon = self.start()
        self.push()
        referrer = referrer_of_plain()
        self.call("PUT", f"/v2/{NAME}/manifests/{digest_of(referrer)}", referrer)
        self.stop(daemon)
        for name in os.listdir(self.path("state")):
            if name.startswith("index.sqlite"):
                os.unlink(self.path(f"state/{name}"))

        self.start()

        listed = self.call("GET", f"/v2/{NAME}/referrers/{PLAIN_DIGEST}").json["manifests"]
        self.assertEqual([entry["digest"] for entry in listed], [digest_of(referrer)])
        self.call("DELETE", f"/v2/{NAME}/manifests/{PLAIN_DIGEST}")
        self.assertEqual(self.call("GET", f"/v2/{NAME}/manifests/latest").status, 404)


class PackageTests(DaemonCase):
    """The repositories of packages that are there without a word about them."""

    RELEASE = "/apt/main/dists/stable/InRelease"

    def upload(self) -> int:
        """Put a package."""
        return self.call("PUT", "/apt/main/stable/main/hello.deb", made_deb()).status

    def test_first_start(self) -> None:
        """The first start makes a key and publishes empty repositories; an upload is visible when it is answered."""
        self.start()

        (key,) = os.listdir(self.path("state/keys"))
        self.assertRegex(key, "signing-[0-9a-f]{40}.asc")
        for target in (self.RELEASE, "/rpm/main/repodata/repomd.xml", "/rpm/main/repodata/repomd.xml.asc"):
            self.assertEqual(self.call("GET", target).status, 200, target)
        self.assertEqual(self.upload(), 201)
        packages = self.call("GET", "/apt/main/dists/stable/main/binary-amd64/Packages").body
        self.assertIn(b"Package: hello\n", packages)

    def test_restart(self) -> None:
        """The next start publishes nothing anew: everything is as it was, the key included."""
        daemon = self.start()
        self.upload()
        targets = (self.RELEASE, "/apt/main/key.asc", "/rpm/main/repodata/repomd.xml")
        before = [self.call("GET", one).body for one in targets]
        self.stop(daemon)

        self.start()

        self.assertEqual([self.call("GET", one).body for one in targets], before)

    def test_starting(self) -> None:
        """While the start takes long, requests are to come again."""
        daemon = self.make()
        daemon.startService()
        self.addCleanup(self.stop, daemon)
        self.loop.advance(PATIENCE)

        for target in (self.RELEASE, "/rpm/main/mirrorlist", "/api/v1/packages", "/repository/main/"):
            self.assertEqual(self.call("GET", target).status, 503, target)

    def test_no_key(self) -> None:
        """A key that cannot be used keeps nobody from the rest; uploads are refused for the time being."""
        os.makedirs(self.path("state/keys"))
        with open(self.path("state/keys/default.asc"), "w", encoding="ascii") as file:
            file.write("no key")

        self.start()

        self.assertEqual(self.call("GET", "/ready").status, 200)
        self.assertEqual(self.upload(), 503)


class TroubleTests(DaemonCase):
    """The machine refuses."""

    def assertReady(self, degraded: int) -> None:
        """`/ready` is 200, with so many complaints."""
        answer = self.call("GET", "/ready")
        self.assertEqual((answer.status, len(answer.json["degraded"])), (200, degraded))

    def probe(self, daemon: Daemon) -> None:
        """Let ten seconds pass, and wait for the probe that is due then."""
        for seconds in (0, 10):
            self.loop.advance(seconds)
            self.loop.until(lambda: len(daemon._recurring.pauses) == PAUSES)

    def test_read_only(self) -> None:
        """On a read-only storage pulls are served, pushes refused for the moment, and `/ready` is degraded."""
        daemon = self.start()
        self.push()
        self.stop(daemon)
        self.fs.read_only = True

        self.start()

        self.assertReady(degraded=1)
        self.assertEqual((self.pulls(), self.pushes()), ([200] * 3, [503] * 3))

    def test_read_only_from_the_first_start(self) -> None:
        """Even one that could never be written heals as soon as it can."""
        self.fs.read_only = True
        self.start()
        self.assertReady(degraded=1)

        self.fs.read_only = False
        self.push()

        self.assertEqual(self.pulls(), [200] * 3)

    def test_full(self) -> None:
        """Below the floor of free space pushes get 507, while pulls and deletes work."""
        daemon = self.start()
        self.push()
        self.fs.free_bytes = 0
        self.probe(daemon)

        self.assertReady(degraded=1)
        self.assertEqual((self.pulls(), self.pushes()), ([200] * 3, [507] * 3))
        self.assertEqual(self.call("DELETE", f"/v2/{NAME}/manifests/latest").status, 202)
        self.assertEqual(self.call("DELETE", BLOB_TARGET).status, 202)

    def test_reserve(self) -> None:
        """What deletes need on a full disk is set aside at the start, and again when it has been given up."""
        daemon = self.start()
        places = [self.path(f"state/{one}/reserve") for one in ("spool", "oci/__spool__")]
        found = [os.path.getsize(one) for one in places]
        for one in places:
            os.unlink(one)
        self.fs.free_bytes = 0
        self.probe(daemon)
        missing = [os.path.exists(one) for one in places]
        self.fs.free_bytes = None
        self.probe(daemon)

        self.assertEqual((found, missing), ([16 << 20] * 2, [False] * 2))
        self.assertEqual([os.path.getsize(one) for one in places], found)

    def test_reserve_of_a_start(self) -> None:
        """On a full disk a start has what is set aside for it; what it has not needed is set aside again, and kept."""
        path = self.path("state/spool/start-reserve")
        daemon = self.start()
        found = [os.path.getsize(path)]
        self.stop(daemon)
        self.fs.free_bytes = 0
        daemon = self.make()
        daemon.startService()
        self.addCleanup(self.stop, daemon)
        found.append(os.path.getsize(path))
        self.loop.until(lambda: self.urls)
        found.append(os.path.getsize(path))
        self.stop(daemon)
        found.append(os.path.getsize(path))

        self.assertEqual(found, [128 << 10, 0, 128 << 10, 128 << 10])

    def test_keys_cannot_be_read_at_the_start(self) -> None:
        """Nobody is told that his key is wrong: nobody is served until they can be read."""
        tries: list[object] = []

        async def look(authentication: Authentication) -> None:
            tries.append(authentication)
            if len(tries) < 3:
                raise NoSpace("pkgd.sqlite")

        self.patch(Authentication, "look", look)
        daemon = self.make()
        daemon.startService()
        self.addCleanup(self.stop, daemon)
        self.loop.until(lambda: daemon._recurring.pauses)
        self.loop.advance(1)
        self.loop.until(lambda: daemon._recurring.pauses)
        before = len(tries), list(self.urls)
        self.loop.advance(1)
        self.loop.until(lambda: self.urls)

        self.assertEqual(before, (2, []))
        self.assertEqual(self.call("GET", "/ready").status, 200)

    def test_stopped_before_keys_can_be_read(self) -> None:
        """A start that waits for them ends at once."""

        async def look(authentication: Authentication) -> None:
            raise NoSpace("pkgd.sqlite")

        self.patch(Authentication, "look", look)
        daemon = self.make()
        daemon.startService()
        self.loop.until(lambda: daemon._recurring.pauses)
        self.stop(daemon)
        self.assertEqual((self.urls, daemon._recurring.pauses), ([], []))

    def test_unreadable(self) -> None:
        """A storage that fails is not ready; when it is mended, it is."""
        daemon = self.start()
        self.fs.failing = True
        self.probe(daemon)
        failing = self.call("GET", "/ready").status

        self.fs.failing = False
        self.probe(daemon)

        self.assertEqual(failing, 503)
        self.assertReady(degraded=0)

    def test_packages_unreadable_at_the_start(self) -> None:
        """Package repositories that cannot be read are not begun anew: nothing is answered until they can be."""
        daemon = self.start()
        self.assertEqual(self.call("PUT", "/apt/main/stable/main/hello.deb", made_deb()).status, 201)
        self.stop(daemon)
        self.fs.failing = True
        daemon = self.start()
        self.fs.failing = False

        refused = self.call("PUT", "/apt/main/stable/main/other.deb", made_deb("other")).status
        self.probe(daemon)
        taken = self.call("PUT", "/apt/main/stable/main/other.deb", made_deb("other")).status
        packages = self.call("GET", "/apt/main/dists/stable/main/binary-amd64/Packages").body

        self.assertEqual((refused, taken), (503, 201))
        self.assertEqual(packages.count(b"Package: "), 2)

    def test_unreadable_at_the_start(self) -> None:
        """One that fails at the start does not keep the daemon from starting, and being ready later."""
        daemon = self.start()
        self.push()
        self.stop(daemon)
        os.unlink(self.path("state/index.sqlite"))
        self.fs.failing = True

        daemon = self.start()

        self.assertEqual(self.call("GET", "/ready").status, 503)
        self.fs.failing = False
        self.probe(daemon)
        self.assertReady(degraded=0)


class StopTests(DaemonCase):
    """From serving to nothing, in order."""

    def begin_upload(self) -> Client:
        """A request whose body has not come whole."""
        location = self.call("POST", UPLOADS).header("Location") or ""
        client = self.connect()
        client.send(request_bytes("PATCH", location, {"Content-Length": "2048"}) + BLOB[:1000])
        return client

    def test_idle(self) -> None:
        """Ports and idle connections are closed, then the state; the last is the lock."""
        daemon = self.start()
        client = self.connect()

        self.finish(daemon.stopService())

        self.assertEqual(self.loop.events, ["stopping", "closed"])
        self.assertTrue(client.transport.lost)
        self.assertEqual([call for call in self.loop.getDelayedCalls() if call.active()], [])
        self.assertEqual(self.fs.open_files, set())
        self.start()

    def test_mishap(self) -> None:
        """A stop that does not go in order still closes everything: the process must end."""
        daemon = self.start()

        async def fail() -> None:
            raise RuntimeError("not foreseen")

        daemon._present.serving.upstreams.close = fail  # type: ignore[method-assign]
        self.finish(daemon.stopService())

        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.fs.open_files, set())
        self.start()

    def test_delay(self) -> None:
        """For the delay that load balancers need, `/ready` says no while everything else is served."""
        daemon = self.start(delay="5s")
        stopped = daemon.stopService()

        self.assertEqual(self.call("GET", "/ready").json["checks"]["phase"], "draining")
        self.assertEqual(self.call("GET", "/ready").status, 503)
        self.assertEqual(self.call("POST", UPLOADS).status, 202)
        self.assertTrue(self.loop.ports[0][0].open)
        self.loop.advance(5)
        self.finish(stopped)

        self.assertFalse(self.loop.ports[0][0].open)

    def test_active(self) -> None:
        """A request that has begun is waited for, and answered."""
        daemon = self.start()
        client = self.begin_upload()
        stopped = daemon.stopService()
        self.loop.advance(20)
        self.assertNoResult(stopped)

        client.send(BLOB[1000:])
        self.loop.until(client.answers)
        self.finish(stopped)

        self.assertEqual((client.answer.status, client.answer.header("Connection")), (202, "close"))

    def test_drained(self) -> None:
        """A request that does not end is dropped after `drain`; its upload can be gone on with."""
        daemon = self.start()
        client = self.begin_upload()
        location = client.channel._request.path.decode() if client.channel._request else ""
        stopped = daemon.stopService()
        self.loop.advance(29)
        self.assertNoResult(stopped)

        self.loop.advance(2)
        self.finish(stopped)

        self.assertTrue(client.transport.aborted)
        self.start()
        self.assertEqual(self.call("GET", location).header("Range"), "0-999")

    def test_left(self) -> None:
        """What a client that has left had begun is ended before the state is closed, and nothing of it missed."""
        daemon = self.start()
        self.push()
        client = self.connect()
        data = referrer_of_plain()
        client.request("PUT", f"/v2/{NAME}/manifests/{digest_of(data)}", {}, data)
        client.lose()

        self.finish(daemon.stopService())
        self.start()

        listed = self.call("GET", f"/v2/{NAME}/referrers/{PLAIN_DIGEST}").json["manifests"]
        self.assertEqual([entry["digest"] for entry in listed], [digest_of(data)])

    def test_log(self) -> None:
        """Every request stands in the access log, whatever became of it."""
        daemon = self.start()
        self.begin_upload()
        self.call("GET", "/v2/")

        self.stop(daemon)

        with open(self.path("access.log"), encoding="ascii") as file:
            lines = file.read().splitlines()
        self.assertEqual([line.split('" ')[1][:3] for line in lines], ["202", "200", "499"])

    def test_while_starting(self) -> None:
        """A daemon may be stopped while it starts: it never says that it is ready."""
        daemon = self.make()
        daemon.startService()

        self.finish(daemon.stopService())

        self.assertEqual(self.urls, [])

    def test_delay_while_starting(self) -> None:
        """What was not prepared when the stop came is not served in its delay either."""
        daemon = self.make(delay="5s")
        daemon.startService()
        stopped = daemon.stopService()

        answers = [self.call("GET", target).status for target in ("/health", "/ready", "/v2/")]
        self.loop.advance(5)
        self.finish(stopped)

        self.assertEqual(answers, [200, 503, 503])

    def test_hurry(self) -> None:
        """Whoever has no time ends the wait for load balancers and for requests, and the stop goes on in order."""
        daemon = self.start(delay="1h")
        client = self.begin_upload()
        stopped = daemon.stopService()

        with capturedLogs() as events:
            daemon.hurry()
            self.finish(stopped)

        self.assertTrue(client.transport.aborted)
        said = [formatEvent(event) for event in events]
        self.assertIn("1 connections are dropped: their requests take too long", said)
        self.assertEqual(self.fs.open_files, set())

    def test_just_started(self) -> None:
        """One that has just begun its recurring jobs ends them; it does not wait for their next time."""
        daemon = self.make()
        daemon.startService()
        self.loop.until(lambda: self.urls)

        self.finish(daemon.stopService())

        self.assertLess(self.loop.seconds(), 1_750_000_002)

    def test_twice(self) -> None:
        """What was started and stopped can be followed by another, again and again."""
        for _ in range(3):
            self.stop(self.start())
