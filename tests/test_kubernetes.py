"""The manifests of deploy/kubernetes, against the schemas that Kubernetes publishes."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
from typing import Any

import jsonpatch
import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.prometheus_operator.v1 import PrometheusRule, ServiceMonitor

from app.settings import PREFIX, Settings
from tests.live import ROOT

BASE = ROOT / "deploy/kubernetes/base"
GPU = ROOT / "deploy/kubernetes/gpu"
LABEL = {"app.kubernetes.io/name": "cxr-inference"}


def read(path: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def manifests() -> dict[str, dict[str, Any]]:
    """Those that kustomize would apply, by kind."""
    files = [read(BASE / name) for name in read(BASE / "kustomization.yaml")["resources"]]
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
EACH = [(name, kind) for name, found in SETS.items() for kind in found if kind not in OPERATORS]
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
    manifest = SETS["base"][kind]
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
    assert SETS["base"]["PrometheusRule"]["spec"] == rules


def test_its_job_has_the_name_that_the_rules_ask_for() -> None:
    label = SETS["base"]["ServiceMonitor"]["spec"]["jobLabel"]
    (job,) = read(ROOT / "deploy/prometheus/prometheus.yml")["scrape_configs"]
    assert SETS["base"]["Service"]["metadata"]["labels"][label] == job["job_name"]


def test_what_stands_in_comments_for_those_with_keys_and_traces_is_taken_too() -> None:
    monitor = uncommented("monitor.yaml")
    assert read_back(monitor) == monitor
    (endpoint,) = monitor["spec"]["endpoints"]
    assert set(endpoint["authorization"]) == {"credentials"}, "its type is Bearer if not said"
    assert set(endpoint["authorization"]["credentials"]) == {"name", "key"}
    policy = uncommented("network.yaml")
    kubernetes_validate.validate(policy, kubernetes_validate.latest_version(), strict=True)
    ways_out = [port for rule in policy["spec"]["egress"] for port in rule["ports"]]
    assert ways_out == [
        {"port": 4318},  # OTLP over HTTP, what app.runtime.tracing speaks
        {"port": 53, "protocol": "UDP"},
    ]


def uncommented(name: str) -> dict[str, Any]:
    """The manifest with the fields that it only proposes."""
    text = re.sub(
        r"^( +)# (?=( *- | *\w+:)[^`]*$)", r"\1", (BASE / name).read_text(), flags=re.MULTILINE
    )
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


def test_everything_selects_the_pods_of_the_deployment() -> None:
    found = SETS["base"]
    deployment = found["Deployment"]["spec"]
    assert deployment["template"]["metadata"]["labels"] == LABEL
    assert deployment["selector"]["matchLabels"] == LABEL
    assert found["Service"]["spec"]["selector"] == LABEL
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == LABEL
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == LABEL
    assert found["ServiceMonitor"]["spec"]["selector"]["matchLabels"] == LABEL
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
