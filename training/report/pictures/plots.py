"""The pictures of a run: figures, drawn once for its folder and for its report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from sklearn.metrics import roc_curve

from training.evaluation.metrics import (
    CALIBRATION_BINS,
    auroc,
    calibration_bins,
    expected_calibration_error,
    wilson_interval,
)

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure
    from numpy.typing import NDArray

    from training.evaluation.evaluate import Evaluation

    Stage = Literal["before", "after"]

History = dict[str, list[float]]
Keep = Literal["best", "last"]

_RIGHT: Final = "#1f6fb2"
_AMISS: Final = "#c44e1c"
_DPI: Final = 120
_MAX_NAME: Final = 16


def plot_history(history: History, folder: Path, keep: Keep = "best") -> None:
    """Write `loss.png` and `accuracy.png`: train and val over epochs."""
    for name in ("loss", "accuracy"):
        draw_curves(history, name, keep).savefig(folder / f"{name}.png", dpi=_DPI)


def plot_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Write `confusion_matrix.png`, the same `_normalised`, `roc.png` and `reliability.png`.

    The last is of the probabilities as they come, beside the calibrated ones where there are any.
    """
    figures = {
        "confusion_matrix": draw_confusion(evaluation.confusion, evaluation.classes),
        "confusion_matrix_normalised": draw_confusion(
            evaluation.confusion, evaluation.classes, shares=True
        ),
        "roc": draw_roc(evaluation),
        "reliability": draw_reliability(evaluation, *stages(evaluation)),
    }
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=_DPI)


def kept_epoch(history: History, keep: Keep = "best") -> int:
    """The epoch, from 1, whose weights are kept: the last, or the first of the best on val."""
    if keep == "last":
        return len(history["val_accuracy"])
    return int(np.nanargmax(history["val_accuracy"])) + 1


def draw_curves(history: History, name: str, keep: Keep = "best") -> Figure:
    """`name` and `val_name` over epochs, the kept epoch marked where the history tells it."""
    figure = Figure(figsize=(5, 3.8), layout="constrained")
    axes = figure.subplots()
    for key, label in ((name, "train"), (f"val_{name}", "val")):
        axes.plot(
            range(1, len(history[key]) + 1), history[key], marker="o", markersize=3, label=label
        )
    if np.isfinite(history.get("val_accuracy", [np.nan])).any():
        kept = kept_epoch(history, keep)
        axes.axvline(kept, color="gray", linestyle=":", label=f"kept: epoch {kept}")
    axes.set(xlabel="epoch", ylabel=name, title=name.capitalize())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def draw_confusion(
    confusion: NDArray[np.int64],
    classes: tuple[str, ...],
    *,
    shares: bool = False,
    small: bool = False,
) -> Figure:
    """Pictures by true class, in rows, and by answer; coloured by their share of the true class.

    `confusion` is (classes, classes). A row without a picture stays blank: it has no shares. A
    `small` one has no title.
    """
    totals = confusion.sum(axis=1, keepdims=True)
    values = confusion / np.maximum(totals, 1)
    side = 1.8 + 0.45 * len(classes) if small else 2.4 + 0.7 * len(classes)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    blank = np.broadcast_to(totals == 0, values.shape)
    axes.imshow(np.ma.masked_where(blank, values), cmap="Blues", vmin=0, vmax=1)
    names, ticks = [_label(name) for name in classes], range(len(classes))
    axes.set_xticks(ticks, names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, names)
    axes.set(xlabel="answered", ylabel="true")
    if not small:
        axes.set_title("Share of each true class" if shares else "Pictures")
    for row, column in np.argwhere(~blank):
        value = values[row, column]
        words = f"{value:.2f}" if shares else f"{confusion[row, column]:,}"
        color = "white" if value > 0.5 else "black"
        axes.text(column, row, words, ha="center", va="center", color=color)
    return figure


