"""The daemon as a whole: its start, its stop, and what it does when the machine is not as it should be."""

from __future__ import annotations

import errno
import gc
import json
import os
import resource
import threading
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from pkgd.config import load, parse
from pkgd.config.reloading import ConfigFile
from pkgd.daemon import Daemon
from pkgd.errors import AlreadyRunning, ConfigError
from pkgd.formats.oci import IMAGE
from pkgd.signing_command import SigningKeys
from pkgd.web.site import Site
from tests.loop import Loop
from tests.packages.fixtures import made_deb
from tests.web.certificates import Pair
from tests.web.content import (
    BLOB,
    BLOB_DIGEST,
    CONFIG,
    CONFIG_DIGEST,
    PLAIN,
    PLAIN_DIGEST,
    descriptor,
    digest_of,
    image,
)
from tests.web.disk import RecordingFileSystem
from tests.web.memory import Client
from tests.web.messages import Response, request_bytes

CONFIGURATION = """
version: 1
state_dir: state
server: {{listen: ["tcp:5000:interface=127.0.0.1"], shutdown: {{delay: {delay}, drain: 30s}}, tls: {tls}}}
storage: {{filesystem: {{fsync: false, min_free: 1}}}}
logging: {{access: {{file: access.log}}, audit: {{file: audit.log}}}}
auth: {auth}
signing: {{keys: {{default: {{algorithm: ed25519}}}}}}
"""
RELOADED = """\
version: 1
state_dir: state
logging: {access: {file: access.log}}
signing: {keys: {default: {algorithm: ed25519}}}
"""
NO_AUTH = "auth: {mode: none}\n"
READ_ONLY = "authorization: {rules: [{resources: ['oci:**'], subjects: [anonymous], actions: [pull]}]}\n"
# How many jobs recur.
PAUSES = 13
NAME = "team/app"
BLOB_TARGET = f"/v2/{NAME}/blobs/{BLOB_DIGEST}"
UPLOADS = f"/v2/{NAME}/blobs/uploads/"


def referrer_of_plain() -> bytes:
    """A manifest whose subject is the image."""
    return image(subject=descriptor(IMAGE, PLAIN))


class DaemonCase(SynchronousTestCase):
    """A state directory, and daemons on it."""

    def setUp(self) -> None:
        """Make the directory; what a daemon changes of the process is undone in the end."""
        self.directory = self.mktemp()
        os.makedirs(self.directory)
        self.fs = RecordingFileSystem()
        self.urls: list[str] = []
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        self.addCleanup(gc.unfreeze)

    def path(self, name: str) -> str:
        """A path in the directory."""
        return os.path.join(self.directory, name)

    def make(self, delay: str = "0s", tls: str = "{}", auth: str = "{mode: none}") -> Daemon:
        """A daemon that has not been started, on a loop of its own."""
        self.loop = Loop()
        self.loop.advance(1_750_000_000)
        config = parse(CONFIGURATION.format(delay=delay, tls=tls, auth=auth), {}, os.path.abspath(self.directory))
        loop = self.loop
        return Daemon(loop, config, self.fs, self.urls.append, lambda: loop.events.append("stopping"))

    def start(self, delay: str = "0s", tls: str = "{}") -> Daemon:
        """A daemon that serves; it is stopped in the end."""
        daemon = self.make(delay, tls)
        daemon.startService()
        self.loop.until(lambda: self.urls)
        self.urls.clear()
        self.addCleanup(self.stop, daemon)
        return daemon

    def stop(self, daemon: Daemon) -> None:
        """Stop a daemon, unless it has been."""
        if daemon.running:
            stopped = daemon.stopService()
            self.loop.advance(60)
            self.finish(stopped)

    def finish(self, stopped: Deferred[None]) -> None:
        """Wait for the end of a stop."""
        done: list[object] = []
        stopped.addBoth(done.append)
        self.loop.until(lambda: done)
        self.assertEqual(done, [None])

    @property
    def site(self) -> Any:
        """What the daemon's port is for."""
        return self.loop.ports[0][1]

    def connect(self) -> Client:
        """A connection."""
        assert isinstance(self.site, Site)
        channel = self.site.buildProtocol(None)
        assert channel is not None
        return Client(self.loop, channel)

    def call(self, method: str, target: str, body: bytes = b"") -> Response:
        """One request, and its answer."""
        client = self.connect()
        client.request(method, target, {}, body)
        self.loop.until(lambda: client.answers(method))
        answer = client.answers(method)[0]
        client.lose()
        return answer

    def push(self) -> None:
        """Push an image."""
        for data in (BLOB, CONFIG):
            self.assertEqual(self.call("POST", f"{UPLOADS}?digest={digest_of(data)}", data).status, 201)
        self.assertEqual(self.call("PUT", f"/v2/{NAME}/manifests/latest", PLAIN).status, 201)

    def pulls(self) -> list[int]:
        """The statuses of a pull."""
        targets = (f"/v2/{NAME}/manifests/latest", BLOB_TARGET, f"/v2/{NAME}/blobs/{CONFIG_DIGEST}")
        return [self.call("GET", target).status for target in targets]

    def pushes(self) -> list[int]:
        """The statuses of a push of something new."""
        return [
            self.call("POST", UPLOADS).status,
            self.call("POST", f"{UPLOADS}?digest={digest_of(b'new')}", b"new").status,
            self.call("PUT", f"/v2/{NAME}/manifests/new", PLAIN).status,
        ]


