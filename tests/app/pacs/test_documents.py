"""What docs/pacs.md and the deployments say of the node, held against the node."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import pytest
import yaml
from kubernetes_validate import validate

from app.pacs.node import SOP_CLASSES, SYNTAXES
from app.pacs.settings import PacsSettings, read_pacs_settings
from app.pacs.status import OUTCOMES
from app.settings import PREFIX
from tests.live import ROOT

PAGE = (ROOT / "docs/pacs.md").read_text()
KUBERNETES = ROOT / "deploy/kubernetes/pacs"
OF_THE_SERVICE = {"log_level", "log_json"}


def test_the_page_has_every_setting_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(CXR_\w+)` \| (.*?) \|", PAGE, re.MULTILINE))
    fields = PacsSettings.model_fields
    expected = {
        f"{PREFIX}{name.upper()}": spelled(field.default)
        for name, field in fields.items()
        if name not in OF_THE_SERVICE
    }

    assert {name: default.strip("`") for name, default in rows.items()} == expected


def spelled(default: Any) -> str:
    if default in (None, ()):
        return "none"
    return str(default).lower() if isinstance(default, bool) else f"{default}"


def test_the_page_has_every_status_with_its_comment() -> None:
    section = PAGE.split("## What becomes of a film")[1].split("\n## ")[0]
    for outcome in OUTCOMES:
        assert f"{outcome.status:04X}" in section
        if outcome.status >> 8 == 0xA7:
            assert outcome.comment in section


def test_the_page_has_the_route_of_the_archive_that_compose_starts() -> None:
    route = (ROOT / "deploy/pacs/route.lua").read_text().split("\n", 1)[1]
    (shown,) = re.findall(r"```lua\n(.*?)```", PAGE, re.DOTALL)

    assert textwrap.dedent(shown).strip() == route.strip()


def test_the_conformance_statement_names_what_is_accepted() -> None:
    statement = PAGE.split("## Conformance statement\n")[1]
    for sop_class in SOP_CLASSES:
        assert str(sop_class) in statement
    for syntax in SYNTAXES:
        last = syntax.rpartition(".")[2]
        named = f".{last}" in statement or syntax.name.split(" ")[0] in NATIVE
        assert named, syntax.name


NATIVE = {"Explicit", "Implicit", "Deflated", "RLE"}


@pytest.mark.parametrize("kind", ["deployment", "service"])
def test_a_manifest_is_valid(kind: str) -> None:
    manifest = yaml.safe_load((KUBERNETES / f"{kind}.yaml").read_text())

    validate(manifest, "1.31", strict=True)


@pytest.mark.parametrize("where", ["Kubernetes", "Compose"])
def test_every_variable_of_a_deployment_is_a_setting_and_every_value_allowed(where: str) -> None:
    given = variables(where)

    names = {name.removeprefix(PREFIX).lower(): value for name, value in given.items()}
    settings = read_pacs_settings(**names)
    assert settings.pacs_destination == given["CXR_PACS_DESTINATION"]


def variables(where: str) -> dict[str, str]:
    if where == "Compose":
        composed = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
        found: dict[str, str] = composed["services"]["cxr-pacs"]["environment"]
        return found
    pod = yaml.safe_load((KUBERNETES / "deployment.yaml").read_text())["spec"]["template"]["spec"]
    return {each["name"]: each["value"] for each in pod["containers"][0]["env"]}


def test_kubernetes_waits_longer_than_the_node_drains() -> None:
    pod = yaml.safe_load((KUBERNETES / "deployment.yaml").read_text())["spec"]["template"]["spec"]

    assert pod["terminationGracePeriodSeconds"] > PacsSettings.model_fields["pacs_drain_s"].default
