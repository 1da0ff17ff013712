"""By what one split can be known from another: copies, patients, and films cropped anew."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from pathlib import PurePosixPath
from statistics import median
from typing import TYPE_CHECKING, Final

from training.data.audit.crops import SMALLEST_COST_S, find_crops, local_contrast, match, propose
from training.data.collect import patient_of
from training.data.dataset import untracked

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Sequence

    from training.data.audit.duplicates import Duplicates
    from training.data.audit.picture import Facts
    from training.data.dataset import Track
    from training.data.manifest import Manifest

EXACT: Final = "exact duplicate across splits"
NEAR: Final = "near duplicate across splits"
PATIENT: Final = "patient in two splits"
LABELS: Final = "picture under two labels"
CROP: Final = "film cropped or windowed anew across splits"
CROP_LABELS: Final = "film cropped or windowed anew under two labels"


@dataclass(frozen=True)
class Leak:
    """Files by which one split can be known from another, or one label from another.

    `kind` is one of the names above. `exact` (the same bytes) and `distance`, in bits of 512, stand
    where pictures were compared as a whole, `agreement`, up to 1, where the middle of one was found
    in the other, `source` and `patient` where a patient stands in two splits.
    """

    kind: str
    files: tuple[str, ...]
    exact: bool | None = None
    distance: int | None = None
    source: str | None = None
    patient: str | None = None
    agreement: float | None = None


NAMED_PATIENT: Final = r"^(person\d+)_"
"""The patient in the names of Kaggle's copy of Kermany's films: person12_bacteria_3.jpeg."""
_TIMED: Final = 9
"""So many pairs are matched to tell what all will take."""
BY_NAME: Final = "by file name"
"""The source of patients that a file's name tells."""


def copies(duplicates: Duplicates) -> Iterable[Leak]:
    """The leaks among what looks the same as a whole."""
    for same in duplicates.same:
        if len(same.splits) > 1:
            yield Leak(EXACT if same.exact else NEAR, same.files, same.exact, same.distance)
    for same in duplicates.same:
        if len(same.labels) > 1:
            yield Leak(LABELS, same.files, same.exact, same.distance)


def patients_of(
    facts: Sequence[Facts], manifest: Manifest | None, pattern: re.Pattern[str] | None
) -> dict[tuple[str, str], set[str]]:
    """The files of each patient, who is a source and a number: a number means something there only.

    Of files for which the manifest has none, what `patient_of` reads in their name.
    """
    readable = {item.file for item in facts}
    files: dict[tuple[str, str], set[str]] = defaultdict(set)
    told = set()
    for row in manifest.rows if manifest else ():
        if row.patient and row.file in readable:
            files[row.source, row.patient].add(row.file)
            told.add(row.file)
    if pattern is not None:
        for file in sorted(readable - told):
            if patient := patient_of(PurePosixPath(file).name, pattern):
                files[BY_NAME, patient].add(file)
    return files


def patients(files: dict[tuple[str, str], set[str]]) -> Iterable[Leak]:
    """The patients of `patients_of` who stand in two splits."""
    for (source, patient), found in sorted(files.items()):
        if len({file.split("/")[0] for file in found}) > 1:
            yield Leak(PATIENT, tuple(sorted(found)), source=source, patient=patient)


def crops(
    facts: Sequence[Facts],
    known: Iterable[Leak],
    tell: Callable[[str], None],
    track: Track = untracked,
) -> Iterable[Leak]:
    """Films that stand in two splits or under two labels, cropped or windowed anew.

    `facts` keep their small pictures; what `known` leaks name together is not told again. `tell` is
    told what either step will take, before it is taken.
    """
    facts = [item for item in facts if item.small is not None]
    smalls = [item.small for item in facts if item.small is not None]
    begun = time.perf_counter()
    contrasts = [local_contrast(small) for small in smalls]
    seconds = max(time.perf_counter() - begun, SMALLEST_COST_S * len(facts))
    tell(
        f"looking for crops among {len(facts):,} pictures, each compared with each: "
        f"about {_spell(seconds * 10)}, and then the pairs that this proposes; "
        "--skip-crops leaves it out"
    )
    told = {pair for leak in known for pair in combinations(sorted(leak.files), 2)}
    groups = [(item.split, item.label) for item in facts]
    pairs = [
        (one, other)
        for one, other in propose(contrasts, groups, track)
        if tuple(sorted((facts[one].file, facts[other].file))) not in told
    ]
    if pairs:
        took = []
        for first, second in pairs[:_TIMED]:
            begun = time.perf_counter()
            match(contrasts[first], contrasts[second])
            took.append(time.perf_counter() - begun)
        each = median(took)  # the first brings an import
        tell(f"matching {len(pairs):,} pairs by template: about {_spell(each * len(pairs))}")
    for found in find_crops(contrasts, pairs, track):
        one, other = facts[found.one], facts[found.other]
        files = tuple(sorted((one.file, other.file)))
        kinds = [CROP] * (one.split != other.split) + [CROP_LABELS] * (one.label != other.label)
        for kind in kinds:
            yield Leak(kind, files, agreement=round(found.agreement, 3))


def _spell(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
