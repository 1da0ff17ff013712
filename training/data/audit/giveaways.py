"""What a network could tell the classes by without looking at a lung."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from training.data.audit.picture import Facts

IMBALANCED: Final = 3.0
"""A split is flagged where its largest class has more than so many times its smallest's files."""

GIVEN_AWAY: Final = 0.1
"""A trait is flagged where it recognises the classes by more than so much better than chance."""

_BINS: Final = 10
_CATEGORIES: Final[dict[str, Callable[[Facts], str]]] = {
    "format": lambda item: item.kind,
    "colour mode": lambda item: item.mode,
}
_SIZES: Final[dict[str, Callable[[Facts], float]]] = {
    "width": lambda item: item.width,
    "height": lambda item: item.height,
    "width / height": lambda item: item.width / item.height,
}


@dataclass(frozen=True)
class Imbalance:
    """A split's largest class over its smallest, by readable files; None where one has none."""

    split: str
    ratio: float | None

    @property
    def flagged(self) -> bool:
        """Whether it is above `IMBALANCED`."""
        return self.ratio is None or self.ratio > IMBALANCED


@dataclass(frozen=True)
class ClassFacts:
    """The files of one class in all splits: how many of each format and mode, median size."""

    label: str
    pictures: int
    formats: dict[str, int]
    modes: dict[str, int]
    width: float
    height: float


@dataclass(frozen=True)
class Trait:
    """How well one property of the file alone tells the class.

    `recognised` is the mean over classes of the share that is guessed right on val and test,
    `chance` what guessing without looking gives: one over the number of classes.
    """

    name: str
    recognised: float
    chance: float

    @property
    def flagged(self) -> bool:
        """Whether it is better than chance by more than `GIVEN_AWAY`."""
        return self.recognised - self.chance > GIVEN_AWAY


def weigh_classes(counts: dict[str, dict[str, int]]) -> tuple[Imbalance, ...]:
    """The imbalance of each split from its files of each class."""
    return tuple(
        Imbalance(split, max(found.values()) / min(found.values()) if min(found.values()) else None)
        for split, found in counts.items()
    )


def describe_classes(facts: Sequence[Facts], classes: Sequence[str]) -> tuple[ClassFacts, ...]:
    """Formats, modes and median size of each class that has a readable file."""
    by_class = {label: [item for item in facts if item.label == label] for label in classes}
    return tuple(
        ClassFacts(
            label=label,
            pictures=len(items),
            formats=dict(Counter(item.kind for item in items).most_common()),
            modes=dict(Counter(item.mode for item in items).most_common()),
            width=median(item.width for item in items),
            height=median(item.height for item in items),
        )
        for label, items in by_class.items()
        if items
    )


def weigh_traits(facts: Sequence[Facts]) -> tuple[Trait, ...]:
    """How well format, colour mode and size tell the class; () where train or the rest is empty.

    For each value of a trait (a size: each tenth of the train split) the class is guessed that
    has, of its own files in train, the largest share there; the guess is held against val and
    test. A value that train does not have counts as chance.
    """
    train = [item for item in facts if item.split == "train"]
    rest = [item for item in facts if item.split != "train"]
    if not train or not rest:
        return ()
    traits: dict[str, Callable[[Facts], Hashable]] = dict(_CATEGORIES)
    for name, size in _SIZES.items():
        traits[name] = _binned(size, train)
    chance = 1 / len({item.label for item in facts})
    return tuple(
        Trait(name, _recognised(trait, train, rest, chance), chance)
        for name, trait in traits.items()
    )


def _binned(size: Callable[[Facts], float], train: Sequence[Facts]) -> Callable[[Facts], Hashable]:
    edges = np.quantile([size(item) for item in train], np.linspace(0, 1, _BINS + 1)[1:-1])
    return lambda item: int(np.searchsorted(edges, size(item), side="right"))


def _recognised(
    trait: Callable[[Facts], Hashable],
    train: Sequence[Facts],
    rest: Sequence[Facts],
    chance: float,
) -> float:
    totals = Counter(item.label for item in train)
    shares: dict[Any, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for item in train:
        shares[trait(item)][item.label] += 1 / totals[item.label]
    guesses = {value: max(found, key=lambda label: found[label]) for value, found in shares.items()}
    right = defaultdict(list)
    for item in rest:
        guess = guesses.get(trait(item))
        right[item.label].append(chance if guess is None else float(guess == item.label))
    return fmean(fmean(found) for found in right.values())
