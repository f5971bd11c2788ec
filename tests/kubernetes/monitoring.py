"""What packaging/monitoring/ asks of Prometheus, asked of a real one that scrapes a real pkgd.

A panel that names a metric, a label or a unit that pkgd does not have is empty for ever, and an alert is silent.
"""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bcrypt
import yaml

from tests.backup.__main__ import free_port
from tests.live.server import Pkgd, Setup
from tests.live.tools import Daemon, install, run, running, wait_for
from tests.metrics.test_daemon import PROMISED, promised
from tests.packages.fixtures import made_deb

__all__ = ["cases"]

MONITORING = Path(__file__).resolve().parents[2] / "packaging/monitoring"
_HOST = "127.0.0.1"
# Those of certificates and keys are there if there is one that expires.
_SELECTOR = re.compile(r"pkgd_(?!tls_|signing_)\w+(?:{[^}]*})?")


def cases(scratch: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Each case with its name; the servers run until the last has been done."""
    install(["promtool", "prometheus"])
    yield "alert rules", lambda: _promtool("check", "rules", str(MONITORING / "alerts.yml"))
    yield "alerts fire when they should", lambda: _promtool("test", "rules", str(MONITORING / "alerts_test.yml"))
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
    yield "an alert that is silent is noticed", lambda: _silenced(scratch)
    pkgd = _pkgd(scratch)
    try:
        pkgd.start()
        _use(pkgd.setup.endpoint.url)
        yield "the text", lambda: _text(pkgd.setup.endpoint.url)
        with running(_prometheus(scratch, pkgd.setup.port)) as prometheus:
            api = _Api(int(prometheus.name.rpartition(" ")[2]))
            prometheus.wait_until(lambda: len(api.query('pkgd_build_info{job="pkgd"}[1m]')) > 0)
            wait_for("some scrapes", lambda: len(api.query("pkgd_build_info[1m]")[0]["values"]) > 3)
            yield "every alert can be evaluated", lambda: _evaluated(api, len(rules))
            for selector in sorted({one for rule in rules for one in _SELECTOR.findall(rule["expr"])}):
                yield f"alerts look at {selector}", lambda one=selector: _shows(api, one)  # type: ignore[misc]
            for title, expression in _panels():
                yield f"panel: {title}", lambda one=expression: _shows(api, one)  # type: ignore[misc]
            yield "an empty panel is noticed", lambda: _empty(api)
    finally:
        pkgd.remove()


def _promtool(*arguments: str) -> None:
    run("promtool", *arguments)


def _silenced(scratch: Path) -> None:
    """With alerts that never fire, the unit test of each of them fails."""
    document = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    for rule in document["groups"][0]["rules"]:
        rule["expr"] = f"({rule['expr']}) and vector(1) == 2"
    (scratch / "alerts.yml").write_text(yaml.safe_dump(document))
    (scratch / "alerts_test.yml").write_text((MONITORING / "alerts_test.yml").read_text())
    command = ["promtool", "test", "rules", str(scratch / "alerts_test.yml")]
    said = subprocess.run(command, capture_output=True, text=True)
    untested = [
        one["alert"] for one in document["groups"][0]["rules"] if f"alertname: {one['alert']}," not in said.stderr
    ]
    if untested or not said.returncode:
        raise AssertionError(f"nothing fails without {untested}")


# -- pkgd, with something of everything --


def _pkgd(scratch: Path) -> Pkgd:
    users = scratch / "users"
    users.write_bytes(b"alice:" + bcrypt.hashpw(b"secret", bcrypt.gensalt(4)) + b"\n")
    nobody = f"{_HOST}:{free_port()}"
    backend = {"name": "ldap", "url": f"http://{nobody}/login", "allow_insecure_http": True}
    return Pkgd(
        Setup(
            *("pkgd", _HOST, free_port()),
            mirror={"enableProxy": True, "registries": {nobody: {"url": f"http://{nobody}"}}, "fallback": [nobody]},
            more={"auth": {"mode": "basic", "basic_htpasswd_file": str(users), "basic_api_backends": [backend]}},
        ),
        scratch / "pkgd",
    )


def _use(url: str) -> None:
    """Let every kind of thing happen once."""
    for user, method, path, body in (
        ("", "GET", "/v2/", None),
        ("alice", "GET", "/v2/team/app/manifests/v1", None),
        ("alice", "GET", "/v2/team/app/tags/list", None),
        ("bob", "GET", "/v2/", None),
        ("alice", "POST", "/v2/team/app/blobs/uploads/", b""),
        ("alice", "PUT", "/apt/main/stable/main/hello_1.0_amd64.deb", made_deb()),
    ):
        request = urllib.request.Request(url + path, body, method=method)
        if user:
            request.add_header("Authorization", f"Basic {b64encode(f'{user}:secret'.encode()).decode()}")
        try:
            urllib.request.urlopen(request).close()
        except urllib.error.HTTPError as error:
            error.close()


def _text(url: str) -> None:
    """The linter of Prometheus has nothing to say of the text, and everything is there that is promised."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        text = answer.read()
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    said = (checked.stdout + checked.stderr).decode().strip()
    if checked.returncode or said:
        raise AssertionError(said)
    there = set(re.findall("# TYPE (pkgd_\\w+)", text.decode()))
    missing = {promised(one)[0] for one in PROMISED.split()} - there
    if missing != {"pkgd_tls_certificate_expiry_timestamp_seconds"}:
        raise AssertionError(f"missing: {missing}")


# -- Prometheus --


class _Api:
    """The API of Prometheus."""

    def __init__(self, port: int) -> None:
        self._url = f"http://{_HOST}:{port}/api/v1"

    def get(self, path: str, **parameters: str) -> Any:
        """What it answers."""
        with urllib.request.urlopen(f"{self._url}/{path}?{urllib.parse.urlencode(parameters)}") as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression has now; none while it does not answer."""
        try:
            found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        except urllib.error.HTTPError as error:
            if error.code != 503:  # it is starting
                raise AssertionError(error.read().decode()) from None
            return []
        except OSError:
            return []
        return found


def _prometheus(scratch: Path, port: int) -> Daemon:
    """One that scrapes pkgd every second, with our rules; its name ends with its port."""
    own = free_port()
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(MONITORING / "alerts.yml")],
        "scrape_configs": [{"job_name": "pkgd", "static_configs": [{"targets": [f"{_HOST}:{port}"]}]}],
    }
    (scratch / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    command = ["prometheus", f"--config.file={scratch}/prometheus.yml", f"--storage.tsdb.path={scratch}/tsdb"]
    command += [f"--web.listen-address={_HOST}:{own}"]
    return Daemon(f"prometheus {own}", command, scratch / "prometheus.log")


def _evaluated(api: _Api, count: int) -> None:
    def all_are() -> bool:
        rules = api.get("rules")["groups"][0]["rules"]
        return [one["health"] for one in rules] == ["ok"] * count

    wait_for("all rules evaluated", all_are, seconds=10)


def _panels() -> Iterator[tuple[str, str]]:
    """What each panel of the dashboard asks, of all instances."""
    for panel in json.loads((MONITORING / "dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$instance", ".*")


def _shows(api: _Api, expression: str) -> None:
    if not api.query(expression):
        raise AssertionError(f"nothing is shown: {expression}")


def _empty(api: _Api) -> None:
    try:
        _shows(api, "sum by (code) (rate(pkgd_htttp_requests_total[5m]))")
    except AssertionError:
        return
    raise AssertionError("it was not noticed")
