"""Would Compose and the image build accept what is written? Checked without a container engine."""

import fnmatch
import json
import re
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.compose import compose_file
from tests.rooms import ROOMS, ROOT

OURS = ("topics", "migrate", "worker", "watcher", "notifier", "sink", "gateway")
SERVERS = ("kafka", "clickhouse")

services: dict[str, dict[str, Any]] = compose_file()["services"]


def _specification() -> Any:
    """Make a validator of the Compose specification, which check-jsonschema ships with its licence."""
    vendored = "check_jsonschema/builtin_schemas/vendor/compose-spec.json"
    # Read, not imported: that package's own command line needs a newer click than Faust allows.
    schema = json.loads(Path(str(distribution("check-jsonschema").locate_file(vendored))).read_text(encoding="utf-8"))
    return jsonschema.validators.validator_for(schema)(schema)


def _dockerfile() -> list[tuple[str, str]]:
    """List the Dockerfile's instructions, continuation lines joined."""
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", text)).splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line.strip())]


def test_the_file_keeps_the_compose_specification() -> None:
    """The Compose specification's own JSON schema accepts the file, with and without variables set."""
    validator = _specification()
    assert list(validator.iter_errors(compose_file())) == []
    assert list(validator.iter_errors(compose_file({"CLICKHOUSE_PASSWORD": "open%20sesame"}))) == []


def test_the_schema_would_notice() -> None:
    """The schema is not a rubber stamp: a misspelt key and a wrong condition are errors."""
    validator = _specification()
    assert not validator.is_valid({"services": {"a": {"image": "b", "comand": ["c"]}}})
    assert not validator.is_valid({"services": {"a": {"image": "b", "depends_on": {"c": {"condition": "soon"}}}}})


@pytest.mark.parametrize("name", services)
def test_a_service_names_only_what_exists(name: str) -> None:
    """Every dependency is a service, every named volume is declared; a folder of yours is only read."""
    service = services[name]
    assert set(service.get("depends_on", {})) <= set(services)
    volumes = {volume.partition(":")[0] for volume in service.get("volumes", ())}
    folders = {volume for volume in volumes if volume.startswith("./")}
    assert volumes - folders <= set(compose_file()["volumes"])
    assert all(volume.endswith(":ro") for volume in service.get("volumes", ()) if volume.startswith("./"))


@pytest.mark.parametrize("name", services)
def test_a_service_waits_for_what_it_needs(name: str) -> None:
    """A job is waited for until it has succeeded, a server until it is healthy; nothing waits for a mere start."""
    for needed, how in services[name].get("depends_on", {}).items():
        job = services[needed]["restart"] == "on-failure"
        assert how["condition"] == ("service_completed_successfully" if job else "service_healthy")
        assert job or "healthcheck" in services[needed]


@pytest.mark.parametrize("name", [name for name in services if services[name]["restart"] != "on-failure"])
def test_what_runs_for_long_is_watched(name: str) -> None:
    """A long-running service has a health check, comes back after a crash and has time to stop in order."""
    service = services[name]
    assert service["restart"] == "unless-stopped"
    assert set(service["healthcheck"]) >= {"test", "start_period", "interval", "timeout", "retries"}
    assert "stop_grace_period" in service


def test_workers_scale() -> None:
    """``--scale worker=N`` works: no fixed container name and no published port that two workers would fight over."""
    assert not {"container_name", "ports", "volumes"} & set(services["worker"])


@pytest.mark.parametrize("name", services)
def test_images_are_pinned(name: str) -> None:
    """An image names its version, at least major and minor."""
    assert re.fullmatch(r"[\w./-]+:\d+\.\d+(\.\d+)*", services[name]["image"])


def test_the_database_is_the_one_that_was_tested() -> None:
    """ClickHouse in the file has the version of the embedded engine that the tests run on."""
    assert services["clickhouse"]["image"].partition(":")[2] == ".".join(version("chdb-core").split(".")[:2])


