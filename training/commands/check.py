"""`check`: whether one split can be known from another, and which files are bad."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.xray.errors import DatasetError
from training.commands.flags import add_data
from training.data.audit.leaks import NAMED_PATIENT
from training.data.folder import find_files, splits_in

if TYPE_CHECKING:
    from rich.console import Console

HELP: Final = "look for leaks between splits, and for bad files"
EXIT_LEAKS: Final = 1


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `check`."""
    add_data(parser)
    parser.add_argument(
        "--manifest", type=Path, metavar="CSV", help="names patients (DIR/manifest.csv)"
    )
    parser.add_argument(
        "--patient-from", type=_pattern, metavar="REGEX", default=NAMED_PATIENT,
        help="its first group that matches is the patient, in names of files that have none "
        f"({NAMED_PATIENT})",
    )  # fmt: skip
    parser.add_argument(
        "--skip-crops", action="store_true", help="look for no films that were cropped anew"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="(data-check.json)",
        default=Path("data-check.json"),
    )  # fmt: skip


def _pattern(text: str) -> re.Pattern[str]:
    """A regular expression with a group, for argparse."""
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from error
    if not pattern.groups:
        raise argparse.ArgumentTypeError(f"{text!r} has no group (...), which is to be the patient")
    return pattern


def run(options: argparse.Namespace, console: Console) -> int:
    """Audit a folder; 1 where there is a leak.

    Raises:
        DatasetError: as `audit`, or what was found cannot be written to `--out`.
    """
    if options.out.suffix != ".json":
        raise DatasetError(f"--out: expected a name that ends in .json, not {options.out}")
    if not options.out.absolute().parent.is_dir():
        raise DatasetError(f"--out: {options.out.parent}: no such folder")
    find_files(options.data, splits_in(options.data))

    from training.data.audit.audit import audit
    from training.report.terminal import print_audit, track

    def tell(sentence: str) -> None:
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)

    found = audit(
        options.data,
        options.manifest,
        patient_from=options.patient_from,
        tell=None if options.skip_crops else tell,
        track=track(console, "checking"),
    )
    print_audit(found, console)
    found.write(options.out)
    console.print(f"written to {options.out}", highlight=False, markup=False, soft_wrap=True)
    return EXIT_LEAKS if found.has_leaks else 0
