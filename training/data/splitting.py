"""Which split each picture goes to: all of a patient into the same, each class alike in all."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from app.xray.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SHARES: Final = {"train": 0.7, "val": 0.15, "test": 0.15}


class Found(NamedTuple):
    """A picture that is to be laid out; `patient` and `source` are "" where they are not known.

    `digest` is the SHA-256 of its bytes; `split` the one that it has already, "" where none.
    """

    path: Path
    label: str
    patient: str
    source: str
    digest: str
    split: str = ""


def assign(
    found: Sequence[Found], shares: Mapping[str, float], seed: int, *, by_patient: bool
) -> list[str]:
    """The split of each picture, in the order of `found`; the same seed gives the same.

    Pictures of one patient of one source stay together if `by_patient`, and copies of one file
    always. Those that have a split keep it. All others are dealt out, the rarest class first,
    each to the split that lacks most of what it brings (Sechidis et al. 2011, "On the
    Stratification of Multi-Label Data", with groups in the place of pictures); of a class each
    source is spread alike.

    Raises:
        DatasetError: there are too few of a class for each split to have one.
    """
    groups = _group(found, by_patient=by_patient)
    dealt = Counter(item.label for item in found if not item.split)
    needs = {
        split: _Need(
            {
                stratum: share * count
                for stratum, count in Counter(
                    (item.label, item.source) for item in found if not item.split
                ).items()
            }
        )
        for split, share in shares.items()
    }
    order = np.random.default_rng(seed).permutation(len(groups)).tolist()

    def first(index: int) -> tuple[int, int]:
        return min(dealt[found[item].label] for item in groups[index]), -len(groups[index])

    splits = [item.split for item in found]
    for index in sorted(order, key=first):
        open_ones = [item for item in groups[index] if not splits[item]]
        kept = {splits[item] for item in groups[index]} - {""}
        brought = Counter((found[item].label, found[item].source) for item in open_ones)
        chosen = min(kept) if kept else max(needs, key=lambda split: needs[split].of(brought))
        for item in open_ones:
            splits[item] = chosen
        if chosen in needs:
            needs[chosen].take(brought)
    _refuse_empty(found, splits, shares)
    return splits


class _Need:
    """What one split still lacks of each (class, source), and of which classes it has some."""

    def __init__(self, lacking: dict[tuple[str, str], float]) -> None:
        self._lacking = lacking
        self._held: set[str] = set()

    def of(self, brought: Counter[tuple[str, str]]) -> tuple[int, float, float]:
        """How much it needs these pictures: a class that it has nothing of comes first."""
        new = {label for label, _ in brought} - self._held
        wanted = sum(count * self._lacking[stratum] for stratum, count in brought.items())
        return len(new), round(wanted, 9), round(sum(self._lacking.values()), 9)

    def take(self, brought: Counter[tuple[str, str]]) -> None:
        """Be given them."""
        for (label, source), count in brought.items():
            self._held.add(label)
            self._lacking[label, source] -= count


def _group(found: Sequence[Found], *, by_patient: bool) -> list[list[int]]:
    """The places in `found` of pictures that stay together, in the order of the first of each."""
    parent = list(range(len(found)))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    seen: dict[tuple[str, ...], int] = {}
    for place, item in enumerate(found):
        keys: list[tuple[str, ...]] = [("file", item.digest)]
        if by_patient and item.patient:
            keys.append(("patient", item.source, item.patient))
        for key in keys:
            one, other = sorted((root(seen.setdefault(key, place)), root(place)))
            parent[other] = one
    groups: dict[int, list[int]] = defaultdict(list)
    for place in range(len(found)):
        groups[root(place)].append(place)
    return list(groups.values())


def _refuse_empty(
    found: Sequence[Found], splits: Sequence[str], shares: Mapping[str, float]
) -> None:
    counts = Counter((split, item.label) for split, item in zip(splits, found, strict=True))
    for label in sorted({item.label for item in found}):
        for split in shares:
            if not counts[split, label]:
                total = sum(item.label == label for item in found)
                raise DatasetError(
                    f"{label}: no picture of it comes into {split}, of {total} in all; every split "
                    "needs one of every class (--shares, --by picture)"
                )
