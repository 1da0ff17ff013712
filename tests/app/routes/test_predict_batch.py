from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from app.server.uploads import MAX_FILES
from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from tests.app.fakes import (
    BrightnessEngine,
    FakeEngine,
    StuckEngine,
    client_of,
    fake_app,
    fake_classifier,
    full_queue,
    gate_at,
    never_read,
)

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.anyio


def form(*files: bytes) -> list[tuple[str, Any]]:
    """A field `files` for each."""
    return [("files", (f"{number}.png", data)) for number, data in enumerate(files)]


def kinds(answer: httpx.Response) -> list[str]:
    """Of each result its label, or what kind of problem it is."""
    assert answer.status_code == 200, answer.text
    return [
        result.get("label") or result["type"].removeprefix("urn:cxr:problem:")
        for result in answer.json()["results"]
    ]


async def test_each_file_is_answered_as_it_is_alone_and_in_order(png: bytes, jpeg: bytes) -> None:
    dicom = write_dicom(np.asarray(draw_radiograph(3)))
    async with client_of(fake_app()) as client:
        together = await client.post("/predict/batch", files=form(png, jpeg, dicom))
        alone = [await client.post("/predict", content=data) for data in (png, jpeg, dicom)]
    body = together.json()
    assert body["request_id"] == together.headers["X-Request-ID"]
    for found, expected in zip(body["results"], alone, strict=True):
        assert found == expected.json() | {"request_id": body["request_id"]}


async def test_a_bad_file_has_a_problem_in_its_place_and_spoils_no_other(png: bytes) -> None:
    large = encode(draw_radiograph(size=(2000, 2000)))
    files = form(png, b"hello", png[:-2000], b"", large, png)
    async with client_of(fake_app(max_upload_mb=1)) as client:
        answer = await client.post("/predict/batch", files=files)
    assert kinds(answer) == [
        "PNEUMONIA",
        "unsupported-image-type",
        "unusable-image",
        "malformed-request",
        "too-many-bytes",
        "PNEUMONIA",
    ]
    problem = answer.json()["results"][1]
    assert set(problem) == {"type", "title", "status", "detail", "instance", "request_id"}
    assert (problem["status"], problem["instance"]) == (415, "/predict/batch")
    assert problem["request_id"] == answer.headers["X-Request-ID"]


async def test_what_is_no_chest_x_ray_brings_its_score(png: bytes) -> None:
    gate = gate_at(0.9, within=0.001)
    app = fake_app(lambda _: fake_classifier(BrightnessEngine(), ood=gate))
    async with client_of(app) as client:
        (result,) = (await client.post("/predict/batch", files=form(png))).json()["results"]
    assert result["type"] == "urn:cxr:problem:not-a-chest-x-ray"
    assert result["score"] > result["threshold"]


async def test_refused_files_are_counted(png: bytes) -> None:
    async with client_of(fake_app()) as client:
        await client.post("/predict/batch", files=form(png, b"hello", b"hello"))
        text = (await client.get("/metrics")).text
    assert 'cxr_refused_total{reason="unsupported-image-type"} 2.0' in text


async def test_a_request_of_many_does_not_crowd_itself_out(png: bytes) -> None:
    async with client_of(fake_app(max_queue=2)) as client:
        answer = await client.post("/predict/batch", files=form(*[png] * MAX_FILES))
    assert kinds(answer) == ["PNEUMONIA"] * MAX_FILES


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        pytest.param({"files": [("file", ("x.png", b"x"))]}, "no fields 'files'", id="other-field"),
        pytest.param({"content": b"hello"}, "no multipart form", id="no-form"),
        pytest.param(
            {"files": [*form(b"x"), ("files", (None, "text"))]}, "is text", id="a-text-field"
        ),
        pytest.param({"files": form(*[b"x"] * (MAX_FILES + 1))}, "65 fields", id="too-many"),
        pytest.param(
            {
                "content": b"hello",
                "headers": {"Content-Type": "multipart/form-data; boundary=b"},
            },
            "broken",
            id="broken-form",
        ),
    ],
)
async def test_a_request_that_is_malformed_is_refused_whole(
    sent: dict[str, Any], detail: str
) -> None:
    async with client_of(fake_app()) as client:
        answer = await client.post("/predict/batch", **sent)
    assert answer.status_code == 400
    assert detail in answer.json()["detail"]


async def test_more_than_all_uploads_may_take_is_refused_whole(png: bytes) -> None:
    app = fake_app(max_upload_mb=0.1, max_queue_mb=0.15)
    async with client_of(app) as client:
        answer = await client.post("/predict/batch", files=form(*[png] * 5))
    assert answer.status_code == 413
    assert "0.15 MB together" in answer.json()["detail"]


async def test_it_is_held_to_the_time_of_a_request(png: bytes) -> None:
    engine = StuckEngine()
    app = fake_app(lambda _: fake_classifier(engine), request_timeout_s=0.2)
    async with client_of(app) as client:
        answer = await client.post("/predict/batch", files=form(png, png))
        engine.released.set()
    assert answer.status_code == 504


async def test_a_full_queue_refuses_before_anything_is_read(png: bytes) -> None:
    async with full_queue(png) as client:
        answer = await client.post("/predict/batch", content=never_read())
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:cxr:problem:queue-full"
    assert answer.headers["Retry-After"]


async def test_a_fault_of_the_model_is_a_fault_of_the_service(png: bytes) -> None:
    class Breaking(FakeEngine):
        is_broken = False

        def predict(self, batch: Any, *, with_features: bool = False) -> Any:
            if self.is_broken:
                raise RuntimeError("a bug")
            return super().predict(batch, with_features=with_features)

    engine = Breaking()
    async with client_of(fake_app(lambda _: fake_classifier(engine))) as client:
        engine.is_broken = True
        answer = await client.post("/predict/batch", files=form(png, png))
    assert answer.status_code == 500
    assert "a bug" not in answer.text
