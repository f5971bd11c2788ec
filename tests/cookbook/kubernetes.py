"""The recipe `kubernetes`, without a cluster: its manifests fit together, and their configuration serves a node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import yaml

from tests.cookbook.engines import containerd_node
from tests.cookbook.internet import internet
from tests.cookbook.markdown import Recipe
from tests.cookbook.public_mirror import ALPINE, CONTAINERD, HOSTS, PAUSE, client_files, make_users, pull_by_cri
from tests.cookbook.servers import Server, get, serving
from tests.cookbook.village import Village
from tests.live.bench import Case
from tests.live.content import expect


def cases(village: Village) -> Iterator[Case]:
    """The Deployment's configuration on port 443, to which the Service leads, and a node."""
    recipe = Recipe.read("kubernetes")
    kinds: dict[str, Any] = {one["kind"]: one for one in yaml.safe_load_all(recipe.file("pkgd.k8s.yaml"))}
    yield Case("manifests name each other rightly", partial(_fits, kinds))
    with ExitStack() as stack:
        stack.enter_context(village.state())
        make_users(village)
        stack.enter_context(internet(village, "kubernetes"))
        configuration = kinds["ConfigMap"]["data"]["pkgd.yaml"].replace("tcp:8443", "tcp:443")
        for mounted in ("/etc/pkgd-tls", "/etc/pkgd-users"):
            configuration = configuration.replace(mounted, "/etc/pkgd")
        server = stack.enter_context(serving(village, configuration))
        node_files = {CONTAINERD: client_files(Recipe.read("public-mirror"))[CONTAINERD], HOSTS: recipe.files(HOSTS)[0]}
        stack.enter_context(village.installed(node_files))
        node = stack.enter_context(containerd_node(village, "kubernetes"))
        yield Case("the probes are answered without a login", partial(_probes, kinds, server))
        yield Case("a node pulls without a pull secret", partial(pull_by_cri, node, ALPINE, PAUSE))


def _fits(kinds: dict[str, Any]) -> None:
    spec = kinds["Deployment"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    expect("volumes", {one["name"] for one in spec["volumes"]}, set(mounts))
    configuration = yaml.safe_load(kinds["ConfigMap"]["data"]["pkgd.yaml"])
    (port,) = container["ports"]
    expect("the port", configuration["server"]["listen"], [f"tcp:{port['containerPort']}"])
    expect("the state", configuration["state_dir"], mounts["state"])
    for file in (*configuration["server"]["tls"].values(), configuration["auth"]["basic_htpasswd_file"]):
        expect(f"{file} is mounted", file.rpartition("/")[0] in mounts.values(), True)
    labels = kinds["Deployment"]["spec"]["template"]["metadata"]["labels"]
    expect("the service's pods", kinds["Service"]["spec"]["selector"], labels)
    stop = configuration["server"]["shutdown"]
    seconds = sum(int(one.removesuffix("s")) for one in stop.values())
    expect("time to drain", seconds < spec["terminationGracePeriodSeconds"], True)


def _probes(kinds: dict[str, Any], server: Server) -> None:
    (container,) = kinds["Deployment"]["spec"]["template"]["spec"]["containers"]
    for probe in ("livenessProbe", "readinessProbe"):
        path = container[probe]["httpGet"]["path"]
        expect(f"{probe} {path}", get(server.url + path)[0], 200)
