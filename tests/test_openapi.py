"""The OpenAPI description: a live server does as it says, and clients can be made of it."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.server.problems import TABLE, TYPE_PREFIX
from tests.app.fakes import fake_app
from tests.live import ROOT, served

KEY = "one-key"  # as in schemathesis.toml
DESCRIPTION: dict[str, Any] = fake_app(api_keys=KEY, admin_key=KEY).openapi()
OPERATIONS = [
    pytest.param(operation, id=operation["operationId"])
    for methods in DESCRIPTION["paths"].values()
    for operation in methods.values()
]


@pytest.fixture
def description(tmp_path: Path) -> Path:
    """The description, in a file."""
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(DESCRIPTION))
    return path


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_is_named_summed_up_and_told_with_its_headers(
    operation: dict[str, Any],
) -> None:
    assert re.fullmatch("[a-z]+([A-Z][a-z]+)*", operation["operationId"])
    assert operation["operationId"].lower() != operation["summary"].lower().replace(" ", "")
    for status, answer in operation["responses"].items():
        assert "X-Request-ID" in answer["headers"]
        is_problem = "Problem" in str(answer.get("content")) or "Protocol" in str(answer)
        assert ("Retry-After" in answer["headers"]) == (status == "503" and is_problem)
    if "requestBody" in operation:
        assert "101 MB" in operation["requestBody"]["description"]


def test_every_refusal_is_the_one_schema_with_an_example_of_each_problem() -> None:
    shown: dict[str, Any] = {}
    for param in OPERATIONS:
        for status, answer in param.values[0]["responses"].items():
            told = answer.get("content", {}).get("application/problem+json")
            if told is None:
                continue
            assert told["schema"] == {"$ref": "#/components/schemas/Problem"}
            for kind, example in told["examples"].items():
                assert example["value"]["type"] == TYPE_PREFIX + kind
                assert str(example["value"]["status"]) == status
                shown[kind] = example["value"]
    assert set(shown) == {row.kind for row in TABLE.values()}
    assert all(example["detail"] for example in shown.values())
    assert "HTTPValidationError" not in json.dumps(DESCRIPTION), "it is answered as a Problem"


def test_a_python_client_is_made_of_it_without_a_warning(description: Path, tmp_path: Path) -> None:
    tool = Path(sys.executable).with_name("openapi-python-client")
    made = subprocess.run(
        [
            tool, "generate", "--path", description, "--output-path", tmp_path / "client",
            "--meta", "none", "--fail-on-warning",
        ],
        env={**os.environ, "PATH": f"{tool.parent}:{os.environ['PATH']}"},  # where ruff is
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert (made.returncode, "WARNING" in made.stdout + made.stderr) == (0, False), made.stdout
    operation = (tmp_path / "client" / "api" / "prediction" / "predict.py").read_text()
    ast.parse(operation)
    for error in ("401", "413", "415", "422", "503", "504"):
        assert f"response.status_code == {error}" in operation, "a refusal that it cannot read"
    assert "Problem.from_dict" in operation
    assert "File" in (tmp_path / "client" / "api" / "prediction" / "explain.py").read_text()


def test_a_typescript_client_is_made_of_it_without_a_warning(
    description: Path, tmp_path: Path
) -> None:
    tool = shutil.which("npx")
    if tool is None:
        pytest.skip("no npx")
    there = [tool, "--yes", "openapi-typescript@7"]
    if subprocess.run([*there, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("no openapi-typescript to be had")
    made = subprocess.run(
        [*there, description, "-o", tmp_path / "cxr.ts"], capture_output=True, text=True, check=True
    )
    assert "warn" not in (made.stdout + made.stderr).lower()
    types = (tmp_path / "cxr.ts").read_text()
    assert 'components["schemas"]["Problem"]' in types
    assert "predictBatch" in types


@pytest.mark.parametrize(
    "settings",
    [{}, {"api_keys": f"{KEY},another", "admin_key": KEY}],
    ids=["open", "keys"],
)
def test_it_does_as_it_says(
    settings: dict[str, str], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    description = tmp_path / "openapi.json"
    with served(tiny_checkpoint, **settings) as client:
        answer = client.get("/openapi.json", headers={"X-API-Key": KEY})
        description.write_bytes(answer.raise_for_status().content)
        found = subprocess.run(
            [
                Path(sys.executable).with_name("st"),
                "--config-file", ROOT / "tests/schemathesis.toml",
                "run", description,
                "--url", str(client.base_url),
                "--checks", "all",
                "--max-examples", "8",
                "--seed", "1",
                "--no-color",
            ],
            cwd=tmp_path,  # where it leaves what failed
            env={
                **os.environ,
                "SCHEMATHESIS_HOOKS": "tests.schemathesis_hooks",
                "PYTHONPATH": str(ROOT),
            },
            capture_output=True,
            text=True,
        )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
    (count,) = re.findall(r"(\d+) generated, \1 passed", found.stdout)
    assert int(count) > 100
