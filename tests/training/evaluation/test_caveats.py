from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.training.report import made_up
from training.evaluation.caveats import all_caveats

if TYPE_CHECKING:
    from training.data.audit.audit import Audit

CLASSES = made_up.CLASSES
LABELS = np.arange(90) % 3
CLEAN = replace(made_up.find_leaks(), leaks=())


def named(audit: Audit, patients: int | None) -> Audit:
    assert audit.manifest is not None
    return replace(audit, manifest=replace(audit.manifest, patients=patients))


def test_data_that_lack_nothing_have_no_caveats() -> None:
    sources = ["a"] * 45 + ["b"] * 45
    assert all_caveats(CLASSES, (LABELS, sources), LABELS, named(CLEAN, 90)) == ()


@pytest.mark.parametrize(
    ("sources", "val", "audit", "words"),
    [
        pytest.param((), LABELS[:30], named(CLEAN, 1), "val has 30 pictures", id="little val"),
        pytest.param(
            [CLASSES[label] for label in LABELS], LABELS, named(CLEAN, 1),
            "all training pictures of NORMAL are NORMAL", id="a source of one class",
        ),
        pytest.param((), LABELS, named(CLEAN, None), "patients were not compared", id="no column"),
        pytest.param(
            (), LABELS, replace(CLEAN, manifest=None), "patients were not compared", id="no list"
        ),
        pytest.param((), LABELS, named(made_up.find_leaks(), 1), "though 2 leaks", id="leaks"),
    ],
)  # fmt: skip
def test_each_lack_is_said_in_a_sentence(
    sources: list[str], val: np.ndarray, audit: Audit, words: str
) -> None:
    found = all_caveats(CLASSES, (LABELS, sources), val, audit)
    assert any(words in sentence for sentence in found)
