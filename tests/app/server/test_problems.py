from __future__ import annotations

import pytest
from fastapi import Query

from app.inference.batching import QueueFull
from app.server.problems import TABLE
from app.xray.errors import (
    CheckpointCorrupt,
    CxrError,
    NotAChestXray,
    NotExplainable,
    OperatorError,
    ReloadFailed,
    SenderError,
    TemporaryError,
)
from tests.app.fakes import client_of, fake_app


def leaves(kind: type[CxrError]) -> list[type[CxrError]]:
    below = [leaf for child in kind.__subclasses__() for leaf in leaves(child)]
    return below or [kind]


def test_every_error_that_a_client_can_meet_has_its_row() -> None:
    ours = {*leaves(SenderError), *leaves(TemporaryError)}
    assert ours | {QueueFull, NotExplainable, ReloadFailed} == set(TABLE)


@pytest.mark.parametrize("error", TABLE, ids=lambda kind: kind.__name__)
def test_the_senders_fault_is_a_4xx_and_ours_a_5xx(error: type[Exception]) -> None:
    # Whoever asks for a reload is the operator.
    family = 4 if issubclass(error, SenderError | ReloadFailed) else 5
    assert TABLE[error].status // 100 == family


def test_each_type_is_named_once() -> None:
    kinds = [row.kind for row in TABLE.values()]
    assert len(set(kinds)) == len(kinds)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "error", [kind for kind in TABLE if kind is not NotAChestXray], ids=lambda kind: kind.__name__
)
async def test_each_is_answered_as_its_row_says(error: type[Exception]) -> None:
    app = fake_app()

    @app.get("/fails")
    async def _() -> None:
        raise error("in plain words")

    async with client_of(app) as client:
        answer = await client.get("/fails")
    row = TABLE[error]
    assert answer.status_code == row.status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": f"urn:cxr:problem:{row.kind}",
        "title": row.title,
        "status": row.status,
        "detail": "in plain words",
        "instance": "/fails",
        "request_id": answer.headers["X-Request-ID"],
    }
    assert ("Retry-After" in answer.headers) == (row.status == 503)


@pytest.mark.anyio
async def test_a_picture_of_something_else_is_refused_with_its_score() -> None:
    app = fake_app()

    @app.get("/fails")
    async def _() -> None:
        raise NotAChestXray(2.5, 1.25)

    async with client_of(app) as client:
        answer = await client.get("/fails")
    problem = answer.json()
    assert answer.status_code == 422
    assert problem["type"] == "urn:cxr:problem:not-a-chest-x-ray"
    assert (problem["score"], problem["threshold"]) == (2.5, 1.25)
    assert "2.50" in problem["detail"]


@pytest.mark.anyio
async def test_an_operators_error_within_a_request_is_a_bug_and_not_told() -> None:
    app = fake_app()

    @app.get("/fails")
    async def _() -> None:
        raise CheckpointCorrupt("/srv/secret/path.h5: broken")

    assert issubclass(CheckpointCorrupt, OperatorError)
    async with client_of(app) as client:
        answer = await client.get("/fails")
    assert answer.status_code == 500
    assert "secret" not in answer.text


@pytest.mark.anyio
async def test_a_parameter_of_the_wrong_type_is_malformed() -> None:
    app = fake_app()

    @app.get("/counts")
    async def _(n: int = Query()) -> int:
        return n

    async with client_of(app) as client:
        answer = await client.get("/counts", params={"n": "many"})
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:cxr:problem:malformed-request"
    assert "query.n" in answer.json()["detail"]