def draw_roc(evaluation: Evaluation) -> Figure:
    """The ROC curve of each class against the rest."""
    figure = Figure(figsize=(4.8, 4.8), layout="constrained")
    axes = figure.subplots()
    for label, name in enumerate(evaluation.classes):
        truth = evaluation.labels == label
        if truth.all() or not truth.any():
            continue
        false, true, _ = roc_curve(truth, evaluation.probabilities[:, label])
        area = auroc(evaluation.labels, evaluation.probabilities, label)
        axes.plot(false, true, label=f"{_label(name)} (AUROC {area:.3f})")
    axes.plot([0, 1], [0, 1], color="gray", linestyle=":", linewidth=1, label="chance")
    axes.set(
        xlabel="false positive rate",
        ylabel="true positive rate",
        title="Each class against the rest",
    )
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def stages(evaluation: Evaluation) -> tuple[Stage, ...]:
    """The probabilities that there are: "before" calibration, and "after" where there was one."""
    return ("before", "after") if evaluation.contract.is_calibrated else ("before",)


def draw_reliability(evaluation: Evaluation, *chosen: Stage) -> Figure:
    """How often an answer is right, by how sure it is; for each of `chosen`, from left to right.

    Guo et al. 2017, figure 1, with the accuracy of each bin as a point and its 95 % interval: most
    bins hold few pictures. How many stands in the bars below.
    """
    figure = Figure(figsize=(4.8 * len(chosen), 4.8), layout="constrained")
    for part, stage in zip(
        figure.subfigures(1, len(chosen), squeeze=False)[0], chosen, strict=True
    ):
        raw = stage == "before"
        probabilities = evaluation.raw.astype(np.float64) if raw else evaluation.probabilities
        words = "As they come" if raw else "Calibrated"
        _draw_bins(part, evaluation.labels, probabilities, words)
    return figure


def _draw_bins(
    part: SubFigure, labels: NDArray[np.int64], probabilities: NDArray[np.float64], words: str
) -> None:
    bins = calibration_bins(labels, probabilities)
    width = 1 / CALIBRATION_BINS
    middles = (np.arange(CALIBRATION_BINS) + 0.5) * width
    above, below = part.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    filled = bins.counts > 0
    confidence, accuracy = bins.confidence[filled], bins.accuracy[filled]
    low, high = wilson_interval(accuracy, bins.counts[filled])
    above.plot([0, 1], [0, 1], color="gray", linestyle=":", label="as sure as right")
    above.vlines(confidence, accuracy, confidence, color=_AMISS, linewidth=4, label="gap")
    above.vlines(confidence, low, high, color=_RIGHT, linewidth=1, label="95 % interval")
    above.plot(confidence, accuracy, "o", color=_RIGHT, markersize=5, label="accuracy")
    error = expected_calibration_error(labels, probabilities)
    above.set(ylabel="right", ylim=(-0.03, 1.03), title=f"{words}: ECE {error:.3f}")
    part.legend(loc="outside lower center", ncols=2, fontsize="small")
    _draw_counts(below, middles, bins.counts, width)
    # No likeliest class of k has less than 1 / k.
    least = np.floor(CALIBRATION_BINS / probabilities.shape[1]) * width
    below.set(xlabel="probability of the answer", ylabel="pictures", xlim=(least - 0.02, 1.02))
    for axes in (above, below):
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(alpha=0.3)
    above.yaxis.set_major_formatter(PercentFormatter(1))


def _draw_counts(
    axes: Axes, middles: NDArray[np.floating[Any]], counts: NDArray[np.int64], width: float
) -> None:
    axes.bar(middles, counts, width=0.9 * width, color="lightsteelblue")
    axes.set_ylim(0, 1.3 * counts.max())
    for middle, count in zip(middles, counts.tolist(), strict=True):
        if count:
            axes.annotate(
                f"{count}", (middle, count), (0, 1), textcoords="offset points",
                ha="center", va="bottom", fontsize=7,
            )  # fmt: skip


def _label(name: str) -> str:
    """A class's name, cut where it would leave no room for the figure.

    A folder may be named with a `$`, in which Matplotlib would see a formula.
    """
    short = name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…"
    return short.replace("$", r"\$")
