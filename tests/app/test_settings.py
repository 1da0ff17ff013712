from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings, read_settings, unknown_variables
from app.xray.errors import SettingsError


def test_the_defaults_serve_the_committed_checkpoint_to_this_machine_only() -> None:
    settings = read_settings()
    assert settings.model_path == Path("models/best_model.h5")
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.max_upload_bytes == 101_000_000
    assert (settings.classes, settings.input) == (None, None)


def test_every_setting_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "MODEL_PATH": "/srv/model.h5",
        "MODEL_SHA256": "ab" * 32,
        "CLASSES": "SICK, WELL",
        "INPUT": "size=150 scale=1/255",
        "ENGINE": "tensorflow",
        "DEVICE": "cpu",
        "PRECISION": "bf16",
        "HOST": "0.0.0.0",  # noqa: S104
        "PORT": "80",
        "MAX_UPLOAD_MB": "0.5",
        "MAX_PIXELS": "1000",
        "MAX_BATCH_SIZE": "16",
        "MAX_WAIT_MS": "2.5",
        "DECODE_TIMEOUT_S": "3",
        "MAX_QUEUE": "7",
        "MAX_QUEUE_MB": "1.5",
        "MAX_CONNECTIONS": "64",
        "REQUEST_TIMEOUT_S": "2.5",
        "DRAIN_S": "0",
        "OOD": "warn",
        "API_KEYS": "one-key, another-key",
        "API_KEYS_FILE": "/run/secrets/keys",
        "ADMIN_KEY": "a-third",
        "CORS_ORIGINS": "https://viewer.example.org,http://localhost:3000",
        "DOCS": "false",
        "LOG_LEVEL": "debug",
        "LOG_JSON": "true",
        "TRACES": "true",
    }
    assert set(given) == {name.upper() for name in Settings.model_fields}
    for name, value in given.items():
        monkeypatch.setenv(f"CXR_{name}", value)
    settings = read_settings()
    assert settings.classes == ("SICK", "WELL")
    assert settings.max_upload_bytes == 500_000
    assert settings.max_held_bytes == 1_500_000
    assert [key.get_secret_value() for key in settings.api_keys] == ["one-key", "another-key"]
    assert settings.model_dump(mode="json") == {
        "model_path": "/srv/model.h5",
        "model_sha256": "ab" * 32,
        "classes": ["SICK", "WELL"],
        "input": "size=150 scale=1/255",
        "engine": "tensorflow",
        "device": "cpu",
        "precision": "bf16",
        "host": "0.0.0.0",  # noqa: S104
        "port": 80,
        "max_upload_mb": 0.5,
        "max_pixels": 1000,
        "max_batch_size": 16,
        "max_wait_ms": 2.5,
        "decode_timeout_s": 3,
        "max_queue": 7,
        "max_queue_mb": 1.5,
        "max_connections": 64,
        "request_timeout_s": 2.5,
        "drain_s": 0,
        "ood": "warn",
        "api_keys": ["**********", "**********"],
        "api_keys_file": "/run/secrets/keys",
        "admin_key": "**********",
        "cors_origins": ["https://viewer.example.org", "http://localhost:3000"],
        "docs": False,
        "log_level": "debug",
        "log_json": True,
        "traces": True,
    }


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("CXR_PORT", "http", "integer"),
        ("CXR_PORT", "65536", "65535"),
        ("CXR_MAX_UPLOAD_MB", "0", "greater than 0"),
        ("CXR_MAX_UPLOAD_MB", "nan", "number"),
        ("CXR_MAX_PIXELS", "178956971", "178956970"),
        ("CXR_REQUEST_TIMEOUT_S", "-1", "greater than 0"),
        ("CXR_REQUEST_TIMEOUT_S", "inf", "number"),
        ("CXR_DRAIN_S", "-1", "greater than or equal to 0"),
        ("CXR_OOD", "refused", "'refuse', 'warn' or 'off'"),
        ("CXR_HOST", "", "at least 1 character"),
        ("CXR_DEVICE", "tpu", "'auto', 'cpu' or 'gpu'"),
        ("CXR_ENGINE", "onnx", "'auto', 'openvino' or 'tensorflow'"),
        ("CXR_ENGINE", "litert", "'auto', 'openvino' or 'tensorflow'"),
        ("CXR_PRECISION", "f16", "'auto', 'f32' or 'bf16'"),
        ("CXR_MAX_BATCH_SIZE", "0", "greater than or equal to 1"),
        ("CXR_MAX_WAIT_MS", "-1", "greater than or equal to 0"),
        ("CXR_MAX_QUEUE", "0", "greater than or equal to 1"),
        ("CXR_LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("CXR_MODEL_SHA256", "abc", "pattern"),
        ("CXR_CLASSES", "COVID", "two or more different names"),
        ("CXR_CLASSES", "A,A", "two or more different names"),
        ("CXR_INPUT", "", "nothing is said"),
        ("CXR_INPUT", "size=150 resize=linear", "resize=linear: expected nearest, box"),
        ("CXR_INPUT", "scale=1/0", "scale=1/0: expected a number"),
        ("CXR_CLASSES", "A,,B", "at least 1 character"),
        ("CXR_DECODE_TIMEOUT_S", "0", "greater than 0"),
        ("CXR_MAX_QUEUE_MB", "100.9", "at least one upload of CXR_MAX_UPLOAD_MB=101"),
        ("CXR_API_KEYS", "a key", "a key consists of printable ASCII"),
        ("CXR_API_KEYS", "a:b:c", "a key consists of printable ASCII"),
        ("CXR_API_KEYS", "näme:c", "a key consists of printable ASCII"),
        ("CXR_API_KEYS", "name:", "a key consists of printable ASCII"),
        ("CXR_MAX_CONNECTIONS", "0", "greater than or equal to 1"),
        ("CXR_CORS_ORIGINS", "*", "pattern"),
        ("CXR_CORS_ORIGINS", "https://viewer.example.org/", "pattern"),
        ("CXR_DOCS", "perhaps", "boolean"),
    ],
)
def test_a_bad_value_is_refused_with_name_value_and_what_is_allowed(
    name: str, value: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        read_settings()
    message = str(caught.value)
    assert message.startswith(f"{name}=")
    assert allowed in message


@pytest.mark.parametrize("name", ["CXR_API_KEYS", "CXR_ADMIN_KEY"])
@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="empty"),
        pytest.param("secret words", id="space"),
        pytest.param("schlüssel-secret", id="other-letters"),
        pytest.param("secret\r\nX-Evil: 1", id="new-line"),
    ],
)
def test_a_key_that_no_header_can_carry_is_refused_and_not_repeated(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=rf"^{name}=\*\*\*: ") as caught:
        read_settings()
    assert "secret" not in str(caught.value)


def test_uploads_may_take_ten_times_the_largest_unless_told_otherwise() -> None:
    assert read_settings(max_upload_mb=3).max_held_bytes == 30_000_000


def test_all_bad_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_PORT", "x")
    monkeypatch.setenv("CXR_DEVICE", "y")
    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert [line.split("=")[0] for line in str(caught.value).splitlines()] == [
        "CXR_DEVICE",
        "CXR_PORT",
    ]


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read_settings().port = 1  # type: ignore[misc]


def test_an_override_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_PORT", "1")
    assert read_settings(port=2).port == 2


def test_a_misspelt_variable_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_MAX_UPLOD_MB", "5")
    monkeypatch.setenv("CXR_PORT", "5")
    assert unknown_variables() == ["CXR_MAX_UPLOD_MB"]


def test_the_defaults_agree_on_the_largest_picture() -> None:
    settings = read_settings()
    assert settings.max_upload_bytes >= 2 * settings.max_pixels + 1_000_000
    assert settings.max_held_bytes == 2 * settings.max_upload_bytes
