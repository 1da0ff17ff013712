from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import numpy as np
import psutil
import pytest
import yaml
from pydantic import ValidationError

from app.cluster import application
from app.inference.loading import load_classifier
from app.settings import read_settings
from app.xray.errors import SettingsError
from app.xray.preprocess import preprocess
from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from tests.bounds import TINY_PROBABILITIES
from tests.live import ROOT, START_LIMIT_S, reserved_port
from tests.waiting import until, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

RAY_SERVICE = ROOT / "deploy/ray/serve.yaml"
SERVE = Path(sys.executable).with_name("serve")
MAX_QUEUE = 4
CLIENTS = 3
REPLICA = "ray::ServeReplica:cxr-inference:cxr-inference"


def serve_config() -> dict[str, Any]:
    """What KubeRay hands to Ray Serve."""
    found: dict[str, Any] = yaml.safe_load(
        yaml.safe_load(RAY_SERVICE.read_text())["spec"]["serveConfigV2"]
    )
    return found


def options(**arguments: Any) -> Any:
    return application(arguments)._bound_deployment


def test_what_a_replica_may_use_is_what_its_process_is_held_to() -> None:
    asked = options(cpus=3, gpus=0).ray_actor_options
    assert asked["num_cpus"] == 3
    assert asked["runtime_env"]["env_vars"] == {"OMP_NUM_THREADS": "3", "CUDA_VISIBLE_DEVICES": ""}


def test_a_replica_with_a_gpu_sees_the_one_that_ray_gives_it() -> None:
    asked = options(cpus=0.5, gpus=1).ray_actor_options
    assert asked["num_gpus"] == 1
    assert asked["runtime_env"]["env_vars"] == {"OMP_NUM_THREADS": "1"}


