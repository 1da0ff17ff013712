"""A network and a split -> probabilities, figures and the files that record them."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import classification_report

from training.data.manifest import sources_of
from training.evaluation.metrics import (
    HEADLINE,
    PER_CLASS,
    brier_score,
    confusion,
    estimate,
    expected_calibration_error,
    share_reaching,
)
from training.evaluation.results import (
    Calibration,
    OperatingPoint,
    class_figures,
    mean_over_pairs,
    recalls_of_pairs,
    set_figures,
    source_figures,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from app.xray.contract import Estimate, ModelContract
    from training.data.dataset import Split
    from training.evaluation.results import ClassFigures, SetFigures, SourceFigures
    from training.network.runner import Answers


@dataclass(frozen=True)
class Evaluation:
    """Predictions on one split and what follows from them.

    `files`, `labels` int64 (n,) and `raw` (n, classes), probabilities as the network gives them,
    line up; `sources` gives the source of each file, empty where no manifest names them.
    """

    contract: ModelContract
    files: tuple[str, ...]
    labels: NDArray[np.int64]
    raw: NDArray[np.floating[Any]]
    sources: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in output order."""
        return self.contract.classes

    @property
    def split(self) -> str:
        """The split that the files stand in."""
        return self.files[0].split("/")[0]

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """(n, classes), calibrated as the contract says."""
        return self.contract.calibrate(self.raw)

    @cached_property
    def is_complete(self) -> bool:
        """Whether every class has a picture; else a mean over classes says nothing."""
        return set(self.labels.tolist()) == set(range(len(self.classes)))

    @cached_property
    def headline(self) -> dict[str, Estimate]:
        """Accuracy, macro F1, macro AUROC and ECE, each with its 95 % interval.

        Where a class has no picture only accuracy and ECE are there.
        """
        return {
            name: estimate(score, self.labels, self.probabilities)
            for name, score in HEADLINE.items()
            if self.is_complete or not name.startswith("macro")
        }

    @cached_property
    def metrics(self) -> dict[str, Estimate]:
        """What a contract carries: the headline, the Brier score, and both before calibration."""
        before, after = self.calibration["before"], self.calibration["after"]
        return {
            **self.headline,
            "brier": after.brier,
            "uncalibrated_ece": before.ece,
            "uncalibrated_brier": before.brier,
        }

    @cached_property
    def by_class(self) -> dict[str, dict[str, Estimate]]:
        """For each class its precision, recall and F1, each with its 95 % interval.

        Where a class has no picture only the recall of the others is there.
        """
        return {
            name: {
                figure: estimate(partial(score, label=label), self.labels, self.probabilities)
                for figure, score in PER_CLASS.items()
                if self.is_complete or figure == "recall"
            }
            for label, name in enumerate(self.classes)
            if self.count(name)
        }

    def count(self, name: str) -> int:
        """How many pictures are truly of the class `name`."""
        return int((self.labels == self.classes.index(name)).sum())

    @cached_property
    def calibration(self) -> dict[str, Calibration]:
        """ECE and Brier score of the probabilities "before" and "after" their calibration."""
        return {
            name: Calibration(
                estimate(expected_calibration_error, self.labels, probabilities),
                estimate(brier_score, self.labels, probabilities),
            )
            for name, probabilities in (
                ("before", self.raw.astype(np.float64)),
                ("after", self.probabilities),
            )
        }

    @cached_property
    def at_operating_points(self) -> dict[str, OperatingPoint]:
        """For each class with an operating point what it does, where there are others beside it."""
        found = {}
        for name, threshold in self.contract.operating_points.items():
            label = self.classes.index(name)
            reached = partial(share_reaching, label=label, threshold=threshold)
            own = self.labels == label
            if own.all() or not own.any():
                continue
            found[name] = OperatingPoint(
                threshold,
                estimate(reached, self.labels[own], self.probabilities[own]),
                estimate(reached, self.labels[~own], self.probabilities[~own]),
            )
        return found

    @cached_property
    def sets(self) -> NDArray[np.bool_]:
        """(n, classes): the prediction sets, as the contract makes them."""
        return self.contract.prediction_sets(self.probabilities)

    @cached_property
    def set_figures(self) -> SetFigures:
        """What the prediction sets are, over all pictures."""
        return set_figures(self.labels, self.sets)

    @cached_property
    def uncertain(self) -> NDArray[np.bool_]:
        """(n,): which answers are uncertain, as the contract decides it."""
        return self.contract.is_uncertain(self.probabilities, self.sets)

    @cached_property
    def wrong(self) -> NDArray[np.bool_]:
        """(n,): of which pictures the likeliest class is not the true one."""
        return np.asarray(self.probabilities.argmax(axis=1) != self.labels)

    @cached_property
    def by_source(self) -> dict[str, SourceFigures]:
        """Accuracy, macro AUROC and confusion on the pictures of each source."""
        return source_figures(self.labels, self.probabilities, self.sources)

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(classes, classes): pictures by true class, in rows, and by the likeliest."""
        return confusion(self.labels, self.probabilities)

    @cached_property
    def by_source_and_class(self) -> dict[str, dict[str, ClassFigures]]:
        """For each source, then for each class that it holds; the source "all" if none is known."""
        names = np.array(self.sources or ("all",) * len(self.labels))
        return {
            source: class_figures(
                self.labels[own], self.probabilities[own], self.sets[own], self.classes
            )
            for source in np.unique(names).tolist()
            for own in (names == source,)
        }

    @cached_property
    def mean_over_pairs(self) -> Estimate:
        """The recall averaged over the pairs of source and class, see `mean_over_pairs`."""
        return mean_over_pairs(self.labels, self.probabilities, self.sources)

    @property
    def recalls(self) -> dict[str, float]:
        """The recall of each pair of source and class, see `recalls_of_pairs`."""
        return recalls_of_pairs(self.labels, self.probabilities, self.sources, self.classes)

    def report(self, *, as_dict: bool = False) -> Any:
        """scikit-learn's classification report: precision, recall, F1 and support per class."""
        return classification_report(
            self.labels, self.probabilities.argmax(axis=1), labels=range(len(self.classes)),
            target_names=list(self.classes), digits=3, zero_division=0.0, output_dict=as_dict,
        )  # fmt: skip

    def write(self, folder: Path) -> None:
        """Write `classification_report.txt`, `.json` and `predictions.csv` into `folder`."""
        (folder / "classification_report.txt").write_text(self.report())
        (folder / "classification_report.json").write_text(
            json.dumps(self.report(as_dict=True), indent=2) + "\n"
        )
        # The names of files may be any bytes.
        path = folder / "predictions.csv"
        with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = csv.writer(file)
            rows.writerow(["file", "truth", *self.classes])
            for name, label, row in zip(self.files, self.labels, self.probabilities, strict=True):
                rows.writerow([name, self.classes[label], *(f"{value:.8f}" for value in row)])


def evaluate(
    answers: Answers, split: Split, contract: ModelContract, sources: dict[str, str]
) -> Evaluation:
    """What `answers` to the pictures of `split` are worth.

    `sources` maps a file of the split to where it came from.
    """
    return Evaluation(
        contract=contract,
        files=split.files,
        labels=split.labels,
        raw=answers.raw,
        sources=sources_of(split.files, sources),
    )
