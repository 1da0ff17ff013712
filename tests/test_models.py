"""The committed checkpoint, its card, the README and docs/ say the same."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from rich.console import Console

from app.inference.classifier import NEGATIVE
from app.xray.checkpoint import Checkpoint, read_checkpoint
from app.xray.decode import decode
from benchmarks.rig.corpus.drawing import checkered, encode
from tests.live import ROOT, served
from training.commands.judge import Judge
from training.evaluation.metrics import HEADLINE
from training.report.document import interval, spell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

MODEL = ROOT / "models/best_model.h5"


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return read_checkpoint(MODEL)


def test_it_carries_its_contract_and_no_optimizer(checkpoint: Checkpoint) -> None:
    assert checkpoint.carries_contract
    assert checkpoint.contract.classes == ("COVID", "NORMAL", "PNEUMONIA")
    assert list(checkpoint.contract.metrics) == [
        "unseen/hannover/COVID", "unseen/openist/NORMAL",
        *HEADLINE, "brier", "uncalibrated_ece", "uncalibrated_brier",
    ]  # fmt: skip
    assert checkpoint.contract.dataset is not None
    assert MODEL.stat().st_size < 17_000_000


def test_its_card_is_that_of_this_very_file(checkpoint: Checkpoint) -> None:
    card = (ROOT / "models/MODEL_CARD.md").read_text()
    assert checkpoint.sha256 in card
    assert checkpoint.contract.dataset is not None
    assert checkpoint.contract.dataset.fingerprint in card
    metrics = checkpoint.contract.metrics
    for name in HEADLINE:
        figure = metrics[name]
        assert f"| {spell(name)} | {figure.value:.3f} | {interval(figure)} |" in card


def test_the_readme_quotes_its_accuracy_and_shows_its_answer(checkpoint: Checkpoint) -> None:
    readme = " ".join((ROOT / "README.md").read_text().split())
    figure = checkpoint.contract.metrics["accuracy"]
    assert f"accuracy of {figure.value:.3f}" in readme
    assert f"95 % interval {interval(figure)}" in readme
    assert json.dumps(checkpoint.sha256) in readme


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("README.md", "What the figures are worth"),
        ("docs/train.md", "What the committed checkpoint reaches"),
    ],
    ids=["readme", "train"],
)
def test_every_figure_that_is_quoted_of_it_stands_in_its_card(page: str, title: str) -> None:
    card = (ROOT / "models/MODEL_CARD.md").read_text()
    _, _, after = (ROOT / page).read_text().partition(f"## {title}\n")
    quoted = set(re.findall(r"\b[01]\.\d{3}\b", after.partition("\n## ")[0]))
    assert quoted
    assert {figure for figure in quoted if figure not in card} == set()


def test_it_is_calibrated_and_has_a_gate(checkpoint: Checkpoint) -> None:
    contract = checkpoint.contract
    assert contract.is_calibrated
    assert set(contract.operating_points) == set(contract.classes)
    assert contract.ood is not None
    card = (ROOT / "models/MODEL_CARD.md").read_text()
    assert f"Temperature {contract.temperature:.3f}" in card
    assert f"{contract.ood.threshold:.3f}, was set so that at most" in " ".join(card.split())


@pytest.fixture(scope="module")
def client(shared: Path) -> Iterator[httpx.Client]:
    with served(MODEL) as client:
        yield client


def test_a_dicom_file_its_mistagged_copy_and_its_export_are_answered_alike(
    client: httpx.Client, shared: Path
) -> None:
    files = [(shared / f"originals/rsna-monochrome{kind}.dcm").read_bytes() for kind in (1, 2)]
    files.append(encode(decode(files[1]).image))
    answers = [client.post("/predict", content=file).json() for file in files]
    mistagged, proper, exported = (list(answer["probabilities"].values()) for answer in answers)
    # Averages are rounded half up, so a fifth of the negative's pixels are a level off.
    assert mistagged == pytest.approx(proper, abs=0.1)
    assert exported == pytest.approx(proper, abs=0.05)
    assert NEGATIVE in answers[0]["warnings"]
    assert answers[1]["warnings"] == []


def test_x_rays_as_published_pass_its_gate_and_other_things_do_not(
    client: httpx.Client, shared: Path
) -> None:
    originals = [p for p in (shared / "originals").iterdir() if p.suffix not in {".csv", ".dcm"}]
    passed = [client.post("/predict", content=path.read_bytes()) for path in originals]
    assert sum(answer.status_code == 200 for answer in passed) >= 0.95 * len(originals)
    for image in (checkered(90, 160), Image.effect_noise((300, 300), 90)):
        refused = client.post("/predict", content=encode(image))
        assert refused.status_code == 422
        assert refused.json()["score"] > refused.json()["threshold"]


def test_its_figures_are_reached_again(checkpoint: Checkpoint, shared: Path) -> None:
    judge = Judge(MODEL, shared / "cxr", ["test"], Console(quiet=True))
    evaluation = judge.evaluate("test")
    for name, score in HEADLINE.items():
        found = score(evaluation.labels, evaluation.probabilities)
        assert found == pytest.approx(checkpoint.contract.metrics[name].value, abs=2e-3)
