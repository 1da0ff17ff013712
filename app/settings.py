"""The service's settings: environment variables that start with CXR_."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.xray.contract import parse_input
from app.xray.decode import MAX_PIXELS
from app.xray.errors import SettingsError

VERSION = "0.1.0"

PREFIX = "CXR_"
_OF_THE_NODE = ("CXR_PACS_", "CXR_SERVICE_URL")
"""Variables that `python -m app.pacs` reads; they may stand in the same environment."""
DEFAULT_UPLOADS_HELD = 10
DEFAULT_HELD_MB = 200
"""Of the largest size so many uploads are held at once, up to so much memory, but two at least,
where `max_queue_mb` is not set."""
_PILLOW_REFUSES_ABOVE = 178_956_970
_ADMIN_KEY = re.compile(r"[!-+\--~]+")
"""What an HTTP header can carry as it is, but for the comma that stands between keys."""
API_KEY = re.compile(r"([A-Za-z0-9._-]{1,64}:)?[!-+\--9;-~]+")
"""An entry of `api_keys`, and a line of `api_keys_file`."""
KEY_RULE = (
    "a key consists of printable ASCII characters, no spaces, commas or colons; "
    "a name of letters, digits, '.', '_' and '-' may stand before it, as in name:key"
)

PrecisionSetting = Literal["auto", "f32", "bf16"]
Key = Annotated[SecretStr, Field(min_length=1)]
Read = TypeVar("Read", bound=BaseSettings)


class Settings(BaseSettings):
    """Read once, at the start; a bad value stops it. Units stand in the names."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    model_path: Path = Path("models/best_model.h5")
    """The checkpoint that is served."""
    model_sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None = None
    """When set, the digest that the checkpoint must have; compared before it is parsed."""
    classes: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], NoDecode] | None = None
    """Outputs in order, separated by commas, for a checkpoint that carries no contract."""
    input: str | None = None
    """How its input is made of a picture, for such a one: see `app.xray.contract.parse_input`."""
    engine: Literal["auto", "openvino", "tensorflow"] = "auto"
    device: Literal["auto", "cpu", "gpu"] = "auto"
    precision: PrecisionSetting = "auto"
    """Of OpenVINO's numbers; "auto" takes bf16 where contract and CPU have it."""
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    max_upload_mb: Annotated[float, Field(gt=0, le=1024, allow_inf_nan=False)] = 101
    """Megabytes of 1,000,000 bytes; a DICOM file of `MAX_PIXELS` takes two bytes for each."""
    max_pixels: Annotated[int, Field(gt=0, le=_PILLOW_REFUSES_ABOVE)] = MAX_PIXELS
    decode_timeout_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 10
    """How long one picture is decoded that is not decoded in no time by its kind and size."""
    max_batch_size: Annotated[int, Field(ge=1, le=1024)] | None = None
    """None leaves it to the engine, as for `max_wait_ms`."""
    max_wait_ms: Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)] | None = None
    """How long a batch that is not full waits for more, since its first picture came."""
    max_queue: Annotated[int, Field(ge=1, le=100_000)] = 128
    """Uploads that wait, decoding included; a further one is refused."""
    max_queue_mb: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Megabytes of uploads held at once, those that are still arriving included."""
    max_connections: Annotated[int, Field(ge=1, le=100_000)] = 512
    """Beyond these a client is told to come back."""
    ood: Literal["refuse", "warn", "off"] = "refuse"
    """What becomes of a picture that the checkpoint's gate takes for no chest X-ray."""
    request_timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30
    """From its first byte to its answer."""
    drain_s: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 5
    """How long a server that was told to end goes on listening, its health saying so."""
    api_keys: Annotated[tuple[Key, ...], NoDecode] = ()
    """Where there are any, a request needs one; health needs none. Separated by commas.

    Each is `key` or `name:key`; log and metrics tell the name.
    """
    api_keys_file: Path | None = None
    """More of them, one a line; read at the start, and anew on SIGHUP."""
    admin_key: Key | None = None
    """Opens `POST /admin/reload`, which without it is not there."""
    cors_origins: Annotated[
        tuple[Annotated[str, Field(pattern=r"^https?://[^/\s]+$")], ...], NoDecode
    ] = ()
    """Web pages of other origins that may ask, such as https://viewer.example.org."""
    docs: bool = True
    """Whether `/docs` and `/openapi.json` are there."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    traces: bool = False
    """Whether spans are sent to where OpenTelemetry's own variables say."""
    log_json: bool = False
    """Whether each line of the log is a JSON object."""

    @field_validator("classes", "api_keys", "cors_origins", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(","))
        return value

    @field_validator("api_keys")
    @classmethod
    def _are_keys(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(API_KEY.fullmatch(entry.get_secret_value()) for entry in value):
            raise ValueError(KEY_RULE)
        return value

    @field_validator("admin_key")
    @classmethod
    def _fits_into_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _ADMIN_KEY.fullmatch(value.get_secret_value()):
            raise ValueError("a key consists of printable ASCII characters, no spaces or commas")
        return value

    @field_validator("input")
    @classmethod
    def _can_be_read(cls, value: str | None) -> str | None:
        if value is not None:
            parse_input(value)
        return value

    @field_validator("classes")
    @classmethod
    def _are_distinct(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is None:
            return None
        if len(value) < 2 or len(set(value)) != len(value):
            raise ValueError("needs two or more different names, separated by commas")
        return value

    @model_validator(mode="after")
    def _largest_upload_fits(self) -> Self:
        if self.max_queue_mb is not None and self.max_queue_mb < self.max_upload_mb:
            raise ValueError(
                f"CXR_MAX_QUEUE_MB={self.max_queue_mb:g} must hold at least one upload of "
                f"CXR_MAX_UPLOAD_MB={self.max_upload_mb:g}"
            )
        return self

    @property
    def needs_key(self) -> bool:
        """Whether requests need a key."""
        return bool(self.api_keys or self.api_keys_file)

    @property
    def max_upload_bytes(self) -> int:
        """The largest upload, in bytes."""
        return int(self.max_upload_mb * 1_000_000)

    @property
    def max_held_bytes(self) -> int:
        """What uploads may take in memory, all together, in bytes."""
        largest = self.max_upload_mb
        usual = max(2 * largest, min(DEFAULT_UPLOADS_HELD * largest, DEFAULT_HELD_MB))
        return int((self.max_queue_mb or usual) * 1_000_000)


def read_settings(**overrides: Any) -> Settings:
    """The settings from the environment; `overrides` go before it.

    Raises:
        SettingsError: a value is not allowed; names the variable, the value and what is.
    """
    return read_environment(Settings, **overrides)


def read_environment(kind: type[Read], **overrides: Any) -> Read:
    """Settings of `kind` from the environment; `overrides` go before it.

    Raises:
        SettingsError: a value is not allowed; names the variable, the value unless it is a
            secret, and what is allowed.
    """
    try:
        return kind(**overrides)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(kind, each) for each in error.errors())) from error


def unknown_variables() -> list[str]:
    """Variables of the environment that start with CXR_ and are no setting: likely misspelt."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    ours = (name for name in os.environ if name.startswith(PREFIX))
    return sorted(name for name in ours if name not in known and not name.startswith(_OF_THE_NODE))


def _explain(kind: type[BaseSettings], detail: Any) -> str:
    field = str(*detail["loc"][:1])
    if not field:  # a check that looks at several of them, and names them
        return str(detail["ctx"]["error"])
    known = kind.model_fields.get(field)
    value = "***" if known and _is_secret(known.annotation) else repr(detail["input"])
    return f"{PREFIX}{field.upper()}={value}: {detail['msg']}"


def _is_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(map(_is_secret, get_args(annotation)))
