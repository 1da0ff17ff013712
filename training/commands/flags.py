"""The flags that several words take."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_data(command: argparse.ArgumentParser) -> None:
    """`--data`, which must be given."""
    command.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="the folder of X-rays"
    )


def add_strangers(command: argparse.ArgumentParser) -> None:
    """`--strangers`: what the gate is fitted to beside the pictures of the installed packages."""
    command.add_argument(
        "--strangers",
        type=Path,
        metavar="DIR",
        help="pictures that are no frontal chest X-rays, for the gate to refuse",
    )


def add_trial(command: argparse.ArgumentParser) -> None:
    """`--weights` and `--held-out`: what a trial starts from, and what it is judged on."""
    command.add_argument(
        "--weights", default="imagenet", metavar="imagenet|none|FILE", help="(imagenet)"
    )
    command.add_argument(
        "--held-out",
        type=split_names,
        default=(),
        metavar="SOURCE,SOURCE",
        help="train without these, and judge on them",
    )


def add_leave_out(command: argparse.ArgumentParser) -> None:
    """`--leave-out`: sources that a run is not to know, at least one where it is given."""
    command.add_argument(
        "--leave-out",
        type=_some_names,
        metavar="SOURCE,SOURCE",
        help="train and validate without these, or SOURCE:COLLECTION; see calibrate --left-out",
    )


def split_names(text: str) -> tuple[str, ...]:
    """The names between commas, without blanks around them and empty ones."""
    return tuple(filter(None, (name.strip() for name in text.split(","))))


def _some_names(text: str) -> tuple[str, ...]:
    """The names between commas, each once and in the order of the alphabet: a run is told by it."""
    if not (names := split_names(text)):
        raise argparse.ArgumentTypeError("expected names of sources, with commas between them")
    return tuple(sorted(set(names)))