class StartTests(DaemonCase):
    """From nothing to serving."""

    def test_probes_while_starting(self) -> None:
        """From the first moment the port answers: alive, not ready, no registry yet; then all of it."""
        daemon = self.make()
        self.addCleanup(self.stop, daemon)
        daemon.startService()
        clients = [self.connect() for _ in range(3)]
        for client, target in zip(clients, ("/health", "/ready", "/v2/"), strict=True):
            client.request("GET", target)
        starting = [client.answer for client in clients]

        self.loop.until(lambda: self.urls)

        self.assertEqual([answer.status for answer in starting], [200, 503, 503])
        self.assertEqual(starting[2].header("Retry-After"), "5")
        self.assertEqual([self.call("GET", target).status for target in ("/health", "/ready", "/v2/")], [200] * 3)

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
        """Until they are there, requests are to come again."""
        daemon = self.make()
        daemon.startService()
        self.addCleanup(self.stop, daemon)

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
            self.loop.until(lambda: len(daemon._pauses) == PAUSES)

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

        daemon._serving.upstreams.close = fail  # type: ignore[method-assign]
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

    def test_just_started(self) -> None:
        """One that has just begun its recurring jobs ends them; it does not wait for their next time."""
        daemon = self.make()
        daemon.startService()
        self.loop.until(lambda: self.urls)

        self.finish(daemon.stopService())

        self.assertEqual(self.loop.seconds(), 1_750_000_000)

    def test_twice(self) -> None:
        """What was started and stopped can be followed by another, again and again."""
        for _ in range(3):
            self.stop(self.start())


class ReloadTests(DaemonCase):
    """SIGHUP."""

    def test_log(self) -> None:
        """After a rotation, lines go to the new file."""
        daemon = self.start()
        self.call("GET", "/v2/")
        self.loop.advance(1)
        os.rename(self.path("access.log"), self.path("access.log.1"))

        daemon.reload()
        self.loop.until(lambda: os.path.exists(self.path("access.log")))
        self.call("GET", "/v2/_catalog")
        self.stop(daemon)

        with open(self.path("access.log"), encoding="ascii") as file:
            self.assertIn("_catalog", file.read())

    def test_users(self) -> None:
        """The file of users is read again, at the signal and by itself."""
        users = self.path("users")

        def write(*names: str) -> None:
            with open(users, "w", encoding="ascii") as file:
                file.writelines(f"{name}:$2y$10${'a' * 53}\n" for name in names)

        write("alice")
        daemon = self.make(auth="{mode: basic, basic_htpasswd_file: users}")
        daemon.startService()
        self.loop.until(lambda: self.urls)
        self.addCleanup(self.stop, daemon)
        self.assertEqual(self.call("GET", "/v2/").status, 401)
        source: Any = daemon._authentication._passwords.source  # type: ignore[union-attr]

        write("alice", "bob")
        daemon.reload()
        self.loop.until(lambda: "bob" in source.table.hashes)

        self.loop.until(lambda: len(daemon._pauses) == PAUSES)
        write("alice", "bob", "carol")
        self.loop.advance(2)
        self.loop.until(lambda: "carol" in source.table.hashes)

    def test_audit_log(self) -> None:
        """So do those of the audit log, also if the other log cannot be opened anew."""
        daemon = self.start()
        self.push()
        self.loop.advance(1)
        for log in ("access", "audit"):
            os.rename(self.path(f"{log}.log"), self.path(f"{log}.log.1"))
        os.mkdir(self.path("access.log"))

        with capturedLogs() as events:
            daemon.reload()
            self.loop.until(lambda: os.path.exists(self.path("audit.log")))
        self.call("DELETE", f"/v2/{NAME}/manifests/latest")
        self.stop(daemon)

        self.assertEqual([event["reason"].errno for event in events if "reason" in event], [errno.EISDIR])
        found = {}
        for name in ("audit.log.1", "audit.log"):
            with open(self.path(name), encoding="utf-8") as file:
                found[name] = [json.loads(line)["action"] for line in file]
        self.assertEqual(found, {"audit.log.1": ["push"], "audit.log": ["delete"]})

    def test_certificate(self) -> None:
        """A new certificate is used at once."""
        pair = Pair(os.path.abspath(self.path("tls")))
        daemon = self.make(tls=f"{{certificate: {pair.certificate}, key: {pair.key}}}")
        daemon.startService()
        self.loop.until(lambda: self.urls)
        self.addCleanup(self.stop, daemon)
        files: Any = daemon._certificates
        before = files._context

        pair.renew()
        daemon.reload()

        self.loop.until(lambda: files._context is not before)


