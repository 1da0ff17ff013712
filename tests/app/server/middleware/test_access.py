from __future__ import annotations

import hmac
import logging
from typing import TYPE_CHECKING

import pytest

from app.xray.errors import SettingsError
from tests.app.fakes import client_of, fake_app

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

KEYS = "first-key,second-key"
PROBES = ["/health", "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"]
V2 = ["/v2"] + [
    f"/v2/models/{{name}}{version}{what}"
    for version in ("", "/versions/{version}")
    for what in ("", "/ready", "/infer")
]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Authorization": "Bearer first-key"}, id="bearer"),
        pytest.param({"Authorization": "bearer  second-key"}, id="bearer-in-small-letters"),
        pytest.param({"X-API-Key": "second-key"}, id="header"),
        pytest.param(
            {"X-API-Key": "first-key", "Authorization": "Basic eDp5"}, id="beside-a-proxys-own"
        ),
    ],
)
async def test_a_right_key_opens(headers: dict[str, str], png: bytes) -> None:
    async with client_of(fake_app(api_keys=KEYS)) as client:
        answer = await client.post("/predict", content=png, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param({"X-API-Key": ""}, id="empty"),
        pytest.param({"X-API-Key": "first-ke"}, id="a-part"),
        pytest.param({"X-API-Key": "first-key,second-key"}, id="all-at-once"),
        pytest.param({"X-API-Key": "FIRST-KEY"}, id="other-case"),
        pytest.param({"Authorization": "first-key"}, id="without-bearer"),
        pytest.param({"Authorization": "Basic first-key"}, id="another-scheme"),
        pytest.param({"Authorization": "Bearer wrong", "X-API-Key": "first-key"}, id="both"),
        pytest.param({"X-API-Key": "sch\xfcssel".encode("latin-1")}, id="other-letters"),
    ],
)
@pytest.mark.parametrize(
    "path", ["/predict", "/explain", "/model", "/docsx", "/metrics", "/nowhere"]
)
async def test_without_a_right_key_nothing_opens(
    path: str, headers: dict[str, str], png: bytes
) -> None:
    async with client_of(fake_app(api_keys=KEYS)) as client:
        answer = await client.post(path, content=png, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "key" not in answer.json()["detail"].replace("KEY", "").replace("a key", "")


async def test_probes_need_no_key_nor_do_the_pages_on_which_one_is_typed_in() -> None:
    paths = [*PROBES, "/health/", "/", "/docs", "/docs/", "/docs/start.js", "/openapi.json"]
    async with client_of(fake_app(api_keys=KEYS)) as client:
        statuses = [(await client.get(path)).status_code for path in paths]
    assert statuses == [200] * len(paths)


async def test_a_named_key_opens_without_its_name_which_log_and_metrics_tell(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    app = fake_app(api_keys="pacs:first-key,second-key,pacs:third-key")
    async with client_of(app) as client:
        statuses = [
            (await client.get("/model", headers={"X-API-Key": key})).status_code
            for key in ("first-key", "second-key", "third-key", "pacs:first-key", "pacs")
        ]
        figures = (await client.get("/metrics", headers={"X-API-Key": "first-key"})).text
    assert statuses == [200, 200, 200, 401, 401]
    assert 'cxr_keyed_requests_total{key="pacs"} 3.0' in figures, "the one for these is counted"
    assert 'cxr_keyed_requests_total{key="unnamed"} 1.0' in figures
    lines = [r for r in caplog.records if r.getMessage().startswith("GET /model ")]
    assert [getattr(line, "key", None) for line in lines] == ["pacs", "unnamed", "pacs", None, None]
    assert lines[0].getMessage().endswith(" by pacs")
    assert "first-key" not in caplog.text


async def test_keys_stand_in_a_file_and_are_read_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys"
    path.write_text("# who may ask\n\npacs:old\nnew\n")
    app = fake_app(api_keys="always", api_keys_file=path)

    async def opening() -> set[str]:
        return {
            key
            for key in ("always", "old", "new", "newer")
            if (await client.get("/model", headers={"X-API-Key": key})).status_code == 200
        }

    async with client_of(app) as client:
        assert await opening() == {"always", "old", "new"}
        path.write_text("pacs:newer\n")
        assert await opening() == {"always", "old", "new"}
        app.state.keyring.reread()
        assert await opening() == {"always", "newer"}
        path.write_text("")
        app.state.keyring.reread()
        assert await opening() == {"always", "newer"}, "an empty file opens nothing"
    assert "the old keys stay" in caplog.text
    assert "newer" not in caplog.text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "cannot be read", id="not-there"),
        pytest.param(b"\n# none\n", "holds no key", id="empty"),
        pytest.param(b"good\na b\n", "line 2: a key consists of", id="spaces"),
        pytest.param(b"a:b:c\n", "line 1: a key consists of", id="two-colons"),
        pytest.param(b"\xff\xfe", "cannot be read", id="no-text"),
    ],
)
def test_a_file_of_keys_that_cannot_be_used_stops_the_start(
    content: bytes | None, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"CXR_API_KEYS_FILE='{path}': {words}"):
        fake_app(api_keys_file=path)


