"""The service as a process of its own."""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest
from PIL import Image

from app.settings import VERSION
from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from tests.live import (
    ROOT,
    address_of,
    is_draining,
    live,
    port_of,
    run_app,
    served,
    takes_nobody,
    upload_under_way,
)
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def client(tiny_checkpoint: Path) -> Iterator[httpx.Client]:
    with served(tiny_checkpoint, max_upload_mb="3", device="cpu") as client:
        yield client


def test_a_live_server_answers_as_designed(client: httpx.Client, png: bytes) -> None:
    answer = client.post("/predict", files={"file": ("x.png", png, "image/png")})
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {
        "label", "confidence", "probabilities", "prediction_set", "uncertain", "warnings",
        "model", "request_id",
    }  # fmt: skip
    assert sum(body["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    assert body["model"]["name"] == "tiny"
    health = client.get("/health").json()
    assert (health["status"], health["engine"], health["device"]) == ("ready", "openvino", "cpu")


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
            {"model_path": "README.md"}, "README.md: not a readable HDF5 file", id="corrupt"
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


def start_and_end(**settings: str) -> tuple[int, str]:
    """The port of a server on any free one, ended as soon as it answers, and its log."""
    process = run_app("--port", "0", drain_s="0", **settings)
    port = port_of(process)
    assert httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=30).status_code == 200
    process.send_signal(signal.SIGTERM)
    return port, process.communicate(timeout=60)[1]


@pytest.fixture(scope="module")
def of_this_machine(tiny_checkpoint: Path) -> tuple[int, str]:
    """Port and log of a server as it is by itself: only this machine reaches it, without a key."""
    return start_and_end(model_path=str(tiny_checkpoint))


def test_any_free_port_is_taken_for_0_and_the_log_tells_which(
    of_this_machine: tuple[int, str],
) -> None:
    port, log = of_this_machine
    assert f"listening on http://127.0.0.1:{port}\n" in log


def test_a_sample_is_drawn_into_the_file_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    done = run_app("sample", str(path))
    done.communicate(timeout=60)
    assert done.returncode == 0
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("PNG", "L")
        assert image.info == {}, "nothing but the picture"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["sample"], "sample OUT.png", id="no-file"),
        pytest.param(["serve", "film.png"], "sample OUT.png", id="a-file-for-another-command"),
        pytest.param(["sample", "nowhere/film.png"], "cannot be written", id="no-folder"),
    ],
)
def test_a_sample_that_cannot_be_drawn_ends_with_2(arguments: list[str], words: str) -> None:
    done = run_app(*arguments)
    _, said = done.communicate(timeout=60)
    assert done.returncode == 2
    assert words in said
    assert "Traceback" not in said


def test_an_open_address_without_keys_is_warned_of(
    of_this_machine: tuple[int, str], tiny_checkpoint: Path
) -> None:
    warning = "neither CXR_API_KEYS nor its file is set"
    everywhere = "0.0.0.0"  # noqa: S104
    logs = [
        start_and_end(model_path=str(tiny_checkpoint), **settings)[1]
        for settings in ({"host": everywhere, "api_keys": "x"}, {"host": everywhere})
    ]
    assert [warning in log for log in (of_this_machine[1], *logs)] == [False, False, True]


def test_the_version_is_told() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "--version"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, VERSION)


def test_a_port_that_is_taken_ends_the_start_with_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = run_app("--port", port)
        _, log = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"error: CXR_HOST='127.0.0.1', CXR_PORT={port}: cannot listen there" in log


@pytest.mark.parametrize("host", ["nonsense.invalid", "x" * 70])
def test_a_host_that_is_none_of_ours_ends_the_start_with_2(host: str) -> None:
    process = run_app("--host", host, "--port", "0")
    _, log = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "cannot listen there" in log
    assert "Traceback" not in log


def test_sigterm_is_announced_by_health_refuses_nobody_and_ends_with_0(
    tiny_checkpoint: Path, png: bytes
) -> None:
    with live(tiny_checkpoint, drain_s="600", max_uplod_mb="1") as (client, process):
        before = client.post("/predict", content=png)
        process.send_signal(signal.SIGTERM)
        with httpx.Client(base_url=client.base_url) as another:  # a connection of its own
            health = wait_until(lambda: is_draining(another))
            served = [another.post("/predict", content=png).status_code for _ in range(3)]
            alive = another.get("/health/live")
        process.send_signal(signal.SIGTERM)
        log = process.communicate(timeout=30)[1]
        with pytest.raises(httpx.ConnectError):
            httpx.get(client.base_url)
    assert before.status_code == 200
    assert (health.status_code, health.json()["status"]) == (503, "draining")
    assert "connection" not in before.headers
    assert health.headers["connection"] == "close", "clients connect elsewhere"
    assert (served, alive.status_code) == ([200] * 3, 200)
    assert "draining: health says so, and requests are served for 600 s" in log
    assert (
        log.index("draining") < log.rindex("POST /predict 200") < log.index("no longer listening")
    )
    assert process.returncode == 0
    assert "Traceback" not in log
    assert "CXR_MAX_UPLOD_MB is no setting of this version" in log


@pytest.mark.parametrize(
    ("drain_s", "number"),
    [
        pytest.param("0.2", signal.SIGTERM, id="draining-comes-to-its-end"),
        pytest.param("600", signal.SIGINT, id="ctrl-c"),
    ],
)
def test_every_way_to_end_is_quiet_and_0(
    drain_s: str, number: signal.Signals, tiny_checkpoint: Path
) -> None:
    """A second SIGTERM ends draining in the test above, and one without draining below."""
    with live(tiny_checkpoint, drain_s=drain_s) as (_, process):
        process.send_signal(number)
        log = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    assert "Traceback" not in log


