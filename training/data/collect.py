"""Pictures that are not laid out yet: one folder a class, or beside a CSV."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple

from app.xray.errors import DatasetError
from app.xray.image_types import SUFFIXES, TYPES
from training.data.folder import SPLITS, visible_files
from training.data.splitting import Found

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Sequence

PATIENT_IN_NAME: Final = r"^(person\d+)_|^(?:NORMAL2-)?(IM-\d+)-\d+|^(\d{8})_\d{3}\b"
"""The patient in names as Kaggle's chest X-rays, and those of the NIH, have them."""
COLUMNS: Final = {
    "file": ("file", "filename", "file_name", "path", "image", "image_id", "imageid", "image index",
             "image_path", "x_ray_image_name"),
    "class": ("class", "label", "diagnosis", "finding", "finding labels", "target", "category"),
    "patient": ("patient", "patient_id", "patientid", "patient id", "subject_id", "subject"),
    "source": ("source", "hospital", "site", "dataset", "institution"),
}  # fmt: skip
"""What a column may be called, in small letters, the first that is there is taken."""
_HEAD: Final = 132
"""Bytes that tell the type of a file."""


class Collected(NamedTuple):
    """The pictures, and the files beside them that are none."""

    pictures: tuple[Found, ...]
    others: tuple[Path, ...]


def collect_folder(root: Path, patients: re.Pattern[str]) -> Collected:
    """The pictures of `root/CLASS/**`, or of `root/SPLIT/CLASS/**` where there are splits.

    Those of splits keep theirs. `patients` finds the patient in a file's name: its first group
    that matched, or all of it.

    Raises:
        DatasetError: no such folder, or not two classes in it; or all splits are there already.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder")
    there = [split for split in SPLITS if (root / split).is_dir()]
    if set(there) == set(SPLITS):
        raise DatasetError(
            f"{root}: has {', '.join(SPLITS)} already: `python -m training fit --data {root}`"
        )
    pictures: list[Found] = []
    others: list[Path] = []
    for split in there or [""]:
        for folder in sorted(entry for entry in (root / split).iterdir() if entry.is_dir()):
            if folder.name.startswith("."):
                continue
            for path in visible_files(folder):
                if not _is_picture(path):
                    others.append(path)
                    continue
                kept = "" if split in ("", "train") else split
                patient = patient_of(path.name, patients)
                pictures.append(Found(path, folder.name, patient, "", _digest(path), kept))
    classes = {item.label for item in pictures}
    if len(classes) < 2:
        raise DatasetError(
            f"{root}: found {len(classes)} folders with pictures; expected {root}/CLASS/*, two "
            "classes or more, or --csv FILE that names the class of each picture"
        )
    return Collected(tuple(pictures), tuple(others))


def collect_csv(
    table: Path, root: Path, patients: re.Pattern[str], columns: dict[str, str]
) -> Collected:
    """The pictures that the rows of `table` name, in `root` or anywhere below it.

    `columns` says what the columns "file", "class", "patient" and "source" are called; those not
    in it are told by `COLUMNS`. Without one of patients, `patients` finds them in the names.

    Raises:
        DatasetError: no CSV in UTF-8, a column or a picture is missing, or a name says nothing.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder")
    places = _places(root)
    pictures: dict[Path, Found] = {}
    for number, row in _rows(table):
        name = {what: _cell(row, what, columns, table) for what in COLUMNS}
        path = _find(name["file"], places, f"{table}, line {number}")
        label = name["class"]
        if not label or "/" in label or label.startswith("."):
            raise DatasetError(f"{table}, line {number}: {label!r} can be no class")
        patient = name["patient"] or patient_of(path.name, patients)
        if path in pictures and pictures[path].label != label:
            raise DatasetError(f"{table}, line {number}: {path.name} is of two classes")
        pictures[path] = Found(path, label, patient, name["source"], _digest(path))
    if len({item.label for item in pictures.values()}) < 2:
        raise DatasetError(f"{table}: names fewer than two classes")
    everything = {path for found in places.values() for path in found}
    others = sorted(path for path in everything - set(pictures) if _is_picture(path))
    return Collected(tuple(sorted(pictures.values())), tuple(others))


def patient_of(name: str, pattern: re.Pattern[str]) -> str:
    """The patient in a file's name, "" where the pattern finds none."""
    found = pattern.search(name)
    if found is None:
        return ""
    return next((group for group in found.groups() if group), found.group())


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True)
            for row in rows:
                yield (
                    rows.line_num,
                    {
                        (name or "").strip(): (cell or "").strip()
                        for name, cell in row.items()
                        if not isinstance(cell, list)
                    },
                )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{table}: expected CSV in UTF-8: {error}") from error


def _cell(row: dict[str, str], what: str, columns: dict[str, str], table: Path) -> str:
    named = columns.get(what)
    if named is not None:
        if named not in row:
            raise DatasetError(f"{table}: has no column {named}, but {', '.join(row)}")
        return row[named]
    small = {name.lower(): cell for name, cell in row.items()}
    for name in COLUMNS[what]:
        if name in small:
            return small[name]
    if what in ("file", "class"):
        raise DatasetError(
            f"{table}: no column tells the {what}: has {', '.join(row)}; --{what}-column names it"
        )
    return ""


def _places(root: Path) -> dict[str, list[Path]]:
    """Where each file lies, by its name and by its name without the ending."""
    places: dict[str, list[Path]] = {}
    for path in visible_files(root):
        for name in {path.name, path.stem}:
            places.setdefault(name, []).append(path)
    return places


def _find(name: str, places: dict[str, list[Path]], where: str) -> Path:
    """The file that a row names: its path's end, with or without the ending of its name."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts:
        raise DatasetError(f"{where}: names no file")
    folders = tuple(part for part in parts[:-1] if part not in (".", "/"))
    found = [
        path
        for path in places.get(parts[-1], [])
        if not folders or path.parent.parts[-len(folders) :] == folders
    ]
    if len({path.resolve() for path in found}) > 1:
        raise DatasetError(f"{where}: {name} may be {found[0]} or {found[1]}; name its folder too")
    if not found:
        raise DatasetError(f"{where}: {name}: no such picture")
    return found[0]


def _is_picture(path: Path) -> bool:
    """Whether it begins as a picture does; one that is broken is told by its name."""
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return any(head[kind.offset :].startswith(kind.signature) for kind in TYPES)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error


def counted(paths: Sequence[Path], shown: int = 3) -> str:
    """`3 files: a, b, c`, the first few by name."""
    names = ", ".join(path.name for path in paths[:shown])
    more = f" and {len(paths) - shown:,} more" if len(paths) > shown else ""
    return f"{len(paths):,} file{'' if len(paths) == 1 else 's'}: {names}{more}"
