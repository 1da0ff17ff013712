"""The flags that several words take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_data(command: argparse.ArgumentParser) -> None:
    """`--data`, which must be given."""
    command.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="the folder of X-rays"
    )


def add_trial(command: argparse.ArgumentParser) -> None:
    """`--weights` and `--held-out`: what a trial starts from, and what it is judged on."""
    command.add_argument(
        "--weights", default="imagenet", metavar="imagenet|none|FILE", help="(imagenet)"
    )
    command.add_argument(
        "--held-out",
        type=lambda text: tuple(filter(None, text.split(","))),
        default=(),
        metavar="SOURCE,SOURCE",
        help="train without these, and judge on them",
    )
