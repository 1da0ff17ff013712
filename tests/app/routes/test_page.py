from __future__ import annotations

import re
from importlib.resources import files

import numpy as np
import pytest

from app.xray.heat import color_table
from tests.app.fakes import client_of, fake_app

pytestmark = pytest.mark.anyio

PATHS = {"/": "text/html", "/app.css": "text/css", "/app.js": "text/javascript"}


@pytest.mark.parametrize(("path", "kind"), PATHS.items(), ids=["page", "style", "script"])
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
        page = await client.get("/")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    named = re.findall(r'<(?:script|link)[^>]*(?:src|href)="(?!data:)([^"]+)"', page.text)
    assert sorted(named) == ["app.css", "app.js"]
    assert not re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src)", page.text)


@pytest.mark.parametrize("path", ["/web/app.js", "/app.html", "/web/../main.py", "/app.py"])
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
    web = files("app").joinpath("web")
    page, script = (web.joinpath(name).read_text() for name in ("index.html", "app.js"))
    wanted = set(re.findall(r'(?:byId|fromTemplate)\("([^"]+)"\)', script))
    assert len(wanted) > 10
    assert wanted <= set(re.findall(r'\sid="([^"]+)"', page))


def test_the_scale_has_the_colours_of_the_heat() -> None:
    table = color_table()
    style = files("app").joinpath("web", "app.css").read_text()
    ramp = style[style.index(".ramp {") :]
    found = re.findall(r"rgb\((\d+) (\d+) (\d+)", ramp[: ramp.index("}")])
    expected = [table[round(level)] for level in np.linspace(0, 255, len(found))]
    assert len(found) == 5
    assert np.abs(np.array(found, int) - expected).max() <= 1


def test_every_refusal_that_a_page_can_get_comes_with_advice() -> None:
    from app.server.problems import TABLE
    from app.xray import errors

    script = files("app").joinpath("web", "app.js").read_text()
    advice = script[script.index("const ADVICE") : script.index("const WORTH_REPEATING")]
    others = {errors.ReloadFailed, errors.ReloadUnderWay, errors.NotExplainable}
    kinds = {row.kind for error, row in TABLE.items() if error not in others}
    assert kinds == set(re.findall(r'^ +"([a-z-]+)":', advice, re.MULTILINE))
