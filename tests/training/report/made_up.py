"""An examination, an audit and a card made up of numbers: the same wherever they are made."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from app.xray.checkpoint import Checkpoint
from app.xray.contract import CalibratedOn, DatasetSummary, Estimate, ModelContract
from training.data.audit.audit import Audit, ManifestFindings
from training.data.audit.duplicates import SamePicture
from training.data.audit.giveaways import ClassFacts, Imbalance, Trait
from training.data.audit.leaks import EXACT, PATIENT, Leak
from training.evaluation.evaluate import Evaluation
from training.evaluation.examine import BORDER, LUNGS, Examination
from training.evaluation.gate.figures import GateFigures, Refused
from training.evaluation.mistakes import Mistake
from training.evaluation.shortcuts import Agreement
from training.evaluation.source_probe import Probe, ProbeResult
from training.recipes.config import FitConfig
from training.recipes.trials import Trial

CLASSES: Final = ("COVID", "NORMAL", "PNEUMONIA")
COUNT: Final = 60
HISTORY: Final = {
    "loss": [1.0, 0.5, 0.4],
    "val_loss": [1.0, 0.7, 0.8],
    "accuracy": [0.5, 0.8, 0.9],
    "val_accuracy": [0.5, 0.75, 0.7],
}
CONTRACT: Final = ModelContract.recipe_of_2022(CLASSES).model_copy(
    update={
        "temperature": 1.3,
        "operating_points": {"COVID": 0.4, "NORMAL": 0.35, "PNEUMONIA": 0.5},
        "calibrated_on": CalibratedOn(
            split="train and val",
            pictures=150,
            sources_left_out=("city", "rural"),
            coverage_asked=0.95,
            coverage_found=0.925,
        ),
        "dataset": DatasetSummary(
            fingerprint="ab" * 32,
            counts={split: dict.fromkeys(CLASSES, 20) for split in ("train", "val", "test")},
        ),
        "trained_at": "2026-01-01T00:00:00+00:00",
        "caveats": ("val has 60 pictures of one hospital", "patients were not compared"),
        "versions": {"python": "3.11.7", "keras": "3.12.0"},
    }
)
SETTINGS: Final = FitConfig(data=Path("data"), out=Path("run"), weights="imagenet", epochs=3)
PICTURE: Final = np.add.outer(np.arange(64), np.arange(64))[..., None].repeat(3, 2).astype(np.uint8)
TRIAL: Final = Trial(
    command="x",
    minutes=3.25,
    pictures=60,
    accuracy=0.9,
    macro_auroc=0.95,
    recalls={"near [1]/COVID": 0.8, "nearer/NORMAL": 0.7},
)
TRIALS: Final = {
    "grain": {"val": TRIAL, "near [1]": TRIAL},
    "steady": {"val": TRIAL.model_copy(update={"recalls": {"nearer/NORMAL": 0.9}})},
}


def evaluate(
    seed: int,
    *,
    right: float = 2.0,
    split: str = "test",
    classes: tuple[int, ...] = (0, 1, 2),
    sources: tuple[str, ...] = ("near [1]", "nearer"),
    contract: ModelContract = CONTRACT,
) -> Evaluation:
    """Answers drawn at random, in which the true class has `right` times another's weight."""
    labels = np.array(classes, np.int64)[np.arange(COUNT) * len(classes) // COUNT]
    rng = np.random.default_rng(seed)
    weights = rng.gamma(1.0, size=(COUNT, len(CLASSES))) * (1 + (right - 1) * np.eye(3)[labels])
    return Evaluation(
        contract,
        tuple(f"{split}/{CLASSES[label]}/{index}.png" for index, label in enumerate(labels)),
        labels,
        weights / weights.sum(axis=1, keepdims=True),
        tuple(sources[label % len(sources)] for label in labels) if sources else (),
    )


def examine(seed: int = 0, *, right: float = 6.0) -> Examination:
    """An examination of everything that there is to examine."""
    share = Estimate(value=0.9, low=0.85, high=0.95)
    probe = Probe(("near [1]", "nearer"), COUNT, share, share, 0.5)
    refused = Refused(COUNT, 0.1, 0.05)
    return Examination(
        evaluate(seed, right=right),
        {LUNGS: evaluate(seed + 1), BORDER: evaluate(seed + 2, right=1.0)},
        ProbeResult(probe, {"NORMAL": probe}, {"COVID": "one source"}, 0),
        {
            "moved right by 4 %": Agreement(COUNT, share, 0.1),
            "10 % darker": Agreement(COUNT, Estimate(value=0.8, low=0.7, high=0.9), 0.2),
        },
        GateFigures(
            1.2,
            refused,
            {"noise": refused},
            {"inverted": refused},
            {"black": refused},
            {"nearer": refused},
            refused,
        ),
        evaluate(seed + 3, split="unseen", classes=(0, 1), sources=("far", "farther")),
        ("farther", "near [1]", "nearer"),
    )


def examine_little() -> Examination:
    """An examination of a checkpoint without calibration or gate, on data without sources."""
    contract = ModelContract.recipe_of_2022(CLASSES)
    bare = evaluate(5, sources=(), contract=contract)
    return Examination(bare, {LUNGS: bare, BORDER: bare}, None, examine().agreement, None)


def find_leaks() -> Audit:
    """An audit that found something of every kind."""
    same = SamePicture(("train/COVID/a.png", "train/COVID/b.png"), exact=False, distance=3)
    return Audit(
        data="data",
        counts={
            split: dict(zip(CLASSES, (1234, 20, 20), strict=True))
            for split in ("train", "val", "test")
        }
        | {"unseen": dict(zip(CLASSES, (20, 20, 0), strict=True))},
        leaks=(
            Leak(EXACT, ("test/COVID/[bold].png", "train/COVID/a.png"), exact=True, distance=0),
            Leak(PATIENT, ("test/COVID/c.png", "val/COVID/d.png"), source="near", patient="7"),
        ),
        duplicates_within_splits=(same,),
        look_alikes=(same,),
        featureless=("val/NORMAL/black.png",),
        unreadable=tuple((f"val/NORMAL/{index}.png", "no picture") for index in range(23)),
        imbalance=(Imbalance("train", 61.7), Imbalance("val", None), Imbalance("test", 1.0)),
        classes=tuple(
            ClassFacts(name, 60, {"PNG": 40, "JPEG": 20}, {"L": 60}, 96, 80) for name in CLASSES
        ),
        traits=(Trait("format", 0.75, 1 / 3), Trait("width", 1 / 3, 1 / 3)),
        manifest=ManifestFindings(
            path="data/manifest.csv",
            patients=None,
            strangers=("train/COVID/gone.png",),
            unnamed=("train/COVID/new.png",),
            contradicted=("val/COVID/d.png",),
            known_sources=("far",),
        ),
    )


def mistakes() -> tuple[Mistake, ...]:
    """One with a heat map, and one without."""
    with_heat = Mistake(
        "test/NORMAL/<b>.png", "near [1]", "NORMAL", "COVID", 0.987, 0.012, PICTURE, PICTURE[::-1]
    )
    return with_heat, Mistake("test/COVID/1.png", "", "COVID", "NORMAL", 0.8, 0.1, PICTURE, None)


def checkpoint(contract: ModelContract) -> Checkpoint:
    """Of which there is no file."""
    return Checkpoint(Path("models/best_model.h5"), "cd" * 32, contract)
