"""Where reports go: an application entity on associations that are kept, and STOW-RS."""

from __future__ import annotations

from email.parser import BytesParser
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from pydicom import Dataset, dcmread
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.pacs.network import associations
from benchmarks.rig.dicom_peers import draw_film
from tests.app.pacs.certificates import Authority
from tests.app.pacs.conftest import ANSWER, read, serving
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.requests import Request

    from tests.app.pacs.conftest import Rig

    Start = Callable[..., Rig]


def test_films_that_follow_each_other_share_an_association_with_the_destination(
    start: Start,
) -> None:
    rig = start()
    for index in range(3):
        assert rig.sender.send(draw_film(index)).Status == 0x0000

    assert len(rig.archive.received) == 3
    assert rig.archive.associations == 1


def test_an_association_that_nobody_needs_is_released(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(associations, "KEPT_S", 0.1)
    rig = start()
    rig.sender.send(draw_film())

    wait_until(lambda: not rig.archive.open_associations)
    assert rig.sender.send(draw_film(1)).Status == 0x0000


def test_an_association_that_the_destination_has_left_meanwhile_costs_no_film(
    start: Start,
) -> None:
    rig = start()
    rig.sender.send(draw_film())
    rig.archive.hang_up()

    assert rig.sender.send(draw_film(1)).Status == 0x0000
    assert len(rig.archive.received) == 2


def test_one_that_ends_before_the_answer_is_replaced_once(start: Start) -> None:
    rig = start()
    rig.sender.send(draw_film())
    rig.archive.hang_ups = 1

    assert rig.sender.send(draw_film(1)).Status == 0x0000
    assert len(rig.archive.received) == 2
    assert rig.archive.associations == 2


def test_a_destination_that_hangs_up_every_time_makes_the_sender_send_again(start: Start) -> None:
    rig = start()
    rig.archive.hang_ups = 100

    assert rig.sender.send(draw_film()).Status == 0xA700
    assert rig.sender.echoes()


def test_a_destination_that_never_answers_makes_the_sender_send_again_in_time(
    start: Start,
) -> None:
    rig = start(pacs_timeout_s=1)
    with rig.archive.silence():
        assert rig.sender.send(draw_film()).Status == 0xA700
        assert rig.sender.echoes()


@pytest.mark.parametrize("code", [0xB000, 0xB006, 0xB007, 0x0111])
def test_a_destination_that_keeps_a_report_with_a_remark_has_accepted_it(
    start: Start, code: int
) -> None:
    rig = start()
    rig.archive.status = code

    assert rig.sender.send(draw_film()).Status == 0x0000


@pytest.mark.parametrize("code", [0xA700, 0xA900, 0xC000, 0x0122, 0x0124])
def test_a_destination_that_refuses_leaves_its_association_open_for_the_next(
    start: Start, code: int
) -> None:
    rig = start()
    rig.archive.status = code
    assert rig.sender.send(draw_film()).Status == 0xA700
    rig.archive.status = 0x0000

    assert rig.sender.send(draw_film()).Status == 0x0000
    assert rig.archive.associations == 1
    assert rig.sender.echoes()


class Web:
    """A DICOMweb service that takes STOW-RS, and answers as a test says."""

    def __init__(self) -> None:
        self.received: list[Dataset] = []
        self.answer: Callable[[list[Dataset]], Response] = kept

    async def store(self, request: Request) -> Response:
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        message = BytesParser().parsebytes(head + await request.body())
        sent = [dcmread(BytesIO(part.get_payload(decode=True))) for part in message.get_payload()]
        answer = self.answer(sent)
        if answer.status_code == 200:
            self.received += sent
        return answer

    def application(self) -> Starlette:
        return Starlette(routes=[Route("/dicom-web/studies", self.store, methods=["POST"])])


def kept(documents: list[Dataset], *, media_type: str = "application/dicom+json") -> Response:
    """What PS3.18 10.5.3 has an origin server say that stored all."""
    items = [
        {
            "00081150": {"vr": "UI", "Value": [document.SOPClassUID]},
            "00081155": {"vr": "UI", "Value": [document.SOPInstanceUID]},
        }
        for document in documents
    ]
    return JSONResponse({"00081199": {"vr": "SQ", "Value": items}}, media_type=media_type)


def failed(documents: list[Dataset]) -> Response:
    items = [
        {
            "00081155": {"vr": "UI", "Value": [document.SOPInstanceUID]},
            "00081197": {"vr": "US", "Value": [0xA700]},
        }
        for document in documents
    ]
    body = {"00081198": {"vr": "SQ", "Value": items}}
    return JSONResponse(body, 202, media_type="application/dicom+json")


@pytest.fixture
def web() -> Iterator[tuple[Web, str]]:
    found = Web()
    with serving(found.application()) as address:
        yield found, f"{address}/dicom-web"


def test_a_report_reaches_a_destination_that_takes_stow(start: Start, web: tuple[Web, str]) -> None:
    taking, address = web
    rig = start(pacs_destination=address)

    assert rig.sender.send(draw_film()).Status == 0x0000
    (report,) = taking.received
    found = map(float, read(report)["Probability by the model, 0 to 1"])
    assert list(found) == list(ANSWER["probabilities"].values())


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "application/dicom+json; charset=utf-8"],
    ids=["plain", "charset"],
)
def test_what_it_keeps_is_understood_in_any_spelling_of_json(
    start: Start, web: tuple[Web, str], media_type: str
) -> None:
    taking, address = web
    taking.answer = lambda sent: kept(sent, media_type=media_type)
    rig = start(pacs_destination=address)

    assert rig.sender.send(draw_film()).Status == 0x0000


