"""The pictures of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import confusion_matrix, roc_curve

from training.metrics import auroc

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from training.evaluate import Evaluation

History = dict[str, list[float]]


def plot_history(history: History, folder: Path) -> None:
    """Write `loss.png` and `accuracy.png`: train and val over epochs."""
    for name in ("loss", "accuracy"):
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        for key, label in ((name, "train"), (f"val_{name}", "val")):
            axes.plot(
                range(1, len(history[key]) + 1), history[key], marker="o", markersize=3, label=label
            )
        axes.set(xlabel="epoch", ylabel=name, title=name.capitalize())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(folder / f"{name}.png", dpi=120)


def plot_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Write `confusion_matrix.png`, `confusion_matrix_normalised.png` and `roc.png`."""
    counts = confusion_matrix(
        evaluation.labels,
        evaluation.probabilities.argmax(axis=1),
        labels=range(len(evaluation.classes)),
    )
    _plot_matrix(counts, "d", evaluation.classes, "Test pictures").savefig(
        folder / "confusion_matrix.png", dpi=120
    )
    shares = counts / counts.sum(axis=1, keepdims=True)
    _plot_matrix(shares, ".2f", evaluation.classes, "Share of each true class").savefig(
        folder / "confusion_matrix_normalised.png", dpi=120
    )
    _plot_roc(evaluation).savefig(folder / "roc.png", dpi=120)


def _plot_matrix(
    values: NDArray[np.generic], form: str, classes: tuple[str, ...], title: str
) -> Figure:
    side = 3 + 0.8 * len(classes)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(values, cmap="Blues", vmin=0, vmax=max(values.max(), 1))
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes, rotation=30, ha="right")
    axes.set_yticks(ticks, classes)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    middle = max(values.max(), 1) / 2
    for row, column in np.ndindex(*values.shape):
        value = values[row, column]
        color = "white" if value > middle else "black"
        axes.text(column, row, format(value, form), ha="center", va="center", color=color)
    return figure


def _plot_roc(evaluation: Evaluation) -> Figure:
    figure = Figure(figsize=(5.5, 5), layout="constrained")
    axes = figure.subplots()
    for label, name in enumerate(evaluation.classes):
        false, true, _ = roc_curve(evaluation.labels == label, evaluation.probabilities[:, label])
        area = auroc(evaluation.labels, evaluation.probabilities, label)
        axes.plot(false, true, label=f"{name} (AUROC {area:.3f})")
    axes.plot([0, 1], [0, 1], color="gray", linestyle=":", linewidth=1)
    axes.set(
        xlabel="false positive rate",
        ylabel="true positive rate",
        title="Each class against the rest",
    )
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure
