"""A folder of X-rays, `DIR/train|val|test|unseen/CLASS/**`: its splits, classes and files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.xray.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence

SPLITS: Final = ("train", "val", "test")
"""The splits that training needs, each with every class."""

UNSEEN: Final = "unseen"
"""A split of hospitals that no other split has a picture of.

It is judged, and searched for leaks; nothing is trained, chosen or calibrated on it. A folder may
lack it, and it may lack classes.
"""


def splits_in(root: Path) -> tuple[str, ...]:
    """`SPLITS`, and `UNSEEN` where the folder has it."""
    return (*SPLITS, UNSEEN) if (root / UNSEEN).is_dir() else SPLITS


def splits_there(root: Path) -> tuple[str, ...]:
    """Those of `SPLITS` and `UNSEEN` that the folder has: of one to be judged on, test may do."""
    return tuple(split for split in (*SPLITS, UNSEEN) if (root / split).is_dir())


def is_own_sample(data: Path) -> bool:
    """Whether `data` is a hospital's own: pictures to calibrate on, and none to train on."""
    return not (data / "train").exists() and (data / "val").is_dir()


def splits_to_calibrate_on(root: Path) -> tuple[str, ...]:
    """What `splits_in` gives, or of a hospital's own sample those of `SPLITS` that it has."""
    own = tuple(split for split in SPLITS if (root / split).is_dir())
    return own if is_own_sample(root) else splits_in(root)


def find_files(
    root: Path, splits: Sequence[str] = SPLITS, known: Sequence[str] = ()
) -> tuple[tuple[str, ...], dict[str, list[tuple[Path, int]]]]:
    """The classes, in alphabetical order, and each split's (file, label), nothing opened yet.

    A class has every file below its folder, at any depth, hidden ones left out; which of them are
    pictures their bytes say, when they are loaded. Where `UNSEEN` is all that is asked for, the
    classes are those `known`, or else its own.

    Raises:
        DatasetError: a split or a class is missing or empty, or `UNSEEN` has one that no other
            split has; names the path and what was expected.
    """
    expected = (
        f"expected {root}/train|val|test/CLASS/*; `python -m training split {root} --out DIR` "
        "makes such a folder of one that is laid out otherwise"
    )
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; expected {root}/train|val|test/CLASS/*")
    for split in splits:
        if not (root / split).is_dir():
            raise DatasetError(f"{root / split}: no such folder; {expected}")
    folders = {
        split: {entry.name for entry in _visible(root / split) if entry.is_dir()}
        for split in splits
    }
    unseen = folders.pop(UNSEEN, set())
    classes = tuple(sorted(set().union(*folders.values()))) if folders else tuple(known)
    classes = classes or tuple(sorted(unseen))
    if strange := sorted(unseen - set(classes)):
        raise DatasetError(
            f"{root / UNSEEN / strange[0]}: a class that {', '.join(folders) or 'the model'} "
            f"{'have no folder for' if folders else 'does not know'}"
        )
    for name in classes:
        if not name.isprintable():  # bytes that are no UTF-8 come as lone surrogates
            raise DatasetError(f"{root}: a class folder's name, {name!r}, cannot be printed")
    if len(classes) < 2 and (folders or known):
        raise DatasetError(
            f"{root / splits[0]}: found {len(classes)} class folders, not two or more; {expected}"
        )
    found: dict[str, list[tuple[Path, int]]] = {}
    for split in splits:
        found[split] = []
        for label, name in enumerate(classes):
            folder = root / split / name
            if split == UNSEEN and name not in unseen:
                continue
            if not folder.is_dir():
                others = ", ".join(other for other in folders if name in folders[other])
                raise DatasetError(
                    f"{folder}: no such folder, though {name} stands in {others}; "
                    "every split needs every class"
                )
            files = [(entry, label) for entry in visible_files(folder)]
            if not files:
                raise DatasetError(f"{folder}: no pictures in it; every class needs at least one")
            found[split] += files
        if not found[split]:
            raise DatasetError(f"{root / split}: no class folder in it; {expected}")
    return classes, found


def _visible(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def strays_in(root: Path, splits: Sequence[str]) -> list[tuple[str, str]]:
    """Visible files that lie in a split, but in no class, each with that as the reason."""
    entries = [entry for split in splits for entry in _visible(root / split) if entry.is_file()]
    return [(entry.relative_to(root).as_posix(), "lies in no class folder") for entry in entries]


def visible_files(folder: Path) -> list[Path]:
    """Every visible file at any depth, in the order of names; links are followed, but not twice."""
    found: list[Path] = []
    seen: set[Path] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        seen.add(Path(place).resolve())
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and (Path(place) / name).resolve() not in seen
        ]
        found += [Path(place) / name for name in names if not name.startswith(".")]
    return sorted(file for file in found if file.is_file())