@pytest.mark.parametrize(
    "answer",
    [
        failed,
        lambda _: kept([]),
        lambda _: Response("busy", 503),
        lambda _: Response("no", 401),
        lambda _: JSONResponse({}, 409),
        lambda _: Response("<html>log in</html>", media_type="text/html"),
        lambda _: Response("<html", media_type="application/dicom+xml"),
        lambda _: Response("{", media_type="application/dicom+json"),
        lambda _: JSONResponse({"00081199": 1}, media_type="application/dicom+json"),
        lambda _: Response(),
    ],
    ids="failed nothing 503 401 409 page cut-xml cut-json odd-json empty".split(),
)
def test_where_it_does_not_say_that_it_keeps_the_report_the_sender_sends_again(
    start: Start, web: tuple[Web, str], answer: Callable[[list[Dataset]], Response]
) -> None:
    taking, address = web
    taking.answer = answer
    rig = start(pacs_destination=address)

    found = rig.sender.send(draw_film())
    assert found.Status == 0xA700
    assert "destination" in found.ErrorComment
    taking.answer = kept
    assert rig.sender.send(draw_film()).Status == 0x0000
    assert rig.sender.echoes()


def test_a_stow_service_that_is_down_makes_the_sender_send_again(start: Start) -> None:
    rig = start(pacs_destination="http://127.0.0.1:9/dicom-web")

    assert rig.sender.send(draw_film()).Status == 0xA700
    assert rig.sender.echoes()


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "stranger"])
def test_a_stow_service_over_tls_is_given_reports_where_it_is_known(
    start: Start, tmp_path: Path, is_known: bool
) -> None:
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    certificate, key = ours.issue("web")
    taking = Web()
    tls: dict[str, Any] = {"ssl_certfile": certificate, "ssl_keyfile": key}
    with serving(taking.application(), **tls) as address:
        trusted = ours if is_known else other
        rig = start(
            pacs_destination=f"{address}/dicom-web",
            pacs_destination_tls_authority=trusted.certificate,
        )

        found = rig.sender.send(draw_film()).Status
        assert found == (0x0000 if is_known else 0xA700)
        assert len(taking.received) == is_known
        assert rig.sender.echoes()
        rig.destination.close()  # before the server, which else waits for it
