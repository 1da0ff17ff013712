"""`manifest.csv`: what is known of each picture beside its place in the folder."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from app.xray.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


_CELLS: Final = ("source", "patient", "split", "label", "collection")
UNKNOWN: Final = "unknown"
"""The source of a picture that the manifest does not name."""


@dataclass(frozen=True)
class Row:
    """One file, named as in the data folder: SPLIT/CLASS/NAME; "" for what is left open."""

    file: str
    source: str
    patient: str
    split: str
    label: str
    collection: str


@dataclass(frozen=True)
class Manifest:
    """The rows of `path`."""

    path: Path
    rows: tuple[Row, ...]

    @property
    def sources(self) -> dict[str, str]:
        """File -> source, `UNKNOWN` where it is left open."""
        return {row.file: row.source or UNKNOWN for row in self.rows}


def read_manifest(root: Path, path: Path | None = None) -> Manifest | None:
    """The manifest at `path`, or else at `root/manifest.csv`; None where the latter is not there.

    The columns `file` and `source` must be there, and `patient` too where `path` is given;
    `split`, `label` and `collection` may.

    Raises:
        DatasetError: `path` is not there; a column is missing; the file is no CSV in UTF-8.
    """
    named = path is not None
    path = path or root / "manifest.csv"
    if not named and not path.exists():
        return None
    expected = ("file", "source", "patient") if named else ("file", "source")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True)
            columns = rows.fieldnames or ()
            if not set(expected) <= set(columns):
                raise DatasetError(
                    f"{path}: expected the columns {' and '.join(expected)}, found {columns}"
                )
            return Manifest(path=path, rows=tuple(_row(row) for row in rows))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: expected CSV in UTF-8: {error}") from error


def read_sources(root: Path) -> dict[str, str]:
    """File -> source, from the columns `file` and `source` of `root/manifest.csv`, {} without it.

    Raises:
        DatasetError: the manifest lacks one of the two columns, or is no CSV in UTF-8.
    """
    manifest = read_manifest(root)
    return manifest.sources if manifest else {}


def sources_of(files: Sequence[str], sources: dict[str, str]) -> tuple[str, ...]:
    """The source of each file, `UNKNOWN` for one not in `sources`; () where that is empty."""
    return tuple(sources.get(file, UNKNOWN) for file in files) if sources else ()


def _row(cells: dict[str, str | None]) -> Row:
    known = {name: cells.get(name) or "" for name in _CELLS}
    return Row(file=PurePosixPath(cells["file"] or "").as_posix(), **known)
