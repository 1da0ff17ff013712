"""README and docs/ hold what the code says: settings, routes, commands, links."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from app.pacs.settings import PacsSettings
from app.routes.schemas import PredictionResponse
from app.server.connection import REFUSALS
from app.server.problems import TABLE
from app.settings import PREFIX, Settings
from tests.app.fakes import fake_app
from tests.live import ROOT
from training.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
"""What is held against the code."""
LINKING = (*PAGES, *sorted(ROOT.glob("[CS]*.md")), ROOT / "models" / "MODEL_CARD.md")
"""Whose links must lead somewhere: these, and CONTRIBUTING, SECURITY, CHANGELOG and the card."""
TEXT = "\n".join(page.read_text() for page in PAGES)

_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:)([^)\s]*)\)")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def test_the_readme_fits_on_two_screens() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_the_table_of_settings_is_the_settings() -> None:
    rows = dict(re.findall(r"^\| `(CXR_\w+)` \| (.+?) \|", page("operate.md"), re.MULTILINE))
    defaults = {}
    for name, field in Settings.model_fields.items():
        default = field.default
        text = ",".join(default) if isinstance(default, tuple) else str(default)
        text = text.lower() if isinstance(default, bool) else text
        is_none = default is None or default == ()
        defaults[PREFIX + name.upper()] = "none" if is_none else f"`{text}`"
    assert rows == defaults


def test_every_setting_that_a_page_names_is_one() -> None:
    named = set(re.findall(r"\bCXR_[A-Z_0-9]*[A-Z0-9]\b", TEXT))
    known = {*Settings.model_fields, *PacsSettings.model_fields}
    assert named <= {PREFIX + name.upper() for name in known}


def test_every_route_stands_in_the_pages() -> None:
    routes = {
        f"{method.upper()} {path}"
        for path, methods in fake_app(admin_key="key").openapi()["paths"].items()
        for method in methods
    }
    listed = set(re.findall(r"`((?:GET|POST) /[\w/{}]*)`", page("http-api.md")))
    assert {route.replace("/versions/{version}", "") for route in routes} <= listed


def test_the_table_of_problems_is_that_of_the_service() -> None:
    rows = re.findall(r"^\| (\d{3}) \| (`.+?`) \|", page("http-api.md"), re.MULTILINE)
    listed = {
        (int(status), kind) for status, kinds in rows for kind in re.findall("[a-z-]+", kinds)
    }
    assert listed == {(row.status.value, row.kind) for row in TABLE.values()}


def test_every_refusal_below_the_application_is_named() -> None:
    assert all(f"`{refusal.kind}`" in page("http-api.md") for refusal in REFUSALS)


def test_the_example_is_an_answer_of_this_version() -> None:
    (example,) = re.findall(r"```json\n(.+?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    answer = PredictionResponse.model_validate_json(example)
    assert set(json.loads(example)) == set(PredictionResponse.model_fields) - {"heatmap", "layers"}
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-6)


def commands(start: str) -> list[str]:
    """Each command of the pages that begins with `start`, without its comment."""
    found = re.findall(rf"{re.escape(start)} [^`#\n]*", TEXT)
    return sorted({command.strip() for command in found})


@pytest.mark.parametrize("target", sorted(set(re.findall(r"[`^\n]make ([\w-]+)", TEXT))))
def test_every_make_target_is_there(target: str) -> None:
    subprocess.run(
        ["/usr/bin/env", "make", "--dry-run", target, "DATA=x", "SOURCE=x", "OUT=x"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("command", commands("python -m training"))
def test_every_training_command_has_its_flags(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *rest = shlex.split(command.removeprefix("python -m training"))
    if name == "COMMAND":  # that which stands for all of them
        return
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert [flag for flag in rest if flag.startswith("--") and flag not in told] == []


@pytest.mark.parametrize("name", sorted(set(re.findall(r"python -m (benchmarks[\w.]*)", TEXT))))
def test_every_benchmark_is_there(name: str) -> None:
    assert find_spec(name) is not None


@pytest.mark.parametrize("extra", sorted(set(re.findall(r"make install USE=(\w+)", TEXT))))
def test_every_extra_is_there(extra: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert extra in project["optional-dependencies"]
    assert (ROOT / "requirements" / f"{extra}.txt").is_file()


@cache
def anchors_of(path: Path) -> frozenset[str]:
    """What GitHub makes of the headings of a page, to be linked to."""
    headings = _HEADING.findall(_FENCED.sub("", path.read_text()))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return frozenset(heading.replace(" ", "-") for heading in plain)


def links(pages: Iterable[Path]) -> list[tuple[str, str]]:
    return [
        (str(path.relative_to(ROOT)), link)
        for path in pages
        for link in sorted(set(_LINK.findall(_FENCED.sub("", path.read_text()))))
    ]


@pytest.mark.parametrize(("source", "link"), links(LINKING))
def test_every_link_leads_somewhere(source: str, link: str) -> None:
    name, _, anchor = link.partition("#")
    path = (ROOT / source).parent / name if name else ROOT / source
    assert path.exists()
    if anchor:
        assert anchor in anchors_of(path.resolve())


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {ROOT / link.partition("#")[0] for _, link in links(PAGES[:1])}
    assert set(PAGES[1:]) <= linked


@pytest.mark.parametrize(
    "name",
    sorted(set(re.findall(r"`((?:app|training|tests|benchmarks|deploy|docs)/[\w./*-]+)`", TEXT))),
)
def test_every_file_that_a_page_names_is_there(name: str) -> None:
    assert list(ROOT.glob(name)) if "*" in name else (ROOT / name).exists()


def tree_of(package: str) -> str:
    """The part of the architecture page's tree that stands under `package`."""
    pattern = rf"^{package}/ .*?(?=^\S)"
    (tree,) = re.findall(pattern, page("architecture.md"), re.DOTALL | re.MULTILINE)
    return str(tree)


@pytest.mark.parametrize("package", ["app", "training", "benchmarks"])
def test_the_tree_names_every_package(package: str) -> None:
    rooms = {path.name for path in (ROOT / package).iterdir() if (path / "__init__.py").is_file()}
    assert {room for room in rooms if f" {room}/" not in tree_of(package)} == set()


@pytest.mark.parametrize("package", ["app", "training", "benchmarks"])
def test_every_module_that_the_tree_names_is_there(package: str) -> None:
    there = {path.name for path in (ROOT / package).rglob("*.py")}
    assert set(re.findall(r"\b\w+\.py\b", tree_of(package))) <= there
