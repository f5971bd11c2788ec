"""New configurations, logs and keys, while the daemon serves."""

from __future__ import annotations

import errno
import json
import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from pkgd.config import load
from pkgd.config.reloading import ConfigFile
from pkgd.daemon import Daemon
from pkgd.signing_command import SigningKeys
from tests.daemons import NAME, PAUSES, UPLOADS, DaemonCase
from tests.loop import Loop
from tests.web.certificates import Pair
from tests.web.content import (
    BLOB,
    BLOB_DIGEST,
    PLAIN,
)

RELOADED = """\
version: 1
state_dir: state
logging: {access: {file: access.log}}
signing: {keys: {default: {algorithm: ed25519}}}
"""
NO_AUTH = "auth: {mode: none}\n"
READ_ONLY = "authorization: {rules: [{resources: ['oci:**'], subjects: [anonymous], actions: [pull]}]}\n"


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
        source: Any = daemon._authentication._users.source  # type: ignore[union-attr]

        write("alice", "bob")
        daemon.reload()
        self.loop.until(lambda: "bob" in source.table.hashes)

        self.loop.until(lambda: len(daemon._recurring.pauses) == PAUSES)
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
        files: Any = daemon._present.certificates
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
            self.loop.until(lambda: len(daemon._recurring.pauses) == PAUSES)

    def gauge(self, daemon: Daemon) -> bytes:
        """Whether the metrics say that it has succeeded."""
        lines = daemon._parts.mirror.metrics.render()[0].splitlines()
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

    def test_while_starting(self) -> None:
        """A signal that comes while the daemon starts is obeyed once it serves."""
        self.file = os.path.abspath(self.path("pkgd.yaml"))
        self.write(READ_ONLY)
        self.loop = Loop()
        source = ConfigFile(self.file, {}, load)
        daemon = Daemon(self.loop, source.read(), self.fs, self.urls.append, source=source)
        daemon.startService()
        self.addCleanup(self.stop, daemon)
        self.write("")

        lines = self.reload(daemon)

        self.assertTrue(self.urls)
        self.assertLess(*(at for at, line in enumerate(lines) if " serves " in line or "read anew" in line))
        self.assertEqual(self.call("POST", UPLOADS).status, 202)

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

    def test_upstreams(self) -> None:
        """Upstreams that are the same go on; others are closed a while after, when nobody asks them any more."""
        registry = "mirror: {registries: {a.example: {}}}\n"
        daemon = self.begin(registry)
        before = daemon._present.serving.upstreams
        (client,) = (one._client for one in before.of("a.example"))
        found = []
        for text in (f"{registry}limits: {{upload_size: 1MiB}}\n", registry.replace("a.", "b.")):
            self.write(text)
            self.reload(daemon)
            for _ in range(7):
                self.look(daemon)
            found.append((daemon._present.serving.upstreams is before, client._closed))

        self.assertEqual(found, [(True, False), (False, True)])

    def test_garbage(self) -> None:
        """Garbage is collected as the new configuration says, also where it was not at all before."""
        daemon = self.begin("storage: {gc: {interval: 0s}}\n")
        self.loop.until(lambda: len(daemon._recurring.pauses) == PAUSES - 1)

        self.write("storage: {gc: {interval: 1h, grace: 10m, dry_run: true}}\n")
        self.reload(daemon)

        self.assertEqual((daemon._parts.upkeep.interval, daemon._parts.upkeep.settings.grace), (3600, 600))
        self.loop.until(lambda: len(daemon._recurring.pauses) == PAUSES)

    def test_garbage_ends(self) -> None:
        """Where it is not to be collected any more, the last one wakes and ends."""
        daemon = self.begin("storage: {gc: {interval: 1m}}\n")
        self.loop.until(lambda: len(daemon._recurring.pauses) == PAUSES)

        self.write("storage: {gc: {interval: 0s}}\n")
        self.reload(daemon)
        self.loop.advance(60)

        self.loop.until(lambda: len(daemon._recurring.pauses) == PAUSES - 1)

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
        self.loop.until(lambda: len(daemon._recurring.pauses) == PAUSES)

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
