from __future__ import annotations

import pytest
from PIL import Image

import training.evaluation.examine
import training.evaluation.metrics


@pytest.fixture(autouse=True)
def few_resamples(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals cost seconds, and only the tests of the figures are about them."""
    if request.path.name != "test_metrics.py":
        monkeypatch.setattr(training.evaluation.metrics, "RESAMPLES", 20)


@pytest.fixture(autouse=True)
def few_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing hundreds of them costs seconds, and only their own tests are about them."""
    pictures = {"flat gray": [Image.new("L", (40, 30), level) for level in (0, 90, 255)]}
    monkeypatch.setattr(training.evaluation.examine, "strangers", lambda: pictures)
