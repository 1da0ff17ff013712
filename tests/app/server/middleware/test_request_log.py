from __future__ import annotations

import logging
import re

import pytest
from fastapi.responses import StreamingResponse

from app.server.middleware.access import WATCHED
from tests.app.fakes import client_of, fake_app

pytestmark = pytest.mark.anyio


async def test_every_answer_carries_an_id_of_its_own(png: bytes) -> None:
    async with client_of(fake_app()) as client:
        answers = [await client.get("/health"), await client.post("/predict", content=png)]
    ids = [answer.headers["X-Request-ID"] for answer in answers]
    assert len(set(ids)) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", id_) for id_ in ids)
    assert answers[1].json()["request_id"] == ids[1]


async def test_the_clients_own_id_is_given_back() -> None:
    async with client_of(fake_app()) as client:
        answer = await client.get("/nowhere", headers={"X-Request-ID": "trace-7.b_C"})
    assert answer.headers["X-Request-ID"] == "trace-7.b_C"
    assert answer.json()["request_id"] == "trace-7.b_C"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "new\tline", "<script>"], ids=repr)
async def test_an_id_that_is_unsafe_to_log_is_replaced(given: str) -> None:
    async with client_of(fake_app()) as client:
        answer = await client.get("/health", headers={"X-Request-ID": given})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({"traceparent": f"00-{TRACE}-{SPAN}-01"}, TRACE, id="trace"),
        pytest.param({"traceparent": f"cc-{TRACE}-{SPAN}-01-x"}, TRACE, id="later-version"),
        pytest.param(
            {"traceparent": f"00-{TRACE}-{SPAN}-01", "X-Request-ID": "own"},
            "own",
            id="its-own-id-goes-first",
        ),
        pytest.param({"traceparent": f"00-{'0' * 32}-{SPAN}-01"}, None, id="no-trace"),
        pytest.param({"traceparent": f"ff-{TRACE}-{SPAN}-01"}, None, id="no-version"),
        pytest.param({"traceparent": f"00-{TRACE.upper()}-{SPAN}-01"}, None, id="capitals"),
        pytest.param({"traceparent": f"00-{TRACE}-{'0' * 16}-01"}, None, id="no-parent"),
        pytest.param({"traceparent": f"00-{TRACE}-{SPAN}-1"}, None, id="short-flags"),
        pytest.param({"traceparent": f"00-{TRACE}-{SPAN}-zz"}, None, id="no-flags"),
        pytest.param({"traceparent": f"00-{TRACE}-{SPAN}-01-x"}, None, id="longer-than-version-00"),
        pytest.param({"traceparent": f"cc-{TRACE}-{SPAN}-01x"}, None, id="more-without-a-dash"),
        pytest.param({"traceparent": "garbage"}, None, id="garbage"),
    ],
)
async def test_a_trace_id_is_the_requests_id(headers: dict[str, str], expected: str | None) -> None:
    async with client_of(fake_app()) as client:
        answer = await client.get("/health", headers=headers)
    given = answer.headers["X-Request-ID"]
    assert given == expected if expected else re.fullmatch("[0-9a-f]{32}", given)
    assert expected or given != TRACE


async def test_a_bug_is_answered_without_a_trace_and_logged_with_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = fake_app()

    @app.get("/bug")
    async def _() -> None:
        raise ZeroDivisionError("the secret of the house")

    async with client_of(app) as client:
        answer = await client.get("/bug")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert answer.json()["request_id"] in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


async def test_a_bug_in_the_middle_of_an_answer_is_not_hidden() -> None:
    app = fake_app()

    @app.get("/half")
    async def _() -> StreamingResponse:
        def half() -> object:
            yield b"first"
            raise ZeroDivisionError

        return StreamingResponse(half())

    with pytest.raises(ZeroDivisionError):
        async with client_of(app) as client:
            await client.get("/half")


async def test_a_client_that_goes_away_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    app = fake_app()
    sent = []

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async with client_of(app):
        caplog.clear()
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/predict",
            "query_string": b"",
            "headers": [],
        }
        await app(scope, receive, send)
    assert sent == []
    (record,) = [record for record in caplog.records if record.name.startswith("app")]
    assert record.levelno == logging.INFO
    assert record.getMessage().startswith("POST /predict 499")


async def test_a_request_is_one_line_in_the_log_with_nothing_that_a_client_wrote(
    caplog: pytest.LogCaptureFixture, png: bytes
) -> None:
    caplog.set_level(logging.DEBUG)
    async with client_of(fake_app()) as client:
        caplog.clear()
        await client.post(
            "/predict?patient=Doe",
            files={"file": ("Doe^Jane.png", png)},
            headers={"X-Request-ID": "id-1"},
        )
        await client.request("JANE-DOE", "/Doe/Jane", headers={"X-Request-ID": "id-2"})
        await client.post("/predict", content=b"Doe", headers={"X-Request-ID": "id-3"})
        await client.post("/predict/", content=b"", headers={"X-Request-ID": "id-4"})
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("app")]
    assert len(ours) == 4
    assert re.fullmatch(r"POST /predict 200 \d+ ms id-1", ours[0])
    assert re.fullmatch(r"- \(no route\) 404 \d+ ms id-2", ours[1])
    assert re.fullmatch(r"POST /predict 415 unsupported-image-type \d+ ms id-3", ours[2])
    assert re.fullmatch(r"POST /predict 400 malformed-request \d+ ms id-4", ours[3])
    assert "doe" not in "".join(ours).lower()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_is_asked_every_few_seconds_is_told_only_where_it_is_no_success(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    app = fake_app()
    async with client_of(app) as client:
        caplog.clear()
        for path in sorted(WATCHED):
            await client.request(method, path)
        await client.request(method, "/model")
        app.state.service.drain()
        await client.request(method, "/health")
    told = [
        (record.getMessage().split()[1], record.levelname)
        for record in caplog.records
        if record.name.endswith("request_log")
    ]
    routine = [(path, "DEBUG") for path in sorted(WATCHED)]
    assert told == [*routine, ("/model", "INFO"), ("/health", "INFO")]
