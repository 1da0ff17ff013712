"""The service as a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.drawing import draw_radiograph, encode
from tests.live import ROOT, run_app, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx


@pytest.fixture(scope="module")
def client(tiny_checkpoint: Path) -> Iterator[httpx.Client]:
    with served(tiny_checkpoint, max_upload_mb="3", device="cpu") as client:
        yield client


def test_a_live_server_answers_as_designed(client: httpx.Client, png: bytes) -> None:
    answer = client.post("/predict", files={"file": ("x.png", png, "image/png")})
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {
        "label", "confidence", "probabilities", "uncertain", "warnings", "model", "request_id",
    }  # fmt: skip
    assert sum(body["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    assert body["model"]["name"] == "tiny"
    health = client.get("/health").json()
    assert (health["status"], health["engine"], health["device"]) == ("ready", "tensorflow", "cpu")


def test_the_form_and_the_raw_body_get_the_same_probabilities(
    client: httpx.Client, jpeg: bytes
) -> None:
    form = client.post("/predict", files={"file": ("x.jpg", jpeg)}).json()
    raw = client.post("/predict", content=jpeg, headers={"Content-Type": "image/jpeg"}).json()
    assert form["probabilities"] == raw["probabilities"]


def test_an_upload_past_starlettes_spooling_limit_is_served(client: httpx.Client) -> None:
    data = encode(draw_radiograph(size=(1600, 1500)), compress_level=1)
    assert 1_048_576 < len(data) < 3_000_000
    assert client.post("/predict", files={"file": ("x.png", data)}).status_code == 200


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"", 400, id="empty"),
        pytest.param(b"hello", 415, id="no-image"),
        pytest.param(encode(draw_radiograph())[:5000], 422, id="truncated"),
        pytest.param(bytes(3_000_001), 413, id="too-many-bytes"),
    ],
)
def test_bad_uploads_are_refused_and_the_next_is_served(
    client: httpx.Client, data: bytes, status: int, png: bytes
) -> None:
    answer = client.post("/predict", files={"file": ("x.png", data)})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.post("/predict", content=png).status_code == 200


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param(
            {"model_path": "nowhere.h5"},
            "error: nowhere.h5: no such file\nName another checkpoint in CXR_MODEL_PATH, or train",
            id="missing-checkpoint",
        ),
        pytest.param(
            {"model_path": "README.md"}, "README.md: Keras tells formats by", id="corrupt"
        ),
        pytest.param({"model_sha256": "0" * 64}, "is demanded", id="another-digest"),
        pytest.param({"port": "http"}, "error: CXR_PORT='http': ", id="setting"),
    ],
)
def test_what_cannot_be_served_ends_the_start_with_2_and_a_message(
    settings: dict[str, str], message: str, tiny_checkpoint: Path
) -> None:
    arguments = [] if "port" in settings else ["--port", "0"]
    process = run_app(*arguments, **{"model_path": str(tiny_checkpoint), **settings})
    _, log = process.communicate(timeout=60)
    assert process.returncode == 2
    assert message in log
    assert "Traceback" not in log


def test_a_signal_ends_it_without_a_trace(tiny_checkpoint: Path) -> None:
    process = run_app("--port", "0", model_path=str(tiny_checkpoint), max_uplod_mb="1")
    assert process.stderr is not None
    log = ""
    while "app.service: ready" not in log:
        line = process.stderr.readline()
        assert line, log
        log += line
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=30)[1]
    assert process.returncode in {0, -signal.SIGTERM}
    assert "Traceback" not in log + rest
    assert "CXR_MAX_UPLOD_MB is no setting of this version" in log


def test_the_shared_road_loads_no_web_code() -> None:
    code = (
        "import sys, app.xray, app.xray.preprocess, app.xray.checkpoint, app.xray.network; "
        "print({'fastapi', 'starlette', 'uvicorn', 'tensorflow', 'keras'} & set(sys.modules))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "set()"
