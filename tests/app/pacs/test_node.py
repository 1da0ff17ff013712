"""The node by its door: what a sender gets, and what stands in the archive then."""

from __future__ import annotations

import logging
import threading
import warnings
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from pydicom.uid import CTImageStorage, DigitalXRayImageStorageForProcessing

from app.pacs.__main__ import hush_libraries
from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from benchmarks.rig.dicom_peers import draw_film
from tests.app.pacs.conftest import ANSWER, NOT_A_CHEST, SHA256, read
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.app.pacs.conftest import Rig

    Start = Callable[..., Rig]

BUSY = (503, {"title": "Too many requests wait already", "detail": "Try again.", "status": 503})


def status_of(found: Any) -> int:
    return int(found.Status)


def test_a_film_is_answered_with_success_once_its_report_stands_in_the_archive(
    start: Start,
) -> None:
    rig = start()
    sent = draw_film()

    found = rig.sender.send(sent)

    assert status_of(found) == 0x0000
    (report,) = rig.archive.received
    assert report.StudyInstanceUID == sent.StudyInstanceUID
    assert report.PatientName == "Doe^Jane"
    assert report.PatientID == "P-1"
    assert report.SeriesInstanceUID != sent.SeriesInstanceUID
    said = read(report)
    assert list(map(float, said["Probability by the model, 0 to 1"])) == [0.24, 0.01, 0.75]
    assert said["Cannot be excluded"] == ["COVID-19", "Pneumonia"]
    assert said["Warning about this answer"] == ["a warning of the service"]
    assert said["Measured at hospitals unseen in training"] == ["Elsewhere it is worth 0.9."]
    assert f"Checkpoint SHA-256: {SHA256}" in said["Algorithm Parameters"]
    assert "not for diagnosis" in report.SeriesDescription


def test_the_first_line_of_a_report_says_that_it_is_not_for_diagnosis(start: Start) -> None:
    rig = start()
    rig.sender.send(draw_film())

    first = rig.archive.received[0].ContentSequence[0]

    assert first.TextValue.startswith("Research software, not a medical device")


def test_the_service_is_sent_the_very_pixels_of_the_film(start: Start) -> None:
    from pydicom import dcmread

    rig = start()
    sent = draw_film()
    rig.sender.send(sent)

    (data,) = rig.service.films
    assert dcmread(BytesIO(data)).PixelData == sent.PixelData


def test_a_film_sent_twice_gets_the_same_report_instance(start: Start) -> None:
    rig = start()
    rig.sender.send(draw_film())
    rig.sender.send(draw_film())

    one, other = rig.archive.received
    assert one.SOPInstanceUID == other.SOPInstanceUID
    assert one.SeriesInstanceUID == other.SeriesInstanceUID


def test_another_film_gets_another_report(start: Start) -> None:
    rig = start()
    rig.sender.send(draw_film(0))
    rig.sender.send(draw_film(1))

    one, other = rig.archive.received
    assert one.SOPInstanceUID != other.SOPInstanceUID


def test_a_key_goes_along_where_the_service_needs_one(start: Start) -> None:
    rig = start(pacs_service_key="secret")
    rig.sender.send(draw_film())

    assert rig.service.keys == ["secret"]


def test_a_busy_service_is_waited_for(start: Start) -> None:
    rig = start()
    rig.service.replies = [BUSY, BUSY, (200, ANSWER)]

    assert status_of(rig.sender.send(draw_film())) == 0x0000
    assert len(rig.service.films) == 3


@pytest.mark.parametrize(
    "reply",
    [BUSY, (500, {}), (200, {"label": "none of ours"}), (401, {})],
    ids=["busy for ever", "a bug", "no prediction", "a key is missing"],
)
def test_without_an_answer_the_sender_is_told_to_send_again(start: Start, reply: Any) -> None:
    rig = start(pacs_timeout_s=0.5)
    rig.service.replies = [reply]

    found = rig.sender.send(draw_film())

    assert status_of(found) == 0xA700
    assert "send again" in found.ErrorComment
    assert not rig.archive.received
    assert rig.sender.echoes()


