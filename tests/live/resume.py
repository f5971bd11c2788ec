"""A pull that is cut in the middle of a blob: the client goes on from there with Range, and has the right bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from tests.live import ctr, docker, podman, skopeo
from tests.live.bench import Bench, Case
from tests.live.containerd import running_containerd
from tests.live.content import expect, hash_file
from tests.live.cutter import cutting
from tests.live.images import MIB, Image
from tests.live.server import LogTail
from tests.live.tools import CommandFailed, run

PROGRAMS = ["curl", *skopeo.PROGRAMS, *podman.PROGRAMS, *docker.PROGRAMS, *ctr.PROGRAMS]

Pull = Callable[[Bench, Image], None]


def cases(bench: Bench) -> Iterator[Case]:
    """Those that resume by themselves, then those that in Debian 12 begin again."""
    resuming: dict[str, tuple[Pull, int]] = {
        "curl": (_pull_with_curl, 2),
        "docker": (_pull_with_docker, 1),  # it waits 5 s after the first cut, and 10 s after the next
        "ctr": (_pull_with_ctr, 2),
    }
    for client, (pull, cuts) in resuming.items():
        yield Case(f"{client} pulls 64 MiB through cuts, with Range", partial(_resume, bench, pull, cuts))
    again: dict[str, Pull] = {"skopeo": _pull_with_skopeo, "podman": _pull_with_podman}
    for client, pull in again.items():
        yield Case(f"{client} pulls 64 MiB through a cut, if need be again", partial(_pull_again, bench, pull))


def _resume(bench: Bench, pull: Pull, cuts: int) -> None:
    """Pull through cuts; the server's log shows that each was followed by a request for the rest only."""
    image = bench.images.resumable
    log = LogTail(bench.server.log)
    with _cutting(bench, cuts) as cut_bench:
        pull(cut_bench, image)
    log.wait_for("partial answers", rf'"GET \S*{image.layers[0].blob.digest}\S* HTTP/[.0-9]+" 206', cuts)


def _pull_again(bench: Bench, pull: Pull) -> None:
    """Pull through a cut; a client that gives up is started once more."""
    image = bench.images.resumable
    with _cutting(bench, cuts=1) as cut_bench:
        try:
            pull(cut_bench, image)
        except CommandFailed:
            pull(cut_bench, image)


@contextmanager
def _cutting(bench: Bench, cuts: int) -> Iterator[Bench]:
    """A way to the server on which so many cuts await; all of them must have come at the end."""
    with cutting(21500, bench.endpoint, after=20 * MIB, cuts=cuts) as cutter:
        cut_bench = bench.reaching(bench.server, cutter.endpoint)
        cut_bench.seed(bench.images.resumable)
        yield cut_bench
        expect("cuts left", cutter.cuts_left, 0)


def _pull_with_curl(bench: Bench, image: Image) -> None:
    blob = image.layers[0].blob
    url = f"{bench.endpoint.url}/v2/{bench.seed(image)}/blobs/{blob.digest}"
    trust = ["--cacert", str(bench.endpoint.certificates.authority)] if bench.endpoint.certificates else []
    with bench.folder("curl") as folder:
        command = ["curl", "--silent", "--show-error", "--fail", *trust, "--output", str(folder / "blob")]
        for _ in range(3):
            try:
                run(*command, "--continue-at", "-", url)
                break
            except CommandFailed as error:
                if "exit status 18" not in str(error) and "exit status 56" not in str(error):
                    raise  # not the broken transfer that a cut is
        expect("blob", hash_file(folder / "blob"), blob.digest[7:])


def _pull_with_skopeo(bench: Bench, image: Image) -> None:
    skopeo.Skopeo(bench).pull(image)


def _pull_with_podman(bench: Bench, image: Image) -> None:
    bench.forget_known_blobs()
    with bench.folder("podman") as folder:
        podman.Podman(bench, folder).pull(image)


def _pull_with_docker(bench: Bench, image: Image) -> None:
    with docker.running_docker(bench) as client:
        client.pull(image)


def _pull_with_ctr(bench: Bench, image: Image) -> None:
    with bench.folder("ctr") as folder, running_containerd(folder, cri=False) as containerd:
        ctr.Ctr(bench, containerd).pull(image)