def test_nothing_is_open_to_the_network() -> None:
    """Ports are published on the loopback address only."""
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_no_secret_is_written_down() -> None:
    """Passwords come from the environment: where none is set, there is none."""
    plain = compose_file()
    told = compose_file({"CLICKHOUSE_PASSWORD": "sesame"})
    assert "sesame" in told["services"]["sink"]["environment"]["SPENDGAUGE_CLICKHOUSE"]
    assert plain["services"]["clickhouse"]["environment"]["CLICKHOUSE_PASSWORD"] == ""
    secret = re.compile(r"PASSWORD|SECRET|TOKEN|CREDENTIAL|API_?KEY")
    values = [item for service in plain["services"].values() for item in service["environment"].items()]
    assert [(name, value) for name, value in values if secret.search(name) and value] == []


@pytest.mark.parametrize("name", OURS)
def test_our_containers_can_do_little(name: str) -> None:
    """Our own services run without privileges, on a read-only file system, and reap what they start."""
    service = services[name]
    assert service["read_only"] is True
    assert service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_kafka_tells_each_side_an_address_it_can_reach() -> None:
    """Services are told the service's name, programs on this machine the published port."""
    kafka = services["kafka"]
    told = dict(item.split("://") for item in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(","))
    heard = dict(item.split("://") for item in kafka["environment"]["KAFKA_LISTENERS"].split(","))
    (published,) = kafka["ports"]
    host, inside = published.rsplit(":", 1)
    assert told["HOST"] == host
    assert heard["HOST"] == f":{inside}"
    assert told["INSIDE"] == services["worker"]["environment"]["SPENDGAUGE_KAFKA"]
    assert told["INSIDE"].partition(":")[0] == kafka["hostname"]


def test_servers_keep_their_data_in_volumes() -> None:
    """A new container finds the old data: each server's data folder is a named volume."""
    for name in SERVERS:
        assert len(services[name]["volumes"]) == 1
    folder = services["kafka"]["volumes"][0].partition(":")[2]
    assert services["kafka"]["environment"]["KAFKA_LOG_DIRS"].startswith(folder)


def test_the_gateway_keeps_what_it_answered_for() -> None:
    """Spool and keys are in a volume, whose folder belongs to the user of the image; it starts on demand, with keys."""
    gateway = services["gateway"]
    (volume,) = gateway["volumes"]
    folder = volume.partition(":")[2]
    assert gateway["command"][-1].startswith(f"{folder}/")
    assert gateway["environment"]["SPENDGAUGE_GATEWAY_KEYS"].startswith(f"{folder}/")
    assert "--open" not in gateway["command"]
    assert gateway["profiles"] == ["gateway"]
    made = next(rest for word, rest in _dockerfile() if word == "RUN" and "useradd" in rest)
    assert made.endswith(f"install --directory --owner=10001 --group=10001 {folder}")


def test_the_image_is_pinned_and_not_root() -> None:
    """Every base image names its version to the patch, and the last stage leaves root behind."""
    instructions = _dockerfile()
    bases = [rest.split()[0] for word, rest in instructions if word == "FROM"]
    assert [base for base in bases if not re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base)] == []
    users = [rest for word, rest in instructions if word == "USER"]
    assert users[-1] == "10001:10001"
    assert instructions[-2:] == [("ENTRYPOINT", '["spendgauge"]'), ("CMD", '["--help"]')]


def test_the_image_has_tested_versions_only() -> None:
    """Whatever pip resolves in the image, it resolves under constraints.txt."""
    installs = [step for word, rest in _dockerfile() if word == "RUN" for step in rest.split("&&") if "install" in step]
    resolving = [step for step in installs if "pip install" in step and "--no-deps" not in step]
    assert len(resolving) == 2
    assert [step for step in resolving if "--constraint constraints.txt" not in step] == []


def test_the_image_gets_every_room_and_nothing_else() -> None:
    """What the Dockerfile copies exists, passes .dockerignore, and holds every room."""
    copied = [
        name
        for word, rest in _dockerfile()
        if word == "COPY" and not rest.startswith("--from")
        for name in rest.split()[:-1]
    ]
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    assert rules[1] == "*"
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert set(copied) == let_in
    assert set(ROOMS) <= set(copied)
    assert any(fnmatch.fnmatch("schemas/spendgauge/__pycache__", rule) for rule in rules)