def test_a_replica_that_is_to_end_is_given_the_longest_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CXR_REQUEST_TIMEOUT_S", "70")
    assert options()._deployment_config.graceful_shutdown_timeout_s > 70


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"min_replicas": 3, "max_replicas": 2}, id="bounds-crossed"),
        pytest.param({"min_replicas": 0}, id="none"),
        pytest.param({"cpus": 0}, id="no-cpu"),
        pytest.param({"gpus": -1}, id="less-than-no-gpu"),
        pytest.param({"requests_per_replica": "many"}, id="no-number"),
        pytest.param({"replicas": 2}, id="unknown"),
    ],
)
def test_a_wrong_argument_stops_the_start(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        application(arguments)


def test_a_wrong_setting_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_ENGINE", "steam")
    with pytest.raises(SettingsError, match="CXR_ENGINE"):
        application({})


class Cluster(NamedTuple):
    address: str
    folder: Path
    """Where Ray keeps its logs, and whatever else it writes."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with reserved_port() as port:
        yield port


@pytest.fixture(scope="module")
def cluster(
    port: int, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Two replicas, as deploy/ray/serve.yaml says but for their number and port."""
    config = serve_config()
    config["http_options"] = {"host": "127.0.0.1", "port": port}
    config["applications"][0]["args"] |= {"min_replicas": 2, "max_replicas": 2, "cpus": 0.5}
    file = tmp_path_factory.mktemp("ray") / "serve.yaml"
    file.write_text(yaml.safe_dump(config))
    # Of its own, and short: a socket's path has at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="ray"))
    environment = {
        **os.environ,
        "CXR_MODEL_PATH": str(tiny_checkpoint),
        "CXR_MAX_QUEUE": str(MAX_QUEUE),
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "disabled",
        "RAY_TMPDIR": str(folder),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
    }
    log = file.with_name("log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [SERVE, "run", file], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    address = f"http://127.0.0.1:{config['http_options']['port']}"
    try:
        found = Cluster(address, folder)
        with suppress(TimeoutError):
            wait_until(
                lambda: process.poll() is not None or is_ready(address), limit_s=START_LIMIT_S
            )
            wait_until(lambda: len(replicas(found)) == 2, limit_s=START_LIMIT_S)
        assert is_ready(address), log.read_text(errors="replace")
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def replicas(cluster: Cluster) -> set[psutil.Process]:
    """Their processes."""
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error, IndexError):
            is_ours = process.environ().get("RAY_TMPDIR") == str(cluster.folder)
            if is_ours and process.cmdline()[0].startswith(REPLICA):
                found.add(process)
    return found


def test_a_replica_answers_as_the_service_does_elsewhere(
    cluster: Cluster, tiny_checkpoint: Path, png: bytes
) -> None:
    classifier = load_classifier(read_settings(model_path=tiny_checkpoint))
    (expected,) = classifier.predict(preprocess(png, classifier.contract)[np.newaxis])
    answer = httpx.post(f"{cluster.address}/predict", content=png).raise_for_status().json()
    assert answer["probabilities"] == pytest.approx(expected.probabilities, abs=TINY_PROBABILITIES)
    assert answer["model"]["sha256"] == classifier.checkpoint.sha256


def test_a_refusal_has_the_services_own_words_and_one_id(cluster: Cluster) -> None:
    answer = httpx.post(
        f"{cluster.address}/predict", content=b"hello", headers={"X-Request-ID": "mine"}
    )
    assert answer.status_code == 415
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers.get_list("X-Request-ID") == ["mine"]
    assert answer.json()["request_id"] == "mine"


def written_by(cluster: Cluster, line: bytes) -> dict[Path, bytes] | None:
    """All files in its folder, once `line` is in one of them: the log is written behind time."""
    files = [f for f in cluster.folder.rglob("*") if f.is_file() and not f.is_symlink()]
    written = {file: file.read_bytes() for file in files}
    return written if any(line in text for text in written.values()) else None


def test_nothing_of_a_patient_is_written_anywhere(cluster: Cluster) -> None:
    """Above 100 kB, where Ray moves what is sent from process to process in another way, too."""
    uploads = [
        (200, encode(draw_radiograph(size=(300, 300)))),
        (200, encode(draw_radiograph(size=(1500, 1500)))),
        (200, write_dicom(np.asarray(draw_radiograph(size=(400, 400))))),
        (415, b"Doe^Jane is no picture" * 100),
        (422, encode(draw_radiograph(size=(300, 300)))[:-2000]),
    ]
    for status, data in uploads:
        form = {"file": ("Doe^Jane.png", data, "image/png")}
        answer = httpx.post(f"{cluster.address}/predict", files=form, timeout=60)
        assert answer.status_code == status
    written = wait_until(lambda: written_by(cluster, b"POST /predict 422"))
    for file, text in written.items():
        assert b"Doe^Jane" not in text, file
        assert not any(data[1000:1064] in text for _, data in uploads), file


def test_the_page_is_there_too(cluster: Cluster) -> None:
    assert "chest X-ray" in httpx.get(cluster.address).text


@pytest.mark.anyio
async def test_what_finds_no_place_is_told_when_to_come_back(cluster: Cluster) -> None:
    slow = encode(draw_radiograph((3000, 3000)))
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits()) as client:
        asked = (client.post(f"{cluster.address}/predict", content=slow) for _ in range(40))
        answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} == {200, 503}
    for answer in answers:
        if answer.status_code == 503:
            assert answer.json()["type"] == "urn:cxr:problem:queue-full"
            assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.anyio
async def test_a_replica_that_is_killed_costs_no_more_than_what_it_had(
    cluster: Cluster, jpeg: bytes
) -> None:
    before = replicas(cluster)
    answers: list[int] = []
    is_over = asyncio.Event()

    async def ask(client: httpx.AsyncClient) -> None:
        while not is_over.is_set():
            answer = await client.post(f"{cluster.address}/predict", content=jpeg)
            answers.append(answer.status_code)

    async with httpx.AsyncClient(timeout=60) as client, asyncio.TaskGroup() as clients:
        for _ in range(CLIENTS):
            clients.create_task(ask(client))
        await until(lambda: len(answers) > 10 * CLIENTS)
        min(before, key=lambda process: process.pid).kill()
        asked = len(answers)
        await asyncio.to_thread(wait_until, lambda: replicas(cluster) - before)
        await until(lambda: len(answers) > asked + 10 * CLIENTS)
        is_over.set()
    assert len(replicas(cluster)) == 2
    assert sum(status != 200 for status in answers) <= CLIENTS, "more than was under way there"
