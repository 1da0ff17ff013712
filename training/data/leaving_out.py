"""Sources that a network is not to know, so that theirs is a hospital that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from app.xray.errors import DatasetError
from training.data.dataset import Dataset, Split
from training.data.folder import find_files
from training.data.manifest import Row, read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

KNOWN: Final = ("train", "val")
"""The splits that sources are left out of: test has no part in any choice, and stays as it is."""


@dataclass(frozen=True)
class LeftOut:
    """What is left out of train and val: the `names` asked for, and the `files` that are theirs."""

    names: tuple[str, ...]
    files: frozenset[str]

    def without(self, dataset: Dataset) -> Dataset:
        """`dataset` with train and val as they are without these files.

        The counts of its summary are those of what remains. The fingerprint stays that of the
        whole folder: by it runs that left out other sources of the same data are told to be such.

        Raises:
            DatasetError: of a class no picture that can be read is left.
        """
        if not self.files:
            return dataset
        rest = {name: split.choose(~self._holds(split)) for name, split in _known(dataset)}
        for name, split in rest.items():
            _refuse_untaught(name, dataset.classes, split.labels.tolist(), self.names)
        counts = {
            name: {
                each: int((split.labels == label).sum())
                for label, each in enumerate(dataset.classes)
            }
            for name, split in rest.items()
        }
        summary = dataset.summary.model_copy(
            update={"counts": {**dataset.summary.counts, **counts}}
        )
        return replace(dataset, splits={**dataset.splits, **rest}, summary=summary)

    def only(self, dataset: Dataset) -> Split:
        """The pictures of train and val that are left out, those of train first."""
        parts = [split.choose(self._holds(split)) for _, split in _known(dataset)]
        return Split(
            tuple(file for part in parts for file in part.files),
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.pixels for part in parts]),
        )

    def _holds(self, split: Split) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return np.array([file in self.files for file in split.files], np.bool_)


def find_left_out(root: Path, names: Sequence[str]) -> LeftOut:
    """Which pictures of train and val are of the sources `names`, as the manifest has them.

    A name is a SOURCE of the manifest, or SOURCE:COLLECTION for one of its collections, letter by
    letter. No file is opened but the manifest.

    Raises:
        DatasetError: there is no manifest, or no picture of train or val is of a name, or of a
            class no picture is left in one of the two; or as `find_files` and `read_manifest`.
    """
    if not names:
        return LeftOut((), frozenset())
    classes, found = find_files(root, KNOWN)
    manifest = read_manifest(root)
    if manifest is None:
        raise DatasetError(
            f"{','.join(names)}: to leave out sources, {root / 'manifest.csv'} must name them, in "
            "the columns file and source"
        )
    named = {row.file: _names(row) for row in manifest.rows}
    left_out: set[str] = set()
    there: set[str] = set()
    for split in KNOWN:
        labels = []
        for path, label in found[split]:
            file = path.relative_to(root).as_posix()
            own = named.get(file, frozenset())
            there |= own
            if own.isdisjoint(names):
                labels.append(label)
            else:
                left_out.add(file)
        _refuse_untaught(split, classes, labels, names)
    if strange := [name for name in names if name not in there]:
        raise DatasetError(
            f"{','.join(strange)}: no picture of train or val is of that source; "
            f"{manifest.path} has {', '.join(sorted(there))}"
        )
    return LeftOut(tuple(names), frozenset(left_out))


def _names(row: Row) -> frozenset[str]:
    """What the pictures of a row can be left out by."""
    collections = {f"{row.source}:{row.collection}"} if row.collection else set()
    return frozenset({row.source, *collections}) if row.source else frozenset()


def _known(dataset: Dataset) -> Iterable[tuple[str, Split]]:
    return ((name, dataset.splits[name]) for name in KNOWN)


def _refuse_untaught(
    split: str, classes: Sequence[str], labels: Sequence[int], names: Sequence[str]
) -> None:
    for label, name in enumerate(classes):
        if label not in labels:
            raise DatasetError(
                f"without {','.join(names)} no picture of {name} is left to learn from in {split}"
            )
