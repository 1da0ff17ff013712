"""`split`: pictures in one folder a class, or beside a CSV, laid out as training takes them."""

from __future__ import annotations

import argparse
import csv
import re
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.xray.errors import DatasetError
from training.data.collect import (
    COLUMNS,
    PATIENT_IN_NAME,
    Collected,
    collect_csv,
    collect_folder,
    counted,
)
from training.data.folder import SPLITS
from training.data.splitting import SHARES, assign

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from training.data.splitting import Found

HELP: Final = "lay pictures out as DIR/train|val|test/CLASS, by patient, as links"
_MANIFEST: Final = ("file", "source", "patient", "split", "label")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `split`."""
    parser.add_argument(
        "source", type=Path, nargs="?", metavar="SOURCE",
        help="one folder a class, or one for train and test each (the CSV's folder)",
    )  # fmt: skip
    parser.add_argument("--csv", type=Path, metavar="FILE", help="says the class of each picture")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    parser.add_argument(
        "--by", choices=("patient", "picture"),
        help="what stays together (patient where any is known, else picture)",
    )  # fmt: skip
    parser.add_argument(
        "--shares", type=_shares, default=SHARES, metavar="TRAIN,VAL,TEST",
        help="of the pictures, by split (0.7,0.15,0.15)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=21, metavar="N", help="(21)")
    parser.add_argument(
        "--patient-from", type=_pattern, default=_pattern(PATIENT_IN_NAME), metavar="REGEX",
        help="finds the patient in a file's name (those of Kaggle and the NIH)",
    )  # fmt: skip
    parser.add_argument(
        "--hospital", default="", metavar="NAME", help="the source, where no column says (SOURCE)"
    )
    for what in COLUMNS:
        parser.add_argument(f"--{what}-column", metavar="NAME", help="of the CSV")


def run(options: argparse.Namespace, console: Console) -> None:
    """Lay the pictures out, and say how many went where.

    Raises:
        DatasetError: as `collect_folder`, `collect_csv` and `assign`; no patient is known though
            they are asked for; or the folder cannot be made.
    """
    if options.source is None and options.csv is None:
        raise DatasetError("split: expected a folder, SOURCE, or --csv FILE")
    root = options.source or options.csv.absolute().parent
    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise DatasetError(f"{options.out}: holds something already; name another folder in --out")
    if options.csv is None and options.out.resolve().is_relative_to(root.resolve()):
        raise DatasetError(f"{options.out}: lies in {root}; name a folder elsewhere in --out")
    collected = _collect(options, root)
    is_known = any(item.patient for item in collected.pictures)
    if options.by == "patient" and not is_known:
        raise DatasetError(
            f"{root}: no patient is known; --patient-column or --patient-from REGEX tells them, "
            "--by picture does without"
        )
    by_patient = options.by != "picture" and is_known
    hospital = options.hospital or root.resolve().name
    pictures = [item._replace(source=item.source or hospital) for item in collected.pictures]
    splits = assign(pictures, _still(options.shares, pictures), options.seed, by_patient=by_patient)
    _lay_out(options.out, pictures, splits)
    _report(collected, pictures, splits, console, by_patient=by_patient)
    console.print(f"written to {options.out}", highlight=False, markup=False, soft_wrap=True)


def _collect(options: argparse.Namespace, root: Path) -> Collected:
    if options.csv is None:
        return collect_folder(root, options.patient_from)
    given = {what: getattr(options, f"{what}_column") for what in COLUMNS}
    named = {what: name for what, name in given.items() if name is not None}
    return collect_csv(options.csv, root, options.patient_from, named)


def _still(shares: dict[str, float], pictures: Sequence[Found]) -> dict[str, float]:
    """The shares of the splits that are not there yet, of what is to be dealt out."""
    there = {item.split for item in pictures} - {""}
    left = {split: share for split, share in shares.items() if split not in there}
    return {split: share / sum(left.values()) for split, share in left.items()}


def _lay_out(out: Path, pictures: Sequence[Found], splits: Sequence[str]) -> None:
    """All at once, or nothing: a folder beside `out` takes its place when it is whole."""
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.absolute().parent))
        try:
            partial.chmod(0o755)
            rows = [_MANIFEST, *_link(partial, pictures, splits)]
            with (partial / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows(rows)
            if out.exists():
                out.rmdir()
            partial.rename(out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise DatasetError(f"{out}: cannot be made: {error.strerror}") from error


def _link(folder: Path, pictures: Sequence[Found], splits: Sequence[str]) -> list[tuple[str, ...]]:
    """A link for each picture; its row of the manifest."""
    rows = []
    taken: set[str] = set()
    for item, split in zip(pictures, splits, strict=True):
        name, number = item.path.name, 1
        try:
            name.encode()
        except UnicodeEncodeError as error:  # other bytes come as lone surrogates
            raise DatasetError(f"{str(item.path)!a}: its name is no UTF-8; rename it") from error
        while f"{split}/{item.label}/{name}" in taken:
            number += 1
            name = f"{item.path.stem}-{number}{item.path.suffix}"
        file = f"{split}/{item.label}/{name}"
        taken.add(file)
        link = folder / file
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(item.path.resolve())
        rows.append((file, item.source, item.patient, split, item.label))
    return sorted(rows)


def _report(
    collected: Collected,
    pictures: Sequence[Found],
    splits: Sequence[str],
    console: Console,
    *,
    by_patient: bool,
) -> None:
    if collected.others:
        console.print(
            f"left out: {counted(collected.others)}", style="yellow", highlight=False, markup=False,
            soft_wrap=True,
        )  # fmt: skip
    if not by_patient:
        console.print(
            "by picture: a patient may come into two splits, and figures on test be too good",
            style="yellow", highlight=False, soft_wrap=True,
        )  # fmt: skip
    elif unknown := sum(not item.patient for item in pictures):
        console.print(
            f"of {unknown:,} of {len(pictures):,} pictures no patient is known: each counts as one",
            style="yellow", highlight=False, soft_wrap=True,
        )  # fmt: skip
    counts = Counter(zip(splits, (item.label for item in pictures), strict=True))
    for split in SPLITS:
        here = ", ".join(f"{n:,} {label}" for (s, label), n in sorted(counts.items()) if s == split)
        console.print(f"{split}: {here}", highlight=False, markup=False, soft_wrap=True)


def _shares(text: str) -> dict[str, float]:
    try:
        found = dict(zip(SPLITS, map(float, text.split(",")), strict=True))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: expected three numbers") from error
    total = sum(found.values())
    if not all(share > 0 for share in found.values()) or not total < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: expected three numbers above 0")
    return {split: share / total for split, share in found.items()}


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text}: no regular expression: {error}") from error
