"""What logging in costs: manifests with a token beside manifests without any, and a hundred logins at once."""

import base64
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection

import bcrypt

from tests.bench import api
from tests.bench.api import WrongAnswer
from tests.bench.content import Image, small_image
from tests.bench.figures import Bar, Outcome, Table, Work, interleave, percentile
from tests.bench.probe import HealthProbe
from tests.bench.races import REQUESTS, Race
from tests.bench.scenarios.manifests import CONNECTIONS, HEADERS, REPOSITORY, SECONDS, TAG
from tests.bench.servers import MANIFEST_TYPE, Pkgd, running
from tests.bench.stage import Stage, timed

TARGET = f"/v2/{REPOSITORY}/manifests/{TAG}"
SHARE = 0.8
LOGINS, QUICK_LOGINS = 100, 30
COST = 12
LONGEST_STALL = 0.05
PATIENCE = 300.0


class Protected(Pkgd):
    """pkgd with users: `user0`, `user1` and so on, each with its name as the password."""

    kind = "pkgd basic"
    users = LOGINS

    def auth(self) -> str:
        """Users in a file."""
        lines = [f"user{number}:{_hash(number)}\n" for number in range(self.users)]
        (self.folder / "htpasswd").write_text("".join(lines))
        return f"{{mode: basic, basic_htpasswd_file: {self.folder}/htpasswd, token: {{lifetime: 1h}}}}"

    def publish(self, repository: str, tag: str, image: Image) -> None:
        """Push with a user's password."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=api.TIMEOUT)
        headers = {"Authorization": basic(0)}
        for data in image.blobs:
            target = f"/v2/{repository}/blobs/uploads/?digest={api.digest_of(data)}"
            _insist(connection, "POST", target, 201, data, headers)
        headers |= {"Content-Type": MANIFEST_TYPE}
        _insist(connection, "PUT", f"/v2/{repository}/manifests/{tag}", 201, image.manifest, headers)
        connection.close()


def run(stage: Stage) -> Outcome:
    """Race the two, then log in."""
    image = small_image()
    plain, protected = stage.server(Pkgd, "pkgd none"), stage.server(Protected, Protected.kind)
    with running([plain, protected]):
        for server in (plain, protected):
            server.publish(REPOSITORY, TAG, image)
        race = _race(stage, plain, protected)
        logins, table = _logins(stage, protected)
    stage.discard([plain, protected])
    bars = (race.bar(plain.label, SHARE), *logins)
    return Outcome((race.table(), table), bars, {race.title: race.raw()})


def basic(number: int) -> str:
    """A user's credentials."""
    return "Basic " + base64.b64encode(f"user{number}:user{number}".encode()).decode()


def token(port: int, number: int) -> str:
    """A user's token for the image."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        answer = _log_in(connection, number, f"&scope=repository:{REPOSITORY}:pull")
    return str(json.loads(answer)["token"])


def _race(stage: Stage, plain: Pkgd, protected: Protected) -> Race:
    bearer = {**HEADERS, "Authorization": f"Bearer {token(protected.port, 0)}"}

    def load(server: Pkgd, _round: int) -> Work:
        headers = bearer if server is protected else HEADERS
        return timed(
            server,
            lambda: stage.client.small_gets(server.port, TARGET, CONNECTIONS, SECONDS, headers),
            lambda done: done.requests,
        )

    samples = interleave([plain, protected], stage.rounds, stage.order, load)
    peaks = {server.label: server.peak_rss() for server in (plain, protected)}
    title = f"GET of a manifest, with a token and without any, {CONNECTIONS} connections"
    return Race(title, REQUESTS, protected.label, samples, peaks)


def _logins(stage: Stage, server: Protected) -> tuple[tuple[Bar, ...], Table]:
    """Log in as many users at once, none of whom the server remembers, and ask for its health meanwhile."""
    count = QUICK_LOGINS if stage.quick else LOGINS
    with HealthProbe(server.port, "/health") as idle:
        time.sleep(3)
    # Connected one by one: a hundred at once would overflow the backlog, and probes wait for TCP's next try.
    connections = [HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE) for _ in range(1, count)]
    for connection in connections:
        connection.connect()
    began, cpu = time.monotonic(), server.cpu_seconds()
    with HealthProbe(server.port, "/health") as busy, ThreadPoolExecutor(count) as pool:
        list(pool.map(_log_in, connections, range(1, count)))
    seconds, cpu = time.monotonic() - began, server.cpu_seconds() - cpu
    for connection in connections:
        connection.close()
    if busy.failures:
        raise WrongAnswer(f"/health while users log in: {busy.failures[0]}")
    rows = (_row("idle", idle.latencies), _row("logins", busy.latencies))
    title = f"/health while {count} users log in at cost {COST}: {seconds:.1f} s, {cpu:.1f} CPU s"
    table = Table(title, ("", "probes", "median ms", "99 % ms", "longest ms"), rows)
    bar = Bar(
        "longest answer of /health while users log in", max(busy.latencies) * 1e3, LONGEST_STALL * 1e3, False, " ms"
    )
    return (bar,), table


def _row(label: str, latencies: Sequence[float]) -> tuple[str, ...]:
    shares = (percentile(latencies, share) for share in (0.5, 0.99, 1.0))
    return (label, str(len(latencies)), *(f"{one * 1e3:.1f}" for one in shares))


def _log_in(connection: HTTPConnection, number: int, query: str = "") -> bytes:
    """Get a token, as often as the server says that it has too much to do."""
    until = time.monotonic() + PATIENCE
    while True:
        connection.request("GET", f"/auth/token?service=bench{query}", headers={"Authorization": basic(number)})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status == 200:
            return body
        if answer.status != 503 or time.monotonic() > until:
            raise WrongAnswer(f"user{number} cannot log in: {answer.status} {body[:200]!r}")
        time.sleep(min(float(answer.headers["Retry-After"]), 1.0))


def _insist(
    connection: HTTPConnection, method: str, target: str, status: int, body: bytes, headers: dict[str, str]
) -> None:
    connection.request(method, target, body, headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != status:
        raise WrongAnswer(f"{method} {target}: {answer.status}, not {status}: {text[:500]!r}")


def _hash(number: int) -> str:
    return bcrypt.hashpw(f"user{number}".encode(), bcrypt.gensalt(COST)).decode()
