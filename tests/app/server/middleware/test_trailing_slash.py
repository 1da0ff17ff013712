from __future__ import annotations

import pytest

from tests.app.fakes import client_of, fake_app

pytestmark = pytest.mark.anyio


async def test_an_upload_is_answered_with_a_slash_as_without(png: bytes) -> None:
    async with client_of(fake_app()) as client:
        for path in ("/predict", "/explain", "/predict/batch"):
            files = {"files" if "batch" in path else "file": ("x.png", png)}
            plain = await client.post(path, files=files)
            slashed = await client.post(f"{path}/?class=NORMAL", files=files)
            assert (plain.status_code, slashed.status_code) == (200, 200)
            assert plain.headers["content-type"] == slashed.headers["content-type"]


async def test_every_route_answers_so() -> None:
    app = fake_app()
    paths = [path for path, methods in app.openapi()["paths"].items() if "get" in methods]
    async with client_of(app) as client:
        for path in paths:
            filled = path.replace("{name}", "fake").replace("{version}", "1")
            assert (await client.get(f"{filled}/")).status_code == 200, path


async def test_its_refusals_name_the_route_itself() -> None:
    async with client_of(fake_app()) as client:
        answer = await client.post("/predict/", content=b"hello")
        figures = (await client.get("/metrics")).text
    assert (answer.status_code, answer.json()["instance"]) == (415, "/predict")
    assert 'code="415",method="POST",route="/predict"' in figures


@pytest.mark.parametrize("path", ["/predict//", "//predict", "/nowhere/"])
async def test_other_slashes_lead_nowhere(path: str) -> None:
    async with client_of(fake_app()) as client:
        assert (await client.post(f"http://test{path}")).status_code == 404
