"""The audit of a data folder: whether test can be known from train, and what else is odd."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from app.xray.errors import DatasetError
from training.data.audit.duplicates import SamePicture, find_duplicates
from training.data.audit.giveaways import (
    ClassFacts,
    Imbalance,
    Trait,
    describe_classes,
    weigh_classes,
    weigh_traits,
)
from training.data.audit.leaks import BY_NAME, Leak, copies, crops, patients, patients_of
from training.data.audit.picture import read_facts
from training.data.dataset import untracked
from training.data.folder import SPLITS, UNSEEN, find_files, splits_in
from training.data.manifest import UNKNOWN, read_manifest

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from training.data.audit.picture import Facts
    from training.data.dataset import Track
    from training.data.manifest import Manifest

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True)
class ManifestFindings:
    """Where manifest and folder disagree; all are files.

    `strangers` are named but not there, `unnamed` there but not named, `contradicted` stand in
    another split or class than their row says. `patients` counts the patients that are named,
    None where the manifest names none. `known_sources` are sources, no files: those of
    the unseen split that another split has too.
    """

    path: str
    patients: int | None
    strangers: tuple[str, ...]
    unnamed: tuple[str, ...]
    contradicted: tuple[str, ...]
    known_sources: tuple[str, ...]


@dataclass(frozen=True)
class Audit:
    """All that was found. Files are named as they stand in the data folder.

    `counts` are the readable files by split and class, `unreadable` (file, reason) of the others.
    `manifest` is None where there was none: no patient was compared then but the
    `patients_by_name`, whom their files' names told. `crops_compared` says whether films that are
    cropped or windowed anew were looked for.
    """

    data: str
    counts: dict[str, dict[str, int]]
    leaks: tuple[Leak, ...]
    duplicates_within_splits: tuple[SamePicture, ...]
    look_alikes: tuple[SamePicture, ...]
    featureless: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]
    imbalance: tuple[Imbalance, ...]
    classes: tuple[ClassFacts, ...]
    traits: tuple[Trait, ...]
    manifest: ManifestFindings | None
    patients_by_name: int = 0
    crops_compared: bool = False

    @property
    def has_leaks(self) -> bool:
        """Whether figures on test would tell too much."""
        return bool(self.leaks)

    @property
    def pictures(self) -> int:
        """How many files were read."""
        return sum(sum(found.values()) for found in self.counts.values())

    def document(self) -> dict[str, Any]:
        """What the JSON file holds: the fields of this class and of those in it, by their names.

        On top of them `schema_version`, `has_leaks` and `pictures`; `flagged` in `imbalance` and
        `traits`; and {"file", "reason"} for each of `unreadable`.
        """
        return {
            "schema_version": SCHEMA_VERSION,
            "has_leaks": self.has_leaks,
            "pictures": self.pictures,
            **asdict(self),
            "unreadable": [{"file": file, "reason": why} for file, why in self.unreadable],
            "imbalance": [asdict(item) | {"flagged": item.flagged} for item in self.imbalance],
            "traits": [asdict(item) | {"flagged": item.flagged} for item in self.traits],
        }

    def write(self, path: Path) -> None:
        """Write `document()` as JSON.

        Raises:
            DatasetError: the file cannot be written.
        """
        try:
            path.write_text(json.dumps(self.document(), indent=2) + "\n")
        except OSError as error:
            raise DatasetError(f"{path}: cannot be written: {error.strerror}") from error


def audit(
    root: Path,
    manifest: Path | None = None,
    *,
    splits: Sequence[str] = (),
    patient_from: re.Pattern[str] | None = None,
    tell: Callable[[str], None] | None = None,
    track: Track = untracked,
) -> Audit:
    """Decode every picture below `root` once, and look for leaks and oddities.

    Args:
        root: the folder, `root/train|val|test/CLASS/*`, and `root/unseen` where there is one.
        manifest: a CSV with the columns file, source and patient; `root/manifest.csv` if None.
        splits: where to look; `splits_in(root)` if none is named.
        patient_from: whose first group that matches is the patient in the names of files for which
            the manifest has none; without it they have none.
        tell: is told what looking for crops will take; without it none are looked for.
        track: as in `load_dataset`.

    Raises:
        DatasetError: as `find_files` and `read_manifest`.
    """
    splits = splits or splits_in(root)
    find_files(root, splits)
    named = read_manifest(root, manifest)
    facts, unreadable = read_facts(root, splits, keep_small=tell is not None, track=track)
    found = judge(root, facts, unreadable, named, splits, patient_from)
    if tell is None:
        return found
    more = crops(sorted(facts, key=lambda item: item.file), found.leaks, tell, track)
    return replace(found, leaks=(*found.leaks, *more), crops_compared=True)


def judge(
    root: Path,
    facts: Iterable[Facts],
    unreadable: Iterable[tuple[str, str]],
    manifest: Manifest | None,
    splits: Sequence[str] = (),
    patient_from: re.Pattern[str] | None = None,
) -> Audit:
    """The audit from what is known of every file of `splits`; opens none of them.

    If no split is named they are `splits_in(root)`.

    Raises:
        DatasetError: as `find_files`.
    """
    splits = splits or splits_in(root)
    classes, found = find_files(root, splits)
    facts = sorted(facts, key=lambda item: item.file)
    counted = Counter((item.split, item.label) for item in facts)
    counts = {split: {label: counted[split, label] for label in classes} for split in splits}
    duplicates = find_duplicates(facts)
    known = patients_of(facts, manifest, patient_from)
    files = {path.relative_to(root).as_posix() for path, _ in chain(*found.values())}
    return Audit(
        data=str(root),
        counts=counts,
        leaks=(*copies(duplicates), *patients(known)),
        duplicates_within_splits=tuple(
            same for same in duplicates.same if len(same.splits) == len(same.labels) == 1
        ),
        look_alikes=duplicates.look_alikes,
        featureless=duplicates.featureless,
        unreadable=tuple(unreadable),
        imbalance=weigh_classes({split: counts[split] for split in SPLITS if split in counts}),
        classes=describe_classes(facts, classes),
        traits=weigh_traits([item for item in facts if item.split in SPLITS]),
        manifest=None if manifest is None else _compare(manifest, files),
        patients_by_name=sum(source == BY_NAME for source, _ in known),
    )


def _compare(manifest: Manifest, files: set[str]) -> ManifestFindings:
    named = {row.file: row for row in manifest.rows}
    patients = {(row.source, row.patient) for row in manifest.rows if row.patient}
    contradicted = []
    for file in sorted(files & set(named)):
        split, label, _ = file.split("/", 2)
        row = named[file]
        if (row.split or split) != split or (row.label or label) != label:
            contradicted.append(file)
    sources = {
        is_unseen: {
            named[file].source for file in files & set(named) if _is_unseen(file) == is_unseen
        }
        for is_unseen in (True, False)
    }
    return ManifestFindings(
        path=str(manifest.path),
        patients=len(patients) or None,
        strangers=tuple(sorted(set(named) - files)),
        unnamed=tuple(sorted(files - set(named))),
        contradicted=tuple(contradicted),
        known_sources=tuple(sorted((sources[True] & sources[False]) - {"", UNKNOWN})),
    )


def _is_unseen(file: str) -> bool:
    return file.split("/")[0] == UNSEEN
