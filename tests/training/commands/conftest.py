from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import pytest
from matplotlib.figure import Figure

import training.network.mobilenet
from tests.networks import build_tiny

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package", autouse=True)
def no_ink() -> Iterator[None]:
    """Drawing takes half of a run, and the tests of `report` are about the pictures."""

    def savefig(_: Figure, file: Any, **__: Any) -> None:
        if isinstance(file, Path):
            file.touch()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", savefig)
        yield


@pytest.fixture(scope="module", autouse=True)
def tiny_network() -> Iterator[None]:
    """What a recipe trains in the place of MobileNet."""

    def build(classes: int, **_: Any) -> Any:
        return build_tiny(keras, classes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.network.mobilenet, "build_mobilenet", build)
        yield
