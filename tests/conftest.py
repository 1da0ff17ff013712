from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.settings import PREFIX
from app.xray.contract import ModelContract
from tests import networks
from tests.drawing import draw_radiograph, encode


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def contract() -> ModelContract:
    return ModelContract.recipe_of_2022()


@pytest.fixture(scope="session")
def png() -> bytes:
    return encode(draw_radiograph())


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    return encode(draw_radiograph(), "JPEG", quality=90)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real checkpoint of a network that takes milliseconds, with its contract."""
    return networks.write_tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny.h5")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real X-rays beside the project, where there are any."""
    folder = Path(__file__).parents[2] / "shared"
    if not (folder / "cxr").is_dir():
        pytest.skip("no real X-rays beside this checkout")
    return folder
