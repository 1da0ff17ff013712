"""A live server against its own OpenAPI description, with every check that schemathesis has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import ROOT, served

KEY = "one-key"  # as in schemathesis.toml


@pytest.mark.parametrize(
    "settings", [{}, {"api_keys": f"{KEY},another", "admin_key": KEY}], ids=["open", "keys"]
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
                "--max-examples", "30",
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
