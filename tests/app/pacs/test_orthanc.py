"""With a real archive: what Orthanc routes to the node has its report beside it in the study."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import SecondaryCaptureImageStorage

from benchmarks.rig.dicom_peers import draw_film
from tests.app.pacs.conftest import CAVEAT, Rig, count_of, read
from tests.live import ROOT, reserved_port
from tests.tools import find_tool
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUTE = ROOT / "deploy/pacs/route.lua"
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
"""Where Debian's orthanc-dicomweb puts the plugin."""


class Orthanc:
    """A real archive on free ports, with its files below `folder`."""

    def __init__(self, folder: Path, dicom_port: int, http_port: int) -> None:
        self.folder, self.dicom_port = folder, dicom_port
        # It closes a connection that is idle for a second, maybe just as the next request comes.
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{http_port}",
            timeout=10,
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.configuration: dict[str, Any] = {
            "Name": "archive",
            "StorageDirectory": str(folder / "files"),
            "IndexDirectory": str(folder / "files"),
            "DicomAet": "ARCHIVE",
            "DicomPort": self.dicom_port,
            "HttpPort": http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "LuaScripts": [str(ROUTE)],
            "Plugins": [],
        }

    @property
    def address(self) -> str:
        return str(self.http.base_url)

    def start(self, node_port: int) -> None:
        self.configuration["DicomModalities"] = {"cxr": ["CXR", "127.0.0.1", node_port]}
        path = self.folder / "orthanc.json"
        path.write_text(json.dumps(self.configuration))
        self.process = subprocess.Popen(
            [find_tool("Orthanc"), str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self.is_up)

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def is_up(self) -> bool:
        try:
            return self.http.get("/system").status_code == 200
        except httpx.TransportError:
            return False

    def is_idle(self) -> bool:
        """Whether it has sent all that it was to send."""
        jobs = self.http.get("/jobs?expand").json()
        return bool(jobs) and all(job["State"] in {"Success", "Failure"} for job in jobs)

    def instances(self, modality: str) -> list[str]:
        """Instances of a modality, by Orthanc's own REST."""
        query = {"Level": "Instance", "Query": {"Modality": modality}, "Expand": False}
        found: list[str] = self.http.post("/tools/find", json=query).json()
        return found


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    find_tool("Orthanc")
    with reserved_port() as dicom_port, reserved_port() as http_port:
        archive = Orthanc(tmp_path, dicom_port, http_port)
        yield archive
        archive.stop()
        archive.http.close()


def store(path: Path, orthanc: Orthanc) -> None:
    """Send a film to the archive, as a modality does."""
    where = ["127.0.0.1", str(orthanc.dicom_port)]
    subprocess.run([find_tool("storescu"), "-aec", "ARCHIVE", *where, str(path)], check=True)


def fetch(orthanc: Orthanc, instance: str, path: Path) -> Dataset:
    """An instance that the archive has, as a file at `path`."""
    path.write_bytes(orthanc.http.get(f"/instances/{instance}/file").content)
    return dcmread(path)


def errors_of(path: Path) -> list[str]:
    """What dciodvfy finds wrong with an object."""
    told = subprocess.run(
        [find_tool("dciodvfy"), str(path)], capture_output=True, text=True, check=False
    )
    said = (told.stderr + told.stdout).splitlines()
    assert said, "it names at least the object's kind"
    return [line for line in said if line.startswith("Error")]


@pytest.mark.parametrize("name", ["Doe^Jane", "", None], ids=["named", "empty", "nameless"])
def test_a_film_that_storescu_sends_to_orthanc_has_its_report_beside_it(
    start: Callable[..., Rig],
    orthanc: Orthanc,
    real_service: httpx.Client,
    tmp_path: Path,
    name: str | None,
) -> None:
    rig = start(
        pacs_destination=f"ARCHIVE@127.0.0.1:{orthanc.dicom_port}",
        service_url=str(real_service.base_url),
        pacs_timeout_s=60,
    )
    orthanc.start(rig.node.address[1])
    sent = draw_film(PatientName=name)
    film = tmp_path / "film.dcm"
    sent.save_as(film, enforce_file_format=True)
    expected = real_service.post("/predict", content=film.read_bytes()).json()["probabilities"]

    store(film, orthanc)
    wait_until(lambda: orthanc.instances("SR"))

    (instance,) = orthanc.instances("SR")
    study = orthanc.http.get(f"/instances/{instance}/study").json()
    assert study["MainDicomTags"]["StudyInstanceUID"] == sent.StudyInstanceUID
    assert len(study["Series"]) == 2
    report = tmp_path / "report.dcm"
    said = read(fetch(orthanc, instance, report))
    found = list(map(float, said["Probability by the model, 0 to 1"]))
    assert found == pytest.approx(list(expected.values()), abs=1e-12)
    assert said["Measured at hospitals unseen in training"] == [CAVEAT]
    page = subprocess.run(
        [find_tool("dsr2html"), str(report)], capture_output=True, text=True, check=True
    ).stdout
    assert "Research software, not a medical device" in page
    assert errors_of(report) == []


def test_the_heat_map_stands_beside_the_report_as_a_capture_and_is_not_sent_round_again(
    start: Callable[..., Rig], orthanc: Orthanc, real_service: httpx.Client, tmp_path: Path
) -> None:
    rig = start(
        pacs_destination=f"ARCHIVE@127.0.0.1:{orthanc.dicom_port}",
        service_url=str(real_service.base_url),
        pacs_heatmap=True,
        pacs_timeout_s=60,
    )
    orthanc.start(rig.node.address[1])
    film = tmp_path / "film.dcm"
    sent = draw_film()
    sent.save_as(film, enforce_file_format=True)

    store(film, orthanc)
    wait_until(lambda: orthanc.instances("OT"))
    wait_until(lambda: orthanc.is_idle() and count_of(rig, "films", "reported"))

    (instance,) = orthanc.instances("OT")
    (report,) = orthanc.instances("SR")
    path = tmp_path / "heat.dcm"
    capture = fetch(orthanc, instance, path)
    assert capture.StudyInstanceUID == sent.StudyInstanceUID
    assert capture.SOPClassUID == SecondaryCaptureImageStorage
    assert capture.BurnedInAnnotation == "YES"
    assert np.ptp(capture.pixel_array.astype(int), axis=-1).max() > 0, "it has colours"
    assert errors_of(path) == []
    fetch(orthanc, report, path)
    assert errors_of(path) == []
    assert count_of(rig, "films", "reported") == 1
    assert count_of(rig, "films", "own-work") == 0


def test_a_report_reaches_orthanc_by_stow(
    start: Callable[..., Rig], orthanc: Orthanc, tmp_path: Path
) -> None:
    if not DICOMWEB.exists():
        assert not os.environ.get("TOOLS_REQUIRED"), "no orthanc-dicomweb"
        pytest.skip("no orthanc-dicomweb")
    orthanc.configuration |= {
        "Plugins": [str(DICOMWEB)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    rig = start(pacs_destination=f"{orthanc.address}/dicom-web", pacs_timeout_s=20)
    orthanc.start(rig.node.address[1])
    film = tmp_path / "film.dcm"
    sent = draw_film()
    sent.save_as(film, enforce_file_format=True)

    store(film, orthanc)
    wait_until(lambda: orthanc.instances("SR"))
    wait_until(orthanc.is_idle)

    (instance,) = orthanc.instances("SR")
    report = fetch(orthanc, instance, tmp_path / "report.dcm")
    assert report.StudyInstanceUID == sent.StudyInstanceUID
    assert errors_of(tmp_path / "report.dcm") == []
    assert rig.sender.send(sent).Status == 0x0000, "it has that report already"
    assert orthanc.instances("SR") == [instance]


def test_a_destination_that_is_stopped_and_started_meanwhile_has_each_report_once(
    start: Callable[..., Rig], orthanc: Orthanc
) -> None:
    rig = start(pacs_destination=f"ARCHIVE@127.0.0.1:{orthanc.dicom_port}", pacs_timeout_s=20)
    orthanc.start(rig.node.address[1])
    films = [draw_film(seed) for seed in range(12)]
    waiting = list(films)
    for number, sent in enumerate(list(waiting)):
        if number == 4:
            orthanc.stop()
        if rig.sender.send(sent).get("Status") == 0x0000:
            waiting.remove(sent)
    assert len(waiting) == 8
    orthanc.start(rig.node.address[1])
    for sent in waiting:
        assert rig.sender.send(sent).Status == 0x0000

    wait_until(lambda: len(orthanc.instances("SR")) >= len(films))
    assert len(orthanc.instances("SR")) == len(films)
