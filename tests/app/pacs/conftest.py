"""A node on free ports between a service and an archive, both of which a test tells what to do."""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)
from pynetdicom import AE
from pynetdicom.sop_class import Verification
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.pacs.destination import destination_of
from app.pacs.node import Node
from app.pacs.reporter import Reporter
from app.pacs.service import ServiceClient
from app.pacs.settings import read_pacs_settings
from app.pacs.watch import Watch
from app.xray.contract import ModelContract
from benchmarks.rig.dicom_peers import Archive
from tests.live import served
from tests.networks import write_tiny_checkpoint

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from pydicom import Dataset
    from starlette.requests import Request

    from app.pacs.destination import Destination

SHA256 = "7" * 64
ANSWER = {
    "label": "PNEUMONIA",
    "confidence": 0.75,
    "probabilities": {"COVID": 0.24, "NORMAL": 0.01, "PNEUMONIA": 0.75},
    "prediction_set": ["COVID", "PNEUMONIA"],
    "uncertain": True,
    "warnings": ["a warning of the service"],
    "model": {"name": "best_model", "sha256": SHA256, "calibrated": True},
    "request_id": "1",
}
CAVEAT = "Elsewhere the tiny model is worth nothing."
NOT_A_CHEST = {"title": "Not a chest X-ray", "detail": "Its distance is 3.", "status": 422}


class FakeService:
    """Answers as a test says: a status and a body for each film, the last one from then on."""

    def __init__(self) -> None:
        self.replies: list[tuple[int, dict[str, Any]]] = [(200, ANSWER)]
        self.model: dict[str, Any] = {"sha256": SHA256, "caveats": ["Elsewhere it is worth 0.9."]}
        self.films: list[bytes] = []
        self.keys: list[str | None] = []
        self.gate = threading.Event()
        self.gate.set()
        self.url = ""

    async def predict(self, request: Request) -> Response:
        self.films.append(await request.body())
        self.keys.append(request.headers.get("X-API-Key"))
        import anyio

        await anyio.to_thread.run_sync(self.gate.wait, 20)
        status, body = self.replies[0] if len(self.replies) == 1 else self.replies.pop(0)
        return JSONResponse(body, status, headers={"Retry-After": "0"})

    def application(self) -> Starlette:
        async def model(_: Request) -> Response:
            return JSONResponse(self.model)

        async def ready(_: Request) -> Response:
            return JSONResponse({"status": "ready"})

        return Starlette(
            routes=[
                Route("/predict", self.predict, methods=["POST"]),
                Route("/model", model),
                Route("/health/ready", ready),
            ]
        )


class Sender:
    """A modality that sends films to the node, an association for each call."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.port, self.tls = port, tls

    @contextmanager
    def association(
        self,
        *kinds: str,
        title: str = "CXR",
        calling: str = "MODALITY",
        syntax: str = ExplicitVRLittleEndian,
    ) -> Iterator[Any]:
        entity = AE(ae_title=calling)
        entity.add_requested_context(Verification)
        for kind in kinds or (DigitalXRayImageStorageForPresentation,):
            entity.add_requested_context(kind, syntax)
        made = entity.associate(
            "127.0.0.1",
            self.port,
            ae_title=title,
            tls_args=(self.tls, "127.0.0.1") if self.tls else None,
        )
        try:
            yield made
        finally:
            if made.is_established:
                made.release()

    def send(self, film: Dataset) -> Dataset:
        """The status of a C-STORE of `film`; empty where the association was aborted."""
        syntax = film.file_meta.TransferSyntaxUID
        with self.association(str(film.SOPClassUID), syntax=syntax) as association:
            found: Dataset = association.send_c_store(film)
        return found

    def echoes(self) -> bool:
        with self.association() as association:
            if not association.is_established:
                return False
            return bool(association.send_c_echo().get("Status") == 0x0000)


@contextmanager
def serving(application: Starlette, **options: Any) -> Iterator[str]:
    """The address of `application`, served in a thread; `options` are uvicorn's."""
    import socket

    listener = socket.create_server(("127.0.0.1", 0))
    options = {"timeout_graceful_shutdown": 1, **options}
    config = uvicorn.Config(application, log_config=None, lifespan="off", **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        scheme = "https" if config.is_ssl else "http"
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def service() -> Iterator[FakeService]:
    fake = FakeService()
    with serving(fake.application()) as fake.url:
        yield fake
        fake.gate.set()


@pytest.fixture(scope="session")
def real_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The service itself, with a tiny model, in a process of its own."""
    contract = ModelContract.recipe_of_2022().model_copy(update={"caveats": (CAVEAT,)})
    path = write_tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny.h5", contract)
    with served(path) as client:
        yield client


@pytest.fixture
def archive() -> Iterator[Archive]:
    fake = Archive()
    fake.start()
    yield fake
    fake.stop()


class Rig:
    """A running node, and who it talks to."""

    def __init__(
        self,
        node: Node,
        watch: Watch,
        destination: Destination,
        service: FakeService,
        archive: Archive,
    ) -> None:
        self.node, self.watch, self.destination = node, watch, destination
        self.service, self.archive = service, archive
        self.sender = Sender(node.address[1])


@pytest.fixture
def start(service: FakeService, archive: Archive) -> Iterator[Callable[..., Rig]]:
    started = []

    def start_one(**settings: Any) -> Rig:
        named = {
            "pacs_port": 0,
            "pacs_destination": f"ARCHIVE@127.0.0.1:{archive.port}",
            "service_url": service.url,
            "pacs_timeout_s": 5,
            **settings,
        }
        found = read_pacs_settings(**named)
        client = ServiceClient(found, version="1.2.3")
        watch = Watch(version="1.2.3", is_service_ready=client.is_ready)
        destination = destination_of(found)
        node = Node(found, Reporter(found, client, destination, version="1.2.3"), watch)
        node.start()
        started.append((node, client, destination))
        return Rig(node, watch, destination, service, archive)

    yield start_one
    for node, client, destination in started:
        node.drain()
        node.close()
        client.close()
        destination.close()


def count_of(rig: Rig, what: str, outcome: str) -> float:
    """What the node's metrics say of films or associations with an outcome."""
    with serving(rig.watch.application()) as address:
        text = httpx.get(f"{address}/metrics").text
    found = re.search(rf'cxr_pacs_{what}_total\{{outcome="{outcome}"\}} (\S+)', text)
    assert found, text
    return float(found[1])


def read(document: Dataset) -> dict[str, list[str]]:
    """The text, code and numeric items of a report by concept, in order."""
    found: dict[str, list[str]] = {}

    def walk(item: Dataset) -> None:
        for child in item.get("ContentSequence", ()):
            name = (
                child.ConceptNameCodeSequence[0].CodeMeaning
                if "ConceptNameCodeSequence" in child
                else ""
            )
            if child.ValueType == "TEXT":
                found.setdefault(name, []).append(child.TextValue)
            elif child.ValueType == "CODE":
                found.setdefault(name, []).append(child.ConceptCodeSequence[0].CodeMeaning)
            elif child.ValueType == "NUM":
                found.setdefault(name, []).append(str(child.MeasuredValueSequence[0].NumericValue))
            walk(child)

    walk(document)
    return json.loads(json.dumps(found))
