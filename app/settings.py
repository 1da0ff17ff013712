"""The service's settings: environment variables that start with CXR_."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.xray.contract import DEFAULT_CLASSES
from app.xray.decode import MAX_PIXELS
from app.xray.errors import SettingsError

VERSION = "0.1.0"

PREFIX = "CXR_"
_PILLOW_REFUSES_ABOVE = 178_956_970


class Settings(BaseSettings):
    """Read once, at the start; a bad value stops it. Units stand in the names."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    model_path: Path = Path("models/best_model.h5")
    """The checkpoint that is served."""
    model_sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None = None
    """When set, the digest that the checkpoint must have; compared before it is parsed."""
    classes: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], NoDecode] = DEFAULT_CLASSES
    """Outputs in order, separated by commas, for a checkpoint that carries no contract."""
    engine: Literal["auto", "litert", "tensorflow"] = "auto"
    device: Literal["auto", "cpu", "gpu"] = "auto"
    cache_dir: Path = Path("~/.cache/cxr-inference")
    """Where checkpoints compiled for LiteRT are kept."""
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    max_upload_mb: Annotated[float, Field(gt=0, le=1024, allow_inf_nan=False)] = 20
    """Megabytes of 1,000,000 bytes."""
    max_pixels: Annotated[int, Field(gt=0, le=_PILLOW_REFUSES_ABOVE)] = MAX_PIXELS
    max_batch_size: Annotated[int, Field(ge=1, le=1024)] | None = None
    """None leaves it to the engine, as for `max_wait_ms`."""
    max_wait_ms: Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)] | None = None
    """How long a batch that is not full waits for more, since its first picture came."""
    max_queue: Annotated[int, Field(ge=1, le=100_000)] = 128
    """Uploads that wait, decoding included; a further one is refused."""
    ood: Literal["refuse", "warn", "off"] = "refuse"
    """What becomes of a picture that the checkpoint's gate takes for no chest X-ray."""
    request_timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30
    """From its first byte to its answer."""
    drain_s: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 5
    """How long a server that was told to end goes on listening, its health saying so."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("classes", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(","))
        return value

    @field_validator("classes")
    @classmethod
    def _are_distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) < 2 or len(set(value)) != len(value):
            raise ValueError("needs two or more different names, separated by commas")
        return value

    @property
    def max_upload_bytes(self) -> int:
        """The largest upload, in bytes."""
        return int(self.max_upload_mb * 1_000_000)


def read_settings(**overrides: Any) -> Settings:
    """The settings from the environment; `overrides` go before it.

    Raises:
        SettingsError: a value is not allowed; names the variable, the value and what is.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(detail) for detail in error.errors())) from error


def unknown_variables() -> list[str]:
    """Variables of the environment that start with CXR_ and are no setting: likely misspelt."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)


def _explain(detail: Any) -> str:
    name = PREFIX + str(detail["loc"][0]).upper()
    return f"{name}={detail['input']!r}: {detail['msg']}"
