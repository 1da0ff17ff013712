from __future__ import annotations

import re

import pytest

from tests.app.fakes import client_of, fake_app

pytestmark = pytest.mark.anyio

ORIGIN = "https://viewer.example.org"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", "/health", id="answer"),
        pytest.param("POST", "/predict", id="refusal"),
        pytest.param("GET", "/nowhere", id="nowhere"),
        pytest.param("GET", "/docs", id="page"),
        pytest.param("GET", "/fails", id="bug"),
    ],
)
async def test_every_answer_tells_browsers_what_they_may_not(method: str, path: str) -> None:
    app = fake_app()

    @app.get("/fails")
    async def _() -> None:
        raise ZeroDivisionError

    async with client_of(app) as client:
        answer = await client.request(method, path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in policy


async def test_the_docs_ask_no_other_host_and_run_no_inline_script() -> None:
    async with client_of(fake_app()) as client:
        page = await client.get("/docs")
        sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        files = [await client.get(f"/{source}") for source in sources]
    assert all(file.status_code == 200 for file in files), sources
    assert not [source for source in sources if source.startswith(("http", "//"))]
    assert "<script>" not in page.text
    assert "script-src 'self';" in page.headers["content-security-policy"]


async def test_the_docs_give_out_their_own_files_only() -> None:
    async with client_of(fake_app()) as client:
        answers = [await client.get(f"/docs/{name}") for name in ("__init__.py", "..%2fmain.py")]
    assert [answer.status_code for answer in answers] == [400, 404]


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/docs/start.js"])
async def test_the_docs_can_be_turned_off(path: str) -> None:
    async with client_of(fake_app(docs=False)) as client:
        answer = await client.get(path)
    assert answer.status_code == 404


async def test_pages_of_other_origins_may_not_ask_unless_they_are_named(png: bytes) -> None:
    async with client_of(fake_app()) as client:
        silent = await client.post("/predict", content=png, headers={"Origin": ORIGIN})
    async with client_of(fake_app(cors_origins=ORIGIN)) as client:
        named = await client.post("/predict", content=png, headers={"Origin": ORIGIN})
        other = await client.post(
            "/predict", content=png, headers={"Origin": "https://evil.example"}
        )
    assert "access-control-allow-origin" not in silent.headers
    assert named.headers["access-control-allow-origin"] == ORIGIN
    assert "X-Request-ID" in named.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in other.headers


async def test_a_named_origin_may_ask_ahead_without_a_key_and_send_one() -> None:
    preflight = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "X-API-Key, Content-Type",
    }
    async with client_of(fake_app(cors_origins=ORIGIN, api_keys="one-key")) as client:
        allowed = await client.options("/predict", headers=preflight)
        refused = await client.post("/predict", headers={"Origin": ORIGIN})
    assert allowed.status_code == 200
    assert "X-API-Key" in allowed.headers["access-control-allow-headers"]
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == ORIGIN
