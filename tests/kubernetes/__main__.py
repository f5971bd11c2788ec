"""Check every manifest against the schemas of Kubernetes and of the operator, and what they say of each other.

Then what Prometheus is to make of pkgd: see `monitoring`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from pkgd.config import load
from tests.kubernetes import monitoring
from tests.live.tools import run

MANIFESTS = Path(__file__).resolve().parents[2] / "packaging/kubernetes"
# The newest Kubernetes that the checker knows, and the oldest that is still supported.
VALIDATOR, VERSIONS = "kubernetes-validate==1.37.0", ("1.35.0", "1.37.0")
OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
_CRD = "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"


class Wrong(Exception):
    """A manifest is not as it has to be."""


def main() -> int:
    """Run the suite and return its exit status."""
    scratch = Path(tempfile.mkdtemp(prefix="pkgd-kubernetes-"))
    good = bad = 0
    try:
        for name, trial in _cases(scratch):
            try:
                trial()
            except Exception as error:  # whatever it is, it is this case's failure and no other's
                bad += 1
                print(f"FAIL {name}\n     | {type(error).__name__}: {error}", flush=True)
            else:
                good += 1
                print(f"ok   {name}", flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{good} passed, {bad} failed")
    return 1 if bad or not good else 0


def _cases(scratch: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    documents = list(yaml.safe_load_all((MANIFESTS / "pkgd.yaml").read_text()))
    monitor = yaml.safe_load((MANIFESTS / "servicemonitor.yaml").read_text())
    environment = scratch / "venv"
    venv.create(environment, with_pip=True)
    run(str(environment / "bin/pip"), "install", "--quiet", VALIDATOR, timeout=300)

    def check(document: dict[str, Any], version: str) -> None:
        path = scratch / "one.yaml"
        path.write_text(yaml.safe_dump(document))
        run(str(environment / "bin/kubernetes-validate"), "--strict", "-k", version, str(path))

    for document in documents:
        for version in VERSIONS:
            yield f"{document['kind']} {version}", lambda one=document, at=version: check(one, at)  # type: ignore[misc]
    yield "a mistake is noticed", lambda: _refused(lambda: check({**documents[1], "dta": {}}, VERSIONS[-1]))
    yield "ServiceMonitor", lambda: _fits(monitor, _monitor_schema(), "")
    yield "a mistake is noticed there, too", lambda: _refused(lambda: _fits({"speck": {}}, _monitor_schema(), ""))
    by_kind = {one["kind"]: one for one in documents}
    yield "the configuration can be used", lambda: _configuration(by_kind, scratch)
    yield "they fit together", lambda: _together(by_kind, monitor)
    yield "nothing more is allowed than is needed", lambda: _hardened(by_kind["Deployment"]["spec"]["template"]["spec"])
    yield from monitoring.cases(scratch)


def _refused(check: Callable[[], None]) -> None:
    try:
        check()
    except Exception:
        return
    raise Wrong("it was not refused")


def _monitor_schema() -> dict[str, Any]:
    found = subprocess.run(["go", "mod", "download", "-json", OPERATOR], check=True, capture_output=True, text=True)
    crd = yaml.safe_load((Path(json.loads(found.stdout)["Dir"]) / _CRD).read_text())
    schema: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def _fits(value: Any, schema: dict[str, Any], path: str) -> None:
    """Kinds, required fields, and no field that the operator would drop without a word."""
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    kind = kinds.get(schema.get("type", ""))
    if kind is not None and not isinstance(value, kind):
        raise Wrong(f"{path or '.'} is no {schema['type']}")
    if isinstance(value, dict):
        known = schema.get("properties")
        missing = set(schema.get("required", ())) - set(value)
        unknown = set(value) - set(known) if known is not None else set()
        if missing or unknown:
            raise Wrong(f"{path or '.'} lacks {sorted(missing)}, and has {sorted(unknown)}")
        for name, one in value.items():
            below = (known or {}).get(name, schema.get("additionalProperties") or {})
            _fits(one, below if isinstance(below, dict) else {}, f"{path}.{name}")
    elif isinstance(value, list):
        for one in value:
            _fits(one, schema.get("items", {}), f"{path}[]")
    elif schema.get("enum") and value not in schema["enum"]:
        raise Wrong(f"{path} is none of {schema['enum']}")


def _configuration(by_kind: dict[str, Any], scratch: Path) -> None:
    path = scratch / "pkgd.yaml"
    path.write_text(by_kind["ConfigMap"]["data"]["pkgd.yaml"])
    config = load(str(path), {})
    pod = by_kind["Deployment"]["spec"]["template"]["spec"]
    shutdown = config.server.shutdown
    _expect(pod["terminationGracePeriodSeconds"] > shutdown.delay + shutdown.drain, "the grace period is too short")
    port = pod["containers"][0]["ports"][0]["containerPort"]
    _expect(config.server.listen == (f"tcp:{port}",) or list(config.server.listen) == [f"tcp:{port}"], "another port")
    mounts = [one["mountPath"] for one in pod["containers"][0]["volumeMounts"]]
    named = [str(config.state_dir), str(config.server.tls.certificate), str(config.auth.basic_htpasswd_file)]
    for one in named:
        _expect(any(one == mount or one.startswith(f"{mount}/") for mount in mounts), f"{one} is nowhere mounted")


def _together(by_kind: dict[str, Any], monitor: dict[str, Any]) -> None:
    deployment, service = by_kind["Deployment"], by_kind["Service"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        by_kind["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        monitor["spec"]["selector"]["matchLabels"],
    ]
    _expect(all(one == labels for one in selectors), "a selector finds nothing")
    _expect(service["metadata"]["labels"] == labels, "the monitor finds no service")
    pod = deployment["spec"]["template"]["spec"]
    volumes = {one["name"] for one in pod["volumes"]}
    _expect({one["name"] for one in pod["containers"][0]["volumeMounts"]} == volumes, "volumes and mounts differ")
    ports = {one["name"] for one in pod["containers"][0]["ports"]}
    _expect({one["targetPort"] for one in service["spec"]["ports"]} <= ports, "the service's port leads nowhere")
    names = {one["name"] for one in service["spec"]["ports"]}
    _expect({one["port"] for one in monitor["spec"]["endpoints"]} <= names, "the monitor's port leads nowhere")
    _expect(deployment["spec"]["strategy"] == {"type": "Recreate"}, "two at the same time on one volume")


def _hardened(pod: dict[str, Any]) -> None:
    context, container = pod["securityContext"], pod["containers"][0]["securityContext"]
    _expect(context["runAsNonRoot"] and context["fsGroup"] == context["runAsUser"] == 65532, "another user")
    _expect(context["seccompProfile"] == {"type": "RuntimeDefault"}, "no seccomp profile")
    _expect(container["capabilities"] == {"drop": ["ALL"]}, "capabilities")
    _expect(container["readOnlyRootFilesystem"] and not container["allowPrivilegeEscalation"], "a writable root")
    _expect(pod["automountServiceAccountToken"] is False, "a token that nobody needs")


def _expect(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise Wrong(otherwise)


if __name__ == "__main__":
    sys.exit(main())
