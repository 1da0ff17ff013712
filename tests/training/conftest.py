from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

import training.evaluation.gate.figures
import training.evaluation.gate.fit
import training.evaluation.gate.folder
import training.evaluation.metrics
import training.evaluation.precision

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", autouse=True)
def few_resamples(request: pytest.FixtureRequest) -> Iterator[None]:
    """Intervals cost seconds, and only the tests of the figures are about them."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.name != "test_metrics.py":
            patch.setattr(training.evaluation.metrics, "RESAMPLES", 20)
        yield


@pytest.fixture(scope="module", autouse=True)
def few_strangers() -> Iterator[None]:
    """Drawing hundreds of them costs seconds, and only their own tests are about them."""
    pictures = {"flat gray": [Image.new("L", (40, 30), level) for level in (0, 90, 255)]}
    with pytest.MonkeyPatch.context() as patch:
        for room in (training.evaluation.gate.figures, training.evaluation.gate.folder):
            patch.setattr(room, "strangers", lambda: pictures)
        yield


@pytest.fixture(scope="module", autouse=True)
def few_variants(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each picture that a gate is fitted to is changed many times; its own tests need that."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.parent.name != "gate":
            patch.setattr(training.evaluation.gate.fit, "_VARIANTS", 1)
            patch.setattr(training.evaluation.gate.fit, "_FORMS", 4)
        yield


@pytest.fixture(scope="module", autouse=True)
def no_bf16() -> Iterator[None]:
    """The search for a layer costs seconds, and only its own tests are about it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.evaluation.precision, "find_cut", lambda *_: None)
        yield
