"""How a live server answers to signals."""

from __future__ import annotations

import shutil
import signal
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import httpx

from app.server.serve import EXIT_UNANSWERED
from tests.live import address_of, live, port_of, run_app, takes_nobody, upload_under_way
from tests.waiting import wait_until

if TYPE_CHECKING:
    from typing import Any


def replace_file(path: Path, content: bytes) -> None:
    """At once, as whoever copies a checkpoint into place should do it."""
    draft = path.with_suffix(".part")
    draft.write_bytes(content)
    draft.replace(path)


def another_of(checkpoint: Path, folder: Path) -> bytes:
    """The same network in a file of another digest."""
    copy = shutil.copy(checkpoint, folder / "another.h5")
    with h5py.File(copy, "r+") as file:
        file.attrs["note"] = "another"
    return copy.read_bytes()


def wait_for_reload(client: httpx.Client, earlier: Any) -> dict[str, Any]:
    def reloaded() -> dict[str, Any] | None:
        health: dict[str, Any] = client.get("/health").json()
        return health if health["reload"] != earlier else None

    found: dict[str, Any] = wait_until(reloaded)
    return found


def test_sighup_serves_what_stands_there_now_unless_it_cannot_be_served(
    tiny_checkpoint: Path, tmp_path: Path, png: bytes
) -> None:
    path = tmp_path / "served.h5"
    shutil.copy(tiny_checkpoint, path)
    statuses: list[int] = []
    over = threading.Event()
    with live(path, drain_s="0") as (client, process):

        def keep_asking() -> None:
            with httpx.Client(base_url=client.base_url, timeout=30) as another:
                while not over.is_set():
                    statuses.append(another.post("/predict", content=png).status_code)

        asking = threading.Thread(target=keep_asking)
        asking.start()
        first = client.get("/health").json()
        replace_file(path, another_of(tiny_checkpoint, tmp_path))
        process.send_signal(signal.SIGHUP)
        second = wait_for_reload(client, None)
        replace_file(path, b"no checkpoint at all")
        process.send_signal(signal.SIGHUP)
        third = wait_for_reload(client, second["reload"])
        over.set()
        asking.join()
        process.send_signal(signal.SIGTERM)
        log = process.communicate(timeout=30)[1]
    assert first["reload"] is None
    assert second["reload"]["status"] == "succeeded"
    assert second["model"]["sha256"] == second["reload"]["sha256"] != first["model"]["sha256"]
    assert (third["status"], third["reload"]["status"]) == ("ready", "failed")
    assert "served.h5: not a readable HDF5 file" in third["reload"]["reason"]
    assert third["model"] == second["model"]
    assert set(statuses) == {200}
    assert "Traceback" not in log
    assert process.returncode == 0


def test_a_second_signal_ends_at_once_and_says_what_is_lost(
    tiny_checkpoint: Path, png: bytes
) -> None:
    with (
        live(tiny_checkpoint, drain_s="0", request_timeout_s="600") as (client, process),
        upload_under_way(client, png),  # the rest never comes
    ):
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: takes_nobody(client))
        assert process.poll() is None, "it did not wait for the upload"
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
    assert process.returncode == EXIT_UNANSWERED
    assert "ending at once: 1 requests get no answer" in log
    assert "Traceback" not in log


def test_with_all_connections_taken_its_probes_are_answered_and_all_else_is_refused(
    tiny_checkpoint: Path, png: bytes
) -> None:
    with live(tiny_checkpoint, drain_s="0", max_connections="2") as (client, process):
        client.close()
        held = [socket.create_connection(address_of(client)) for _ in range(2)]
        with httpx.Client(base_url=client.base_url) as another:
            assert another.get("/health/ready").status_code == 200
            refused = another.post("/predict", content=png)
            figures = another.get("/metrics").text
            for one in held:
                one.sendall(b"nonsense\r\n\r\n")
                assert one.recv(1000).startswith(b"HTTP/1.1 400 ")
                one.close()
            assert another.post("/predict", content=png).status_code == 200
            after = another.get("/metrics").text
        process.terminate()
        _, log = process.communicate(timeout=30)
    assert refused.status_code == 503
    assert refused.json()["type"] == "urn:cxr:problem:too-many-connections"
    assert refused.headers["connection"] == "close"
    assert int(refused.headers["retry-after"]) > 0
    assert 'cxr_refused_total{reason="too-many-connections"} 1.0' in figures
    assert 'cxr_refused_total{reason="not-http"} 0.0' in figures
    assert 'cxr_refused_total{reason="not-http"} 2.0' in after
    assert refused.headers["x-request-id"] in log
    assert log.count("not-http 400 ") == 2
    assert "nonsense" not in log


def test_no_core_file_is_written_of_a_process_that_holds_pictures(tiny_checkpoint: Path) -> None:
    process = run_app("--port", "0", model_path=str(tiny_checkpoint))
    port_of(process)
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    process.kill()
    process.communicate(timeout=60)
    (core,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert core.split()[4] == "0"
