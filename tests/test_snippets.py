"""Every snippet of README and docs/ is run, without effect where it would change this machine."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import yaml

from app.inference.sample import draw_sample
from tests.live import ROOT, live
from tests.test_docs import PAGES
from tests.tools import find_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

ADDRESS = "127.0.0.1:8000"
"""What the pages call the service."""
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = [
    (page.name, language, text)
    for page in PAGES
    for language, text in _BLOCK.findall(page.read_text())
]
COMMANDS = sorted(
    {
        command.strip()
        for _, language, text in BLOCKS
        if language == "sh"
        for line in text.replace("\\\n", " ").splitlines()
        if (command := re.sub(r"(^|\s)#.*", "", line)).strip()
    }
)


class Place(NamedTuple):
    """Where a snippet is run: a folder of its own, beside a live server."""

    folder: Path
    server: httpx.Client

    def here(self, text: str) -> str:
        """The snippet, with the address at which this server listens."""
        return text.replace(ADDRESS, f"127.0.0.1:{self.server.base_url.port}")

    def run(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program there."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": path},
            check=check,
            capture_output=True,
            text=True,
        )


@pytest.fixture(scope="module")
def server() -> Iterator[httpx.Client]:
    """One with the committed checkpoint, whose gate looks at what the snippets send."""
    with live(ROOT / "models/best_model.h5", drain_s="0") as (client, _):
        yield client


@pytest.fixture(scope="module")
def radiograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn one: drawing it takes a second."""
    path = tmp_path_factory.mktemp("drawn") / "radiograph.png"
    draw_sample().save(path)
    return path


@pytest.fixture
def place(server: httpx.Client, radiograph: Path, tmp_path: Path) -> Place:
    shutil.copy(radiograph, tmp_path)
    return Place(tmp_path, server)


def curl(place: Place, words: list[str]) -> None:
    place.run("curl", "--silent", "--show-error", "--fail-with-body", *map(place.here, words[1:]))


def make(_: Place, words: list[str]) -> None:
    named = ["DATA=x", "SOURCE=x", "OUT=x", *words[1:]]
    subprocess.run(["/usr/bin/env", "make", "--dry-run", *named], cwd=ROOT, check=True)


def docker(_: Place, words: list[str]) -> None:
    assert words[1] == "compose"
    options, _, services = " ".join(words[2:]).partition("up")
    command = [find_tool("docker-compose"), *options.split(), "config", "--services"]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert set(services.split()) <= set(said.split())


def kubectl(_: Place, words: list[str]) -> None:
    assert words[1] == "apply"
    option, path = words[2:]
    if option == "-k":
        tool = shutil.which("kubectl")
        if tool is None:
            pytest.skip("no kubectl")
        subprocess.run([tool, "kustomize", path], cwd=ROOT, check=True, capture_output=True)
    else:
        assert option == "-f"
        assert all(manifest["kind"] for manifest in yaml.safe_load_all((ROOT / path).read_text()))


def python(place: Place, words: list[str]) -> None:
    assert words[1] == "-m"
    module, rest = words[2], words[3:]
    if rest[:1] == ["sample"]:
        (out,) = rest[1:]
        (place.folder / out).unlink()
        place.run(sys.executable, *words[1:])
        assert (place.folder / out).is_file()
        return
    # What reads an archive, or trains for hours: only whether it takes these flags.
    told = help_of(module, *(rest[:1] if module == "training" else []))
    assert [word for word in rest if word.startswith("--") and word not in told] == []


@cache
def help_of(module: str, *command: str) -> str:
    """What it says of its flags; many snippets are of one command."""
    return subprocess.run(
        [sys.executable, "-m", module, *command, "--help"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def ray(_: Place, words: list[str]) -> None:
    assert words[1] == "run"
    module, _, name = words[2].partition(":")
    pytest.importorskip("ray")
    cluster = import_module(module)
    assert callable(getattr(cluster, name))
    cluster.Scale.model_validate(dict(word.split("=") for word in words[3:]))


def client_generator(place: Place, words: list[str]) -> None:
    place.run(*map(place.here, words))


def npx(place: Place, words: list[str]) -> None:
    tool = shutil.which("npx")
    if tool is None:
        pytest.skip("no npx")
    if place.run(tool, "--yes", words[1], "--version", check=False).returncode:
        pytest.skip(f"no {words[1]} to be had")
    place.run(tool, "--yes", *map(place.here, words[1:]))


RUNNERS: dict[str, Callable[[Place, list[str]], None]] = {
    "curl": curl,
    "docker": docker,
    "kubectl": kubectl,
    "make": make,
    "npx": npx,
    "openapi-python-client": client_generator,
    "python": python,
    "serve": ray,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_does_what_the_page_says(command: str, place: Place) -> None:
    words = shlex.split(command)
    name = words[0].removeprefix(".venv/bin/")
    assert name in RUNNERS, "say here how this one is tried"
    RUNNERS[name](place, words)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(text, id=f"{page}-{number}")
        for number, (page, language, text) in enumerate(BLOCKS)
        if language == "python"
    ],
)
def test_a_program_runs_as_it_stands(text: str, place: Place) -> None:
    assert place.run(sys.executable, "-c", place.here(text)).stdout


def test_every_other_block_is_an_answer_or_a_tree() -> None:
    """An answer is held by test_docs.py, a tree too."""
    assert {language for _, language, _ in BLOCKS} == {"sh", "python", "json", ""}
    assert all("──" in text or "  " in text for _, language, text in BLOCKS if not language)


def test_the_sample_is_taken_for_a_chest_x_ray(place: Place) -> None:
    answer = place.server.post("/predict", content=(place.folder / "radiograph.png").read_bytes())
    assert answer.status_code == 200, answer.text
