"""The manifest of deploy/ray: what Ray Serve and Kubernetes themselves say of its parts."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import kubernetes_validate
import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from app.cluster import Scale
from app.settings import PREFIX, Settings
from tests.live import ROOT

SPEC: dict[str, Any] = yaml.safe_load((ROOT / "deploy/ray/serve.yaml").read_text())["spec"]
CLUSTER = SPEC["rayClusterConfig"]
(WORKERS,) = CLUSTER["workerGroupSpecs"]
GROUPS = {"head": CLUSTER["headGroupSpec"], "replicas": WORKERS}
PODS = {name: group["template"] for name, group in GROUPS.items()}


def container(name: str) -> dict[str, Any]:
    (found,) = PODS[name]["spec"]["containers"]
    return dict(found)


def variables(name: str) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container(name)["env"]}


def scale() -> Scale:
    (application,) = yaml.safe_load(SPEC["serveConfigV2"])["applications"]
    return Scale.model_validate(application["args"])


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_valid(name: str) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", **PODS[name]}
    pod["metadata"] = {**pod["metadata"], "name": name}
    kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


def test_ray_serve_takes_its_part() -> None:
    config = ServeDeploySchema.model_validate(yaml.safe_load(SPEC["serveConfigV2"]))
    assert [application.route_prefix for application in config.applications] == ["/"]
    assert config.http_options.host == "0.0.0.0", "or no other pod could ask"  # noqa: S104


def test_the_ray_that_is_named_is_the_one_that_is_installed() -> None:
    assert CLUSTER["rayVersion"] == version("ray")


@pytest.mark.parametrize("name", PODS)
def test_every_variable_is_a_setting_and_every_value_allowed(name: str) -> None:
    known = {PREFIX + field.upper(): field for field in Settings.model_fields}
    given = {key: value for key, value in variables(name).items() if key.startswith(PREFIX)}
    Settings(**{known[key]: value for key, value in given.items()})


@pytest.mark.parametrize("name", PODS)
def test_no_upload_reaches_a_disk(name: str) -> None:
    assert variables(name)["RAY_automatic_object_spilling_enabled"] == "0"
    for volume in PODS[name]["spec"]["volumes"]:
        assert volume["emptyDir"]["medium"] == "Memory"
    assert container(name)["securityContext"]["readOnlyRootFilesystem"]


@pytest.mark.parametrize("name", PODS)
def test_nothing_is_told_to_anybody(name: str) -> None:
    assert variables(name)["RAY_USAGE_STATS_ENABLED"] == "0"


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_given_longer_than_the_longest_request(name: str) -> None:
    longest = float(variables(name)["CXR_REQUEST_TIMEOUT_S"])
    assert PODS[name]["spec"]["terminationGracePeriodSeconds"] > longest + 5


def test_there_is_a_pod_for_every_replica() -> None:
    cpus = float(WORKERS["rayStartParams"]["num-cpus"])
    assert cpus // scale().cpus * WORKERS["minReplicas"] >= scale().min_replicas
    assert cpus // scale().cpus * WORKERS["maxReplicas"] >= scale().max_replicas
    assert GROUPS["head"]["rayStartParams"]["num-cpus"] == "0"


@pytest.mark.parametrize("name", PODS)
def test_the_probes_need_nothing_that_the_image_lacks(name: str) -> None:
    for probe in ("readinessProbe", "livenessProbe"):
        asked = container(name)[probe]
        assert "httpGet" in asked or asked["exec"]["command"][0] == "python"
    port = yaml.safe_load(SPEC["serveConfigV2"])["http_options"]["port"]
    assert container("replicas")["readinessProbe"]["httpGet"]["port"] == port
