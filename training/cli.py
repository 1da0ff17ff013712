"""`python -m training COMMAND`: the words, and how each of them ends."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from rich.console import Console

from app.xray.errors import CxrError
from app.xray.network import hush_tensorflow
from training.commands import (
    calibrate,
    check,
    compare,
    evaluate,
    export,
    fit,
    promote,
    search,
    split,
    trial,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

EXIT_OPERATOR: Final = 2
EXIT_INTERRUPTED: Final = 130

COMMANDS: Final[dict[str, ModuleType]] = {
    "check": check,
    "split": split,
    "fit": fit,
    "evaluate": evaluate,
    "calibrate": calibrate,
    "compare": compare,
    "promote": promote,
    "trial": trial,
    "search": search,
    "export": export,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Gives 0 when it is done, 1 when `check` found a leak, 2 when the folder, the file or a flag is
    wrong.
    """
    hush_tensorflow()
    options = build_parser().parse_args(arguments)
    try:
        code: int = options.run(options, Console()) or 0
    except CxrError as error:
        Console(stderr=True).print(
            f"error: {error}", style="red", highlight=False, markup=False, soft_wrap=True
        )
        return EXIT_OPERATOR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return code


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; its result has in `run` what the one asked for does."""
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="A folder of X-rays, DIR/train|val|test/CLASS/*, to models/best_model.h5.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        added = commands.add_parser(name, help=command.HELP)
        command.add_flags(added)
        added.set_defaults(run=command.run)
    return parser
