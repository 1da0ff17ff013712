"""With a real archive: what Orthanc routes to the node has its report beside it in the study."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydicom import dcmread

from benchmarks.rig.dicom_peers import draw_film
from tests.app.pacs.conftest import ANSWER, Rig, read
from tests.live import reserved_port
from tests.tools import find_tool
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROUTE = """
function OnStoredInstance(instanceId, tags, metadata)
  if tags['Modality'] ~= 'SR' then
    SendToModality(instanceId, 'cxr')
  end
end
"""


class Orthanc:
    """A real archive on free ports, with its files below `folder`."""

    def __init__(self, folder: Path, dicom_port: int, http_port: int) -> None:
        self.folder, self.dicom_port = folder, dicom_port
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{http_port}", timeout=10)
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "route.lua").write_text(ROUTE)
        self.configuration: dict[str, Any] = {
            "Name": "archive",
            "StorageDirectory": str(folder / "files"),
            "IndexDirectory": str(folder / "files"),
            "DicomAet": "ARCHIVE",
            "DicomPort": self.dicom_port,
            "HttpPort": http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "LuaScripts": [str(folder / "route.lua")],
            "Plugins": [],
        }

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


def test_a_film_that_storescu_sends_to_orthanc_has_its_report_beside_it(
    start: Callable[..., Rig], orthanc: Orthanc, tmp_path: Path
) -> None:
    storescu, validate, to_html = map(find_tool, ("storescu", "dciodvfy", "dsr2html"))
    rig = start(pacs_destination=f"ARCHIVE@127.0.0.1:{orthanc.dicom_port}", pacs_timeout_s=20)
    orthanc.start(rig.node.address[1])
    sent = draw_film()
    path = tmp_path / "film.dcm"
    sent.save_as(path, enforce_file_format=True)

    subprocess.run(
        [storescu, "-aec", "ARCHIVE", "127.0.0.1", str(orthanc.dicom_port), str(path)], check=True
    )
    wait_until(lambda: orthanc.instances("SR"))

    (instance,) = orthanc.instances("SR")
    study = orthanc.http.get(f"/instances/{instance}/study").json()
    assert study["MainDicomTags"]["StudyInstanceUID"] == sent.StudyInstanceUID
    assert len(study["Series"]) == 2
    report = tmp_path / "report.dcm"
    report.write_bytes(orthanc.http.get(f"/instances/{instance}/file").content)
    said = read(dcmread(report))
    found = list(map(float, said["Probability by the model, 0 to 1"]))
    assert found == list(ANSWER["probabilities"].values())
    page = subprocess.run([to_html, str(report)], capture_output=True, text=True, check=True).stdout
    assert "Research software, not a medical device" in page
    told = subprocess.run([validate, str(report)], capture_output=True, text=True, check=False)
    assert "Error" not in told.stderr + told.stdout


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