def test_a_service_that_is_down_is_told_as_out_of_resources(start: Start) -> None:
    rig = start(service_url="http://127.0.0.1:9", pacs_timeout_s=0.5)

    assert status_of(rig.sender.send(draw_film())) == 0xA700
    assert rig.sender.echoes()


def test_a_destination_that_is_down_and_comes_back_gets_every_report_once(start: Start) -> None:
    rig = start()
    rig.archive.stop()
    assert status_of(rig.sender.send(draw_film())) == 0xA700

    rig.archive.start()
    assert status_of(rig.sender.send(draw_film())) == 0x0000
    assert len(rig.archive.received) == 1


def test_a_destination_that_refuses_makes_the_sender_send_again(start: Start) -> None:
    rig = start()
    rig.archive.status = 0xA700

    found = rig.sender.send(draw_film())

    assert status_of(found) == 0xA700
    assert "destination" in found.ErrorComment
    assert rig.sender.echoes()


def test_what_the_service_refuses_gets_a_report_that_says_why(start: Start) -> None:
    rig = start()
    rig.service.replies = [(422, NOT_A_CHEST)]

    assert status_of(rig.sender.send(draw_film())) == 0x0000
    said = read(rig.archive.received[0])
    assert said["Reason why the film was not answered"][-2:] == [
        "Not a chest X-ray",
        "Its distance is 3.",
    ]
    assert "Probability by the model, 0 to 1" not in said


def test_where_refusals_are_not_reported_the_sender_is_told_why(start: Start) -> None:
    rig = start(pacs_report_refusals=False)
    rig.service.replies = [(422, NOT_A_CHEST)]

    found = rig.sender.send(draw_film())

    assert status_of(found) == 0xC001
    assert found.ErrorComment == "Not a chest X-ray"
    assert not rig.archive.received


@pytest.mark.parametrize("name", ["StudyInstanceUID", "SOPInstanceUID"])
def test_a_film_without_identity_cannot_be_understood(start: Start, name: str) -> None:
    rig = start()
    broken = draw_film()
    sop_class, instance = broken.SOPClassUID, broken.SOPInstanceUID
    delattr(broken, name)

    with rig.sender.association(sop_class) as association:
        # pynetdicom's own client refuses to send a data set without them.
        broken.file_meta.MediaStorageSOPInstanceUID = instance
        found = store_raw(association, broken, sop_class, instance)

    assert status_of(found) & 0xF000 == 0xC000
    assert "Cannot be understood" in found.ErrorComment
    assert rig.sender.echoes()


def store_raw(association: Any, data: Any, sop_class: str, instance: str) -> Any:
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.dsutils import encode as encode_dataset

    request = C_STORE()
    request.MessageID = 1
    request.AffectedSOPClassUID = sop_class
    request.AffectedSOPInstanceUID = instance
    request.Priority = 2
    request.DataSet = BytesIO(encode_dataset(data, False, True) or b"")
    (context,) = [c for c in association.accepted_contexts if c.abstract_syntax == sop_class]
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, context.context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return answer


def test_a_film_announced_as_another_class_is_refused(start: Start) -> None:
    from pydicom.uid import SecondaryCaptureImageStorage

    rig = start()
    odd = draw_film()
    with rig.sender.association(SecondaryCaptureImageStorage) as association:
        found = store_raw(association, odd, SecondaryCaptureImageStorage, odd.SOPInstanceUID)

    assert status_of(found) == 0xA900
    assert rig.sender.echoes()


@pytest.mark.parametrize(
    "sop_class",
    [CTImageStorage, DigitalXRayImageStorageForProcessing],
    ids=["CT", "FOR PROCESSING"],
)
def test_what_is_no_film_for_presentation_finds_no_presentation_context(
    start: Start, sop_class: str
) -> None:
    rig = start()
    with rig.sender.association(sop_class) as association:
        accepted = {context.abstract_syntax for context in association.accepted_contexts}

    assert sop_class not in accepted
    assert rig.sender.echoes()


def test_a_film_without_a_patients_name_gets_a_report(start: Start) -> None:
    rig = start()
    nameless = draw_film()
    del nameless.PatientName

    assert status_of(rig.sender.send(nameless)) == 0x0000
    assert rig.archive.received[0].PatientName == ""


