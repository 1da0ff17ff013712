"""TLS in both directions: who may send, and whom reports are given to."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from app.xray.errors import SettingsError
from benchmarks.rig.dicom_peers import Archive, draw_film
from tests.app.pacs.certificates import Authority
from tests.app.pacs.conftest import Sender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.app.pacs.conftest import Rig

    Start = Callable[..., Rig]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "ours")


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "strangers")


def of_node(ours: Authority) -> dict[str, Any]:
    certificate, key = ours.issue("node")
    return {
        "pacs_tls_certificate": certificate,
        "pacs_tls_key": key,
        "pacs_tls_authority": ours.certificate,
    }


def test_a_sender_with_a_certificate_of_the_authority_is_answered(
    start: Start, ours: Authority
) -> None:
    rig = start(**of_node(ours))
    sender = Sender(rig.sender.port, ours.client(ours.issue("modality")))

    assert sender.send(draw_film()).Status == 0x0000
    assert len(rig.archive.received) == 1
    assert sender.echoes()


def test_whoever_has_no_certificate_of_the_authority_gets_no_association(
    start: Start, ours: Authority, strangers: Authority
) -> None:
    rig = start(**of_node(ours))
    refused = {
        "a stranger's certificate": ours.client(strangers.issue("stranger")),
        "no certificate": ours.client(None),
        "no TLS": None,
    }
    for tls in refused.values():
        with Sender(rig.sender.port, tls).association() as association:
            assert not association.is_established

    assert Sender(rig.sender.port, ours.client(ours.issue("modality"))).echoes()


def test_without_an_authority_the_connection_is_encrypted_for_anybody(
    start: Start, ours: Authority
) -> None:
    rig = start(**{**of_node(ours), "pacs_tls_authority": None})

    assert Sender(rig.sender.port, ours.client(None)).echoes()


def test_a_client_that_never_shakes_hands_keeps_nobody_out(start: Start, ours: Authority) -> None:
    rig = start(**of_node(ours))
    sender = Sender(rig.sender.port, ours.client(ours.issue("modality")))

    with socket.create_connection(("127.0.0.1", rig.sender.port)):
        assert sender.echoes()


@pytest.mark.parametrize(
    "setting", ["pacs_tls_certificate", "pacs_tls_authority", "pacs_destination_tls_authority"]
)
def test_a_file_that_holds_no_certificate_stops_the_start(
    start: Start, ours: Authority, tmp_path: Path, setting: str
) -> None:
    path = tmp_path / "none.pem"
    path.write_text("no certificate")

    with pytest.raises(SettingsError, match=f"CXR_{setting.upper()}"):
        start(**{**of_node(ours), setting: path})


@pytest.fixture
def locked(ours: Authority) -> Iterator[Archive]:
    """An archive that asks for a certificate of our authority."""
    found = Archive(ours.server("archive"))
    found.start()
    yield found
    found.stop()


def of_destination(archive: Archive, trusted: Authority, shown: Authority) -> dict[str, Any]:
    certificate, key = shown.issue("sender")
    return {
        "pacs_destination": f"ARCHIVE@127.0.0.1:{archive.port}",
        "pacs_destination_tls_authority": trusted.certificate,
        "pacs_destination_tls_certificate": certificate,
        "pacs_destination_tls_key": key,
    }


def test_a_report_goes_to_a_destination_that_asks_for_the_nodes_certificate(
    start: Start, locked: Archive, ours: Authority
) -> None:
    rig = start(**of_destination(locked, ours, ours))

    assert rig.sender.send(draw_film()).Status == 0x0000
    assert len(locked.received) == 1


@pytest.mark.parametrize("stranger", ["node", "destination"])
def test_where_one_shows_a_strangers_certificate_the_film_is_to_be_sent_again(
    start: Start, locked: Archive, ours: Authority, strangers: Authority, stranger: str
) -> None:
    trusted, shown = (ours, strangers) if stranger == "node" else (strangers, ours)
    rig = start(**of_destination(locked, trusted, shown))

    assert rig.sender.send(draw_film()).Status == 0xA700
    assert not locked.received
    assert rig.sender.echoes()


def test_a_destination_without_tls_is_given_no_report_where_tls_is_asked_for(
    start: Start, archive: Archive, ours: Authority
) -> None:
    rig = start(**of_destination(archive, ours, ours))

    assert rig.sender.send(draw_film()).Status == 0xA700
    assert not archive.received
    assert rig.sender.echoes()
