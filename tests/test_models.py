"""The committed checkpoint, its card and the README say the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from app.xray.checkpoint import Checkpoint, read_checkpoint
from tests.live import ROOT
from training.judge import Judge
from training.metrics import HEADLINE
from training.tables import interval, spell

if TYPE_CHECKING:
    from pathlib import Path

MODEL = ROOT / "models/best_model.h5"


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return read_checkpoint(MODEL)


def test_it_carries_its_contract_and_no_optimizer(checkpoint: Checkpoint) -> None:
    assert checkpoint.carries_contract
    assert checkpoint.contract.classes == ("COVID", "NORMAL", "PNEUMONIA")
    assert set(checkpoint.contract.metrics) == set(HEADLINE)
    assert checkpoint.contract.dataset is not None
    assert MODEL.stat().st_size < 17_000_000


def test_its_card_is_that_of_this_very_file(checkpoint: Checkpoint) -> None:
    card = (ROOT / "models/MODEL_CARD.md").read_text()
    assert checkpoint.sha256 in card
    assert checkpoint.contract.dataset is not None
    assert checkpoint.contract.dataset.fingerprint in card
    for name, figure in checkpoint.contract.metrics.items():
        assert f"| {spell(name)} | {figure.value:.3f} | {interval(figure)} |" in card


def test_the_readme_quotes_its_accuracy_and_shows_its_answer(checkpoint: Checkpoint) -> None:
    readme = " ".join((ROOT / "README.md").read_text().split())
    figure = checkpoint.contract.metrics["accuracy"]
    assert f"accuracy of {figure.value:.3f}" in readme
    assert f"95 % interval {interval(figure)}" in readme
    assert json.dumps(checkpoint.sha256) in readme


def test_its_figures_are_reached_again(checkpoint: Checkpoint, shared: Path) -> None:
    judge = Judge(MODEL, shared / "cxr", ["test"], Console(quiet=True))
    evaluation = judge.evaluate("test")
    for name, score in HEADLINE.items():
        found = score(evaluation.labels, evaluation.probabilities)
        assert found == pytest.approx(checkpoint.contract.metrics[name].value, abs=2e-3)