def test_an_association_that_calls_another_title_is_rejected(start: Start) -> None:
    rig = start()
    with rig.sender.association(title="OTHER") as association:
        assert association.is_rejected
    assert rig.sender.echoes()


def test_only_named_titles_may_send_where_some_are_named(start: Start) -> None:
    rig = start(pacs_calling="MODALITY,OTHER")
    with rig.sender.association(calling="STRANGER") as association:
        assert association.is_rejected
    assert rig.sender.echoes()


def test_a_film_larger_than_allowed_ends_its_association(start: Start) -> None:
    rig = start(pacs_max_film_mb=0.001)
    large = draw_film()
    large.add_new((0x0011, 0x0010), "LO", "PRIVATE")
    large.add_new((0x0011, 0x1001), "OB", b"\0" * 3_000_000)

    found = rig.sender.send(large)

    assert "Status" not in found or status_of(found) == 0xA702
    assert not rig.service.films
    assert rig.sender.echoes()


def test_an_aborted_association_leaves_the_node_answering(start: Start) -> None:
    rig = start()
    with rig.sender.association() as association:
        association.abort()

    assert rig.sender.echoes()


def test_the_associations_at_once_are_bounded(start: Start) -> None:
    rig = start(pacs_max_associations=2)
    with rig.sender.association() as one, rig.sender.association() as other:
        assert one.is_established
        assert other.is_established
        with rig.sender.association() as third:
            assert not third.is_established
    wait_until(rig.sender.echoes)  # the node notices in its own time that two have left


def test_a_drained_node_finishes_what_is_under_way_and_refuses_associations(start: Start) -> None:
    rig = start()
    rig.service.gate.clear()
    found: list[Any] = []
    sending = threading.Thread(target=lambda: found.append(rig.sender.send(draw_film())))
    sending.start()
    wait_until(lambda: rig.service.films)

    drained: list[bool] = []
    draining = threading.Thread(target=lambda: drained.append(rig.node.drain()))
    draining.start()
    rig.service.gate.set()
    draining.join(20)
    sending.join(20)

    assert drained == [True]
    assert status_of(found[0]) == 0x0000
    with rig.sender.association() as association:
        assert not association.is_established


def test_a_heat_map_goes_along_as_a_capture_with_words_burnt_in(start: Start) -> None:
    from base64 import b64encode

    png = encode(draw_radiograph(0).convert("RGB"), "PNG")
    uri = f"data:image/png;base64,{b64encode(png).decode()}"
    rig = start(pacs_heatmap=True)
    rig.service.replies = [(200, {**ANSWER, "heatmap": uri})]

    assert status_of(rig.sender.send(draw_film())) == 0x0000
    report, capture = rig.archive.received
    assert capture.BurnedInAnnotation == "YES"
    assert "not for diagnosis" in capture.SeriesDescription
    assert capture.StudyInstanceUID == report.StudyInstanceUID
    assert capture.Rows > Image.open(BytesIO(png)).height


def test_a_fault_is_logged_by_its_kind_and_its_place_and_not_by_its_words(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = "SECRET"

    def fail(_: object) -> None:
        raise ValueError(value)

    rig = start()
    monkeypatch.setattr(rig.node, "_report", fail)
    assert status_of(rig.sender.send(draw_film())) == 0xC002
    (fault,) = [found.getMessage() for found in caplog.records if "met a fault" in found.msg]
    assert "ValueError" in fault
    assert "in fail" in fault
    assert "SECRET" not in caplog.text


def test_what_libraries_warn_of_names_of_patients_is_not_said() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        hush_libraries()
        for module in ("highdicom.base", "pydicom.charset"):
            warnings.warn_explicit("SECRET", UserWarning, "base.py", 1, module=module)
    assert said == []


def test_no_value_of_an_element_reaches_the_log(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="app")
    rig = start()
    rig.sender.send(draw_film(PatientName="Secret^Name", PatientID="SECRET-ID"))
    rig.service.replies = [(422, NOT_A_CHEST)]
    rig.sender.send(draw_film(1, PatientName="Secret^Name", PatientID="SECRET-ID"))
    rig.node.drain()

    words = "\n".join(record.getMessage() for record in caplog.records if "app" in record.name)
    assert "association 1" in words
    assert "secret" not in words.lower()
    assert "2.25." not in words
