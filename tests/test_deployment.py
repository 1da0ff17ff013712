"""What the Dockerfile and the Compose file promise to whoever operates them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.pacs.settings import PacsSettings
from app.settings import PREFIX, VERSION, Settings
from tests.live import ROOT
from tests.tools import find_tool

DOCKERFILE = (ROOT / "Dockerfile").read_text()
LAST_STAGE = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]
COMPOSED: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())[
    "services"
]
OTHERS = {
    "prometheus": "observability",
    "alertmanager": "observability",
    "grafana": "observability",
    "orthanc": "pacs",
}
"""Images that are not ours, by the profile that they stand in."""
SERVICES = {name: service for name, service in COMPOSED.items() if name not in OTHERS}
IGNORED = (ROOT / ".dockerignore").read_text().splitlines()


def test_the_image_runs_our_command_as_a_user_without_rights() -> None:
    assert 'ENTRYPOINT ["python", "-m", "app"]' in LAST_STAGE
    assert LAST_STAGE.index("USER 10001") < LAST_STAGE.index("ENTRYPOINT")
    assert "/health/ready" in LAST_STAGE[LAST_STAGE.index("HEALTHCHECK") :]


@pytest.mark.parametrize("path", re.findall(r"^COPY (?!--)(\S+)", DOCKERFILE, re.MULTILINE))
def test_what_the_image_copies_is_there_and_reaches_the_build(path: str) -> None:
    path = path.replace("${REQUIREMENTS}", "serve")
    assert (ROOT / path).exists()
    assert any(path.startswith(line[1:].split("/")[0]) for line in IGNORED if line[:1] == "!")


def test_the_image_for_cpus_has_keras_and_openvino_and_no_tensorflow() -> None:
    assert "REQUIREMENTS=serve" in DOCKERFILE
    serve = (ROOT / "requirements/serve.txt").read_text()
    names = set(re.findall(r"^([a-z0-9-]+)==", serve, re.MULTILINE))
    assert {"keras", "openvino"} <= names
    assert not {"tensorflow", "ai-edge-litert", "scipy"} & names


def test_nothing_is_installed_that_is_not_pinned_by_hash() -> None:
    installs = re.findall(r"pip install .*", DOCKERFILE)
    assert installs
    assert all("--require-hashes" in line for line in installs)
    assert not re.search(r"apt-get|pip install", LAST_STAGE)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_shut_in(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["cap_drop"] == ["ALL"]
    assert re.fullmatch(r"\d+g", service["mem_limit"])
    assert "/health/ready" in " ".join(service["healthcheck"]["test"])
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_up_alone_serves_on_8000_and_the_gpu_is_a_profile() -> None:
    plain = [name for name, service in SERVICES.items() if "profiles" not in service]
    assert plain == ["cxr"]
    assert SERVICES["cxr"]["ports"] == ["127.0.0.1:8000:8000"]
    gpu = SERVICES["cxr-gpu"]
    assert gpu["profiles"] == ["gpu"]
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert (ROOT / f"requirements/{gpu['build']['args']['REQUIREMENTS']}.txt").exists()


@pytest.mark.parametrize("name", SERVICES)
def test_keys_are_passed_on_where_there_are_any(name: str) -> None:
    given = SERVICES[name]["environment"]
    of_the_node = name == "cxr-pacs"
    keys = {"CXR_PACS_SERVICE_KEY"} if of_the_node else {"CXR_API_KEYS", "CXR_ADMIN_KEY"}
    assert {key for key, value in given.items() if value is None} == keys


def test_compose_itself_takes_the_file() -> None:
    tool = find_tool("docker-compose")
    command = [tool, "--profile", "gpu", "--profile", "observability", "config"]
    said = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "CXR_API_KEYS": "pacs:a-key"},
        check=True,
        capture_output=True,
        text=True,
    )
    found = yaml.safe_load(said.stdout)["services"]
    assert set(found) == set(COMPOSED)
    assert found["cxr"]["read_only"] is True
    assert found["cxr"]["stop_grace_period"] == "40s"
    assert found["cxr"]["environment"]["CXR_API_KEYS"] == "pacs:a-key"


@pytest.mark.parametrize(
    "tools",
    [
        pytest.param({"debootstrap": 1, "buildah": 0}, id="no-base"),
        pytest.param({"debootstrap": 1, "buildah": 127}, id="no-buildah"),
    ],
)
def test_a_build_that_fails_early_ends_no_process_and_leaves_no_file(
    tools: dict[str, int], tmp_path: Path
) -> None:
    programs, left = tmp_path / "programs", tmp_path / "left"
    programs.mkdir()
    left.mkdir()
    for name, status in {**tools, "pkill": 0}.items():
        program = programs / name
        program.write_text(f"#!/bin/sh\necho {name} >>{tmp_path}/called\nexit {status}\n")
        program.chmod(0o700)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": str(left)}
    ended = subprocess.run([ROOT / "deploy/build_here.sh"], env=environment, check=False)
    assert ended.returncode == 1
    assert (tmp_path / "called").read_text().split() == ["debootstrap", "buildah"]
    assert list(left.iterdir()) == []


def test_the_list_of_parts_says_what_it_is_of(tmp_path: Path) -> None:
    """By what `make sbom` runs once it has installed the packages."""
    command = ["/usr/bin/env", "make", "--dry-run", "--no-print-directory", "sbom"]
    command.append(f"BIN={Path(sys.executable).parent}")
    made = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    recipe = made[made.index("\nsed ") :].replace("build/sbom", str(tmp_path))
    recipe = recipe.replace("--output-file sbom.json", f"--output-file {tmp_path}/parts.json")
    venv.create(tmp_path)
    subprocess.run(["/bin/sh", "-ec", recipe], cwd=ROOT, check=True)
    root = json.loads((tmp_path / "parts.json").read_text())["metadata"]["component"]
    assert (root["name"], root["version"]) == ("cxr-inference", VERSION)


def test_every_variable_that_is_set_is_a_setting() -> None:
    named = set(re.findall(rf"\b{PREFIX}[A-Z0-9_]+(?==)", DOCKERFILE))
    for service in SERVICES.values():
        named |= set(service["environment"])
    known = {*Settings.model_fields, *PacsSettings.model_fields}
    assert named <= {PREFIX + name.upper() for name in known}


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_what_looks_on_is_a_profile_of_its_own_pinned_and_for_this_machine(name: str) -> None:
    service = COMPOSED[name]
    assert service["profiles"] == [OTHERS[name]]
    assert re.fullmatch(r"[\w/-]+:v?\d+\.\d+\.\d+", service["image"])
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    for volume in service["volumes"]:
        source, _, _ = volume.partition(":")
        assert not source.startswith("./") or (ROOT / source).exists()