class ConfigurationTests(DaemonCase):
    """A configuration that changes while the daemon runs."""

    def begin(self, text: str) -> Daemon:
        """A daemon that has read a file."""
        self.file = os.path.abspath(self.path("pkgd.yaml"))
        self.write(text)
        self.loop = Loop()
        self.loop.advance(1_750_000_000)
        source = ConfigFile(self.file, {}, load)
        daemon = Daemon(self.loop, source.read(), self.fs, self.urls.append, source=source)
        daemon.startService()
        self.loop.until(lambda: self.urls)
        self.addCleanup(self.stop, daemon)
        return daemon

    def write(self, text: str, auth: str = NO_AUTH) -> None:
        """Change the file."""
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(RELOADED + auth + text)

    def reload(self, daemon: Daemon) -> list[str]:
        """SIGHUP; what the log says of it."""
        done: list[object] = []
        with capturedLogs() as events:
            daemon.reload().addBoth(done.append)
            self.loop.until(lambda: done)
        return [formatEvent(event) for event in events]

    def look(self, daemon: Daemon) -> None:
        """Let the daemon look for another file, and do what it does then."""
        for seconds in (0, 10):
            self.loop.advance(seconds)
            self.loop.until(lambda: len(daemon._pauses) == PAUSES)

    def gauge(self, daemon: Daemon) -> bytes:
        """Whether the metrics say that it has succeeded."""
        lines = daemon._mirror.metrics.render()[0].splitlines()
        return next(line for line in lines if line.startswith(b"pkgd_config_last_reload_successful "))[-3:]

    def test_rules(self) -> None:
        """New rules hold for the next request."""
        daemon = self.begin(READ_ONLY)
        before = self.call("POST", UPLOADS).status

        self.write("authorization: {rules: [{resources: ['oci:**'], subjects: [anonymous], actions: [pull, push]}]}\n")
        self.reload(daemon)

        self.assertEqual((before, self.call("POST", UPLOADS).status), (403, 202))

    def test_repository(self) -> None:
        """A repository and a suite come to be without a restart; what was there stays."""
        daemon = self.begin("repositories: {apt: [{name: one}]}\n")
        targets = ("one/dists/stable", "one/dists/testing", "two/dists/stable")
        before = [self.call("GET", f"/apt/{one}/InRelease").status for one in targets]

        self.write(
            "repositories: {apt: [{name: one, suites: [{codename: stable}, {codename: testing}]}, {name: two}]}\n"
        )
        self.reload(daemon)

        after = [self.call("GET", f"/apt/{one}/InRelease").status for one in targets]
        self.assertEqual((before, after), ([200, 404, 404], [200, 200, 200]))

    def test_one_at_a_time(self) -> None:
        """A repository that a reload and a probe come to together is read once."""
        daemon = self.begin("")
        host: Any = daemon._packages
        reading: Deferred[None] = Deferred()
        begun = []

        class Slow:
            async def start(self) -> None:
                begun.append(self)
                await reading

        host._waiting.append(Slow())
        both = [Deferred.fromCoroutine(host.start_waiting()) for _ in range(2)]
        reading.callback(None)

        for one in both:
            self.successResultOf(one)
        self.assertEqual((len(begun), host._waiting), (1, []))

    def test_broken(self) -> None:
        """A broken file changes nothing, and one line says why; the metrics say so, until it is whole again."""
        daemon = self.begin("")
        self.write("limits: {upload_siz: 1}\n")

        lines = self.reload(daemon)

        said = [line for line in lines if "upload_siz" in line]
        self.assertEqual((len(said), self.gauge(daemon), self.call("POST", UPLOADS).status), (1, b"0.0", 202))
        self.write("limits: {upload_size: 1}\n")
        self.reload(daemon)
        self.assertEqual(
            (self.gauge(daemon), self.call("POST", f"{UPLOADS}?digest={BLOB_DIGEST}", BLOB).status), (b"1.0", 413)
        )

    def test_noticed(self) -> None:
        """A file that has changed is read without a signal."""
        daemon = self.begin(READ_ONLY)
        self.write("")

        self.look(daemon)

        self.assertEqual(self.call("POST", UPLOADS).status, 202)

    def test_link(self) -> None:
        """So is another file behind a link, as Kubernetes turns it for a ConfigMap."""
        daemon = self.begin(READ_ONLY)
        for name in ("old", "new"):
            os.mkdir(self.path(name))
        os.rename(self.file, self.path("old/pkgd.yaml"))
        os.symlink("old", self.path("..data"))
        os.symlink("..data/pkgd.yaml", self.file)
        self.look(daemon)
        before = self.call("POST", UPLOADS).status
        with open(self.path("new/pkgd.yaml"), "w", encoding="utf-8") as file:
            file.write(RELOADED + NO_AUTH)

        os.symlink("new", self.path("turned"))
        os.rename(self.path("turned"), self.path("..data"))
        self.look(daemon)

        self.assertEqual((before, self.call("POST", UPLOADS).status), (403, 202))

    def test_gone(self) -> None:
        """A file that is not there for a moment, or cannot be read, changes nothing."""
        daemon = self.begin(READ_ONLY)
        os.remove(self.file)

        lines = self.reload(daemon)

        self.assertEqual(len([line for line in lines if "the configuration stays as it was" in line]), 1, lines)
        self.assertEqual((self.gauge(daemon), self.call("POST", UPLOADS).status), (b"0.0", 403))

    def test_all_or_nothing(self) -> None:
        """A file that is named and cannot be used changes nothing, whatever else is new; neither does a broken key."""
        daemon = self.begin(READ_ONLY)
        with open(self.path("broken.asc"), "w", encoding="ascii") as file:
            file.write("no key")
        os.chmod(self.path("broken.asc"), 0o600)
        repository = "repositories: {apt: [{name: main}, {name: other, signing_key: other}]}\n"
        wrong = (
            ("mirror: {registries: {a.example: {ca_file: nowhere.pem}}}\n", NO_AUTH),
            ("", "auth: {mode: basic, basic_htpasswd_file: nowhere}\n"),
            (f"{repository}authorization: {{rules: [{{resources: ['no']}}]}}\n", NO_AUTH),
        )
        for text, auth in wrong:
            self.write(text, auth)
            self.reload(daemon)
            self.assertEqual((self.gauge(daemon), self.call("POST", UPLOADS).status), (b"0.0", 403), text)

        with open(self.file, "w", encoding="utf-8") as file:
            keys = "signing: {keys: {default: {algorithm: ed25519}, other: {key_file: broken.asc}}}\n"
            file.write(
                RELOADED.replace("signing: {keys: {default: {algorithm: ed25519}}}\n", keys) + NO_AUTH + repository
            )
        self.reload(daemon)

        self.assertEqual((self.gauge(daemon), self.call("POST", UPLOADS).status), (b"0.0", 403))

    def test_auth(self) -> None:
        """Another mode of `auth` holds for the next request, and so does the one before, again."""
        daemon = self.begin("")
        with open(self.path("users"), "w", encoding="ascii") as file:
            file.write(f"alice:$2y$10${'a' * 53}\n")
        found = [self.call("GET", "/v2/").status]

        for auth in ("auth: {mode: basic, basic_htpasswd_file: users}\n", NO_AUTH):
            self.write("", auth)
            self.reload(daemon)
            self.assertEqual(self.gauge(daemon), b"1.0")
            found.append(self.call("GET", "/v2/").status)

        self.assertEqual(found, [200, 401, 200])

    def test_signing_key(self) -> None:
        """A key that was made meanwhile signs after the signal, along with the one before."""
        daemon = self.begin("repositories: {apt: [{name: main}], rpm: []}\n")
        targets = ("/apt/main/key.asc", "/apt/main/dists/stable/InRelease")
        before = [self.call("GET", one).body for one in targets]
        keys = SigningKeys.below(self.path("state"), 1_750_000_000, algorithm="ed25519")

        keys.rotate(None, None)
        self.reload(daemon)

        after = [self.call("GET", one).body for one in targets]
        self.assertEqual(after[0], keys.export(None).encode("ascii"))
        self.assertNotEqual(after[0], before[0])
        self.assertGreater(len(after[1]), len(before[1]))

    def test_garbage(self) -> None:
        """Garbage is collected as the new configuration says, also where it was not at all before."""
        daemon = self.begin("storage: {gc: {interval: 0s}}\n")
        self.loop.until(lambda: len(daemon._pauses) == PAUSES - 1)

        self.write("storage: {gc: {interval: 1h, grace: 10m, dry_run: true}}\n")
        self.reload(daemon)

        self.assertEqual((daemon._upkeep.interval, daemon._upkeep.settings.grace), (3600, 600))
        self.loop.until(lambda: len(daemon._pauses) == PAUSES)

    def test_garbage_ends(self) -> None:
        """Where it is not to be collected any more, the last one wakes and ends."""
        daemon = self.begin("storage: {gc: {interval: 1m}}\n")
        self.loop.until(lambda: len(daemon._pauses) == PAUSES)

        self.write("storage: {gc: {interval: 0s}}\n")
        self.reload(daemon)
        self.loop.advance(60)

        self.loop.until(lambda: len(daemon._pauses) == PAUSES - 1)

    def test_retention(self) -> None:
        """Rules that come with a new configuration are followed by and by; without any, everything has stayed."""
        daemon = self.begin("")
        self.push()
        for tag in ("v1", "v2", "v3"):
            self.assertEqual(self.call("PUT", f"/v2/{NAME}/manifests/{tag}", PLAIN).status, 201)
        self.loop.advance(600)
        self.write("repositories: {retention: {rules: [{resources: ['oci:team/**'], tags: ['v*'], newest: 1}]}}\n")
        self.reload(daemon)
        target = f"/v2/{NAME}/tags/list"
        before = json.loads(self.call("GET", target).body)["tags"]

        self.loop.advance(600)
        self.loop.until(lambda: len(daemon._pauses) == PAUSES)

        after = json.loads(self.call("GET", target).body)["tags"]
        self.assertEqual((len(before), after), (4, ["latest", "v3"]))

    def test_uptime(self) -> None:
        """`/health` goes on counting from the start."""
        daemon = self.begin("")
        self.loop.advance(100)

        self.reload(daemon)

        self.assertEqual(json.loads(self.call("GET", "/health").body)["uptime"], 100)

    def test_fixed(self) -> None:
        """What cannot change is named and stays; the rest is followed."""
        daemon = self.begin(READ_ONLY)
        self.write("storage: {filesystem: {root: elsewhere}}\nserver: {listen: ['tcp:1:interface=127.0.0.1']}\n")

        lines = self.reload(daemon)

        for name in ("storage.filesystem.root", "server.listen"):
            self.assertIn(f"{name} stays as it was until pkgd is started anew", lines)
        self.assertEqual((self.gauge(daemon), self.call("POST", UPLOADS).status), (b"1.0", 202))
        self.assertFalse(os.path.exists(self.path("state/elsewhere")))

    def test_open_to_others(self) -> None:
        """What is open to others does not lose its `auth`, though the new file would listen to this machine alone."""
        daemon = self.begin(f"server: {{listen: ['tcp:5000']}}\n{READ_ONLY}")
        self.write("server: {listen: ['tcp:5000:interface=127.0.0.1']}\n", auth="")

        lines = self.reload(daemon)

        self.assertEqual(len([line for line in lines if "is open to others" in line]), 1, lines)
        self.assertEqual((self.gauge(daemon), self.call("POST", UPLOADS).status), (b"0.0", 403))
