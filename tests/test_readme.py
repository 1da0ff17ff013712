"""The README's claims that a machine can check."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from app.routes.schemas import PredictionResponse
from app.server.problems import TABLE
from app.settings import PREFIX, Settings
from tests.app.fakes import fake_app
from tests.live import ROOT
from training.cli import main

if TYPE_CHECKING:
    from pathlib import Path

README = (ROOT / "README.md").read_text()


def test_the_table_of_settings_is_the_settings() -> None:
    rows = dict(re.findall(r"^\| `(CXR_\w+)` \| (.+?) \|", README, re.MULTILINE))
    defaults = {}
    for name, field in Settings.model_fields.items():
        default = field.default
        text = ",".join(default) if isinstance(default, tuple) else str(default)
        text = text.lower() if isinstance(default, bool) else text
        is_none = default is None or default == ()
        defaults[PREFIX + name.upper()] = "none" if is_none else f"`{text}`"
    assert rows == defaults


def test_every_route_stands_in_the_table() -> None:
    routes = {
        f"{method.upper()} {path}"
        for path, methods in fake_app(admin_key="key").openapi()["paths"].items()
        for method in methods
    }
    listed = set(re.findall(r"`((?:GET|POST) /[\w/{}]*)`", README))
    assert {route.replace("/versions/{version}", "") for route in routes} <= listed


def test_every_status_stands_in_the_table() -> None:
    listed = {int(status) for status in re.findall(r"^\| (\d{3}) \|", README, re.MULTILINE)}
    assert listed == {row.status.value for row in TABLE.values()}


def test_the_example_is_an_answer_of_this_version() -> None:
    (example,) = re.findall(r"```json\n(.+?)```", README, re.DOTALL)
    answer = PredictionResponse.model_validate_json(example)
    assert set(json.loads(example)) == set(PredictionResponse.model_fields) - {"heatmap", "layers"}
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?make ([\w-]+)", README))))
def test_every_make_target_is_there(target: str) -> None:
    subprocess.run(
        ["/usr/bin/env", "make", "--dry-run", target, "DATA=x"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"python -m training (\w+ --?[\w-]+)", README)))
)
def test_every_training_command_is_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, flag = command.split()
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert flag in capsys.readouterr().out


def links() -> list[str]:
    return re.findall(r"\]\((?!https?:)([^)#]+)\)", README)


@pytest.mark.parametrize("link", links())
def test_every_link_leads_somewhere(link: str) -> None:
    path: Path = ROOT / link
    assert path.exists()
