"""What is deployed is valid, and would start: containers find settings in their environment that are settings."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from perdure.infra import layers
from perdure.infra.settings import Settings
from perdure.kernel.membership import Role

INFRA = Path(__file__).parents[4] / "infra"
CHART = INFRA / "helm" / "perdure"
KUBERNETES = "1.33"
#: By what they are for, values of the chart.
VALUES = {
    "production": [
        "--set",
        "databases.addresses.one=postgresql://p@db1/p,databases.addresses.two=postgresql://p@db2/p",
    ],
    "one-box": ["--values", str(CHART / "values-one-box.yaml")],
    "everything": [
        *("--set", "bundled.postgres.enabled=true,bundled.redis.enabled=true"),
        *("--set", "internalTls.existingSecret=tls"),
    ],
    "production with tenants": [
        *("--set", "databases.existingSecret=databases,tenants.enabled=true,tenants.existingSecret=control-plane"),
        *("--set", "tls.existingSecret=client-tls,tenants.addresses.apiKeys=cloud.example.com:7233"),
    ],
    "one-box with tenants": [
        *("--values", str(CHART / "values-one-box.yaml")),
        *("--set", "tenants.enabled=true,tenants.sealingKeys=key,tls.existingSecret=client-tls"),
    ],
}


def rendered(values: list[str]) -> list[dict[str, Any]]:
    helm = shutil.which("helm")
    if helm is None:
        pytest.skip("there is no helm for this platform in the lock")
    command = [helm, "template", "perdure", str(CHART), *values]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return [document for document in yaml.safe_load_all(result.stdout) if document]


def started(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], file: Path | None = None) -> Settings:
    """The settings of a process with this environment and file."""
    with monkeypatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return layers.load(file, {}).settings


@pytest.mark.parametrize("values", VALUES)
def test_the_chart_renders_to_what_kubernetes_accepts(values: str) -> None:
    documents = rendered(VALUES[values])
    assert documents
    for document in documents:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


@pytest.mark.parametrize("values", VALUES)
def test_the_processes_of_the_chart_find_their_settings(
    values: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    documents = rendered(VALUES[values])
    of_kind = {kind: [each for each in documents if each["kind"] == kind] for kind in ("Deployment", "ConfigMap")}
    secrets = {each["metadata"]["name"]: each["stringData"] for each in documents if each["kind"] == "Secret"}
    # Those that are there already.
    secrets |= {"databases": {"databases": '{"one": "postgresql://p@db1/p"}'}}
    secrets |= {"control-plane": {"database": "postgresql://p@db1/control_plane"}}
    file = tmp_path / "perdure.toml"
    (text,) = (each["data"]["perdure.toml"] for each in of_kind["ConfigMap"] if "perdure.toml" in each["data"])
    file.write_text(text)
    roles = []
    for deployment in of_kind["Deployment"]:
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        if container["name"] != "perdure":
            continue
        environment = {each["name"]: each.get("value", "") for each in container["env"]}
        for each in container["env"]:
            if source := each.get("valueFrom", {}).get("secretKeyRef"):
                environment[each["name"]] = secrets[source["name"]][source["key"]]
        environment = {name: value.replace("$(POD_IP)", "10.0.0.1") for name, value in environment.items()}
        settings = started(monkeypatch, {key: value for key, value in environment.items() if key != "POD_IP"}, file)
        roles += settings.roles
        assert settings.databases
        assert settings.listen.advertise == "10.0.0.1:7234"
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        listen = settings.listen
        expected = {"grpc": listen.grpc_port, "internal": listen.internal_port, "http": listen.http_port}
        if Role.GATEWAY in settings.roles:
            expected["api"] = listen.api_port
        if "tenants" in values and Role.GATEWAY in settings.roles:
            expected["mtls"] = listen.mtls_port
        if Role.CONTROL_PLANE in settings.roles:
            expected["web"] = listen.web_port
        assert ports == expected
        assert (settings.control_plane.database is not None) is ("tenants" in values)
        mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
        files = [settings.tls.certificate, settings.tls.key, settings.internal_tls.key]
        files += [settings.control_plane.sealing_keys] * (Role.CONTROL_PLANE in settings.roles)
        for each in files:
            assert each is None or str(each.parent) in mounted
    wanted = ["control-plane"] * ("tenants" in values) + ["gateway", "history", "matching"]
    assert sorted(roles) == wanted


@pytest.mark.parametrize("values", VALUES)
def test_services_of_the_chart_lead_to_ports_of_pods(values: str) -> None:
    documents = rendered(VALUES[values])
    pods = [each["spec"]["template"] for each in documents if each["kind"] in ("Deployment", "StatefulSet")]
    for service in (each for each in documents if each["kind"] == "Service"):
        selector = service["spec"]["selector"].items()
        found = [pod for pod in pods if selector <= pod["metadata"]["labels"].items()]
        assert found
        for pod in found:
            (container,) = pod["spec"]["containers"]
            names = {port["name"] for port in container["ports"]}
            targets = {port.get("targetPort", port["name"]) for port in service["spec"]["ports"]}
            # The one for Postgres and for Redis names no target.
            assert {target for target in targets if isinstance(target, str)} <= names
            assert "tenants" not in values or "http" not in targets, "it names all tenants"


def test_a_chart_without_databases_says_what_is_missing() -> None:
    helm = shutil.which("helm")
    if helm is None:
        pytest.skip("there is no helm for this platform in the lock")
    result = subprocess.run([helm, "template", "perdure", str(CHART)], capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "databases.addresses or databases.existingSecret is needed" in result.stderr


def test_the_processes_of_the_compose_file_find_their_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    compose = yaml.safe_load((INFRA / "compose" / "compose.yaml").read_text())
    services = compose["services"]
    counts: dict[str, int] = {}
    for name, service in services.items():
        if "PERDURE_ROLES" not in service.get("environment", {}):
            continue
        settings = started(monkeypatch, service["environment"])
        (role,) = settings.roles
        counts[role] = counts.get(role, 0) + 1
        assert settings.listen.advertise == f"{name}:{settings.listen.internal_port}"
        hosts = [dsn.rpartition("@")[2].partition("/")[0] for dsn in settings.databases.values()]
        assert set(hosts) <= services.keys()
        assert settings.redis.url is not None and "redis" in services
    assert counts == {"gateway": 2, "history": 2, "matching": 2}


def test_with_tenants_the_processes_of_the_compose_files_find_their_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    services = with_tenants()["services"]
    counts: dict[str, int] = {}
    for name, service in services.items():
        if "PERDURE_ROLES" not in service.get("environment", {}):
            continue
        settings = started(monkeypatch, service["environment"])
        (role,) = settings.roles
        counts[role] = counts.get(role, 0) + 1
        assert settings.listen.advertise == f"{name}:{settings.listen.internal_port}"
        if role in ("gateway", "control-plane"):
            assert settings.control_plane.database is not None
            assert settings.control_plane.database.rpartition("@")[2].partition("/")[0] in services
            assert settings.tls.certificate is not None
            mounted = [volume.split(":")[1] for volume in service["volumes"]]
            assert str(settings.tls.certificate.parent) in mounted
            assert service["depends_on"]["certificate"]["condition"] == "service_completed_successfully"
        if role == "control-plane":
            assert any(port.endswith(f":{settings.listen.web_port}") for port in service["ports"])
        if role == "gateway":
            assert any(port.endswith(f":{settings.listen.mtls_port}") for port in service["ports"])
    assert counts == {"gateway": 2, "history": 2, "matching": 2, "control-plane": 2}
    published = [port.rpartition(":")[0] for service in services.values() for port in service.get("ports", [])]
    assert len(published) == len(set(published))


def with_tenants() -> dict[str, Any]:
    """The two files as they are put together: tables are, lists too, and of anything else the second counts."""
    first, second = (
        yaml.safe_load((INFRA / "compose" / name).read_text()) for name in ("compose.yaml", "tenants.yaml")
    )
    merged: dict[str, Any] = _merged(first, second)
    return merged


def _merged(first: Any, second: Any) -> Any:
    if isinstance(first, dict) and isinstance(second, dict):
        both = first.keys() & second.keys()
        return {**first, **second, **{key: _merged(first[key], second[key]) for key in both}}
    return [*first, *second] if isinstance(first, list) and isinstance(second, list) else second


def test_what_the_compose_files_name_is_there() -> None:
    compose = with_tenants()
    for service in compose["services"].values():
        assert set(service.get("depends_on", {})) <= compose["services"].keys()
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (INFRA / "compose" / source).exists(), source
            else:
                assert source in compose["volumes"]
        if "build" in service:
            context = INFRA / "compose" / service["build"]["context"]
            assert (context / service["build"]["dockerfile"]).is_file()


def test_the_image_is_made_of_what_there_is() -> None:
    root = INFRA.parent
    copied = [
        word
        for line in (INFRA / "container" / "Containerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    assert all((root / name).exists() for name in copied)
    packages = {path.parent.name for path in root.glob("*/perdure") if path.is_dir()} - {"tests"}
    assert packages <= set(copied), "every source root is in the image"


def test_values_are_json_with_the_directory_first() -> None:
    (secret,) = (each for each in rendered(VALUES["production"]) if each["kind"] == "Secret")
    assert list(json.loads(secret["stringData"]["databases"])) == ["one", "two"]
