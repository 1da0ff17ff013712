from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from app.xray.contract import ModelContract
from training.evaluate import Evaluation
from training.plots import plot_evaluation, plot_history

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("epochs", [1, 15])
def test_the_curves_of_a_run_are_drawn(epochs: int, tmp_path: Path) -> None:
    series = list(np.linspace(1, 0.2, epochs))
    history = dict.fromkeys(("loss", "val_loss", "accuracy", "val_accuracy"), series)
    plot_history(history, tmp_path)
    assert drawn(tmp_path) == {"loss.png", "accuracy.png"}


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_confusion_and_roc_are_drawn(classes: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(30) % classes
    probabilities = rng.dirichlet(np.ones(classes), 30)
    names = tuple(f"CLASS {label}" for label in range(classes))
    files = tuple(map(str, range(30)))
    contract = ModelContract.recipe_of_2022(names)
    plot_evaluation(Evaluation(contract, files, labels, probabilities), tmp_path)
    assert drawn(tmp_path) == {
        "confusion_matrix.png",
        "confusion_matrix_normalised.png",
        "roc.png",
    }


def drawn(folder: Path) -> set[str]:
    """The pictures in `folder` that show more than one color."""
    return {path.name for path in folder.iterdir() if np.ptp(np.asarray(Image.open(path))) > 100}
