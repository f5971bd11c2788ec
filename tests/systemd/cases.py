"""An administrator's days with the unit, in the order in which they come."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.live.content import expect
from tests.live.tools import wait_for
from tests.repositories.bench import Case
from tests.systemd.machine import Machine

_BLOB = "some bytes"
_DIGEST = "sha256:$(printf '%s' '" + _BLOB + "' | sha256sum | cut -d' ' -f1)"
_USERS = "/run/credentials/pkgd.service/secret_htpasswd"
# The password is "secret"; four rounds, for speed.
_HTPASSWD = "alice:$2b$04$QXAegxMZsm.r98Ubx92J1OUwHzLHRD.QbnN6oS0OlfJUjwf4Br5KC\n"
_CONFIGURATION = """\
version: 1
state_dir: /var/lib/pkgd
server: {{listen: ["{listen}"]}}
auth: {auth}
"""


class Days:
    """What happens to one machine."""

    def __init__(self, machine: Machine, first: Path, second: Path) -> None:
        """
        :param first: pkgd's .deb.
        :param second: one of a later version.
        """
        self._machine = machine
        self._first = first
        self._second = second

    def cases(self) -> Iterator[Case]:
        """All of them; each goes on where the one before has left the machine."""
        yield Case("the .deb is installed, pkgd runs and is ready", self.installed)
        yield Case("it listens to this machine only, as a user of its own, without any capability", self.confined)
        yield Case("a blob is pushed and pulled", self.pushed)
        yield Case("systemctl reload waits for the reload, in the same process", self.reloaded)
        yield Case("kill -9: systemd starts it again, and the blob is there", self.killed)
        yield Case("a daemon that hangs is ended, says where it was, and is started again", self.hung)
        yield Case("a user's password from a file that only root can read", self.credential)
        yield Case("the later .deb is uploaded, and known to apt by its signature", self.uploaded)
        yield Case(
            "apt upgrades pkgd from pkgd: another process, the state and the configuration are there", self.upgraded
        )
        yield Case("systemctl stop ends in order, with status 0", self.stopped)
        yield Case("the first connection to systemd's socket starts pkgd", self.activated)
        yield Case("while pkgd is started anew, connections to the socket wait", self.restarted_behind_socket)
        yield Case("purged: the state and the secrets are there", self.purged)

    def installed(self) -> None:
        """dpkg alone: pkgd's package needs nothing that this machine doesn't have."""
        self._install(self._first)
        expect("state", self._machine.show("ActiveState", "UnitFileState"), ["active", "enabled"])
        self._ready()
        expect("status", self._machine.show("StatusText"), ["serves http://127.0.0.1:8080"])

    def confined(self) -> None:
        """What the kernel says of the process, and whom the state belongs to."""
        pid = self._machine.show("MainPID")[0]
        facts = self._machine.shell(
            f"grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/{pid}/status; stat -c %u /proc/{pid}"
        )
        lines = facts.split("\n")
        expect("status", [line.split()[1] for line in lines[:3]], ["0" * 16, "1", "2"])
        user = lines[3]
        expect("whether it is a dynamic user", 61184 <= int(user) <= 65519, True)
        owners = self._machine.shell("stat -L -c '%u %a' /var/lib/pkgd /var/lib/pkgd/pkgd.lock").split()
        expect("owner", owners, [user, "750", user, "600"])

    def pushed(self) -> None:
        """A monolithic upload."""
        self._machine.shell(
            f"printf '%s' '{_BLOB}' > /tmp/blob; curl -fsS -X POST -H 'Content-Type: application/octet-stream' "
            f'--data-binary @/tmp/blob "http://127.0.0.1:8080/v2/team/app/blobs/uploads/?digest={_DIGEST}"'
        )
        self._pulled()

    def reloaded(self) -> None:
        """RELOADING and READY are seen by systemd, and the process stays."""
        before = self._machine.show("MainPID")
        self._machine.shell("systemctl reload pkgd")
        wait_for("the end of the reload", lambda: self._machine.show("ActiveState") == ["active"])
        expect("process", self._machine.show("MainPID"), before)
        self._pulled()

    def killed(self) -> None:
        """By its own hand, as the kernel's out-of-memory killer would."""
        before = self._machine.show("MainPID")
        self._machine.shell("systemctl kill --signal=KILL pkgd")
        self._another(before)
        self._pulled()

    def hung(self) -> None:
        """A stopped process sends no signs of life; one that hangs in Python says where, in the journal."""
        self._machine.write("/etc/systemd/system/pkgd.service.d/test.conf", "[Service]\nWatchdogSec=2\n")
        self._machine.shell("systemctl daemon-reload; systemctl restart pkgd")
        self._ready()
        before = self._machine.show("MainPID")
        self._machine.shell("systemctl kill --signal=STOP pkgd; sleep 3; systemctl kill --signal=CONT pkgd || true")
        self._another(before)
        expect("whether the log says why", "Watchdog timeout" in self._machine.journal(), True)
        expect("whether it says where", "Fatal Python error: Aborted" in self._machine.journal(), True)
        self._machine.shell("rm -r /etc/systemd/system/pkgd.service.d; systemctl daemon-reload; systemctl restart pkgd")
        self._ready()

    def credential(self) -> None:
        """LoadCredential: the file is root's, and the daemon knows its user."""
        self._machine.write("/etc/pkgd/credentials/htpasswd", _HTPASSWD, 0o600)
        auth = f"{{mode: basic, basic_htpasswd_file: {_USERS}}}"
        self._configure("tcp:8080:interface=127.0.0.1", auth)
        self._machine.shell("systemctl restart pkgd")
        self._ready()
        asked = "curl -s -o /dev/null -w '%{http_code}' "
        expect("nobody", self._machine.shell(f"{asked} http://127.0.0.1:8080/v2/"), "401")
        expect("alice", self._machine.shell(f"{asked} -u alice:secret http://127.0.0.1:8080/v2/"), "200")
        self._configure("tcp:8080:interface=127.0.0.1", "{mode: none}")
        self._machine.shell("systemctl restart pkgd")
        self._ready()

    def uploaded(self) -> None:
        """pkgd's own package, in the repository that is there without a word about it."""
        self._machine.take(self._second, f"/root/{self._second.name}")
        self._machine.shell(
            f"curl -fsST /root/{self._second.name} http://127.0.0.1:8080/apt/main/stable/main/; "
            "rm /etc/apt/sources.list; cd /etc/apt/sources.list.d; "
            "curl -fsS http://127.0.0.1:8080/apt/main/stable.sources > pkgd.sources; "
            "apt-get update -o APT::Update::Error-Mode=any"
        )
        offered = self._machine.shell("apt-cache policy pkgd | grep Candidate:").split()[1]
        expect("version", offered, self._second.name.split("_")[1])

    def upgraded(self) -> None:
        """dpkg keeps the file that was changed, and the daemon is started anew."""
        before = self._machine.show("MainPID")
        self._machine.shell(
            "DEBIAN_FRONTEND=noninteractive apt-get -y -o Dpkg::Options::=--force-confold install pkgd 2>&1"
        )
        expect("whether it is another process", self._machine.show("MainPID") != before, True)
        self._ready()
        self._pulled()
        version = self._machine.shell("dpkg-query -W -f '${Version}' pkgd")
        expect("version", version, self._second.name.split("_")[1])
        expect("configuration", "mode: none" in self._machine.shell("cat /etc/pkgd/pkgd.yaml"), True)

    def stopped(self) -> None:
        """The end is the daemon's own."""
        self._machine.shell("systemctl stop pkgd")
        found = self._machine.show("ActiveState", "Result", "ExecMainCode", "ExecMainStatus")
        expect("end", found, ["inactive", "success", "1", "0"])
        expect("whether it was in order", "pkgd has stopped" in self._machine.journal(), True)
        expect("traceback", "Traceback" in self._machine.journal(), False)

    def activated(self) -> None:
        """The unit is not started until somebody comes."""
        self._configure("systemd:domain=INET:name=http", "{mode: none}")
        self._machine.shell("systemctl enable --now pkgd.socket")
        expect("state", self._machine.show("ActiveState"), ["inactive"])
        self._ready()
        expect("state", self._machine.show("ActiveState"), ["active"])
        self._pulled()

    def restarted_behind_socket(self) -> None:
        """Requests that come meanwhile find the port open; none is refused a connection."""
        asked = "curl -s -o /dev/null http://127.0.0.1:8080/health || echo refused"
        said = self._machine.shell(
            f"systemctl restart pkgd & for i in $(seq 40); do {asked}; done; wait; systemctl is-active pkgd.socket"
        )
        expect("answers", said.split(), ["active"])
        self._ready()

    def purged(self) -> None:
        """What was given to pkgd to keep is not the package's to delete."""
        self._machine.shell("dpkg --purge pkgd 2>&1")
        expect("program", self._machine.fails("test -e /usr/bin/pkgd"), True)
        self._machine.shell("test -e /var/lib/pkgd/pkgd.lock; test -e /etc/pkgd/credentials/htpasswd")

    def _install(self, package: Path) -> None:
        self._machine.take(package, "/root/pkgd.deb")
        self._machine.shell("dpkg --install /root/pkgd.deb 2>&1")

    def _configure(self, listen: str, auth: str) -> None:
        self._machine.write("/etc/pkgd/pkgd.yaml", _CONFIGURATION.format(listen=listen, auth=auth))

    def _ready(self) -> None:
        wait_for("pkgd", partial(self._answers, "http://127.0.0.1:8080/ready"))

    def _answers(self, url: str) -> bool:
        return not self._machine.fails(f"curl -fsS -m 5 {url}")

    def _pulled(self) -> None:
        got = self._machine.shell(f'curl -fsS "http://127.0.0.1:8080/v2/team/app/blobs/{_DIGEST}"')
        expect("blob", got, _BLOB)

    def _another(self, before: list[str]) -> None:
        """Wait for the next process."""
        wait_for(
            "the next process",
            lambda: self._machine.show("ActiveState") == ["active"] and self._machine.show("MainPID") != before,
        )
        self._ready()
