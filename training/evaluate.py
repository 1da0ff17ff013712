"""A network and a split -> probabilities, figures and the files that record them."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.metrics import classification_report

from app.xray.errors import TrainingError
from training.batches import PlainBatches
from training.manifest import read_manifest
from training.metrics import HEADLINE, PER_CLASS, accuracy, estimate

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from app.xray.contract import Estimate, ModelContract
    from training.dataset import Split


UNKNOWN: Final = "unknown"
"""The source of a picture that the manifest does not name."""


@dataclass(frozen=True)
class Evaluation:
    """Predictions on one split and what follows from them.

    `files`, `labels` int64 (n,) and `probabilities` float64 (n, classes) line up; `sources` gives
    the source of each file, empty where no manifest names them.
    """

    classes: tuple[str, ...]
    files: tuple[str, ...]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    sources: tuple[str, ...] = ()

    @cached_property
    def headline(self) -> dict[str, Estimate]:
        """Accuracy, macro F1, macro AUROC and ECE, each with its 95 % interval."""
        return {
            name: estimate(score, self.labels, self.probabilities)
            for name, score in HEADLINE.items()
        }

    @cached_property
    def by_class(self) -> dict[str, dict[str, Estimate]]:
        """For each class its precision, recall and F1, each with its 95 % interval."""
        return {
            name: {
                figure: estimate(partial(score, label=label), self.labels, self.probabilities)
                for figure, score in PER_CLASS.items()
            }
            for label, name in enumerate(self.classes)
        }

    def count(self, name: str) -> int:
        """How many pictures are truly of the class `name`."""
        return int((self.labels == self.classes.index(name)).sum())

    @cached_property
    def accuracy_by_source(self) -> dict[str, tuple[int, Estimate]]:
        """For each source its number of pictures and the accuracy on them."""
        return self._accuracy_by(np.array(self.sources)) if self.sources else {}

    @cached_property
    def recall_by_source_and_class(self) -> dict[str, tuple[int, Estimate]]:
        """The same for each class within a source, as `SOURCE / CLASS`."""
        if not self.sources:
            return {}
        pairs = zip(self.sources, self.labels, strict=True)
        names = [f"{source} / {self.classes[label]}" for source, label in pairs]
        return self._accuracy_by(np.array(names))

    def report(self, *, as_dict: bool = False) -> Any:
        """scikit-learn's classification report: precision, recall, F1 and support per class."""
        return classification_report(
            self.labels,
            self.probabilities.argmax(axis=1),
            labels=range(len(self.classes)),
            target_names=list(self.classes),
            digits=3,
            zero_division=0.0,
            output_dict=as_dict,
        )

    def write(self, folder: Path) -> None:
        """Write `classification_report.txt`, `.json` and `predictions.csv` into `folder`."""
        (folder / "classification_report.txt").write_text(self.report())
        (folder / "classification_report.json").write_text(
            json.dumps(self.report(as_dict=True), indent=2) + "\n"
        )
        with (folder / "predictions.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["file", "truth", *self.classes])
            for name, label, row in zip(self.files, self.labels, self.probabilities, strict=True):
                rows.writerow([name, self.classes[label], *(f"{value:.8f}" for value in row)])

    def _accuracy_by(self, groups: NDArray[np.str_]) -> dict[str, tuple[int, Estimate]]:
        found = {}
        for group in sorted(set(groups.tolist())):
            chosen = groups == group
            figure = estimate(accuracy, self.labels[chosen], self.probabilities[chosen])
            found[group] = (int(chosen.sum()), figure)
        return found


def evaluate(
    network: Any, split: Split, contract: ModelContract, sources: dict[str, str]
) -> Evaluation:
    """Run `network` over `split`; `sources` maps a file of the split to where it came from.

    Raises:
        TrainingError: the network gives no numbers, as one does whose training diverged.
    """
    raw = network.predict(PlainBatches(split, contract), verbose=0)
    if not np.isfinite(raw).all():
        raise TrainingError("the network's probabilities are not finite; its training diverged")
    return Evaluation(
        classes=contract.classes,
        files=split.files,
        labels=split.labels,
        probabilities=contract.calibrate(raw),
        sources=tuple(sources.get(file, UNKNOWN) for file in split.files) if sources else (),
    )


def read_sources(root: Path) -> dict[str, str]:
    """File -> source from the columns `file` and `source` of `root/manifest.csv`, {} without it.

    Raises:
        DatasetError: the manifest lacks one of the two columns, or is no CSV in UTF-8.
    """
    manifest = read_manifest(root)
    if manifest is None:
        return {}
    return {row.file: row.source or UNKNOWN for row in manifest.rows}
