from __future__ import annotations

import numpy as np
import pytest

from training.train.sampling import chances

LABELS = np.array([0] * 8 + [0] * 2 + [1] * 5)
SOURCES = ["big"] * 8 + ["small"] * 2 + ["big"] * 5


@pytest.mark.parametrize(
    ("balance", "small"),
    [
        pytest.param(0, 0.1, id="each picture of a class as often"),
        pytest.param(1, 0.25, id="each source of a class as often"),
        pytest.param(0.5, 0.5 / (1 + 2), id="between the two"),
    ],
)
def test_classes_are_drawn_alike_and_sources_as_asked(balance: float, small: float) -> None:
    found = chances(LABELS, SOURCES, balance)
    assert found.sum() == pytest.approx(1)
    assert found[LABELS == 1].sum() == pytest.approx(0.5)
    assert found[8:10].sum() == pytest.approx(small)


def test_without_sources_the_classes_are_balanced_all_the_same() -> None:
    found = chances(LABELS, (), 1)
    assert found[LABELS == 0] == pytest.approx(0.05)
    assert found[LABELS == 1] == pytest.approx(0.1)
