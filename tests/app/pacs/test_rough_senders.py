"""Senders that come in crowds, leave in the middle, or stall: the node goes on for the others."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from pynetdicom import AE, evt

from benchmarks.rig.dicom_peers import draw_film
from tests.app.pacs.conftest import count_of
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.app.pacs.conftest import Rig

    Start = Callable[..., Rig]

CROWD = 64
REJECTED_TRANSIENT = 2
"""The result of an A-ASSOCIATE-RJ (PS3.8, 9.3.4)."""
ABORT = b"\x07\0\0\0\0\x04\0\0\0\0"
"""An A-ABORT (PS3.8, 9.3.8)."""
BEGUN_ASSOCIATION = b"\x01\0\0\0\x02\0" + b"\0" * 100
BEGUN_DATA = b"\x04\0\0\0\x40\0" + b"\0" * 100
"""The heads of PDUs that are longer than what follows."""
STALL_S = 0.5


def test_of_64_associations_at_once_those_beyond_the_bound_are_told_to_come_back(
    start: Start,
) -> None:
    rig = start(pacs_max_associations=10)
    with ExitStack() as stack:
        made = [stack.enter_context(rig.sender.association()) for _ in range(CROWD)]
        established = [each for each in made if each.is_established]
        others = [each for each in made if each not in established]
        assert len(established) == 10
        assert all(each.is_rejected for each in others)
        assert {each.acceptor.primitive.result for each in others} == {REJECTED_TRANSIENT}
        found = [each.send_c_store(draw_film(n)).Status for n, each in enumerate(established)]
        assert found == [0x0000] * 10

    assert count_of(rig, "associations", "rejected") == CROWD - 10
    wait_until(rig.sender.echoes)  # the node notices in its own time that they have left


@pytest.mark.parametrize("last_words", [ABORT, b""], ids=["abort", "connection lost"])
def test_an_association_that_ends_in_the_middle_of_a_data_set_brings_no_film(
    start: Start, last_words: bytes
) -> None:
    rig = start()
    pieces = 0

    def leave(event: Any) -> None:
        nonlocal pieces
        pieces += 1
        if pieces == 4:  # of the command one, of the data set some
            wire = event.assoc.dul.socket.socket
            if last_words:
                wire.sendall(last_words)
            wire.shutdown(socket.SHUT_RDWR)

    entity = AE(ae_title="MODALITY")
    entity.add_requested_context(DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", rig.sender.port, ae_title="CXR")
    association.bind(evt.EVT_PDU_SENT, leave)
    found = association.send_c_store(draw_film())

    assert "Status" not in found
    assert rig.sender.echoes()
    wait_until(lambda: count_of(rig, "associations", "aborted") == 1)
    assert not rig.service.films
    assert not rig.archive.received


@contextmanager
def occupying(rig: Rig, begun: bytes, *, trickles: bool) -> Iterator[None]:
    """The only association that the node has room for, taken by one who never sends a whole PDU."""
    is_over = threading.Event()

    def trickle(wire: socket.socket) -> None:
        with suppress(OSError):
            while not is_over.wait(STALL_S / 10):
                wire.send(b"\0")

    with ExitStack() as stack:
        if begun is BEGUN_DATA:
            association = stack.enter_context(rig.sender.association())
            assert association.is_established
            wire = association.dul.socket.socket
        else:
            wire = stack.enter_context(socket.create_connection(("127.0.0.1", rig.sender.port)))
        wire.sendall(begun)
        trickling = threading.Thread(target=trickle, args=(wire,))
        if trickles:
            trickling.start()
        try:
            yield
        finally:
            is_over.set()
            if trickles:
                trickling.join()


@pytest.mark.parametrize("begun", [BEGUN_ASSOCIATION, BEGUN_DATA], ids=["association", "data"])
@pytest.mark.parametrize("trickles", [False, True], ids=["silent", "byte by byte"])
def test_who_stalls_in_the_middle_of_a_pdu_makes_room_for_others(
    start: Start, begun: bytes, trickles: bool
) -> None:
    rig = start(pacs_stall_s=STALL_S, pacs_max_associations=1)
    with occupying(rig, begun, trickles=trickles):
        wait_until(rig.sender.echoes, limit_s=20)


def test_a_sender_is_not_taken_for_stalled_while_the_service_has_its_film(start: Start) -> None:
    rig = start(pacs_stall_s=STALL_S, pacs_timeout_s=20)
    rig.service.gate.clear()
    with rig.sender.association() as association:
        sending = threading.Thread(target=lambda: association.send_c_store(draw_film()))
        sending.start()
        wait_until(lambda: rig.service.films)
        since = time.monotonic()
        wait_until(lambda: time.monotonic() > since + 2 * STALL_S)  # the limit is what is tried
        rig.service.gate.set()
        sending.join()

        assert association.send_c_store(draw_film(1)).Status == 0x0000
    assert len(rig.archive.received) == 2