def wait_for_the_reader(process: subprocess.Popen[str]) -> None:
    """Until the server answers, and its reader knows its task.

    One that still waits for that complains when its parent is gone.
    """
    with httpx.Client(base_url=f"http://127.0.0.1:{port_of(process)}") as client:
        assert client.get("/health/live").status_code == 200
    server = psutil.Process(process.pid)
    wait_until(lambda: any(can_read(child) for child in server.children(recursive=True)))


def can_read(process: psutil.Process) -> bool:
    try:
        return any("h5py" in mapped.path for mapped in process.memory_maps())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["sigterm", "killed"],
)
def test_a_server_told_to_end_while_it_loads_takes_its_reader_along(
    number: signal.Signals, code: int, tiny_checkpoint: Path
) -> None:
    process = run_app("--port", "0", model_path=str(tiny_checkpoint), drain_s="0")
    wait_for_the_reader(process)
    process.send_signal(number)
    _, log = process.communicate(timeout=60)  # which waits for whoever holds its stderr
    assert process.returncode == code
    assert "Traceback" not in log


WATCH = """
import os, sys

def tell(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        with open(os.environ["TOLD"], "a") as file:
            file.write(f"{os.getpid()} {event} {arguments!r}\\n")
    if event == "import":
        with open(os.environ["IMPORTED"], "a") as file:
            file.write(f"{os.getpid()} {arguments[0]}\\n")

sys.addaudithook(tell)
"""


def test_nothing_is_sent_while_a_checkpoint_is_loaded_and_served(
    tiny_checkpoint: Path, png: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO's telemetry would be, by default, at its first import; and not in a CI."""
    for name in ("CI", "GITHUB_ACTIONS", "JENKINS_URL", "TF_BUILD"):
        monkeypatch.delenv(name, raising=False)
    told, imported = tmp_path / "told", tmp_path / "imported"
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    told.touch()
    monkeypatch.setenv("TOLD", str(told))
    monkeypatch.setenv("IMPORTED", str(imported))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))  # where consent, or an id, would be kept
    with live(tiny_checkpoint, drain_s="0") as (client, process):
        assert client.post("/predict", content=png).status_code == 200
        engine = client.get("/model").json()["engine"]
    assert engine["name"] == "openvino"
    outside = [line for line in told.read_text().splitlines() if "127.0.0.1" not in line]
    assert outside == []
    assert not (tmp_path / "intel").exists()
    lines = [line.split() for line in imported.read_text().splitlines()]
    assert "openvino" in {name for _, name in lines}, "the tell-tale does not tell"
    assert not [name for _, name in lines if name.startswith("openvino_telemetry.")]
    of_the_server = {name for pid, name in lines if pid == str(process.pid)}
    assert "openvino" in of_the_server
    assert not {"keras", "tensorflow", "scipy", "h5py"} & of_the_server


def test_a_head_without_end_is_refused(client: httpx.Client) -> None:
    with socket.create_connection(address_of(client)) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX: ")
        connection.settimeout(5)
        sent = 0
        with suppress(OSError):  # it hangs up on us
            while not select.select([connection], [], [], 0)[0] and sent < 20_000_000:
                sent += connection.send(b"a" * 65_536)
        with suppress(ConnectionResetError):
            assert connection.recv(1000).startswith((b"HTTP/1.1 431", b"HTTP/1.1 400", b""))
    assert sent < 20_000_000
    assert client.get("/health", headers={"X-Long": "a" * 30_000}).status_code == 200


def test_an_upload_under_way_at_the_end_is_finished(tiny_checkpoint: Path, png: bytes) -> None:
    with (
        live(tiny_checkpoint, drain_s="0", request_timeout_s="600") as (client, process),
        upload_under_way(client, png) as connection,
    ):
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: takes_nobody(client))
        connection.sendall(png[100:])
        answer = connection.recv(1000)
        process.communicate(timeout=30)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert process.returncode == 0


@pytest.fixture(scope="module")
def debugged(tiny_checkpoint: Path) -> tuple[list[int], int, str]:
    """What a server that says all that it can answers to names, its exit code, and its log."""
    exif = Image.Exif()
    exif[0x010E] = "PATIENT DOE^JANE"
    exif[0x0112] = 6
    data = encode(draw_radiograph(), "JPEG", exif=exif)
    with live(tiny_checkpoint, drain_s="0", log_level="debug") as (client, process):
        client.post(
            "/predict",
            content=b"--DOE\xff",
            headers={"Content-Type": "multipart/form-data; boundary=DOE"},
        )
        answer = client.post("/predict?name=DOE", files={"file": ("DOE^JANE.jpg", data)})
        broken = client.post("/predict", files={"file": ("DOE^JANE.jpg", data[:3000])})
        process.send_signal(signal.SIGTERM)
        log = process.communicate(timeout=30)[1]
    return [answer.status_code, broken.status_code], process.returncode, log


def test_nothing_of_a_picture_reaches_the_log_even_at_debug(
    debugged: tuple[list[int], int, str],
) -> None:
    statuses, _, log = debugged
    assert statuses == [200, 422]
    assert "POST /predict 200" in log
    assert "DOE" not in log


def test_a_sigterm_without_draining_is_quiet_and_0(debugged: tuple[list[int], int, str]) -> None:
    _, code, log = debugged
    assert code == 0
    assert "Traceback" not in log


def test_the_shared_road_loads_no_web_code() -> None:
    code = (
        "import sys, app.xray, app.xray.preprocess, app.xray.checkpoint, app.xray.network; "
        "print({'fastapi', 'starlette', 'uvicorn', 'tensorflow', 'keras'} & set(sys.modules))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "set()"
