"""The manifests of deploy/kubernetes, against the schemas that Kubernetes publishes."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Literal

import jsonpatch
import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.prometheus_operator.v1 import PrometheusRule, ServiceMonitor
from pydantic import BaseModel, Field

from app.settings import PREFIX, Settings
from tests.app.fakes import fake_app
from tests.live import ROOT

BASE = ROOT / "deploy/kubernetes/base"
GPU = ROOT / "deploy/kubernetes/gpu"
OPERATOR = ROOT / "deploy/kubernetes/prometheus-operator"
MONITORED = ROOT / "deploy/kubernetes/monitored"
PACS = ROOT / "deploy/kubernetes/pacs"
KSERVE = ROOT / "deploy/kserve"
LABEL = {"app.kubernetes.io/name": "cxr-inference"}


def read(path: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def manifests(folder: Path = BASE) -> dict[str, dict[str, Any]]:
    """Those that kustomize would apply, by kind."""
    files = [read(folder / name) for name in read(folder / "kustomization.yaml")["resources"]]
    return {manifest["kind"]: manifest for manifest in files}


def gpu_manifests() -> dict[str, dict[str, Any]]:
    """The same, with the JSON patches (RFC 6902) of the GPU's overlay."""
    found = manifests()
    for patch in read(GPU / "kustomization.yaml")["patches"]:
        kind = patch["target"]["kind"]
        assert patch["target"]["name"] == found[kind]["metadata"]["name"]
        found[kind] = jsonpatch.apply_patch(found[kind], yaml.safe_load(patch["patch"]))
    return found


