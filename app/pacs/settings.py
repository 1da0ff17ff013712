"""The node's settings: CXR_PACS_ environment variables, and a few of the service's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.settings import PREFIX, read_environment
from app.xray.errors import SettingsError

_TITLE = r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$"
"""An application entity's title (PS3.5 6.2): 1 to 16 printable characters, no backslash."""

Title = Annotated[str, Field(pattern=_TITLE)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class Peer(NamedTuple):
    """An application entity that takes what is sent to it."""

    title: str
    host: str
    port: int


class PacsSettings(BaseSettings):
    """Read once, at the start; a bad value stops it. Units stand in the names."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    pacs_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    pacs_port: Port = 11112
    pacs_ae_title: Title = "CXR"
    """The node's own title; an association that calls another is refused."""
    pacs_calling: Annotated[tuple[Title, ...], NoDecode] = ()
    """Titles that may send, separated by commas; none: all."""
    pacs_destination: Annotated[str, Field(min_length=1)] | None = None
    """`AET@host:port` for C-STORE, or the URL of a DICOMweb service for STOW-RS."""
    pacs_heatmap: bool = False
    """Whether a secondary capture with the heat map goes with each report."""
    pacs_report_refusals: bool = True
    """Whether a film that the service refuses gets a report that says why."""
    pacs_max_associations: Annotated[int, Field(ge=1, le=1000)] = 10
    pacs_max_film_mb: Annotated[float, Field(gt=0, le=1024, allow_inf_nan=False)] = 100
    """Megabytes of 1,000,000 bytes that one film may have."""
    pacs_timeout_s: Seconds = 60
    """From a film's last byte until it is answered for, waiting for a busy service included."""
    pacs_stall_s: Seconds = 30
    """How long a peer may send nothing before its association is aborted."""
    pacs_drain_s: Seconds = 60
    """How long films under way are given to be finished after SIGTERM."""
    pacs_health_port: Port = 11113
    """Where `/health` and `/metrics` are, on `pacs_host`."""
    pacs_tls_certificate: Path | None = None
    """With its key: the node speaks TLS; with an authority, senders need a certificate of it."""
    pacs_tls_key: Path | None = None
    pacs_tls_authority: Path | None = None
    pacs_destination_tls_certificate: Path | None = None
    """With its key: what the node shows to a destination that asks for a certificate."""
    pacs_destination_tls_key: Path | None = None
    pacs_destination_tls_authority: Path | None = None
    """What the destination's certificate is held against; naming it turns TLS on for C-STORE."""
    pacs_service_key: SecretStr | None = None
    """The key of the service, where it needs one."""
    service_url: Annotated[str, Field(pattern=r"^https?://[^/\s]+(/\S*)?$")] = (
        "http://127.0.0.1:8000"
    )
    """The service that is asked."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_json: bool = False

    @field_validator("pacs_calling", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(filter(None, (name.strip() for name in value.split(","))))
        return value

    @field_validator("pacs_destination")
    @classmethod
    def _is_a_peer_or_a_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            read_peer(value)
        return value

    @field_validator(
        "pacs_tls_certificate",
        "pacs_tls_key",
        "pacs_tls_authority",
        "pacs_destination_tls_certificate",
        "pacs_destination_tls_key",
        "pacs_destination_tls_authority",
    )
    @classmethod
    def _is_there(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("there is no such file")
        return value

    @model_validator(mode="after")
    def _certificates_have_keys(self) -> Self:
        for side in ("pacs_tls", "pacs_destination_tls"):
            certificate = getattr(self, f"{side}_certificate")
            if (certificate is None) != (getattr(self, f"{side}_key") is None):
                raise ValueError(
                    f"CXR_{side.upper()}_CERTIFICATE and CXR_{side.upper()}_KEY belong together"
                )
        if self.pacs_tls_authority and not self.pacs_tls_certificate:
            raise ValueError("CXR_PACS_TLS_AUTHORITY needs CXR_PACS_TLS_CERTIFICATE and its key")
        return self

    @property
    def max_film_bytes(self) -> int:
        """The largest film, in bytes."""
        return int(self.pacs_max_film_mb * 1_000_000)


def read_peer(text: str) -> Peer:
    """The application entity that `AET@host:port` names.

    Raises:
        ValueError: it has another form, or a port that is none.
    """
    title, at, address = text.partition("@")
    host, colon, port = address.rpartition(":")
    fits = at and colon and host and title and len(title) <= 16 and port.isdigit()
    if not fits or not 0 < int(port) <= 65535:
        raise ValueError("expected AET@host:port, or a URL that starts with http:// or https://")
    return Peer(title, host.strip("[]"), int(port))


def read_pacs_settings(**overrides: Any) -> PacsSettings:
    """The settings from the environment; `overrides` go before it.

    Raises:
        SettingsError: a value is not allowed; names the variable, the value and what is.
    """
    settings = read_environment(PacsSettings, **overrides)
    if settings.pacs_destination is None:
        raise SettingsError(
            "CXR_PACS_DESTINATION is not set: name where reports go, AET@host:port or a URL"
        )
    return settings
