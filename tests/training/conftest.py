from __future__ import annotations

import pytest

import training.metrics


@pytest.fixture(autouse=True)
def few_resamples(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals cost seconds, and only the tests of the figures are about them."""
    if request.path.name != "test_metrics.py":
        monkeypatch.setattr(training.metrics, "RESAMPLES", 20)
