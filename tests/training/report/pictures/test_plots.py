from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from app.xray.contract import ModelContract
from training.evaluation.evaluate import Evaluation
from training.report.pictures.plots import (
    draw_confusion,
    draw_curves,
    draw_reliability,
    draw_roc,
    kept_epoch,
    plot_evaluation,
    plot_history,
    stages,
)
from training.report.words.history import describe_history

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("epochs", [1, 15])
def test_the_curves_of_a_run_are_drawn(epochs: int, tmp_path: Path) -> None:
    series = list(np.linspace(1, 0.2, epochs))
    history = dict.fromkeys(("loss", "val_loss", "accuracy", "val_accuracy"), series)
    plot_history(history, tmp_path)
    assert drawn(tmp_path) == {"loss.png", "accuracy.png"}


@pytest.mark.parametrize(
    ("val_accuracy", "kept"), [([0.5, 0.8, 0.8, 0.7], 2), ([np.nan, 0.2], 2), ([0.1], 1)]
)
def test_the_kept_epoch_is_the_first_of_the_best(val_accuracy: list[float], kept: int) -> None:
    history = dict.fromkeys(("loss", "val_loss", "accuracy", "val_accuracy"), val_accuracy)
    assert kept_epoch(history) == kept
    legend = draw_curves(history, "loss").axes[0].get_legend()
    assert legend is not None
    assert f"kept: epoch {kept}" in [text.get_text() for text in legend.get_texts()]


def test_where_the_last_epoch_is_kept_it_is_that_which_is_named() -> None:
    accuracies = [0.5, 0.8, 0.7]
    history = dict.fromkeys(("loss", "val_loss", "accuracy", "val_accuracy"), accuracies)
    assert kept_epoch(history, "last") == 3
    legend = draw_curves(history, "loss", "last").axes[0].get_legend()
    assert legend is not None
    assert "kept: epoch 3" in [text.get_text() for text in legend.get_texts()]
    assert "Kept is the last" in str(describe_history(history, "last").blocks[0])
    assert "the first of those with the best" in str(describe_history(history, "best").blocks[0])


def test_curves_of_a_run_that_diverged_at_once_mark_no_epoch() -> None:
    history = {key: [np.nan] for key in ("loss", "val_loss", "accuracy", "val_accuracy")}
    legend = draw_curves(history, "loss").axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["train", "val"]


@pytest.mark.parametrize(("classes", "temperature"), [(2, 1.0), (3, 1.7), (6, 1.0)])
def test_confusion_roc_and_reliability_are_drawn(
    classes: int, temperature: float, tmp_path: Path
) -> None:
    plot_evaluation(evaluation(classes, temperature=temperature), tmp_path)
    assert drawn(tmp_path) == {
        "confusion_matrix.png",
        "confusion_matrix_normalised.png",
        "reliability.png",
        "roc.png",
    }


def test_reliability_is_shown_before_and_after_a_calibration_each_with_its_error() -> None:
    found = evaluation(3, temperature=1.7)
    assert stages(found) == ("before", "after")
    axes = draw_reliability(found, *stages(found)).axes
    titles = [item.get_title() for item in axes if item.get_title()]
    before, after = (found.calibration[stage].ece.value for stage in ("before", "after"))
    assert titles == [f"As they come: ECE {before:.3f}", f"Calibrated: ECE {after:.3f}"]
    for below in (axes[1], axes[3]):
        assert sum(int(text.get_text()) for text in below.texts) == 30


def test_what_was_never_calibrated_is_shown_once() -> None:
    assert stages(evaluation(3)) == ("before",)


def test_a_class_that_is_not_there_has_a_blank_row_and_no_curve() -> None:
    found = evaluation(3)
    found = replace(found, labels=np.minimum(found.labels, 1))
    (axes,) = draw_confusion(found.confusion, found.classes).axes
    assert len(axes.texts) == 6
    legend = draw_roc(found).axes[0].get_legend()
    assert legend is not None
    assert len(legend.get_texts()) == 3  # two classes and chance


def test_a_class_named_like_a_formula_is_drawn_by_its_name(tmp_path: Path) -> None:
    found = evaluation(2)
    contract = ModelContract.recipe_of_2022(("$\\frac$", "a_$b"))
    plot_evaluation(replace(found, contract=contract), tmp_path)
    assert len(drawn(tmp_path)) == 4


def test_a_long_name_is_cut_and_leaves_room_for_the_figure(tmp_path: Path) -> None:
    found = evaluation(2)
    contract = ModelContract.recipe_of_2022(("A class by a very long name " * 3, "b"))
    found = replace(found, contract=contract)
    plot_evaluation(found, tmp_path)
    (axes,) = draw_confusion(found.confusion, found.classes, small=True).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["A class by a ve…", "b"]


def evaluation(classes: int, *, temperature: float = 1.0) -> Evaluation:
    """Thirty pictures answered at random."""
    rng = np.random.default_rng(0)
    names = tuple(f"CLASS {label}" for label in range(classes))
    contract = ModelContract.recipe_of_2022(names).model_copy(update={"temperature": temperature})
    labels = np.arange(30) % classes
    return Evaluation(
        contract, tuple(map(str, range(30))), labels, rng.dirichlet(np.ones(classes), 30)
    )


def drawn(folder: Path) -> set[str]:
    """The pictures in `folder` that show more than one color."""
    return {path.name for path in folder.iterdir() if np.ptp(np.asarray(Image.open(path))) > 100}
