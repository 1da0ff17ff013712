from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from app.settings import PREFIX
from app.xray.contract import ModelContract
from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from tests import networks

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def no_settings_of_this_machine() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(PREFIX):
                patch.delenv(name)
        yield


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
