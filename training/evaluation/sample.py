"""Labelled answers that a calibration is fitted on, and what it comes to where it was not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from app.xray.contract import ModelContract

    Chosen = NDArray[np.bool_]
    Fit = Callable[["Sample"], ModelContract]

VAL: Final = "val"
OWN: Final = "a hospital's own sample"
WHOLE_PAIR: Final = 20
"""So many pictures of a class a source needs to weigh as much as others: below, 95 % is all."""
_FOLDS: Final = 10


@dataclass(frozen=True)
class Sample:
    """What networks answered for n labelled pictures.

    `labels` int64 (n,); `raw` (n, classes) are probabilities that are not calibrated; `weights`
    float64 (n,) sum to 1. `sources` int64 (n,) index `names`, the sources of the pictures; ()
    where none are known. `rounds` int64 (n,) says which network answered: 0 that which is being
    calibrated, others that which did not know the sources of the pictures that have this number.
    `left_out` are the names of the sources, or SOURCE:COLLECTION, that these did not know.
    """

    split: str
    labels: NDArray[np.int64]
    raw: NDArray[np.floating]
    weights: NDArray[np.float64]
    sources: tuple[str, ...]
    rounds: NDArray[np.int64]
    left_out: tuple[str, ...] = ()

    @classmethod
    def of_split(
        cls,
        labels: NDArray[np.int64],
        raw: NDArray[np.floating],
        sources: Sequence[str] = (),
        split: str = VAL,
    ) -> Self:
        """The answers of one network for one split, each picture weighing alike."""
        count = len(labels)
        weights = np.full(count, 1 / count)
        return cls(split, labels, raw, weights, tuple(sources), np.zeros(count, np.int64))

    @classmethod
    def pooled(cls, val: Sample, others: Sequence[Sample]) -> Self:
        """`val`, and what networks answered for sources that they did not know, one in each other.

        Each pair of source and class weighs alike, however many pictures it has, and so does each
        class of val, which is one more source for that. A threshold for a class is a promise for
        the next hospital that sends such pictures; of hospitals there are a handful, of pictures
        thousands, and those of one hospital are alike. With pictures weighing alike the largest
        archive would speak for all others (Dunn, Wasserman and Ramdas 2022, "Distribution-Free
        Prediction Sets for Two-Layer Hierarchical Models": pooling CDFs). Val is among them, for a
        user's may be a known hospital too.

        Sources weigh alike though two may be of one hospital: they were chosen, scanned and stored
        apart. A source has its weight once, however many networks answered for it. So where one
        that did not know a whole hospital lacks what no real one would (adults who are well, say),
        one that did not know a collection of it alone halves what that counts for.

        A pair of fewer than `WHOLE_PAIR` pictures weighs so much less: three pictures do not tell
        what is low for 95 %, and should not set the point for everybody.
        """
        parts = [val, *others]
        labels = np.concatenate([part.labels for part in parts])
        rounds = np.repeat(np.arange(len(parts)), [len(part.labels) for part in parts])
        sources = tuple(name for part in parts for name in part.sources)
        groups = np.array([f"left out: {name}" for name in sources])
        groups[rounds == 0] = VAL
        return cls(
            split="train and val",
            labels=labels,
            raw=np.concatenate([part.raw for part in parts]),
            weights=weigh_alike(labels, groups),
            sources=sources,
            rounds=rounds,
            left_out=tuple(sorted({name for part in others for name in part.left_out})),
        )

    @property
    def of_the_calibrated(self) -> Self | None:
        """Those answers that the network gave which is calibrated; None where it gave none."""
        own = self.rounds == 0
        return self.choose(own) if own.any() else None

    @property
    def pair_weights(self) -> NDArray[np.float64]:
        """What each picture weighs where pairs of source and class do alike, float64 (n,), sum 1.

        That is `weights` where no sources are known.
        """
        return weigh_alike(self.labels, np.array(self.sources)) if self.sources else self.weights

    def without(self, names: Sequence[str]) -> Self:
        """These answers as those of a network that did not know the sources `names`."""
        return replace(self, left_out=tuple(names))

    def choose(self, chosen: Chosen) -> Self:
        """Those for which `chosen`, bool (n,), is true, of which there is one at least."""
        weights = self.weights[chosen]
        sources = tuple(np.array(self.sources, np.str_)[chosen].tolist()) if self.sources else ()
        return replace(
            self,
            labels=self.labels[chosen],
            raw=self.raw[chosen],
            weights=weights / weights.sum(),
            sources=sources,
            rounds=self.rounds[chosen],
        )


@dataclass(frozen=True)
class Found:
    """Prediction sets of pictures that had no part in their calibration.

    `sets` bool (n, classes) are true where a class is in the set, `answers` int64 (n,) are the
    likeliest classes; `judged` bool (n,) says of which pictures there are these.
    """

    sample: Sample
    sets: NDArray[np.bool_]
    answers: NDArray[np.int64]
    judged: Chosen

    @property
    def coverage(self) -> float | None:
        """The weighted share of sets that hold the truth; None where none was judged."""
        return self._mean(self.holds, self.judged)

    @property
    def holds(self) -> Chosen:
        """Whether a picture's set holds its class, bool (n,)."""
        holds: Chosen = self.sets[np.arange(len(self.sets)), self.sample.labels]
        return holds

    @property
    def size(self) -> float | None:
        """The weighted mean number of classes in a set; None where none was judged."""
        return self._mean(self.sets.sum(axis=1), self.judged)

    def pairs(self) -> Iterator[tuple[str, int, int, float, float, float]]:
        """Source, class, pictures, recall, coverage and mean size of a set, of all judged."""
        sources = np.array(self.sample.sources, np.str_)
        for source in sorted(set(sources[self.judged].tolist())) if len(sources) else ():
            for label in range(self.sets.shape[1]):
                own = self.judged & (sources == source) & (self.sample.labels == label)
                if own.any():
                    sizes = self.sets[own].sum(axis=1)
                    recall = (self.answers[own] == label).mean()
                    yield source, label, len(sizes), recall, self.holds[own].mean(), sizes.mean()

    def _mean(self, values: NDArray[np.generic], chosen: Chosen) -> float | None:
        if not chosen.any():
            return None
        return float(
            np.average(values[chosen].astype(np.float64), weights=self.sample.weights[chosen])
        )


def find_coverage(sample: Sample, fit: Fit) -> Found:
    """Sets of pictures by what `fit` makes of others: for each its own are left out of the fit.

    Of pictures that a network answered which did not know their sources, the calibration is fitted
    without any picture of these sources, the pictures of val among them: as at a hospital that
    neither network nor calibration has seen. Those of val are then not judged. Where all pictures
    are of val, it is fitted on nine tenths and judged on the last tenth, ten times. A class of
    which no picture is left to fit on is not judged.
    """
    sets, judged = np.zeros(sample.raw.shape, np.bool_), np.zeros(len(sample.labels), np.bool_)
    answers = np.zeros(len(sample.labels), np.int64)
    for apart, rest in _parts(sample):
        if not rest.any() or not apart.any():
            continue
        apart = apart & np.isin(sample.labels, sample.labels[rest])
        contract = fit(sample.choose(rest))
        calibrated = contract.calibrate(sample.raw[apart])
        sets[apart] = contract.prediction_sets(calibrated)
        answers[apart] = calibrated.argmax(axis=1)
        judged |= apart
    return Found(sample, sets, answers, judged)


def _parts(sample: Sample) -> Iterator[tuple[Chosen, Chosen]]:
    """What is judged, and what it is fitted on."""
    if rounds := sorted(set(sample.rounds.tolist()) - {0}):
        sources = np.array(sample.sources, np.str_)
        for number in rounds:
            apart = sample.rounds == number
            yield apart, ~np.isin(sources, sources[apart])
        return
    folds = np.zeros(len(sample.labels), np.int64)
    for label in np.unique(sample.labels):
        own = sample.labels == label
        folds[own] = np.arange(own.sum()) % _FOLDS
    for fold in range(_FOLDS):
        yield folds == fold, folds != fold


def weigh_alike(labels: NDArray[np.int64], groups: NDArray[np.str_]) -> NDArray[np.float64]:
    """What each picture weighs where each pair of group and class does alike: float64 (n,), sum 1.

    A pair of fewer than `WHOLE_PAIR` pictures weighs so much less.
    """
    weights = np.zeros(len(labels))
    for group in np.unique(groups):
        for label in np.unique(labels):
            own = (groups == group) & (labels == label)
            if count := int(own.sum()):
                weights[own] = min(count, WHOLE_PAIR) / WHOLE_PAIR / count
    found: NDArray[np.float64] = weights / weights.sum()
    return found
