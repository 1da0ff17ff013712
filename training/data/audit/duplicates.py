"""Which files hold the same picture: the same bytes, or what saving it anew leaves of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

import numpy as np

from training.data.audit.fingerprints import ALIKE, NEAR, find_pairs, is_featureless

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.data.audit.picture import Facts

MAX_LOOK_ALIKES: Final = 20


@dataclass(frozen=True)
class SamePicture:
    """Files, in the order of their names, that hold one picture or look as if they did.

    `exact` where all have the same bytes; `distance` is the largest between two fingerprints that
    were taken for the same, in bits of 512.
    """

    files: tuple[str, ...]
    exact: bool
    distance: int

    @property
    def splits(self) -> frozenset[str]:
        """The splits that it stands in."""
        return frozenset(file.split("/")[0] for file in self.files)

    @property
    def labels(self) -> frozenset[str]:
        """The classes that it stands in."""
        return frozenset(file.split("/")[1] for file in self.files)


@dataclass(frozen=True)
class Duplicates:
    """The duplicates that `find_duplicates` found.

    `same` are the pictures in several files, each file in one of them at most: a copy of a copy
    belongs with both. `look_alikes` are the nearest pairs across splits that are not near enough,
    at most 20. `featureless` are files with too little in them to tell; only their bytes are
    compared.
    """

    same: tuple[SamePicture, ...]
    look_alikes: tuple[SamePicture, ...]
    featureless: tuple[str, ...]


def find_duplicates(facts: Sequence[Facts]) -> Duplicates:
    """Compare every picture with every other, by bytes and by fingerprint."""
    copies = defaultdict(list)
    for item in facts:
        copies[item.sha256].append(item)
    first = [items[0] for items in copies.values()]  # one of each; a copy needs no second look
    telling = [item for item in first if not is_featureless(item.bits)]
    bits = np.array([item.bits for item in telling]).reshape(-1, 8)

    groups = _Groups()
    for i, j, distance in find_pairs(bits, NEAR):
        groups.join(telling[i].sha256, telling[j].sha256, distance)
    # A second search costs seconds; to keep what the first saw up to ALIKE could cost gigabytes.
    alike = (
        SamePicture(
            tuple(sorted((telling[i].file, telling[j].file))), exact=False, distance=distance
        )
        for i, j, distance in find_pairs(bits, ALIKE)
        if telling[i].split != telling[j].split
        and groups.leader(telling[i].sha256) != groups.leader(telling[j].sha256)
    )
    nearest = nsmallest(MAX_LOOK_ALIKES, alike, key=lambda pair: (pair.distance, pair.files))

    members = defaultdict(list)
    for digest in copies:
        members[groups.leader(digest)].append(digest)
    same = []
    for leader, digests in members.items():
        files = sorted(item.file for digest in digests for item in copies[digest])
        if len(files) > 1:
            exact = len(digests) == 1
            same.append(SamePicture(tuple(files), exact, groups.distances[leader]))
    return Duplicates(
        same=tuple(sorted(same, key=lambda found: found.files)),
        look_alikes=tuple(nearest),
        featureless=tuple(sorted(item.file for item in facts if is_featureless(item.bits))),
    )


class _Groups:
    """Disjoint sets of digests (Galler and Fischer 1964), and the widest step within each."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        self.distances: defaultdict[str, int] = defaultdict(int)

    def leader(self, digest: str) -> str:
        while (parent := self._parents.get(digest, digest)) != digest:
            self._parents[digest] = self._parents.get(parent, parent)
            digest = parent
        return digest

    def join(self, one: str, other: str, distance: int) -> None:
        one, other = self.leader(one), self.leader(other)
        self._parents[one] = other
        self.distances[other] = max(self.distances[one], self.distances[other], distance)
