from __future__ import annotations

import posixpath
import re
from pathlib import Path

import numpy as np
import pytest

from app.routes import page
from app.xray.heat import color_table
from tests.app.fakes import client_of, fake_app

pytestmark = pytest.mark.anyio

WEB = Path(page.__file__).parents[1] / "web"
SCRIPTS = {path.relative_to(WEB).as_posix(): path.read_text() for path in WEB.rglob("*.js")}
PATHS = {
    "/": "text/html",
    "/app.css": "text/css",
    "/scripts/main.js": "text/javascript",
    "/scripts/answer/verdict.js": "text/javascript",
}


@pytest.mark.parametrize(("path", "kind"), PATHS.items(), ids=["page", "style", "main", "module"])
async def test_the_page_and_its_files_need_no_key(path: str, kind: str) -> None:
    async with client_of(fake_app(api_keys="a-key")) as client:
        answer = await client.get(path)
        head = await client.head(path)
    assert (answer.status_code, head.status_code) == (200, 200)
    assert answer.headers["content-type"].startswith(kind)


@pytest.mark.parametrize("path", PATHS)
async def test_the_page_and_its_files_come_compressed_where_that_is_taken(path: str) -> None:
    async with client_of(fake_app()) as client:
        plain = await client.get(path, headers={"Accept-Encoding": "identity"})
        zipped = await client.get(path, headers={"Accept-Encoding": "gzip, deflate"})
    assert "content-encoding" not in plain.headers
    assert zipped.headers["content-encoding"] == "gzip"
    assert zipped.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert zipped.content == plain.content
    assert int(zipped.headers["content-length"]) < len(plain.content) / 2


async def test_the_page_asks_for_its_own_files_only_and_holds_no_script_and_no_style() -> None:
    async with client_of(fake_app()) as client:
        answer = await client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    named = re.findall(r'<(?:script|link)[^>]*(?:src|href)="(?!data:)([^"]+)"', answer.text)
    assert sorted(named) == sorted(["app.css", *SCRIPTS]), "each once, so that none is waited for"
    assert re.findall(r'<script.*?src="([^"]+)"', answer.text) == ["scripts/main.js"]
    assert not re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src)", answer.text)


def test_each_module_is_imported_and_each_import_is_there() -> None:
    imported = {
        posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        for path, text in SCRIPTS.items()
        for target in re.findall(r'from "([^"]+)"', text)
    }
    assert imported == SCRIPTS.keys() - {"scripts/main.js"}


def test_each_name_that_a_module_exports_is_used_by_another() -> None:
    exported = {
        (path, name)
        for path, text in SCRIPTS.items()
        for name in re.findall(
            r"^export (?:async )?(?:const|let|function) (\w+)", text, re.MULTILINE
        )
    }
    imported = {
        (posixpath.normpath(posixpath.join(posixpath.dirname(path), target)), name)
        for path, text in SCRIPTS.items()
        for names, target in re.findall(r'import \{([^}]*)\} from "([^"]+)"', text)
        for name in re.findall(r"\w+", names)
    }
    assert len(exported) > 30
    assert exported == imported


@pytest.mark.parametrize(
    "path",
    [
        "/web/scripts/main.js",
        "/app.html",
        "/web/../main.py",
        "/app.py",
        "/scripts/",
        "/scripts/service",
        "/scripts/nothing.js",
        "/scripts/..%2Fapp.css",
        "/scripts/%2E%2E/index.html",
        "/scripts/..%2F..%2Fmain.py",
        "/scripts/%2Fetc%2Fpasswd",
    ],
)
async def test_nothing_else_is_given_out(path: str) -> None:
    async with client_of(fake_app()) as client:
        answer = await client.get(path)
    assert answer.status_code == 404


async def test_other_methods_are_refused_as_everywhere() -> None:
    async with client_of(fake_app()) as client:
        answer = await client.post("/")
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"


def test_every_element_that_the_script_asks_for_is_in_the_page() -> None:
    wanted = set(re.findall(r'(?:byId|fromTemplate)\("([^"]+)"\)', "".join(SCRIPTS.values())))
    assert len(wanted) > 10
    assert wanted <= set(re.findall(r'\sid="([^"]+)"', WEB.joinpath("index.html").read_text()))


def test_the_scale_has_the_colours_of_the_heat() -> None:
    table = color_table()
    style = WEB.joinpath("app.css").read_text()
    ramp = style[style.index(".ramp {") :]
    found = re.findall(r"rgb\((\d+) (\d+) (\d+)", ramp[: ramp.index("}")])
    expected = [table[round(level)] for level in np.linspace(0, 255, len(found))]
    assert len(found) == 5
    assert np.abs(np.array(found, int) - expected).max() <= 1
