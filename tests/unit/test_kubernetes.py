"""Would Kubernetes accept what is written in deploy/kubernetes, and does it say what our processes understand?"""

from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
import yaml
from prometheus_client import CollectorRegistry
from tests.compose import compose_file
from tests.rooms import ROOT
from typer.main import get_command

from spendgauge.deploy.cli import create_cli
from spendgauge.producers.gateway.settings import GatewaySettings
from spendgauge.schemas.monitor import ALIVE_SECONDS, Vitals, answer
from spendgauge.sinks.settings import SinkSettings
from spendgauge.streams.judging import Configuration
from spendgauge.streams.settings import WorkerSettings
from spendgauge.streams.watching.bench import Bench
from spendgauge.streams.watching.judges import make_judges

_FOLDER = ROOT / "deploy" / "kubernetes"
_VERSION = "1.34"


def _manifests() -> dict[str, dict[str, Any]]:
    """Read all manifests, by kind and name."""
    found = [
        one for path in sorted(_FOLDER.glob("*.yaml")) for one in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in found}


MANIFESTS = _manifests()
DEPLOYMENTS = tuple(f"Deployment/spendgauge-{name}" for name in ("notifier", "sink", "watcher", "worker"))
GATEWAY = "StatefulSet/spendgauge-gateway"


def _pod(name: str) -> dict[str, Any]:
    return dict(MANIFESTS[name]["spec"]["template"]["spec"])


def _containers() -> Iterator[dict[str, Any]]:
    for name, manifest in MANIFESTS.items():
        if "template" in manifest.get("spec", {}):
            yield from _pod(name)["containers"]


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_have_known_fields_only(name: str) -> None:
    """Each manifest keeps Kubernetes' own schema, in which a misspelt field is an error."""
    kubernetes_validate.validate(MANIFESTS[name], _VERSION, strict=True)


def test_the_schema_would_notice() -> None:
    """The schema is not a rubber stamp: a field that Kubernetes would ignore in silence is an error."""
    spoiled = {**MANIFESTS[DEPLOYMENTS[0]], "spec": {**MANIFESTS[DEPLOYMENTS[0]]["spec"], "minReadySecond": 10}}
    with pytest.raises(kubernetes_validate.ValidationError, match="minReadySecond"):
        kubernetes_validate.validate(spoiled, _VERSION, strict=True)


def test_settings_are_ours() -> None:
    """Every variable in the settings is one that a worker or a sink reads, with a value that both accept."""
    settings = MANIFESTS["ConfigMap/spendgauge"]["data"]
    known = {f"SPENDGAUGE_{name.upper()}" for kind in (WorkerSettings, SinkSettings) for name in kind.model_fields}
    assert set(settings) <= known
    assert WorkerSettings.from_environment(settings).partitions == 12
    assert SinkSettings.from_environment(settings).kafka == "kafka:9092"


def test_containers_run_commands_that_there_are() -> None:
    """Each container runs the image that Compose builds, with a command of ours, and what it is told."""
    commands = get_command(create_cli()).commands  # type: ignore[attr-defined]  # Typer's group, which click types elsewhere
    for container in _containers():
        assert container["image"] == compose_file()["services"]["worker"]["image"]
        assert container["args"][0] in commands
        assert container["envFrom"] == [{"configMapRef": {"name": "spendgauge"}}, {"secretRef": {"name": "spendgauge"}}]
    assert len(list(_containers())) == 7


def test_a_watcher_can_use_its_files() -> None:
    """What it is told to read lies where it is mounted, and all judges can use it."""
    (container,) = _pod("Deployment/spendgauge-watcher")["containers"]
    files = MANIFESTS["ConfigMap/spendgauge-alerts"]["data"]
    asked = [variable["value"] for variable in container["env"]]
    (mount,) = (mount for mount in container["volumeMounts"] if mount["name"] == "files")
    assert asked == [f"{mount['mountPath']}/{name}" for name in files]
    Bench(make_judges(), Configuration(files["budgets.toml"], files["rules.toml"]))


@pytest.mark.parametrize("name", [*DEPLOYMENTS, GATEWAY])
def test_probes_ask_what_is_answered(name: str) -> None:
    """Liveness asks /healthz and readiness /readyz, on the port that the image listens on, and not too impatiently."""
    (container,) = _pod(name)["containers"]
    (port,) = (port for port in container["ports"] if port["name"] == "monitor")
    assert f"SPENDGAUGE_MONITOR_PORT={port['containerPort']}" in (ROOT / "deploy" / "Dockerfile").read_text(
        encoding="utf-8"
    )
    assert MANIFESTS[name]["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] == str(
        port["containerPort"]
    )
    asked = {probe: container[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {probe: get["path"] for probe, get in asked.items()} == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }
    assert {get["port"] for get in asked.values()} == {port["name"]}
    assert container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"] > ALIVE_SECONDS


def test_probes_paths_are_served() -> None:
    """The paths of the probes and the scrape are none that end in 404."""
    vitals = Vitals(registry=CollectorRegistry(), silent_seconds=float, obstacles=tuple)
    assert {path: answer(path, vitals).status for path in ("/healthz", "/readyz", "/metrics")} == dict.fromkeys(
        ("/healthz", "/readyz", "/metrics"), 200
    )


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_one_pod_goes_at_a_time_and_has_time(name: str) -> None:
    """A roll and a drained node take one pod at a time, and a pod is not killed before it would end itself."""
    spec = MANIFESTS[name]["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 0}
    assert spec["minReadySeconds"] >= 10
    assert _pod(name)["terminationGracePeriodSeconds"] > 25
    budget = MANIFESTS[name.replace("Deployment", "PodDisruptionBudget")]["spec"]
    assert budget == {"maxUnavailable": 1, "selector": spec["selector"]}
    assert spec["template"]["metadata"]["labels"] == spec["selector"]["matchLabels"]


def test_a_gateway_keeps_its_spool_and_has_keys() -> None:
    """What it answered for is on a disk of its own; it is told its keys, and its service leads to its port."""
    (container,) = _pod(GATEWAY)["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    options = dict(zip(container["args"][1::2], container["args"][2::2], strict=True))
    assert [claim["metadata"]["name"] for claim in MANIFESTS[GATEWAY]["spec"]["volumeClaimTemplates"]] == ["spool"]
    assert options["--spool"].startswith(f"{mounts['spool']}/")
    assert options["--keys"].startswith(f"{mounts['keys']}/")
    service = MANIFESTS["Service/spendgauge-gateway"]["spec"]
    assert service["selector"] == MANIFESTS[GATEWAY]["spec"]["selector"]["matchLabels"]
    assert {port["name"]: port["containerPort"] for port in container["ports"]}[service["ports"][0]["targetPort"]] == (
        GatewaySettings.model_fields["gateway_port"].default
    )
    budget = MANIFESTS["PodDisruptionBudget/spendgauge-gateway"]["spec"]
    assert budget == {"maxUnavailable": 1, "selector": MANIFESTS[GATEWAY]["spec"]["selector"]}


def test_containers_can_do_little() -> None:
    """No container runs as root, gains rights or writes to its image; memory is limited, processor time is not."""
    for name in MANIFESTS:
        if "template" in MANIFESTS[name].get("spec", {}):
            assert _pod(name)["securityContext"]["runAsNonRoot"] is True
            assert _pod(name)["securityContext"]["runAsUser"] == 10001
    for container in _containers():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]["limits"]) == {"memory"}