@pytest.mark.parametrize(
    "path",
    [
        "/health//",
        "/health/../predict",
        "//health",
        "/HEALTH",
        "//",
        "/app.css//",
        "/app.py",
        "/docs.html",
        "/openapi",
        "/openapi.json/x",
    ],
)
async def test_what_only_looks_open_needs_one(path: str) -> None:
    async with client_of(fake_app(api_keys=KEYS)) as client:
        answer = await client.get(f"http://test{path}")  # else "//health" names a host
    assert answer.status_code == 401


async def test_without_keys_everybody_is_served(png: bytes) -> None:
    async with client_of(fake_app()) as client:
        assert (await client.post("/predict", content=png)).status_code == 200


async def test_a_refused_body_is_not_read() -> None:
    async def body() -> object:
        raise AssertionError("it was read")
        yield b""

    async with client_of(fake_app(api_keys=KEYS)) as client:
        assert (await client.post("/predict", content=body())).status_code == 401  # type: ignore[arg-type]


async def test_keys_are_compared_in_constant_time_and_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    async with client_of(fake_app(api_keys=KEYS)) as client:
        for key in ("first-key", "x"):
            await client.get("/model", headers={"X-API-Key": key})
    assert compared == [(32, 32)] * 4


async def test_the_admin_key_opens_the_admins_paths_and_no_others() -> None:
    app = fake_app(api_keys=KEYS, admin_key="admins-own")
    async with client_of(app) as client:
        answers = {
            (path, key): (await client.post(path, headers={"X-API-Key": key})).status_code
            for path in ("/admin/reload", "/admin/nothing", "/model")
            for key in ("first-key", "admins-own")
        }
    assert answers == {
        ("/admin/reload", "first-key"): 401,
        ("/admin/reload", "admins-own"): 200,
        ("/admin/nothing", "first-key"): 401,
        ("/admin/nothing", "admins-own"): 404,
        ("/model", "first-key"): 405,
        ("/model", "admins-own"): 401,
    }


async def test_without_an_admin_key_there_are_no_admins_paths() -> None:
    async with client_of(fake_app()) as client:
        answer = await client.post("/admin/reload")
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("settings", "guarded"),
    [
        pytest.param(
            {"api_keys": KEYS},
            {"/predict", "/predict/batch", "/explain", "/model", "/metrics", *V2},
            id="keys",
        ),
        pytest.param({"admin_key": "admins-own"}, {"/admin/reload"}, id="admins-key-alone"),
    ],
)
async def test_the_description_says_where_a_key_is_needed(
    settings: dict[str, str], guarded: set[str]
) -> None:
    headers = {"X-API-Key": "first-key"}
    async with client_of(fake_app(**settings)) as client:
        document = (await client.get("/openapi.json", headers=headers)).json()
    schemes = document["components"]["securitySchemes"]
    assert {scheme["type"] for scheme in schemes.values()} == {"http", "apiKey"}
    found = {
        path
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if operation["security"]
    }
    assert found == guarded


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        pytest.param("POST", "/predict", "/predict", id="predict"),
        pytest.param("GET", "/predict", "/predict", id="a-wrong-method"),
        pytest.param("HEAD", "/model", "/model", id="head"),
        pytest.param(
            "POST", "/v2/models/some/infer", "/v2/models/{name}/infer", id="the-name-left-out"
        ),
        pytest.param("GET", "/nobody/jones", "(no route)", id="none"),
    ],
)
async def test_a_refusal_is_counted_by_the_route_that_was_asked(
    method: str, path: str, route: str
) -> None:
    async with client_of(fake_app(api_keys=KEYS)) as client:
        await client.request(method, path)
        figures = (await client.get("/metrics", headers={"X-API-Key": "first-key"})).text
    labels = f'code="401",method="{method}",route="{route}"'
    assert f"cxr_http_request_duration_seconds_count{{{labels}}} 1.0" in figures