SETS = {"base": manifests(), "gpu": gpu_manifests()}
OPERATORS = {"ServiceMonitor": ServiceMonitor, "PrometheusRule": PrometheusRule}
"""Kinds of the Prometheus Operator's, not of Kubernetes itself."""
MONITORING = manifests(OPERATOR)
EACH = [(name, kind) for name, found in SETS.items() for kind in found]
CONTAINERS = {
    name: found["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    for name, found in SETS.items()
}


def settings_of(name: str) -> dict[str, str]:
    """The variables of ours that a container is given."""
    given = CONTAINERS[name]["env"]
    return {entry["name"]: entry["value"] for entry in given if entry["name"].startswith(PREFIX)}


@pytest.mark.parametrize(("name", "kind"), EACH)
def test_a_manifest_is_valid(name: str, kind: str) -> None:
    version = kubernetes_validate.latest_version()
    kubernetes_validate.validate(SETS[name][kind], version, strict=True)


@pytest.mark.parametrize("kind", OPERATORS)
def test_what_the_prometheus_operator_reads_it_takes(kind: str) -> None:
    manifest = MONITORING[kind]
    assert read_back(manifest) == manifest, "a field that it does not know is dropped"


def read_back(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (
        OPERATORS[manifest["kind"]]
        .model_validate(manifest)
        .model_dump(by_alias=True, exclude_unset=True, mode="json")
    )
    return found


def test_its_rules_are_those_of_prometheus_itself() -> None:
    rules = read(ROOT / "deploy/prometheus/alerts.yml")
    assert MONITORING["PrometheusRule"]["spec"] == rules


def test_its_job_has_the_name_that_the_rules_ask_for() -> None:
    label = MONITORING["ServiceMonitor"]["spec"]["jobLabel"]
    jobs = read(ROOT / "deploy/prometheus/prometheus.yml")["scrape_configs"]
    services = [SETS["base"]["Service"], read(PACS / "service.yaml")]
    names = [service["metadata"]["labels"][label] for service in services]
    assert names == [job["job_name"] for job in jobs]
    (chosen,) = MONITORING["ServiceMonitor"]["spec"]["selector"]["matchExpressions"]
    assert chosen == {"key": label, "operator": "In", "values": names}


def test_what_stands_in_comments_for_those_with_keys_and_traces_is_taken_too() -> None:
    monitor = uncommented(OPERATOR / "monitor.yaml")
    assert read_back(monitor) == monitor
    (endpoint,) = monitor["spec"]["endpoints"]
    assert set(endpoint["authorization"]) == {"credentials"}, "its type is Bearer if not said"
    assert set(endpoint["authorization"]["credentials"]) == {"name", "key"}
    policy = uncommented(BASE / "network.yaml")
    kubernetes_validate.validate(policy, kubernetes_validate.latest_version(), strict=True)
    ways_out = [port for rule in policy["spec"]["egress"] for port in rule["ports"]]
    assert ways_out == [
        {"port": 4318},  # OTLP over HTTP, what app.runtime.tracing speaks
        {"port": 53, "protocol": "UDP"},
    ]


def uncommented(path: Path) -> dict[str, Any]:
    """The manifest with the fields that it only proposes."""
    text = re.sub(r"^( +)# (?=( *- | *\w+:)[^`]*$)", r"\1", path.read_text(), flags=re.MULTILINE)
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@pytest.mark.parametrize("name", SETS)
def test_kustomize_makes_of_them_what_is_looked_at_here(name: str) -> None:
    tool = shutil.which("kubectl")
    if tool is None:  # Debian's is older than these manifests
        pytest.skip("no kubectl")
    command = [tool, "kustomize", {"base": BASE, "gpu": GPU}[name]]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = {manifest["kind"]: manifest for manifest in yaml.safe_load_all(made)}
    (container,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container.pop("image") == f"cxr-inference:{'gpu' if name == 'gpu' else 'cpu'}"
    expected = copy.deepcopy(SETS[name])
    del expected["Deployment"]["spec"]["template"]["spec"]["containers"][0]["image"]
    assert found == expected


def test_a_cluster_without_the_prometheus_operator_takes_all_that_is_applied() -> None:
    kinds = {kind for found in SETS.values() for kind in found}
    assert not kinds & set(OPERATORS)
    assert set(MONITORING) == set(OPERATORS)
    overlay = read(MONITORED / "kustomization.yaml")
    assert overlay["resources"] == ["../base"]
    assert overlay["components"] == ["../prometheus-operator"]
    assert read(OPERATOR / "kustomization.yaml")["kind"] == "Component"


def test_kustomize_adds_what_watches_where_it_is_asked_to() -> None:
    tool = shutil.which("kubectl")
    if tool is None:
        pytest.skip("no kubectl")
    command = [tool, "kustomize", MONITORED]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = {manifest["kind"]: manifest for manifest in yaml.safe_load_all(made)}
    assert set(found) == set(SETS["base"]) | set(OPERATORS)
    assert {kind: found[kind] for kind in OPERATORS} == MONITORING


class Format(BaseModel, extra="forbid"):
    """A model format, as KServe's API reference has it (serving.kserve.io/v1alpha1)."""

    name: str
    version: str | None = None
    autoSelect: bool | None = None  # noqa: N815
    priority: int | None = None


class ServingRuntimeSpec(BaseModel, extra="forbid"):
    """Of KServe's ServingRuntimeSpec, what a runtime of one container has; pods' fields apart."""

    supportedModelFormats: list[Format] = Field(min_length=1)  # noqa: N815
    protocolVersions: list[Literal["v1", "v2", "grpc-v1", "grpc-v2"]]  # noqa: N815
    containers: list[dict[str, Any]] = Field(min_length=1, max_length=1)
    volumes: list[dict[str, Any]] = []


def test_the_runtime_for_kserve_is_one_whose_pod_is_valid_and_shut_in() -> None:
    runtime = read(KSERVE / "runtime.yaml")
    assert (runtime["apiVersion"], runtime["kind"]) == (
        "serving.kserve.io/v1alpha1",
        "ServingRuntime",
    )
    spec = ServingRuntimeSpec.model_validate(runtime["spec"])
    assert spec.protocolVersions == ["v2"]
    # Its pod's fields are those of Kubernetes: held against its schema, in a Deployment.
    pod = {"containers": spec.containers, "volumes": spec.volumes}
    deployment = copy.deepcopy(SETS["base"]["Deployment"])
    deployment["spec"]["template"]["spec"] = pod
    kubernetes_validate.validate(deployment, kubernetes_validate.latest_version(), strict=True)
    (container,) = spec.containers
    assert container["name"] == "kserve-container", "by which KServe knows it"
    probes = {probe: container[probe]["httpGet"] for probe in container if probe.endswith("Probe")}
    paths = fake_app().openapi()["paths"]
    assert {get["path"] for get in probes.values()} <= set(paths)
    (port,) = container["ports"]
    assert {get["port"] for get in probes.values()} == {port["containerPort"]} == {8000}
    assert container["securityContext"] == {
        **CONTAINERS["base"]["securityContext"],
        "runAsNonRoot": True,
        "runAsUser": 10001,
    }


def test_what_kserve_serves_asks_for_that_runtime_and_puts_the_file_where_it_is_read() -> None:
    runtime, service = read(KSERVE / "runtime.yaml"), read(KSERVE / "service.yaml")
    (container,) = runtime["spec"]["containers"]
    settings = {e["name"]: e["value"] for e in container["env"] if e["name"].startswith(PREFIX)}
    known = {PREFIX + field.upper(): field for field in Settings.model_fields}
    given = Settings(**{known[name]: value for name, value in settings.items()})
    assert service["apiVersion"] == "serving.kserve.io/v1beta1"
    model = service["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    (accepted,) = runtime["spec"]["supportedModelFormats"]
    assert model["modelFormat"]["name"] == accepted["name"]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
    assert given.model_path == Path("/mnt/models") / model["storageUri"].rpartition("/")[2]


def test_everything_selects_the_pods_of_the_deployment() -> None:
    found = SETS["base"]
    deployment = found["Deployment"]["spec"]
    assert deployment["template"]["metadata"]["labels"] == LABEL
    assert deployment["selector"]["matchLabels"] == LABEL
    assert found["Service"]["spec"]["selector"] == LABEL
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == LABEL
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == LABEL
    assert found["Service"]["metadata"]["labels"] == LABEL, "which the monitor looks for"
    target = found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert target["name"] == found["Deployment"]["metadata"]["name"]


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_probes_ask_what_they_should(name: str) -> None:
    container = CONTAINERS[name]
    paths = {probe: container[probe]["httpGet"]["path"] for probe in container if "Probe" in probe}
    assert paths == {
        "startupProbe": "/health/ready",
        "readinessProbe": "/health/ready",
        "livenessProbe": "/health/live",
    }
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 60, "a busy CPU takes its time"
    (port,) = container["ports"]
    assert port["containerPort"] == Settings.model_fields["port"].default
    assert {container[probe]["httpGet"]["port"] for probe in paths} == {port["name"]}


@pytest.mark.parametrize("name", SETS)
def test_kubernetes_waits_longer_than_we_drain(name: str) -> None:
    pod = SETS[name]["Deployment"]["spec"]["template"]["spec"]
    given = settings_of(name)
    ours = float(given["CXR_DRAIN_S"]) + float(given["CXR_REQUEST_TIMEOUT_S"])
    assert pod["terminationGracePeriodSeconds"] > ours + 5


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_variable_is_a_setting_and_every_value_allowed(name: str) -> None:
    given = settings_of(name)
    known = {PREFIX + field.upper(): field for field in Settings.model_fields}
    Settings(**{known[variable]: value for variable, value in given.items()})
    assert given["CXR_DEVICE"] == ("gpu" if name == "gpu" else "cpu")
    assert CONTAINERS[name]["resources"]["limits"].get("nvidia.com/gpu") == (
        1 if name == "gpu" else None
    )


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_pod_takes_no_more_of_its_node_than_it_asked_for(name: str) -> None:
    container = CONTAINERS[name]
    (share,) = [entry for entry in container["env"] if entry["name"] == "OMP_NUM_THREADS"]
    assert share["valueFrom"] == {"resourceFieldRef": {"resource": "requests.cpu"}}
    assert container["resources"]["requests"]["cpu"] == "2"


@pytest.mark.parametrize("name", SETS)
def test_a_pod_is_shut_in(name: str) -> None:
    pod = SETS[name]["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == 10001, "as the image has it"
    assert pod["automountServiceAccountToken"] is False
    inside = CONTAINERS[name]["securityContext"]
    assert inside["readOnlyRootFilesystem"]
    assert not inside["allowPrivilegeEscalation"]
    assert inside["capabilities"]["drop"] == ["ALL"]
    assert "memory" in CONTAINERS[name]["resources"]["limits"]
    writable = {volume["mountPath"] for volume in CONTAINERS[name]["volumeMounts"]}
    assert writable == {"/tmp", "/dev/shm"}  # noqa: S108
    policy = SETS[name]["NetworkPolicy"]["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert "egress" not in policy, "it asks nobody"
