"""`python -m app.pacs` as an operator starts and stops it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from benchmarks.rig.dicom_peers import Archive, draw_film
from tests.app.pacs.conftest import FakeService, Sender
from tests.live import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = [sys.executable, "-m", "app.pacs"]


class Process:
    """A node of its own process."""

    def __init__(self, **environment: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CXR_")}
        self.process = subprocess.Popen(
            COMMAND,
            cwd=ROOT,
            env=clean | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self.port = int(self.until(r"AE CXR on 127\.0\.0\.1:(\d+)")[1])
        self.health = self.until(r"health on (http://\S+)")[1]

    def until(self, pattern: str) -> re.Match[str]:
        """The first line of the log, from here on, that matches."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"no {pattern} in {self.lines}")

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        assert self.process.stderr is not None
        self.lines += self.process.stderr.readlines()
        return self.process.wait(30)


@pytest.fixture
def process(service: FakeService, archive: Archive) -> Iterator[Process]:
    node = Process(
        CXR_PACS_PORT="0",
        CXR_PACS_HEALTH_PORT="0",
        CXR_PACS_DESTINATION=f"ARCHIVE@127.0.0.1:{archive.port}",
        CXR_SERVICE_URL=service.url,
        CXR_PACS_TIMEOUT_S="10",
    )
    yield node
    node.process.kill()
    node.process.wait()
    assert node.process.stderr is not None
    node.process.stderr.close()


def test_it_tells_its_health_and_counts_films_by_outcome(process: Process) -> None:
    assert Sender(process.port).send(draw_film()).Status == 0x0000

    health = httpx.get(f"{process.health}/health").json()
    metrics = httpx.get(f"{process.health}/metrics").text
    assert (health["status"], health["service"]) == ("ready", "ready")
    assert 'cxr_pacs_films_total{outcome="reported"} 1.0' in metrics
    assert 'cxr_pacs_films_total{outcome="not-delivered"} 0.0' in metrics
    assert 'cxr_pacs_associations_total{outcome="accepted"} 1.0' in metrics
    assert "cxr_pacs_film_seconds_count 1.0" in metrics


def test_metrics_are_told_whatever_form_of_them_is_asked_for(process: Process) -> None:
    odd = {"Accept": "application/openmetrics-text; version=none"}

    found = httpx.get(f"{process.health}/metrics", headers=odd)

    assert found.status_code == 200
    assert "cxr_pacs_ready 1.0" in found.text


def test_on_sigterm_it_ends_with_0_and_its_log_holds_nothing_of_a_patient(
    process: Process,
) -> None:
    sent = draw_film(PatientName="Secret^Name", PatientID="SECRET-ID")
    Sender(process.port).send(sent)

    assert process.end() == 0
    log = "".join(process.lines)
    assert "1 films, 1 reported" in log
    assert "secret" not in log.lower()
    assert str(sent.SOPInstanceUID) not in log


def test_what_was_acknowledged_before_a_kill_has_its_report(
    process: Process, archive: Archive
) -> None:
    acknowledged = []
    for seed in range(6):
        if seed == 4:
            process.process.send_signal(signal.SIGKILL)
        sent = draw_film(seed)
        try:
            found = Sender(process.port).send(sent)
        except RuntimeError:  # the association was not established
            continue
        if found.get("Status") == 0x0000:
            acknowledged.append(sent.StudyInstanceUID)

    reported = {document.StudyInstanceUID for document in archive.received}
    assert len(acknowledged) >= 4
    assert set(acknowledged) <= reported


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "CXR_PACS_DESTINATION is not set"),
        ({"CXR_PACS_DESTINATION": "nowhere"}, "CXR_PACS_DESTINATION='nowhere'"),
        (
            {"CXR_PACS_DESTINATION": "A@h:1", "CXR_PACS_HOST": "192.0.2.1"},
            "cannot listen there",
        ),
    ],
    ids=["no destination", "a destination that is none", "an address of another machine"],
)
def test_what_an_operator_got_wrong_ends_with_2_and_a_sentence(
    environment: dict[str, str], words: str
) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CXR_")}
    found = subprocess.run(
        COMMAND, cwd=ROOT, env=clean | environment, capture_output=True, text=True, check=False
    )

    assert found.returncode == 2
    assert words in found.stderr
    assert "Traceback" not in found.stderr


def test_it_tells_its_version() -> None:
    found = subprocess.run(
        [*COMMAND, "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert re.fullmatch(r"cxr-inference \d+\.\d+\.\d+\n", found.stdout)
