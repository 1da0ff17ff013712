"""The node's settings: typed, and loud when wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.pacs.settings import Peer, read_pacs_settings, read_peer
from app.settings import read_settings, unknown_variables
from app.xray.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

DESTINATION = "ARCHIVE@127.0.0.1:4242"


def test_what_is_not_set_has_the_documented_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_PACS_DESTINATION", DESTINATION)

    settings = read_pacs_settings()

    assert settings.pacs_host == "127.0.0.1"
    assert settings.pacs_port == 11112
    assert settings.pacs_ae_title == "CXR"
    assert settings.pacs_calling == ()
    assert settings.service_url == "http://127.0.0.1:8000"
    assert settings.pacs_heatmap is False
    assert settings.pacs_report_refusals is True


def test_titles_that_may_send_stand_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_PACS_CALLING", "ORTHANC, CR 1")

    assert read_pacs_settings(pacs_destination=DESTINATION).pacs_calling == ("ORTHANC", "CR 1")


def test_without_a_destination_the_node_does_not_start() -> None:
    with pytest.raises(SettingsError, match="CXR_PACS_DESTINATION is not set"):
        read_pacs_settings()


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        (DESTINATION, Peer("ARCHIVE", "127.0.0.1", 4242)),
        ("A B@pacs.example.org:104", Peer("A B", "pacs.example.org", 104)),
        ("PACS@[::1]:104", Peer("PACS", "::1", 104)),
    ],
    ids=["address", "title with a space", "IPv6"],
)
def test_a_destination_is_a_title_at_a_host_and_port(text: str, peer: Peer) -> None:
    assert read_peer(text) == peer


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PACS_DESTINATION", "127.0.0.1:4242"),
        ("PACS_DESTINATION", "ARCHIVE@127.0.0.1"),
        ("PACS_DESTINATION", "ARCHIVE@127.0.0.1:0"),
        ("PACS_DESTINATION", "A-TITLE-OF-17-CHARS@h:1"),
        ("PACS_DESTINATION", "ftp://archive"),
        ("PACS_PORT", "70000"),
        ("PACS_AE_TITLE", "back\\slash"),
        ("PACS_AE_TITLE", ""),
        ("PACS_CALLING", "A,this title is too long"),
        ("PACS_MAX_ASSOCIATIONS", "0"),
        ("PACS_TIMEOUT_S", "nan"),
        ("PACS_HEATMAP", "perhaps"),
        ("PACS_TLS_CERTIFICATE", "/nowhere/node.pem"),
        ("SERVICE_URL", "127.0.0.1:8000"),
    ],
)
def test_a_bad_value_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("CXR_PACS_DESTINATION", DESTINATION)
    monkeypatch.setenv(f"CXR_{name}", value)

    with pytest.raises(SettingsError, match=f"CXR_{name}="):
        read_pacs_settings()


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    certificate = tmp_path / "node.pem"
    certificate.write_text("")

    with pytest.raises(SettingsError, match="CXR_PACS_TLS_KEY belong together"):
        read_pacs_settings(pacs_destination=DESTINATION, pacs_tls_certificate=certificate)


def test_the_service_takes_the_nodes_variables_for_no_misspelt_ones_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CXR_PACS_DESTINATION", DESTINATION)
    monkeypatch.setenv("CXR_SERVICE_URL", "http://127.0.0.1:8000")
    monkeypatch.setenv("CXR_PROT", "8000")

    read_settings()
    assert unknown_variables() == ["CXR_PROT"]
